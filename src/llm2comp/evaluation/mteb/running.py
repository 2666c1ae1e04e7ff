"""Scoring an encoder on MTEB tasks, a task at a time, where an earlier run stopped."""

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import datasets.utils
import mteb
from mteb.abstasks import AbsTask
from mteb.types import EncodeKwargs

from llm2comp.encoder.text_encoder import TextEncoder
from llm2comp.errors import UserError
from llm2comp.evaluation.fairness import keep_record
from llm2comp.evaluation.mteb.adapter import MTEBEncoder
from llm2comp.evaluation.mteb.data_state import data_state
from llm2comp.evaluation.mteb.loading import loaded, missing_data, note_on_data
from llm2comp.evaluation.mteb.progress import TaskProgress
from llm2comp.evaluation.mteb.result_cache import WholeResultCache
from llm2comp.evaluation.mteb.results import note_path
from llm2comp.evaluation.mteb.tasks import parts


@dataclass
class Run:
    """An encoder's way through tasks: which failed, and why."""

    encoder: str
    fingerprint: str
    failures: dict[str, str] = field(default_factory=dict)


def evaluate(encoder: TextEncoder, tasks: Sequence[AbsTask], output: Path, show_progress: bool = True) -> Run:
    """Score the encoder on tasks; each result is in `output` as soon as its task is done, and not computed again.

    One whose data is no longer what it was is. A task that fails is left out, and the others go on; `read_scores` reads
    what there is.
    """
    # A log would not show the encoder's own bars as they are meant.
    adapter = MTEBEncoder(encoder, show_progress=None if show_progress and sys.stderr.isatty() else False)
    cache = WholeResultCache(output, tasks)
    meta = adapter.mteb_model_meta
    run = Run(encoder.name, str(meta.revision))
    keep_record(encoder, cache.folder(meta))
    pending = {part.metadata.name: part for task in tasks for part in parts(task) if not cache.finished(part, meta)}
    loadable = [part for part in pending.values() if not missing_data(part)]
    with _quiet(), TaskProgress(encoder.name, loadable, show_progress) as progress:
        adapter.on_encoded = progress.encoded
        for name, part in pending.items():
            with progress.task(name), _failure_noted(run, name, cache.folder(meta)):
                _score(adapter, part, cache)
        for task in tasks:
            names = [part.metadata.name for part in parts(task)]
            if task.is_aggregate and pending.keys() & names:
                cache.forget(task, meta)  # it would be the mean of what its parts had before
            failed = [name for name in names if name in run.failures]
            if task.is_aggregate and failed:
                run.failures[task.metadata.name] = f"is the mean of tasks of which some failed: {', '.join(failed)}"
            elif task.is_aggregate:
                _evaluate(adapter, task, cache, "only-missing")
    return run


def _score(adapter: MTEBEncoder, task: AbsTask, cache: WholeResultCache) -> None:
    meta, state, note = adapter.mteb_model_meta, data_state(task), note_on_data(task)
    with loaded(task):
        cache.begin(task, meta, state)
        _write_note(note, note_path(cache.folder(meta), task.metadata.name))
        _evaluate(adapter, task, cache, "always")


def _write_note(note: str | None, path: Path) -> None:
    if note is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(f"{note}\n", encoding="utf-8")


def _evaluate(adapter: MTEBEncoder, task: AbsTask, cache: WholeResultCache, overwrite: str) -> None:
    # Batches of mteb's loader are only collected here; the encoder makes its own.
    mteb.evaluate(
        adapter,
        task,
        cache=cache,
        overwrite_strategy=overwrite,
        encode_kwargs=EncodeKwargs(batch_size=1024, show_progress_bar=False),
        co2_tracker=False,
        show_progress_bar=False,
    )


@contextmanager
def _failure_noted(run: Run, name: str, folder: Path) -> Iterator[None]:
    """What goes wrong within is noted as the task's failure; of errors nobody foresaw, a file keeps the whole."""
    log = folder / f"{name}.traceback.txt"
    try:
        yield
        log.unlink(missing_ok=True)
    except UserError as error:
        run.failures[name] = str(error)
    except Exception as error:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
        first = (str(error).strip().splitlines() or [""])[0]
        run.failures[name] = f"{type(error).__name__}: {first} (the whole is in {log})"


@contextmanager
def _quiet() -> Iterator[None]:
    """mteb and what it calls say nothing of how they go."""
    loggers = [logging.getLogger(name) for name in ("mteb", "datasets")]
    levels = [logger.level for logger in loggers]
    bars = not datasets.utils.are_progress_bars_disabled()
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        datasets.utils.disable_progress_bars()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            datasets.utils.enable_progress_bars()
