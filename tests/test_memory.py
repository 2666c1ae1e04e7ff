"""Memory tokens: their rows, where they stand, and the scale the decoder reads them with."""

import pytest
import torch

from llm2comp.memory import MemoryTokens, text_positions

MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1]])


def test_text_positions_count_real_tokens_from_zero():
    expected = [[0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 1, 2], [0, 0, 0, 0, 0, 0]]
    assert text_positions(MASK).tolist() == expected


def test_positions_after_the_text_go_on_counting():
    positions = MemoryTokens(torch.zeros(3, 4), "after").position_ids(MASK)
    assert positions[:, :6].equal(text_positions(MASK))
    assert positions[:, 6:].tolist() == [[6, 7, 8], [3, 4, 5], [1, 2, 3]]


@pytest.mark.parametrize(
    ("k", "length", "expected"),
    [
        (3, 6, [1, 3, 5]),
        (1, 5, [2]),
        (4, 8, [1, 3, 5, 7]),
        (2, 100, [25, 75]),
        (8, 3, [0, 0, 0, 1, 1, 2, 2, 2]),
        (3, 1, [0, 0, 0]),
    ],
)
def test_positions_spread_over_the_text_are_the_middles_of_equal_parts(k: int, length: int, expected: list[int]):
    mask = torch.cat([torch.zeros(1, 5, dtype=torch.long), torch.ones(1, length, dtype=torch.long)], dim=1)
    positions = MemoryTokens(torch.zeros(k, 4), "spread").position_ids(mask)
    assert positions[0, -k:].tolist() == expected
    assert positions[0, 5:-k].tolist() == list(range(length))


def test_the_rows_are_a_copy_in_float32():
    rows = torch.ones(2, 3, dtype=torch.bfloat16)
    memory = MemoryTokens(rows)
    rows.zero_()
    assert memory.rows.dtype == torch.float32
    assert memory.rows.eq(1).all()
    assert memory.rows.requires_grad
    assert len(memory) == 2


def test_new_rows_are_like_the_vocabulary():
    torch.manual_seed(0)
    embeddings = 5 + torch.tensor([0.1, 1.0, 3.0]) * torch.randn(500, 3)
    memory = MemoryTokens.like(embeddings, 4000, "after", None)
    torch.testing.assert_close(memory.rows.mean(0), embeddings.mean(0), rtol=0.05, atol=0)
    torch.testing.assert_close(memory.rows.std(0), embeddings.std(0), rtol=0.05, atol=0)
    assert memory.rows.unique(dim=0).shape[0] == 4000


def test_the_decoder_reads_states_as_they_are_unless_a_scale_is_learned():
    states = torch.randn(2, 3, 4)
    plain = MemoryTokens(torch.zeros(3, 4))
    assert plain.for_decoder(states) is states
    assert [name for name, _ in plain.named_parameters()] == ["rows"]

    scaled = MemoryTokens(torch.zeros(3, 4), scale=0.5)
    torch.testing.assert_close(scaled.for_decoder(states), states / 2)
    scaled.for_decoder(states).sum().backward()
    torch.testing.assert_close(scaled.scale.grad, states.sum()[None])
