"""What a user may ask of the data, checked."""

from dataclasses import dataclass
from typing import get_args

from llm2comp.data.guard import Guard
from llm2comp.data.pairs.mixture_plan import Mixing
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.errors import UserError, unknown


@dataclass(frozen=True)
class DataSettings:
    """The options of the DataModule; see there."""

    train: str | list[PairSet]
    validation: str | list[PairSet] | None
    validation_fraction: float
    batch_size: int | None
    token_budget: int | None
    max_tokens: int | None
    max_query_tokens: int | None
    max_document_tokens: int | None
    min_characters: int
    max_examples: int | None
    mixing: Mixing
    mixing_temperature: float
    guard: Guard
    num_workers: int
    seed: int

    def __post_init__(self) -> None:
        if (self.batch_size is None) == (self.token_budget is None):
            raise UserError(
                "give either batch_size (examples a batch) or token_budget (padded tokens a batch), "
                f"not {'both' if self.batch_size is not None else 'neither'}"
            )
        for name in (
            "batch_size",
            "token_budget",
            "max_tokens",
            "max_query_tokens",
            "max_document_tokens",
            "max_examples",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")
        for name in ("min_characters", "num_workers", "seed"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must not be negative, but is {getattr(self, name)}")
        if not 0 <= self.validation_fraction < 1:
            raise UserError(f"validation_fraction must be in [0, 1), not {self.validation_fraction}")
        for name, known in (("mixing", Mixing), ("guard", Guard)):
            if getattr(self, name) not in get_args(known):
                raise unknown(name, getattr(self, name), get_args(known))
        if not self.mixing_temperature > 0:
            raise UserError(f"mixing_temperature must be above 0, not {self.mixing_temperature}")
        self._check_sets()

    def _check_sets(self) -> None:
        if isinstance(self.train, str):
            return
        if not self.train:
            raise UserError("train names no data set")
        if self.max_examples is not None:
            raise UserError("where train is a list, give max_examples in the entries of its data sets")
        weighted = [one.source for one in self.train if one.weight != 1]
        if weighted and self.mixing != "weights":
            raise UserError(f"{weighted[0]} has a weight, which counts only with mixing: weights, not {self.mixing!r}")
