"""A step as it is on a GPU, without one and, where there is one, on it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from llm2comp.backbone.lora import LoRA
from llm2comp.objectives import MNTP
from llm2comp.objectives.contrastive.contrastive import GROUP_TOKENS
from llm2comp.objectives.token_losses import CHUNK_ELEMENTS
from llm2comp.planning.full_batch import full_batch
from llm2comp.planning.gpu import as_on_gpu
from llm2comp.planning.memory_tracker import MemoryTracker
from llm2comp.planning.shapes_only import shapes_only
from llm2comp.planning.training_step import run_step, step_peaks
from tests.planning.examples import LAYERS, module_of, planned, save_lm

MIB = 2**20


def activations(run: Any) -> int:
    with shapes_only():
        tensors = run()
        with as_on_gpu(), MemoryTracker(0) as tracker:
            kept = tensors()
            live = tracker.live["activations"]
        del kept
    return live


def test_attention_keeps_no_weights_and_a_mask_a_layer():
    """Of [B, heads, T, T] nothing is kept: the output, its logsumexp, and the mask in the type of the queries."""

    def run() -> Any:
        query = torch.randn(2, 8, 1024, 64, requires_grad=True)
        mask = torch.ones(2, 1, 1024, 1024, dtype=torch.bool)
        return lambda: F.scaled_dot_product_attention(query, query, query, attn_mask=mask)

    output, logsumexp, mask = 2 * 8 * 1024 * 64 * 4, 2 * 8 * 1024 * 4, 2 * 1024 * 1024 * 4
    assert activations(run) == pytest.approx(output + logsumexp + mask, abs=1000)


def test_dropout_keeps_a_mask_of_bytes():
    def run() -> Any:
        tensor = torch.randn(MIB, requires_grad=True)
        return lambda: F.dropout(tensor, 0.1, training=True)

    assert activations(run) == 4 * MIB + MIB


@pytest.mark.parametrize("autocast", [True, False])
def test_a_layer_norm_under_autocast_is_in_float32(autocast: bool):
    with as_on_gpu(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        out = nn.LayerNorm(8).to(torch.bfloat16)(torch.randn(2, 8, dtype=torch.bfloat16))
    assert out.dtype == (torch.float32 if autocast else torch.bfloat16)


def test_what_is_computed_at_once_is_what_a_gpu_does_and_all_is_put_back():
    before = dict(CHUNK_ELEMENTS), dict(GROUP_TOKENS), F.dropout, F.layer_norm, F.scaled_dot_product_attention
    with as_on_gpu():
        assert CHUNK_ELEMENTS["cpu"] == CHUNK_ELEMENTS["cuda"]
        assert GROUP_TOKENS["cpu"] == GROUP_TOKENS["cuda"]
    after = dict(CHUNK_ELEMENTS), dict(GROUP_TOKENS), F.dropout, F.layer_norm, F.scaled_dot_product_attention
    assert after == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize(
    "case",
    [
        {},
        {"attention": "eager"},
        {"activation_checkpointing": True},
        {"lora": LoRA(rank=16, alpha=32, dropout=0.05)},
        {"lora": None},
        {"objective": MNTP(), "k": 0},
    ],
    ids=["sdpa", "eager", "checkpointing", "dropout", "all weights", "mntp"],
)
def test_the_gpu_gives_out_as_much(case: dict[str, Any], tmp_path: Path):
    folder = save_lm(tmp_path, hidden_size=1024, intermediate_size=2048, num_attention_heads=16, num_key_value_heads=8)
    options: dict[str, Any] = {
        "attention": "sdpa",
        "dtype": torch.bfloat16,
        "max_length": 512,
        "device": "cuda",
        **case,
    }
    training = planned(folder, **options)
    expected = max(sum(most.values()) for most, _ in step_peaks(training, 8, LAYERS).values())
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    encoder = module_of(training).encoder.cuda()

    def batch() -> Any:
        made = full_batch(training, 8)
        return type(made)(**{name: value.cuda() for name, value in vars(made).items()})

    run_step(encoder, training.objective, batch, MemoryTracker(0, unit=512))
    assert torch.cuda.max_memory_allocated() - before == pytest.approx(expected, rel=0.1)
