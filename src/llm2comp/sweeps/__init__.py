"""Ablations: sweeps in W&B's format, and running them on this machine."""
