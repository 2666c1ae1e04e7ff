"""The step of compression by distillation, against a plain implementation of what the published code does.

Both train LoRA of rank 16 on the same model from the same Wikipedia paragraphs of at least 1,000 characters, in the
dtype that this machine is fastest in, 8 memory tokens. Ours takes them in the batches that the DataModule makes of them
(like lengths together, 1,024 padded tokens); the plain one four at a time in random order, as published. A step is the
loss, its gradients, their norm and AdamW. Both losses of one batch before training are given: in float32 they agree to
1e-4 (`tests/benchmarks`), in bfloat16 as closely as the rounding of two orders of operations lets them. Utilisation is
the floating-point operations that the unpadded tokens need over time, against the best square matrix product measured
here.

On a CPU the two take turns twice, in a process each time: with the malloc that the system has, and with tcmalloc, which
the make targets load where it is installed. The plain implementation allocates and returns gigabytes of logits in every
step, so the malloc decides much of its time, and little of ours. On a GPU ours runs twice, with padding and packed.
"""

import random
import statistics
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.harness import Contestant, Ratio, alone, interleaved, mallocs, timed, with_malloc
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


class Turns(NamedTuple):
    """Seconds of ours and of the plain steps, round by round, and the best matrix product meanwhile, in FLOP/s."""

    seconds: dict[str, list[float]]
    peak: float


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
    for malloc, preload in mallocs().items():
        turns = with_malloc(preload, take_turns, bench, malloc)
        _compare_speed(result, bench.device, malloc, turns, tokens, flops)
    _compare_memory(bench, result)
    return result


def take_turns(bench: Workbench, malloc: str) -> Turns:
    """Our steps and the plain ones on the same paragraphs, in turns."""
    batches = text_batches_of(bench)
    device, dtype = torch.device(bench.device), fast_dtype()
    contestants = {"ours": timed(steps(_module(bench), batches))}
    if bench.device == "cuda":
        contestants["ours, packed"] = timed(steps(_module(bench, attention=PACKED), batches))
    contestants["plain"] = plain_steps(bench, plain_batches(batches))
    before = matmul_peak(device, dtype)
    seconds = interleaved(contestants, bench.rounds, f"compression step, {malloc}")
    return Turns(seconds, max(before, matmul_peak(device, dtype)))


def _compare_speed(result: Result, device: str, malloc: str, turns: Turns, tokens: int, flops: float) -> None:
    result.seconds[f"steps on the same paragraphs, {malloc}"] = turns.seconds
    result.numbers[f"matrix product peak, GFLOP/s, {malloc}"] = turns.peak / 1e9
    plain = turns.seconds["plain"]
    for name, taken in turns.seconds.items():
        result.numbers[f"tokens per second, {name}, {malloc}"] = tokens / statistics.median(taken)
        if name != "plain":
            faster = Comparison(f"tokens per second, {name} / plain, {malloc}", Ratio.of(plain, taken), FASTER[device])
            result.comparisons.append(faster)
        used = Ratio.of([flops / turns.peak] * len(taken), taken)
        target = None if name == "plain" else UTILISATION[device]
        result.comparisons.append(Comparison(f"model FLOPs utilisation, {name}, {malloc}", used, target))


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
