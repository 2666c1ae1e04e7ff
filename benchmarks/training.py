"""Our training steps as the LightningModule makes them, without a Trainer around."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.workbench import Workbench
from llm2comp.backbone.lora import LoRA
from llm2comp.data.batch_dataset import BatchIndex
from llm2comp.data.datamodule import DataModule
from llm2comp.data.splits import Subset
from llm2comp.data.text_data import TextData
from llm2comp.modules import EncoderTraining
from llm2comp.modules.optimization import Optimization
from llm2comp.objectives.base import Objective

LORA = LoRA(rank=16, alpha=32, dropout=0.0)
LEARNING_RATE = 1e-4
MAX_GRADIENT = 1.0


def configured(model: str, objective: Objective, device: str, **options: Any) -> EncoderTraining:
    """The LightningModule with its weights on the device, ready to train adapters."""
    torch.manual_seed(0)
    optimization = Optimization(LEARNING_RATE)
    module = EncoderTraining(model, objective, LORA, optimization, **options)
    module.configure_model()
    return module.to(device).train()


def steps(module: EncoderTraining, batches: Sequence[Any]) -> Callable[[], list[float]]:
    """A step on each batch: loss, gradients, their norm clipped, AdamW. Returns the losses."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=0.0)

    def run() -> list[float]:
        return [step(module.objective(module.encoder, batch), optimizer) for batch in batches]

    return run


def step(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
    """From the loss to the next weights."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], MAX_GRADIENT)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def text_batches(module: EncoderTraining, bench: Workbench, count: int, **options: Any) -> list[Any]:
    """The first batches that the DataModule would give with these options, on the device of the benchmark."""
    settings = DataModule(bench.text, validation_fraction=0.0, **options).settings
    data = TextData(settings, module)
    source = data.splits().train
    assert isinstance(source, Subset)
    dataset, plan = data.batches(source, training=True, rank=0, world_size=1)
    return [on_device(dataset[BatchIndex(0, examples)], bench.device) for examples in plan.batches(0)[:count]]


def on_device(batch: Any, device: str) -> Any:
    """A batch of tensors with them on the device."""
    moved = {name: value.to(device) if torch.is_tensor(value) else value for name, value in vars(batch).items()}
    return type(batch)(**moved)
