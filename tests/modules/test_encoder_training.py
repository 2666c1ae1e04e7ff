"""What trains and what stays, how much memory it takes, and what a checkpoint holds."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from llm2comp.backbone.lora import LoRA
from llm2comp.data.batches import CompressionBatch
from llm2comp.errors import UserError
from llm2comp.modules import EncoderTraining
from llm2comp.modules.checkpoint_io import AtomicCheckpointIO
from llm2comp.modules.optimization import Optimization
from llm2comp.objectives import Continuation, Distillation, Reconstruction
from tests.objectives.compression.examples import make_batch
from tests.tiny import tiny_config, tiny_lm, tiny_tokenizer

FULL = {"lora": None}


def make_module(lm_folder: Path, **options: Any) -> EncoderTraining:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {
        "objective": Distillation(),
        "lora": LoRA(rank=4, dropout=0.0),
        "optimization": Optimization(learning_rate=1e-2, warmup=0.1),
        "num_memory_tokens": 3,
        "max_length": 64,
        "dtype": "float32",
    }
    return EncoderTraining(str(lm_folder), **{**defaults, **options})


def make_trainer(folder: Path, max_steps: int = 3, **options: Any) -> L.Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return L.Trainer(
        max_steps=max_steps,
        max_epochs=-1,
        accelerator="cpu",
        default_root_dir=folder,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        plugins=[AtomicCheckpointIO()],
        **quiet,
        **options,
    )


def loader(batches: int = 4) -> DataLoader:
    return collated(*(make_batch(texts=(5 + i, 8, 3), targets=(4, 2 + i, 6)) for i in range(batches)))


def collated(*batches: CompressionBatch) -> DataLoader:
    """Batches as they are."""
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def state(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def fit(module: EncoderTraining, folder: Path, max_steps: int = 3, **options: Any) -> L.Trainer:
    trainer = make_trainer(folder, max_steps, **options)
    trainer.fit(module, loader())
    return trainer


def test_adapters_and_memory_rows_train_and_nothing_else(lm_folder: Path, tmp_path: Path):
    module = make_module(lm_folder, learn_memory_scale=True)
    module.configure_model()
    before = state(module)
    fit(module, tmp_path, max_steps=4)
    after = state(module)
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved == {name for name in after if "lora_" in name or name.startswith("encoder.memory.")}
    assert {"encoder.memory.rows", "encoder.memory.scale"} < moved
    assert not any("embed_tokens" in name or "lm_head" in name for name in moved)


def test_full_training_moves_every_weight_of_the_encoder_and_none_of_the_decoder(lm_folder: Path, tmp_path: Path):
    module = make_module(lm_folder, **FULL)
    module.configure_model()
    before = state(module)
    fit(module, tmp_path, max_steps=2)
    after = state(module)
    same = {name for name in after if torch.equal(before[name], after[name])}
    decoder = {name for name in after if name.startswith("encoder.backbone.frozen_decoder.")}
    assert decoder
    assert same == decoder | {"encoder.backbone.lm.lm_head.weight"}  # the decoder's own head is the one in use
    for name in decoder:
        assert torch.equal(after[name], before[name.replace("frozen_decoder", "lm")])


@pytest.mark.parametrize("objective_type", [Distillation, Continuation, Reconstruction])
def test_the_loss_falls(lm_folder: Path, tmp_path: Path, objective_type: Any):
    objective = objective_type()
    module = make_module(lm_folder, objective=objective)
    batch = make_batch()
    trainer = make_trainer(tmp_path, 60, gradient_clip_val=1.0)
    module.configure_model()
    before = objective(module.encoder, batch).item()
    trainer.fit(module, collated(batch))
    after = objective(module.encoder, batch).item()
    assert after < (0.5 * before if isinstance(objective, Distillation) else before - 0.05)


def test_every_step_is_taken_with_the_learning_rate_of_the_schedule(lm_folder: Path, tmp_path: Path):
    rates = []

    class Watch(L.Callback):
        def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
            rates.append(optimizer.param_groups[0]["lr"])

        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            assert trainer.callback_metrics["train/lr"] == pytest.approx(rates[-1])

    optimization = Optimization(learning_rate=1e-3, final_learning_rate=1e-4, warmup=2, weight_decay=0.01)
    module = make_module(lm_folder, optimization=optimization)
    trainer = fit(module, tmp_path, max_steps=6, callbacks=[Watch()])
    assert rates == pytest.approx([optimization.factor(step, 6) * 1e-3 for step in range(6)])
    assert trainer.optimizers[0].param_groups[0]["weight_decay"] == 0.01


def test_a_run_without_an_end_is_refused(lm_folder: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"set trainer\.max_steps or max_epochs"):
        make_trainer(tmp_path, max_steps=-1).fit(make_module(lm_folder), loader())


@pytest.mark.parametrize("options", [{}, FULL], ids=["lora", "full"])
def test_a_checkpoint_holds_what_trains_and_loads_as_plain_data(lm_folder: Path, tmp_path: Path, options: Any):
    module = make_module(lm_folder, **options)
    fit(module, tmp_path).save_checkpoint(tmp_path / "a.ckpt")
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert saved["state_dict"].keys() == trained.keys()
    for name, parameter in trained.items():
        assert torch.equal(saved["state_dict"][name], parameter)
    assert not any("frozen_decoder" in name or "base_layer" in name for name in saved["state_dict"])
    assert len(saved["optimizer_states"]) == 1


def test_a_checkpoint_restores_what_trained_over_the_weights_of_the_model(lm_folder: Path, tmp_path: Path):
    module = make_module(lm_folder)
    fit(module, tmp_path).save_checkpoint(tmp_path / "a.ckpt")
    torch.manual_seed(5)
    other = make_module(lm_folder)
    make_trainer(tmp_path).validate(other, collated(make_batch()), ckpt_path=str(tmp_path / "a.ckpt"), verbose=False)
    expected = state(module)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state(other).items())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"num_memory_tokens": 5}, r"encoder\.memory\.rows, \(3, 32\) in the checkpoint and \(5, 32\) here"),
        ({"lora": LoRA(rank=2)}, r"lora_A\.default\.weight, \(4, 48\) in the checkpoint and \(2, 48\) here"),
        ({"lora": LoRA(rank=4, targets=["q_proj"])}, r"lora_A.*, \(4, \d+\) in the checkpoint and absent here"),
        ({"learn_memory_scale": True}, r"encoder\.memory\.scale, absent in the checkpoint and \(1,\) here"),
        (FULL, r"embed_tokens\.weight, absent in the checkpoint and \(\d+, 32\) here"),
    ],
    ids=["k", "rank", "targets", "scale", "full"],
)
def test_a_checkpoint_of_another_configuration_is_refused_by_name(
    lm_folder: Path, tmp_path: Path, options: Any, name: str
):
    fit(make_module(lm_folder), tmp_path).save_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="another configuration") as error:
        make_trainer(tmp_path, 5).fit(make_module(lm_folder, **options), loader(), ckpt_path=str(tmp_path / "a.ckpt"))
    error.match(name)


def test_a_checkpoint_of_another_architecture_is_refused_though_every_name_and_shape_is_the_same(
    lm_folder: Path, tmp_path: Path
):
    mistral = tmp_path / "mistral"
    tokenizer = tiny_tokenizer()
    tiny_lm(tiny_config("mistral", vocab_size=len(tokenizer))).save_pretrained(mistral)
    tokenizer.save_pretrained(mistral)
    fit(make_module(lm_folder), tmp_path).save_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=r"the checkpoint is of a llama model, and .* is a mistral model"):
        make_trainer(tmp_path, 5).fit(make_module(mistral), loader(), ckpt_path=str(tmp_path / "a.ckpt"))


def test_validation_logs_means_over_tokens(lm_folder: Path, tmp_path: Path):
    module = make_module(lm_folder)
    batches = [make_batch(texts=(5, 4), targets=(9, 9)), make_batch(texts=(6,), targets=(2,))]
    (logged,) = make_trainer(tmp_path).validate(module, collated(*batches), verbose=False)
    with torch.no_grad():
        measured = [module.objective.measure(module.encoder, batch) for batch in batches]
    for name in ("loss", "context_recovered", "memory_norm", "memory_correlation"):
        weights = [float(m[name].weight) for m in measured]
        values = [float(m[name].value) for m in measured]
        mean = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
        assert logged[f"val/{name}"] == pytest.approx(mean, rel=1e-5)
    assert [float(m["loss"].weight) for m in measured] == [18, 2]


def test_the_model_is_loaded_once_and_not_before_it_is_needed(lm_folder: Path, tmp_path: Path):
    module = make_module(lm_folder)
    assert not list(module.parameters())
    assert module.tokenizer("fox")["input_ids"][0] == 0
    assert module.max_text_tokens == 61
    module.configure_model()
    encoder = module.encoder
    fit(module, tmp_path, max_steps=1)
    assert module.encoder is encoder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_memory_tokens": 0}, "compression needs memory tokens"),
        ({"num_memory_tokens": 0, "pooling": "mean"}, "compression needs memory tokens"),
        ({"pooling": "memory_meen"}, "unknown pooling 'memory_meen'; did you mean 'memory_mean'"),
        ({"max_length": 4}, "max_length 4 leaves no room"),
        ({"quantization": "4bit", "lora": None}, "4-bit weights cannot train"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused_before_any_weight_is_loaded(lm_folder: Path, options: Any, message: str):
    with pytest.raises(UserError, match=message):
        make_module(lm_folder, **options)


def test_an_encoder_folder_goes_on_with_the_memory_tokens_it_has(lm_folder: Path, tmp_path: Path):
    module = make_module(lm_folder, objective=Continuation())
    fit(module, tmp_path)
    module.encoder.config.stages.append({"stage": "first"})
    module.encoder.save_pretrained(tmp_path / "encoder")
    with pytest.raises(UserError, match="has 3 memory tokens"):
        make_module(tmp_path / "encoder", num_memory_tokens=4)
    second = make_module(tmp_path / "encoder", objective=Continuation())
    second.configure_model()
    assert second.encoder.memory is not None
    assert module.encoder.memory is not None
    assert torch.equal(second.encoder.memory.rows, module.encoder.memory.rows)
    # Its weights are no longer the decoder's: predictions are still those of the model it came from.
    batch = make_batch()
    torch.testing.assert_close(
        Continuation()(second.encoder.eval(), batch), Continuation()(module.encoder.eval(), batch), rtol=1e-5, atol=1e-6
    )


MEASURE = """
import gc, sys
from pathlib import Path
import torch
from llm2comp.backbone.lora import LoRA
from llm2comp.modules import EncoderTraining
from llm2comp.modules.optimization import Optimization
from llm2comp.objectives import Distillation
from tests.objectives.compression.examples import make_batch
from tests.tiny import tiny_config, tiny_lm, tiny_tokenizer

