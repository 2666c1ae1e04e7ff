"""The one LightningDataModule."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from llm2comp.data.batch_dataset import BatchDataset
from llm2comp.data.batch_plan import BatchPlan
from llm2comp.data.batches import ContrastiveBatch
from llm2comp.data.identity import check_identity, identity_of
from llm2comp.data.pair_data import PairData
from llm2comp.data.settings import DataSettings
from llm2comp.data.splits import Splits, Subset
from llm2comp.data.streaming.loader import StreamLoader
from llm2comp.data.streaming.stream import Stream
from llm2comp.data.streaming.streamed import StreamedSource
from llm2comp.data.text_data import TextData
from llm2comp.data.train_loader import TrainLoader
from llm2comp.data.validation_loader import ValidationLoader
from llm2comp.errors import UserError


class DataModule(L.LightningDataModule):
    """Text for any objective: the model's objective names the batch it wants, and its tokenizer makes the tokens.

    A source is written `embedded:wikipedia` (or `embedded:wikipedia-sentences`), a path of a file (.txt, .jsonl, both
    also .gz, .parquet) or folder, or `hub:org/name@revision:config/split`. It is tokenised once and cached.

    Contrastive training reads pairs, in any of the layouts of `llm2comp.data.pairs.layouts`, from one source or from a
    list of data sets, each batch from one; a source of plain text gives each paragraph paired with itself. There,
    texts that are too long lose their end instead of being left out, `batch_size` counts pairs, pairs are held out by
    their query (plain text by its document), and what stands in an evaluation set is guarded against.

    The LightningModule says what it wants of the data: its `tokenizer`, `objective.batch_type`, `max_text_tokens`
    (the tokens a text may have, BOS included) and, for pairs, `encoder_config.pool_instructions`.

    Its options are those of `DataSettings`. Raises UserError for ones that contradict each other, sources that cannot
    be read, and text of which the filters leave nothing.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__()
        self.settings = DataSettings(*args, **options)
        self._splits: Splits | None = None
        self._train_loader: TrainLoader | StreamLoader | None = None
        self._start: dict[str, Any] = {}

    def prepare_data(self) -> None:
        self._data().splits()

    def setup(self, stage: str) -> None:
        if self._trainer.overfit_batches:
            raise UserError("overfit_batches is not supported; train on a few examples with data.max_examples")
        if self.settings.streaming and stage == TrainerFn.FITTING and self._trainer.max_steps == -1:
            raise UserError("a stream has no end, so it has to be said when training ends: set trainer.max_steps")
        self._splits = self._data().splits()
        self._train_loader, self._start = None, {}
        if stage == TrainerFn.FITTING:
            rank_zero_info(self._splits.description)
            if self._trainer.is_global_zero:
                for line in self._splits.notices:
                    print(line)

    def teardown(self, stage: str) -> None:
        if self._train_loader is not None:
            self._train_loader.close()

    def on_exception(self, exception: BaseException) -> None:
        self.teardown("fit")

    def train_dataloader(self) -> TrainLoader | StreamLoader:
        trainer, train = self._trainer, self._loaded.train
        options: dict[str, Any] = {
            "processed": lambda: trainer.fit_loop.epoch_loop.batch_progress.total.processed,
            "num_workers": self.settings.num_workers,
            "pin_memory": self._pin_memory,
        }
        if isinstance(train, StreamedSource):
            self._train_loader = StreamLoader(self._stream(train), gather=self._gather, **options)
        else:
            self._train_loader = TrainLoader(*self._batches(train, training=True), **options)
        if self._start:
            self._train_loader.load_state_dict(self._start)
        return self._train_loader

    def val_dataloader(self) -> ValidationLoader | list[Any]:
        subset = self._loaded.validation
        if subset is None:
            return []
        dataset, plan = self._batches(subset, training=False)
        return ValidationLoader(dataset, plan, num_workers=self.settings.num_workers, pin_memory=self._pin_memory)

    def validation_texts(self) -> list[str]:
        """The held-out paragraphs, or positives of the held-out pairs, as they were read."""
        subset = self._loaded.validation
        return [] if subset is None else [subset.corpus.text(example) for example in subset.examples]

    @property
    def training_corpus(self) -> dict[str, Any]:
        """What training reads: the number of `examples`, and a `checksum` of which they are, in hex. Of a stream the
        number is None, and the checksum is of the names and the sizes of its files."""
        return self._loaded.train.content

    @property
    def tasks(self) -> list[str]:
        """The tasks whose instructions stand before the texts, in order."""
        sets = [] if isinstance(self.settings.train, str) else self.settings.train
        return list(dict.fromkeys(each.task for each in sets if each.task is not None))

    def state_dict(self) -> dict[str, Any]:
        """Where a resumed run goes on, and what that hangs on, in numbers.

        Lightning keeps the loader's own state too, but forgets it where a run counted in epochs resumes at the end of
        one.
        """
        if self._train_loader is None:
            return {}
        return {**self._train_loader.state_dict(), **self._identity()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the batch after the last one trained on.

        Raises UserError where the checkpoint was written with other data, for which its position means nothing.
        """
        if self._trainer.state.fn != TrainerFn.FITTING:
            return
        check_identity(state_dict, self._identity())
        self._start = {name: value for name, value in state_dict.items() if name not in self._identity()}
        if self._train_loader is not None:  # a scheduler asked for the number of batches before the restore
            self._train_loader.load_state_dict(self._start)

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

    def _data(self, settings: DataSettings | None = None) -> TextData | PairData:
        kind = PairData if self._model.objective.batch_type is ContrastiveBatch else TextData
        return kind(settings or self.settings, self._model)

    @property
    def _process(self) -> tuple[int, int]:
        """The number of this process, and how many there are."""
        processes = self._trainer.distributed_sampler_kwargs or {"num_replicas": 1, "rank": 0}
        return processes["rank"], processes["num_replicas"]

    def _stream(self, source: StreamedSource) -> Stream:
        rank, world_size = self._process
        settings = self.settings.shared_by(world_size)
        streamed = self._data(settings).stream(source)
        return Stream(streamed, settings.items_a_buffer, seed=settings.seed, rank=rank, world_size=world_size)

    def _gather(self, numbers: Sequence[int]) -> torch.Tensor:
        """[processes, N] the numbers [N] of all processes."""
        strategy = self._trainer.strategy
        return strategy.all_gather(torch.tensor(numbers, device=strategy.root_device)).reshape(-1, len(numbers))

    def _batches(self, subset: Subset, training: bool) -> tuple[BatchDataset, BatchPlan]:
        rank, world_size = self._process
        if not training:  # each batch is measured whole, in one process
            return self._data().batches(subset, training, rank, world_size)
        if len(subset.examples) < world_size:
            raise UserError(
                f"there are {world_size} processes and {len(subset.examples)} training examples: use at most as many "
                "processes as examples (trainer.devices, trainer.num_nodes), or more data"
            )
        return self._data(self.settings.shared_by(world_size)).batches(subset, training, rank, world_size)

    def _identity(self) -> dict[str, int]:
        """What the order of the batches hangs on."""
        train = {**self._loaded.train.identity(), **self._data().identity()}
        return identity_of(self.settings, train, self._process[1])
