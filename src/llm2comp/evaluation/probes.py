"""What is watched during training besides the loss: retrieval, effective dimension and STS of the encoder so far."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng

from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.evaluation.questions import held_out_questions
from llm2comp.evaluation.retrieval import halves, mean_reciprocal_rank
from llm2comp.evaluation.sts import spearman, sts_pairs
from llm2comp.geometry import effective_dimension

# Tokens read of a question and of a passage: enough for most of a passage, and cheap.
QUESTION_TOKENS = 128


class Probes(Callback):
    """Measures the encoder at the end of each validation, `trainer.validate` before training included.

    Logs `val/retrieval_mrr` (the first half of a held-out text must find its second half among all second halves:
    MRR@10, without labels), `val/effective_dimension` (of all these halves' embeddings, at unit length) and, where
    `LLM2COMP_DATA` has STS-B, `val/sts_spearman` (percent, on its validation split). The texts are drawn by `seed`
    alone, so the numbers of a run, and of runs on the same corpus, compare. Train or eval mode and random states are
    left as found; every rank measures the same, so sharded models work.

    The defaults encode 21,000 tokens where there are 8 memory tokens, and 11,000 more with STS-B: with SmolLM2-135M
    on 2 CPU cores about 6 and 3 seconds in bfloat16, three times that in float32; half the texts cost half.

    Args:
        retrieval_texts: how many held-out texts; more are harder to tell apart, so MRR falls with their number.
        retrieval_tokens: how many tokens of each half are read, BOS and memory tokens not counted.
        sts: measure STS-B too, where its pairs are to be had.
        sts_limit: how many pairs of STS-B. With the default of 256 the level is some four points uncertain, and only
            its course over a run tells something; all 1,500 give the number to report.
        question_count: how many questions, each of which must find its passage among all their passages
            (`val/question_mrr`), where `LLM2COMP_DATA` has them; 0 for none.
        seed: draws the texts, the pairs and the questions.
    """

    def __init__(
        self,
        retrieval_texts: int = 256,
        retrieval_tokens: int = 32,
        sts: bool = True,
        sts_limit: int = 256,
        question_count: int = 0,
        seed: int = 0,
    ) -> None:
        for name, value, least in (
            ("retrieval_texts", retrieval_texts, 2),
            ("retrieval_tokens", retrieval_tokens, 1),
            ("sts_limit", sts_limit, 2),
        ):
            if value < least:
                raise UserError(f"Probes: {name} is {value}, and must be at least {least}")
        self.retrieval_texts = retrieval_texts
        self.retrieval_tokens = retrieval_tokens
        self.sts = sts
        self.sts_limit = sts_limit
        self.question_count = question_count
        self.seed = seed

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Draws the texts and the pairs, so that bad data is refused before any training."""
        if stage not in ("fit", "validate"):
            return
        datamodule = getattr(trainer, "datamodule", None)
        if datamodule is None or not hasattr(datamodule, "validation_texts"):
            raise UserError("Probes: no datamodule with validation_texts(); pass one to the trainer, or drop Probes")
        texts = self._draw(list(dict.fromkeys(datamodule.validation_texts())), self.retrieval_texts)
        if len(texts) < 2:
            rank_zero_warn("Probes: fewer than two held-out texts, so there is no retrieval to measure")
        self._halves = halves(texts)
        self._questions = (held_out_questions(self.question_count, self.seed) if self.question_count else None) or []
        self._pairs = self._draw((sts_pairs("validation") if self.sts else None) or [], self.sts_limit)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures and logs, unless this is the sanity check."""
        if trainer.sanity_checking:
            return
        with _undisturbed(trainer, pl_module):
            measured = self._measure(pl_module)
        # Ranks measure the same up to rounding; the mean makes it the same for what monitors it.
        pl_module.log_dict(measured, sync_dist=True)

    def _draw(self, items: list, count: int) -> list:
        return random.Random(self.seed).sample(items, min(count, len(items)))

    def _measure(self, pl_module: LightningModule) -> dict[str, float]:
        encoder = cast(Encoder, pl_module.encoder)
        measured: dict[str, float] = {}
        first, second = self._halves
        if len(first) > 1:
            max_length = min(encoder.max_length, 1 + self.retrieval_tokens + encoder.num_memory_tokens)
            encoded = encoder.encode([*first, *second], max_length=max_length, show_progress=False)
            embeddings = torch.nn.functional.normalize(torch.as_tensor(encoded), dim=-1)  # [2 * N, H]
            queries, documents = embeddings.chunk(2)
            measured["val/retrieval_mrr"] = mean_reciprocal_rank(queries, documents, torch.arange(len(first)))
            measured["val/effective_dimension"] = effective_dimension(embeddings).item()
        if self._questions:
            measured["val/question_mrr"] = self._question_mrr(encoder)
        if self._pairs:
            measured["val/sts_spearman"] = spearman(encoder, self._pairs, show_progress=False)
        return measured

    def _question_mrr(self, encoder: "Encoder") -> float:
        questions, passages = zip(*self._questions, strict=True)
        max_length = min(encoder.max_length, QUESTION_TOKENS + encoder.num_memory_tokens)
        encoded = encoder.encode([*questions, *passages], max_length=max_length, show_progress=False)
        queries, documents = torch.as_tensor(encoded).chunk(2)
        return mean_reciprocal_rank(queries, documents, torch.arange(len(questions)))


@contextmanager
def _undisturbed(trainer: Trainer, pl_module: LightningModule) -> Iterator[None]:
    """In the trainer's precision, as a validation step; modes and random states are put back as they were."""
    modes = [(module, module.training) for module in pl_module.modules()]
    try:
        with isolate_rng(), trainer.precision_plugin.val_step_context():
            yield
    finally:
        for module, training in modes:
            module.training = training