def resident():
    gc.collect()
    return 1024 * int(next(l for l in open("/proc/self/status") if "VmRSS" in l).split()[1])

def parameters(module):
    storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in module.parameters()}
    return sum(storages.values())

def run(folder, lora):
    before = resident()
    module = EncoderTraining(
        folder, Distillation(), lora, Optimization(), num_memory_tokens=3, max_length=64, dtype="float32"
    )
    module.configure_model()
    held = parameters(module)
    if lora is not None:
        for _ in range(2):
            module.objective(module.encoder, make_batch()).backward()
    print(held, resident() - before)

folder, kind = sys.argv[1:]
if kind == "make":
    config = tiny_config(
        hidden_size=512, intermediate_size=2048, num_hidden_layers=6, num_attention_heads=8, tie_word_embeddings=True
    )
    lm = tiny_lm(config)
    lm.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    print(parameters(lm))
else:
    lora = LoRA(rank=4, dropout=0.0) if kind == "lora" else None
    run(folder + "-small", lora)
    run(folder, lora)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_adapters_hold_one_copy_of_the_weights_where_full_training_holds_two(lm_folder: Path, tmp_path: Path):
    """The second run of a process counts: the first, of a small model, brings the code into memory."""
    folder = tmp_path / "lm"
    (tmp_path / "lm-small").symlink_to(lm_folder)

    def measure(kind: str, numbers: int = 2) -> list[float]:
        output = subprocess.run(
            [sys.executable, "-c", MEASURE, str(folder), kind],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return [float(value) for value in output.split()[-numbers:]]

    (weights,) = measure("make", 1)
    assert weights > 80e6  # bytes: large beside all else that a process holds
    held, resident = measure("lora")
    assert 1 < held / weights < 1.05
    assert 0.9 < resident / weights < 1.4  # after steps, so with gradients and what the passes left behind
    held, resident = measure("full")
    assert 2 <= held / weights < 2.05
    assert 1.9 < resident / weights < 2.4
