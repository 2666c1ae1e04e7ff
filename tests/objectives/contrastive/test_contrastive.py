"""The contrastive objective on a tiny encoder.

Grouping by length and GradCache change neither loss nor gradients; two views of a text differ by dropout alone, in
eager attention and SDPA, and not in evaluation; instructions can be left out of pooling.
"""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from llm2comp.backbone.lora import LoRA
from llm2comp.backbone.spec import resolve
from llm2comp.data.batches import ContrastiveBatch
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.loading import build_encoder
from llm2comp.errors import UserError
from llm2comp.objectives import Contrastive
from llm2comp.objectives.contrastive import contrastive
from llm2comp.objectives.contrastive.embedded import EmbeddedPairs
from llm2comp.objectives.contrastive.info_nce import InfoNCE
from tests.objectives.contrastive.examples import contrastive_batch


def encoder(folder: Path, k: int = 2, attention: str = "eager", dropout: float = 0.0) -> Encoder:
    torch.manual_seed(0)
    config = EncoderConfig(k, "memory_mean" if k else "mean", "bidirectional", max_length=64, base=str(folder))
    built = build_encoder(resolve(folder), config, torch.float32, attention=attention, attention_dropout=dropout)
    built.backbone.make_trainable(LoRA(rank=4, dropout=0.0), keep_decoder=False)
    for name, parameter in built.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return built


def gradients(model: Encoder, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def plain_loss(model: Encoder, batch: ContrastiveBatch) -> Tensor:
    q = batch.num_pairs
    rows = [
        model.embed(batch.input_ids[i : i + 1], batch.attention_mask[i : i + 1])[0] for i in range(len(batch.input_ids))
    ]
    embeddings = torch.stack(rows)
    ids = batch.text_ids
    return InfoNCE()(
        EmbeddedPairs(embeddings[:q], embeddings[q : 2 * q], embeddings[2 * q :], ids[:q], ids[q : 2 * q], ids[2 * q :])
    )


@pytest.mark.parametrize("micro_batch_size", [None, 1, 3, 100])
@pytest.mark.parametrize("k", [0, 2])
def test_groups_and_micro_batches_leave_loss_and_gradients(
    lm_folder: Path, k: int, micro_batch_size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(contrastive.GROUP_TOKENS, "cpu", 20)
    model, batch = encoder(lm_folder, k), contrastive_batch(pairs=4, negatives=3)
    expected = plain_loss(model, batch)
    expected_gradients = gradients(model, expected)
    loss = Contrastive(micro_batch_size=micro_batch_size)(model, batch)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    found = gradients(model, loss)
    assert found.keys() == expected_gradients.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected_gradients[name], rtol=1e-3, atol=1e-6)


def test_groups_hold_no_more_than_their_tokens() -> None:
    lengths = [1, 2, 2, 5, 9, 9, 30]
    sizes = contrastive._group_sizes(lengths, 18)
    assert sum(sizes) == len(lengths)
    groups = torch.tensor(lengths).split(sizes)
    assert all(len(group) * int(group.max()) <= 18 or len(group) == 1 for group in groups)
    assert len(sizes) == 4


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_dropout_makes_the_two_views_and_evaluation_none(lm_folder: Path, attention: str) -> None:
    batch = contrastive_batch(pairs=2, negatives=0)
    ids = torch.cat([batch.input_ids[:2]] * 2)
    mask = torch.cat([batch.attention_mask[:2]] * 2)
    with_dropout, without = (encoder(lm_folder, attention=attention, dropout=p) for p in (0.3, 0.0))
    first, second = with_dropout.embed(ids, mask).chunk(2)
    assert (first - second).abs().max() > 1e-3
    first, second = without.embed(ids, mask).chunk(2)
    torch.testing.assert_close(first, second)
    first, second = with_dropout.eval().embed(ids, mask).chunk(2)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, without.eval().embed(ids, mask)[:2])


def test_tokens_left_out_of_pooling_are_read_but_not_pooled(lm_folder: Path) -> None:
    model, batch = encoder(lm_folder, k=0).eval(), contrastive_batch(pairs=2, negatives=0)
    pooling_mask = batch.attention_mask * (batch.attention_mask.cumsum(-1) > 2)
    row = 0
    hidden_states, _ = model(batch.input_ids[row : row + 1], batch.attention_mask[row : row + 1])
    expected = hidden_states[0][pooling_mask[row].bool()].mean(0)
    found = Contrastive().embed(model, dataclasses.replace(batch, pooling_mask=pooling_mask)).queries[row]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_measures_loss_and_accuracy(lm_folder: Path) -> None:
    model, batch = encoder(lm_folder).eval(), contrastive_batch(pairs=4, negatives=2)
    same = dataclasses.replace(
        batch,
        input_ids=torch.cat([batch.input_ids[:4], batch.input_ids[:4], batch.input_ids[8:]]),
        attention_mask=torch.cat([batch.attention_mask[:4], batch.attention_mask[:4], batch.attention_mask[8:]]),
    )
    with torch.no_grad():
        measured = Contrastive().measure(model, same)
        torch.testing.assert_close(measured["loss"].value, Contrastive()(model, same))
    assert measured["accuracy"].value == 1
    assert measured["accuracy"].weight == 4


def test_micro_batch_size_is_checked() -> None:
    with pytest.raises(UserError, match="micro_batch_size"):
        Contrastive(micro_batch_size=0)
