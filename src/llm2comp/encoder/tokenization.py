"""Tokens of a text as the encoder reads them, and tokenizers that append the memory tokens themselves."""

from collections.abc import Sequence

import torch
from tokenizers import AddedToken, processors
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from llm2comp.errors import UserError


def start_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token every text starts with: BOS, or, where the model has none, the EOS that parts its documents."""
    for token_id in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token_id is not None:
            return token_id
    raise UserError(f"the tokenizer {tokenizer.name_or_path} has neither a BOS nor an EOS token")


def affixes(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer itself puts before and after a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    before = next(i for i in range(len(full)) if full[i : i + len(plain)] == plain)
    return full[:before], full[before + len(plain) :]


def starting_with_bos(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerFast:
    """A tokenizer that reads every text as [BOS, text], as an encoder with memory tokens and its decoder do."""
    return _with_template(tokenizer, [], padding_side="left")


def memory_token_names(k: int) -> list[str]:
    """The names of the memory tokens in an exported vocabulary."""
    return [f"<|memory_{i}|>" for i in range(k)]


def memory_token_ids(tokenizer: PreTrainedTokenizerBase, k: int) -> list[int]:
    """The ids of the memory tokens in a tokenizer made by `appending_memory`."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[name] for name in memory_token_names(k)]


def appending_memory(tokenizer: PreTrainedTokenizerBase, k: int) -> PreTrainedTokenizerFast:
    """A tokenizer with k new tokens that it appends to every text, [BOS, text, m_1..m_k], truncated or not.

    It pads on the right, where sentence-transformers and transformers, who count positions from the left edge, read
    a text as they do without padding. A text that spells out a name, `<|memory_0|>`, is read as that token, as with all
    special tokens of a tokenizer; the `Encoder`, whose tokenizer does not know the names, reads it as plain text.
    """
    return _with_template(tokenizer, memory_token_names(k), padding_side="right")


def _with_template(tokenizer: PreTrainedTokenizerBase, memory: list[str], padding_side: str) -> PreTrainedTokenizerFast:
    backend = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in memory])
    start = backend.id_to_token(start_id(tokenizer))
    special = [(name, backend.token_to_id(name)) for name in (start, *memory)]
    backend.post_processor = processors.TemplateProcessing(single=[start, "$A", *memory], special_tokens=special)
    # Neither the class of the original, which may rebuild its own template when loaded, nor its chat template, with
    # which sentence-transformers would wrap every text and cut the memory tokens off.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        unk_token=tokenizer.unk_token,
        pad_token=tokenizer.pad_token or tokenizer.eos_token or start,
        padding_side=padding_side,
        truncation_side="right",
        clean_up_tokenization_spaces=False,
    )


def without_memory(tokenizer: PreTrainedTokenizerBase, k: int) -> PreTrainedTokenizerFast:
    """The tokenizer [BOS, text] under one made by `appending_memory`."""
    import json

    names = set(memory_token_names(k))
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] not in names]
    content["post_processor"] = None
    backend = type(tokenizer.backend_tokenizer).from_str(json.dumps(content))
    plain = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        unk_token=tokenizer.unk_token,
        pad_token=tokenizer.pad_token,
    )
    return starting_with_bos(plain)


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of each text with the tokenizer's special tokens, at most `max_length`; an empty text keeps one."""
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)["input_ids"]
    return [ids or [start_id(tokenizer)] for ids in encoded]


def left_pad(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] with padding on the left, and their mask [B, T]."""
    length = max(len(row) for row in rows)
    ids = torch.full((len(rows), length), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, length - len(row) :] = torch.tensor(row, dtype=torch.long)
        mask[i, length - len(row) :] = 1
    return ids, mask


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str) -> int:
    """How many tokens at the start of an input are a prompt's, those before it included; 0 for no prompt."""
    if not prompt:
        return 0
    _, after = affixes(tokenizer)
    return len(tokenizer(prompt)["input_ids"]) - len(after)


def without_leading(mask: Tensor, counts: Tensor) -> Tensor:
    """A left-padded mask [B, T] without the first `counts` [B] real tokens of each row; the last token always stays."""
    kept = mask.cumsum(-1) > counts[:, None]
    kept[:, -1] = True
    return mask * kept
