"""Batches by what stands in them."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class BatchIndex(NamedTuple):
    """The examples of a batch and the epoch it is made for."""

    epoch: int
    examples: np.ndarray


class BatchDataset(Dataset):
    """The batch for a BatchIndex."""

    def __init__(self, corpus: Any, collator: Callable[[Any, np.ndarray, int], Any]) -> None:
        self.corpus, self.collator = corpus, collator

    def __getitem__(self, index: BatchIndex) -> Any:
        return self.collator(self.corpus, index.examples, index.epoch)

    def loader(self, indices: Iterable[BatchIndex], num_workers: int, pin_memory: bool) -> DataLoader:
        """The batches of the indices in their order, made ahead in worker processes if there are any."""
        return DataLoader(
            self,
            batch_size=None,
            sampler=indices,
            num_workers=num_workers,
            pin_memory=pin_memory,
            # With a generator of its own, starting the loader leaves the model's random numbers as they are.
            generator=torch.Generator(),
        )
