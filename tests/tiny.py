"""Tiny random models of many architectures, and a tiny byte-level tokenizer."""

from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

CORPUS = [
    "The quick brown fox jumps over the lazy dog.",
    "A compressed text is read by a frozen decoder which continues it.",
    "Memory tokens hold what the encoder has read of the text.",
]

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}

# Architectures that switch direction, with what makes each differ from Llama turned on.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "gemma": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "final_logit_softcapping": 0.5},
    "gemma3_text": {"head_dim": 8, "layer_types": ["sliding_attention", "full_attention"]},
    "phi": {"partial_rotary_factor": 0.5},
    "phi3": {},
    "olmo2": {},
    "olmo3": {"layer_types": ["sliding_attention", "full_attention"]},
    "smollm3": {"no_rope_layers": [1, 0]},
    "gpt_neox": {},
    "gptj": {"rotary_dim": 4},
    "gpt2": {},
    "opt": {"word_embed_proj_dim": 16},
    "bloom": {},
    "granite": {"logits_scaling": 4.0, "embedding_multiplier": 3.0, "residual_multiplier": 0.5},
    "cohere": {"logit_scale": 0.25},
    "cohere2": {"layer_types": ["sliding_attention", "full_attention"]},
    "starcoder2": {},
    "glm": {"head_dim": 8},
    "exaone4": {"layer_types": ["sliding_attention", "full_attention"]},
    "mixtral": {"num_local_experts": 4},
}
NO_SDPA = {"gemma2", "gptj", "bloom"}
EVERY_ATTENTION = [
    (model_type, attention)
    for model_type in ARCHITECTURES
    for attention in ("eager", "sdpa")
    if attention == "eager" or model_type not in NO_SDPA
]


@cache
def _tokenizer_json() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384, special_tokens=["<s>", "</s>", "<pad>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(CORPUS * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer.to_str()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that puts `<s>` before a text, as Llama's does."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_tokenizer_json()), bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def tiny_config(model_type: str = "llama", **overrides: Any) -> PreTrainedConfig:
    """A configuration of the architecture with tiny sizes."""
    sizes = {"vocab_size": 384, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, **SIZES, **overrides}
    return AutoConfig.for_model(model_type, **sizes)


def tiny_architecture(model_type: str, attention: str | None = None, **overrides: Any) -> PreTrainedModel:
    """A random language model of one of `ARCHITECTURES`, its biases and norms random too."""
    config = tiny_config(model_type, **{**ARCHITECTURES[model_type], **overrides})
    lm = tiny_lm(config, attention or ("eager" if model_type in NO_SDPA else "sdpa"))
    for parameter in lm.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.1)
    return lm


def tiny_lm(config: PreTrainedConfig, attention: str = "sdpa") -> PreTrainedModel:
    """A random language model of the configuration, in evaluation mode."""
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


def randomise_adapters(module: nn.Module, std: float = 0.1) -> None:
    """Give fresh adapters, which start as no change, an effect."""
    for name, parameter in module.named_parameters():
        if ".lora_B" in name:
            nn.init.normal_(parameter, std=std)
