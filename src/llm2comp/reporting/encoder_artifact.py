"""An encoder folder as a W&B artifact, known by its content, so that a stage is linked to the one before it."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import wandb

from llm2comp.encoder.config import EncoderConfig
from llm2comp.reporting.scrub import scrub

_TYPE = "encoder"


def encoder_artifact(folder: Path, with_files: bool) -> wandb.Artifact:
    """What stands for the encoder in the folder: what is recorded of it and, if asked for, all its files."""
    artifact = wandb.Artifact(artifact_name(folder), _TYPE, metadata=scrub(asdict(EncoderConfig.load(folder))))
    if with_files:
        artifact.add_dir(str(folder), policy="immutable")  # no second copy on the disk
    return artifact


def artifact_name(folder: Path) -> str:
    """The same for two folders if and only if their encoders are, wherever they lie."""
    return f"{_TYPE}-{encoder_checksum(folder)[:16]}"


def encoder_checksum(folder: Path) -> str:
    """Hex digest of the names and contents of an encoder folder's files; a gigabyte takes about a second."""
    whole = hashlib.blake2b(digest_size=16)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            whole.update(path.relative_to(folder).as_posix().encode() + b"\0")
            whole.update(hashlib.file_digest(file, "blake2b").digest())
    return whole.hexdigest()
