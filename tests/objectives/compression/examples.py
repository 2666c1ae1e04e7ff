"""Tiny encoders in float64, batches, and the paper's equations example by example, without padding."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from llm2comp.backbone.attention import attention_direction
from llm2comp.backbone.backbone import Backbone
from llm2comp.backbone.lora import LoRA
from llm2comp.data.batches import CompressionBatch
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.memory import MemoryPositions, MemoryTokens
from tests.tiny import tiny_config, tiny_lm, tiny_tokenizer

PAD, BOS = 2, 0
ARCHITECTURES = ["llama", "qwen3", "gpt_neox", "gemma3_text"]


def make_encoder(
    model_type: str = "llama",
    k: int = 3,
    lora: LoRA | None = None,
    full: bool = False,
    scale: float | None = None,
    positions: MemoryPositions = "after",
    dtype: torch.dtype = torch.float64,
    attention: str = "sdpa",
    **config: Any,
) -> tuple[Encoder, PreTrainedModel]:
    """An encoder that trains, its adapters away from zero, and a copy of the language model it was made of."""
    torch.manual_seed(0)
    lm = tiny_lm(tiny_config(model_type, **config), attention)
    with torch.no_grad():
        for parameter in lm.parameters():
            parameter *= 4  # at their usual size random states hardly depend on what was read
    original = copy.deepcopy(lm).to(dtype)
    memory = MemoryTokens.like(lm.get_input_embeddings().weight, k, positions, scale)
    backbone = Backbone(lm)
    encoder = Encoder(backbone, tiny_tokenizer(), EncoderConfig(k, "memory_mean", "bidirectional"), memory)
    backbone.make_trainable(None if full else lora or LoRA(rank=4, dropout=0.0), keep_decoder=True)
    encoder.to(dtype)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
            elif full and parameter.requires_grad:
                parameter += 0.05 * torch.randn_like(parameter)
    return encoder, original


def make_batch(
    texts: tuple[int, ...] = (5, 8, 3), targets: tuple[int, ...] = (4, 2, 6), left: int = 0, right: int = 0
) -> CompressionBatch:
    """Texts and targets of these lengths, BOS of a text not counted, with more padding than needed."""
    generator = torch.Generator().manual_seed(0)
    text_rows = [torch.cat([torch.tensor([BOS]), torch.randint(3, 256, (n,), generator=generator)]) for n in texts]
    target_rows = [torch.randint(3, 256, (n,), generator=generator) for n in targets]
    text_ids = torch.full((len(texts), 1 + max(texts) + left), PAD)
    target_ids = torch.full((len(texts), max(targets) + right), PAD)
    text_mask, target_mask = torch.zeros_like(text_ids), torch.zeros_like(target_ids)
    for i, (text, target) in enumerate(zip(text_rows, target_rows, strict=True)):
        text_ids[i, -len(text) :], text_mask[i, -len(text) :] = text, 1
        target_ids[i, : len(target)], target_mask[i, : len(target)] = target, 1
    return CompressionBatch(text_ids, text_mask, target_ids, target_mask)


def rows(batch: CompressionBatch) -> list[tuple[Tensor, Tensor]]:
    """Every example's tokens, [BOS, text] and target, without padding."""
    texts = [ids[mask.bool()] for ids, mask in zip(batch.text_ids, batch.text_mask, strict=True)]
    targets = [ids[mask.bool()] for ids, mask in zip(batch.target_ids, batch.target_mask, strict=True)]
    return list(zip(texts, targets, strict=True))


@dataclass
class Plain:
    """log p [T, V] of one example, and the tokens that are to be predicted."""

    memory: Tensor  # [k, H]
    continuation: Tensor  # by the student
    reconstruction: Tensor
    teacher: Tensor
    without_context: Tensor
    target: Tensor
    text: Tensor


def plain_example(encoder: Encoder, original: PreTrainedModel, text: Tensor, target: Tensor) -> Plain:
    """What is said of one example, by the untouched language model as decoder and teacher."""
    assert encoder.memory is not None
    lm, k = encoder.backbone.lm, len(encoder.memory)
    read = torch.cat([encoder.backbone.embed(text), encoder.memory.rows * encoder.backbone.embedding_scale])
    with attention_direction(lm, "bidirectional"):
        states = lm.base_model(
            inputs_embeds=read[None],
            attention_mask=torch.ones(1, len(read), dtype=torch.long),
            position_ids=torch.arange(len(read))[None],
            use_cache=False,
        ).last_hidden_state[0]
    memory = states[-k:]
    scale = 1 if encoder.memory.scale is None else encoder.memory.scale
    embed = original.get_input_embeddings()

    def log_p(prefix: Tensor, said: Tensor) -> Tensor:
        logits = original(inputs_embeds=torch.cat([prefix, embed(said)])[None], use_cache=False).logits[0]
        return logits[len(prefix) - 1 : -1].log_softmax(-1)  # the logits at a token predict the next one

    student = torch.cat([embed(text[:1]), memory * scale])
    with torch.no_grad():
        teacher, without = log_p(embed(text), target), log_p(embed(text[:1]), target)
    return Plain(memory, log_p(student, target), log_p(student, text[1:]), teacher, without, target, text[1:])


def plain_examples(encoder: Encoder, original: PreTrainedModel, batch: CompressionBatch) -> list[Plain]:
    return [plain_example(encoder, original, text, target) for text, target in rows(batch)]
