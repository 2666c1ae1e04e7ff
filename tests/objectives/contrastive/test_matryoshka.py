"""Matryoshka is the weighted mean of the loss over leading dimensions."""

from dataclasses import replace

import pytest
import torch

from llm2comp.errors import UserError
from llm2comp.objectives.contrastive.info_nce import InfoNCE
from llm2comp.objectives.contrastive.matryoshka import Matryoshka
from tests.objectives.contrastive import plain
from tests.objectives.contrastive.plain import random_pairs


@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 3.0]])
def test_is_the_weighted_mean_over_leading_dimensions(weights: list[float] | None):
    pairs = random_pairs()
    expected = 0.0
    for dim, weight in zip([2, 3, 6], weights or [1.0] * 3, strict=True):
        rows = [x[:, :dim] for x in (pairs.queries, pairs.positives, pairs.negatives)]
        expected += weight * plain.info_nce(*rows) / sum(weights or [1.0] * 3)
    assert Matryoshka(InfoNCE(), [2, 3, 6], weights)(pairs).item() == pytest.approx(expected, rel=1e-12)


def test_texts_that_share_leading_dimensions_stay_different():
    pairs = random_pairs()
    negatives = pairs.negatives.clone()
    negatives[0, :2] = pairs.positives[1, :2]
    pairs = replace(pairs, negatives=negatives)
    expected = plain.info_nce(pairs.queries[:, :2], pairs.positives[:, :2], negatives[:, :2])
    assert Matryoshka(InfoNCE(), [2])(pairs).item() == pytest.approx(expected, rel=1e-12)


def test_learned_temperature_is_shared_by_all_dimensions():
    loss = Matryoshka(InfoNCE(learned_temperature=True), [2, 6]).double()
    loss(random_pairs()).backward()
    (log_temperature,) = loss.parameters()
    assert log_temperature.grad.abs() > 0


@pytest.mark.parametrize(("dims", "weights"), [([], None), ([0, 4], None), ([4, 4], None), ([2, 4], [1.0])])
def test_options_are_checked(dims: list[int], weights: list[float] | None):
    with pytest.raises(UserError, match="Matryoshka"):
        Matryoshka(InfoNCE(), dims, weights)


def test_weights_are_above_zero():
    with pytest.raises(UserError, match="one above zero for each of 2 dims"):
        Matryoshka(InfoNCE(), [2, 4], [1.0, -1.0])


def test_sizes_fit_in_the_embedding():
    with pytest.raises(UserError, match=r"\[4, 8\], but embeddings have 6 dimensions"):
        Matryoshka(InfoNCE(), [4, 8])(random_pairs())


def test_nan_is_refused():
    pairs = random_pairs()
    pairs.queries[1] = torch.nan
    with pytest.raises(UserError, match="queries are NaN"):
        Matryoshka(InfoNCE(), [2, 6])(pairs)
