"""The held-out batches."""

from collections.abc import Iterator
from typing import Any

from llm2comp.data.batch_dataset import BatchDataset, BatchIndex
from llm2comp.data.batch_plan import BatchPlan

_EPOCH = 0


class ValidationLoader:
    """The same batches at every pass: those of epoch 0.

    Not a torch DataLoader, so that Lightning leaves it alone: the plan has dealt the batches to the processes already.
    """

    def __init__(self, dataset: BatchDataset, plan: BatchPlan, *, num_workers: int, pin_memory: bool) -> None:
        indices = [BatchIndex(_EPOCH, examples) for examples in plan.batches(_EPOCH)]
        self._loader = dataset.loader(indices, num_workers, pin_memory)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        # Lightning calls iter() once more than it reads; worker processes start with the first batch only.
        yield from self._loader
