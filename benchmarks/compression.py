"""The step of compression by distillation, against a plain implementation of what the published code does.

Both train LoRA of rank 16 on the same model from the same Wikipedia paragraphs of at least 1,000 characters, in the
dtype that this machine is fastest in, 8 memory tokens. Ours takes them in the batches that the DataModule makes of them
(like lengths together, 1,024 padded tokens); the plain one four at a time in random order, as published. A step is the
loss, its gradients, their norm and AdamW. Both losses of one batch before training are given: in float32 they agree to
1e-4 (`tests/benchmarks`), in bfloat16 as closely as the rounding of two orders of operations lets them. Utilisation is
the floating-point operations that the unpadded tokens need over time, against the best square matrix product measured
here.

Each has a process of its own, so that what one leaves of the heap does not count for the other; on a CPU each has two,
one with the malloc of the system and one with tcmalloc, which the make targets load where it is installed. All of them
take turns. The plain implementation allocates and returns gigabytes of logits in every step, so the malloc decides a
third of its time, and a tenth of ours. On a GPU ours runs with padding and packed.
"""

import random
import statistics
from contextlib import ExitStack
from itertools import product
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Contestant, Ratio, alone, in_own_process, interleaved, mallocs, timed
from benchmarks.published_compression import PublishedCompression
from benchmarks.results import Comparison, Result
from benchmarks.training import LEARNING_RATE, LORA, configured, on_device, step, steps, text_batches
from benchmarks.workbench import Workbench
from llm2comp.backbone.loading import fast_dtype
from llm2comp.backbone.packing import PACKED
from llm2comp.backbone.spec import resolve
from llm2comp.data.batches import CompressionBatch
from llm2comp.data.collators.padding import pad
from llm2comp.modules import EncoderTraining
from llm2comp.modules.optimization import Optimization
from llm2comp.objectives import Distillation
from llm2comp.reporting.matmul_peak import matmul_peak

FASTER = {"cpu": 2.5, "cuda": 4.0}
MEMORY = {"cpu": 0.5, "cuda": 0.4}
UTILISATION = {"cpu": 0.55, "cuda": 0.45}
PLAIN_BATCH = 4


def run(bench: Workbench) -> Result:
    """Measure tokens per second, memory and utilisation."""
    result = Result("compression", bench.settings())
    module = _module(bench)
    batches = text_batches_of(bench)
    ours, plain = _losses(bench, module, plain_batches(batches)[0])
    result.numbers.update({"loss, ours": ours, "loss, plain": plain})
    tokens = sum(batch.num_tokens for batch in batches)
    result.numbers.update({"paragraphs": sum(len(batch.text_ids) for batch in batches), "tokens": tokens})
    flops = sum(module.flops(batch) for batch in batches)
    _compare_speed(bench, result, tokens, flops)
    _compare_memory(bench, result)
    return result


def _compare_speed(bench: Workbench, result: Result, tokens: int, flops: float) -> None:
    """Every contestant with every malloc, in turns."""
    builders = {"ours": build_ours, **({"ours, packed": build_packed} if bench.device == "cuda" else {})}
    libraries = mallocs()
    device, dtype = torch.device(bench.device), fast_dtype()
    peaks = [matmul_peak(device, dtype)]
    with ExitStack() as stack:
        contestants = {
            f"{name}, {malloc}": stack.enter_context(in_own_process(preload, build, bench))
            for malloc, preload in libraries.items()
            for name, build in {**builders, "plain": build_plain}.items()
        }
        seconds = interleaved(contestants, bench.rounds, "compression step")
    peaks.append(matmul_peak(device, dtype))
    peak = max(peaks)
    result.numbers["matrix product peak, GFLOP/s"] = peak / 1e9
    result.seconds["steps on the same paragraphs"] = seconds
    for name, taken in seconds.items():
        result.numbers[f"tokens per second, {name}"] = tokens / statistics.median(taken)
    for name, malloc in product(builders, libraries):
        # Against the plain one as Python alone runs it, and with the same malloc.
        for other in dict.fromkeys([next(iter(libraries)), malloc]):
            ours, plain = f"{name}, {malloc}", f"plain, {other}"
            ratio = Ratio.of(seconds[plain], seconds[ours])
            result.comparisons.append(Comparison(f"tokens per second, {ours} / {plain}", ratio, FASTER[bench.device]))
    for name, taken in seconds.items():
        target = None if name.startswith("plain") else UTILISATION[bench.device]
        used = Ratio.of([flops / peak] * len(taken), taken)
        result.comparisons.append(Comparison(f"model FLOPs utilisation, {name}", used, target))


