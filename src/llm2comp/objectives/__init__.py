"""Training objectives: functions of an encoder and a batch."""

from llm2comp.objectives.compression import Continuation, Distillation, Reconstruction, WeightedSum

__all__ = ["Continuation", "Distillation", "Reconstruction", "WeightedSum"]
