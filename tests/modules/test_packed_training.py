"""Training and encoding without padding, against the same with it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from llm2comp.backbone.packing import text_by_text
from llm2comp.modules import EncoderTraining
from llm2comp.objectives import Distillation, Reconstruction, WeightedSum
from tests.modules.test_encoder_training import make_module
from tests.objectives.compression.examples import make_batch
from tests.tiny import CORPUS, randomise_adapters


def loss_and_gradients(module: EncoderTraining) -> tuple[float, dict[str, Tensor]]:
    """Of one batch of unequal lengths, by name of what trains."""
    module.configure_model()
    torch.manual_seed(1)
    randomise_adapters(module)
    loss = module.objective(module.encoder, make_batch(texts=(5, 12, 3), targets=(4, 2, 6)))
    loss.backward()
    return loss.item(), {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("options", [{}, {"activation_checkpointing": True}, {"direction": "causal"}])
@pytest.mark.parametrize("objective", [Distillation(), WeightedSum([Reconstruction(), Distillation()], [0.5, 1.0])])
def test_the_loss_and_its_gradients_are_those_of_padded_batches(
    objective: Any, options: dict[str, Any], lm_folder: Path
):
    padded, padded_grad = loss_and_gradients(make_module(lm_folder, objective=objective, attention="eager", **options))
    packed, packed_grad = loss_and_gradients(make_module(lm_folder, objective=objective, attention="packed", **options))
    assert packed == pytest.approx(padded, rel=1e-4)
    assert packed_grad.keys() == padded_grad.keys()
    for name, gradient in padded_grad.items():
        torch.testing.assert_close(packed_grad[name], gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "last", "memory_mean"])
def test_embeddings_are_those_of_padded_batches(pooling: str, lm_folder: Path):
    embeddings = []
    for attention in ("sdpa", "packed"):
        module = make_module(lm_folder, pooling=pooling, attention=attention)
        module.configure_model()
        embeddings.append(torch.from_numpy(module.encoder.encode([*CORPUS, "Short."])))
    torch.testing.assert_close(*embeddings, rtol=1e-4, atol=1e-5)


def test_the_kernel_gets_one_half_precision_dtype_where_all_weights_train(
    lm_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: set[torch.dtype] = set()

    def spy(*tensors: Any, **options: Any) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            seen.update(each.dtype for each in tensors[:3])
        return text_by_text(*tensors, **options)

    monkeypatch.setattr("llm2comp.backbone.packing.text_by_text", spy)
    loss_and_gradients(make_module(lm_folder, lora=None, dtype="bfloat16", attention="packed"))
    assert seen == {torch.bfloat16}


def test_the_kernel_of_a_gpu_is_proven_before_training(lm_folder: Path, monkeypatch: pytest.MonkeyPatch):
    proven: list[str] = []
    monkeypatch.setattr(EncoderTraining, "prove", lambda module: proven.append(module.attention))
    for device, attention in (("cpu", "packed"), ("cuda", "sdpa"), ("cuda", "packed")):
        module = make_module(lm_folder, attention=attention)
        monkeypatch.setattr(EncoderTraining, "device", torch.device(device))
        module.on_fit_start()
    assert proven == ["packed"]


def test_what_is_proven_before_training_can_be_proven_of_adapters_that_train(lm_folder: Path):
    module = make_module(lm_folder, attention="packed", activation_checkpointing=True)
    module.configure_model()
    module.train()
    module.prove()
    assert module.training
