"""Training text for objectives that read paragraphs."""

from typing import Any

from llm2comp.data.batch_dataset import BatchDataset
from llm2comp.data.batch_plan import BatchPlan
from llm2comp.data.collators.registry import make_collator
from llm2comp.data.corpus import Corpus
from llm2comp.data.filters import Filters
from llm2comp.data.settings import DataSettings
from llm2comp.data.splits import Splits, Subset, make_splits
from llm2comp.data.streaming.streamed import StreamedSource
from llm2comp.data.streaming.text import StreamedText, stream_splits
from llm2comp.encoder.tokenization import affixes
from llm2comp.errors import UserError


class TextData:
    """Paragraphs of one source, and batches of them. `model`: see `DataModule`."""

    def __init__(self, settings: DataSettings, model: Any) -> None:
        self.settings = settings
        self.tokenizer, self.max_text_tokens = model.tokenizer, model.max_text_tokens
        self.collator = make_collator(model.objective, model.tokenizer, settings.seed)

    def splits(self) -> Splits:
        """Raises UserError where the limits leave no text, or one that is over the token budget."""
        filters = self._filters()
        if self.settings.streaming:
            self._check_stream_budget(filters)
            return stream_splits(self.settings, self.tokenizer, filters)
        splits = make_splits(self.settings, self.tokenizer, filters)
        self._check_budget(splits)
        return splits

    def stream(self, source: StreamedSource) -> StreamedText:
        return StreamedText(source, self, self._filters())

    def _filters(self) -> Filters:
        readable = self.max_text_tokens - sum(map(len, affixes(self.tokenizer)))
        max_tokens = min(self.settings.max_tokens or readable, readable)
        min_tokens = self.collator.min_tokens
        if max_tokens < min_tokens:
            raise UserError(
                f"a paragraph would have at most {max_tokens} tokens where the objective needs {min_tokens}; raise "
                "data.max_tokens or the model's maximum length"
            )
        return Filters(self.settings.min_characters, min_tokens, max_tokens)

    def batches(self, subset: Subset, training: bool, rank: int, world_size: int) -> tuple[BatchDataset, BatchPlan]:
        """The batches of a process, in random order: the first few are a fair sample of all lengths."""
        corpus = subset.corpus
        assert isinstance(corpus, Corpus)
        plan = BatchPlan(
            subset.examples,
            lambda examples, epoch: self.collator.sizes(corpus, examples, epoch),
            batch_size=self.settings.batch_size,
            token_budget=self.settings.token_budget,
            seed=self.settings.seed,
            rank=rank,
            world_size=world_size,
        )
        return BatchDataset(corpus, self.collator), plan

    def identity(self) -> dict[str, int]:
        """What else the order of the batches hangs on."""
        return {}

    def _check_stream_budget(self, filters: Filters) -> None:
        budget, longest = self.settings.token_budget, filters.max_tokens + sum(map(len, affixes(self.tokenizer)))
        if budget is not None and longest > budget:
            raise UserError(
                f"token_budget {budget} is less than the longest example that may come in a stream, {longest} tokens; "
                f"raise token_budget or set max_tokens to {budget - longest + filters.max_tokens}"
            )

    def _check_budget(self, splits: Splits) -> None:
        budget = self.settings.token_budget
        for subset in (splits.train, splits.validation):
            if budget is None or not isinstance(subset, Subset):
                continue
            assert isinstance(subset.corpus, Corpus)
            longest = int(self.collator.sizes(subset.corpus, subset.examples, 0).sum(axis=1).max())
            if longest > budget:
                raise UserError(
                    f"token_budget {budget} is less than the longest example, {longest} tokens; raise token_budget or "
                    "lower max_tokens"
                )
