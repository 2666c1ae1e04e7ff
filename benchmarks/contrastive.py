"""The contrastive step, against sentence-transformers' trainer.

One encoder folder (8 memory tokens) trains LoRA of rank 16 on the same batch of triplets of Wikipedia sentences, frozen
weights and matrix products in the dtype that this machine is fastest in. Ours is the step that the LightningModule
makes: loss, gradients, norm, AdamW. Theirs is the step of `SentenceTransformerTrainer` from its beginning to its end as
a callback sees them, without its data loading, with `MultipleNegativesRankingLoss` or its cached form. The cached form
and our GradCache hold the activations of as many texts at a time.
"""

import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from sentence_transformers.util import batch_to_device

from benchmarks.encoding import write_encoder
from benchmarks.harness import Contestant, Ratio, alone, interleaved, timed
from benchmarks.results import Comparison, Result
from benchmarks.step_clock import StepClock, trainer_options
from benchmarks.texts import paragraphs
from benchmarks.training import LORA, configured, on_device, steps
from benchmarks.workbench import Workbench
from llm2comp.backbone.loading import fast_dtype
from llm2comp.data.batches import ContrastiveBatch
from llm2comp.data.collators.padding import pad
from llm2comp.data.sources.sentences import split_sentences
from llm2comp.modules import EncoderTraining
from llm2comp.objectives import Contrastive

FASTER = 1.3
# Texts whose activations are held at a time.
MICRO_BATCH = 16
PAIRS = {"whole batch": "MultipleNegativesRankingLoss", "cached": "CachedMultipleNegativesRankingLoss"}


def run(bench: Workbench) -> Result:
    """Measure the step with and without caching, and the memory of each."""
    result = Result("contrastive", bench.settings())
    with tempfile.TemporaryDirectory() as parent:
        folder = str(Path(parent, "encoder"))
        write_encoder(bench, Path(folder))
        contestants: dict[str, Contestant] = {}
        for kind, loss in PAIRS.items():
            contestants[f"ours, {kind}"] = build_ours(bench, folder, kind == "cached")
            contestants[loss] = build_theirs(bench, folder, kind == "cached")
        result.numbers.update(losses(bench, folder))
        seconds = interleaved(contestants, bench.rounds, "contrastive step")
        result.seconds["a step"] = seconds
        for kind, loss in PAIRS.items():
            ratio = Ratio.of(seconds[loss], seconds[f"ours, {kind}"])
            result.comparisons.append(Comparison(f"{loss} / ours, {kind}: time", ratio, FASTER))
            peaks = [alone(build, bench, folder, kind == "cached").peak for build in (build_ours, build_theirs)]
            result.numbers[f"peak memory, MB, ours, {kind}"] = peaks[0] / 1e6
            result.numbers[f"peak memory, MB, {loss}"] = peaks[1] / 1e6
            share = peaks[0] / peaks[1]
            result.comparisons.append(Comparison(f"ours, {kind} / {loss}: peak memory", Ratio(share, share, share)))
    return result


@torch.no_grad()
def losses(bench: Workbench, folder: str) -> dict[str, float]:
    """Our loss and theirs of the triplets, before training."""
    module = _module(bench, folder, cached=False)
    model = _model(bench, folder)
    features = [model.preprocess(list(column)) for column in zip(*triplets(bench), strict=True)]
    on_its_device = [batch_to_device(each, torch.device(bench.device)) for each in features]
    theirs = MultipleNegativesRankingLoss(model)(on_its_device, torch.empty(0))
    return {"loss, ours": module.objective(module.encoder, _batch(bench, module)).item(), "loss, theirs": theirs.item()}


def build_ours(bench: Workbench, folder: str, cached: bool) -> Contestant:
    """Our step on the triplets."""
    module = _module(bench, folder, cached)
    return timed(steps(module, [_batch(bench, module)]))


def _module(bench: Workbench, folder: str, cached: bool) -> EncoderTraining:
    objective = Contrastive(micro_batch_size=MICRO_BATCH if cached else None)
    return configured(folder, objective, bench.device, num_memory_tokens=None, pooling=None)


def _batch(bench: Workbench, module: EncoderTraining) -> ContrastiveBatch:
    texts = [text for column in zip(*triplets(bench), strict=True) for text in column]  # queries, positives, negatives
    rows = [np.array(ids) for ids in module.tokenizer(texts)["input_ids"]]
    ids, mask = map(torch.from_numpy, pad(rows, module.tokenizer.pad_token_id, left=True))
    batch = ContrastiveBatch(ids, mask, mask, torch.arange(len(texts)), num_pairs=len(texts) // 3)
    return on_device(batch, bench.device)


def build_theirs(bench: Workbench, folder: str, cached: bool) -> Contestant:
    """The step of sentence-transformers' trainer on the triplets."""
    torch.manual_seed(0)
    model = _model(bench, folder)
    adapters = LoraConfig(r=LORA.rank, lora_alpha=int(LORA.alpha), lora_dropout=0.0, target_modules="all-linear")
    model.add_adapter(adapters)
    loss = (
        CachedMultipleNegativesRankingLoss(model, mini_batch_size=MICRO_BATCH)
        if cached
        else MultipleNegativesRankingLoss(model)
    )
    rows = triplets(bench)
    columns = dict(zip(("anchor", "positive", "negative"), map(list, zip(*rows, strict=True)), strict=True))
    clock = StepClock()
    options = SentenceTransformerTrainingArguments(**trainer_options(bench.device, len(rows)))
    trainer = SentenceTransformerTrainer(
        model, options, train_dataset=Dataset.from_dict(columns), loss=loss, callbacks=[clock]
    )
    return clock.contestant(trainer)


def _model(bench: Workbench, folder: str) -> SentenceTransformer:
    return SentenceTransformer(folder, device=bench.device, model_kwargs={"dtype": fast_dtype()})


def triplets(bench: Workbench) -> list[tuple[str, str, str]]:
    """A sentence, one of the same paragraph, and one of another, from the training text."""
    drawn = random.Random(0)
    groups = [sentences for text in paragraphs(bench.text) if len(sentences := split_sentences(text)) > 1]
    drawn.shuffle(groups)
    size = bench.choose(24, 4)
    return [
        (group[0], group[-1], drawn.choice(other))
        for group, other in zip(groups[:size], groups[size : 2 * size], strict=True)
    ]
