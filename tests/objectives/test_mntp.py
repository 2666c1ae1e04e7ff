"""MNTP is its equation, in loss and gradient, and reads each masked token one position earlier."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torchmetrics import MeanMetric

from llm2comp.backbone.attention import Direction, attention_direction
from llm2comp.backbone.backbone import Backbone
from llm2comp.backbone.lora import LoRA
from llm2comp.data.batches import IGNORED, MaskedBatch
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.objectives import MNTP, token_losses
from tests.tiny import randomise_adapters, tiny_architecture, tiny_tokenizer

PAD, BOS, MASK = 2, 0, 5
ARCHITECTURES = ["llama", "qwen3", "gpt_neox", "gemma3_text", "gemma2", "granite", "phi"]


def make_encoder(
    model_type: str = "llama",
    full: bool = False,
    direction: Direction = "bidirectional",
    dtype: torch.dtype = torch.float64,
    rank: int = 4,
    attention: str | None = None,
    **config: Any,
) -> Encoder:
    """An encoder without memory tokens that trains, its adapters away from zero."""
    torch.manual_seed(0)
    lm = tiny_architecture(model_type, attention, **config)
    with torch.no_grad():
        for parameter in lm.parameters():
            parameter *= 4  # at their usual size random states hardly depend on what was read
    backbone = Backbone(lm, direction)
    encoder = Encoder(backbone, tiny_tokenizer(), EncoderConfig(direction=direction))
    backbone.make_trainable(None if full else LoRA(rank, dropout=0.0), keep_decoder=MNTP.needs_decoder)
    randomise_adapters(encoder)
    return encoder.to(dtype)


def make_batch(lengths: tuple[int, ...] = (5, 9, 3), left: int = 0, masked: float = 0.4) -> MaskedBatch:
    """Texts of these lengths after BOS, with more padding than needed, some of their tokens masked."""
    generator = torch.Generator().manual_seed(0)
    width = 1 + max(lengths) + left
    input_ids, attention_mask = torch.full((len(lengths), width), PAD), torch.zeros(len(lengths), width).long()
    labels = torch.full((len(lengths), width), IGNORED)
    for i, length in enumerate(lengths):
        text = torch.randint(6, 256, (length,), generator=generator)
        chosen = torch.rand(length, generator=generator) < masked
        input_ids[i, -length - 1] = BOS
        input_ids[i, -length:] = text.where(~chosen, MASK)
        labels[i, -length:] = text.where(chosen, IGNORED)
        attention_mask[i, -length - 1 :] = 1
    return MaskedBatch(input_ids, attention_mask, labels)


def plain_log_p(encoder: Encoder, batch: MaskedBatch) -> list[tuple[Tensor, int]]:
    """For each masked token the model's own log p [V] one position before it, text by text, and the token."""
    lm, found = encoder.backbone.lm, []
    for ids, mask, labels in zip(batch.input_ids, batch.attention_mask.bool(), batch.labels, strict=True):
        with attention_direction(lm, encoder.config.direction):
            logits = lm(input_ids=ids[mask][None], use_cache=False).logits[0]
        said = enumerate(labels[mask].tolist())
        found += [(logits[i - 1].log_softmax(-1), label) for i, label in said if label != IGNORED]
    return found


def plain_loss(encoder: Encoder, batch: MaskedBatch) -> Tensor:
    return -torch.stack([log_p[label] for log_p, label in plain_log_p(encoder, batch)]).mean()


@pytest.mark.parametrize(
    ("model_type", "direction"),
    [*((name, "bidirectional") for name in ARCHITECTURES), ("llama", "causal")],
)
def test_loss_and_gradient_are_those_of_the_equation(model_type: str, direction: Direction):
    encoder, batch = make_encoder(model_type, direction=direction), make_batch(left=2)
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    expected, loss = plain_loss(encoder, batch), MNTP()(encoder, batch)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-9)
    expected_grads, grads = torch.autograd.grad(expected, trained), torch.autograd.grad(loss, trained)
    assert len(trained) > 5
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert expected_grad.abs().max() > 1e-6
        torch.testing.assert_close(grad, expected_grad, rtol=1e-5, atol=1e-8)


def test_the_states_read_are_those_one_position_before_masked_tokens(monkeypatch: pytest.MonkeyPatch):
    encoder, batch = make_encoder(), make_batch()
    states = torch.randn(*batch.input_ids.shape, 32, dtype=torch.float64, requires_grad=True)
    monkeypatch.setattr(encoder.backbone, "encode", lambda *_: states)
    MNTP()(encoder, batch).backward()
    assert states.grad is not None
    read = states.grad.abs().sum(-1) > 0
    assert torch.equal(read[:, :-1], batch.labels[:, 1:] != IGNORED)
    assert not read[:, -1].any()


