"""Turns, ratios and memory."""

import os
from pathlib import Path

import pytest
import torch

from benchmarks.harness import Contestant, Ratio, alone, fastest, in_own_process, interleaved, mallocs, timed

MB = 1_000_000


def test_a_ratio_is_taken_round_by_round():
    slow_round = [10.0, 1.0, 1.2]
    assert Ratio.of([20.0, 2.0, 3.6], slow_round) == Ratio(2.0, 2.0, pytest.approx(3.0))


def test_contestants_take_turns_and_the_first_round_does_not_count():
    runs: list[str] = []

    def contestant(name: str) -> Contestant:
        def run() -> float:
            runs.append(name)
            return float(len(runs))

        return run

    seconds = interleaved({"a": contestant("a"), "b": contestant("b")}, rounds=2)
    assert "".join(runs) == "abbaab"
    assert seconds == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_the_fastest_is_not_judged_by_its_first_run():
    times = iter([9.0, 1.0])
    assert fastest({"late": lambda: next(times), "slow": lambda: 2.0}) == "late"


def test_work_is_timed(monkeypatch: pytest.MonkeyPatch):
    clock = iter([3.0, 5.0])
    monkeypatch.setattr("benchmarks.harness.time.perf_counter", lambda: next(clock))
    assert timed(lambda: None)() == 2.0


def build(held: int, passing: int) -> Contestant:
    """A contestant that holds some megabytes and takes others for a while, after taking as many to be built."""
    torch.ones(held + 2 * passing, MB, dtype=torch.uint8)
    kept = torch.ones(held, MB, dtype=torch.uint8)
    return timed(lambda: torch.ones(passing, MB, dtype=torch.uint8).max() + kept[0, 0])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_memory_counts_what_is_held_and_what_running_takes_but_not_what_building_took():
    found = alone(build, 100, 200, runs=3)
    assert found.held / MB == pytest.approx(100, abs=30)
    assert found.peak / MB == pytest.approx(300, abs=30)
    assert len(found.seconds) == 3


def build_of_the_process() -> Contestant:
    """A contestant that tells what random numbers its process draws."""
    return lambda: float(torch.initial_seed())


def test_a_fresh_process_knows_nothing_of_this_one():
    torch.manual_seed(7)
    assert alone(build_of_the_process, runs=1).seconds != [7.0]


def test_what_goes_wrong_in_a_fresh_process_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        alone(divmod, 1, 0)


def build_that_counts(step: int) -> Contestant:
    """A contestant whose runs "take" more and more seconds, and none where no malloc was asked for."""
    runs = iter(range(0, 100, step))
    return lambda: float(next(runs)) if os.getenv("LD_PRELOAD") == "libm.so.6" else 0.0


def test_a_contestant_stays_in_its_process_with_the_malloc_asked_for():
    before = os.environ.get("LD_PRELOAD")
    with in_own_process("libm.so.6", build_that_counts, 2) as a, in_own_process("", build_that_counts, 3) as b:
        assert [a(), b(), a(), b(), a()] == [0, 0, 2, 0, 4]
    assert os.environ.get("LD_PRELOAD") == before


def test_tcmalloc_is_a_choice_where_it_is_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.harness.ctypes.util.find_library", lambda name: None)
    assert mallocs() == {"system's malloc": ""}
    monkeypatch.setattr("benchmarks.harness.ctypes.util.find_library", {"tcmalloc_minimal": "libtc.so.4"}.get)
    monkeypatch.setattr("benchmarks.harness.torch.cuda.is_available", lambda: False)
    assert mallocs()["tcmalloc"] == "libtc.so.4"
