"""Which token is predicted from which position, by student and teacher, however the batch is padded."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from llm2comp.backbone.lora import LoRA
from llm2comp.data.batches import CompressionBatch
from llm2comp.objectives.compression.decoding import Decoding, to_right_padded
from tests.objectives.compression.examples import (
    ARCHITECTURES,
    BOS,
    PAD,
    make_batch,
    make_encoder,
    plain_examples,
    rows,
)

PASSES = ["continuation", "reconstruction", "teacher", "without_context"]


def changed(before: Tensor, after: Tensor) -> list[bool]:
    """Which states [N, H] differ."""
    return ((before - after).abs().amax(-1) > 1e-9).tolist()


def edited(batch: CompressionBatch, field: str, row: int, column: int) -> CompressionBatch:
    ids = getattr(batch, field).clone()
    assert ids[row, column] not in (PAD, BOS)
    ids[row, column] = 3 + (ids[row, column] - 2) % 253
    return replace(batch, **{field: ids})


# Eager attention has no float64: its softmax is always taken in float32.
@pytest.mark.parametrize(
    ("attention", "dtype", "tolerance"), [("sdpa", torch.float64, 1e-10), ("eager", torch.float32, 1e-4)]
)
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_states_are_those_of_a_loop_over_examples_without_padding(
    model_type: str, attention: str, dtype: torch.dtype, tolerance: float
):
    encoder, original = make_encoder(model_type, attention=attention, dtype=dtype)
    batch = make_batch(left=2, right=1)
    decoding = Decoding(encoder, batch)
    plain = plain_examples(encoder, original, batch)
    close = {"rtol": tolerance, "atol": tolerance}
    torch.testing.assert_close(decoding.memory, torch.stack([p.memory for p in plain]), **close)
    for name in PASSES:
        log_p = decoding.head.logits(getattr(decoding, name).hidden_states).log_softmax(-1)
        torch.testing.assert_close(log_p, torch.cat([getattr(p, name) for p in plain]), **close)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
@pytest.mark.parametrize("name", ["continuation", "teacher", "without_context"])
def test_a_target_token_is_seen_by_the_predictions_after_it_alone(model_type: str, name: str):
    encoder, _ = make_encoder(model_type)
    batch = make_batch()  # targets of 4, 2 and 6 tokens
    before = getattr(Decoding(encoder, batch), name).hidden_states
    for t in range(4):
        after = getattr(Decoding(encoder, edited(batch, "target_ids", 0, t)), name).hidden_states
        assert changed(before, after) == [i > t for i in range(4)] + [False] * 8


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_a_text_token_is_seen_by_teacher_and_student_and_not_without_context(model_type: str):
    encoder, _ = make_encoder(model_type)
    batch = make_batch()
    before = Decoding(encoder, batch)
    for column in (-1, -5):  # the last token of the first text, and its first
        after = Decoding(encoder, edited(batch, "text_ids", 0, column))
        first_row = [True] * 4 + [False] * 8
        assert changed(before.memory.flatten(1), after.memory.flatten(1)) == [True, False, False]
        assert changed(before.continuation.hidden_states, after.continuation.hidden_states) == first_row
        assert changed(before.teacher.hidden_states, after.teacher.hidden_states) == first_row
        assert changed(before.without_context.hidden_states, after.without_context.hidden_states) == [False] * 12


def test_the_reconstruction_sees_only_the_tokens_before_beside_the_memory():
    encoder, _ = make_encoder()
    batch = make_batch()
    before, after = Decoding(encoder, batch), Decoding(encoder, edited(batch, "text_ids", 0, -3))  # text[2] of 5
    after.__dict__["memory"] = before.memory
    expected = [i > 2 for i in range(5)] + [False] * 11
    assert changed(before.reconstruction.hidden_states, after.reconstruction.hidden_states) == expected


@pytest.mark.parametrize("model_type", ARCHITECTURES)
@pytest.mark.parametrize(("left", "right"), [(3, 0), (0, 4), (2, 5)])
def test_padding_changes_nothing(model_type: str, left: int, right: int):
    encoder, _ = make_encoder(model_type)
    tight, loose = Decoding(encoder, make_batch()), Decoding(encoder, make_batch(left=left, right=right))
    torch.testing.assert_close(tight.memory, loose.memory, rtol=1e-5, atol=1e-5)
    for name in PASSES:
        a, b = getattr(tight, name), getattr(loose, name)
        torch.testing.assert_close(a.hidden_states, b.hidden_states, rtol=1e-5, atol=1e-5)
        assert torch.equal(a.labels, b.labels)


def test_what_stands_in_the_padding_is_never_read():
    encoder, _ = make_encoder()
    batch = make_batch(left=2, right=2)
    noisy = replace(
        batch,
        text_ids=torch.where(batch.text_mask.bool(), batch.text_ids, 77),
        target_ids=torch.where(batch.target_mask.bool(), batch.target_ids, 99),
    )
    for name in PASSES:
        a, b = getattr(Decoding(encoder, batch), name), getattr(Decoding(encoder, noisy), name)
        torch.testing.assert_close(a.hidden_states, b.hidden_states)
        assert torch.equal(a.labels, b.labels)


def test_the_predicted_tokens_are_those_of_text_and_target_in_order_and_no_others():
    encoder, _ = make_encoder()
    batch = make_batch(left=1, right=2)
    decoding = Decoding(encoder, batch)
    texts = torch.cat([text[1:] for text, _ in rows(batch)])
    targets = torch.cat([target for _, target in rows(batch)])
    assert torch.equal(decoding.reconstruction.labels, texts)
    assert len(texts) == 5 + 8 + 3
    for name in ("continuation", "teacher", "without_context"):
        assert torch.equal(getattr(decoding, name).labels, targets)
    for name in PASSES:
        predictions = getattr(decoding, name)
        assert len(predictions.hidden_states) == len(predictions.labels)
        assert not {PAD, BOS} & set(predictions.labels.tolist())


@pytest.mark.parametrize("k", [1, 5])
def test_any_number_of_memory_tokens(k: int):
    encoder, original = make_encoder(k=k)
    batch = make_batch()
    log_p = Decoding(encoder, batch).head.logits(Decoding(encoder, batch).reconstruction.hidden_states).log_softmax(-1)
    expected = torch.cat([p.reconstruction for p in plain_examples(encoder, original, batch)])
    torch.testing.assert_close(log_p, expected)


def test_the_decoder_reads_memory_states_as_they_are_or_times_a_learned_scale():
    encoder, original = make_encoder(scale=0.3)
    batch = make_batch()
    decoding = Decoding(encoder, batch)
    expected = torch.cat([p.continuation for p in plain_examples(encoder, original, batch)])
    torch.testing.assert_close(decoding.head.logits(decoding.continuation.hidden_states).log_softmax(-1), expected)
    decoding.continuation.hidden_states.sum().backward()
    assert encoder.memory is not None
    assert encoder.memory.scale is not None
    assert encoder.memory.scale.grad is not None
    assert encoder.memory.scale.grad.abs() > 0


def test_decoder_and_teacher_have_no_dropout_while_the_encoder_has():
    encoder, _ = make_encoder("gpt2", lora=LoRA(rank=4, dropout=0.3), attn_pdrop=0.3, resid_pdrop=0.3, embd_pdrop=0.3)
    encoder.train()
    batch = make_batch()
    memory = encoder.compress(batch.text_ids, batch.text_mask)
    assert not torch.allclose(memory, encoder.compress(batch.text_ids, batch.text_mask))

    def run(name: str) -> Tensor:
        decoding = Decoding(encoder, batch)
        decoding.__dict__["memory"] = memory
        return getattr(decoding, name).hidden_states

    training = {name: run(name) for name in PASSES}
    for name in PASSES:
        assert torch.equal(training[name], run(name))
    assert all(module.training for module in encoder.modules())
    encoder.eval()
    for name in PASSES:
        assert torch.equal(training[name], run(name))


def test_adapters_take_no_part_in_decoder_and_teacher():
    encoder, _ = make_encoder()
    batch = make_batch()
    memory = encoder.compress(batch.text_ids, batch.text_mask).detach()

    def run(name: str) -> Tensor:
        decoding = Decoding(encoder, batch)
        decoding.__dict__["memory"] = memory
        return getattr(decoding, name).hidden_states

    before = {name: run(name) for name in PASSES}
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "lora_" in name:
                parameter += 1
    assert not torch.allclose(memory, encoder.compress(batch.text_ids, batch.text_mask))
    for name in PASSES:
        assert torch.equal(before[name], run(name))


@pytest.mark.parametrize("full", [False, True])
def test_only_the_student_has_a_gradient_and_it_reaches_everything_that_trains(full: bool):
    encoder, original = make_encoder(full=full)
    decoding = Decoding(encoder, make_batch())
    assert not decoding.teacher.hidden_states.requires_grad
    assert not decoding.without_context.hidden_states.requires_grad
    (decoding.continuation.hidden_states.sum() + decoding.reconstruction.hidden_states.sum()).backward()
    got = {name: p.grad is not None and bool(p.grad.abs().sum() > 0) for name, p in encoder.named_parameters()}
    trains = {name: p.requires_grad for name, p in encoder.named_parameters()}
    if full:
        # The head of the trained copy has no part in the loss: the frozen one's is used.
        got["backbone.lm.lm_head.weight"] = trains["backbone.lm.lm_head.weight"]
    assert got == trains
    assert trains["memory.rows"]
    for name, parameter in encoder.backbone.decoder.named_parameters():
        if "lora_" not in name:
            assert torch.equal(parameter, original.get_parameter(name.replace(".base_layer", "")))


def test_each_pass_is_made_once_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch):
    encoder, _ = make_encoder()
    calls = count(encoder.backbone, monkeypatch)
    decoding = Decoding(encoder, make_batch())
    assert calls == {"encode": 0, "decode": 0}
    for _ in range(2):
        assert decoding.memory is not None
        assert calls == {"encode": 1, "decode": 0}
    for _ in range(2):
        for name in PASSES:
            getattr(decoding, name)
    assert calls == {"encode": 1, "decode": 4}


def count(backbone: nn.Module, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the backbone was run in each role, from now on."""
    calls = {"encode": 0, "decode": 0}

    def counting(name: str, run: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def counted(*arguments: Tensor) -> Tensor:
            calls[name] += 1
            return run(*arguments)

        return counted

    for name in calls:
        monkeypatch.setattr(backbone, name, counting(name, getattr(backbone, name)))
    return calls


def test_to_right_padded():
    ids = torch.tensor([[9, 9, 1, 2], [1, 2, 3, 4], [9, 9, 9, 5]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1]])
    moved, moved_mask = to_right_padded(ids, mask)
    assert moved.tolist() == [[1, 2, 9, 9], [1, 2, 3, 4], [5, 9, 9, 9]]
    assert moved_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]
