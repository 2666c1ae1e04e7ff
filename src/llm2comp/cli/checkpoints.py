"""The encoders that a training run has kept on its way."""

from collections.abc import Iterator
from pathlib import Path

import torch
import yaml
from lightning.pytorch import LightningModule

from llm2comp.cli.parser import Parser
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.modules.checkpoint_io import AtomicCheckpointIO
from llm2comp.modules.encoder_training import EncoderTraining


def checkpoints(run: Path) -> Iterator[tuple[int, Encoder]]:
    """A run's encoder before training, step 0, and at each step of which `checkpoints/` has one, in order.

    It is one encoder whose weights change: be done with one before asking for the next. Memory tokens that the run
    began are drawn anew for its beginning. Raises UserError for a folder that is not a run's, and for a checkpoint that
    cannot be read.
    """
    paths = sorted((run / "checkpoints").glob("*.ckpt"))
    if not (run / "config.yaml").is_file() or not paths:
        raise UserError(f"{run} is not the folder of a run: it lacks config.yaml or checkpoints/*.ckpt")
    # Read twice, so that memory holds one at a time.
    steps = {AtomicCheckpointIO().load_checkpoint(path)["global_step"]: path for path in paths}
    module = _module(run / "config.yaml")
    encoder = module.encoder.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    yield 0, encoder
    for step, path in sorted(steps.items()):
        module.load_state_dict(AtomicCheckpointIO().load_checkpoint(path)["state_dict"], strict=False)
        yield step, encoder


def _module(path: Path) -> EncoderTraining:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    parser = Parser()
    parser.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
    module = parser.instantiate_classes(parser.parse_object({"model": config["model"]})).model
    module.configure_model()
    return module
