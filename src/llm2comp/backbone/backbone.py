"""One decoder-only language model in two roles: the encoder that is trained, and the frozen decoder and teacher."""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from llm2comp.backbone.attention import Direction, attention_direction
from llm2comp.backbone.compilation import compile_blocks
from llm2comp.backbone.forward import evaluation_mode, input_embeddings, last_hidden_states
from llm2comp.backbone.head import LMHead, lm_head
from llm2comp.backbone.loading import prove_lm
from llm2comp.backbone.lora import LoRA, adapters_disabled, add_lora, lora_layers, merged_state_dict
from llm2comp.memory import text_positions


class Backbone(nn.Module):
    """A language model as encoder (adapters on, `direction`) and as frozen decoder (adapters off, causal).

    With LoRA there is one copy of the weights. `frozen_decoder` is a second, frozen copy for the decoder's role;
    only full fine-tuning, or an encoder whose weights are no longer the decoder's, needs one.
    """

    def __init__(
        self,
        lm: PreTrainedModel,
        direction: Direction = "bidirectional",
        frozen_decoder: PreTrainedModel | None = None,
    ) -> None:
        super().__init__()
        self.lm = lm.requires_grad_(False)
        self.direction: Direction = direction
        self.frozen_decoder = None if frozen_decoder is None else frozen_decoder.requires_grad_(False).eval()
        self.compute_dtype = self.dtype
        self.trains = False
        self.compiled = False

    @property
    def hidden_size(self) -> int:
        return input_embeddings(self.lm).embedding_dim

    @property
    def dtype(self) -> torch.dtype:
        return input_embeddings(self.lm).weight.dtype

    @property
    def device(self) -> torch.device:
        return input_embeddings(self.lm).weight.device

    @property
    def decoder(self) -> PreTrainedModel:
        """The model that plays the frozen decoder and teacher."""
        return self.lm if self.frozen_decoder is None else self.frozen_decoder

    @property
    def language_models(self) -> list[PreTrainedModel]:
        """The encoder's model and, where there is one, the decoder's own."""
        return [self.lm] if self.frozen_decoder is None else [self.lm, self.frozen_decoder]

    @property
    def head(self) -> LMHead:
        """The frozen language-model head of the decoder."""
        return replace(lm_head(self.decoder), compiled=self.compiled)

    @property
    def has_adapters(self) -> bool:
        """Whether adapters train, and the weights are frozen."""
        return bool(lora_layers(self.lm))

    def make_trainable(self, lora: LoRA | None, keep_decoder: bool) -> None:
        """Add fresh adapters, or, without `lora`, train every weight in float32.

        `keep_decoder`: the frozen decoder is needed, so full training keeps a second copy of the weights.
        """
        self.trains = True
        self.lm.train()
        if lora is not None:
            add_lora(self.lm, lora)
            return
        if keep_decoder and self.frozen_decoder is None:
            self.frozen_decoder = copy.deepcopy(self.lm).requires_grad_(False).eval()
        self.lm.float().requires_grad_(True)
        head = self.lm.get_output_embeddings()
        if head is not None and head.weight is not input_embeddings(self.lm).weight:
            head.requires_grad_(False)  # the decoder's own is the one in use

    def compile_passes(self) -> None:
        """Compile the blocks of the models, and the losses through the head."""
        self.compiled = True
        for lm in self.language_models:
            compile_blocks(lm)

    def embed(self, input_ids: Tensor) -> Tensor:
        """Input embeddings [B, T, H] of token ids [B, T]."""
        return input_embeddings(self.lm)(input_ids)

    @property
    def embedding_scale(self) -> Tensor | float:
        """What the model multiplies an embedding row with as it looks it up (Gemma; 1 in most others)."""
        scale = getattr(input_embeddings(self.lm), "embed_scale", 1.0)
        return scale.to(self.dtype) if isinstance(scale, Tensor) else scale

    def encode(self, inputs_embeds: Tensor, attention_mask: Tensor, position_ids: Tensor) -> Tensor:
        """Last hidden states [B, T, H], after the final norm, of the trained encoder."""
        with attention_direction(self.lm, self.direction), self._autocast():
            return last_hidden_states(self.lm, inputs_embeds, attention_mask, position_ids)

    def decode(self, inputs_embeds: Tensor, attention_mask: Tensor) -> Tensor:
        """Last hidden states [B, T, H] of the frozen causal decoder; gradients flow to `inputs_embeds` alone."""
        with self.as_decoder() as lm:
            return last_hidden_states(lm, inputs_embeds, attention_mask, text_positions(attention_mask))

    def decoder_embed(self, input_ids: Tensor) -> Tensor:
        """The frozen decoder's input embeddings [B, T, H] of token ids [B, T]."""
        return input_embeddings(self.decoder)(input_ids)

    def merged_state_dict(self) -> dict[str, Tensor]:
        """The encoder's weights as a plain model's state dict, adapters added in."""
        return merged_state_dict(self.lm)

    def prove(self) -> None:
        """Raise UserError unless the models, as loaded, switch direction and have heads that are understood."""
        for lm in self.language_models:
            with evaluation_mode(lm), adapters_disabled(lm), self._autocast():
                prove_lm(lm)

    @contextmanager
    def as_decoder(self) -> Iterator[PreTrainedModel]:
        """The frozen decoder within the context: causal, without adapters, without dropout."""
        lm = self.decoder
        with evaluation_mode(lm), attention_direction(lm, "causal"), adapters_disabled(lm):
            yield lm

    def _autocast(self) -> AbstractContextManager:
        # Frozen weights have their dtype; adapters, and weights that train, are float32 and cast as they are used.
        if self.compute_dtype == torch.float32 or not self.trains:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.compute_dtype)
