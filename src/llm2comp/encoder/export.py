"""Writing an encoder folder: one that transformers, sentence-transformers and this package open."""

import copy
import dataclasses
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from llm2comp.backbone.forward import input_embeddings
from llm2comp.encoder.card import model_card
from llm2comp.encoder.config import FILE_NAME
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.sentence_transformers import write_modules
from llm2comp.encoder.tokenization import appending_memory, memory_token_ids
from llm2comp.errors import UserError


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write the encoder with its adapters merged and its memory tokens as rows of the vocabulary.

    The folder appears whole or not at all; one that it replaces is whole until then. Raises UserError if it holds
    something else, or cannot be written.
    """
    folder = folder.resolve()
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / FILE_NAME).is_file()):
        raise UserError(f"{folder} exists and is not an encoder folder; name another, or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            new, old = Path(temporary, "new"), Path(temporary, "old")
            new.mkdir()
            _write(encoder, new)
            if folder.exists():
                os.replace(folder, old)
            try:
                os.replace(new, folder)
            except OSError:
                if old.exists():
                    os.replace(old, folder)
                raise
    except (OSError, SafetensorError) as error:
        raise UserError(f"the encoder could not be written to {folder}: {error}") from error


def _write(encoder: Encoder, folder: Path) -> None:
    k = encoder.num_memory_tokens
    tokenizer = appending_memory(encoder.tokenizer, k) if k else copy.deepcopy(encoder.tokenizer)
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.model_max_length = encoder.max_length
    tokenizer.padding_side = "right"
    tokenizer.chat_template = None
    exported_lm(encoder, memory_token_ids(tokenizer, k)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = encoder.config
    if encoder.memory is not None and encoder.memory.scale is not None:
        config = dataclasses.replace(config, memory_scale=encoder.memory.scale.item())
    config.save(folder)
    write_modules(config, tokenizer, encoder.backbone.hidden_size, folder)
    (folder / "README.md").write_text(model_card(config), encoding="utf-8")


@torch.no_grad()
def exported_lm(encoder: Encoder, memory_ids: list[int]) -> PreTrainedModel:
    """The encoder's language model, to be saved: adapters merged, memory tokens in the vocabulary.

    `encoder` is left as it is. `memory_ids`: the tokens whose rows the memory tokens take; where a vocabulary holds
    more rows than its tokenizer has tokens, they are among those, and elsewhere it grows.
    """
    config = copy.deepcopy(encoder.backbone.lm.config)
    config.is_causal = encoder.config.direction == "causal"
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(encoder.backbone.merged_state_dict(), assign=True, strict=False)
    plain.tie_weights()
    assert not any(parameter.is_meta for parameter in plain.parameters())
    if encoder.memory is not None:
        _put_rows(plain, memory_ids, encoder.memory.rows.detach())
    return plain


def _put_rows(lm: PreTrainedModel, ids: list[int], rows: Tensor) -> None:
    """Set the input embeddings of the tokens `ids` in new tensors, as the old are shared with the encoder."""
    vocabulary = input_embeddings(lm).num_embeddings
    lm.resize_token_embeddings(max(vocabulary, ids[-1] + 1), mean_resizing=False)
    embeddings = input_embeddings(lm)
    weight = embeddings.weight.clone()
    weight[ids] = rows.to(weight)
    embeddings.weight = nn.Parameter(weight)
    lm.tie_weights()
    head = lm.get_output_embeddings()
    if head.weight is not embeddings.weight:
        head.weight[vocabulary:] = 0  # no memory token is ever predicted
