"""The spread-out regulariser against its equation written as loops."""

from dataclasses import replace

import pytest
import torch

from llm2comp.errors import UserError
from llm2comp.objectives.contrastive.embedded import EmbeddedPairs
from llm2comp.objectives.contrastive.spread_out import spread_out
from tests.objectives.contrastive import plain
from tests.objectives.contrastive.plain import random_pairs


def expected(pairs: EmbeddedPairs, matching: set[tuple[int, int]] = frozenset()) -> float:
    n, dim = pairs.queries.shape
    others = [(i, j) for i in range(n) for j in range(n) if i != j and (i, j) not in matching]
    cosines = [plain.cosine(pairs.queries[i], pairs.positives[j]) for i, j in others]
    mean, mean_square = sum(cosines) / len(cosines), sum(c * c for c in cosines) / len(cosines)
    return mean**2 + max(0.0, mean_square - 1 / dim)


@pytest.mark.parametrize("shift", [0.0, 2.0])
@pytest.mark.parametrize("dim", [3, 16])
def test_equals_its_equation(dim: int, shift: float):
    pairs = random_pairs(dim=dim)
    pairs = replace(pairs, queries=pairs.queries + shift, positives=pairs.positives + shift)
    assert spread_out(pairs).item() == pytest.approx(expected(pairs), rel=1e-12)


def test_matching_texts_are_left_out():
    pairs = random_pairs(negatives=0, ids=True)
    pairs = replace(pairs, positive_ids=torch.tensor([5, 5, 7, 0, 9]))
    # Positive 1 is that of query 0, and the other way round; positive 3 is the text of query 0.
    assert spread_out(pairs).item() == pytest.approx(expected(pairs, {(0, 1), (1, 0), (0, 3)}), rel=1e-12)


def test_is_zero_on_orthogonal_embeddings_and_falls_along_its_gradient():
    eye = torch.eye(8, dtype=torch.float64)
    assert spread_out(EmbeddedPairs(eye, eye)) == 0
    pairs = random_pairs(dim=3)
    rows = (pairs.queries + 1).requires_grad_()
    before = spread_out(EmbeddedPairs(rows, rows))
    (gradient,) = torch.autograd.grad(before, rows)
    stepped = rows - 0.1 * gradient
    assert spread_out(EmbeddedPairs(stepped, stepped)) < before


def test_is_zero_where_nothing_differs():
    rows = random_pairs(pairs=1, negatives=0).queries.requires_grad_()
    value = spread_out(EmbeddedPairs(rows, rows))
    value.backward()
    assert value == 0
    assert rows.grad.abs().max() == 0


def test_gradients_are_right():
    pairs = random_pairs(dim=3)
    inputs = [pairs.queries.requires_grad_(), (pairs.positives + 1).requires_grad_()]
    assert torch.autograd.gradcheck(lambda q, p: spread_out(EmbeddedPairs(q, p)), inputs)


def test_nan_is_refused():
    pairs = random_pairs()
    pairs.positives[2, 0] = torch.nan
    with pytest.raises(UserError, match="positives are NaN, infinite or zero: rows 2"):
        spread_out(pairs)
