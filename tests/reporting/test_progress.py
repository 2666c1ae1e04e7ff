"""The bar counts optimizer steps over the whole run, and leaves the screen to others when it is done."""

from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from llm2comp.reporting.progress import StepProgress


class Watched(StepProgress):
    """Notes (description, completed, total) of every bar after each training and validation batch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[tuple[str, float, float | None]]] = []
        self.metrics: list[str] = []

    def _note(self) -> None:
        assert self._progress is not None
        self.seen.append([(task.description, task.completed, task.total) for task in self._progress.tasks])
        self.metrics.append(self._progress.tasks[0].fields["metrics"])

    def on_train_batch_end(self, *arguments: Any) -> None:
        super().on_train_batch_end(*arguments)
        self._note()

    def on_validation_batch_end(self, *arguments: Any) -> None:
        super().on_validation_batch_end(*arguments)
        self._note()


class Module(L.LightningModule):
    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.fail_at = fail_at

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if self.global_step == self.fail_at:
            raise RuntimeError("a step that fails")
        loss = self.layer(batch).square().mean()
        self.log("train/loss", 0 * loss + 1.25)
        return loss

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val/context_recovered", torch.tensor(0.345))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(bar: StepProgress, module: Module | None = None, **options: Any) -> None:
    loader = DataLoader(torch.ones(4, 1), batch_size=1)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    L.Trainer(accelerator="cpu", callbacks=[bar], **quiet, **options).fit(module or Module(), loader, loader)


def training(bar: Watched) -> list[tuple[float, float | None]]:
    return [(bars[0][1], bars[0][2]) for bars in bar.seen if len(bars) == 1]


def test_one_bar_counts_optimizer_steps_over_all_epochs():
    bar = Watched()
    fit(bar, max_epochs=3)
    assert training(bar) == [(step, 12) for step in range(1, 13)]


def test_with_accumulation_it_counts_steps_not_batches():
    bar = Watched()
    fit(bar, max_steps=3, accumulate_grad_batches=2)
    assert training(bar) == [(0, 3), (1, 3), (1, 3), (2, 3), (2, 3), (3, 3)]


def test_validation_has_a_bar_of_its_own_while_it_runs():
    bar = Watched()
    fit(bar, max_steps=4)
    assert [bars[1] for bars in bar.seen if len(bars) == 2] == [("Measuring", i, 4) for i in range(1, 5)]
    assert bar.seen[-1][0] == ("Training", 4, 4)


def test_it_shows_the_short_metrics_in_their_units():
    bar = Watched()
    fit(bar, max_steps=5)
    assert bar.metrics[1] == "loss 1.250"
    assert bar.metrics[-1] == "loss 1.250  context 34.5%"


def test_the_time_left_is_shown_whole_on_a_narrow_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "60")
    fit(Watched(), max_steps=5)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "━" in line]
    assert "5/5" in line
    assert "left 0:00:00" in line


def test_a_log_file_gets_lines_with_the_time_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("llm2comp.reporting.progress.LOG_EVERY", 0.0)
    fit(Watched(), max_steps=5)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Training") and "━" not in line]
    assert [line.split()[1] for line in lines] == [f"{i}/5" for i in range(1, 6)]
    assert all("left" in line for line in lines)
    assert "loss 1.250" in lines[-1]


def test_the_screen_is_given_back_at_the_end_and_after_an_error():
    bar = Watched()
    fit(bar, max_steps=2)
    assert bar._progress is None
    bar = Watched()
    with pytest.raises(RuntimeError, match="a step that fails"):
        fit(bar, Module(fail_at=1), max_steps=2)
    assert len(bar.seen) == 1
    assert bar._progress is None


def test_other_processes_show_nothing(capsys: pytest.CaptureFixture[str]):
    bar = StepProgress()
    bar.disable()
    trainer: Any = SimpleNamespace(estimated_stepping_batches=2, global_step=0, callback_metrics={})
    module: Any = None
    bar.on_train_start(trainer, module)
    bar.on_train_batch_end(trainer)
    bar.on_train_end(trainer, module)
    assert bar._progress is None
    assert capsys.readouterr().err == ""
