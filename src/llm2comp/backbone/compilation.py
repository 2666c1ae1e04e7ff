"""Compiling what is run over and over: the blocks of a language model, and the losses through its head."""

import logging
from functools import cache
from typing import Literal

import torch
from transformers import PreTrainedModel

from llm2comp.backbone.blocks import find_blocks
from llm2comp.errors import UserError

logger = logging.getLogger(__name__)

Compile = bool | Literal["auto"]

# A block is compiled once for each role, with and without gradients, masks and autocasting, and once more for a batch
# of one. Beyond torch's 8 it would silently run as it is.
VARIANTS = 64


def compile_blocks(lm: PreTrainedModel) -> None:
    """Let torch compile the model's blocks, for any lengths, when they are first run."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, VARIANTS)
    for block in find_blocks(lm):
        # Not the module: what strategies hook to it stays outside of what is compiled.
        block.forward = torch.compile(block.forward, dynamic=True)


def should_compile(setting: Compile, processes: int, sharded: bool) -> bool:
    """Whether to compile: as set, or, for `auto`, in one process on a CPU that has what a compiler needs.

    Raises UserError if it is set and cannot be: for lack of a compiler, or because a strategy shards the blocks.
    """
    if setting == "auto":
        if processes > 1 or torch.cuda.is_available():
            return False
        if (problem := compiler_problem()) is not None:
            logger.warning("Training is not compiled, and about two thirds as fast: %s", problem)
        return problem is None
    if setting and sharded:
        raise UserError(
            "compile works in one process and with ddp: leave --model.compile unset where weights are sharded"
        )
    if setting and (problem := compiler_problem()) is not None:
        raise UserError(f"--model.compile: {problem}")
    return setting


@cache
def compiler_problem() -> str | None:
    """What keeps torch from compiling on this machine, seen by trying; None if nothing does."""
    try:
        torch.compile(torch.sin)(torch.zeros(3))
    except Exception as error:  # torch has many, for no compiler, no headers of Python, a full disk
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"torch cannot compile here (g++ and the headers of Python are needed: {reason})"
    return None
