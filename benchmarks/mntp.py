"""The step of masked next-token prediction, against the Trainer of transformers.

The same model trains LoRA of rank 16 on the same batches, masked and padded by our collator (Wikipedia paragraphs, 512
padded tokens a batch as `make pretrain-mntp` has them), frozen weights and matrix products in the dtype that this
machine is fastest in. Theirs is `LlamaForCausalLM` with bidirectional attention, whose own loss already reads the token
at i from the state at i - 1, in `Trainer`: its step from beginning to end as a callback sees them, without its data
loading. Ours is the step that the LightningModule makes. The losses are compared on the first batch before training.
"""

import statistics
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedModel, Trainer, TrainingArguments

from benchmarks.harness import Contestant, Ratio, alone, interleaved, timed
from benchmarks.results import Comparison, Result
from benchmarks.step_clock import StepClock, trainer_options
from benchmarks.training import LORA, configured, steps, text_batches
from benchmarks.workbench import Workbench
from llm2comp.backbone.loading import fast_dtype
from llm2comp.backbone.spec import resolve
from llm2comp.data.batches import MaskedBatch
from llm2comp.memory import text_positions
from llm2comp.modules import EncoderTraining
from llm2comp.modules.optimization import Optimization
from llm2comp.objectives import MNTP

FASTER = {"cpu": 1.2, "cuda": 1.5}


def run(bench: Workbench) -> Result:
    """Measure time, memory and loss."""
    result = Result("mntp", bench.settings())
    batches = _batches(bench)
    tokens = sum(batch.num_tokens for batch in batches)
    result.numbers.update(losses(bench, batches[0]) | {"tokens": tokens})
    contestants = {"ours": build_ours(bench), "Trainer": build_theirs(bench)}
    seconds = interleaved(contestants, bench.rounds, "MNTP step")
    result.seconds["steps on the same batches"] = seconds
    for name, taken in seconds.items():
        result.numbers[f"tokens per second, {name}"] = tokens / statistics.median(taken)
    faster = Ratio.of(seconds["Trainer"], seconds["ours"])
    result.comparisons.append(Comparison("Trainer / ours: time", faster, FASTER[bench.device]))
    peaks = [alone(build, bench).peak for build in (build_ours, build_theirs)]
    result.numbers.update({"peak memory, MB, ours": peaks[0] / 1e6, "peak memory, MB, Trainer": peaks[1] / 1e6})
    share = peaks[0] / peaks[1]
    result.comparisons.append(Comparison("ours / Trainer: peak memory", Ratio(share, share, share)))
    return result


@torch.no_grad()
def losses(bench: Workbench, batch: MaskedBatch) -> dict[str, float]:
    """Our loss and theirs on a batch, before training."""
    module = _module(bench)
    theirs = _model(bench)(**_inputs(batch)).loss
    return {"loss, ours": module.objective(module.encoder, batch).item(), "loss, Trainer": theirs.item()}


def build_ours(bench: Workbench) -> Contestant:
    """Our steps on the batches."""
    return timed(steps(_module(bench), _batches(bench)))


def build_theirs(bench: Workbench) -> Contestant:
    """The Trainer's steps on the same batches, one after another in any order."""
    adapters = LoraConfig(r=LORA.rank, lora_alpha=int(LORA.alpha), lora_dropout=0.0, target_modules="all-linear")
    model = get_peft_model(_model(bench), adapters)
    clock = StepClock()
    trainer = Trainer(
        model,
        TrainingArguments(**trainer_options(bench.device, batch_size=1), remove_unused_columns=False),
        train_dataset=[_inputs(batch) for batch in _batches(bench)],
        data_collator=lambda batches: batches[0],
        callbacks=[clock],
    )
    return clock.contestant(trainer)


def _model(bench: Workbench) -> PreTrainedModel:
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_pretrained(resolve(bench.model).path, dtype=fast_dtype())
    model.config.is_causal = False
    return model.to(bench.device)


def _inputs(batch: MaskedBatch) -> dict[str, Any]:
    return {**vars(batch), "position_ids": text_positions(batch.attention_mask)}


def _module(bench: Workbench) -> EncoderTraining:
    return configured(bench.model, MNTP(), bench.device, num_memory_tokens=0, pooling="mean")


def _batches(bench: Workbench) -> list[MaskedBatch]:
    module = EncoderTraining(bench.model, MNTP(), LORA, Optimization(), num_memory_tokens=0, pooling="mean")
    limits = {"min_characters": bench.choose(300, 1), "max_tokens": 192, "token_budget": 512}
    return text_batches(module, bench, bench.choose(4, 2), **limits)
