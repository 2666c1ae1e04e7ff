"""The size of a model in training, from its shapes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from torch import Tensor

from llm2comp.backbone.blocks import find_blocks
from llm2comp.planning.memory_tracker import Memory, MemoryTracker
from llm2comp.planning.training import Training
from llm2comp.planning.training_step import count_model


@dataclass(frozen=True)
class ModelSize:
    """Parameters, how many of them train, and bytes.

    `memory`: of the parts that stay as they are. `num_layers`: of the encoder. `block_parameters`, `block_trained`:
    of the largest block. `outside`, `outside_trained`: bytes of what belongs to no block, such as embeddings.
    """

    parameters: int
    trained_parameters: int
    memory: Memory
    num_layers: int
    block_parameters: int
    block_trained: int
    outside: int
    outside_trained: int


def model_size(training: Training) -> ModelSize:
    """The size of the whole model; no memory is taken for it."""
    encoder = training.encoder()
    lms = encoder.backbone.language_models
    parameters = list(encoder.parameters())
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    tracker = MemoryTracker(encoder.backbone.head.vocab_size)
    count_model(encoder, tracker)
    blocks = [list(block.parameters()) for lm in lms for block in find_blocks(lm)]
    in_blocks = {id(parameter) for block in blocks for parameter in block}
    outside = [parameter for parameter in parameters if id(parameter) not in in_blocks]
    largest = max(blocks, key=_count)
    # Weights of 4 bits are two in a byte: they are counted in a model without them.
    whole = training if training.quantization is None else replace(training, quantization=None)
    return ModelSize(
        parameters=_count(whole.encoder().parameters()),
        trained_parameters=_count(trained),
        memory=tracker.live.copy(),
        num_layers=len(find_blocks(encoder.backbone.lm)),
        block_parameters=_count(largest),
        block_trained=_count(parameter for parameter in largest if parameter.requires_grad),
        outside=_bytes(outside),
        outside_trained=_bytes(parameter for parameter in outside if parameter.requires_grad),
    )


def _count(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _bytes(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.nbytes for parameter in parameters)
