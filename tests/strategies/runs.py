"""Short runs of tiny models under any strategy, to be compared."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy, Strategy

from llm2comp.backbone.lora import LoRA
from llm2comp.data.datamodule import DataModule
from llm2comp.modules import EncoderTraining
from llm2comp.modules.checkpoint_io import AtomicCheckpointIO
from llm2comp.modules.optimization import Optimization
from llm2comp.modules.random_state import RandomState
from llm2comp.objectives import MNTP, Continuation, Contrastive, Distillation, Llama2Vec, Reconstruction, WeightedSum
from llm2comp.objectives.base import Objective
from llm2comp.objectives.contrastive.contrastive import GROUP_TOKENS
from llm2comp.strategies import FSDP2, DeepSpeed
from tests.tiny import ARCHITECTURES, randomise_adapters, tiny_config, tiny_lm, tiny_tokenizer

WORDS = ["fox", "dog", "text", "memory", "token", "frozen", "decoder", "brown", "lazy", "encoder"]

STRATEGIES = ["ddp", "fsdp2", "deepspeed_stage_2", "deepspeed_stage_3"]

# name -> objective, and the options of the model and of the data that it wants
OBJECTIVES: dict[str, tuple[Callable[[], Objective], dict[str, Any]]] = {
    "distillation": (Distillation, {}),
    "reconstruction": (Reconstruction, {}),
    "continuation": (Continuation, {"learn_memory_scale": True}),
    "weighted_sum": (lambda: WeightedSum([Reconstruction(), Distillation()], [0.5, 2.0]), {}),
    "mntp": (MNTP, {"num_memory_tokens": 0, "pooling": "mean"}),
    "llama2vec": (Llama2Vec, {}),
    "simcse": (Contrastive, {}),
    "contrastive": (lambda: Contrastive(learned_temperature=True), {}),
    "gradcache": (lambda: Contrastive(micro_batch_size=5), {}),
}


@dataclass
class Run:
    """What is to be run. `data` and `model`: more options of each."""

    objective: str
    lm: str
    corpus: str
    strategy: str = "auto"
    processes: int = 1
    max_steps: int = 4
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    group_tokens: int = 1024
    total: int | None = None  # steps of the schedule, if the run is to stop before its end
    resume: str | None = None
    save: str | None = None


def train(run: Run) -> dict[str, Any]:
    """Losses and validation metrics of a run on this process, its last checkpoint saved as `run.save`."""
    L.seed_everything(0, verbose=False)
    GROUP_TOKENS["cpu"] = run.group_tokens
    recorder = Recorder()
    trainer = L.Trainer(
        strategy=make_strategy(run.strategy),
        devices=run.processes,
        accelerator="cpu",
        max_steps=run.total or run.max_steps,
        max_epochs=-1,
        callbacks=[RandomState(), recorder, Stop(run.max_steps)],
        plugins=[AtomicCheckpointIO()],
        num_sanity_val_steps=0,
        limit_val_batches=2,
        **{"val_check_interval": run.max_steps, "check_val_every_n_epoch": None, **run.trainer},
        **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False),
    )
    module = make_module(run)
    trainer.fit(module, make_data(run), ckpt_path=run.resume, weights_only=True)
    if run.save is not None:
        trainer.save_checkpoint(run.save)
    return {"losses": recorder.losses, "validation": recorder.validation, "steps": trainer.global_step}


class Stop(L.Callback):
    """Ends a run after so many steps, as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        trainer.should_stop = trainer.global_step >= self.step


class Recorder(L.Callback):
    """The loss of every step, as it is logged, and what validation measured last."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.validation: dict[str, float] = {}

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.losses.append(trainer.callback_metrics["train/loss"].item())

    def on_validation_end(self, trainer: L.Trainer, *_: Any) -> None:
        metrics = trainer.callback_metrics
        self.validation = {name: value.item() for name, value in metrics.items() if name.startswith("val/")}


class Trained(EncoderTraining):
    """As every run, with adapters that have an effect from the start."""

    def configure_model(self) -> None:
        if not hasattr(self, "encoder"):
            super().configure_model()
            torch.manual_seed(1)
            randomise_adapters(self)


def make_module(run: Run) -> EncoderTraining:
    objective, options = OBJECTIVES[run.objective]
    defaults = {"num_memory_tokens": 4, "max_length": 64, "dtype": "float32", "lora": LoRA(rank=4, dropout=0.0)}
    optimization = Optimization(learning_rate=1e-2, warmup=0.5, weight_decay=0.01)
    merged = {**defaults, **options, **run.model}
    return Trained(run.lm, objective=objective(), optimization=optimization, **merged)


def make_data(run: Run) -> DataModule:
    defaults = {"batch_size": 6, "min_characters": 1, "validation_fraction": 0.2, "max_tokens": 48}
    return DataModule(run.corpus, **{**defaults, **run.data})


def make_strategy(name: str) -> str | Strategy:
    if name.startswith("fsdp2"):
        return FSDP2(cpu_offload=name.endswith("offload"))
    return CPUDeepSpeed(stage=int(name[-1])) if name.startswith("deepspeed") else name


class CPUDeepSpeed(DeepSpeed):
    """DeepSpeed on a CPU, which Lightning refuses, with every weight in parts however small it is."""

    def __init__(self, stage: Literal[2, 3]) -> None:
        super().__init__(stage)
        assert isinstance(self.config, dict)
        self.config["zero_optimization"]["stage3_param_persistence_threshold"] = 0

    def setup_environment(self) -> None:
        DDPStrategy.setup_environment(self)

    def setup_distributed(self) -> None:
        import deepspeed

        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # it would be compiled, for a minute
        self.set_world_ranks()
        self._init_deepspeed_distributed()

    @property
    def root_device(self) -> torch.device:
        return torch.device("cpu", self.local_rank)


def write_corpus(folder: Path) -> tuple[str, str]:
    """Articles, and pairs with from none to two hard negatives; no two texts are alike."""

    def text(i: int, j: int) -> str:
        return f"{i:02d}-{j} " + " ".join(WORDS[(i * k + j) % 10] for k in range(3 + (7 * i + 5 * j) % 25))

    articles, pairs = folder / "articles.jsonl", folder / "pairs.jsonl"
    rows = [{"title": f"article {i}", "paragraphs": [text(i, j) for j in range(3)]} for i in range(20)]
    articles.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    rows = [
        {"query": text(i, 3), "positive": text(i, 4), "negative": [text(i, 5 + n) for n in range(i % 3)]}
        for i in range(60)
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(articles), str(pairs)


def write_lm(folder: Path, model_type: str = "llama", **options: Any) -> str:
    """The folder of a tiny random model, in several weight files."""
    if (folder / model_type).is_dir():
        return str(folder / model_type)
    torch.manual_seed(0)
    no_dropout = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0)
    config = tiny_config(model_type, initializer_range=0.3, **no_dropout, **{**ARCHITECTURES[model_type], **options})
    lm = tiny_lm(config, "eager")
    lm.save_pretrained(folder / model_type, max_shard_size="20KB")
    tiny_tokenizer().save_pretrained(folder / model_type)
    return str(folder / model_type)
