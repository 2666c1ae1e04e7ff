"""Training with sharded weights (FSDP2)."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.fabric.plugins.collectives.torch_collective import default_pg_timeout
from lightning.pytorch import Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

from llm2comp.backbone.empty import is_empty
from llm2comp.errors import UserError
from llm2comp.strategies.sharding import part, shard, whole

if TYPE_CHECKING:
    from llm2comp.modules.encoder_training import EncoderTraining


class FSDP2(ModelParallelStrategy):
    """Parameters, gradients and optimiser states sharded over all processes (FSDP2).

    Weights are read shard by shard, so no process ever holds the whole model; where a model's files must be converted
    as they are read (GGUF, old formats), each process loads it whole first. Checkpoints are single files of what
    trains, the same as without this strategy.

    Args:
        cpu_offload: keep shards, gradients and optimiser states in the memory of the CPU between their uses.
        timeout: how long a process waits for the others.
    """

    def __init__(self, cpu_offload: bool = False, timeout: timedelta | None = default_pg_timeout) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
            process_group_backend="cpu:gloo,cuda:nccl" if cpu_offload else None,
            timeout=timeout,
        )
        self.cpu_offload = cpu_offload

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        # Parameters that are made whole in inference mode could not be trained afterwards.
        for loop in (trainer.fit_loop.epoch_loop.val_loop, trainer.validate_loop):
            loop.inference_mode = False
        module = self._module
        if not isinstance(module, FSDPModule):
            if module.quantization is not None:
                raise UserError("4-bit weights cannot be sharded: use strategy ddp, or leave model.quantization unset")
            unread = [lm for lm in module.encoder.backbone.language_models if is_empty(lm)]
            if not unread:
                rank_zero_info(f"{module.spec.name} must be converted as it is read: each process loads it whole first")
            shard(module, self.device_mesh["data_parallel"], self.root_device, self.cpu_offload)
            if unread:
                self._within_forward(module.prove)
                self._reshard()
        super().setup(trainer)

    def model_to_device(self) -> None:
        """Nothing is left to move: sharding has put everything in its place."""

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        with self.precision_plugin.train_step_context():
            return self._within_forward(partial(self._module.training_step, *args, **kwargs))

    def post_backward(self, closure_loss: Tensor) -> None:
        self._reshard()

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        # What lies outside the blocks stays whole until the validation's end, so that callbacks may encode.
        with self.precision_plugin.val_step_context():
            return self._within_forward(partial(self._module.validation_step, *args, **kwargs))

    def on_validation_end(self) -> None:
        self._reshard()

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """What trains, whole, on the first process; the same names with nothing on the others."""
        self._reshard()
        return {name: whole(p, self.is_global_zero) for name, p in self._module.trainable.items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """As `optimizer.state_dict()`, with whole tensors on the first process."""
        optimizer = optimizer._optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        keep = self.is_global_zero
        return tree_map(lambda v: whole(v, keep) if isinstance(v, Tensor) else v, optimizer.state_dict())

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """A checkpoint as every strategy writes it."""
        return Strategy.load_checkpoint(self, checkpoint_path, weights_only)

    @torch.no_grad()
    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        self._reshard()
        for name, parameter in self._module.trainable.items():
            parameter.copy_(part(checkpoint["state_dict"][name], like=parameter))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            state = {
                index: {key: part(value, parameters[index]) for key, value in values.items()}
                for index, values in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})

    @property
    def _module(self) -> "EncoderTraining":
        return cast("EncoderTraining", self.lightning_module)

    def _within_forward(self, function: Callable[[], Any]) -> Any:
        """Call the function by way of the module's forward(), where FSDP2 makes what lies outside the blocks whole.

        Nothing is returned by that way, so that FSDP2 takes each backward pass within a step (GradCache) for one.
        """
        module = self._module
        results: list[Any] = []

        def forward() -> None:
            results.append(function())

        module.forward = forward  # type: ignore[method-assign]
        try:
            module()
        finally:
            del module.__dict__["forward"]
        return results[0]

    def _reshard(self) -> None:
        cast(FSDPModule, self._module).reshard()
