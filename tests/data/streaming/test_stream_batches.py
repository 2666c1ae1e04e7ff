"""Batches of a stream are those that the collators make of whole corpora, and come over from workers as they are."""

from pathlib import Path
from types import SimpleNamespace

import torch

from llm2comp.data.batches import IGNORED, CompressionBatch, MaskedBatch
from llm2comp.data.masking import Masking
from llm2comp.data.streaming.made_buffers import MadeBuffers, pack, unpack
from llm2comp.data.streaming.stream import Place
from tests.data.runs import Recorder, rows
from tests.data.streaming.streams import data_module, epochs, stream, write_folder
from tests.tiny import tiny_tokenizer


def masked_model() -> Recorder:
    model = Recorder()
    model.objective = SimpleNamespace(batch_type=MaskedBatch, masking=Masking(0.2, "all", "_"))
    return model


def test_packing_keeps_every_field_and_nested_batches() -> None:
    batch = CompressionBatch(*(torch.arange(i, i + 6).view(2, 3) for i in range(4)))
    both = SimpleNamespace(first=batch, number=3)
    again = unpack(pack(both))
    assert again.number == 3
    for name in ("text_ids", "text_mask", "target_ids", "target_mask"):
        tensor = getattr(again.first, name)
        assert torch.equal(tensor, getattr(batch, name))
        assert tensor.dtype == torch.int64
        tensor += 1  # what comes over can be written to


def test_masked_batches_are_streamed(tmp_path: Path) -> None:
    everything = write_folder(tmp_path / "corpus", {"a.jsonl": 9, "b.txt": 8})
    seen = []
    for buffer in MadeBuffers(stream(tmp_path / "corpus", model=masked_model()), Place()).loader(1):
        assert not isinstance(buffer, Exception)
        if buffer.place.epoch:
            break
        for batch in map(unpack, buffer.batches):
            assert isinstance(batch, MaskedBatch)
            restored = torch.where(batch.labels == IGNORED, batch.input_ids, batch.labels)
            seen += tiny_tokenizer().batch_decode(
                [ids[mask.bool()][1:] for ids, mask in zip(restored, batch.attention_mask, strict=True)]
            )
            assert (batch.labels != IGNORED).any(dim=1).all()
    assert sorted(seen) == sorted(everything)


def test_a_text_is_cut_where_it_is_cut_without_streaming(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 30})
    one, read = stream(tmp_path / "corpus"), data_module(tmp_path / "corpus", streaming=False)
    cut = {tuple(row) for batch in read.train_dataloader() for row in rows(batch)}
    made = next(iter(MadeBuffers(one, Place()).loader(0)))
    assert not isinstance(made, Exception)
    streamed = {tuple(row) for batch in made.batches for row in rows(unpack(batch))}
    assert len(streamed) == 7
    assert streamed <= cut


def test_equal_paragraphs_of_a_buffer_count_once(tmp_path: Path) -> None:
    everything = write_folder(tmp_path / "corpus", {"a.jsonl": 3})
    (tmp_path / "corpus" / "a.txt").write_text("\n".join(everything))
    (batches,) = epochs(stream(tmp_path / "corpus"), 0)
    assert sorted(text for batch in batches for text in batch) == sorted(everything)
