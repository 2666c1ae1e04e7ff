"""The two roles of a backbone: the encoder sees adapters and direction, the frozen decoder is the original model."""

import copy

import pytest
import torch
from torch import Tensor, nn

from llm2comp.backbone.backbone import Backbone
from llm2comp.backbone.head import lm_head
from llm2comp.backbone.lora import LoRA, is_adapter
from llm2comp.encoder.tokenization import left_pad
from llm2comp.memory import text_positions
from tests.tiny import ARCHITECTURES, EVERY_ATTENTION, randomise_adapters, tiny_architecture, tiny_config, tiny_lm

ROWS = [list(range(3, 13)), list(range(20, 37)), [5], [60, 61, 62]]


def adapted(model_type: str, attention: str | None = None, **overrides) -> tuple[Backbone, nn.Module]:
    """A backbone with adapters that have an effect, and the original model."""
    torch.manual_seed(0)
    lm = tiny_architecture(model_type, attention, **overrides)
    original = copy.deepcopy(lm)
    lm.config.is_causal = False  # as in an exported folder
    backbone = Backbone(lm)
    backbone.make_trainable(LoRA(rank=3, dropout=0.0), keep_decoder=True)
    randomise_adapters(backbone)
    return backbone.eval(), original


def encode(backbone: Backbone, ids: Tensor, mask: Tensor) -> Tensor:
    return backbone.encode(backbone.embed(ids), mask, text_positions(mask))


def decode(backbone: Backbone, ids: Tensor, mask: Tensor) -> Tensor:
    return backbone.decode(backbone.decoder_embed(ids), mask)


@pytest.mark.parametrize(("model_type", "attention"), EVERY_ATTENTION)
@torch.no_grad()
def test_both_roles_of_one_model_in_turn(model_type: str, attention: str):
    backbone, original = adapted(model_type, attention)
    ids, mask = left_pad(ROWS[:2], 2)
    changed = ids.clone()
    changed[:, -1] = 200
    real = mask.bool()[:, :-1]
    for _ in range(2):  # and again after the switch back
        decoded = decode(backbone, ids, mask)
        expected = original.base_model(ids, attention_mask=mask, position_ids=text_positions(mask)).last_hidden_state
        torch.testing.assert_close(decoded, expected, rtol=0, atol=0)
        assert torch.equal(decode(backbone, changed, mask)[:, :-1][real], decoded[:, :-1][real])

        encoded = encode(backbone, ids, mask)
        assert (encoded - decoded).abs().max() > 1e-2
        difference = (encode(backbone, changed, mask) - encoded).abs().amax(-1)
        assert (difference[:, :-1][real] > 1e-5).all()


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_encoding_sees_adapters_in_either_direction(model_type: str):
    backbone, original = adapted(model_type)
    ids, mask = left_pad(ROWS[:1], 2)
    for direction in ("causal", "bidirectional"):
        backbone.direction = direction
        plain = encode(Backbone(original, direction), ids, mask)
        assert (encode(backbone, ids, mask) - plain).abs().max() > 1e-2


SHORT_WINDOWS = {
    name: {"sliding_window": 4} for name in ("mistral", "phi3", "gemma2", "gemma3_text", "olmo3", "cohere2", "exaone4")
}


@pytest.mark.parametrize(
    ("model_type", "attention", "overrides"),
    [(*each, {}) for each in EVERY_ATTENTION]
    + [(*each, SHORT_WINDOWS[each[0]]) for each in EVERY_ATTENTION if each[0] in SHORT_WINDOWS],
)
@torch.no_grad()
def test_states_do_not_depend_on_the_batch(model_type: str, attention: str, overrides: dict):
    backbone, _ = adapted(model_type, attention, **overrides)
    ids, mask = left_pad(ROWS, 2)
    for role in (encode, decode):
        together = role(backbone, ids, mask)
        for row, states in zip(ROWS, together, strict=True):
            alone = role(backbone, *left_pad([row], 2))[0]
            assert (states[-len(row) :] - alone).abs().max() <= 1e-5 * alone.abs().max()


@pytest.mark.parametrize(("model_type", "attention"), [each for each in EVERY_ATTENTION if each[0] in SHORT_WINDOWS])
def test_padding_longer_than_a_window_gives_finite_gradients(model_type: str, attention: str):
    """A padding token then has nothing at all to attend to."""
    backbone, _ = adapted(model_type, attention, sliding_window=4)
    ids, mask = left_pad(ROWS, 2)
    for direction in ("causal", "bidirectional"):
        backbone.direction = direction
        backbone.zero_grad()
        encode(backbone, ids, mask)[mask.bool()].square().sum().backward()
        gradients = [parameter.grad for parameter in backbone.parameters() if parameter.requires_grad]
        assert gradients
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_decoding_passes_the_original_models_gradients_to_its_inputs_alone():
    backbone, original = adapted("llama")
    ids, mask = left_pad(ROWS[:2], 2)
    embeds = backbone.decoder_embed(ids).requires_grad_()
    backbone.decode(embeds, mask)[mask.bool()].pow(3).sum().backward()
    assert not any(parameter.grad is not None for parameter in backbone.parameters())

    plain = original.get_input_embeddings()(ids).detach().requires_grad_()
    states = original.base_model(inputs_embeds=plain, attention_mask=mask, position_ids=text_positions(mask))
    states.last_hidden_state[mask.bool()].pow(3).sum().backward()
    torch.testing.assert_close(embeds.grad, plain.grad)
    assert embeds.grad.abs().max() > 0


