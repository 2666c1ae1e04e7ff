"""Each pooling against its definition, written as a loop over one text's real tokens."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from llm2comp.errors import UserError
from llm2comp.pooling import CLUSTER_SIMILARITY, POOLINGS, check_pooling, pool

K = 3
MASK = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1]])


def by_definition(name: str, states: list[Tensor]) -> Tensor:
    """The embedding of one text from its states, the memory tokens' last, in float64."""
    if name == "last":
        return states[-1]
    if name == "mean":
        return sum(states) / len(states)
    if name == "weighted_mean":
        weights = range(1, len(states) + 1)
        return sum(weight * state for weight, state in zip(weights, states, strict=True)) / sum(weights)
    memory = states[-K:]
    if name == "memory_mean":
        return sum(memory) / K
    means = [sum(memory[i] for i in cluster) / len(cluster) for cluster in clusters(memory)]
    return sum(means) / len(means)


def clusters(states: list[Tensor]) -> list[set[int]]:
    """Connected components of the states whose cosine is at least CLUSTER_SIMILARITY."""
    found = [{i} for i in range(len(states))]
    for i, j in itertools.combinations(range(len(states)), 2):
        if torch.cosine_similarity(states[i], states[j], dim=0) >= CLUSTER_SIMILARITY:
            joined = [cluster for cluster in found if cluster & {i, j}]
            found = [cluster for cluster in found if cluster not in joined] + [set().union(*joined)]
    return found


@pytest.mark.parametrize("name", POOLINGS)
def test_each_pooling_is_its_definition(name: str):
    torch.manual_seed(0)
    hidden_states = torch.randn(3, 7, 5, dtype=torch.float64)
    hidden_states[0, -1] = hidden_states[0, -3] * 2 + 0.01  # a cluster of two, and one apart
    embeddings = pool(name, hidden_states, MASK, K)
    assert embeddings.dtype == torch.float32
    for states, mask, embedding in zip(hidden_states, MASK, embeddings, strict=True):
        expected = by_definition(name, list(states[mask.bool()]))
        torch.testing.assert_close(embedding, expected.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", POOLINGS)
def test_padding_is_not_read_and_every_token_of_the_pooling_gets_a_gradient(name: str):
    torch.manual_seed(0)
    hidden_states = torch.randn(3, 7, 5, requires_grad=True)
    pool(name, hidden_states, MASK, K).square().sum().backward()
    reached = hidden_states.grad.abs().sum(-1) > 0
    read = MASK.bool()
    if name == "last":
        read = torch.zeros_like(read).index_fill(1, torch.tensor([6]), True)
    elif name.startswith("memory"):
        read = torch.zeros_like(read).index_fill(1, torch.arange(7 - K, 7), True)
    assert reached.equal(read)


@pytest.mark.parametrize("name", POOLINGS)
def test_bfloat16_states_are_pooled_in_float32(name: str):
    states = torch.full((1, 7, 2), 1.0, dtype=torch.bfloat16)
    states[0, :, 1] = torch.tensor([256, 257, 258, 259, 260, 261, 262])
    embedding = pool(name, states, torch.ones(1, 7, dtype=torch.long), K)
    assert embedding.dtype == torch.float32
    assert embedding[0, 1] == pytest.approx(by_definition(name, list(states[0].double()))[1].item(), rel=1e-6)


def at(*degrees: float) -> Tensor:
    """Unit states [1, k, 2] in these directions."""
    return torch.tensor([[[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees]])


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        ((0, 0, 0, 90), [{0, 1, 2}, {3}]),
        ((0, 90, 180, 270), [{0}, {1}, {2}, {3}]),
        ((0, 1, 90, 91), [{0, 1}, {2, 3}]),
        ((0, 20, 40, 60), [{0, 1, 2, 3}]),  # a chain: each is like the next, the first not like the last
        ((40, 0, 60, 20), [{0, 1, 2, 3}]),
        ((0, 25, 51, 120), [{0, 1}, {2}, {3}]),  # cos 25 is 0.906, cos 26 is 0.899
        ((0, 20, 40, 60, 80, 100, 120, 140, 160), [set(range(9))]),
    ],
)
def test_clusters_by_cosine(degrees: tuple[float, ...], expected: list[set[int]]):
    states = at(*degrees) * torch.arange(1, len(degrees) + 1)[:, None]  # lengths do not matter to the clusters
    means = [states[0, sorted(cluster)].mean(0) for cluster in expected]
    embedding = pool("memory_cluster", states, torch.ones(1, len(degrees)), len(degrees))
    torch.testing.assert_close(embedding[0], torch.stack(means).mean(0))


def test_a_zero_state_is_a_cluster_of_its_own():
    states = torch.tensor([[[0.0, 0.0], [4.0, 0.0], [2.0, 0.0]]])
    embedding = pool("memory_cluster", states, torch.ones(1, 3), 3)
    torch.testing.assert_close(embedding, torch.tensor([[1.5, 0.0]]))


def test_unknown_and_impossible_poolings_are_errors():
    with pytest.raises(UserError, match="unknown pooling 'memory_meen'; did you mean 'memory_mean'"):
        check_pooling("memory_meen", 8)
    for name in ("memory_mean", "memory_cluster"):
        with pytest.raises(UserError, match=f"pooling '{name}' needs memory tokens, and this encoder has none"):
            check_pooling(name, 0)
        check_pooling(name, 1)
    check_pooling("mean", 0)
