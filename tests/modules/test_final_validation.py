"""Every run ends with a validation, so that its last weights may be its best."""

from pathlib import Path

from tests.modules.test_interrupted_batch import EVERY_4, Module, fit


def test_a_run_ends_with_one_validation_wherever_its_interval_falls(tmp_path: Path):
    assert fit(Module(), tmp_path, **EVERY_4 | {"max_steps": 12}).validated_at == [4, 8, 12]
    assert fit(Module(), tmp_path, **EVERY_4 | {"max_steps": 3}).validated_at == [3]
    assert fit(Module(), tmp_path, max_epochs=1, val_check_interval=16).validated_at == [16, 32, 40]
    assert fit(Module(), tmp_path, max_epochs=2).validated_at == [40, 80]
    assert fit(Module(), tmp_path, max_epochs=-1, max_steps=45).validated_at == [40, 45]


def test_a_longer_run_goes_on_from_the_end_of_a_shorter_one(tmp_path: Path):
    fit(Module(), tmp_path, **EVERY_4 | {"max_steps": 6})
    longer = fit(Module(), tmp_path, "last.ckpt", **EVERY_4)
    assert longer.validated_at == [8, 12, 14]
    assert longer.global_step == 14
