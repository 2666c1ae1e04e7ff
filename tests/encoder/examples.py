"""Encoders of tiny random models, with adapters and memory tokens that have an effect; folders opened again."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from llm2comp.backbone.lora import LoRA
from llm2comp.backbone.spec import resolve
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.loading import build_encoder
from tests.tiny import randomise_adapters, tiny_architecture, tiny_tokenizer

K = 3
CLOSE = {"rtol": 1e-5, "atol": 1e-5}

TOKENS = len(tiny_tokenizer())
MODELS: dict[str, tuple[str, dict]] = {
    "llama": ("llama", {"vocab_size": TOKENS}),
    "llama tied": ("llama", {"vocab_size": TOKENS, "tie_word_embeddings": True}),
    "qwen3, more rows than tokens": ("qwen3", {"vocab_size": TOKENS + 16}),
    "qwen2 tied, one row more than tokens": ("qwen2", {"vocab_size": TOKENS + 1, "tie_word_embeddings": True}),
    "gemma3": ("gemma3_text", {"vocab_size": TOKENS, "sliding_window": 6}),
    "gemma2": ("gemma2", {"vocab_size": TOKENS}),
    "gpt_neox": ("gpt_neox", {"vocab_size": TOKENS}),
    "gpt2, learned positions": ("gpt2", {"vocab_size": TOKENS}),
    "phi, a head with a bias": ("phi", {"vocab_size": TOKENS}),
    "granite": ("granite", {"vocab_size": TOKENS}),
}

TEXTS = [
    "A short text.",
    "",
    "The quick brown fox jumps over the lazy dog, and the dog does not mind. " * 8,
    "x",
    "emoji \N{GRINNING FACE}\N{FAMILY} and \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627, right to left",
    "  spaces \t and\n\nlines ",
    "</s> <pad> <s> as plain text\x00",
]


def tiny_folder(folder: Path, model_type: str = "llama", **overrides: Any) -> Path:
    """A Hugging Face folder of a tiny random model."""
    torch.manual_seed(0)
    tiny_architecture(model_type, **overrides).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def tiny_encoder(
    folder: Path,
    k: int = 3,
    pooling: str = "memory_mean",
    lora: LoRA | None = None,
    dtype: torch.dtype = torch.float32,
    attention: str | None = None,
    **config: Any,
) -> Encoder:
    """An encoder on the model in the folder, as training leaves it."""
    options = {"direction": "bidirectional", "max_length": 64, "base": str(folder), **config}
    torch.manual_seed(1)
    encoder = build_encoder(resolve(folder), EncoderConfig(k, pooling, **options), dtype, attention)
    encoder.backbone.make_trainable(lora or LoRA(rank=3), keep_decoder=False)
    randomise_adapters(encoder, std=0.05)
    return encoder.eval()


def reopened(folder: Path, **options: Any) -> Encoder:
    """The encoder in the folder, on the CPU in float32."""
    return Encoder.from_pretrained(folder, dtype="float32", device="cpu", **options)


def in_sentence_transformers(folder: Path, texts: list[str] = TEXTS, **options: Any) -> np.ndarray:
    """The vectors that sentence-transformers gives, all texts in one batch."""
    model = SentenceTransformer(str(folder), device="cpu")
    return model.encode(texts, batch_size=len(texts), show_progress_bar=False, **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The saved tensors of a folder."""
    return load_file(folder / "model.safetensors")
