"""Encoding, against sentence-transformers and against the bare forward passes.

One encoder folder (8 memory tokens) is opened by `llm2comp.Encoder` and by `SentenceTransformer`, and both encode the
same texts: SciFact's claims (short), a sample of its documents (mixed), and its longest documents (long). With the same
dtype, sentence-transformers gets the batch size that is fastest on a third of the texts. "Bare" is what the model
itself must do: forward passes over texts that are tokens already, never padded, one text at a time or texts of exactly
equal length together, whichever is faster on that third. Defaults against defaults is `encode(texts)` of both;
sentence-transformers then computes in the dtype that the folder was saved in, which is float32, or bfloat16 where
training computed in it.
"""

from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from benchmarks.harness import Contestant, Ratio, fastest, interleaved, timed
from benchmarks.results import Comparison, Result
from benchmarks.texts import encoding_texts
from benchmarks.workbench import Workbench
from llm2comp import Encoder
from llm2comp.backbone.loading import fast_dtype
from llm2comp.backbone.spec import resolve
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.loading import build_encoder, load_encoder_config
from llm2comp.encoder.tokenization import left_pad, tokenize

DEFAULTS = {"cpu": 2.0, "cuda": 1.5}
BARE = 1.10
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
# Tokens of texts of equal length that go through the model together.
EQUAL_LENGTHS = (1, 1024, 4096)
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def run(bench: Workbench) -> Result:
    """Measure all cases."""
    result = Result("encoding", bench.settings())
    texts = encoding_texts(bench)
    dtypes = ["float32"] if fast_dtype() is torch.float32 else list(DTYPES)
    with TemporaryDirectory() as folder:
        for dtype in dtypes:
            write_encoder(bench, Path(folder, dtype), DTYPES[dtype])
        for case, some in texts.items():
            result.numbers[f"{case}: texts"] = len(some)
            for dtype in dtypes if case == "mixed" else dtypes[:1]:
                _same_dtype(bench, result, f"{folder}/float32", case, some, dtype)
                _defaults(bench, result, folder, case, some, dtype)
    return result


def write_encoder(bench: Workbench, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """An encoder folder made of the model, with 8 memory tokens unless it is an encoder already."""
    spec = resolve(bench.model)
    config = load_encoder_config(spec)
    if not config.num_memory_tokens:
        config = EncoderConfig(8, "memory_mean", "bidirectional", base=spec.name)
    torch.manual_seed(0)
    build_encoder(spec, config, dtype).save_pretrained(folder)


def _same_dtype(bench: Workbench, result: Result, folder: str, case: str, texts: list[str], dtype: str) -> None:
    ours: Any = Encoder.from_pretrained(folder, dtype=dtype)
    theirs = SentenceTransformer(folder, device=bench.device, model_kwargs={"dtype": DTYPES[dtype]})
    third = texts[:: 1 if bench.quick else 3]
    batch_size = int(fastest({str(b): timed(partial(_theirs, theirs, third, batch_size=b)) for b in BATCH_SIZES}))
    grouping = int(fastest({str(tokens): bare_passes(ours, third, tokens) for tokens in EQUAL_LENGTHS}))
    contestants: dict[str, Contestant] = {
        "ours": timed(partial(ours.encode, texts)),
        "sentence-transformers": timed(partial(_theirs, theirs, texts, batch_size=batch_size)),
        "bare passes": bare_passes(ours, texts, grouping),
    }
    seconds = interleaved(contestants, bench.rounds, f"encode, {case}, {dtype}")
    result.seconds[f"{case}, {dtype}"] = seconds
    result.numbers[f"{case}, {dtype}: best batch size of sentence-transformers"] = batch_size
    faster = Ratio.of(seconds["sentence-transformers"], seconds["ours"])
    result.comparisons.append(Comparison(f"{case}, {dtype}, sentence-transformers / ours", faster, 1.0))
    over = Ratio.of(seconds["ours"], seconds["bare passes"])
    result.comparisons.append(Comparison(f"{case}, {dtype}, ours / bare passes", over, BARE, at_most=True))


def _defaults(bench: Workbench, result: Result, parent: str, case: str, texts: list[str], saved_in: str) -> None:
    folder = f"{parent}/{saved_in}"
    contestants = {
        "ours": timed(partial(Encoder.from_pretrained(folder).encode, texts)),
        "sentence-transformers": timed(partial(_theirs, SentenceTransformer(folder), texts)),
    }
    name = f"{case}, defaults, folder in {saved_in}"
    seconds = interleaved(contestants, bench.rounds, f"encode, {name}")
    result.seconds[name] = seconds
    ratio = Ratio.of(seconds["sentence-transformers"], seconds["ours"])
    target = DEFAULTS[bench.device] if case == "mixed" else None
    result.comparisons.append(Comparison(f"{name}, sentence-transformers / ours", ratio, target))


def _theirs(model: SentenceTransformer, texts: list[str], **options: Any) -> None:
    model.encode(texts, show_progress_bar=False, **options)


def bare_passes(encoder: Encoder, texts: list[str], tokens: int) -> Contestant:
    """Forward passes over texts that are tokens already: those of one length together, up to so many tokens."""
    k, device = encoder.num_memory_tokens, encoder.backbone.device
    rows = sorted(tokenize(encoder.tokenizer, texts, encoder.max_text_tokens), key=len)
    batches = []
    for length, equal in groupby(rows, key=len):
        group, size = list(equal), max(1, tokens // (length + k))
        batches += [left_pad(group[i : i + size], 0) for i in range(0, len(group), size)]
    inputs = [(ids.to(device), mask.to(device)) for ids, mask in batches]

    @torch.no_grad()
    def passes() -> None:
        for ids, mask in inputs:
            encoder.embed(ids, mask).cpu()

    return timed(passes)
