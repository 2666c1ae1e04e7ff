"""An encoder on a word-level task: features, a head for every seed, and the scores."""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from tqdm.auto import tqdm

from llm2comp.encoder.fingerprint import digest
from llm2comp.evaluation.words.features import CODE_VERSION as FEATURES_VERSION
from llm2comp.evaluation.words.features import WordReader
from llm2comp.evaluation.words.result import WordResult, read_result
from llm2comp.evaluation.words.scores import Score, span_f1, word_accuracy
from llm2comp.evaluation.words.tasks import TASKS, WordDataset
from llm2comp.evaluation.words.training import HeadSettings, TaggedWords, train_head

# Raise it when the scores of the same features come out otherwise.
CODE_VERSION = 1


class WordEvaluation:
    """A task: heads on the features of any encoder, and their scores, which are kept in files.

    The tags to choose from are those of all splits, so that a limit on sentences leaves few of them out.

    Args:
        task: a name in `TASKS`.
        dataset: the task's sentences.
        folder: where results are kept; what is there is not computed again.
        settings: how heads are trained.
    """

    def __init__(self, task: str, dataset: WordDataset, folder: Path, settings: HeadSettings | None = None) -> None:
        self.task, self.dataset, self.folder = task, dataset, folder
        self.settings = settings or HeadSettings()
        layer = TASKS[task].layer
        self._tags = {
            split: [tag for sentence in sentences for tag in sentence.tags[layer]]
            for split, sentences in dataset.splits.items()
        }
        self._inventory = sorted({tag for tags in self._tags.values() for tag in tags})
        self._data = digest([[asdict(sentence) for sentence in split] for split in dataset.splits.values()])

    def evaluate(self, reader: WordReader, seeds: int) -> WordResult:
        """The scores on the test split of heads with seeds 0 to `seeds` - 1."""
        key = {
            "code_version": [CODE_VERSION, FEATURES_VERSION],
            "encoder": reader.fingerprint,
            "reading": reader.reading,
            "task": self.task,
            "data": self._data,
            "head": asdict(self.settings),
        }
        path = self.folder / f"{self.task}-{digest(key)[:16]}.json"
        result = read_result(path)
        missing = [seed for seed in range(seeds) if result is None or seed not in result.scores]
        if result is None or missing:
            features = {split: reader.features(sentences) for split, sentences in self.dataset.splits.items()}
            result = WordResult(
                encoder=reader.encoder.name,
                direction=reader.encoder.config.direction,
                reading=reader.reading,
                task=self.task,
                limit=self.dataset.limit,
                words={split: len(tags) for split, tags in self._tags.items()},
                unread={split: of_split.unread for split, of_split in features.items()},
                key=key,
                scores=result.scores if result else {},
            )
            words = {split: TaggedWords(of_split.values, self._labels(split)) for split, of_split in features.items()}
            for seed in tqdm(missing, desc=f"{self.task} heads", unit="head", delay=5):
                result.scores[seed] = self._score(words, seed)
                result.write(path)
        return replace(result, encoder=reader.encoder.name, scores={seed: result.scores[seed] for seed in range(seeds)})

    def _labels(self, split: str) -> torch.Tensor:
        number = {tag: index for index, tag in enumerate(self._inventory)}
        return torch.tensor([number[tag] for tag in self._tags[split]])

    def _score(self, words: dict[str, TaggedWords], seed: int) -> Score:
        num_tags = len(self._inventory)
        trained = train_head(words["train"], words["dev"], words["test"], num_tags, seed, self.settings)
        accuracy = word_accuracy(trained.predicted, words["test"].labels, num_tags)
        f1 = None
        if TASKS[self.task].spans:
            predicted = [self._inventory[index] for index in trained.predicted.tolist()]
            lengths = [len(sentence.words) for sentence in self.dataset.splits["test"]]
            f1 = span_f1(predicted, self._tags["test"], lengths)
        return Score(accuracy, f1, trained.dev_accuracy)
