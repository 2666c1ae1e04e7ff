"""Scoring the encoder that a run exports, on tasks whose data is known to be there before training starts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.utilities.seed import isolate_rng

from llm2comp.encoder.text_encoder import TextEncoder
from llm2comp.evaluation.mteb.library import require_mteb

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask


def loadable_tasks(names: str) -> "list[AbsTask]":
    """The tasks by their names or a set's, each of which has been loaded once, so that training is not in vain.

    Random numbers go on as if it had not been called, though mteb seeds them as it is imported. Raises
    UserError without mteb, for an unknown task, and for data that is not to be had, naming what to run.
    """
    require_mteb()
    with isolate_rng():
        from llm2comp.evaluation.mteb.loading import loaded
        from llm2comp.evaluation.mteb.tasks import english_tasks, parts

        tasks = english_tasks(names)
        for task in tasks:
            for part in parts(task):
                with loaded(part):
                    pass
    return tasks


def score(encoder: TextEncoder, tasks: "Sequence[AbsTask]", output: Path) -> tuple[dict[str, float], dict[str, str]]:
    """Main scores in percent by task, and why others failed; what is in the output folder is not computed again."""
    if not tasks:
        return {}, {}
    from llm2comp.evaluation.mteb.results import read_scores
    from llm2comp.evaluation.mteb.running import evaluate

    run = evaluate(encoder, tasks, output)
    found = {each.fingerprint: each.scores for each in read_scores(output)}.get(run.fingerprint, {})
    asked = {task.metadata.name for task in tasks}
    return {name: value for name, value in found.items() if name in asked}, run.failures
