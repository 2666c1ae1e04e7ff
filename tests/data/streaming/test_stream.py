"""Of every epoch, every example goes to one process, once, in batches that hang on seed and place alone."""

from itertools import islice
from pathlib import Path

import pytest

from llm2comp.data.streaming.stream import Place
from tests.data.streaming.streams import epochs, stream, write_folder

FOLDERS = {
    "one file": {"a.jsonl": 17},
    "fewer files than processes": {"a.jsonl": 5, "b.txt": 12},
    "uneven": {"a.jsonl": 1, "b.jsonl.gz": 23, "c.parquet": 9, "d.txt": 0, "e.txt.gz": 3},
    "as many as processes": {"a.txt": 1, "b.txt": 1, "c.txt": 1},
}


def flat(batches: list[list[str]]) -> list[str]:
    return [text for batch in batches for text in batch]


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_example_once_an_epoch_over_all_processes(tmp_path: Path, folder: str, world_size: int) -> None:
    everything = write_folder(tmp_path / "corpus", FOLDERS[folder])
    shares = [epochs(stream(tmp_path / "corpus", rank, world_size), 0, count=3) for rank in range(world_size)]
    for epoch in range(3):
        assert sorted(text for share in shares for text in flat(share[epoch])) == sorted(everything)
        sizes = [len(flat(share[epoch])) for share in shares]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_batches_are_the_same_with_any_number_of_workers(tmp_path: Path, world_size: int, num_workers: int) -> None:
    everything = write_folder(tmp_path / "corpus", FOLDERS["uneven"])
    shares = [stream(tmp_path / "corpus", rank, world_size) for rank in range(world_size)]
    made = [epochs(share, num_workers, count=2) for share in shares]
    assert made == [epochs(share, 0, count=2) for share in shares]
    assert sorted(text for share in made for text in flat(share[1])) == sorted(everything)


def test_the_order_changes_with_the_epoch_and_the_seed(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", FOLDERS["uneven"])
    first, second = epochs(stream(tmp_path / "corpus"), 0, count=2)
    (other,) = epochs(stream(tmp_path / "corpus", seed=1), 0)
    assert len({str(flat(batches)) for batches in (first, second, other)}) == 3
    assert epochs(stream(tmp_path / "corpus"), 0, count=2) == [first, second]


def test_the_batches_of_a_buffer_keep_the_budget_and_have_like_lengths(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 200})
    (batches,) = epochs(stream(tmp_path / "corpus", buffer_size=200), 0)
    (mixed,) = epochs(stream(tmp_path / "corpus", buffer_size=10), 0)
    assert len(flat(batches)) == len(flat(mixed)) == 200
    assert len(batches) < len(mixed)  # more to choose from, less padding


@pytest.mark.parametrize("world_size", [1, 2])
def test_from_the_place_of_any_buffer_the_stream_goes_on_as_it_did(tmp_path: Path, world_size: int) -> None:
    write_folder(tmp_path / "corpus", FOLDERS["uneven"])
    for rank in range(world_size):
        buffers = list(islice(stream(tmp_path / "corpus", rank, world_size).buffers(Place()), 12))
        assert {buffer.place.epoch for buffer in buffers} >= {0, 1}
        for i, buffer in enumerate(buffers):
            again = stream(tmp_path / "corpus", rank, world_size).buffers(buffer.place)
            assert list(islice(again, 12 - i)) == buffers[i:]


def test_files_before_the_place_are_not_read(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 20, "b.jsonl": 20, "c.jsonl": 20})
    one = stream(tmp_path / "corpus")
    buffers = list(islice(one.buffers(Place()), 9))
    late = next(buffer for buffer in buffers if buffer.place.part == 2)
    names = {item.paragraphs[0][0] for buffer in buffers for item in buffer.items if buffer.place.part < 2}
    (last,) = {item.paragraphs[0][0] for item in late.items} - (names if len(names) == 2 else set())
    for name in {"a", "b", "c"} - {last}:
        (tmp_path / "corpus" / f"{name}.jsonl").write_text("damaged")
    assert next(one.buffers(late.place)) == late


def test_batch_size_counts_examples_of_all_processes(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 24})
    options = {"token_budget": None, "batch_size": 6, "buffer_size": 12}
    for rank in range(2):
        (batches,) = epochs(stream(tmp_path / "corpus", rank, 2, **options), 0)
        assert [len(batch) for batch in batches] == [3, 3, 3, 3]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_only_a_buffer_is_read_before_the_first_batch(tmp_path: Path, num_workers: int) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 40})
    with (tmp_path / "corpus" / "a.jsonl").open("a") as file:
        file.write("not JSON\n")
    with pytest.raises(ValueError, match=r"a\.jsonl, line 41: not JSON"):
        epochs(stream(tmp_path / "corpus"), num_workers)
    assert len(next(stream(tmp_path / "corpus").buffers(Place())).items) == 7
