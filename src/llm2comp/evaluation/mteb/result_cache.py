"""mteb's cache of results, made safe against being killed."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mteb.abstasks import AbsTask
from mteb.cache import ResultCache
from mteb.models.model_meta import ModelMeta
from mteb.results import TaskResult

from llm2comp.evaluation.mteb.data_state import data_state
from llm2comp.evaluation.mteb.tasks import parts


class WholeResultCache(ResultCache):
    """`results/{encoder}/{fingerprint}/{task}.json` in a folder; a file is there when its task is finished, and whole.

    Args:
        folder: where the results are kept.
        tasks: the tasks whose results come.
    """

    def __init__(self, folder: Path, tasks: Iterable[AbsTask]) -> None:
        super().__init__(folder)
        self._tasks = {each.metadata.name: each for task in tasks for each in (task, *parts(task))}

    def folder(self, meta: ModelMeta) -> Path:
        """Where the results of an encoder are."""
        return self.get_task_result_path("", meta).parent

    def finished(self, task: AbsTask, meta: ModelMeta) -> bool:
        """Whether the result on the task's data, as it is now, is there; where the data is not, any result will do."""
        result = self.load_task_result(task.metadata.name, meta)
        if result is None or result.dataset_revision != task.metadata.revision or result.get_missing_evaluations(task):
            return False
        path, state = self._data_path(task, meta), data_state(task)
        return state is None or state == (path.read_text(encoding="utf-8") if path.is_file() else "")

    def begin(self, task: AbsTask, meta: ModelMeta, state: str | None) -> None:
        """Forget the result that there may be, for the one that is to come is of data in this state."""
        self.forget(task, meta)
        path = self._data_path(task, meta)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(state or "", encoding="utf-8")

    def forget(self, task: AbsTask, meta: ModelMeta) -> None:
        """Remove the result that there may be."""
        self.get_task_result_path(task.metadata.name, meta).unlink(missing_ok=True)

    def _data_path(self, task: AbsTask, meta: ModelMeta) -> Path:
        return self.folder(meta) / f"{task.metadata.name}.data.txt"

    def save_to_cache(
        self,
        task_result: TaskResult,
        model_name: str | ModelMeta,
        model_revision: str | None = None,
        *,
        encode_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        # mteb also saves after each subset of a task.
        if task_result.get_missing_evaluations(self._tasks[task_result.task_name]):
            return
        target = self.get_task_result_path(task_result.task_name, model_name, model_revision).parent
        with TemporaryDirectory(dir=self.cache_path, prefix=".") as folder:
            beside = ResultCache(folder)
            written = beside.get_task_result_path(task_result.task_name, model_name, model_revision).parent
            written.mkdir(parents=True)
            if (settings := target / "run_settings.jsonl").is_file():  # mteb adds to it
                shutil.copy(settings, written)
            beside.save_to_cache(task_result, model_name, model_revision, encode_kwargs=encode_kwargs)
            target.mkdir(parents=True, exist_ok=True)
            # The result last: where it is, the rest is too.
            for path in sorted(written.iterdir(), key=lambda path: path.stem == task_result.task_name):
                os.replace(path, target / path.name)
