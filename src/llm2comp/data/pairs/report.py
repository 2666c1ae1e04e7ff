"""What was read of a source of pairs, and what was left out."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class PairReport:
    """Counts of rows, of pairs made of them, and of everything dropped."""

    rows_read: int = 0
    pairs: int = 0
    texts: int = 0
    texts_cut: int = 0
    without_positive: int = 0
    too_short: int = 0
    empty_rows: int = 0
    empty_texts: int = 0
    negatives_equal_positive: int = 0
    duplicates: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def drops(self) -> str:
        """What was left out, and of how many texts the end."""
        reasons = {
            "duplicate rows": self.duplicates,
            "rows without a positive": self.without_positive,
            "too short texts": self.too_short,
            "rows with an empty query or positive": self.empty_rows,
            "empty strings": self.empty_texts,
            "negatives that equal a positive": self.negatives_equal_positive,
        }
        return ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count) or "none"
