"""Training pairs for contrastive objectives."""

from typing import Any

from llm2comp.data.batch_dataset import BatchDataset
from llm2comp.data.batch_plan import BatchPlan
from llm2comp.data.collators.contrastive import ContrastiveCollator
from llm2comp.data.hashing import hash_text
from llm2comp.data.pairs.mixture import PairMixture
from llm2comp.data.pairs.mixture_plan import MixturePlan, ValidationPlan, mixing_shares
from llm2comp.data.pairs.splits import make_pair_splits
from llm2comp.data.pairs.writing import TokenLimits
from llm2comp.data.settings import DataSettings
from llm2comp.data.splits import Splits, Subset
from llm2comp.data.streaming.pairs import StreamedPairs, stream_pair_splits
from llm2comp.data.streaming.streamed import StreamedSource
from llm2comp.encoder.tokenization import affixes
from llm2comp.errors import UserError


class PairData:
    """Pairs of one or several data sets, and batches of them. `model`: see `DataModule`."""

    def __init__(self, settings: DataSettings, model: Any) -> None:
        if settings.batch_size is None:
            raise UserError("pairs are batched by number: give batch_size (pairs a batch) instead of token_budget")
        self.settings, self.batch_size = settings, settings.batch_size
        self.tokenizer, self.max_text_tokens = model.tokenizer, model.max_text_tokens
        self.pool_instructions: bool = model.encoder_config.pool_instructions

    def splits(self) -> Splits:
        """Raises UserError where a data set has fewer than two pairs to train on."""
        if self.batch_size < 2:
            raise UserError("batch_size must be at least 2: a pair alone has nothing to be told apart from")
        splits = stream_pair_splits if self.settings.streaming else make_pair_splits
        return splits(self.settings, self.tokenizer, self._limits())

    def stream(self, source: StreamedSource) -> StreamedPairs:
        return StreamedPairs(source, self, self._limits())

    def _limits(self) -> TokenLimits:
        readable = self.max_text_tokens - sum(map(len, affixes(self.tokenizer)))
        query, document = (
            min(limit or self.settings.max_tokens or readable, readable)
            for limit in (self.settings.max_query_tokens, self.settings.max_document_tokens)
        )
        return TokenLimits(query, document)

    def batches(self, subset: Subset, training: bool, rank: int, world_size: int) -> tuple[BatchDataset, BatchPlan]:
        """The batches of a process, in random order and mixed as the settings say when training."""
        mixture = subset.corpus
        assert isinstance(mixture, PairMixture)
        dataset = BatchDataset(mixture, ContrastiveCollator(self.tokenizer, self.settings.seed, self.pool_instructions))
        parts = mixture.split(subset.examples)
        if not training:
            some = [part for part in parts if len(part)]
            return dataset, ValidationPlan(some, self.batch_size, rank=rank, world_size=world_size)
        shares = mixing_shares(
            self.settings.mixing,
            self.settings.mixing_temperature,
            [len(part) for part in parts],
            [one.weight for one in mixture.sets],
        )
        plan = MixturePlan(
            parts, self.batch_size, shares=shares, seed=self.settings.seed, rank=rank, world_size=world_size
        )
        return dataset, plan

    def identity(self) -> dict[str, int]:
        """What else the order of the batches hangs on: how data sets are mixed."""
        if isinstance(self.settings.train, str):
            return {}
        mixing = (self.settings.mixing, self.settings.mixing_temperature, [one.weight for one in self.settings.train])
        return {"mixing": hash_text(repr(mixing)) >> 1}
