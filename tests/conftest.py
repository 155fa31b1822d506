"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads would fight over the cores with pytest's processes

settings.register_profile("onggi", deadline=None)  # the first call of a kernel compiles it
settings.load_profile("onggi")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of development corpora; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ONGGI_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("the development corpora are not here")
    return folder
