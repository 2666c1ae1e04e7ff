"""Compression by distillation as the code published with arXiv 2511.17129 goes about it, written for the comparison.

What makes its cost is kept: two whole copies of the language model, attention weights as whole matrices (`eager`), the
input embeddings trained with the adapters, and logits over the whole vocabulary at every position of both decoder
passes. Its errors are not: positions, the loss (per token over the batch) and padding are as in `Distillation`, so that
the two losses can be told to be the same.
"""

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from llm2comp.backbone.lora import LoRA
from llm2comp.data.batches import CompressionBatch
from llm2comp.memory import text_positions


class PublishedCompression(nn.Module):
    """The encoder, with adapters and memory tokens in its vocabulary, and the frozen decoder, which is the teacher too.

    `lora`: adapters as ours are, on all linear layers.
    """

    def __init__(self, path: str, dtype: torch.dtype, lora: LoRA, num_memory_tokens: int = 8) -> None:
        super().__init__()
        options = {"dtype": dtype, "attn_implementation": "eager"}
        self.decoder = AutoModelForCausalLM.from_pretrained(path, **options).requires_grad_(False)
        encoder = AutoModelForCausalLM.from_pretrained(path, **options)
        encoder.config.is_causal = False
        vocab_size = encoder.config.vocab_size
        self.memory_ids = torch.arange(vocab_size, vocab_size + num_memory_tokens)
        encoder.resize_token_embeddings(vocab_size + num_memory_tokens, mean_resizing=False)
        config = LoraConfig(
            r=lora.rank, lora_alpha=int(lora.alpha), lora_dropout=lora.dropout, target_modules="all-linear"
        )
        self.encoder = get_peft_model(encoder, config)
        self.encoder.get_input_embeddings().weight.requires_grad_(True)

    @torch.no_grad()
    def start_from(self, memory_rows: Tensor) -> None:
        """Set the memory tokens' embeddings [k, H]."""
        weight = self.encoder.get_input_embeddings().weight
        weight[self.memory_ids] = memory_rows.to(weight)

    def forward(self, batch: CompressionBatch) -> Tensor:
        """KL(teacher || student), the mean over the tokens of the continuations."""
        memory = self._memory(batch)  # [B, k, H]
        embed = self.decoder.get_input_embeddings()
        targets, target_mask = batch.target_ids[:, :-1], batch.target_mask[:, :-1]
        bos = embed(self._bos(batch))  # [B, 1, H]
        student = self._logits(
            torch.cat([bos, memory.to(bos.dtype), embed(targets)], dim=1),
            torch.cat([target_mask.new_ones(len(bos), 1 + memory.shape[1]), target_mask], dim=1),
        )[:, memory.shape[1] :]  # [B, S, V]
        with torch.no_grad():
            teacher = self._logits(
                embed(torch.cat([batch.text_ids, targets], dim=1)), torch.cat([batch.text_mask, target_mask], dim=1)
            )[:, batch.text_ids.shape[1] - 1 :]  # [B, S, V]
        log_p, log_q = F.log_softmax(teacher.float(), -1), F.log_softmax(student.float(), -1)
        divergence = (log_p.exp() * (log_p - log_q)).sum(-1)  # [B, S]
        return (divergence * batch.target_mask).sum() / batch.target_mask.sum()

    def _memory(self, batch: CompressionBatch) -> Tensor:
        memory_ids = self.memory_ids.to(batch.text_ids.device).expand(len(batch.text_ids), -1)
        input_ids = torch.cat([batch.text_ids, memory_ids], dim=1)
        mask = torch.cat([batch.text_mask, torch.ones_like(memory_ids)], dim=1)
        body: Any = self.encoder.get_base_model().base_model
        states = body(input_ids, attention_mask=mask, position_ids=text_positions(mask), use_cache=False)
        return states.last_hidden_state[:, -memory_ids.shape[1] :]

    def _bos(self, batch: CompressionBatch) -> Tensor:
        """The first real token of each left-padded text [B, 1]."""
        return batch.text_ids.gather(1, batch.text_mask.argmax(-1, keepdim=True))

    def _logits(self, inputs_embeds: Tensor, mask: Tensor) -> Tensor:
        """Logits [B, T, V] at every position."""
        positions = text_positions(mask)
        output = self.decoder(inputs_embeds=inputs_embeds, attention_mask=mask, position_ids=positions, use_cache=False)
        return output.logits
