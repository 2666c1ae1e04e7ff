"""Means over processes; with two of them, tests/strategies compares whole runs."""

import pytest
import torch
import torch.distributed as dist

from llm2comp.objectives.base import Measurement
from llm2comp.objectives.process_mean import process_mean

MEANS = [Measurement(torch.tensor(2.0), 3), Measurement(torch.tensor(5.0), torch.tensor(4))]


def test_one_process_sums() -> None:
    assert process_mean(MEANS) == 7


def test_a_process_counts_by_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside one with 9 and 4 tokens: of 12 and 8 tokens, 3 and 4 are here."""

    def add_others(counts: torch.Tensor) -> None:
        counts += torch.tensor([9.0, 4.0])

    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", add_others)
    assert process_mean(MEANS) == pytest.approx(2 * (2 * 3 / 12 + 5 * 4 / 8))


def test_no_tokens_anywhere_are_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda counts: None)
    assert process_mean([Measurement(torch.tensor(0.0), 0)]) == 0
