"""InfoNCE against its equation written as loops; what is masked changes nothing, what is not masked does."""

import math
from dataclasses import replace

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from torch import Tensor

from llm2comp.errors import UserError
from llm2comp.objectives.contrastive.embedded import EmbeddedPairs
from llm2comp.objectives.contrastive.info_nce import InfoNCE
from tests.objectives.contrastive import plain
from tests.objectives.contrastive.plain import random_pairs


def parts(pairs: EmbeddedPairs) -> tuple[Tensor, Tensor, Tensor]:
    return pairs.queries, pairs.positives, pairs.queries[:0] if pairs.negatives is None else pairs.negatives


def moved(rows: Tensor, index: int) -> Tensor:
    """The rows with one of them changed to another direction, equal to no other row."""
    rows = rows.clone()
    rows[index] = rows[index].flip(0) + 0.1
    return rows


@pytest.mark.parametrize("temperature", [0.05, 0.2])
@pytest.mark.parametrize("negatives", [0, 1, 5, 7])
def test_equals_its_equation(negatives: int, temperature: float):
    pairs = random_pairs(negatives=negatives)
    expected = plain.info_nce(*parts(pairs), temperature=temperature)
    assert InfoNCE(temperature)(pairs).item() == pytest.approx(expected, rel=1e-12)


def test_symmetric_averages_both_directions():
    pairs = random_pairs()
    forward = plain.info_nce(*parts(pairs))
    backward = plain.info_nce(pairs.positives, pairs.queries)
    assert InfoNCE(symmetric=True)(pairs).item() == pytest.approx((forward + backward) / 2, rel=1e-12)


def test_two_views_give_the_loss_of_simcse():
    first, second = random_pairs(negatives=0).queries, random_pairs(negatives=0).positives
    rows = [[math.exp(plain.cosine(a, b) / 0.05) for b in second] for a in first]
    expected = sum(-math.log(row[i] / sum(row)) for i, row in enumerate(rows)) / len(rows)
    assert InfoNCE()(EmbeddedPairs(first, second)).item() == pytest.approx(expected, rel=1e-12)


def test_lengths_of_embeddings_do_not_matter():
    pairs = random_pairs(ids=True)
    scaled = replace(pairs, queries=pairs.queries * 7, negatives=pairs.negatives * torch.rand(7, 1).double())
    torch.testing.assert_close(InfoNCE()(scaled), InfoNCE()(pairs))


# Texts by number. Query 0 and query 3 are one text; positive 1 and positive 4 are one text; positive 2 is the text of
# query 0; negatives: 0 equals positive 1, 1 equals query 2, 2 equals positive 3, 3 is of its own.
QUERY_IDS, POSITIVE_IDS, NEGATIVE_IDS = [0, 1, 2, 0, 4], [10, 11, 0, 13, 11], [11, 2, 13, 99]


def is_false(i: int, c: int) -> bool:
    candidates = POSITIVE_IDS + NEGATIVE_IDS
    same_query = c < len(QUERY_IDS) and QUERY_IDS[c] == QUERY_IDS[i]
    return candidates[c] in (POSITIVE_IDS[i], QUERY_IDS[i]) or same_query


def with_duplicates() -> EmbeddedPairs:
    ids = [torch.tensor(ids) for ids in (QUERY_IDS, POSITIVE_IDS, NEGATIVE_IDS)]
    pairs = random_pairs(negatives=4)
    return EmbeddedPairs(pairs.queries, pairs.positives, pairs.negatives, *ids)


def test_duplicates_by_id_are_left_out():
    pairs = with_duplicates()
    expected = plain.info_nce(*parts(pairs), is_false=is_false)
    assert InfoNCE()(pairs).item() == pytest.approx(expected, rel=1e-12)
    assert expected < plain.info_nce(*parts(pairs)) - 1e-3


def test_symmetric_leaves_out_duplicates_in_both_directions():
    pairs = with_duplicates()

    def is_false_query(i: int, c: int) -> bool:
        return QUERY_IDS[c] in (QUERY_IDS[i], POSITIVE_IDS[i]) or POSITIVE_IDS[c] == POSITIVE_IDS[i]

    forward = plain.info_nce(*parts(pairs), is_false=is_false)
    backward = plain.info_nce(pairs.positives, pairs.queries, is_false=is_false_query)
    assert InfoNCE(symmetric=True)(pairs).item() == pytest.approx((forward + backward) / 2, rel=1e-12)


