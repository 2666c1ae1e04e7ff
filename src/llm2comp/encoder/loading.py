"""Loading an encoder: from a folder of ours, or from any decoder-only language model."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from llm2comp.backbone.attention import Direction
from llm2comp.backbone.backbone import Backbone
from llm2comp.backbone.empty import read_input_embeddings
from llm2comp.backbone.loading import Precision, Quantization, fast_dtype, load_lm, load_tokenizer
from llm2comp.backbone.spec import ModelSpec, resolve
from llm2comp.encoder.config import FILE_NAME, EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.naming import display_name
from llm2comp.encoder.tokenization import memory_token_ids, starting_with_bos, without_memory
from llm2comp.errors import UserError
from llm2comp.memory import MemoryTokens


def load_encoder(
    name: str | Path,
    dtype: Precision = "auto",
    pooling: str | None = None,
    max_length: int | None = None,
    direction: Direction | None = None,
    device: str | torch.device | None = None,
) -> Encoder:
    """An encoder ready to encode: an encoder folder, or a bare language model (k = 0, causal, mean pooling).

    `pooling`, `max_length` and `direction` replace what the folder says. Raises UserError for a model that is not
    there or cannot be an encoder.
    """
    spec = resolve(name)
    config = load_encoder_config(spec)
    changes = {"pooling": pooling, "max_length": max_length, "direction": direction}
    config = EncoderConfig(**{**vars(config), **{k: v for k, v in changes.items() if v is not None}})
    encoder = build_encoder(spec, config, fast_dtype(dtype))
    return encoder.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()


def load_encoder_config(spec: ModelSpec) -> EncoderConfig:
    """The folder's own description, or that of a bare language model."""
    folder = Path(spec.path)
    if (folder / FILE_NAME).is_file():
        return EncoderConfig.load(folder)
    return EncoderConfig(base=spec.name)


def load_encoder_tokenizer(spec: ModelSpec, config: EncoderConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of texts: [BOS, text] for an encoder with memory tokens, the model's own for one without."""
    tokenizer = load_tokenizer(spec)
    stored = load_encoder_config(spec).num_memory_tokens
    if stored:
        tokenizer = without_memory(tokenizer, stored)
    elif config.num_memory_tokens:
        tokenizer = starting_with_bos(tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.bos_token
    return tokenizer


def build_encoder(
    spec: ModelSpec,
    config: EncoderConfig,
    dtype: torch.dtype,
    attention: str | None = None,
    quantization: Quantization | None = None,
    with_decoder: bool = False,
    attention_dropout: float = 0.0,
    empty: bool = False,
) -> Encoder:
    """The encoder that `config` describes on the weights of `spec`; memory tokens new to it start at random.

    `with_decoder`: the frozen decoder will be needed. An encoder folder's weights are no longer the decoder's, so the
    language model it came from is loaded beside it. `empty`: as in `load_lm`.
    """
    stored = load_encoder_config(spec)
    lm = load_lm(spec, dtype, attention, quantization, attention_dropout, empty)
    _check_length(lm, config.max_length)
    memory = None
    if stored.num_memory_tokens:
        rows = _memory_rows(lm, load_tokenizer(spec), stored.num_memory_tokens)
        memory = MemoryTokens(rows, config.memory_positions, config.memory_scale)
    elif config.num_memory_tokens:
        embeddings = read_input_embeddings(lm)
        memory = MemoryTokens.like(embeddings, config.num_memory_tokens, config.memory_positions, config.memory_scale)
    decoder = _base_lm(spec, stored, dtype, attention, empty) if with_decoder and stored.base != spec.name else None
    tokenizer = load_encoder_tokenizer(spec, config)
    return Encoder(Backbone(lm, config.direction, decoder), tokenizer, config, memory, display_name(spec.name))


def _check_length(lm: PreTrainedModel, max_length: int) -> None:
    """Raise UserError for inputs longer than learned positions reach; rotary and relative ones have no end."""
    positions = getattr(lm.config, "max_position_embeddings", None)
    learned = getattr(lm.config, "rope_parameters", None) is None
    if positions is not None and learned and max_length > positions:
        raise UserError(f"{lm.config.model_type} reads at most {positions} tokens; set max_length to that or less")


def _memory_rows(lm: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, k: int) -> Tensor:
    """The rows [k, H] of an exported vocabulary that are the memory tokens'."""
    return read_input_embeddings(lm)[memory_token_ids(tokenizer, k)]


def _base_lm(
    spec: ModelSpec, stored: EncoderConfig, dtype: torch.dtype, attention: str | None, empty: bool
) -> PreTrainedModel:
    try:
        return load_lm(resolve(stored.base), dtype, attention, empty=empty)
    except UserError as error:
        raise UserError(f"{spec.name} was made from {stored.base}, which its decoder needs: {error}") from error
