"""LightningModules: they wire batch -> encoder -> objective -> loss, and log."""

from llm2comp.modules.pretraining import Pretraining

__all__ = ["Pretraining"]