def test_equal_embeddings_are_equal_texts_without_ids():
    pairs = with_duplicates()
    # One embedding for each text: the first row that has it.
    rows = torch.cat(parts(pairs))
    ids = QUERY_IDS + POSITIVE_IDS + NEGATIVE_IDS
    rows = torch.stack([rows[ids.index(i)] for i in ids])
    equal = EmbeddedPairs(*rows.split([5, 5, 4]))
    identified = replace(
        equal, query_ids=pairs.query_ids, positive_ids=pairs.positive_ids, negative_ids=pairs.negative_ids
    )
    torch.testing.assert_close(InfoNCE()(equal), InfoNCE()(identified), rtol=0, atol=0)
    assert InfoNCE()(equal) < InfoNCE()(replace(equal, positives=moved(equal.positives, 4)))


def test_negative_equal_to_its_positive_is_left_out():
    pairs = random_pairs(pairs=2, negatives=2)
    pairs = replace(pairs, negatives=torch.stack([pairs.positives[0], pairs.negatives[1]]))
    expected = plain.info_nce(*parts(pairs), is_false=lambda i, c: (i, c) == (0, 2))
    # Query 1's denominator has the text once as positive 0 and once as a negative: neither is a positive of it.
    assert InfoNCE()(pairs).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("margin", [-0.1, 0.0, 0.3])
def test_margin_leaves_out_candidates_near_the_positive(margin: float, symmetric: bool):
    pairs = random_pairs(pairs=8, negatives=16, dim=3)
    expected = plain.info_nce(*parts(pairs), margin=margin)
    if symmetric:
        expected = (expected + plain.info_nce(pairs.positives, pairs.queries, margin=margin)) / 2
    loss = InfoNCE(symmetric=symmetric, false_negative_margin=margin)
    assert loss(pairs).item() == pytest.approx(expected, rel=1e-12)
    assert loss(pairs) < InfoNCE(symmetric=symmetric)(pairs) - 1e-3


def test_changing_a_masked_candidate_changes_nothing_and_another_one_does():
    # All queries are one text, so only hard negatives count: negatives 0 and 2 are the text of query and positive.
    ids = {"query_ids": torch.tensor([0, 0]), "positive_ids": torch.tensor([10, 11])}
    pairs = replace(random_pairs(pairs=2, negatives=3), **ids, negative_ids=torch.tensor([0, 98, 99]))
    value = InfoNCE()(pairs)
    assert InfoNCE()(replace(pairs, negatives=moved(pairs.negatives, 0))) == value
    assert InfoNCE()(replace(pairs, negatives=moved(pairs.negatives, 1))) != value
    assert InfoNCE()(replace(pairs, negatives=moved(pairs.negatives, 2))) != value


def test_masked_candidate_gets_no_gradient():
    pairs = replace(random_pairs(pairs=3, negatives=2, ids=True), negative_ids=torch.tensor([0, 99]))
    pairs = replace(pairs, query_ids=torch.tensor([0, 0, 0]), negatives=pairs.negatives.requires_grad_())
    InfoNCE()(pairs).backward()
    assert pairs.negatives.grad[0].abs().max() == 0
    assert pairs.negatives.grad[1].abs().max() > 0


@pytest.mark.parametrize("symmetric", [False, True])
def test_gradients_are_right(symmetric: bool):
    loss = InfoNCE(temperature=0.5, learned_temperature=True, symmetric=symmetric).double()
    pairs = with_duplicates()

    def value(queries: Tensor, positives: Tensor, negatives: Tensor, log_temperature: Tensor) -> Tensor:
        rows = replace(pairs, queries=queries, positives=positives, negatives=negatives)
        return torch.func.functional_call(loss, {"log_temperature": log_temperature}, (rows,))

    inputs = [x.clone().requires_grad_() for x in (*parts(pairs), loss.log_temperature.detach())]
    assert torch.autograd.gradcheck(value, inputs)


