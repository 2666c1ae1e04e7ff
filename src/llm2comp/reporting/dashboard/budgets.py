"""Whether the runs of an ablation took the same budget, by the fairness contract."""

import re
from collections.abc import Iterable, Sequence

from llm2comp.encoder.config import EncoderConfig
from llm2comp.evaluation.fairness import FAIR, breaches
from llm2comp.reporting.dashboard.run import Run
from llm2comp.reporting.dashboard.setting import Setting
from llm2comp.reporting.scrub import scrub
from llm2comp.sweeps.options import option_of

# What the contract wants alike, with the options that say so: a sweep over one of them varies it by design.
_BATCHES = ("data.token_budget", "data.batch_size", "trainer.accumulate_grad_batches", "trainer.devices")
_STEPS = ("trainer.max_steps", "trainer.max_epochs", "trainer.max_time")
_CORPUS = ("data.train", "data.max_examples", "data.max_tokens", "data.min_characters", "data.validation")
_OPTIONS = {
    "base weights": ("model.encoder",),
    "corpus": _CORPUS,
    "training tokens": (*_STEPS, *_BATCHES, *_CORPUS),
    "optimizer steps": (*_STEPS, *_BATCHES, *_CORPUS),
    "LoRA": ("model.lora",),
}


def unequal_budgets(settings: Sequence[Setting], swept: Iterable[str]) -> tuple[list[str], list[str]]:
    """What must be alike and is not: lines of warning, and notes on what the sweep varies by design, or on that all is.

    Settings are compared by their first runs, and the runs of a setting with each other.
    """
    swept = list(swept)
    warnings, notes = [], []
    for setting in settings:
        warnings += [
            f"The runs of {setting.label} had unequal budgets. {_sentence(line)}"
            for line in breaches({run.name: _record(run) for run in setting.runs})
        ]
    for line in breaches({setting.label: _record(setting.runs[0]) for setting in settings if setting.runs}):
        if _is_by_design(line, swept):
            notes.append(f"Varied by design. {_sentence(line)}")
        else:
            warnings.append(f"Unequal budgets. {_sentence(line)}")
    if not warnings and not notes and len(settings) > 1:
        notes.append(FAIR)
    return warnings, notes


def _is_by_design(line: str, swept: Iterable[str]) -> bool:
    what = re.sub(r" of stage \d+$", "", line.partition(": ")[0])
    return any(option_of(key, option) for key in swept for option in _OPTIONS.get(what, ()))


def _sentence(line: str) -> str:
    return f"{line[0].upper()}{line[1:]}."


def _record(run: Run) -> EncoderConfig:
    """What the run made of which model, as the contract reads it from an encoder folder, which may be gone."""
    assert run.results is not None
    stage = {key: scrub(run.config.get(key) or {}) for key in ("model", "data")}
    return EncoderConfig(
        base=str(run.options.get("model.init_args.encoder", "")),
        stages=[{"stage": run.folder.experiment, "training": run.results.training, **stage}],
    )
