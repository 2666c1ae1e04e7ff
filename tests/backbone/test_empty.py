"""A model that is made without memory and filled is the model that is loaded."""

from pathlib import Path

import pytest
import torch

from llm2comp.backbone.empty import fill_lm, is_empty, read_input_embeddings
from llm2comp.backbone.forward import input_embeddings
from llm2comp.backbone.loading import load_lm, prove_lm
from llm2comp.backbone.lora import LoRA, adapters_disabled, add_lora
from llm2comp.backbone.spec import resolve
from tests.tiny import ARCHITECTURES, NO_SDPA, tiny_architecture

# Kept in files otherwise than they are held: transformers joins or renames weights as it reads them.
CONVERTED = {"mixtral", "gpt_neox"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_a_filled_model_is_the_loaded_one(tmp_path: Path, model_type: str, dtype: torch.dtype) -> None:
    tiny_architecture(model_type).save_pretrained(tmp_path, max_shard_size="20KB")
    attention = "eager" if model_type in NO_SDPA else "sdpa"
    spec = resolve(tmp_path)
    loaded = load_lm(spec, dtype, attention)
    lm = load_lm(spec, dtype, attention, empty=True)
    assert is_empty(lm) != (model_type in CONVERTED)
    if is_empty(lm):
        assert all(parameter.is_meta for parameter in lm.parameters())
        torch.testing.assert_close(read_input_embeddings(lm), input_embeddings(loaded).weight, rtol=0, atol=0)
        add_lora(lm, LoRA(rank=2))
        lm._apply(lambda tensor: torch.empty_like(tensor, device="cpu") if tensor.is_meta else tensor)
        lm.tie_weights()
        fill_lm(lm)
    assert not is_empty(lm)
    state = {
        name.replace(".base_layer", ""): tensor for name, tensor in lm.state_dict().items() if ".lora_" not in name
    }
    torch.testing.assert_close(state, dict(loaded.state_dict()), rtol=0, atol=0)
    rounding = 0 if dtype == torch.float32 else 4e-3
    torch.testing.assert_close(dict(lm.named_buffers()), dict(loaded.named_buffers()), rtol=0, atol=rounding)
    with adapters_disabled(lm):
        prove_lm(lm)


def test_adapters_of_an_empty_model_start_as_those_of_a_loaded_one(lm_folder: Path) -> None:
    adapters = []
    for empty in (True, False):
        lm = load_lm(resolve(lm_folder), torch.float32, empty=empty)
        torch.manual_seed(0)
        add_lora(lm, LoRA(rank=2))
        adapters.append({name: p for name, p in lm.named_parameters() if ".lora_" in name})
        assert all(p.is_meta == empty for name, p in lm.named_parameters() if ".lora_" not in name)
    torch.testing.assert_close(*adapters, rtol=0, atol=0)
