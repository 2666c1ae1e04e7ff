"""A resumed run trains on exactly the batches that the run without interruption trains on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, OnExceptionCheckpoint
from lightning.pytorch.trainer.states import TrainerFn

from llm2comp.data.datamodule import DataModule
from llm2comp.errors import UserError
from tests.data.runs import Recorder, rows, set_up, trainer

FIXED = {"batch_size": 8}
GROUPED = {"token_budget": 256}
OPTIONS = {"min_characters": 1, "validation_fraction": 0.2}


def fit(articles: Path, data: dict[str, Any], ckpt_path: Path | None = None, **options: Any) -> list[Any]:
    model = Recorder()
    module = DataModule(str(articles), **OPTIONS, **data)
    trainer(articles.parent, **options).fit(model, module, ckpt_path=ckpt_path, weights_only=True)
    return model.seen


def batches_an_epoch(articles: Path, data: dict[str, Any]) -> int:
    model = Recorder()
    fitted = trainer(articles.parent, max_steps=1)
    fitted.fit(model, DataModule(str(articles), **OPTIONS, **data))
    return fitted.num_training_batches


@pytest.mark.parametrize("stop", ["mid-epoch", "epoch end", "second epoch"])
@pytest.mark.parametrize(
    ("data", "accumulate"), [(FIXED, 1), (FIXED, 2), (GROUPED, 1), (GROUPED, 2), ({**GROUPED, "num_workers": 2}, 2)]
)
def test_resume_continues_with_the_next_batch(articles: Path, data: dict[str, Any], accumulate: int, stop: str) -> None:
    epoch = batches_an_epoch(articles, data)
    per_epoch = -(-epoch // accumulate)
    steps = {"mid-epoch": 2, "epoch end": per_epoch, "second epoch": per_epoch + 1}[stop]
    options = {"accumulate_grad_batches": accumulate, "check_val_every_n_epoch": None}
    total = 2 * per_epoch + 2
    straight = fit(articles, data, max_steps=total, **options)

    saving = ModelCheckpoint(articles.parent / "ckpt", every_n_train_steps=steps, save_top_k=-1, filename="{step}")
    first = fit(articles, data, max_steps=steps, callbacks=[saving], enable_checkpointing=True, **options)
    checkpoint = articles.parent / "ckpt" / f"step={steps}.ckpt"
    rest = fit(articles, data, checkpoint, max_steps=total, **options)

    assert first + rest == straight
    assert straight[: len(first)] != straight[len(first) : 2 * len(first)]


def test_a_resumed_run_can_be_resumed(articles: Path) -> None:
    straight = fit(articles, GROUPED, max_steps=8)
    saving = ModelCheckpoint(articles.parent / "ckpt", every_n_train_steps=3, save_top_k=-1, filename="{step}")
    options = {"callbacks": [saving], "enable_checkpointing": True}
    first = fit(articles, GROUPED, max_steps=3, **options)
    second = fit(articles, GROUPED, articles.parent / "ckpt" / "step=3.ckpt", max_steps=6, **options)
    third = fit(articles, GROUPED, articles.parent / "ckpt" / "step=6.ckpt", max_steps=8, **options)
    assert first + second + third == straight


def test_resume_where_training_is_counted_in_epochs(articles: Path) -> None:
    straight = fit(articles, GROUPED, max_epochs=3)
    saving = ModelCheckpoint(articles.parent / "ckpt", filename="end", save_top_k=-1)
    first = fit(articles, GROUPED, max_epochs=1, callbacks=[saving], enable_checkpointing=True)
    rest = fit(articles, GROUPED, articles.parent / "ckpt" / "end.ckpt", max_epochs=3)
    assert first + rest == straight
    assert len(straight) == 3 * len(first)


def test_a_batch_that_was_not_trained_on_comes_again(articles: Path) -> None:
    straight = fit(articles, GROUPED, max_steps=6)
    model = Recorder()
    model.interrupt_at = 3
    saving = OnExceptionCheckpoint(articles.parent, filename="interrupted")
    with pytest.raises(RuntimeError, match="in the middle"):
        trainer(articles.parent, max_steps=6, callbacks=[saving], enable_checkpointing=True).fit(
            model, DataModule(str(articles), **OPTIONS, **GROUPED)
        )
    rest = fit(articles, GROUPED, articles.parent / "interrupted.ckpt", max_steps=6)
    assert model.seen + rest == straight


def test_a_scheduler_that_asks_for_the_number_of_batches_changes_nothing(articles: Path) -> None:
    class Scheduled(Recorder):
        def configure_optimizers(self) -> Any:
            assert self.trainer.estimated_stepping_batches == 3 * self.trainer.num_training_batches
            return super().configure_optimizers()

    def run(**options: Any) -> list[Any]:
        model, ckpt_path = Scheduled(), options.pop("ckpt_path", None)
        data = DataModule(str(articles), **OPTIONS, **FIXED)
        trainer(articles.parent, max_epochs=3, **options).fit(model, data, ckpt_path=ckpt_path)
        return model.seen

    saving = ModelCheckpoint(articles.parent / "ckpt", every_n_train_steps=4, save_top_k=-1, filename="{step}")
    straight = run(callbacks=[saving], enable_checkpointing=True)
    assert run(ckpt_path=articles.parent / "ckpt" / "step=4.ckpt") == straight[4:]


def test_a_checkpoint_may_be_restored_after_the_loader_was_made(articles: Path) -> None:
    straight = fit(articles, FIXED, max_steps=4)
    data = set_up(DataModule(str(articles), **OPTIONS, **FIXED), articles.parent)
    data.trainer.state.fn = TrainerFn.FITTING
    loader = data.train_dataloader()
    assert data.state_dict()["batch"] == 0
    data.load_state_dict({**data.state_dict(), "batch": 3})
    assert rows(next(iter(loader))) == straight[3]
    assert len(list(loader)) == len(loader)


def test_every_example_is_seen_once_an_epoch_though_passes_of_the_loop_end_elsewhere(articles: Path) -> None:
    seen = fit(articles, GROUPED, max_epochs=6)
    order = ["".join(row) for batch in seen for row in batch]
    examples = set(order)
    for start in range(0, len(order) - len(examples), len(examples)):
        assert set(order[start : start + len(examples)]) == examples


def test_a_checkpoint_of_other_data_is_refused(articles: Path) -> None:
    saving = ModelCheckpoint(articles.parent / "ckpt", every_n_train_steps=2, filename="{step}")
    fit(articles, FIXED, max_steps=2, callbacks=[saving], enable_checkpointing=True)
    checkpoint = articles.parent / "ckpt" / "step=2.ckpt"
    state = torch.load(checkpoint, weights_only=True)["DataModule"]
    assert (state["epoch"], state["batch"]) == (0, 2)
    with pytest.raises(UserError, match="batch_size was 8 and is 4"):
        fit(articles, {"batch_size": 4}, checkpoint, max_steps=4)
    with pytest.raises(UserError, match="checksum"):
        fit(articles, {"batch_size": 8, "max_examples": 5}, checkpoint, max_steps=4)
