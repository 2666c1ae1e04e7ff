"""A folder of a tiny language model to make encoders of."""

from pathlib import Path

import pytest

from tests.encoder.examples import tiny_folder


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("llama"))