def _compare_memory(bench: Workbench, result: Result) -> None:
    memory = {"ours": alone(build_ours, bench), "plain": alone(build_plain, bench)}
    for name, taken in memory.items():
        result.numbers[f"memory held, MB, {name}"] = taken.held / 1e6
        result.numbers[f"peak memory, MB, {name}"] = taken.peak / 1e6
    share = memory["ours"].peak / memory["plain"].peak
    target = MEMORY[bench.device]
    result.comparisons.append(Comparison("peak memory, ours / plain", Ratio(share, share, share), target, at_most=True))


def build_ours(bench: Workbench) -> Contestant:
    """Our steps on all batches."""
    return timed(steps(_module(bench), text_batches_of(bench)))


def build_packed(bench: Workbench) -> Contestant:
    """Our steps without padding."""
    return timed(steps(_module(bench, attention=PACKED), text_batches_of(bench)))


def build_plain(bench: Workbench) -> Contestant:
    """The plain implementation's steps on the same paragraphs."""
    return plain_steps(bench, plain_batches(text_batches_of(bench)))


def plain_steps(bench: Workbench, batches: list[CompressionBatch]) -> Contestant:
    """The plain implementation's steps on the batches."""
    model = published(bench)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=0.0)
    return timed(lambda: [step(model(batch), optimizer) for batch in batches])


def published(bench: Workbench) -> PublishedCompression:
    """The plain implementation on the same model."""
    torch.manual_seed(0)
    return PublishedCompression(resolve(bench.model).path, fast_dtype(), LORA).to(bench.device).train()


def _module(bench: Workbench, **options: Any) -> EncoderTraining:
    return configured(bench.model, Distillation(), bench.device, **options)


def text_batches_of(bench: Workbench) -> list[CompressionBatch]:
    module = EncoderTraining(bench.model, Distillation(), LORA, Optimization())
    limits: dict[str, Any] = {"min_characters": bench.choose(1000, 1), "token_budget": bench.choose(1024, 2048)}
    return text_batches(module, bench, bench.choose(4, 2), **limits)


def plain_batches(batches: list[CompressionBatch]) -> list[CompressionBatch]:
    """The same paragraphs, four at a time in random order."""
    rows = [
        (ids[mask.bool()].cpu().numpy(), target[target_mask.bool()].cpu().numpy())
        for batch in batches
        for ids, mask, target, target_mask in zip(*vars(batch).values(), strict=True)
    ]
    random.Random(0).shuffle(rows)
    return [
        _collated(rows[start : start + PLAIN_BATCH], batches[0].text_ids.device.type)
        for start in range(0, len(rows), PLAIN_BATCH)
    ]


def _collated(rows: list[tuple[np.ndarray, np.ndarray]], device: str) -> CompressionBatch:
    texts, targets = pad([text for text, _ in rows], 0, left=True), pad([target for _, target in rows], 0, left=False)
    return on_device(CompressionBatch(*map(torch.from_numpy, (*texts, *targets))), device)


@torch.no_grad()
def _losses(bench: Workbench, module: EncoderTraining, batch: CompressionBatch) -> tuple[float, float]:
    """Our loss and the plain one on a batch, from the same memory tokens, before training."""
    plain = published(bench)
    assert module.encoder.memory is not None
    plain.start_from(module.encoder.memory.rows)
    return module.objective(module.encoder, batch).item(), plain(batch).item()
