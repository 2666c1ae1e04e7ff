"""Writing an encoder folder: one that transformers, sentence-transformers and this package open."""

import copy
import dataclasses
import os
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from llm2comp.encoder.card import model_card
from llm2comp.encoder.config import FILE_NAME
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.sentence_transformers import write_modules
from llm2comp.encoder.tokenization import appending_memory
from llm2comp.errors import UserError


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write the encoder with its adapters merged and its memory tokens as rows of the vocabulary.

    The folder appears whole or not at all. Raises UserError if it holds something else, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / FILE_NAME).is_file():
        raise UserError(f"{folder} exists and is not an encoder folder; name another, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        _write(encoder, temporary)
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except OSError as error:
        raise UserError(f"the encoder could not be written to {folder}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(encoder: Encoder, folder: Path) -> None:
    k = encoder.num_memory_tokens
    tokenizer = appending_memory(encoder.tokenizer, k) if k else copy.deepcopy(encoder.tokenizer)
    tokenizer.model_max_length = encoder.max_length
    tokenizer.padding_side = "left"
    tokenizer.chat_template = None
    exported_lm(encoder).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = encoder.config
    if encoder.memory is not None and encoder.memory.scale is not None:
        config = dataclasses.replace(config, memory_scale=encoder.memory.scale.item())
    config.save(folder)
    write_modules(config, tokenizer, encoder.backbone.hidden_size, folder)
    (folder / "README.md").write_text(model_card(config), encoding="utf-8")


@torch.no_grad()
def exported_lm(encoder: Encoder) -> PreTrainedModel:
    """The encoder's language model with adapters merged and k more rows in its vocabulary; `encoder` is left as it is."""
    lm = encoder.backbone.lm
    config = copy.deepcopy(lm.config)
    config.is_causal = encoder.config.direction == "causal"
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(encoder.backbone.merged_state_dict(), assign=True, strict=False)
    plain.tie_weights()
    if encoder.memory is not None:
        rows = encoder.memory.rows.detach()
        vocabulary = plain.get_input_embeddings().weight.shape[0]
        plain.resize_token_embeddings(vocabulary + len(rows), mean_resizing=False)
        weight = plain.get_input_embeddings().weight
        weight[vocabulary:] = rows.to(weight)
    return plain
