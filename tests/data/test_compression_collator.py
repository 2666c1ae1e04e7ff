"""A batch holds each paragraph, cut in two, and nothing else."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric.utilities import move_data_to_device

from llm2comp.data.batches import CompressionBatch
from llm2comp.data.cache import tokenized_corpus
from llm2comp.data.collators.compression import CompressionCollator
from llm2comp.data.corpus import Corpus
from llm2comp.data.filters import Filters
from tests.tiny import tiny_tokenizer


@pytest.fixture
def corpus(articles: Path) -> Corpus:
    return tokenized_corpus(str(articles), tiny_tokenizer(), Filters(1, 20, 60))


def test_texts_stand_right_with_bos_and_continuations_left_without(corpus: Corpus) -> None:
    tokenizer = tiny_tokenizer()
    collator, examples = CompressionCollator(tokenizer, seed=1), np.array([3, 0, 11, 7])
    batch = collator(corpus, examples, epoch=2)
    sizes = collator.sizes(corpus, examples, epoch=2)
    assert batch.text_ids.shape == batch.text_mask.shape == (4, sizes[:, 0].max())
    assert batch.target_ids.shape == batch.target_mask.shape == (4, sizes[:, 1].max())
    for i, example in enumerate(examples):
        before, after = sizes[i].tolist()
        assert batch.text_mask[i].tolist() == [0] * (batch.text_ids.shape[1] - before) + [1] * before
        assert batch.target_mask[i].tolist() == [1] * after + [0] * (batch.target_ids.shape[1] - after)
        text = batch.text_ids[i, -before:].tolist()
        assert text[0] == tokenizer.bos_token_id
        assert text[1:] + batch.target_ids[i, :after].tolist() == corpus.input_ids(example).tolist()
        assert min(before - 1, after) >= 10
    padding = torch.cat([batch.text_ids[batch.text_mask == 0], batch.target_ids[batch.target_mask == 0]])
    assert set(padding.tolist()) == {tokenizer.pad_token_id}
    assert batch.num_tokens == corpus.lengths[examples].sum() + 4 == sizes.sum()


def test_an_example_is_the_same_in_any_batch(corpus: Corpus) -> None:
    collator = CompressionCollator(tiny_tokenizer(), seed=1)
    alone, together = collator(corpus, np.array([5]), 0), collator(corpus, np.array([2, 5]), 0)
    assert torch.equal(alone.text_ids[0], together.text_ids[1][together.text_mask[1].bool()])
    other = collator(corpus, np.array([5]), 1)
    assert alone.text_ids.shape != other.text_ids.shape


def test_a_batch_moves_to_a_device_as_lightning_moves_it(corpus: Corpus) -> None:
    batch = CompressionCollator(tiny_tokenizer(), seed=1)(corpus, np.array([5, 6]), 0)
    moved = move_data_to_device(batch, torch.device("meta"))
    assert isinstance(moved, CompressionBatch)
    assert {getattr(moved, field.name).device.type for field in fields(moved)} == {"meta"}
    assert batch.text_ids.device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="pinned memory needs CUDA")
def test_a_batch_is_pinned_whole(corpus: Corpus) -> None:
    batch = CompressionCollator(tiny_tokenizer(), seed=1)(corpus, np.array([5, 6]), 0).pin_memory()
    assert all(getattr(batch, field.name).is_pinned() for field in fields(batch))
