"""Does a training step ever wait for a stream? Worker processes against what steps consume, as ratios.

    python -m benchmarks.data_wait --train articles.jsonl.gz --model embedded:smollm2-135m --steps 20

First the tokens that one worker process reads, tokenises and batches in a second. Then what steps wait that consume
a share of that: steps of a device that is so fast, for which this script sleeps. Then real steps of a model. Where a
step consumes c tokens/s and a worker makes w, more than c / w workers are needed, each on a core of its own.
"""

import argparse
import os
import time
from itertools import islice
from typing import Any

import lightning as L
import torch

from llm2comp.backbone.lora import LoRA
from llm2comp.data.datamodule import DataModule
from llm2comp.data.streaming.loader import StreamLoader
from llm2comp.data.streaming.made_buffers import MadeBuffers, unpack
from llm2comp.data.streaming.stream import Place, Stream
from llm2comp.data.text_data import TextData
from llm2comp.modules import EncoderTraining
from llm2comp.modules.optimization import Optimization
from llm2comp.objectives import Distillation
from llm2comp.reporting.throughput import Throughput

WARM_UP = 20  # batches, while the workers start
SHARES = (0.25, 0.5, 0.75, 0.9)  # of what the workers can make


def main() -> None:
    options = _parser().parse_args()
    data = DataModule(
        options.train,
        validation_fraction=0.0,
        streaming=True,
        token_budget=options.token_budget,
        max_tokens=options.max_tokens,
        min_characters=300,
        buffer_size=options.buffer_size,
    )
    module = EncoderTraining(options.model, Distillation(), LoRA(16, 32, 0.0), Optimization(1e-4))
    text = TextData(data.settings, module)
    source: Any = text.splits().train
    stream = Stream(text.stream(source), options.buffer_size)
    made, reading = _made_by_one(stream, options.seconds)
    print(f"one process reads, tokenises and batches {made:,.0f} tokens/s; {reading:.1%} of its time is reading")
    for share in SHARES:
        waited = _wait(stream, share * made * options.workers, options.workers, options.seconds)
        print(
            f"steps that consume {share:.0%} of what {options.workers} workers can make wait {waited:.1%} of their time"
        )
    if options.steps:
        consumed, waited = _real_steps(module, data, options)
        print(
            f"steps of {options.model} consume {consumed:,.0f} tokens/s, {consumed / made:.2%} of what one worker can "
            f"make, and wait {waited:.2%} of their time with {options.workers} workers"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", default="embedded:wikipedia", help="Text: a file, a folder or another source.")
    parser.add_argument("--model", default="embedded:smollm2-135m", help="Whose tokenizer, and whose steps.")
    parser.add_argument("--workers", type=int, default=1, help="Worker processes; leave a core for the steps.")
    parser.add_argument("--seconds", type=float, default=10.0, help="For each measurement.")
    parser.add_argument("--steps", type=int, default=0, help="Real steps of the model; 0 for none.")
    parser.add_argument("--token_budget", type=int, default=8192)
    parser.add_argument("--max_tokens", type=int, default=256)
    parser.add_argument("--buffer_size", type=int, default=2048)
    return parser


def _made_by_one(stream: Stream, seconds: float) -> tuple[float, float]:
    """Tokens a second, in one thread of this process, and the share of the time that reading the text takes."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    buffers = MadeBuffers(stream, Place())
    tokens, started, number = 0, time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        buffer = buffers[number]
        if isinstance(buffer, Exception):
            raise buffer
        tokens += sum(unpack(batch).num_tokens for batch in buffer.batches)
        number += 1
    taken = time.perf_counter() - started
    del os.environ["TOKENIZERS_PARALLELISM"]
    started = time.perf_counter()
    for _ in islice(stream.buffers(Place()), number):
        pass
    return tokens / taken, (time.perf_counter() - started) / taken


def _wait(stream: Stream, consumed: float, workers: int, seconds: float) -> float:
    """The share of time that steps wait which consume so many tokens a second, once the workers have started."""
    trained = 0
    loader = StreamLoader(
        stream, lambda: trained, lambda numbers: torch.tensor([numbers]), num_workers=workers, pin_memory=False
    )
    stepped = before = 0.0
    for batch in loader:
        started = time.perf_counter()
        time.sleep(batch.num_tokens / consumed)
        trained += 1
        if trained == WARM_UP:
            before = loader.seconds_waited
        elif trained > WARM_UP:
            stepped += time.perf_counter() - started
        if stepped > seconds:
            break
    waited = loader.seconds_waited - before
    loader.close()
    return waited / (waited + stepped)


def _real_steps(module: EncoderTraining, data: DataModule, options: argparse.Namespace) -> tuple[float, float]:
    """Tokens a second and the share of time waited, over the last half of the steps."""
    trainer = L.Trainer(
        max_steps=options.steps // 2 * 2,
        log_every_n_steps=options.steps // 2,
        callbacks=[Throughput()],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataModule(**{**vars(data.settings), "num_workers": options.workers}))
    measured = trainer.callback_metrics
    return float(measured["train/tokens_per_second"]), float(measured["train/data_wait"])


if __name__ == "__main__":
    main()
