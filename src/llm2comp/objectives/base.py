"""What every training objective is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder


@dataclass(frozen=True)
class Measurement:
    """A value and the weight it has in the mean over batches."""

    value: Tensor
    weight: Tensor | float


class Objective(ABC):
    """A loss of an encoder on a batch.

    `batch_type` names the dataclass it reads, which the DataModule makes; `needs_decoder` says whether the frozen
    decoder takes part.
    """

    batch_type: ClassVar[type]
    needs_decoder: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, encoder: Encoder, batch: Any) -> Tensor:
        """The scalar loss, such that its mean over processes is the loss of all their batches."""

    @abstractmethod
    def measure(self, encoder: Encoder, batch: Any) -> dict[str, Measurement]:
        """What validation reports of a batch, by metric name, `loss` among them."""

    @abstractmethod
    def flops(self, encoder: Encoder, batch: Any) -> float:
        """Floating-point operations that one training step on the batch needs, padding not counted."""

    def check(self, config: EncoderConfig) -> None:
        """Raise UserError if an encoder of this shape cannot be trained by this objective."""
