"""Loading a model and its tokenizer, with errors that say what to do."""

import importlib.util
import struct
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from llm2comp.backbone.attention import attention_direction, check_switch
from llm2comp.backbone.empty import empty_lm
from llm2comp.backbone.head import check_head
from llm2comp.backbone.packing import PACKED
from llm2comp.backbone.spec import ModelSpec
from llm2comp.errors import UserError

Precision = Literal["auto", "float32", "bfloat16"]
Quantization = Literal["4bit"]


def fast_dtype(precision: Precision = "auto") -> torch.dtype:
    """The dtype of frozen weights: as named, or bfloat16 where this machine multiplies bfloat16 matrices natively."""
    if precision != "auto":
        return getattr(torch, precision)
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    capabilities = torch.cpu.get_capabilities()
    native = capabilities.get("amx_bf16") or capabilities.get("avx512_bf16")
    return torch.bfloat16 if native else torch.float32


def load_lm(
    spec: ModelSpec,
    dtype: torch.dtype,
    attention: str | None = None,
    quantization: Quantization | None = None,
    attention_dropout: float = 0.0,
    empty: bool = False,
) -> PreTrainedModel:
    """A decoder-only language model, in evaluation mode, proven to switch between causal and bidirectional.

    `attention_dropout`: the probability of dropping an attention weight in training. `empty`: leave the weights to
    `fill_lm` and the proof to `prove_lm`, where that can be. Raises UserError for a model that is not there, is not
    decoder-only, or stays causal, and for attention dropout where there is none to set.
    """
    options: dict[str, Any] = {**spec.kwargs(), "dtype": dtype}
    if attention is not None:
        options["attn_implementation"] = attention
    if quantization is not None:
        options["quantization_config"] = _four_bit(dtype)
    config = load_config(spec)
    _refuse_encoder_only(spec, config)
    if attention_dropout and attention == PACKED:
        raise UserError(f"{PACKED} attention has no dropout; set attention_dropout to 0, or use another attention")
    if hasattr(config, "attention_dropout"):
        options["attention_dropout"] = attention_dropout
    elif attention_dropout:
        raise UserError(f"{config.model_type} has no attention dropout to set; set attention_dropout to 0")
    if empty and (without_weights := empty_lm(spec, config, options)) is not None:
        return without_weights
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(spec.path, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError, struct.error) as error:
        raise _loading_error(spec, error) from error
    except KeyError as error:  # an architecture with a table of attentions of its own
        if error.args != (attention,):
            raise
        raise UserError(f"{config.model_type} has no {attention} attention; leave --model.attention unset") from error
    lm: PreTrainedModel = loaded[0]
    if missing := sorted(loaded[1]["missing_keys"]):
        raise UserError(f"{spec.name} lacks {len(missing)} weights of a {type(lm).__name__}, such as {missing[0]}")
    lm.eval()
    prove_lm(lm)
    return lm


def prove_lm(lm: PreTrainedModel) -> None:
    """Raise UserError unless the model switches between causal and bidirectional, and its head is understood."""
    check_switch(lm)
    with attention_direction(lm, "causal"):
        check_head(lm)


def load_config(spec: ModelSpec) -> Any:
    """The model's configuration; raises UserError where it cannot be had."""
    try:
        return AutoConfig.from_pretrained(spec.path, **spec.kwargs())
    except (OSError, ValueError, struct.error) as error:
        raise _loading_error(spec, error) from error


def load_tokenizer(spec: ModelSpec) -> PreTrainedTokenizerBase:
    """The model's tokenizer; raises UserError where it cannot be had."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(spec.path, **spec.kwargs())
    except (OSError, ValueError, struct.error) as error:
        raise _loading_error(spec, error) from error
    if not tokenizer.is_fast:
        raise UserError(f"{spec.name} has no fast tokenizer (tokenizer.json); convert its tokenizer with transformers")
    return tokenizer


def _refuse_encoder_only(spec: ModelSpec, config: Any) -> None:
    architectures = getattr(config, "architectures", None) or []
    encoder_only = any("MaskedLM" in name or name.endswith("ForPreTraining") for name in architectures)
    if encoder_only or getattr(config, "is_encoder_decoder", False):
        raise UserError(
            f"{spec.name} is {architectures[0] if architectures else config.model_type}, not a decoder-only language "
            "model: it cannot continue a text. Name one such as Llama, Mistral, Qwen or SmolLM"
        )


def _four_bit(dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available() or importlib.util.find_spec("bitsandbytes") is None:
        missing = "a CUDA GPU" if not torch.cuda.is_available() else "bitsandbytes (pip install bitsandbytes)"
        raise UserError(f"4-bit weights (QLoRA) need {missing}; leave --model.quantization unset to load them whole")
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _loading_error(spec: ModelSpec, error: Exception) -> UserError:
    if spec.is_local:
        return UserError(f"{spec.name} cannot be loaded from {spec.path}: {_first_line(error)}")
    return UserError(
        f"{spec.name} cannot be had from the Hugging Face hub: {_first_line(error)}\n"
        "If this machine has no network: copy the model's folder here and give its path, or point HF_HOME at a cache "
        "that holds it and set HF_HUB_OFFLINE=1, or use embedded:smollm2-135m, which needs no network. "
        "For a gated model run `hf auth login` first"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
