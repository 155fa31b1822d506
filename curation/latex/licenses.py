"""What arXiv's metadata snapshot says of papers, by their ids: licence, categories, date of the last version.

The snapshot (JSONL, as `arxiv-metadata-oai-snapshot.json`) has millions of lines of some 1.5 KB. It is read once per
process into sorted arrays of 16 bytes a paper; what is the same for many papers stands once.
"""

import functools
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from xxhash import xxh3_64_intdigest

from curation.read_stream import digest_range, open_input
from manifests.errors import RequestError, RunError

LICENSES = {
    "creativecommons.org/licenses/by/": "CC-BY-",
    "creativecommons.org/licenses/by-sa/": "CC-BY-SA-",
    "creativecommons.org/licenses/by-nc-sa/": "CC-BY-NC-SA-",
    "creativecommons.org/licenses/by-nc-nd/": "CC-BY-NC-ND-",
    "creativecommons.org/licenses/by-nc/": "CC-BY-NC-",
    "creativecommons.org/licenses/by-nd/": "CC-BY-ND-",
    "creativecommons.org/publicdomain/zero/": "CC0-",
    "arxiv.org/licenses/nonexclusive-distrib/": "arXiv-nonexclusive-distrib-",
}
"""Addresses of the licences that arXiv offers, with SPDX's names (arXiv's own has none)."""


@dataclass(frozen=True)
class Paper:
    """What the snapshot says of one paper."""

    license: str | None
    categories: str | None
    date: str | None


class Licenses:
    """The snapshot, ready to be asked."""

    def __init__(self, keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.uint32], values: list[Paper]) -> None:
        self._keys, self._rows, self._values = keys, rows, values

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, paper: str) -> Paper | None:
        """What is known of a paper by its id without version, as `2301.01234` or `hep-th/9901001`."""
        key = np.uint64(xxh3_64_intdigest(paper.encode()))
        at = int(np.searchsorted(self._keys, key))
        if at == len(self._keys) or self._keys[at] != key:
            return None
        return self._values[int(self._rows[at])]


_LOCK = threading.Lock()


def licenses(path: str) -> Licenses:
    """The snapshot at a path or fsspec URL, read by the first who asks in this process.

    Raises:
        RequestError: it is not there.
        RunError: a line is no JSON object with an `id`.
    """
    with _LOCK:
        return _licenses(path)


@functools.lru_cache(maxsize=2)
def _licenses(path: str) -> Licenses:
    values: dict[tuple[str | None, str | None, str | None], int] = {}
    keys, rows = bytearray(), bytearray()
    with open_input(path) as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            paper = _paper(line, path, number)
            value = (spdx(_text(paper, "license")), _text(paper, "categories"), _text(paper, "update_date"))
            keys += xxh3_64_intdigest(paper["id"].encode()).to_bytes(8, "little")
            rows += values.setdefault(value, len(values)).to_bytes(4, "little")
    return _sorted(keys, rows, [Paper(*value) for value in values])


def _paper(line: bytes, path: str, number: int) -> dict[str, Any]:
    try:
        paper = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise RunError(f"{path}: line {number}: no JSON: {error}") from None
    if not isinstance(paper, dict) or not isinstance(paper.get("id"), str):
        raise RunError(f"{path}: line {number}: no object with an `id`; arXiv's metadata has id, license, categories")
    return paper


def _text(paper: dict[str, Any], name: str) -> str | None:
    value = paper.get(name)
    return value if isinstance(value, str) else None


def _sorted(keys: bytearray, rows: bytearray, values: list[Paper]) -> Licenses:
    all_keys, all_rows = np.frombuffer(keys, "<u8"), np.frombuffer(rows, "<u4")
    order = np.argsort(all_keys, kind="stable")
    return Licenses(all_keys[order], all_rows[order], values)


def check_licenses(path: str | None) -> None:
    """RequestError where a snapshot is named that is not there."""
    if path:
        try:
            open_input(path).close()
        except (OSError, ValueError) as error:
            raise RequestError(
                f"latex.licenses: {path}: {error}; it is arXiv's metadata as JSONL (id, license, categories, "
                "update_date), as arxiv-metadata-oai-snapshot.json"
            ) from None


@functools.cache
def licenses_digest(path: str | None) -> str:
    """What the snapshot holds, since another may come to lie there; read once per process."""
    if not path:
        return ""
    with open_input(path) as file:
        return digest_range(file, 0, file.seek(0, 2)).hex()


def spdx(license_url: str | None) -> str | None:
    """A licence by SPDX's name where arXiv's address of it is known, else as it stands."""
    if not license_url:
        return None
    address = license_url.partition("://")[2].removeprefix("www.")
    for prefix, name in LICENSES.items():
        if address.startswith(prefix):
            return name + address.removeprefix(prefix).strip("/")
    return license_url