def test_encoding_gives_gradients_to_adapters_alone():
    backbone, _ = adapted("llama")
    encode(backbone, *left_pad(ROWS, 2)).square().sum().backward()
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == is_adapter(name)
        assert parameter.grad is None or parameter.grad.abs().max() > 0


def test_the_decoder_has_no_dropout_and_leaves_every_mode_as_it_was():
    torch.manual_seed(0)
    backbone = Backbone(tiny_lm(tiny_config("llama", attention_dropout=0.5)))
    backbone.make_trainable(LoRA(rank=3, dropout=0.5), keep_decoder=True)
    randomise_adapters(backbone)
    backbone.lm.lm_head.eval()
    modes = [module.training for module in backbone.modules()]
    assert set(modes) == {True, False}
    ids, mask = left_pad(ROWS, 2)
    first = decode(backbone, ids, mask)
    assert torch.equal(decode(backbone, ids, mask), first)
    assert [module.training for module in backbone.modules()] == modes
    assert not torch.equal(encode(backbone, ids, mask), encode(backbone, ids, mask))


def distinct_bytes(module: nn.Module) -> int:
    storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in module.parameters()}
    return sum(storages.values())


def test_with_adapters_there_is_one_copy_of_the_weights():
    backbone, original = adapted("llama")
    adapters = sum(p.numel() * 4 for name, p in backbone.named_parameters() if is_adapter(name))
    assert adapters > 0
    assert distinct_bytes(backbone) == distinct_bytes(original) + adapters
    assert backbone.decoder is backbone.lm
    assert backbone.has_adapters
    assert backbone.head.weight.data_ptr() == backbone.lm.lm_head.weight.data_ptr()


@pytest.mark.parametrize("keep_decoder", [False, True])
def test_full_training_keeps_a_frozen_copy_only_when_asked(keep_decoder: bool):
    torch.manual_seed(0)
    lm = tiny_lm(tiny_config("llama")).to(torch.bfloat16)
    original = copy.deepcopy(lm)
    backbone = Backbone(lm)
    backbone.make_trainable(None, keep_decoder)
    assert (backbone.frozen_decoder is not None) == keep_decoder
    assert not backbone.has_adapters
    assert all(parameter.dtype == torch.float32 for parameter in backbone.lm.parameters())
    assert all(parameter.requires_grad for parameter in backbone.lm.base_model.parameters())
    assert not backbone.lm.lm_head.weight.requires_grad  # nothing that is computed hangs on it
    ids, mask = left_pad(ROWS[:1], 2)
    encoded = encode(backbone.train(), ids, mask)
    encoded.float().square().mean().backward()
    assert backbone.lm.model.layers[0].mlp.up_proj.weight.grad.abs().max() > 0
    with torch.no_grad():
        for parameter in backbone.lm.parameters():
            parameter.add_(0.1)
    if keep_decoder:
        assert not any(parameter.requires_grad for parameter in backbone.decoder.parameters())
        expected = original.base_model(ids).last_hidden_state
        torch.testing.assert_close(decode(backbone, ids, mask), expected, rtol=0, atol=0)
        torch.testing.assert_close(backbone.head.weight, lm_head(original).weight, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("model_type", ["llama", "gemma", "gemma2", "gemma3_text", "granite", "xglm"])
def test_embedding_scale_is_what_a_lookup_multiplies_with(model_type: str, dtype: torch.dtype):
    torch.manual_seed(0)
    if model_type == "xglm":
        lm = tiny_lm(tiny_config("xglm", d_model=32, attention_heads=4, num_layers=1, ffn_dim=32), "eager")
    else:
        lm = tiny_architecture(model_type, hidden_size=40)  # a width whose square root bfloat16 rounds
    backbone = Backbone(lm.to(dtype))
    ids = torch.arange(3, 9)
    rows = backbone.lm.get_input_embeddings().weight[ids]
    torch.testing.assert_close(backbone.embed(ids), rows * backbone.embedding_scale, rtol=0, atol=0)


def test_bfloat16_weights_with_float32_adapters_encode_as_the_merged_model():
    torch.manual_seed(0)
    lm = tiny_lm(tiny_config("llama")).to(torch.bfloat16)
    merged = copy.deepcopy(lm)
    backbone = Backbone(lm)
    backbone.make_trainable(LoRA(rank=3, dropout=0.0), keep_decoder=True)
    randomise_adapters(backbone)
    merged.load_state_dict(backbone.merged_state_dict())
    ids, mask = left_pad(ROWS, 2)
    with torch.no_grad():
        first = encode(backbone.eval(), ids, mask)[mask.bool()].float()
        second = encode(Backbone(merged), ids, mask)[mask.bool()].float()
    assert nn.functional.cosine_similarity(first, second).min() > 0.998
