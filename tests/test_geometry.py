"""Effective dimension, pairwise correlation and norm against their plain definitions, and at their edges."""

import itertools
import math

import numpy as np
import pytest
import torch

from llm2comp.geometry import effective_dimension, memory_norm, pairwise_correlation


def effective_rank(embeddings: np.ndarray) -> float:
    """The definition: exp of the entropy of the covariance matrix's normalised singular values."""
    covariance = np.cov(embeddings.astype(np.float64), rowvar=False, bias=True)
    values = np.linalg.svd(covariance, compute_uv=False)
    shares = values[values > 0] / values.sum()
    return math.exp(-(shares * np.log(shares)).sum())


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("count", "width"), [(60, 7), (5, 40), (2, 3)])
def test_effective_dimension_is_the_definition(count: int, width: int, generator: torch.Generator):
    embeddings = torch.randn(count, width, generator=generator) * torch.arange(1, width + 1) + 30
    expected = effective_rank(embeddings.numpy())
    assert effective_dimension(embeddings).item() == pytest.approx(expected, rel=1e-6)
    assert 1 - 1e-9 <= expected <= min(count - 1, width) + 1e-9


def test_effective_dimension_of_known_shapes():
    axes = torch.eye(6)
    assert effective_dimension(torch.cat([axes, -axes])).item() == pytest.approx(6)
    assert effective_dimension(axes).item() == pytest.approx(5)  # a simplex: one direction fewer than points
    assert effective_dimension(torch.linspace(0, 1, 9)[:, None] * torch.ones(4) + 2).item() == pytest.approx(1)
    # Variances 8 : 2, so shares 0.8 and 0.2.
    uneven = torch.cat([torch.eye(2), -torch.eye(2)]) * torch.tensor([2.0, 1.0])
    assert effective_dimension(uneven).item() == pytest.approx(0.8**-0.8 * 0.2**-0.2)


def test_effective_dimension_ignores_shift_and_scale(generator: torch.Generator):
    embeddings = torch.randn(30, 5, generator=generator, dtype=torch.float64)
    before = effective_dimension(embeddings).item()
    assert effective_dimension(100 * embeddings - 7).item() == pytest.approx(before)
    embeddings[:, 0] *= 10
    assert effective_dimension(embeddings).item() < before - 0.5


def test_effective_dimension_of_collapsed_embeddings_is_zero(generator: torch.Generator):
    point = torch.randn(1, 16, generator=generator)
    assert effective_dimension(point) == 0
    assert effective_dimension(torch.zeros(8, 16)) == 0
    assert effective_dimension(point.expand(50, 16)) == 0
    rounding = point * (1 + 3e-8 * torch.randn(50, 16, generator=generator, dtype=torch.float64))
    assert effective_dimension(rounding) == 0
    assert effective_dimension(point * (1 + 1e-5 * torch.randn(50, 16, generator=generator))) > 5


def test_effective_dimension_of_nan_is_nan(generator: torch.Generator):
    embeddings = torch.randn(6, 4, generator=generator)
    embeddings[2, 1] = float("nan")
    assert effective_dimension(embeddings).isnan()
    embeddings[2, 1] = float("inf")
    assert effective_dimension(embeddings).isnan()


@pytest.mark.parametrize("k", [2, 5])
def test_pairwise_correlation_is_the_definition(k: int, generator: torch.Generator):
    memory = torch.randn(4, k, 9, generator=generator) + 3 * torch.randn(4, 1, 9, generator=generator) + 2
    pairs = itertools.combinations(range(k), 2)
    expected = np.mean([np.corrcoef(text[i], text[j])[0, 1] for i, j in pairs for text in memory.double().numpy()])
    assert pairwise_correlation(memory).item() == pytest.approx(expected, abs=1e-6)


def test_pairwise_correlation_tells_copies_from_unrelated_states(generator: torch.Generator):
    copies = torch.randn(6, 1, 512, generator=generator).expand(6, 8, 512)
    assert pairwise_correlation(copies).item() == pytest.approx(1, abs=1e-5)
    assert pairwise_correlation(copies * 100 + 40).item() == pytest.approx(1, abs=1e-4)
    assert pairwise_correlation(copies.bfloat16()).item() == pytest.approx(1, abs=1e-5)
    opposed = torch.cat([copies[:, :1], -copies[:, :1]], dim=1)
    assert pairwise_correlation(opposed).item() == pytest.approx(-1, abs=1e-5)
    # Likeness across texts is no matter: every text has the same two unrelated states.
    unrelated = torch.randn(1, 2, 512, generator=generator).expand(6, 2, 512)
    assert abs(pairwise_correlation(unrelated).item()) < 0.15


def test_pairwise_correlation_at_its_edges(generator: torch.Generator):
    assert pairwise_correlation(torch.randn(3, 1, 8, generator=generator)).isnan()
    memory = torch.randn(1, 1, 8, generator=generator).repeat(1, 3, 1)
    memory[:, 2] = 0.5  # no variance: one pair of three correlates
    assert pairwise_correlation(memory).item() == pytest.approx(1 / 3, abs=1e-6)
    memory[0, 0, 0] = float("nan")
    assert pairwise_correlation(memory).isnan()


def test_memory_norm_is_the_mean_rms(generator: torch.Generator):
    memory = 3 * torch.randn(5, 4, 11, generator=generator)
    expected = np.sqrt((memory.double().numpy() ** 2).mean(axis=-1)).mean()
    assert memory_norm(memory).item() == pytest.approx(expected, rel=1e-6)
    assert memory_norm(torch.randn(4, 8, 4096, generator=generator)).item() == pytest.approx(1, abs=0.02)
    assert memory_norm(torch.full((2, 1, 600), 300.0, dtype=torch.float16)).item() == 300  # the squares overflow fp16
