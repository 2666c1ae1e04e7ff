"""What an encoder folder says of itself: checked when made, the same when read back."""

from pathlib import Path

import pytest

from llm2comp.encoder.config import FILE_NAME, EncoderConfig
from llm2comp.errors import UserError


def test_it_is_read_back_as_it_was(tmp_path: Path):
    config = EncoderConfig(
        num_memory_tokens=4,
        pooling="memory_cluster",
        direction="bidirectional",
        memory_positions="spread",
        memory_scale=0.5,
        max_length=128,
        base="embedded:smollm2-135m",
        stages=[{"stage": "pretrain_compress", "steps": 20}],
    )
    config.save(tmp_path)
    assert EncoderConfig.load(tmp_path) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_memory_tokens": -1}, "num_memory_tokens must be 0 or more, not -1"),
        ({"num_memory_tokens": 8, "max_length": 9}, "max_length 9 leaves no room for a text beside 8 memory tokens"),
        ({"direction": "bidirectonal"}, "unknown direction 'bidirectonal'; did you mean 'bidirectional'"),
        ({"memory_positions": "before"}, "unknown memory_positions 'before'"),
        ({"pooling": "meen"}, "unknown pooling 'meen'; did you mean 'mean'"),
        ({"pooling": "memory_mean"}, "pooling 'memory_mean' needs memory tokens"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        EncoderConfig(**options)


def test_the_smallest_room_for_a_text_is_two_tokens():
    assert EncoderConfig(num_memory_tokens=8, max_length=10).max_length == 10


@pytest.mark.parametrize("content", ["{", '{"unheard_of": 1}', '{"max_length": "long"}', "[]", "\xff"])
def test_a_file_that_is_none_of_ours_is_named(content: str, tmp_path: Path):
    (tmp_path / FILE_NAME).write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=f"{FILE_NAME} is not an encoder's description"):
        EncoderConfig.load(tmp_path)
