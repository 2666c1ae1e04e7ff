"""What a user may ask of the data, checked."""

from dataclasses import dataclass, replace
from typing import get_args

from llm2comp.data.guard import Guard
from llm2comp.data.pairs.mixture_plan import Mixing
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.errors import UserError, unknown


@dataclass(frozen=True)
class DataSettings:
    """The options of the DataModule.

    Args:
        train: The source of the training text, or, for pairs, a list of data sets (see `PairSet`).
        validation: The source of the validation text, likewise; without it, a part of the training text is held out.
        validation_fraction: The share of documents to hold out where there is no `validation`; 0 for no validation.
        batch_size: Examples a batch over all processes, which share them evenly. Give this or token_budget.
        token_budget: Padded tokens a batch on each process; examples of like lengths are batched together.
        max_tokens: Longer paragraphs are left out (pairs: cut to it); never more than the model reads.
        max_query_tokens: Queries of pairs are cut to this instead.
        max_document_tokens: Positives and negatives of pairs are cut to this instead.
        min_characters: Shorter paragraphs of plain text are left out.
        max_examples: Train on a sample of this many paragraphs or pairs.
        mixing: How many batches each data set gets: as many as it has (`proportional`), `temperature`, or `weights`.
        mixing_temperature: Shares are sizes to the power of 1 / temperature: 1 as they are, more is evener.
        guard: Pairs with texts of an evaluation set under LLM2COMP_DATA: `drop` them, and say how many, `refuse` them
            with an error, or train on them (`off`).
        streaming: Read and tokenise the training text while training goes on, in `num_workers` processes, instead of
            all of it before the first step; for text that is too much for the disk or too much to wait for. Needs
            trainer.max_steps.
        buffer_size: How many paragraphs or pairs of a stream each process shuffles and batches together.
        num_workers: Processes that make batches ahead of time.
        seed: Order of the examples, where they are split, and which positives and negatives are drawn.

    Raises UserError for options that contradict each other.
    """

    train: str | list[PairSet] = "embedded:wikipedia"
    validation: str | list[PairSet] | None = None
    validation_fraction: float = 0.1
    batch_size: int | None = None
    token_budget: int | None = None
    max_tokens: int | None = None
    max_query_tokens: int | None = None
    max_document_tokens: int | None = None
    min_characters: int = 1000
    max_examples: int | None = None
    mixing: Mixing = "proportional"
    mixing_temperature: float = 2.0
    guard: Guard = "drop"
    streaming: bool = False
    buffer_size: int = 8192
    num_workers: int = 0
    seed: int = 0

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
