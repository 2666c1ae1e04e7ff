"""Peaks of training steps of 7B models on a GPU, beside what `llm2comp plan` says of them.

    python benchmarks/plan_against_gpu.py [LAYERS]

A model of Llama-2-7B's shape is made with random weights, as many of its 32 layers as there is room for, or LAYERS,
and trained on full batches by distillation at the paper's lengths. Exit status 1 where a peak is not within 10 percent
of the plan.
"""

import gc
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig

from llm2comp.cli.plan import experiment, training
from llm2comp.encoder.encoder import Encoder
from llm2comp.planning.four_bit import FourBitLinear
from llm2comp.planning.full_batch import full_batch
from llm2comp.planning.memory_tracker import MemoryTracker
from llm2comp.planning.plan import Plan
from llm2comp.planning.training import Training
from llm2comp.planning.training_step import run_step

PAPER = Path(__file__).parents[1] / "experiments" / "paper" / "llama2-7b"
GIB = 2**30
CASES: dict[str, list[str]] = {
    "bfloat16": [],
    "bfloat16, eager attention": ["--model.attention", "eager"],
    "bfloat16, checkpointing": ["--model.activation_checkpointing", "true"],
    "4-bit": ["--model.quantization", "4bit"],
    "4-bit, checkpointing": ["--model.quantization", "4bit", "--model.activation_checkpointing", "true"],
    "all weights": ["--model.lora", "null"],
}


def main(layers: int | None) -> bool:
    """Print the table, a line at a time; whether all is as planned."""
    room = torch.cuda.mem_get_info()[0]
    print(f"{torch.cuda.get_device_name()}, {room / GIB:.1f} GiB free, torch {torch.__version__}")
    print(f"{'':28} {'layers':>6} {'rows':>4} {'planned':>8} {'seen':>8} {'apart by':>8}")
    good = True
    with TemporaryDirectory() as folder:
        for name, options in CASES.items():
            if "4bit" in options and find_spec("bitsandbytes") is None:
                print(f"{name:28} needs bitsandbytes")
                continue
            depth, planned = _largest(Path(folder), options, room, layers)
            rows = planned.data.batch_size
            assert rows is not None
            expected = Plan(planned, 1, room).total("one device", rows)
            seen = measure(planned, rows)
            good &= abs(seen / expected - 1) <= 0.1
            numbers = f"{expected / GIB:8.2f} {seen / GIB:8.2f} {seen / expected - 1:+8.1%}"
            print(f"{name:28} {depth:6} {rows:4} {numbers}", flush=True)
    return good


def measure(planned: Training, rows: int) -> int:
    """The most bytes that PyTorch's allocator gives out during the training's steps."""
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    encoder = on_gpu(planned.encoder())
    torch.cuda.reset_peak_memory_stats()

    def batch() -> Any:
        made = full_batch(planned, rows)
        return type(made)(**{name: tensor.cuda() for name, tensor in vars(made).items()})

    run_step(encoder, planned.objective, batch, MemoryTracker(0, unit=512), planned.accumulates)
    return torch.cuda.max_memory_allocated() - before


@torch.no_grad()
def on_gpu(encoder: Encoder) -> Encoder:
    """An encoder on the meta device as one on the GPU, with random weights; in place."""
    for module in list(encoder.modules()):
        for name, child in module.named_children():
            if isinstance(child, FourBitLinear):
                setattr(module, name, _four_bit(child))
    made: dict[torch.Tensor, torch.Tensor] = {}
    for module in encoder.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None or not tensor.is_meta:
                    continue
                if tensor not in made:
                    random = torch.empty_like(tensor, device="cuda").normal_(std=0.02)
                    made[tensor] = (
                        nn.Parameter(random, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else random
                    )
                tensors[name] = made[tensor]  # type: ignore[assignment]
    return encoder


def _four_bit(linear: FourBitLinear) -> nn.Module:
    from bitsandbytes.nn import Linear4bit

    sizes = linear.in_features, linear.out_features
    made = Linear4bit(*sizes, bias=False, compute_dtype=linear.compute_dtype, quant_type="nf4")
    made.weight.data = torch.randn(linear.out_features, linear.in_features, dtype=linear.compute_dtype) * 0.02
    return made.cuda().requires_grad_(False)  # quantised as it is moved


def _largest(folder: Path, options: list[str], room: int, layers: int | None) -> tuple[int, Training]:
    """As many layers as there is room for, and the training of a model of them."""
    if layers is None:
        four, eight = (Plan(_training(folder, options, n), 1, room).total("one device", 4) for n in (4, 8))
        layers = min(32, int(8 + (0.9 * room - eight) / ((eight - four) / 4)))
    return layers, _training(folder, options, layers)


def _training(folder: Path, options: list[str], layers: int) -> Training:
    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": layers, "num_attention_heads": 32}
    AutoConfig.for_model("llama", vocab_size=32000, max_position_embeddings=4096, **sizes).save_pretrained(folder)
    recipe = [f"{PAPER}/pretrain_compress.yaml", f"{PAPER}/pretrain_compress_kl.yaml"]
    files = [argument for path in recipe for argument in ("--config", path)]
    return training(experiment([*files, "--model.encoder", str(folder), *options]))


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA GPU here.")
    sys.exit(not main(int(sys.argv[1]) if len(sys.argv) > 1 else None))
