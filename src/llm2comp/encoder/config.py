"""What an encoder folder records beside its weights."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from llm2comp.backbone.attention import Direction
from llm2comp.errors import UserError, unknown
from llm2comp.memory import MemoryPositions
from llm2comp.pooling import check_pooling

FILE_NAME = "llm2comp.json"


@dataclass
class EncoderConfig:
    """The shape of an encoder, the language model it comes from, and the stages that made it."""

    num_memory_tokens: int = 0
    pooling: str = "mean"
    direction: Direction = "causal"
    memory_positions: MemoryPositions = "after"
    memory_scale: float | None = None
    max_length: int = 512
    prompts: dict[str, str] = field(default_factory=dict)
    pool_instructions: bool = True
    base: str = ""
    stages: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.num_memory_tokens < 0:
            raise UserError(f"num_memory_tokens must be 0 or more, not {self.num_memory_tokens}")
        if self.max_length < self.num_memory_tokens + 2:
            raise UserError(
                f"max_length {self.max_length} leaves no room for a text beside {self.num_memory_tokens} memory tokens"
            )
        for option, allowed in (("direction", Direction), ("memory_positions", MemoryPositions)):
            if getattr(self, option) not in get_args(allowed):
                raise unknown(option, getattr(self, option), get_args(allowed))
        check_pooling(self.pooling, self.num_memory_tokens)

    def save(self, folder: Path) -> None:
        """Write `llm2comp.json` into the folder."""
        (folder / FILE_NAME).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "EncoderConfig":
        """Read it back; raises UserError if the file is not one of this version."""
        path = folder / FILE_NAME
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"{path} is not an encoder's description: {error}") from error
