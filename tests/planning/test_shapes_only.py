"""Shapes without memory, beside integers that are real."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import functional as F

from llm2comp.planning.shapes_only import shapes_only, without_memory


def test_floats_have_a_shape_and_integers_a_value():
    with shapes_only():
        floats = torch.randn(2**20, 2**20) @ torch.randn(2**20, 3)  # 4 TiB, were it real
        lengths = torch.tensor([[1, 1, 0], [1, 1, 1]]).sum(-1)
        order = lengths.argsort(descending=True)
        assert floats.shape == (2**20, 3)
        assert lengths.tolist() == [2, 3]
        assert order.tolist() == [1, 0]


def test_masks_choose_as_many_as_they_do():
    mask = torch.tensor([[True, False, True], [False, False, True]])
    with shapes_only():
        states = torch.randn(2, 3, 5, requires_grad=True)
        chosen = states[mask]
        chosen.sum().backward()
    assert chosen.shape == (3, 5)
    assert states.grad is not None
    assert states.grad.shape == (2, 3, 5)


def test_conditions_on_values_that_are_not_known_hold():
    with shapes_only():
        assert torch.randn(3).isfinite().all()


def test_a_module_on_the_meta_device_runs_and_stays_tied():
    with torch.device("meta"):
        module = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False), nn.BatchNorm1d(10))
    module[1].weight = module[0].weight
    module[2].requires_grad_(False)
    with shapes_only():
        without_memory(module)
        out = module(torch.arange(3))
        out.sum().backward()
    assert out.shape == (3, 10)
    assert module[1].weight is module[0].weight
    assert module[0].weight.grad.shape == (10, 4)
    assert not module[2].weight.requires_grad


def test_small_weights_have_no_memory_either():
    """Kernels that only a GPU has can be run, whatever the sizes."""
    with torch.device("meta"):
        module = nn.Linear(4, 4)
    with shapes_only():
        without_memory(module)
        weights = torch.ones(2, dtype=torch.long) / 2
    for tensor in (module.weight, module.bias, weights):
        assert isinstance(tensor if tensor is weights else tensor.data, FakeTensor)


def test_experts_are_multiplied_in_every_type():
    with shapes_only():
        rows, weights = torch.randn(6, 3, requires_grad=True), torch.randn(2, 3, 5, requires_grad=True)
        out = F.grouped_mm(rows, weights, offs=torch.tensor([2, 6], dtype=torch.int32))
        out.sum().backward()
    assert out.shape == (6, 5)
    assert (rows.grad.shape, weights.grad.shape) == ((6, 3), (2, 3, 5))


def test_nothing_of_it_stays():
    grouped_mm = F.grouped_mm
    with shapes_only():
        pass
    assert F.grouped_mm is grouped_mm
    assert (torch.ones(2) + 1).tolist() == pytest.approx([2, 2])
