"""Fixtures of all tests of training; see `tests.training.tiny`."""

from pathlib import Path

import pytest

from tests.training import tiny


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny Llama with its tokenizer; only read."""
    return tiny.save_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tokenizer alone; only read."""
    return tiny.save_tokenizer(tmp_path_factory.mktemp("tiny") / "tokenizer")
