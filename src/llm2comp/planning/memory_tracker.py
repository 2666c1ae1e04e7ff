"""How many bytes live tensors take, by what they are for."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Part = Literal["weights", "frozen copy", "trained", "gradients", "optimizer", "activations", "logits"]
Memory = dict[str, int]  # by part
PARTS: tuple[Part, ...] = get_args(Part)
# What every process has of its own batch, however the model is spread over processes.
OF_BATCH: tuple[Part, ...] = ("activations", "logits")


class MemoryTracker(TorchDispatchMode):
    """Counts the storage of every tensor that an operation returns in the context, from then until it is freed.

    Memory that a kernel takes and frees while it runs is not seen.

    Args:
        vocab_size: floating-point tensors of this width are logits, where nothing else is said of them.
        unit: a storage takes a multiple of this many bytes.

    `peaks`: of each segment of the program, named by `begin`, the memory by part when it was most in sum, and when
    the parts `OF_BATCH` were.
    """

    def __init__(self, vocab_size: int, unit: int = 1) -> None:
        super().__init__()
        self.live: Memory = dict.fromkeys(PARTS, 0)
        self.peaks: dict[str, tuple[Memory, Memory]] = {}
        self.unit = unit
        self._vocab_size = vocab_size
        self._part: Part | None = None
        self._storages: dict[int, tuple[weakref.ref, Part, int]] = {}
        self.begin("start")

    def begin(self, segment: str) -> None:
        """What follows belongs to the segment."""
        self._segment = segment
        self.peaks.setdefault(segment, (self.live.copy(), self.live.copy()))
        self._update()

    def count(self, tensor: Tensor, part: Part) -> None:
        """The storage of the tensor, whether counted already or not, belongs to the part."""
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._storages:
            reference, before, size = self._storages[key]
            self.live[before] -= size
        else:
            reference = weakref.ref(storage, lambda _: self._forget(key))
            size = -(-storage.nbytes() // self.unit) * self.unit
        self._storages[key] = (reference, part, size)
        self.live[part] += size

    @contextmanager
    def all_is(self, part: Part) -> Iterator[None]:
        """What is made in the context belongs to the part."""
        self._part = part
        yield
        self._part = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        grown = False
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and id(leaf.untyped_storage()) not in self._storages:
                self.count(leaf, self._part or self._part_by_shape(leaf))
                grown = True
        if grown:
            self._update()
        return out

    def _part_by_shape(self, tensor: Tensor) -> Part:
        is_logits = tensor.ndim > 1 and tensor.shape[-1] == self._vocab_size and tensor.is_floating_point()
        return "logits" if is_logits else "activations"

    def _forget(self, key: int) -> None:
        _, part, size = self._storages.pop(key)
        self.live[part] -= size

    def _update(self) -> None:
        most, most_of_batch = self.peaks[self._segment]
        if sum(self.live.values()) > sum(most.values()):
            most = self.live.copy()
        if of_batch(self.live) > of_batch(most_of_batch):
            most_of_batch = self.live.copy()
        self.peaks[self._segment] = (most, most_of_batch)


def of_batch(memory: Memory) -> int:
    """The bytes that hang on a process's own batch."""
    return sum(memory[part] for part in OF_BATCH)
