"""Tiny random models of many architectures, and a tiny byte-level tokenizer."""

from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
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


def tiny_lm(config: PreTrainedConfig, attention: str = "sdpa") -> PreTrainedModel:
    """A random language model of the configuration, in evaluation mode."""
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
