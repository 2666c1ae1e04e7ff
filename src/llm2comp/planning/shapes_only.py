"""Running code for its shapes alone: no memory is taken, nothing is multiplied, but lengths and masks are real."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Of more integers than this, which only the masks of attention have, nobody asks the values.
LARGEST_REAL = 2**22
_INDEXING = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


@contextmanager
def shapes_only() -> Iterator[None]:
    """Tensors made in the context have shape, type and size, but no memory; those of integers are real.

    What is asked of floating-point values cannot be known: a condition that hangs on them, as checks for NaN do, is
    taken to hold.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), _RealIntegers(), replaced({"grouped_mm": _grouped_mm}):
        yield


@contextmanager
def replaced(functions: Mapping[str, Callable[..., Tensor]]) -> Iterator[None]:
    """Other functions stand in the context for those of the same names in `torch.nn.functional`."""
    before = {name: getattr(F, name) for name in functions}
    try:
        for name, function in functions.items():
            setattr(F, name, function)
        yield
    finally:
        for name, function in before.items():
            setattr(F, name, function)


def without_memory(module: nn.Module) -> None:
    """Put the parameters and buffers of a module on the meta device where `shapes_only` can run it, in place."""
    made: dict[Tensor, Tensor] = {}
    for submodule in module.modules():
        for tensors in (submodule._parameters, submodule._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if tensor not in made:  # tied weights stay tied
                    empty = torch.empty_like(tensor, device="cpu")
                    is_parameter = isinstance(tensor, nn.Parameter)
                    made[tensor] = nn.Parameter(empty, tensor.requires_grad) if is_parameter else empty
                tensors[name] = made[tensor]  # type: ignore[assignment]


def _grouped_mm(mat_a: Tensor, mat_b: Tensor, *, offs: Tensor) -> Tensor:
    """For shapes, rows [T, K] times the weights [E, K, N] of their experts; PyTorch's refuses all but bfloat16 here."""
    return mat_a @ mat_b[0]


class _RealIntegers(TorchDispatchMode):
    """Over a `FakeTensorMode`: integers that follow from integers alone are computed."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if not tensors:
            made = func(*args, **kwargs)
            return _real(func, args, kwargs) if _may_be_real(made) else made
        if all(_may_be_real(tensor) and not isinstance(tensor, FakeTensor) for tensor in tensors):
            made = _real(func, args, kwargs)
            return made if all(_may_be_real(leaf) for leaf in tree_leaves(made)) else func(*args, **kwargs)
        if func is torch.ops.aten._local_scalar_dense.default and tensors[0].dtype == torch.bool:
            return True
        if func in _INDEXING:
            args = (args[0], _as_integers(args[1]), *args[2:])
        return func(*args, **kwargs)


def _real(func: Any, args: Any, kwargs: Any) -> Any:
    with unset_fake_temporarily():
        return func(*args, **kwargs)


def _may_be_real(value: Any) -> bool:
    """Whether a value is taken for what it is: of fractions and of many integers only the shape is."""
    if not isinstance(value, Tensor):
        return True
    return not value.is_floating_point() and not value.is_meta and value.numel() <= LARGEST_REAL


def _as_integers(indices: list[Tensor | None]) -> list[Tensor | None]:
    """Indices without boolean masks, whose number of places does not follow from their shape."""
    integers: list[Tensor | None] = []
    for index in indices:
        if index is None or index.dtype != torch.bool or isinstance(index, FakeTensor):
            integers.append(index)
        else:
            with unset_fake_temporarily():
                integers += index.nonzero().unbind(1)
    return integers
