"""Compression pretraining, then contrastive fine-tuning of what it wrote: one encoder folder into the next."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from sentence_transformers import SentenceTransformer

from llm2comp.backbone.lora import lora_layers
from llm2comp.cli import main
from llm2comp.encoder.encoder import Encoder
from llm2comp.prompts import instruction
from llm2comp.reporting.metrics_file import read_metrics
from tests.cli.conftest import ROOT, WORDS, Arguments

Folder = Callable[[str], Path]


@pytest.fixture
def triplets(workplace: Path) -> Path:
    """60 triplets: a query of words, the same words in another order, and other words."""
    path = workplace / "triplets.jsonl"
    with path.open("w") as file:
        for i in range(60):
            words = [WORDS[(i + k * (1 + i // 10)) % 10] for k in range(5)]
            row = {
                "query": f"{i} {' '.join(words)}",
                "positive": f"{i} {' '.join(words[::-1])}",
                "negative": f"{i + 1} {' '.join(WORDS[(i + k + 3) % 10] for k in range(4))}",
            }
            file.write(json.dumps(row) + "\n")
    return path


def finetune(encoder: str | Path, *more: str, stage: str = "supervised") -> list[str]:
    return [
        *("fit", "--config", str(ROOT / "experiments" / f"finetune_{stage}.yaml"), "--model.encoder", str(encoder)),
        *(
            "--model.max_length",
            "64",
            "--model.dtype",
            "float32",
            "--trainer.accelerator",
            "cpu",
            "--data.guard",
            "off",
        ),
        *("--trainer.max_steps", "6", "--trainer.val_check_interval", "3", "--trainer.log_every_n_steps", "1"),
        *("--data.batch_size", "8", "--data.validation_fraction", "0.2", *more),
    ]


def test_the_stages_chain(arguments: Arguments, triplets: Path, run_folder: Folder, workplace: Path) -> None:
    main(arguments("--run", "a"))
    datasets = workplace / "data.yaml"
    datasets.write_text(yaml.safe_dump({"data": {"train": [{"source": str(triplets), "task": "sts"}]}}))
    main(finetune(run_folder("a") / "encoder", "--config", str(datasets), "--run", "b"))

    folder = workplace / "lightning_logs" / "finetune_supervised" / "b"
    metrics = read_metrics(folder / "metrics.csv")
    assert {"val/loss", "val/accuracy", "val/retrieval_mrr", "train/loss", "train/mfu"} <= metrics.keys()
    encoder = Encoder.from_pretrained(folder / "encoder", dtype="float32")
    assert [stage["stage"] for stage in encoder.config.stages] == ["pretrain_compress", "finetune_supervised"]
    assert encoder.num_memory_tokens == 3  # those of the stage before
    assert encoder.config.pooling == "memory_mean"
    assert not lora_layers(encoder.backbone.lm)
    assert encoder.config.prompts["query"] == instruction("sts").query

    st = SentenceTransformer(str(folder / "encoder"), device="cpu")
    ours = encoder.encode(["fox dog", "text"], prompt_name="sts")
    np.testing.assert_allclose(ours, st.encode(["fox dog", "text"], prompt_name="sts"), rtol=1e-4, atol=1e-4)
    assert np.abs(ours - encoder.encode(["fox dog", "text"])).max() > 1e-3


@pytest.mark.parametrize("micro_batch_size", [None, "4"])
def test_unsupervised_from_a_bare_model(
    lm_folder: Path, corpus: Path, workplace: Path, micro_batch_size: str | None
) -> None:
    more = ["--data.train", str(corpus), "--run", "u"]
    if micro_batch_size is not None:
        more += ["--model.objective.micro_batch_size", micro_batch_size]
    main(finetune(lm_folder, *more, stage="unsupervised"))
    folder = workplace / "lightning_logs" / "finetune_unsupervised" / "u"
    encoder = Encoder.from_pretrained(folder / "encoder", dtype="float32")
    assert encoder.num_memory_tokens == 0
    assert encoder.config.pooling == "mean"
    losses = [value for _, value in read_metrics(folder / "metrics.csv")["train/loss"]]
    assert len(losses) == 6
    assert np.isfinite(losses).all()
