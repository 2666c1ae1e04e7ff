"""What is planned: a training run as its experiment describes it."""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from llm2comp.backbone.backbone import Backbone
from llm2comp.backbone.blocks import checkpoint_blocks
from llm2comp.backbone.forward import input_embeddings
from llm2comp.backbone.loading import Quantization, load_config
from llm2comp.backbone.lora import LoRA
from llm2comp.backbone.spec import ModelSpec, resolve
from llm2comp.data.settings import DataSettings
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.memory import MemoryTokens
from llm2comp.objectives.base import Objective
from llm2comp.planning.four_bit import to_four_bit

Device = Literal["cuda", "cpu"]


@dataclass(frozen=True)
class Training:
    """The settings of an experiment that memory hangs on, with their defaults on the device filled in.

    `accumulates`: whether a step takes several batches.
    """

    spec: ModelSpec
    config: EncoderConfig
    objective: Objective
    lora: LoRA | None
    data: DataSettings
    device: Device
    dtype: torch.dtype
    attention: str | None
    attention_dropout: float
    quantization: Quantization | None
    activation_checkpointing: bool
    accumulates: bool

    def encoder(self, num_layers: int | None = None) -> Encoder:
        """The encoder as training has it, on the meta device; `num_layers`: with only so many.

        Raises UserError for a configuration that cannot be had or is not that of a causal language model.
        """
        with torch.device("meta"):
            lm = self._lm(self.spec, num_layers)
            if self.quantization is not None:
                to_four_bit(lm)
            has_other_decoder = self.objective.needs_decoder and self.config.base != self.spec.name
            decoder = self._lm(resolve(self.config.base), num_layers) if has_other_decoder else None
            backbone = Backbone(lm, self.config.direction, decoder)
            memory = None
            if k := self.config.num_memory_tokens:
                rows = torch.empty(k, input_embeddings(lm).embedding_dim)
                memory = MemoryTokens(rows, self.config.memory_positions, self.config.memory_scale)
            backbone.make_trainable(self.lora, keep_decoder=self.objective.needs_decoder)
            encoder = Encoder(backbone, None, self.config, memory)  # type: ignore[arg-type]  # nothing is tokenised
        if self.activation_checkpointing:
            for each in backbone.language_models:
                checkpoint_blocks(each)
        return encoder

    def _lm(self, spec: ModelSpec, num_layers: int | None) -> PreTrainedModel:
        config = copy.deepcopy(load_config(spec))
        if num_layers is not None:
            all_layers = config.num_hidden_layers
            for name, value in vars(config).copy().items():
                if isinstance(value, list) and len(value) == all_layers:  # one entry a layer
                    setattr(config, name, value[:num_layers])
            config.num_hidden_layers = num_layers
        if hasattr(config, "attention_dropout"):
            config.attention_dropout = self.attention_dropout
        try:
            lm = AutoModelForCausalLM.from_config(config, dtype=self.dtype, attn_implementation=self.attention)
        except (ValueError, ImportError) as error:
            raise UserError(f"{spec.name} cannot be planned: {str(error).splitlines()[0]}") from error
        return lm.eval()
