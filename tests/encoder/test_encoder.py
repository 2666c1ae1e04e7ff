"""The encoder in training and evaluation: what it reads, what it returns, and where gradients go."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from llm2comp.backbone.lora import is_adapter
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.tokenization import left_pad
from llm2comp.memory import MemoryTokens
from llm2comp.pooling import pool
from tests.encoder.examples import K, tiny_encoder, tiny_folder

ROWS = [[0, *range(3, 15)], [0, 60, 61, 62]]
# One sliding layer and one full, and sliding layers alone.
WINDOWS = {"mixed": ["sliding_attention", "full_attention"], "sliding": ["sliding_attention", "sliding_attention"]}


@pytest.fixture
def encoder(llama: Path) -> Encoder:
    return tiny_encoder(llama, K)


def test_memory_tokens_are_read_after_the_text(encoder: Encoder):
    ids, mask = left_pad(ROWS, 2)
    hidden_states, full_mask = encoder(ids, mask)
    assert hidden_states.shape == (2, 13 + K, 32)
    assert full_mask.tolist() == [[*row, 1, 1, 1] for row in mask.tolist()]
    torch.testing.assert_close(encoder.compress(ids, mask), hidden_states[:, -K:])
    torch.testing.assert_close(encoder.embed(ids, mask), pool("memory_mean", hidden_states, full_mask, K))


def test_without_memory_tokens_the_text_alone_is_read(llama: Path):
    encoder = tiny_encoder(llama, 0, "mean")
    hidden_states, mask = encoder(*left_pad(ROWS, 2))
    assert hidden_states.shape == (2, 13, 32)
    assert mask.equal(left_pad(ROWS, 2)[1])


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("positions", ["after", "spread"])
def test_every_memory_state_sees_the_text_and_the_other_memory_tokens(llama: Path, positions: str, attention: str):
    encoder = tiny_encoder(llama, K, memory_positions=positions, attention=attention)
    ids, mask = left_pad(ROWS, 2)
    before = encoder.compress(ids, mask)
    for position in (1, 12):
        changed = ids.clone()
        changed[0, position] = 200
        difference = (encoder.compress(changed, mask) - before).abs().amax(-1)
        assert (difference[0] > 1e-5).all()
        assert (difference[1] == 0).all()
    with torch.no_grad():
        encoder.memory.rows[-1] += 1
    assert ((encoder.compress(ids, mask) - before).abs().amax(-1) > 1e-5).all()


def test_positions_matter(llama: Path):
    ids, mask = left_pad(ROWS, 2)
    after, spread = (tiny_encoder(llama, K, memory_positions=p).compress(ids, mask) for p in ("after", "spread"))
    assert (after - spread).abs().max() > 1e-3


@pytest.mark.parametrize("layers", WINDOWS)
@pytest.mark.parametrize("model_type", ["gemma3_text", "olmo3", "cohere2"])
def test_through_short_windows_memory_reads_as_far_as_layers_carry(model_type: str, layers: str, tmp_path: Path):
    """With a full layer the whole text; with windows alone, from the last token as far back as two of them."""
    folder = tiny_folder(tmp_path, model_type, sliding_window=3, layer_types=WINDOWS[layers])
    encoder = tiny_encoder(folder, K)
    ids, mask = left_pad([list(range(3, 19)), [5]], 2)
    reached = []
    with torch.no_grad():
        before = encoder.compress(ids, mask)[0]
        for position in range(16):
            changed = ids.clone()
            changed[0, position] = 200
            if (encoder.compress(changed, mask)[0] - before).abs().max() > 1e-5:
                reached.append(position)
    assert reached == list(range(16) if layers == "mixed" else range(10, 16))


def test_a_causal_encoder_reads_the_text_causally(llama: Path):
    encoder = tiny_encoder(llama, K, direction="causal")
    ids, mask = left_pad(ROWS[:1], 2)
    states, _ = encoder(ids, mask)
    changed = ids.clone()
    changed[0, 6] = 200
    difference = (encoder(changed, mask)[0] - states).abs().amax(-1)[0]
    assert (difference > 1e-5).nonzero().flatten().tolist() == list(range(6, 13 + K))


def reconstruct(encoder: Encoder, ids: Tensor, mask: Tensor) -> Tensor:
    """A scalar of what the frozen decoder makes of the memory states."""
    memory = encoder.compress(ids, mask)
    prefix = torch.cat([encoder.backbone.decoder_embed(ids[:, :1]), encoder.memory.for_decoder(memory)], dim=1)
    return encoder.backbone.decode(prefix, torch.ones(prefix.shape[:2], dtype=torch.long)).square().mean()


@pytest.mark.parametrize("scale", [None, 1.0])
def test_only_adapters_memory_rows_and_scale_get_gradients(llama: Path, scale: float | None):
    encoder = tiny_encoder(llama, K, memory_scale=scale).train()
    reconstruct(encoder, *left_pad(ROWS, 2)).backward()
    trained = {"memory.rows"} | ({"memory.scale"} if scale else set())
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (name in trained or is_adapter(name))
        assert (parameter.grad is not None) == parameter.requires_grad, name
        if parameter.grad is not None:
            assert parameter.grad.isfinite().all()
            assert parameter.grad.abs().max() > 0, name
    assert encoder.memory.rows.grad.abs().amax(-1).min() > 0


def test_a_training_step_learns_through_the_decoder(llama: Path):
    encoder = tiny_encoder(llama, K)
    batch = left_pad(ROWS, 2)
    trained = [p for p in encoder.parameters() if p.requires_grad]
    frozen = {name: p.clone() for name, p in encoder.named_parameters() if not p.requires_grad}
    before = reconstruct(encoder, *batch)
    before.backward()
    lr = 1e-3 / sum(p.grad.square().sum().item() for p in trained)  # to first order, the loss falls by 1e-3
    torch.optim.SGD(trained, lr).step()
    assert (before - reconstruct(encoder, *batch)).item() == pytest.approx(1e-3, rel=0.1)
    for name, parameter in encoder.named_parameters():
        if name in frozen:
            assert parameter.equal(frozen[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("model_type", ["gemma3_text", "gemma"])
def test_memory_rows_are_scaled_as_looked_up_embeddings_are(model_type: str, dtype: torch.dtype, tmp_path: Path):
    """With the rows of vocabulary tokens, memory tokens are read as those tokens are."""
    folder = tiny_folder(tmp_path, model_type, hidden_size=40)
    encoder = tiny_encoder(folder, K, dtype=dtype, pooling="mean")
    tokens = [70, 71, 72]
    rows = encoder.backbone.lm.get_input_embeddings().weight[tokens]
    encoder.memory = MemoryTokens(rows)
    ids, mask = left_pad([ROWS[1]], 2)
    with torch.no_grad():
        as_memory, _ = encoder(ids, mask)
        encoder.memory = None
        as_tokens, _ = encoder(*left_pad([ROWS[1] + tokens], 2))
    torch.testing.assert_close(as_memory, as_tokens, rtol=1e-6, atol=1e-6)


def test_room_for_text(encoder: Encoder):
    assert (encoder.max_length, encoder.num_memory_tokens, encoder.max_text_tokens) == (64, K, 61)
