"""The one LightningDataModule."""

from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from llm2comp.data.batch_dataset import BatchDataset
from llm2comp.data.batch_plan import BatchPlan
from llm2comp.data.collators.collator import Collator
from llm2comp.data.collators.registry import COLLATORS
from llm2comp.data.filters import Filters
from llm2comp.data.settings import DataSettings
from llm2comp.data.splits import Splits, Subset, make_splits
from llm2comp.data.train_loader import Position, TrainLoader
from llm2comp.data.validation_loader import ValidationLoader
from llm2comp.encoder.tokenization import affixes
from llm2comp.errors import UserError


class DataModule(L.LightningDataModule):
    """Text for any objective: the model's objective names the batch it wants, and its tokenizer makes the tokens.

    A source is written `embedded:wikipedia`, a path of a file (.txt, .jsonl, both also .gz, .parquet) or folder, or
    `hub:org/name@revision:config/split`. It is tokenised once and cached.

    The LightningModule says what it wants of the data: its `tokenizer`, `objective.batch_type`, and
    `max_text_tokens`, the tokens a text may have, BOS included.

    Args:
        train: The source of the training text.
        validation: The source of the validation text; without it, documents of the training text are held out.
        validation_fraction: The share of documents to hold out where there is no `validation`; 0 for no validation.
        batch_size: Examples a batch on each process. Give this or token_budget.
        token_budget: Padded tokens a batch on each process; examples of like lengths are batched together.
        max_tokens: Longer paragraphs are left out; never more than the model reads.
        min_characters: Shorter paragraphs are left out.
        max_examples: Train on a sample of this many paragraphs.
        num_workers: Processes that make batches ahead of time.
        seed: Order of the examples and where they are split.

    Raises UserError for options that contradict each other, sources that cannot be read, and text of which the
    filters leave nothing.
    """

    def __init__(
        self,
        train: str = "embedded:wikipedia",
        validation: str | None = None,
        validation_fraction: float = 0.1,
        batch_size: int | None = None,
        token_budget: int | None = None,
        max_tokens: int | None = None,
        min_characters: int = 1000,
        max_examples: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.settings = DataSettings(
            train=train,
            validation=validation,
            validation_fraction=validation_fraction,
            batch_size=batch_size,
            token_budget=token_budget,
            max_tokens=max_tokens,
            min_characters=min_characters,
            max_examples=max_examples,
            num_workers=num_workers,
            seed=seed,
        )
        self._splits: Splits | None = None
        self._train_loader: TrainLoader | None = None
        self._start = Position()

    def prepare_data(self) -> None:
        self._make_splits()

    def setup(self, stage: str) -> None:
        if self._trainer.overfit_batches:
            raise UserError("overfit_batches is not supported; train on a few examples with data.max_examples")
        self._splits = self._make_splits()
        self._train_loader, self._start = None, Position()
        self._check_budget()
        if stage == TrainerFn.FITTING:
            rank_zero_info(self._splits.describe(self.settings))

    def teardown(self, stage: str) -> None:
        if self._train_loader is not None:
            self._train_loader.close()

    def on_exception(self, exception: BaseException) -> None:
        self.teardown("fit")

    def train_dataloader(self) -> TrainLoader:
        trainer, subset = self._trainer, self._loaded.train
        dataset, plan = self._batches(subset, shuffle=True)
        self._train_loader = TrainLoader(
            dataset,
            plan,
            lambda: trainer.fit_loop.epoch_loop.batch_progress.total.processed,
            start=self._start,
            num_workers=self.settings.num_workers,
            pin_memory=self._pin_memory,
        )
        return self._train_loader

    def val_dataloader(self) -> ValidationLoader | list[Any]:
        subset = self._loaded.validation
        if subset is None:
            return []
        dataset, plan = self._batches(subset, shuffle=False)
        return ValidationLoader(dataset, plan, num_workers=self.settings.num_workers, pin_memory=self._pin_memory)

    def validation_texts(self) -> list[str]:
        """The held-out paragraphs as they were read."""
        subset = self._loaded.validation
        return [] if subset is None else [subset.corpus.text(example) for example in subset.examples]

    def state_dict(self) -> dict[str, int]:
        """Where a resumed run goes on, and what that hangs on, in numbers.

        Lightning keeps the loader's own state too, but forgets it where a run counted in epochs resumes at the end of
        one.
        """
        if self._train_loader is None:
            return {}
        return {**self._train_loader.state_dict(), **self._identity()}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on with the batch after the last one trained on.

        Raises UserError where the checkpoint was written with other data, for which its position means nothing.
        """
        if self._trainer.state.fn != TrainerFn.FITTING:
            return
        changed = [
            f"{name} was {state_dict.get(name)} and is {value}"
            for name, value in self._identity().items()
            if state_dict.get(name) != value
        ]
        if changed:
            raise UserError(
                f"the checkpoint was written with other data options ({'; '.join(changed)}); resume with the same "
                "ones, or start a new run from the encoder of the old one"
            )
        self._start = Position(state_dict["epoch"], state_dict["batch"])
        if self._train_loader is not None:  # a scheduler asked for the number of batches before the restore
            self._train_loader.load_state_dict(self._start._asdict())

    @property
    def _trainer(self) -> Any:
        assert self.trainer is not None, "the data is set up by a Trainer"
        return self.trainer

    @property
    def _model(self) -> Any:
        return self._trainer.lightning_module

    @property
    def _loaded(self) -> Splits:
        assert self._splits is not None, "setup comes first"
        return self._splits

    @property
    def _pin_memory(self) -> bool:
        return self._trainer.strategy.root_device.type == "cuda"

    def _make_splits(self) -> Splits:
        tokenizer = self._model.tokenizer
        readable = self._model.max_text_tokens - len(affixes(tokenizer)[0])
        max_tokens = min(self.settings.max_tokens or readable, readable)
        min_tokens = self._collator_type.min_tokens
        if max_tokens < min_tokens:
            raise UserError(
                f"a paragraph would have at most {max_tokens} tokens where the objective needs {min_tokens}; raise "
                "data.max_tokens or the model's maximum length"
            )
        return make_splits(self.settings, tokenizer, Filters(self.settings.min_characters, min_tokens, max_tokens))

    def _check_budget(self) -> None:
        budget = self.settings.token_budget
        for subset in (self._loaded.train, self._loaded.validation):
            if budget is None or subset is None:
                continue
            longest = int(self._collator().sizes(subset.corpus, subset.examples, 0).sum(axis=1).max())
            if longest > budget:
                raise UserError(
                    f"token_budget {budget} is less than the longest example, {longest} tokens; raise token_budget or "
                    "lower max_tokens"
                )

    @property
    def _collator_type(self) -> type[Collator]:
        return COLLATORS[self._model.objective.batch_type]

    def _collator(self) -> Collator:
        return self._collator_type(self._model.tokenizer, self.settings.seed)

    def _batches(self, subset: Subset, shuffle: bool) -> tuple[BatchDataset, BatchPlan]:
        collator = self._collator()
        processes = self._trainer.distributed_sampler_kwargs or {"num_replicas": 1, "rank": 0}
        plan = BatchPlan(
            subset.examples,
            lambda examples, epoch: collator.sizes(subset.corpus, examples, epoch),
            batch_size=self.settings.batch_size,
            token_budget=self.settings.token_budget,
            seed=self.settings.seed,
            rank=processes["rank"],
            world_size=processes["num_replicas"],
            shuffle=shuffle,
        )
        return BatchDataset(subset.corpus, collator), plan

    def _identity(self) -> dict[str, int]:
        """What the order of the batches hangs on."""
        subset = self._loaded.train
        return {
            "seed": self.settings.seed,
            "batch_size": self.settings.batch_size or 0,
            "token_budget": self.settings.token_budget or 0,
            "examples": len(subset.examples),
            "checksum": int(np.bitwise_xor.reduce(subset.corpus.text_hashes[subset.examples]) >> np.uint64(1)),
        }
