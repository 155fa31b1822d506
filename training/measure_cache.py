"""What was measured before, by the digests of the model and of the data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import xxhash

from manifests.errors import RequestError
from manifests.store import Folder
from training.validation_sets import files_digest

MEASURES_VERSION = 1
"""Another number where the same model comes to other figures."""
OF_A_MODEL = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model", "*.txt")
"""What a model's figures depend on: weights, configuration, tokenizer, chat template."""


def model_digest(folder: Path) -> str:
    """XXH3-128 of a model's weights, configuration and tokenizer.

    Raises:
        RequestError: the folder holds no model.
    """
    if not (folder / "config.json").is_file():
        raise RequestError(f"{folder}: there is no model (no config.json)")
    paths = sorted({path for pattern in OF_A_MODEL for path in folder.glob(pattern) if path.is_file()})
    if not any(path.suffix == ".safetensors" for path in paths):
        raise RequestError(f"{folder}: there are no weights (no .safetensors file)")
    names = "\0".join(path.name for path in paths)
    return xxhash.xxh3_128_hexdigest(f"{names}\0{files_digest([str(path) for path in paths])}".encode())


class Cache:
    """A folder of JSON files, each what one model came to on one set."""

    def __init__(self, folder: str) -> None:
        self._folder = Folder(folder)

    def key(self, kind: str, model: str, data: str, settings: Mapping[str, Any]) -> str:
        """Name of what a model came to: kind of measure, digests of model and data, and all that it depends on."""
        parts = [MEASURES_VERSION, kind, model, data, settings]
        return f"{kind}-{xxhash.xxh3_128_hexdigest(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))}.json"

    def get(self, key: str) -> Any | None:
        """What was measured; None where nothing was, or the file is damaged and it has to be measured again."""
        try:
            return self._folder.read_json(key)
        except (FileNotFoundError, ValueError):
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep what was measured.

        Raises:
            RequestError: the folder cannot be made.
            RunError: the disk is full.
        """
        self._folder.write_json(key, value)
