"""What the benchmarks run on: the embedded model and text, or tiny stand-ins for a rehearsal."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SENTENCE = "the frozen decoder reads memory tokens where a compressed text once stood and must continue it"


@dataclass(frozen=True)
class Workbench:
    """`model` and `text`: names as `--model.encoder` and `--data.train` take them; `quick`: all as small as can be."""

    model: str
    text: str
    quick: bool
    rounds: int
    device: str

    def choose(self, full: int, quick: int) -> int:
        """A size of the benchmark, or of its rehearsal."""
        return quick if self.quick else full

    def settings(self) -> dict[str, Any]:
        """As recorded with a result."""
        return asdict(self)


def full_bench(model: str, rounds: int) -> Workbench:
    """The model named, on the embedded text."""
    return Workbench(model, "embedded:wikipedia", False, rounds, _device())


def quick_bench(folder: Path) -> Workbench:
    """A random model of two narrow layers and made-up text, both written into the folder."""
    random_model(folder / "model")
    text = folder / "text.jsonl"
    texts = [f"{' '.join(SENTENCE.split()[i % 7 :] * (1 + i % 5))} {i}. The text {i} ends." for i in range(60)]
    lines = [json.dumps({"text": each}) for each in texts]
    text.write_text("\n".join(lines), encoding="utf-8")
    return Workbench(str(folder / "model"), str(text), True, 1, _device())


def random_model(folder: Path, vocab_size: int | None = None, **sizes: Any) -> None:
    """Write a random Llama that reads bytes; `sizes` replace those of its configuration."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    shape: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 16_384,
        "initializer_range": 0.2,  # else all it predicts is alike
        **sizes,
    }
    special: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = LlamaConfig(vocab_size=vocab_size or len(tokenizer), **shape, **special)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A token for each byte."""
    alphabet = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
