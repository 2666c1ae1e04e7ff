"""LightningModules: they wire batch -> encoder -> objective -> loss, and log."""

from llm2comp.modules.encoder_training import EncoderTraining

__all__ = ["EncoderTraining"]
