"""`llm2comp reconstruct`: what the frozen decoder reads in the memory tokens of a text."""

import torch
from jsonargparse import ArgumentParser
from jsonargparse.typing import PositiveInt
from rich.console import Console
from rich.text import Text

from llm2comp.backbone.loading import Precision, fast_dtype
from llm2comp.backbone.spec import resolve
from llm2comp.encoder.loading import build_encoder, load_encoder_config
from llm2comp.evaluation.reconstruction import Agreement, read_memory


def main(arguments: list[str]) -> None:
    """Print what the decoder says from memory, from the text, and how far they agree, token by token."""
    options = _parser().parse_args(arguments[1:])
    spec = resolve(options.encoder)
    encoder = build_encoder(spec, load_encoder_config(spec), fast_dtype(options.dtype), with_decoder=True).eval()
    encoder.to("cuda" if torch.cuda.is_available() else "cpu")
    reading = read_memory(encoder, options.text, options.max_new_tokens)
    console = Console()
    for title, said in (("The decoder after the text", reading.from_text), ("From memory alone", reading.from_memory)):
        console.print(Text(f"{title}: ", style="bold"), Text(said.strip() or "(nothing)"))
    console.print(_line("The text itself, token by token", reading.text))
    console.print(_line("What follows, token by token", reading.continuation))


def _line(title: str, agreement: Agreement) -> Text:
    line = Text.assemble((f"{title} ({agreement.share:.0%} said from memory): ", "bold"))
    for token, said in zip(agreement.tokens, agreement.said, strict=True):
        line.append(token, style="green" if said else "dim red")
    return line


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="llm2comp reconstruct", description="What is left of a text in its memory tokens.")
    parser.add_argument("text", type=str, help="The text to compress.")
    parser.add_argument("--encoder", type=str, required=True, help="An encoder folder with memory tokens.")
    parser.add_argument("--max_new_tokens", type=PositiveInt, default=40, help="How long the decoder speaks.")
    parser.add_argument("--dtype", type=Precision, default="auto", help="Type of the weights.")
    return parser
