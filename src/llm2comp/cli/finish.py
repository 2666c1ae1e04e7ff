"""What a run does when training is over: export the best encoder, measure it, and say what to run next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from llm2comp.cli.measuring import exported_metrics, measure
from llm2comp.data.datamodule import DataModule
from llm2comp.encoder.encoder import Encoder
from llm2comp.modules.encoder_training import EncoderTraining
from llm2comp.modules.token_count import TokenCount
from llm2comp.prompts import prompts
from llm2comp.reporting.curves import draw_curves
from llm2comp.reporting.results import RunResults
from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.scrub import scrub
from llm2comp.reporting.summary import print_summary
from llm2comp.reporting.wandb import sync_command
from llm2comp.reporting.wandb_results import log_results

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask


def finish(
    trainer: Trainer,
    module: LightningModule,
    datamodule: LightningDataModule,
    run: RunFolder,
    config: dict[str, Any],
    tasks: "Sequence[AbsTask]" = (),
) -> None:
    """Write the encoder, pictures and, last of all, `results.json` into the run folder; print before and after.

    `tasks`: what the encoder is scored on.
    """
    assert isinstance(module, EncoderTraining)
    assert isinstance(datamodule, DataModule)
    trainer.save_checkpoint(run.last_checkpoint)
    # What was spent on training, whichever checkpoint is the best: by this encoders are compared.
    spent = {"steps": trainer.global_step, "tokens": _token_count(trainer), **datamodule.training_corpus}
    if not trainer.is_global_zero:
        return
    best = run.best_checkpoint if run.best_checkpoint.is_file() else run.last_checkpoint
    checkpoint = trainer.strategy.load_checkpoint(best, weights_only=True)
    step, encoder = checkpoint["global_step"], module.whole_encoder(checkpoint["state_dict"])
    _export(encoder, datamodule, run, _stage(step, spent, run, config))
    if run.metrics.is_file():
        draw_curves(run)
        print_summary(run, _next_steps(run, encoder.num_memory_tokens > 0))
    device = trainer.strategy.root_device
    print("\nMeasuring the exported encoder")
    found = measure(run, datamodule.validation_texts(), tasks, module.dtype_name, device)
    results = RunResults(
        exported_metrics(run, step), spent, found.scores, found.sts_test_spearman, geometry=found.geometry
    )
    log_results(trainer.loggers, results, found.pictures, run.encoder, with_encoder=config["log_encoder"])
    results.save(run.path)
    print(f"\nEverything of this run is in {run.path}")


def _export(encoder: Encoder, datamodule: DataModule, run: RunFolder, stage: dict[str, Any]) -> None:
    described = encoder.config
    described.stages.append(stage)
    described.prompts.update(prompts(datamodule.tasks))
    described.base = scrub(described.base)  # a path below ~ is found from there
    encoder.save_pretrained(run.encoder)


def _token_count(trainer: Trainer) -> int:
    (counter,) = [callback for callback in trainer.callbacks if isinstance(callback, TokenCount)]  # type: ignore[attr-defined]
    return counter.total(trainer)


def _stage(step: int, spent: dict[str, Any], run: RunFolder, config: dict[str, Any]) -> dict[str, Any]:
    kept = {key: config[key] for key in ("model", "data", "seed_everything")}
    return {
        "stage": run.experiment,
        "run": run.run,
        "steps": step,
        "training": spent,
        "torch": torch.__version__,
        **scrub(kept),
    }


def _next_steps(run: RunFolder, has_memory: bool) -> list[tuple[str, str]]:
    steps = [
        (
            "Use it",
            f'python -c "from sentence_transformers import SentenceTransformer as S; '
            f"print(S('{run.encoder}').encode('A text').shape)\"",
        ),
    ]
    if has_memory:
        steps.insert(
            0, ("See what it remembers", f'llm2comp reconstruct --encoder {run.encoder} "A text of your own."')
        )
    if sync := sync_command(run):
        steps.append(("Send the metrics to W&B", sync))
    return steps
