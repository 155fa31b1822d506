"""What was measured before, by the digests of the model and of the data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import xxhash

from manifests.store import Folder
from training.inputs import Digests

MEASURES_VERSION = 1
"""Another number where the same model comes to other figures."""


class Cache:
    """A folder of JSON files, each what one model came to on one set."""

    def __init__(self, folder: str) -> None:
        self._folder = Folder(folder)
        self.digests = Digests(Path(folder) / "digests.json")
        """Of models and data; files that have not changed are not read again."""

    def of_files(self, paths: Sequence[str]) -> str:
        """Digest of files in their order."""
        return digest_of([self.digests.of_file(path) for path in paths])

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


def key_of(kind: str, model: str, data: str, settings: Mapping[str, Any]) -> str:
    """Name of what a model came to: kind of measure, digests of model and data, and all that it depends on."""
    return f"{kind}-{digest_of([MEASURES_VERSION, kind, model, data, settings])}.json"


def digest_of(value: Any) -> str:
    """XXH3-128 of something that JSON can say."""
    return xxhash.xxh3_128_hexdigest(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
