"""Tokens as the encoder reads them: BOS first, memory tokens last, whatever the tokenizer did of its own accord."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, LlamaTokenizerFast, PreTrainedTokenizerFast

from llm2comp.encoder.tokenization import (
    affixes,
    appending_memory,
    left_pad,
    memory_token_ids,
    memory_token_names,
    start_id,
    starting_with_bos,
    tokenize,
    without_memory,
)
from llm2comp.errors import UserError
from tests.tiny import tiny_tokenizer

TEXTS = ["A short text.", "", "\N{GRINNING FACE} \u05e9\u05dc\u05d5\u05dd", "<|memory_0|> </s> x", " a  b\n"]


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """One whose class makes its post-processor anew each time it is loaded."""
    vocabulary = {token: i for i, token in enumerate(["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))])}
    vocabulary |= {chr(c): len(vocabulary) + i for i, c in enumerate([*range(97, 123), 0x2581])}
    return LlamaTokenizerFast(vocab=vocabulary, merges=[], add_bos_token=True, add_eos_token=False)


def wrapping_tokenizer() -> PreTrainedTokenizerFast:
    """One that puts EOS after every text, has no padding token and a chat template."""
    tokenizer = tiny_tokenizer()
    backend = tokenizer.backend_tokenizer
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    wrapped.chat_template = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    return wrapped


def bare_tokenizer() -> PreTrainedTokenizerFast:
    """One that adds nothing, and has only an EOS."""
    tokenizer = tiny_tokenizer()
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")


TOKENIZERS = {"tiny": tiny_tokenizer, "llama": llama_tokenizer, "wrapping": wrapping_tokenizer, "bare": bare_tokenizer}


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    return TOKENIZERS[request.param]()


def text_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_texts_start_with_bos_and_end_with_nothing(tokenizer: PreTrainedTokenizerFast):
    ours = starting_with_bos(tokenizer)
    for text in TEXTS:
        assert ours(text)["input_ids"] == [start_id(tokenizer), *text_ids(tokenizer, text)]
    assert affixes(ours) == ([start_id(tokenizer)], [])


def test_memory_tokens_stand_after_every_text_truncated_or_not(tokenizer: PreTrainedTokenizerFast):
    ours = appending_memory(tokenizer, 3)
    memory = memory_token_ids(ours, 3)
    assert memory == [len(tokenizer), len(tokenizer) + 1, len(tokenizer) + 2]
    for text in TEXTS[:3] + TEXTS[4:]:
        whole = [start_id(tokenizer), *text_ids(tokenizer, text)]
        assert ours(text)["input_ids"] == whole + memory
        assert ours(text, truncation=True, max_length=6)["input_ids"] == whole[:3] + memory


def test_they_survive_saving_and_loading(tokenizer: PreTrainedTokenizerFast, tmp_path: Path):
    ours = appending_memory(tokenizer, 3)
    ours.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.padding_side == "right"
    assert loaded.chat_template is None
    for text in TEXTS:
        assert loaded(text)["input_ids"] == ours(text)["input_ids"]
        assert loaded(text, truncation=True, max_length=5)["input_ids"][-3:] == memory_token_ids(ours, 3)
    batch = loaded(["a", "a long text"], padding=True)["input_ids"]
    assert len(batch[0]) == len(batch[1])


def test_without_memory_is_the_tokenizer_as_it_was(tokenizer: PreTrainedTokenizerFast, tmp_path: Path):
    appending_memory(tokenizer, 3).save_pretrained(tmp_path)
    plain = without_memory(AutoTokenizer.from_pretrained(tmp_path), 3)
    assert len(plain) == len(tokenizer)
    assert not set(memory_token_names(3)) & set(plain.get_vocab())
    for text in TEXTS:
        assert plain(text)["input_ids"] == [start_id(tokenizer), *text_ids(tokenizer, text)]
        assert plain.decode(text_ids(plain, text)) == tokenizer.decode(text_ids(tokenizer, text))
    assert plain.pad_token_id is not None


def test_the_original_is_left_as_it_is(tokenizer: PreTrainedTokenizerFast):
    before = tokenizer.backend_tokenizer.to_str()
    appending_memory(tokenizer, 3)
    starting_with_bos(tokenizer)
    assert tokenizer.backend_tokenizer.to_str() == before


def test_affixes_are_what_the_tokenizer_adds():
    assert affixes(tiny_tokenizer()) == ([0], [])
    assert affixes(wrapping_tokenizer()) == ([0], [1])
    assert affixes(bare_tokenizer()) == ([], [])


def test_the_first_token_is_bos_or_else_eos():
    assert start_id(tiny_tokenizer()) == 0
    assert start_id(bare_tokenizer()) == 1
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    with pytest.raises(UserError, match="has neither a BOS nor an EOS token"):
        start_id(PreTrainedTokenizerFast(tokenizer_object=backend))


def test_tokenize_cuts_on_the_right_and_keeps_one_token_of_an_empty_text():
    tokenizer = bare_tokenizer()
    rows = tokenize(tokenizer, ["", "a b c d e f"], 4)
    assert rows == [[1], text_ids(tokenizer, "a b c d e f")[:4]]
    assert tokenize(tiny_tokenizer(), ["", "a"], 4) == [[0], [0, *text_ids(tokenizer, "a")]]


def test_left_pad():
    ids, mask = left_pad([[5, 6, 7], [8]], 2)
    assert ids.tolist() == [[5, 6, 7], [2, 2, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert ids.dtype == mask.dtype == torch.long
