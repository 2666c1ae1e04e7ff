"""Reciprocal ranks against their definition, ties and collapse included, and the cutting of texts in halves."""

import pytest
import torch
from torchmetrics.retrieval import RetrievalMRR

from llm2comp.evaluation.retrieval import halves, mean_reciprocal_rank


def definition(queries: torch.Tensor, documents: torch.Tensor, relevant: torch.Tensor, at: int) -> float:
    total = 0.0
    for query, index in zip(queries.double(), relevant.tolist(), strict=True):
        cosines = [(query @ d / query.norm() / d.norm()).item() for d in documents.double()]
        rank = 1 + sum(c >= cosines[index] for n, c in enumerate(cosines) if n != index)
        total += 1 / rank if rank <= at else 0
    return total / len(queries)


@pytest.fixture
def embeddings() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """300 queries near their documents, of 40: more queries than one chunk holds."""
    generator = torch.Generator().manual_seed(0)
    documents = torch.randn(40, 8, generator=generator) * torch.arange(1, 41)[:, None]
    relevant = torch.randint(40, (300,), generator=generator)
    directions = documents / documents.norm(dim=-1, keepdim=True)
    return directions[relevant] + 0.6 * torch.randn(300, 8, generator=generator), documents, relevant


@pytest.mark.parametrize("at", [1, 3, 10])
def test_is_the_definition(embeddings: tuple[torch.Tensor, torch.Tensor, torch.Tensor], at: int):
    expected = definition(*embeddings, at)
    assert 0.2 < expected < 0.9
    assert mean_reciprocal_rank(*embeddings, at=at) == pytest.approx(expected, abs=1e-12)


def test_agrees_with_torchmetrics_where_cosines_are_positive(
    embeddings: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
):
    queries, documents, relevant = embeddings
    queries, documents = queries.abs(), documents.abs()
    cosines = torch.nn.functional.cosine_similarity(queries[:, None], documents, dim=-1)
    target = torch.arange(40) == relevant[:, None]
    index = torch.arange(300)[:, None].expand(300, 40)
    expected = RetrievalMRR(top_k=10)(cosines, target, indexes=index).item()
    assert mean_reciprocal_rank(queries, documents, relevant) == pytest.approx(expected, abs=1e-6)


def test_each_query_finds_itself_until_the_documents_move():
    documents = torch.randn(30, 16, generator=torch.Generator().manual_seed(1))
    own = torch.arange(30)
    assert mean_reciprocal_rank(5 * documents, documents, own) == 1
    assert mean_reciprocal_rank(documents, documents.roll(1, dims=0), own) < 0.3
    assert mean_reciprocal_rank(documents, documents.roll(1, dims=0), (own + 1) % 30) == 1


def test_a_negative_cosine_can_be_the_best():
    documents = torch.tensor([[-1.0, 0.0], [-1.0, -1.0]])
    assert mean_reciprocal_rank(torch.tensor([[0.0, 1.0]]), documents, torch.tensor([0])) == 1


def test_ties_count_against_the_query():
    documents = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    for relevant in (0, 2):
        assert mean_reciprocal_rank(torch.tensor([[1.0, 0.0]]), documents, torch.tensor([relevant])) == 0.5


@pytest.mark.parametrize("width", [3, 576])
def test_collapsed_embeddings_find_nothing(width: int):
    generator = torch.Generator().manual_seed(2)
    constant = torch.randn(1, width, generator=generator).expand(64, width)
    own = torch.arange(64)
    assert mean_reciprocal_rank(constant, constant, own) == 0
    rounding = constant * (1 + 3e-8 * torch.randn(64, width, generator=generator, dtype=torch.float64))
    assert mean_reciprocal_rank(rounding, rounding, own) == 0
    assert mean_reciprocal_rank(torch.zeros(64, width), torch.zeros(64, width), own) == 0
    assert mean_reciprocal_rank(constant[:4], constant[:4], own[:4]) == 0.25  # all four tie for the fourth place


def test_nan_finds_nothing():
    documents = torch.eye(20)
    broken = torch.full((20, 20), float("nan"))
    own = torch.arange(20)
    assert mean_reciprocal_rank(broken, documents, own) == 0
    assert mean_reciprocal_rank(documents, broken, own) == 0


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("one two three four", "one two", "three four"),
        ("a extraordinarily", "a", "extraordinarily"),
        ("extraordinarily a b", "extraordinarily", "a b"),
        ("  padded \n text\t", "padded", "text"),
        ("aa bb cc", "aa", "bb cc"),  # two spaces are as near: the first
        ("oneword", "one", "word"),
        ("今日は天気が良い", "今日は天", "気が良い"),
        ("x", "", "x"),
        ("", "", ""),
    ],
)
def test_halves(text: str, first: str, second: str):
    assert halves([text]) == ([first], [second])


def test_halves_keep_every_word_and_the_order():
    texts = [" ".join(f"w{n}" for n in range(length)) for length in range(2, 60)]
    firsts, seconds = halves(texts)
    for text, first, second in zip(texts, firsts, seconds, strict=True):
        assert f"{first} {second}" == text
        assert abs(len(first) - len(second)) <= 4
