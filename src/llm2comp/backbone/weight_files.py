"""Weights read from safetensors files a part at a time, into a model that is made without memory."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from torch.distributed.tensor import DTensor, Shard
from transformers import PreTrainedModel
from transformers.utils import cached_file

from llm2comp.backbone.spec import ModelSpec


@dataclass(frozen=True)
class WeightFiles:
    """Where the weights of a model lie: for each of its parameters the file, and the name it has there.

    `dtype`: what weights are rounded to, as a model loaded in this type would hold them.
    """

    places: dict[str, tuple[Path, str]]
    dtype: torch.dtype

    @classmethod
    def of(cls, spec: ModelSpec, lm: PreTrainedModel, dtype: torch.dtype) -> "WeightFiles | None":
        """The files of `spec` for a model of its architecture; None where they must be converted as they are read."""
        stored = _stored_names(spec)
        prefix = f"{lm.base_model_prefix}."
        places = {}
        for name, _ in lm.named_parameters():
            names = (name, name.removeprefix(prefix), prefix + name)
            found = next((stored[each] for each in names if each in stored), None)
            if found is None:
                return None
            places[name] = found
        return cls(places, dtype)

    def read(self, name: str, rows: slice = slice(None)) -> Tensor:
        """Some rows of a parameter, on the CPU."""
        path, stored_name = self.places[name.replace(".base_layer", "")]
        with safe_open(path, framework="pt") as file:
            return file.get_slice(stored_name)[rows].to(self.dtype)

    @torch.no_grad()
    def fill(self, name: str, parameter: Tensor) -> None:
        """Set a parameter, or of one that is sharded by rows the part that this process holds."""
        if not isinstance(parameter, DTensor):
            parameter.copy_(self.read(name))
            return
        assert parameter.placements == (Shard(0),)
        local, mesh = parameter.to_local(), parameter.device_mesh
        first = math.ceil(parameter.shape[0] / mesh.size()) * mesh.get_local_rank()
        if len(local):
            local.copy_(self.read(name, slice(first, first + len(local))))


def _stored_names(spec: ModelSpec) -> dict[str, tuple[Path, str]]:
    """For every tensor in the model's safetensors files, its file and name; none if the model has no such files."""
    if spec.gguf_file is not None:
        return {}
    places = {}
    for path in _files(spec):
        with safe_open(path, framework="pt") as file:
            places.update({name: (path, name) for name in file.keys()})  # noqa: SIM118  # not a dict
    return places


def _files(spec: ModelSpec) -> list[Path]:
    options = {"revision": spec.revision, "_raise_exceptions_for_missing_entries": False}
    index = cached_file(spec.path, "model.safetensors.index.json", **options)
    if index is not None:
        names = sorted(set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values()))
        paths = [cached_file(spec.path, name, revision=spec.revision) for name in names]
        return [Path(path) for path in paths if path is not None]
    whole = cached_file(spec.path, "model.safetensors", **options)
    return [] if whole is None else [Path(whole)]
