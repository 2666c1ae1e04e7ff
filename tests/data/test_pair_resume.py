"""A resumed run on a mixture trains on exactly the batches that the run without interruption trains on."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from llm2comp.data.datamodule import DataModule
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.errors import UserError
from tests.data.pairs import PairRecorder, numbered
from tests.data.runs import trainer

MIXINGS: dict[str, dict[str, Any]] = {
    "proportional": {"mixing": "proportional"},
    "temperature": {"mixing": "temperature", "mixing_temperature": 4.0},
    "workers": {"mixing": "temperature", "num_workers": 2},
}


def fit(folder: Path, ckpt_path: Path | None = None, data: dict[str, Any] | None = None, **options: Any) -> list[Any]:
    sets = [
        PairSet(str(numbered(folder, name, size, negatives=3) if not (folder / f"{name}.jsonl").exists() else path))
        for name, size in (("a", 40), ("b", 13), ("c", 6))
        for path in [folder / f"{name}.jsonl"]
    ]
    model = PairRecorder()
    module = DataModule(sets, batch_size=4, **(data or {}))
    trainer(folder, **options).fit(model, module, ckpt_path=ckpt_path, weights_only=True)
    return model.seen


@pytest.mark.parametrize("mixing", MIXINGS)
@pytest.mark.parametrize("stop", [3, 17])
def test_resume_continues_with_the_next_batch(tmp_path: Path, mixing: str, stop: int) -> None:
    data = MIXINGS[mixing]
    straight = fit(tmp_path, data=data, max_steps=22)
    saving = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=stop, save_top_k=-1, filename="{step}")
    first = fit(tmp_path, data=data, max_steps=stop, callbacks=[saving], enable_checkpointing=True)
    rest = fit(tmp_path, tmp_path / "ckpt" / f"step={stop}.ckpt", data=data, max_steps=22)
    assert first + rest == straight
    names = [{text[0] for text in texts} for texts in straight]
    assert all(len(name) == 1 for name in names)
    assert set.union(*names) == {"a", "b", "c"}


def test_a_checkpoint_of_another_mixture_is_refused(tmp_path: Path) -> None:
    saving = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=2, filename="{step}")
    fit(tmp_path, max_steps=2, callbacks=[saving], enable_checkpointing=True)
    with pytest.raises(UserError, match="mixing was"):
        fit(tmp_path, tmp_path / "ckpt" / "step=2.ckpt", data=MIXINGS["temperature"], max_steps=4)
