"""How training is spread over processes: Lightning's strategies, made right for encoders."""

from lightning.pytorch.strategies import StrategyRegistry

from llm2comp.strategies.deepspeed import DeepSpeed
from llm2comp.strategies.fsdp2 import FSDP2

__all__ = ["FSDP2", "DeepSpeed", "register"]


def register() -> None:
    """Let `trainer.strategy` name them: fsdp2, fsdp2_offload, deepspeed_stage_2 and deepspeed_stage_3."""
    StrategyRegistry.register("fsdp2", FSDP2, description="Fully sharded training", override=True)
    StrategyRegistry.register(
        "fsdp2_offload", FSDP2, description="FSDP2, shards kept by the CPU", override=True, cpu_offload=True
    )
    for stage in (2, 3):
        name = f"deepspeed_stage_{stage}"
        StrategyRegistry.register(name, DeepSpeed, f"DeepSpeed, ZeRO stage {stage}", override=True, stage=stage)
