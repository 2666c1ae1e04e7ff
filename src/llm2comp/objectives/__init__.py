"""Training objectives: functions of an encoder and a batch."""

from llm2comp.objectives.compression import Continuation, Distillation, Reconstruction, WeightedSum
from llm2comp.objectives.contrastive.contrastive import Contrastive

__all__ = ["Continuation", "Contrastive", "Distillation", "Reconstruction", "WeightedSum"]
