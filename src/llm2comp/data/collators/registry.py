"""The collator of a batch dataclass."""

from llm2comp.data.batches import CompressionBatch
from llm2comp.data.collators.collator import Collator
from llm2comp.data.collators.compression import CompressionCollator

COLLATORS: dict[type, type[Collator]] = {CompressionBatch: CompressionCollator}
