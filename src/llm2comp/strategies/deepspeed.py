"""Training with DeepSpeed's ZeRO."""

from collections.abc import Mapping
from contextlib import nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators.cuda import CUDAAccelerator
from lightning.pytorch.strategies import DeepSpeedStrategy, Strategy
from lightning.pytorch.strategies.deepspeed import remove_module_hooks
from torch import Tensor, nn
from torch.optim import Optimizer

from llm2comp.backbone.blocks import find_blocks
from llm2comp.errors import UserError

if TYPE_CHECKING:
    from llm2comp.modules.encoder_training import EncoderTraining

STATES = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of every parameter beside the number of steps


class DeepSpeed(DeepSpeedStrategy):
    """ZeRO: gradients and optimiser states in parts over all processes, at stage 3 the weights too.

    Every hyper-parameter is the one of the experiment: the optimiser and its schedule are the module's, accumulation
    and clipping the Trainer's. Checkpoints are single files of what trains, the same as without this strategy. Each
    process loads the whole model before stage 3 divides it; FSDP2 does not.

    Args:
        stage: 2, or 3 to keep the weights in parts.

    Raises UserError if deepspeed is not installed, or there is no GPU.
    """

    def __init__(self, stage: Literal[2, 3] = 3) -> None:
        if find_spec("deepspeed") is None:
            raise UserError(
                'DeepSpeed is not installed: pip install "llm2comp[deepspeed]", or use strategy ddp or fsdp2'
            )
        super().__init__(stage=stage, logging_batch_size_per_gpu=1)  # of the batch size it makes but a log

    def setup_environment(self) -> None:
        if not isinstance(self.accelerator, CUDAAccelerator):
            raise UserError("DeepSpeed trains on NVIDIA GPUs only: use strategy ddp or fsdp2 here")
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        if self._module.quantization is not None and self.zero_stage_3:
            raise UserError("4-bit weights cannot be divided: use strategy ddp, or leave model.quantization unset")
        # Weights have their types already: frozen ones the compute type, those that train float32.
        self.precision_plugin.convert_module = lambda module: module  # type: ignore[method-assign]
        _forget_engine(self._module)
        super().setup(trainer)
        if self.zero_stage_3:
            self._share_what_lies_outside_blocks()

    def model_sharded_context(self) -> Any:
        """Weights are loaded whole, and divided in `setup`: transformers cannot load into divided ones."""
        return nullcontext()

    def teardown(self) -> None:
        """The engine's weights stay where they are: what follows training saves them, together with the others."""
        assert self.cluster_environment is not None
        assert self.accelerator is not None
        self.cluster_environment.teardown()
        self.precision_plugin.teardown()
        self.accelerator.teardown()

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        return False  # so that what trains is loaded before it is divided

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """What trains, whole and in float32; every process has to ask."""
        from deepspeed.utils import safe_get_full_fp32_param

        return {name: self._kept(safe_get_full_fp32_param(p)) for name, p in self._module.trainable.items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """As the state_dict of the module's own optimiser; every process has to ask."""
        from deepspeed.utils import safe_get_full_optimizer_state

        parameters = list(self._module.trainable.values())
        states = next((state for state in self._adam.state.values() if state), None)
        state = {}
        if states is not None:
            for index, parameter in enumerate(parameters):
                full = {key: self._kept(safe_get_full_optimizer_state(parameter, key)) for key in STATES}
                state[index] = {"step": torch.as_tensor(states["step"], dtype=torch.float32).cpu().clone(), **full}
        (group,) = self._adam.param_groups
        return {"state": state, "param_groups": [{**group, "params": list(range(len(parameters)))}]}

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None) -> None:
        """Written by the first process."""
        Strategy.save_checkpoint(self, checkpoint, filepath, storage_options)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """A checkpoint as every strategy writes it."""
        return Strategy.load_checkpoint(self, checkpoint_path, weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        Strategy.load_model_state_dict(self, checkpoint, strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        from deepspeed.utils import lazy_init_hp_params_optimizer_state

        (saved,) = checkpoint["optimizer_states"]
        (group,) = self._adam.param_groups
        group.update({key: value for key, value in saved["param_groups"][0].items() if key != "params"})
        if not saved["state"]:
            return
        for flat in self._flat_parameters:
            self._adam.state[flat] = {key: torch.zeros_like(flat) for key in STATES}
            self._adam.state[flat]["step"] = saved["state"][0]["step"].clone()
        if not self.zero_stage_3:
            for parameters, flat in zip(self._engine_optimizer.bit16_groups, self._flat_parameters, strict=True):
                lazy_init_hp_params_optimizer_state(parameters, flat, self._adam.state)
        for index, parameter in enumerate(self._module.trainable.values()):
            for key in STATES:
                self._set_moment(parameter, saved["state"][index][key].to(self.root_device), key)

    @property
    def _module(self) -> "EncoderTraining":
        return cast("EncoderTraining", self.lightning_module)

    @property
    def _engine_optimizer(self) -> Any:
        return self.deepspeed_engine.optimizer

    @property
    def _adam(self) -> Optimizer:
        """The module's own optimiser, which steps the parts that this process has."""
        return self._engine_optimizer.optimizer

    @property
    def _flat_parameters(self) -> list[Tensor]:
        name = "fp32_partitioned_groups_flat" if self.zero_stage_3 else "single_partition_of_fp32_groups"
        return getattr(self._engine_optimizer, name)

    def _set_moment(self, parameter: nn.Parameter, value: Tensor, key: str) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

        if not self.zero_stage_3:
            safe_set_full_optimizer_state(parameter, value, key)
            return
        # The parts are of one size, so the last ones may end beyond the parameter.
        size = parameter.ds_tensor.ds_numel  # type: ignore[attr-defined]
        padded = nn.functional.pad(value.flatten(), (0, size * self.world_size - value.numel()))
        safe_set_local_optimizer_state(parameter, padded.split(size)[self.global_rank], key)

    def _kept(self, tensor: Tensor) -> Tensor:
        return tensor.cpu() if self.is_global_zero else tensor.new_empty(0)

    def _share_what_lies_outside_blocks(self) -> None:
        """Let a step make whole the weights that no module's own pass does: the head's, memory tokens and scales."""
        from deepspeed.runtime.zero import register_external_parameter

        module = self._module
        lists: list[nn.ModuleList] = [find_blocks(lm) for lm in module.encoder.backbone.language_models]
        in_blocks = {id(parameter) for blocks in lists for parameter in blocks.parameters()}
        for parameter in module.parameters():
            if id(parameter) not in in_blocks:
                register_external_parameter(module, parameter)
        if module.encoder.memory is not None:
            register_external_parameter(module.encoder, module.encoder.memory.rows)


def _forget_engine(module: nn.Module) -> None:
    """Take off what an engine has put on the module, that of a validation before the training say."""
    remove_module_hooks(module)
    for submodule in module.modules():
        for name in ("pre_bwd_fn", "post_bwd_fn"):
            submodule.__dict__.pop(name, None)