def test_padding_and_labels_that_are_not_asked_for_have_no_influence():
    encoder = make_encoder()
    loss = MNTP()(encoder, make_batch(left=0))
    batch = make_batch(left=3)
    torch.testing.assert_close(MNTP()(encoder, batch), loss)
    batch.input_ids[batch.attention_mask == 0] = 77
    torch.testing.assert_close(MNTP()(encoder, batch), loss)


def test_with_bidirectional_attention_what_follows_a_masked_token_counts_and_with_causal_it_does_not():
    batch = make_batch((9,), masked=0.0)
    batch.labels[0, 4] = batch.input_ids[0, 4]
    batch.input_ids[0, 4] = MASK
    changed = copy.deepcopy(batch)
    changed.input_ids[0, 7] += 1
    for direction, same in (("bidirectional", False), ("causal", True)):
        encoder = make_encoder(direction=direction)
        first, second = MNTP()(encoder, batch), MNTP()(encoder, changed)
        assert torch.allclose(first, second, rtol=1e-9) == same


def test_full_training_keeps_the_original_head_where_it_is_tied_to_the_embeddings():
    encoder, batch = make_encoder(full=True, tie_word_embeddings=True), make_batch()
    head = encoder.backbone.lm.get_output_embeddings().weight.detach().clone()
    with torch.no_grad():
        for parameter in encoder.backbone.lm.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    hidden_states, _ = encoder(batch.input_ids, batch.attention_mask)
    masked = batch.labels[:, 1:] != IGNORED
    logits = hidden_states[:, :-1][masked] @ head.T
    expected = torch.nn.functional.cross_entropy(logits, batch.labels[:, 1:][masked])
    torch.testing.assert_close(MNTP()(encoder, batch), expected)
    assert (plain_loss(encoder, batch) - expected).abs() > 1e-3


def test_over_batches_loss_and_accuracy_are_means_over_all_masked_tokens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(token_losses.CHUNK_ELEMENTS, "cpu", 2 * 384)  # two tokens at a time
    encoder, batch = make_encoder(), make_batch((5, 9, 3, 12))
    found = plain_log_p(encoder, batch)
    # Half of the labels become what the model says, so that there are both right and wrong.
    flat = batch.labels.view(-1)
    for place, (log_p, _) in zip((flat != IGNORED).nonzero().flatten()[::2].tolist(), found[::2], strict=True):
        flat[place] = log_p.argmax()
    found = plain_log_p(encoder, batch)
    right = torch.tensor([float(log_p.argmax() == label) for log_p, label in found])
    assert 0.4 < right.mean() < 1
    metrics = {"loss": MeanMetric(), "masked_accuracy": MeanMetric()}
    with torch.no_grad():
        for part in (slice(1), slice(1, None)):
            measured = MNTP().measure(encoder, MaskedBatch(*(getattr(batch, name)[part] for name in vars(batch))))
            assert measured.keys() == metrics.keys()
            for name, metric in metrics.items():
                metric.update(measured[name].value, measured[name].weight)
    expected = plain_loss(encoder, batch).detach()
    torch.testing.assert_close(metrics["loss"].compute().double(), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(metrics["masked_accuracy"].compute(), right.mean())


def test_a_batch_without_masked_tokens_is_a_loss_of_zero_that_trains_nothing():
    encoder, batch = make_encoder(), make_batch(masked=0.0)
    loss = MNTP()(encoder, batch)
    loss.backward()
    assert loss == 0
    assert all(p.grad is None or not p.grad.any() for p in encoder.parameters())
    measured = MNTP().measure(encoder, batch)
    assert [(m.value.item(), m.weight) for m in measured.values()] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("full", [False, True])
def test_a_training_step_is_what_torch_counts(full: bool):
    """Of texts without padding. Attention is a small part of it, and so is a gradient by inputs."""
    wide = {"hidden_size": 128, "intermediate_size": 192, "num_attention_heads": 4, "num_key_value_heads": 4}
    options: dict[str, Any] = {"dtype": torch.float32, "attention": "eager", "num_hidden_layers": 8, **wide}
    encoder, batch = make_encoder(full=full, rank=1, **options), make_batch((30, 30, 30))
    with FlopCounterMode(display=False) as counter:
        MNTP()(encoder, batch).backward()
    assert MNTP().flops(encoder, batch) == pytest.approx(counter.get_total_flops(), rel=0.03)


def test_an_encoder_with_memory_tokens_is_refused():
    with pytest.raises(UserError, match="set num_memory_tokens to 0 and pooling to mean"):
        MNTP().check(EncoderConfig(num_memory_tokens=1))
    MNTP().check(EncoderConfig())


@pytest.mark.parametrize("options", [{"mask_rate": 0.0}, {"mask_style": "none"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]):
    with pytest.raises(UserError, match=next(iter(options))):
        MNTP(**options)
