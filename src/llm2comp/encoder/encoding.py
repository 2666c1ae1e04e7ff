"""Encoding many texts: sorted by length, in batches under a token budget, returned in the order given."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from llm2comp.backbone.forward import evaluation_mode
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.tokenization import left_pad, prompt_tokens, tokenize, without_leading
from llm2comp.errors import UserError, unknown

# Texts tokenised at a time: bounds the memory that token ids take, and lets a long run start at once.
TOKENIZE_AT_ONCE = 50_000
# Padded tokens of a batch. On a CPU, what a layer computes of more no longer fits into the cache.
TOKEN_BUDGET = {"cpu": 1024, "cuda": 65_536}
# What a pass costs however few its tokens, in tokens: reading the weights on a CPU, starting kernels on a GPU.
PASS_TOKENS = {"cpu": 100, "cuda": 4096}


class TokenRow(NamedTuple):
    """The tokens that stand for a text, of which poolings over all tokens leave the first `unpooled` out."""

    input_ids: list[int]
    unpooled: int


# How texts become tokens.
Reader = Callable[[Sequence[str]], list[TokenRow]]


def encode_texts(
    encoder: Encoder,
    texts: str | Sequence[str],
    prompt: str | None = None,
    prompt_name: str | None = None,
    max_length: int | None = None,
    token_budget: int | None = None,
    normalize_embeddings: bool = False,
    convert_to_tensor: bool = False,
    show_progress: bool | None = None,
) -> Any:
    """Float32 embeddings [N, H] of texts, or [H] of one string, as numpy or, on the CPU, torch.

    `prompt`: an instruction before every text, or `prompt_name`: that of this name in the encoder's folder.
    `max_length`: tokens of an input, memory tokens included; longer texts are cut, memory tokens never.
    `token_budget`: padded tokens of a batch at most. `show_progress`: a bar always or never; by default after 5 s.
    Raises UserError naming the index of what is not a string, and for an unknown prompt.
    """
    single = isinstance(texts, str)
    texts = [texts] if isinstance(texts, str) else texts
    k = encoder.num_memory_tokens
    text_tokens = (max_length or encoder.max_length) - k
    if text_tokens < 2:
        raise UserError(f"max_length {max_length} leaves no room for a text beside {k} memory tokens")
    before = _prompt(encoder, prompt, prompt_name)
    unpooled = 0 if encoder.config.pool_instructions else prompt_tokens(encoder.tokenizer, before)

    def read(part: Sequence[str]) -> list[TokenRow]:
        rows = tokenize(encoder.tokenizer, [before + text for text in part], text_tokens)
        return [TokenRow(ids, unpooled) for ids in rows]

    embeddings = embed_texts(encoder, texts, [read], token_budget, show_progress)
    if normalize_embeddings:
        embeddings = F.normalize(embeddings, dim=-1)
    result = embeddings[0] if single else embeddings
    return result if convert_to_tensor else result.numpy()


@torch.no_grad()
def embed_texts(
    encoder: Encoder,
    texts: Sequence[str],
    readers: Sequence[Reader],
    token_budget: int | None = None,
    show_progress: bool | None = None,
) -> Tensor:
    """Embeddings [N, H] of texts in float32 on the CPU: for each text, the mean over the ways of reading it.

    Raises UserError naming the index of what is not a string.
    """
    check_texts(texts)
    device = encoder.backbone.device
    kind = device.type if device.type in TOKEN_BUDGET else "cpu"
    budget, pass_tokens = token_budget or TOKEN_BUDGET[kind], PASS_TOKENS[kind]
    embeddings = torch.zeros(len(texts), encoder.backbone.hidden_size, dtype=torch.float32)
    with evaluation_mode(encoder), progress_bar(len(texts) * len(readers), show_progress) as bar:
        for read in readers:
            for indices, rows in _batches(texts, read, encoder.num_memory_tokens, budget, pass_tokens):
                ids, mask = left_pad([row.input_ids for row in rows], encoder.tokenizer.pad_token_id or 0)
                pooled = without_leading(mask, torch.tensor([row.unpooled for row in rows]))
                embeddings[indices] += encoder.embed(ids.to(device), mask.to(device), pooled.to(device)).cpu()
                bar.update(len(rows))
    return embeddings / len(readers)


def check_texts(texts: Sequence[str]) -> None:
    """Raise UserError naming the index of what is not a string, and for one string in place of several."""
    if isinstance(texts, str):
        raise UserError("texts is one string; give a list of strings")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(f"texts[{i}] is {type(text).__name__}, not a string")


def progress_bar(total: int, show_progress: bool | None) -> tqdm:
    """A bar over texts: always, never or, for None, after 5 seconds."""
    delay = 0 if show_progress else 5
    return tqdm(total=total, unit="text", desc="Encoding", disable=show_progress is False, delay=delay)


def _prompt(encoder: Encoder, prompt: str | None, prompt_name: str | None) -> str:
    if prompt_name is None:
        return prompt or ""
    if prompt_name not in encoder.config.prompts:
        raise unknown("prompt", prompt_name, encoder.config.prompts or ["(this encoder has none)"])
    return encoder.config.prompts[prompt_name]


def _batches(
    texts: Sequence[str], read: Reader, num_memory_tokens: int, budget: int, pass_tokens: int
) -> Iterator[tuple[list[int], list[TokenRow]]]:
    """Indices and tokens of batches of texts of like length, longest first so that memory peaks at once."""
    for start in range(0, len(texts), TOKENIZE_AT_ONCE):
        rows = read(texts[start : start + TOKENIZE_AT_ONCE])
        order = np.argsort([-len(row.input_ids) for row in rows], kind="stable")
        lengths = [len(rows[i].input_ids) + num_memory_tokens for i in order]
        first = 0
        while first < len(order):
            count = _batch_size(lengths[first : first + budget], budget, pass_tokens)
            chosen = order[first : first + count]
            yield [start + int(i) for i in chosen], [rows[i] for i in chosen]
            first += count


def _batch_size(lengths: Sequence[int], budget: int, pass_tokens: int) -> int:
    """How many of the descending lengths to read together: what the budget holds, at least one.

    Fewer where the padding would come to cost more than another pass.
    """
    longest, padding = lengths[0], 0
    for count, length in enumerate(lengths):
        padding += longest - length
        if count and ((count + 1) * longest > budget or padding > pass_tokens):
            return count
    return len(lengths)
