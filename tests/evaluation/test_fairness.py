"""What differs in the making of encoders is said, and nothing else; what is not recorded counts as different."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.opening import open_encoder
from llm2comp.evaluation.fairness import FAIR, breaches, fairness, keep_record, kept_record, recorded

LORA = {"rank": 16, "alpha": 32.0, "dropout": 0.05, "targets": "all-linear"}


def stage(name: str = "pretrain", objective: str = "Distillation", **changes: Any) -> dict[str, Any]:
    return {
        "stage": name,
        "run": "2025-11-28",
        "steps": 200,
        "training": {"steps": 260, "tokens": 100_000, "examples": 3100, "checksum": "00ff00ff00ff00ff"} | changes,
        "model": {"init_args": {"objective": {"class_path": objective}, "lora": dict(LORA)}},
        "data": {"train": "embedded:wikipedia"},
        "seed_everything": 0,
    }


def made(*stages: dict[str, Any], base: str = "embedded:smollm2-135m") -> EncoderConfig:
    return EncoderConfig(base=base, stages=copy.deepcopy(list(stages)))


def test_encoders_made_alike_are_compared_fairly_whatever_the_objective_and_the_seed():
    other = made(stage("mntp", "MNTP"))
    other.stages[0].update(seed_everything=1, run="another", steps=100)
    assert fairness({"A": made(stage()), "B": other}) == [FAIR]


def test_one_encoder_is_compared_with_nothing():
    assert fairness({"A": None}) == fairness({}) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"steps": 1000}, "optimizer steps of stage 1: 260 (A, C); 1,000 (B)"),
        ({"tokens": 106_000}, "training tokens of stage 1: 100,000 (A, C); 106,000 (B)"),
        (
            {"checksum": "11", "examples": 7},
            "corpus of stage 1: embedded:wikipedia, 3,100 examples, checksum 00ff00ff (A, C); "
            "embedded:wikipedia, 7 examples, checksum 11 (B)",
        ),
    ],
)
def test_what_training_took_must_be_the_same(changes: dict[str, Any], line: str):
    configs = {"A": made(stage()), "B": made(stage(**changes)), "C": made(stage())}
    assert breaches(configs) == [line]
    assert fairness(configs) == [f"Not a fair comparison: {line}."]


def test_tokens_may_differ_by_what_padding_does():
    assert breaches({"A": made(stage()), "B": made(stage(tokens=104_999))}) == []


def test_base_weights_and_lora_must_be_the_same():
    rank, whole = stage(), stage()
    rank["model"]["init_args"]["lora"]["rank"] = 8
    whole["model"]["init_args"]["lora"] = None
    assert breaches({"A": made(stage()), "B": made(rank), "C": made(whole, base="other")}) == [
        "base weights: embedded:smollm2-135m (A, B); other (C)",
        "LoRA of stage 1: rank 16, alpha 32.0, dropout 0.05, targets all-linear (A); "
        "rank 8, alpha 32.0, dropout 0.05, targets all-linear (B); none, every weight trains (C)",
    ]


def test_stages_are_compared_one_by_one():
    two = made(stage("mntp"), stage("simcse"))
    assert breaches({"A": two, "B": made(stage("kl"), stage("simcse"))}) == []
    assert breaches({"A": two, "B": made(stage("kl"), stage("simcse", steps=5))}) == [
        "optimizer steps of stage 2: 260 (A); 5 (B)"
    ]
    assert breaches({"A": two, "B": made(stage("kl")), "C": made()}) == [
        "training: mntp + simcse (A); kl (B); none (C)"
    ]


def test_what_is_not_recorded_is_not_taken_for_the_same():
    old = {key: value for key, value in stage().items() if key in ("stage", "run", "steps")}
    lines = breaches({"A": made(old), "B": made(old)})
    assert lines == [
        f"{what} of stage 1: not recorded (A, B)" for what in ("corpus", "training tokens", "optimizer steps", "LoRA")
    ]
    assert breaches({"A": made(), "MiniLM": None, "B": made()}) == ["how it was made is not recorded (MiniLM)"]


def test_data_sets_are_told_apart_by_content():
    sets = stage()
    sets["data"]["train"] = [{"source": "a.jsonl"}, {"source": "b.jsonl"}]
    assert breaches({"A": made(sets), "B": made(stage())}) == []
    sets["training"]["checksum"] = "22"
    streamed = stage() | {"training": stage()["training"] | {"examples": None, "checksum": "33"}}
    assert "embedded:wikipedia, streamed, checksum 33 (B)" in breaches({"A": made(stage()), "B": made(streamed)})[0]
    assert "2 data sets, 3,100 examples, checksum 22 (A)" in breaches({"A": made(sets), "B": made(stage())})[0]


def test_the_record_of_an_encoder_is_kept_beside_its_results(lm_folder: Path, tmp_path: Path):
    encoder = Encoder.from_pretrained(lm_folder, dtype="float32")
    encoder.config.stages.append(stage())
    keep_record(encoder, tmp_path / "results" / "name")
    kept = kept_record(tmp_path / "results" / "name")
    assert kept == encoder.config
    assert kept.base == str(lm_folder)
    # Nothing that lies beside results may look like one.
    assert not list((tmp_path / "results" / "name").glob("*.json"))


def test_the_record_of_a_template_is_its_models_and_of_someone_elses_encoder_none(lm_folder: Path, tmp_path: Path):
    echo = open_encoder(f"echo:{lm_folder}", dtype="float32")
    config = recorded(echo)
    assert config is not None
    assert (config.base, config.stages) == (str(lm_folder), [])

    keep_record(Foreign(), tmp_path)
    assert kept_record(tmp_path) is None
    assert not list(tmp_path.iterdir())


class Foreign:
    """Someone else's encoder."""

    name = "foreign"
    prompts: ClassVar[dict[str, str]] = {}

    def encode(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        return np.zeros((len(texts), 2), np.float32)

    def fingerprint(self) -> str:
        return "0"


def test_base_weights_that_are_not_recorded_are_not_taken_to_be_the_same():
    assert breaches({"A": made(stage(), base=""), "B": made(stage(), base="")}) == ["base weights: not recorded (A, B)"]
