"""The files with which sentence-transformers opens an encoder folder, with its own classes alone."""

import json
import logging
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.tokenization import memory_token_names

logger = logging.getLogger(__name__)

_TRANSFORMER = "sentence_transformers.base.modules.transformer.Transformer"
# Our pooling -> theirs, after WordWeights has left only the memory states where the mean is over those.
_POOLING_MODES = {"mean": "mean", "weighted_mean": "weightedmean", "last": "lasttoken", "memory_mean": "mean"}
# These take in no instruction in any case.
_LEAVE_OUT_INSTRUCTIONS = {"memory_mean", "last"}


def write_modules(config: EncoderConfig, tokenizer: PreTrainedTokenizerBase, hidden_size: int, folder: Path) -> None:
    """Write modules.json and the modules' own files into an encoder folder.

    An encoder that these classes cannot express says so in the log, and its folder is refused by sentence-transformers
    rather than opened as something else.
    """
    modules = [{"idx": 0, "name": "0", "path": "", "type": _TRANSFORMER}]
    if not _can_express(config):
        what = f"pooling {config.pooling!r} with memory positions {config.memory_positions!r}"
        what += "" if config.pool_instructions else " without the tokens of instructions"
        logger.warning("sentence-transformers cannot express %s; open the folder with llm2comp.Encoder", what)
        modules.append({"idx": 1, "name": "1", "path": "", "type": "llm2comp.Encoder"})
    else:
        modules += _pooling_modules(config, tokenizer, hidden_size, folder)
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": config.max_length, "do_lower_case": False})
    _write_json(
        folder / "config_sentence_transformers.json",
        {
            "model_type": "SentenceTransformer",
            "prompts": config.prompts,
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )


def _can_express(config: EncoderConfig) -> bool:
    if config.pooling not in _POOLING_MODES or config.memory_positions != "after":
        return False
    # Theirs counts appended memory tokens as part of an instruction, and weighs from the instruction's first token.
    plain_mean = config.pooling == "mean" and config.num_memory_tokens == 0
    return config.pool_instructions or config.pooling in _LEAVE_OUT_INSTRUCTIONS or plain_mean


def _pooling_modules(
    config: EncoderConfig, tokenizer: PreTrainedTokenizerBase, hidden_size: int, folder: Path
) -> list[dict]:
    from sentence_transformers.sentence_transformer.modules import Pooling, WordWeights

    modules = []
    if config.pooling == "memory_mean":
        names = {index: token for token, index in tokenizer.get_vocab().items()}
        vocabulary = [names.get(index, f"<unused-{index}>") for index in range(max(names) + 1)]
        memory = dict.fromkeys(memory_token_names(config.num_memory_tokens), 1.0)
        modules.append(("1_WordWeights", WordWeights(vocabulary, memory, unknown_word_weight=0)))
    include_prompt = config.pool_instructions or config.pooling in _LEAVE_OUT_INSTRUCTIONS
    pooling = Pooling(hidden_size, _POOLING_MODES[config.pooling], include_prompt=include_prompt)
    modules.append((f"{len(modules) + 1}_Pooling", pooling))
    for path, module in modules:
        (folder / path).mkdir()
        module.save(str(folder / path))
    return [
        {
            "idx": i,
            "name": str(i),
            "path": path,
            "type": f"{type(module).__module__}.{type(module).__name__}",
        }
        for i, (path, module) in enumerate(modules, start=1)
    ]


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
