"""Counted operations are those that torch counts, in a pass and in whole training steps."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from llm2comp.backbone.lora import LoRA
from llm2comp.objectives import Continuation, Distillation, Reconstruction, WeightedSum
from llm2comp.objectives.compression import CompressionObjective
from llm2comp.objectives.flops import head_flops, pass_flops
from tests.objectives.compression.examples import make_batch, make_encoder
from tests.tiny import tiny_config, tiny_lm


@pytest.mark.parametrize("model_type", ["llama", "qwen3", "gemma3_text", "gpt_neox", "gpt2"])
def test_a_forward_pass_is_what_torch_counts(model_type: str):
    lm = tiny_lm(tiny_config(model_type), attention="eager")
    lengths = torch.tensor([30, 30, 30])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        states = lm.base_model(torch.full((3, 30), 5), use_cache=False).last_hidden_state
    body = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        lm.get_output_embeddings()(states)
    # Rotary angles are a matrix product too, of width 1.
    assert pass_flops(lm, lengths, causal=False) == pytest.approx(body, rel=0.005)
    assert head_flops(lm, 90) == counter.get_total_flops()


def test_causal_attention_is_counted_half_and_padding_not():
    lm = tiny_lm(tiny_config())
    linear = 2 * 40 * sum(p.numel() for name, p in lm.named_parameters() if "proj" in name)
    attention = 4 * 2 * 32 * (30**2 + 10**2)  # 2 layers, 4 heads of 8
    lengths = torch.tensor([30, 10])
    assert pass_flops(lm, lengths, causal=False) == linear + attention
    assert pass_flops(lm, lengths, causal=True) == linear + attention / 2
    assert pass_flops(lm, lengths, causal=False, backward=1) == 2 * linear + 3 * attention
    assert pass_flops(lm, lengths, causal=False, backward=2) == 3 * linear + 3 * attention


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "objective",
    [Reconstruction(), Continuation(), Distillation(), WeightedSum([Reconstruction(), Distillation()], [1, 1])],
    ids=["reconstruction", "continuation", "distillation", "sum"],
)
def test_a_training_step_is_what_torch_counts(objective: CompressionObjective, full: bool):
    """Of texts without padding. Attention is a small part of it: torch counts causal attention whole."""
    wide = {"hidden_size": 128, "intermediate_size": 192, "num_attention_heads": 4, "num_key_value_heads": 4}
    lora = LoRA(rank=1, dropout=0.0)
    encoder, _ = make_encoder(full=full, lora=lora, dtype=torch.float32, attention="eager", k=4, **wide)
    batch = make_batch(texts=(20, 20, 20), targets=(10, 10, 10))
    with FlopCounterMode(display=False) as counter:
        objective(encoder, batch).backward()
    assert objective.flops(encoder, batch) == pytest.approx(counter.get_total_flops(), rel=0.03)
