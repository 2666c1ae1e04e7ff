"""A batch holds the pairs as the tokenizer reads them, instruction and all."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm2comp.data.batch_dataset import BatchDataset, BatchIndex
from llm2comp.data.batches import ContrastiveBatch
from llm2comp.data.hashing import hash_text
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.encoder.tokenization import prompt_tokens
from llm2comp.errors import UserError
from llm2comp.prompts import instruction
from tests.data.pairs import PairRecorder, pair_data, texts_of, write_rows
from tests.tiny import tiny_tokenizer

ROWS: list[dict[str, Any]] = [
    {"query": "the fox", "positive": ["a quick fox", "a fox"], "negative": ["a dog", "a frozen fox", "the dog"]},
    {"query": "lazy decoder", "positive": "a decoder that is lazy", "negative": ["an encoder"]},
    {"query": "memory", "positive": "memory tokens"},
]


def dataset(folder: Path, model: PairRecorder | None = None, task: str | None = None, **options: Any) -> BatchDataset:
    max_negatives = options.pop("max_negatives", 1)
    path = write_rows(folder / "a.jsonl", options.pop("rows", ROWS))
    data = pair_data([PairSet(str(path), task, max_negatives=max_negatives)], model, **options)
    return data.batches(data.splits().train, training=True, rank=0, world_size=1)[0]


def batch_of(data: BatchDataset, epoch: int = 0, examples: tuple[int, ...] = (0, 1, 2)) -> ContrastiveBatch:
    return data[BatchIndex(epoch, np.array(examples))]


def test_rows_are_queries_then_positives_then_negatives(tmp_path: Path) -> None:
    batch = batch_of(dataset(tmp_path), examples=(1, 2, 0))
    texts = texts_of(batch)
    assert batch.num_pairs == 3
    assert texts[:3] == ["lazy decoder", "memory", "the fox"]
    assert texts[3:5] == ["a decoder that is lazy", "memory tokens"]
    assert texts[5] in ROWS[0]["positive"]
    assert texts[6] == "an encoder"
    assert texts[7] in ROWS[0]["negative"]
    assert len(texts) == 8
    assert batch.text_ids.dtype == torch.long
    assert batch.text_ids.tolist() == np.array([hash_text(text) for text in texts], np.uint64).view(np.int64).tolist()


@pytest.mark.parametrize("task", [None, "nli", "questions"])
def test_tokens_are_those_of_instruction_and_text_as_one_string(tmp_path: Path, task: str | None) -> None:
    tokenizer = tiny_tokenizer()
    batch = batch_of(dataset(tmp_path, task=task))
    before, on_documents = (instruction(task).query, instruction(task).document) if task else ("", "")
    plain = texts_of(batch_of(dataset(tmp_path)))
    for row, text in enumerate(plain):
        expected = tokenizer((before if row < 3 else on_documents) + text)["input_ids"]
        assert batch.input_ids[row][batch.attention_mask[row].bool()].tolist() == expected
        assert batch.attention_mask[row].tolist() == [0] * (batch.input_ids.shape[1] - len(expected)) + [1] * len(
            expected
        )
    assert torch.equal(batch.text_ids, batch_of(dataset(tmp_path)).text_ids)
    assert batch.num_tokens == batch.attention_mask.sum()


def test_instructions_are_left_out_of_pooling_where_asked(tmp_path: Path) -> None:
    batch = batch_of(dataset(tmp_path, PairRecorder(pool_instructions=False), task="questions"))
    pooled = batch_of(dataset(tmp_path, task="questions"))
    assert torch.equal(pooled.pooling_mask, pooled.attention_mask)
    count = prompt_tokens(tiny_tokenizer(), instruction("questions").query)
    left_out = batch.attention_mask - batch.pooling_mask
    assert left_out.sum(1).tolist() == [count] * 3 + [0] * (len(left_out) - 3)
    for row in range(3):
        first = int(batch.attention_mask[row].argmax())
        assert left_out[row, first : first + count].all()


def test_a_row_that_is_hardly_more_than_its_instruction_keeps_its_last_token(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    count = prompt_tokens(tokenizer, instruction("nli").query)
    batch = batch_of(dataset(tmp_path, PairRecorder(pool_instructions=False), task="nli", max_tokens=count + 1))
    assert (batch.pooling_mask.sum(1) > 0).all()
    with pytest.raises(UserError, match=rf"has {count} tokens, which leaves nothing of a text cut to {count};"):
        dataset(tmp_path, task="nli", max_tokens=count)


def test_texts_lose_their_end_where_they_are_too_long(tmp_path: Path) -> None:
    rows = [{"query": "12345678", "positive": "1234567890"}, {"query": "1", "positive": "2"}]
    texts = texts_of(batch_of(dataset(tmp_path, rows=rows, max_query_tokens=3, max_tokens=5), examples=(0, 1)))
    assert texts == ["123", "1", "12345", "2"]
    texts = texts_of(batch_of(dataset(tmp_path, PairRecorder(max_text_tokens=7), rows=rows), examples=(0, 1)))
    assert texts == ["123456", "1", "123456", "2"]


def test_positives_and_negatives_are_drawn_anew_in_each_epoch_for_the_pair_alone(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    drawn = [texts_of(batch_of(data, epoch, (0,)))[1:] for epoch in range(40)]
    assert {positive for positive, _ in drawn} == set(ROWS[0]["positive"])
    assert {negative for _, negative in drawn} == set(ROWS[0]["negative"])
    for epoch in range(5):
        texts = texts_of(batch_of(data, epoch, (2, 0)))
        assert [texts[3], texts[4]] == drawn[epoch]
    assert [texts_of(batch_of(dataset(tmp_path, seed=1), e, (0,)))[1:] for e in range(40)] != drawn


@pytest.mark.parametrize(("max_negatives", "counts"), [(0, 0), (2, 3), (9, 4)])
def test_at_most_so_many_negatives_a_pair(tmp_path: Path, max_negatives: int, counts: int) -> None:
    batch = batch_of(dataset(tmp_path, max_negatives=max_negatives))
    negatives = texts_of(batch)[6:]
    assert len(negatives) == len(set(negatives)) == counts


def test_a_text_fills_two_rows_of_one_id(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the fox\na dog\n12345678901234567890\n")
    data = pair_data(str(tmp_path / "a.txt"), max_tokens=10)
    batch = data.batches(data.splits().train, training=True, rank=0, world_size=1)[0][BatchIndex(0, np.arange(3))]
    assert texts_of(batch) == ["the fox", "a dog", "1234567890"] * 2
    assert torch.equal(batch.text_ids[:3], batch.text_ids[3:])
    assert len(set(batch.text_ids.tolist())) == 3


def test_a_row_uses_its_own_instruction_unless_a_task_is_named(tmp_path: Path) -> None:
    rows = [
        {"query": "q", "pos": ["p"], "neg": ["n"], "prompt": "Match.", "type": "symmetric_sts"},
        {"query": "r", "pos": ["s"], "neg": [], "prompt": "Find.", "type": "normal"},
    ]
    texts = texts_of(batch_of(dataset(tmp_path, rows=rows), examples=(0, 1)))
    match, find = "Instruct: Match.\nQuery: ", "Instruct: Find.\nQuery: "
    assert texts == [f"{match}q", f"{find}r", f"{match}p", "s", f"{match}n"]
    texts = texts_of(batch_of(dataset(tmp_path, rows=rows, task="questions"), examples=(0, 1)))
    asked = instruction("questions").query
    assert texts == [f"{asked}q", f"{asked}r", "p", "s", "n"]


def test_data_reach_a_worker_process_small_and_whole(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    batch_of(data)
    pickled = pickle.dumps(data.corpus)
    assert len(pickled) < 2000
    data.corpus = pickle.loads(pickled)
    assert texts_of(batch_of(data)) == texts_of(batch_of(dataset(tmp_path)))
