"""The real sets of pairs are read, whole."""

from pathlib import Path

import pytest

from llm2comp.data.batch_dataset import BatchIndex
from llm2comp.data.pair_data import PairData
from llm2comp.data.pairs.mixture import PairMixture
from llm2comp.data.pairs.pair_set import PairSet
from tests.data.pairs import PairRecorder, pair_data, texts_of


def data_of(source: Path, task: str | None = None) -> PairData:
    return pair_data([PairSet(str(source), task)], PairRecorder(256), batch_size=8)


@pytest.mark.parametrize(
    ("name", "task", "rows", "pairs", "negatives"),
    [
        ("snli/test_triplets.jsonl.gz", "nli", 3167, 3167, True),
        ("boolq/train.jsonl.gz", "questions", 9427, 9427, False),
        ("e5_layout_samples", None, 80, 80, True),
    ],
)
def test_a_real_set_is_read_whole(
    shared_data: Path, name: str, task: str | None, rows: int, pairs: int, negatives: bool
) -> None:
    data = data_of(shared_data / "pairs" / name, task)
    splits = data.splits()
    assert isinstance(splits.train.corpus, PairMixture)
    (corpus,) = splits.train.corpus.corpora
    assert (corpus.report.rows_read, corpus.report.pairs) == (rows, pairs)
    assert any(len(corpus.negatives(i)) for i in range(len(corpus))) == negatives
    dataset, plan = data.batches(splits.train, training=True, rank=0, world_size=1)
    texts = texts_of(dataset[BatchIndex(0, plan.batches(0)[0])])
    assert all(text.startswith("Instruct: ") for text in texts[:8])


def test_labelled_pairs_give_the_triplets_made_of_them(shared_data: Path) -> None:
    splits = data_of(shared_data / "pairs" / "snli" / "train100k_pairs.jsonl.gz").splits()
    assert isinstance(splits.train.corpus, PairMixture)
    (corpus,) = splits.train.corpus.corpora
    first = next(
        i for i in range(len(corpus)) if corpus.texts.text(corpus.queries[i]).startswith("A person on a horse")
    )
    assert [corpus.texts.text(i) for i in corpus.positives(first)] == ["A person is outdoors, on a horse."]
    assert [corpus.texts.text(i) for i in corpus.negatives(first)] == ["A person is at a diner, ordering an omelette."]
    assert (corpus.report.rows_read, corpus.report.without_positive) == (100_000, 145)
