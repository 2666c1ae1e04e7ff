"""Compression objectives: reconstruction, continuation, distillation, and their weighted sums."""

from llm2comp.objectives.compression.base import CompressionObjective
from llm2comp.objectives.compression.continuation import Continuation
from llm2comp.objectives.compression.decoding import Decoding
from llm2comp.objectives.compression.distillation import Distillation
from llm2comp.objectives.compression.reconstruction import Reconstruction
from llm2comp.objectives.compression.weighted_sum import WeightedSum

__all__ = ["CompressionObjective", "Continuation", "Decoding", "Distillation", "Reconstruction", "WeightedSum"]
