"""What a checkpoint keeps of the checkpoints before it holds in another place, and tells no place."""

from pathlib import Path

import torch

from llm2comp.modules.movable_checkpoint import MovableCheckpoint


def best(folder: Path) -> MovableCheckpoint:
    callback = MovableCheckpoint(folder, "best", monitor="val/loss", enable_version_counter=False)
    callback.dirpath = str(folder)  # Lightning settles it as training starts
    return callback


def trained(folder: Path) -> MovableCheckpoint:
    """One that has kept a best checkpoint."""
    folder.mkdir(parents=True)
    path = str(folder / "best.ckpt")
    Path(path).touch()
    callback = best(folder)
    callback.best_model_path = callback.kth_best_model_path = path
    callback.best_model_score = callback.current_score = torch.tensor(0.5)
    callback.best_k_models = {path: torch.tensor(0.5)}
    return callback


def test_the_state_holds_in_a_folder_that_was_moved(tmp_path: Path):
    state = trained(tmp_path / "before").state_dict()
    assert str(tmp_path) not in str(state)
    (tmp_path / "before").rename(tmp_path / "after")
    moved = best(tmp_path / "after")
    moved.load_state_dict(state)
    assert moved.best_model_path == str(tmp_path / "after" / "best.ckpt")
    assert moved.best_k_models == {moved.best_model_path: torch.tensor(0.5)}
    assert moved.best_model_score == 0.5


def test_a_new_run_in_another_folder_finds_its_own_best(tmp_path: Path):
    state = trained(tmp_path / "before").state_dict()
    new = best(tmp_path / "new")
    new.load_state_dict(state)
    assert new.best_model_path == ""
    assert new.best_model_score is None
