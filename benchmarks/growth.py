"""How the cost of the compression step grows: time and memory against length, batch, memory tokens and vocabulary.

A small random Llama (2 layers, width 128) trains LoRA by distillation; a text and its continuation take half of the
length each. Every point is measured in a process of its own: the median of three steps after a first, and what a step
needs of memory beyond the weights. Attention is the default of training on this machine, and SDPA for the length.

Worse than linear in tokens is the length alone, since attention compares every token with every other. Eager
attention, the default of training on a CPU, also keeps these comparisons for the backward pass, and so its memory grows
with their number. SDPA keeps none, and long texts want it: `--model.attention sdpa`. The vocabulary costs time, a
matrix product as wide as it is, and no memory.
"""

import statistics
import tempfile
from pathlib import Path

import torch
from tqdm.auto import tqdm

from benchmarks.harness import Contestant, Ratio, alone, timed
from benchmarks.results import Comparison, Curve, Result
from benchmarks.training import configured, on_device, steps
from benchmarks.workbench import Workbench, random_model
from llm2comp.data.batches import CompressionBatch
from llm2comp.objectives import Distillation

BASE = {"length": 256, "batch": 4, "memory tokens": 8, "vocabulary": 16_384}
POINTS = {
    "length": [256, 512, 1024, 2048, 4096, 8192],
    "batch": [1, 2, 4, 8, 16],
    "memory tokens": [1, 2, 4, 8, 16, 32],
    "vocabulary": [16_384, 32_768, 65_536, 131_072, 262_144],
}
QUICK = {"length": [16, 32], "batch": [1, 2], "memory tokens": [1, 2], "vocabulary": [300, 600]}
# How much more of memory a step may take at the greatest vocabulary than at the least, to be called flat.
FLAT = 1.1


def run(bench: Workbench) -> Result:
    """Measure each curve with everything else as in `BASE`."""
    result = Result("growth", bench.settings())
    points = QUICK if bench.quick else POINTS
    base = {axis: values[0] for axis, values in QUICK.items()} if bench.quick else BASE
    for axis, values in points.items():
        attentions: dict[str, str | None] = {"default attention": None}
        if axis == "length":
            attentions["SDPA"] = "sdpa"
        result.curves.extend(_curves(bench.device, base, axis, values, attentions))
    vocabulary = result.curves[-1]  # of memory
    growth = vocabulary.lines["default attention"][-1] / vocabulary.lines["default attention"][0]
    what = f"memory of a step, vocabulary {vocabulary.x[-1]:,.0f} / {vocabulary.x[0]:,.0f}"
    result.comparisons.append(Comparison(what, Ratio(growth, growth, growth), FLAT, at_most=True))
    return result


def _curves(
    device: str, base: dict[str, int], axis: str, values: list[int], attentions: dict[str, str | None]
) -> list[Curve]:
    """Time and memory along one axis."""
    seconds: dict[str, list[float]] = {name: [] for name in attentions}
    memory: dict[str, list[float]] = {name: [] for name in attentions}
    for value in tqdm(values, desc=f"growth with {axis}", unit="point", delay=5):
        sizes = {**base, axis: value}
        with tempfile.TemporaryDirectory() as parent:
            folder = str(Path(parent, "model"))
            _write_model(folder, sizes["vocabulary"])
            for name, attention in attentions.items():
                found = alone(build_step, device, folder, sizes, attention, runs=4)
                seconds[name].append(statistics.median(found.seconds[1:]))
                memory[name].append((found.peak - found.held) / 1e6)
    x = [float(value) for value in values]
    return [Curve(axis, "seconds a step", x, seconds), Curve(axis, "memory of a step, MB", x, memory)]


def build_step(device: str, folder: str, sizes: dict[str, int], attention: str | None) -> Contestant:
    """A step on random tokens."""
    half, k = sizes["length"] // 2, sizes["memory tokens"]
    module = configured(folder, Distillation(), device, num_memory_tokens=k, max_length=half + k, attention=attention)
    ids = torch.randint(2, 250, (2, sizes["batch"], half))
    mask = torch.ones_like(ids)
    batch = CompressionBatch(ids[0], mask[0], ids[1], mask[1])
    return timed(steps(module, [on_device(batch, device)]))


def _write_model(folder: str, vocab_size: int) -> None:
    sizes = {"hidden_size": 128, "intermediate_size": 384, "num_attention_heads": 2, "num_key_value_heads": 2}
    random_model(Path(folder), vocab_size, **sizes)
