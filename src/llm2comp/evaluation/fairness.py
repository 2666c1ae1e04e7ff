"""The fairness contract: a comparison of encoders says in what they were not made alike."""

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llm2comp.encoder.config import FILE_NAME, EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.text_encoder import TextEncoder
from llm2comp.encoder.training_free.templated_encoder import TemplatedEncoder
from llm2comp.evaluation.mteb.replicas import ReplicatedEncoder

FAIR = "Same base weights, corpus, training tokens, steps and LoRA."
# Batches of one budget that two objectives pad differently hold somewhat different numbers of tokens.
TOKEN_TOLERANCE = 0.05
_RECORD = "encoder"

Stage = dict[str, Any]


class Condition(NamedTuple):
    """What an encoder was made with: alike where `key` is equal, unknown where that is None; `text` is shown."""

    key: Hashable
    text: str


NOT_RECORDED = Condition(None, "not recorded")


def fairness(configs: Mapping[str, EncoderConfig | None]) -> list[str]:
    """The lines to show under a comparison of encoders, by name; none where there is nothing to compare.

    An encoder of which nothing is recorded, such as someone else's, is None.
    """
    if len(configs) < 2:
        return []
    return [f"Not a fair comparison: {line}." for line in breaches(configs)] or [FAIR]


def breaches(configs: Mapping[str, EncoderConfig | None]) -> list[str]:
    """What differs in which encoders, a line each.

    Alike must be the base weights, the number of training stages and, for those that come at the same place, the
    corpus (by content), training tokens (within 5 percent), optimizer steps and LoRA. Tokens and steps are all that the
    run took, though the checkpoint that was best may be an earlier one. What is not recorded counts as a difference.
    """
    known = {name: config for name, config in configs.items() if config is not None}
    lines = []
    if unknown := [name for name in configs if name not in known]:
        lines.append(f"how it was made is not recorded ({', '.join(unknown)})")
    lines += _difference("base weights", {name: _base(config) for name, config in known.items()})
    lines += _difference("training", {name: _stages(config) for name, config in known.items()})
    for number in range(max((len(config.stages) for config in known.values()), default=0)):
        stages = {name: config.stages[number] for name, config in known.items() if len(config.stages) > number}
        at = f" of stage {number + 1}"
        lines += _difference(f"corpus{at}", {name: _corpus(stage) for name, stage in stages.items()})
        lines += _difference(f"training tokens{at}", _tokens(stages))
        lines += _difference(f"optimizer steps{at}", {name: _steps(stage) for name, stage in stages.items()})
        lines += _difference(f"LoRA{at}", {name: _lora(stage) for name, stage in stages.items()})
    return lines


def _base(config: EncoderConfig) -> Condition:
    return Condition(config.base, config.base) if config.base else NOT_RECORDED


def recorded(encoder: TextEncoder) -> EncoderConfig | None:
    """What is recorded of how an encoder was made; None for someone else's."""
    if isinstance(encoder, ReplicatedEncoder):
        return recorded(encoder.replicas[0])
    if isinstance(encoder, TemplatedEncoder):
        return encoder.encoder.config
    return encoder.config if isinstance(encoder, Encoder) else None


def keep_record(encoder: TextEncoder, folder: Path) -> None:
    """Keep what is recorded of an encoder beside its results in `folder`, so that tables of them can compare it."""
    if config := recorded(encoder):
        (folder / _RECORD).mkdir(parents=True, exist_ok=True)
        config.save(folder / _RECORD)


def kept_record(folder: Path) -> EncoderConfig | None:
    """What `keep_record` kept in `folder`; None where it kept nothing."""
    return EncoderConfig.load(folder / _RECORD) if (folder / _RECORD / FILE_NAME).is_file() else None


def _difference(what: str, conditions: Mapping[str, Condition]) -> list[str]:
    """The line that says which encoders have which condition, unless all have the same or there is but one."""
    keys = {condition.key for condition in conditions.values()}
    if len(conditions) < 2 or (len(keys) == 1 and None not in keys):
        return []
    names: dict[str, list[str]] = {}
    for name, condition in conditions.items():
        names.setdefault(condition.text, []).append(name)
    return [f"{what}: " + "; ".join(f"{text} ({', '.join(those)})" for text, those in names.items())]


def _stages(config: EncoderConfig) -> Condition:
    names = [str(stage.get("stage", "stage")) for stage in config.stages]
    return Condition(len(names), " + ".join(names) or "none")


def _corpus(stage: Stage) -> Condition:
    spent = stage.get("training", {})
    if "checksum" not in spent:
        return NOT_RECORDED
    source = stage.get("data", {}).get("train")
    name = source if isinstance(source, str) else f"{len(source or [])} data sets"
    # Of a stream nobody knows the length before its end.
    examples = "streamed" if spent["examples"] is None else f"{spent['examples']:,} examples"
    return Condition(spent["checksum"], f"{name}, {examples}, checksum {spent['checksum'][:8]}")


def _tokens(stages: Mapping[str, Stage]) -> dict[str, Condition]:
    counts = {name: stage.get("training", {}).get("tokens") for name, stage in stages.items()}
    known = [count for count in counts.values() if count is not None]
    alike = bool(known) and max(known) <= (1 + TOKEN_TOLERANCE) * min(known)
    return {
        name: NOT_RECORDED if count is None else Condition("alike" if alike else count, f"{count:,}")
        for name, count in counts.items()
    }


def _steps(stage: Stage) -> Condition:
    steps = stage.get("training", {}).get("steps")
    return NOT_RECORDED if steps is None else Condition(steps, f"{steps:,}")


def _lora(stage: Stage) -> Condition:
    settings = stage.get("model", {}).get("init_args", {})
    if "lora" not in settings:
        return NOT_RECORDED
    lora = settings["lora"]
    if lora is None:
        return Condition("none", "none, every weight trains")
    return Condition(json.dumps(lora, sort_keys=True), ", ".join(f"{key} {value}" for key, value in lora.items()))