def test_learned_temperature_is_trained_within_its_bounds():
    loss = InfoNCE(learned_temperature=True).double()
    pairs = random_pairs()
    assert loss(pairs).item() == pytest.approx(InfoNCE()(pairs).item(), rel=1e-6)
    for start, bound in ((-9.0, 0.01), (3.0, 1.0)):
        loss.log_temperature.data.fill_(start)
        loss.log_temperature.grad = None
        loss(pairs).backward()
        assert loss.temperature.item() == pytest.approx(bound)
        assert loss.log_temperature.grad.abs() > 0
    assert not list(InfoNCE().parameters())


def test_low_precision_embeddings_are_compared_in_float32():
    pairs = random_pairs()
    low = EmbeddedPairs(*(x.bfloat16() for x in parts(pairs)))
    expected = InfoNCE()(EmbeddedPairs(*(x.double() for x in parts(low)))).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(InfoNCE()(low), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
@pytest.mark.parametrize("role", ["queries", "positives", "negatives"])
def test_embedding_without_direction_is_named(role: str, value: float):
    pairs = random_pairs()
    rows = getattr(pairs, role).clone()
    rows[[1, 3]] = value
    with pytest.raises(UserError, match=rf"2 of {len(rows)} embeddings of the batch's {role} .* rows 1, 3\."):
        InfoNCE()(replace(pairs, **{role: rows}))


def test_batch_of_one_needs_a_hard_negative():
    with pytest.raises(UserError, match="one pair and no hard negative"):
        InfoNCE()(random_pairs(pairs=1, negatives=0))
    pairs = random_pairs(pairs=1, negatives=1)
    assert InfoNCE()(pairs).item() == pytest.approx(plain.info_nce(*parts(pairs)), rel=1e-12)
    assert InfoNCE(symmetric=True)(pairs).item() == pytest.approx(plain.info_nce(*parts(pairs)) / 2, rel=1e-12)


def test_batch_without_any_negative_is_refused():
    one = random_pairs(pairs=1, negatives=0)
    repeated = EmbeddedPairs(one.queries.expand(4, -1), one.positives.expand(4, -1))
    with pytest.raises(UserError, match="no negative is left for any of the 4 queries"):
        InfoNCE()(repeated)
    same_ids = {"query_ids": torch.zeros(5).long(), "positive_ids": torch.arange(5)}
    with pytest.raises(UserError, match="no negative is left for any of the 5 queries"):
        InfoNCE()(replace(random_pairs(negatives=0), **same_ids))
    with pytest.raises(UserError, match="no negative is left for any of the 5 queries"):
        InfoNCE(false_negative_margin=1.99)(random_pairs())


def test_query_without_a_negative_counts_as_zero():
    pairs = replace(random_pairs(pairs=3, negatives=0, ids=True), query_ids=torch.tensor([0, 1, 2]))
    # Positives 1 and 2 are the text of query 0.
    pairs = replace(pairs, positive_ids=torch.tensor([3, 0, 0]))
    expected = plain.info_nce(*parts(pairs)[:2], is_false=lambda i, c: i == 0 or {i, c} == {1, 2})
    assert InfoNCE()(pairs).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": 5.0, "learned_temperature": True}, "starts at 5.0"),
        ({"false_negative_margin": 2.5}, "false_negative_margin is 2.5"),
    ],
)
def test_options_are_checked(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        InfoNCE(**options)


def test_agrees_with_sentence_transformers():
    pairs = random_pairs(negatives=10)
    # There, each query has the same number of negatives, one tensor for the first of each query, one for the second.
    columns = [pairs.queries, pairs.positives, pairs.negatives[:5], pairs.negatives[5:]]
    model = SentenceTransformer(modules=[torch.nn.Identity()], device="cpu")
    ranking = MultipleNegativesRankingLoss(model, scale=20.0).compute_loss_from_embeddings(columns, None)
    torch.testing.assert_close(InfoNCE()(pairs), ranking)
    cached = CachedMultipleNegativesRankingLoss(model, scale=20.0, mini_batch_size=2)
    chunked = cached.calculate_loss([list(column.split(2)) for column in columns])
    torch.testing.assert_close(InfoNCE()(pairs), chunked)
    directions = ("query_to_doc", "doc_to_query")
    both = MultipleNegativesRankingLoss(model, scale=20.0, directions=directions, partition_mode="per_direction")
    symmetric = InfoNCE(symmetric=True)(replace(pairs, negatives=None))
    torch.testing.assert_close(symmetric, both.compute_loss_from_embeddings(columns[:2], None))
