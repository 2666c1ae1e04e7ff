"""Training an encoder by any objective that is a function of the encoder and a batch."""

import dataclasses
import math
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import DeepSpeedStrategy
from torch import Tensor
from torch.distributed.tensor import DTensor
from torchmetrics import MeanMetric

from llm2comp.backbone.attention import Direction
from llm2comp.backbone.blocks import checkpoint_blocks
from llm2comp.backbone.compilation import Compile, should_compile
from llm2comp.backbone.loading import Precision, Quantization, fast_dtype
from llm2comp.backbone.lora import LoRA
from llm2comp.backbone.packing import PACKED
from llm2comp.backbone.spec import resolve
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.loading import build_encoder, load_encoder_config, load_encoder_tokenizer
from llm2comp.errors import UserError
from llm2comp.memory import MemoryPositions
from llm2comp.modules.optimization import Optimization
from llm2comp.objectives.base import Objective


class EncoderTraining(L.LightningModule):
    """batch -> encoder -> objective -> loss.

    Args:
        encoder: what to start from: `embedded:NAME`, a folder, a `.gguf` file or a hub id.
        objective: the loss.
        lora: low-rank adapters on frozen weights; None trains every weight.
        optimization: learning rate and its schedule.
        num_memory_tokens: k; None for as many as `encoder` has.
        memory_positions: position ids of the memory tokens, after the text or spread over it.
        learn_memory_scale: learn a factor on the memory states before the decoder reads them.
        pooling: what the encoder's embedding is made of; None for what `encoder` has.
        direction: attention of the encoder.
        max_length: tokens of an input, BOS and memory tokens included.
        pool_instructions: whether poolings over all tokens take in those of instructions.
        attention_dropout: probability of dropping an attention weight in training.
        dtype: of frozen weights and matrix products; `auto`: bfloat16 where the processor has it.
        attention: transformers' attention implementation, or `packed`, which reads a batch without its padding; None
            for the default of transformers on a GPU and `eager` on a CPU.
        quantization: `4bit` for QLoRA.
        activation_checkpointing: keep a block's input only, and compute the rest again in the backward pass: less
            memory, a third more time.
        compile: let torch compile the blocks and the losses through the head; `auto`: in one process on a CPU that has
            a C++ compiler.

    Raises UserError for an encoder the objective cannot train, and whatever loading a model raises.
    """

    encoder: Encoder  # from configure_model on

    def __init__(
        self,
        encoder: str,
        objective: Objective,
        lora: LoRA | None,
        optimization: Optimization,
        num_memory_tokens: int | None = 8,
        memory_positions: MemoryPositions = "after",
        learn_memory_scale: bool = False,
        pooling: str | None = "memory_mean",
        direction: Direction = "bidirectional",
        max_length: int = 512,
        pool_instructions: bool = True,
        attention_dropout: float = 0.0,
        dtype: Precision = "auto",
        attention: str | None = None,
        quantization: Quantization | None = None,
        activation_checkpointing: bool = False,
        compile: Compile = "auto",
    ) -> None:
        super().__init__()
        self.strict_loading = False  # checkpoints hold trainable parameters only
        self.objective = objective
        self.lora = lora
        self.optimization = optimization
        self.spec = resolve(encoder)
        self.dtype_name: Precision = dtype
        self.attention = attention
        self.attention_dropout = attention_dropout
        self.quantization = quantization
        self.activation_checkpointing = activation_checkpointing
        self.compile_setting: Compile = compile
        if quantization is not None and lora is None:
            raise UserError("4-bit weights cannot train: set --model.lora, or leave --model.quantization unset")
        stored = load_encoder_config(self.spec)
        k = stored.num_memory_tokens if num_memory_tokens is None else num_memory_tokens
        if stored.num_memory_tokens not in (0, k):
            raise UserError(f"{encoder} has {stored.num_memory_tokens} memory tokens; set num_memory_tokens to that")
        config = EncoderConfig(
            num_memory_tokens=k,
            direction=direction,
            memory_positions=memory_positions,
            memory_scale=(stored.memory_scale or 1.0) if learn_memory_scale else None,
            max_length=max_length,
            prompts=stored.prompts,
            pool_instructions=pool_instructions,
            base=stored.base,
            stages=stored.stages,
        )
        # Before the pooling is checked: what the objective needs of the memory tokens is the better message.
        objective.check(config)
        self.encoder_config = dataclasses.replace(config, pooling=pooling or stored.pooling)
        self.tokenizer = load_encoder_tokenizer(self.spec, self.encoder_config)
        self.means: dict[str, MeanMetric] = {}

    @property
    def max_text_tokens(self) -> int:
        """Tokens a text may have, BOS included."""
        return self.encoder_config.max_length - self.encoder_config.num_memory_tokens

    @property
    def compute_dtype(self) -> torch.dtype:
        """The type that matrix products are made in."""
        return fast_dtype(self.dtype_name)

    def configure_model(self) -> None:
        if hasattr(self, "encoder"):
            return
        # A strategy that shards fills it.
        self.encoder = self._make_encoder(self.objective.needs_decoder, empty=self.device_mesh is not None)
        if self._should_compile():
            self.encoder.backbone.compile_passes()
        if self.activation_checkpointing:
            for lm in self.encoder.backbone.language_models:
                checkpoint_blocks(lm)

    def _should_compile(self) -> bool:
        trainer = self._trainer
        processes = 1 if trainer is None else trainer.world_size
        sharded = self.device_mesh is not None or (
            trainer is not None and isinstance(trainer.strategy, DeepSpeedStrategy)
        )
        return should_compile(self.compile_setting, processes, sharded)

    def _make_encoder(self, with_decoder: bool, empty: bool) -> Encoder:
        encoder = build_encoder(
            self.spec,
            self.encoder_config,
            self.compute_dtype,
            # On a CPU the backward pass of SDPA takes twice the time of eager attention at these lengths.
            self.attention or (None if torch.cuda.is_available() else "eager"),
            self.quantization,
            with_decoder=with_decoder,
            attention_dropout=self.attention_dropout,
            empty=empty,
        )
        encoder.backbone.make_trainable(self.lora, keep_decoder=with_decoder)
        return encoder

    def whole_encoder(self, state_dict: dict[str, Tensor]) -> Encoder:
        """The encoder with what a checkpoint holds, in this process alone.

        Where its weights are in parts over several processes, they are read again, on the CPU, instead of gathered.
        """
        encoder = self.encoder
        if any(isinstance(p, DTensor) or hasattr(p, "ds_tensor") for p in encoder.parameters()):
            encoder = self._make_encoder(with_decoder=False, empty=False)
            encoder.config = self.encoder.config
        prefix = "encoder."
        own = {name.removeprefix(prefix): t for name, t in state_dict.items() if name.startswith(prefix)}
        encoder.load_state_dict(own, strict=False)
        return encoder

    def prove(self) -> None:
        """What loading a model proves of it, for one whose weights were read later."""
        self.encoder.backbone.prove()

    def on_fit_start(self) -> None:
        if self.attention == PACKED and self.device.type == "cuda":
            self.prove()  # as it was loaded, on the CPU, another kernel read the texts

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self.objective(self.encoder, batch)
        self.log("train/loss", loss, prog_bar=True, sync_dist=True)
        self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def on_validation_epoch_start(self) -> None:
        self.means = {}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        for name, measured in self.objective.measure(self.encoder, batch).items():
            mean = self.means.setdefault(name, MeanMetric().to(self.device))
            mean.update(measured.value, measured.weight)

    def on_validation_epoch_end(self) -> None:
        for name, mean in self.means.items():
            self.log(f"val/{name}", mean.compute(), prog_bar=name == "context_recovered", sync_dist=True)

    def configure_optimizers(self) -> Any:
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        total_steps = self.trainer.estimated_stepping_batches
        if math.isinf(total_steps):
            raise UserError("the learning rate needs to know when training ends: set trainer.max_steps or max_epochs")
        optimizer, schedule = self.optimization.build(parameters, int(total_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def flops(self, batch: Any) -> float:
        """Floating-point operations of a training step on the batch."""
        return self.objective.flops(self.encoder, batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = {name: checkpoint["state_dict"][name] for name in self.trainable}
        checkpoint["architecture"] = self._architecture

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.trainer.training and "optimizer_states" not in checkpoint:
            raise UserError(
                f"the checkpoint of step {checkpoint['global_step']} holds weights only, from which training cannot go "
                "on; resume from last.ckpt or best.ckpt"
            )
        # Adapters of two architectures may have the same names and shapes.
        if (architecture := checkpoint.get("architecture", self._architecture)) != self._architecture:
            raise UserError(
                f"the checkpoint is of a {architecture} model, and {self.spec.name} is a {self._architecture} model; "
                "resume with the run's own config.yaml"
            )
        # ZeRO-3 leaves a parameter that is in parts without a shape.
        own = {name: tuple(getattr(p, "ds_shape", p.shape)) for name, p in self.trainable.items()}
        saved = {name: tuple(tensor.shape) for name, tensor in checkpoint["state_dict"].items()}
        if own != saved:
            differing = sorted(name for name in own.keys() | saved.keys() if own.get(name) != saved.get(name))
            name = differing[0]
            raise UserError(
                f"the checkpoint is from another configuration: {len(differing)} trainable parameters differ, such as "
                f"{name}, {saved.get(name, 'absent')} in the checkpoint and {own.get(name, 'absent')} here; "
                "resume with the run's own config.yaml"
            )

    @property
    def _architecture(self) -> str:
        return self.encoder.backbone.lm.config.model_type

    @property
    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """The parameters that train, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
