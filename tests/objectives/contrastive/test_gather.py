"""Two gloo processes under DDP give the loss and the gradients of one process with the whole batch."""

import itertools
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from llm2comp.errors import UserError
from llm2comp.objectives.contrastive.embedded import EmbeddedPairs
from llm2comp.objectives.contrastive.gather import gather
from llm2comp.objectives.contrastive.grad_cache import grad_cached
from llm2comp.objectives.contrastive.info_nce import InfoNCE
from llm2comp.objectives.contrastive.spread_out import spread_out
from tests.objectives.contrastive.plain import random_pairs
from tests.strategies.processes import Processes

# The texts of the whole batch, 6 pairs with 5 hard negatives: text 1 of the first pairs returns as a positive of the
# last ones and as a negative, so it is a false negative across processes.
QUERY_IDS = torch.tensor([0, 1, 2, 3, 4, 5])
POSITIVE_IDS = torch.tensor([10, 11, 12, 13, 11, 1])
NEGATIVE_IDS = torch.tensor([20, 13, 22, 10, 24])
# How many pairs and negatives the first process holds.
SPLITS = {"even": (3, 3), "uneven": (4, 1), "no negatives on one": (2, 5)}


class Step(nn.Module):
    """A training step: embed, gather, compare."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
        self.info_nce = InfoNCE(temperature=0.2, learned_temperature=True, symmetric=True)
        self.double()

    def forward(self, texts: EmbeddedPairs, cached: bool) -> Tensor:
        rows = torch.cat([texts.queries, texts.candidates])
        embeddings = grad_cached(self.embed, rows.split(2), self.parameters()) if cached else self.embed(rows)
        negatives = 0 if texts.negatives is None else len(texts.negatives)
        roles = embeddings.split([len(texts.queries), len(texts.queries), negatives])
        ids = (texts.query_ids, texts.positive_ids, texts.negative_ids)
        pairs = gather(EmbeddedPairs(*(roles if negatives else roles[:2]), **dict(zip(ID_NAMES, ids, strict=True))))
        return self.info_nce(pairs) + 0.1 * spread_out(pairs)


ID_NAMES = ("query_ids", "positive_ids", "negative_ids")


def whole_batch(with_ids: bool) -> EmbeddedPairs:
    pairs = random_pairs(pairs=6, negatives=5)
    if with_ids:
        return EmbeddedPairs(pairs.queries, pairs.positives, pairs.negatives, QUERY_IDS, POSITIVE_IDS, NEGATIVE_IDS)
    # The same text gives the same embedding: positives 1 and 4, and negative 1 and positive 3.
    pairs.positives[4] = pairs.positives[1]
    pairs.negatives[1] = pairs.positives[3]
    return pairs


def share(texts: EmbeddedPairs, rank: int, first: tuple[int, int]) -> EmbeddedPairs:
    """The part of the batch that a process holds."""
    pairs, negatives = ((slice(None, n), slice(n, None))[rank] for n in first)
    rows = [texts.queries[pairs], texts.positives[pairs], texts.negatives[negatives]]
    if texts.query_ids is not None:
        rows += [texts.query_ids[pairs], texts.positive_ids[pairs], texts.negative_ids[negatives]]
    own = EmbeddedPairs(*rows)
    if len(own.negatives) == 0:
        return EmbeddedPairs(own.queries, own.positives, None, own.query_ids, own.positive_ids)
    return own


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name.removeprefix("module."): p.grad for name, p in module.named_parameters()}


def compare(folder: str) -> None:
    """What runs in each process: all cases, each against the whole batch in this process."""
    rank = dist.get_rank()
    for with_ids, first, cached in itertools.product([True, False], SPLITS.values(), [True, False]):
        texts = whole_batch(with_ids)
        step = DistributedDataParallel(Step())
        loss = step(share(texts, rank, first), cached)
        loss.backward()
        expected = torch.load(f"{folder}/{with_ids}.pt")
        torch.testing.assert_close({"loss": loss.detach(), **gradients(step)}, expected, rtol=1e-10, atol=1e-13)
    broken = share(whole_batch(True), rank, (3, 3))
    if rank == 1:
        broken.queries[2] = torch.nan
    with pytest.raises(UserError, match="rows 5"):
        Step()(broken, False)


def test_two_processes_are_one_with_the_whole_batch(tmp_path: Path):
    for with_ids in (True, False):
        step = Step()
        loss = step(whole_batch(with_ids), False)
        loss.backward()
        assert all(gradient.abs().max() > 0 for gradient in gradients(step).values())
        torch.save({"loss": loss.detach(), **gradients(step)}, tmp_path / f"{with_ids}.pt")
    with Processes(tmp_path) as processes:
        processes.run(compare, str(tmp_path))


def test_false_negatives_of_the_test_batch_matter():
    texts = whole_batch(with_ids=True)
    without = EmbeddedPairs(texts.queries, texts.positives, texts.negatives)
    assert InfoNCE(temperature=0.2)(texts) < InfoNCE(temperature=0.2)(without) - 1e-3


def test_one_process_gathers_nothing():
    pairs = random_pairs()
    assert gather(pairs) is pairs
