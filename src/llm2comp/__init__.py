"""Turn a decoder-only LLM into a text encoder by learning to compress."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm2comp.encoder.encoder import Encoder

__all__ = ["Encoder"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: torch takes seconds, and `llm2comp --help` does not need it.
    if name == "Encoder":
        from llm2comp.encoder.encoder import Encoder

        return Encoder
    raise AttributeError(f"module 'llm2comp' has no attribute {name!r}")
