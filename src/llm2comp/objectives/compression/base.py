"""What the compression objectives have in common."""

from abc import abstractmethod

from torch import Tensor

from llm2comp.data.batches import CompressionBatch
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.objectives.base import Measurement, Objective
from llm2comp.objectives.compression.decoding import Decoding
from llm2comp.objectives.compression.flops import compression_flops
from llm2comp.objectives.compression.measurements import context_recovered, memory_geometry
from llm2comp.objectives.process_mean import process_mean


class CompressionObjective(Objective):
    """A loss of what the frozen decoder says from the memory states.

    `reads_text`: it predicts the text itself; `reads_continuation`: it predicts what follows; `has_teacher`: it
    compares with the decoder that has read the text.
    """

    batch_type = CompressionBatch
    needs_decoder = True
    reads_text: bool = False
    reads_continuation: bool = False
    has_teacher: bool = False

    def __call__(self, encoder: Encoder, batch: CompressionBatch) -> Tensor:
        return process_mean(self.terms(Decoding(encoder, batch)))

    @abstractmethod
    def loss(self, decoding: Decoding) -> Tensor:
        """The scalar loss, a mean over the predicted tokens of the batch."""

    def terms(self, decoding: Decoding) -> list[Measurement]:
        """The means that the loss is a sum of, each with the number of tokens that it is a mean over."""
        return [Measurement(self.loss(decoding), self._predicted(decoding.batch))]

    def measure(self, encoder: Encoder, batch: CompressionBatch) -> dict[str, Measurement]:
        decoding = Decoding(encoder, batch)
        loss = Measurement(self.loss(decoding), self._predicted(batch))
        return {"loss": loss, "context_recovered": context_recovered(decoding), **memory_geometry(decoding)}

    def _predicted(self, batch: CompressionBatch) -> Tensor:
        """How many tokens the loss is a mean over; BOS is given, not predicted."""
        text, target = batch.text_mask.sum() - len(batch.text_mask), batch.target_mask.sum()
        return text * self.reads_text + target * self.reads_continuation

    def flops(self, encoder: Encoder, batch: CompressionBatch) -> float:
        return compression_flops(encoder, batch, self.reads_text, self.reads_continuation, self.has_teacher)

    def check(self, config: EncoderConfig) -> None:
        if config.num_memory_tokens == 0:
            raise UserError("compression needs memory tokens to compress into: set num_memory_tokens to 1 or more")
