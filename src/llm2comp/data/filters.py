"""Which paragraphs are kept, and how many were not."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Filters:
    """Limits of a paragraph, all inclusive; tokens are counted without special tokens."""

    min_characters: int
    min_tokens: int
    max_tokens: int


@dataclass
class FilterReport:
    """What was read from a source and what the filters left of it."""

    filters: Filters
    paragraphs_read: int = 0
    paragraphs: int = 0
    tokens: int = 0
    too_short: int = 0
    duplicates: int = 0
    too_few_tokens: int = 0
    too_many_tokens: int = 0

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "FilterReport":
        return cls(**{**fields, "filters": Filters(**fields["filters"])})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def drops(self) -> str:
        """How many paragraphs were dropped by which filter."""
        reasons = {
            f"shorter than {self.filters.min_characters:,} characters": self.too_short,
            "duplicates": self.duplicates,
            f"under {self.filters.min_tokens:,} tokens": self.too_few_tokens,
            f"over {self.filters.max_tokens:,} tokens": self.too_many_tokens,
        }
        return ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count) or "none"
