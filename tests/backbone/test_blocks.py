"""The decoder layers of every architecture, and running them twice in the role they had."""

from typing import Any

import pytest
import torch

from llm2comp.backbone.backbone import Backbone
from llm2comp.backbone.blocks import checkpoint_blocks, find_blocks
from llm2comp.backbone.lora import LoRA
from llm2comp.errors import UserError
from tests.tiny import ARCHITECTURES, randomise_adapters, tiny_architecture, tiny_config, tiny_lm


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_blocks_hold_all_but_embeddings_head_and_norms(model_type: str) -> None:
    lm = tiny_architecture(model_type)
    blocks = find_blocks(lm)
    assert len(blocks) == 2
    inside = {id(parameter) for parameter in blocks.parameters()}
    outside = [name for name, parameter in lm.named_parameters() if id(parameter) not in inside]
    assert all(any(part in name for part in ("emb", "wte", "wpe", "head", "norm", "ln", "project")) for name in outside)


def test_a_model_without_a_list_of_layers_is_refused() -> None:
    lm = tiny_lm(tiny_config("llama"))
    lm.config.num_hidden_layers = 5
    with pytest.raises(UserError, match=r"llama .* has no list of 5 layers"):
        find_blocks(lm)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("lora", [LoRA(rank=4, dropout=0.3), None])
def test_checkpointed_blocks_are_run_again_in_the_role_they_had(attention: str, lora: LoRA | None) -> None:
    """An encoder's pass, whose states a decoder's pass reads: dropout, adapters and direction differ between them."""

    def gradients(checkpointed: bool) -> list[Any]:
        torch.manual_seed(0)
        backbone = Backbone(tiny_lm(tiny_config("llama", attention_dropout=0.2), attention))
        backbone.make_trainable(lora, keep_decoder=True)
        randomise_adapters(backbone)
        if checkpointed:
            for lm in backbone.language_models:
                checkpoint_blocks(lm)
        ids = torch.arange(3, 15).reshape(2, 6)
        mask = torch.ones_like(ids)
        states = backbone.encode(backbone.embed(ids), mask, mask.cumsum(-1) - 1)
        backbone.decode(states, mask).square().sum().backward()
        return [p.grad for p in backbone.parameters() if p.requires_grad]

    assert any(gradient.abs().max() > 0 for gradient in gradients(False))
    torch.testing.assert_close(gradients(True), gradients(False), rtol=0, atol=0)
