"""What a user may ask of the data, checked."""

from dataclasses import dataclass

from llm2comp.errors import UserError


@dataclass(frozen=True)
class DataSettings:
    """The options of the DataModule; see there."""

    train: str
    validation: str | None
    validation_fraction: float
    batch_size: int | None
    token_budget: int | None
    max_tokens: int | None
    min_characters: int
    max_examples: int | None
    num_workers: int
    seed: int

    def __post_init__(self) -> None:
        if (self.batch_size is None) == (self.token_budget is None):
            raise UserError(
                "give either batch_size (examples a batch) or token_budget (padded tokens a batch), "
                f"not {'both' if self.batch_size is not None else 'neither'}"
            )
        for name in ("batch_size", "token_budget", "max_tokens", "max_examples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")
        for name in ("min_characters", "num_workers", "seed"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must not be negative, but is {getattr(self, name)}")
        if not 0 <= self.validation_fraction < 1:
            raise UserError(f"validation_fraction must be in [0, 1), not {self.validation_fraction}")
