"""The plain implementation computes what ours does: the loss, and the gradients of adapters and memory tokens."""

import pytest
import torch

from benchmarks.compression import plain_batches, text_batches_of
from benchmarks.published_compression import PublishedCompression
from benchmarks.training import LORA, configured
from benchmarks.workbench import Workbench
from llm2comp.modules import EncoderTraining
from llm2comp.objectives import Distillation


@pytest.fixture
def ours(bench: Workbench) -> EncoderTraining:
    return configured(bench.model, Distillation(), "cpu", dtype="float32")


@pytest.fixture
def plain(bench: Workbench, ours: EncoderTraining) -> PublishedCompression:
    """From the same weights, memory tokens and adapters, which have an effect."""
    plain = PublishedCompression(bench.model, torch.float32, LORA)
    plain.start_from(ours.encoder.memory.rows)
    theirs = plain.encoder.get_base_model().state_dict()
    for name, parameter in ours.encoder.backbone.lm.named_parameters():
        if ".lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
            theirs[name].copy_(parameter.detach())
    return plain


def test_the_loss_is_the_same(bench: Workbench, ours: EncoderTraining, plain: PublishedCompression):
    for batch in plain_batches(text_batches_of(bench)):
        assert batch.text_mask.min() == 0  # some texts are padded
        expected = ours.objective(ours.encoder, batch)
        assert expected > 0.01
        torch.testing.assert_close(plain(batch), expected, rtol=1e-4, atol=1e-6)


def test_the_gradients_are_the_same(bench: Workbench, ours: EncoderTraining, plain: PublishedCompression):
    batch = text_batches_of(bench)[0]
    ours.objective(ours.encoder, batch).backward()
    plain(batch).backward()
    theirs = dict(plain.encoder.get_base_model().named_parameters())
    names = [name for name, _ in ours.encoder.backbone.lm.named_parameters() if ".lora_" in name]
    assert names
    for name in names:
        expected = ours.encoder.backbone.lm.get_parameter(name).grad
        assert expected.abs().max() > 0
        torch.testing.assert_close(theirs[name].grad, expected, rtol=1e-3, atol=1e-6)
    rows = plain.encoder.get_input_embeddings().weight.grad[plain.memory_ids]
    torch.testing.assert_close(rows, ours.encoder.memory.rows.grad, rtol=1e-3, atol=1e-6)


def test_every_paragraph_is_trained_on_once(bench: Workbench):
    batches = text_batches_of(bench)
    plain = plain_batches(batches)
    assert sum(batch.num_tokens for batch in plain) == sum(batch.num_tokens for batch in batches)
    assert {len(batch.text_ids) for batch in plain[:-1]} == {4}
