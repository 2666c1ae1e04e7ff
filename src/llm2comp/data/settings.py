"""What a user may ask of the data, checked."""

from dataclasses import dataclass, replace
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
    streaming: bool
    buffer_size: int
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
            "buffer_size",
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
        if self.streaming:
            self._check_stream()

    def shared_by(self, processes: int) -> "DataSettings":
        """The settings of each process. Raises UserError for a batch size that cannot be shared evenly."""
        if self.batch_size is None or processes == 1:
            return self
        if self.batch_size % processes:
            below, above = (self.batch_size // processes + more for more in (0, 1))
            sizes = " or ".join(str(size * processes) for size in (below, above) if size)
            raise UserError(
                f"batch_size {self.batch_size} cannot be shared evenly by {processes} processes: set it to {sizes}, or "
                "use another number of processes (trainer.devices, trainer.num_nodes)"
            )
        return replace(self, batch_size=self.batch_size // processes)

    @property
    def items_a_buffer(self) -> int:
        """`buffer_size`, or less, so that batches of `batch_size` leave nothing over."""
        return self.buffer_size - self.buffer_size % (self.batch_size or 1)

    def _check_stream(self) -> None:
        if not isinstance(self.train, str) and len(self.train) > 1:
            raise UserError(
                f"a stream has one source, and train names {len(self.train)}; without streaming, data sets are mixed "
                "from files on the disk, which need not fit into memory"
            )
        sets = [] if isinstance(self.train, str) else self.train
        if self.max_examples is not None or any(one.max_examples is not None for one in sets):
            raise UserError("max_examples is a sample of all the text, which a stream does not know: drop one of them")
        if self.batch_size is not None and self.buffer_size < self.batch_size:
            raise UserError(f"buffer_size {self.buffer_size} is less than a batch of batch_size {self.batch_size}")

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
