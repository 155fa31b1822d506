"""Lists of addresses that are to stay out, of any size: sorted hashes on disk, mapped into memory by every process.

A list is a file or a folder, of forms that are about: a domain or a URL per line; hosts files (`0.0.0.0 domain`);
`||domain^` of ad blockers; folders of categories with `domains` and `urls` as Toulouse (UT1) publishes them. A domain
covers all below it; a URL all that begins with it, as far as whole steps go.
"""

import gzip
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import fsspec
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import xxhash

from classifiers.scripts import text_buffers
from curation.addresses.blocklist_lines import KNOWN_FORMS, entries_of
from curation.addresses.urls import hosts_of
from curation.kernels.addresses import find_domains, find_prefixes, hash_backward, hash_forward
from curation.kernels.characters import Hashes
from manifests.code import code_digest
from manifests.errors import RequestError
from manifests.record import ListRecord

LIST_CODE = (
    "curation/addresses/*.py",
    "curation/kernels/addresses.py",
    "curation/kernels/hashing.py",
)
"""The code that the hashes of a list depend on."""

BLOCK_BYTES = 16 << 20
"""Of a file, decoded, that is read at once."""

GZIP = b"\x1f\x8b"
_IN_FOLDERS = re.compile(r"(?:domains|urls|hosts)|.*\.(?:txt|list|lst|domains|urls|hosts)")
"""Names of the files that are read of a folder, but for `.gz`."""

SHOWN_CHARS = 80
"""Of a line that is not understood."""

Kept = tuple[Hashes, Hashes, npt.NDArray[np.int64]]
"""Hashes of domains and of URLs, and how many lines there are, are passed over, and are not understood."""

_SCHEME = r"^https?://(?:www\.)?"


@dataclass(frozen=True)
class Blocklist:
    """The entries of a list, as sorted hashes."""

    digest: str
    """Of its content."""
    domains: Hashes
    urls: Hashes
    n_lines: int = 0
    """Lines that hold anything but a comment."""
    n_passed_over: int = 0
    """Of these, lines of a known form that are about no site."""
    n_strange: int = 0
    """Of these, lines that were not understood."""

    @property
    def n_entries(self) -> int:
        """Different domains and URLs."""
        return len(self.domains) + len(self.urls)

    @property
    def record(self) -> ListRecord:
        """What the record of a run says of it."""
        return ListRecord(
            digest=self.digest,
            n_entries=self.n_entries,
            n_lines=self.n_lines,
            n_passed_over=self.n_passed_over,
            n_not_understood=self.n_strange,
        )

    def find(self, canonical: pa.StringArray) -> pa.StringArray:
        """The entries that n canonical addresses are listed under, shape (n,); null where one is not listed.

        Where several cover an address it is the shortest domain, or else the shortest URL.
        """
        hosts, urls = hosts_of(canonical), pl.Series("url", pl.from_arrow(canonical), pl.String)
        urls = urls.str.replace(_SCHEME, "")
        found = pl.DataFrame({"host": hosts, "url": urls}).with_columns(
            start=_looked_up(hosts, self.domains, find_domains), end=_looked_up(urls, self.urls, find_prefixes)
        )
        entry = (
            pl.when(pl.col("start") >= 0)
            .then(pl.col("host").str.slice(pl.col("start")))
            .when(pl.col("end") >= 0)
            .then(pl.col("url").str.slice(0, pl.col("end")))
        )
        entries = found.select(entry=entry)["entry"]
        return entries.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())


def _looked_up(names: pl.Series, entries: Hashes, find: Any) -> pl.Series:
    """What a kernel finds of each name; -1 where there is none."""
    places = np.full(len(names), -1, np.int32)
    if len(entries):
        find(*_buffers(names.fill_null("")), entries, places)
    return pl.Series(places)


def _buffers(names: pl.Series) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    return text_buffers(names.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string()))


def open_blocklist(name: str, paths: str | Sequence[str]) -> Blocklist:
    """The list of some files and folders; read once for what they hold, then mapped from the user's cache.

    Raises:
        RequestError: nothing is there, nothing that is an entry, or most lines are not understood; it names the list
            and the path.
    """
    return _opened(name, tuple(_all_files(name, paths)))


def list_digest(name: str, paths: str | Sequence[str]) -> str:
    """The digest of what the files of a list hold today.

    Raises:
        RequestError: nothing is there.
    """
    return _content_digest(path for path, _ in _all_files(name, paths))


def _all_files(name: str, paths: str | Sequence[str]) -> list[tuple[str, str]]:
    return [file for path in ([paths] if isinstance(paths, str) else paths) for file in _files(name, path)]


def _files(name: str, path: str) -> list[tuple[str, str]]:
    """Paths of a list's files, in order, and what tells that one has changed."""
    filesystem, root = fsspec.core.url_to_fs(path)
    if filesystem.isdir(root):
        inside = (found for found in filesystem.find(root) if _is_list(found[len(root) :].lstrip("/")))
        found = sorted(inside)
    else:
        found = [root] if filesystem.exists(root) else sorted(filesystem.glob(root))
    if not found:
        raise RequestError(
            f"measure.blocklists.{name}: nothing to read at {path}; of a folder, files are read that are called "
            "domains, urls, hosts or *.txt (.gz)"
        )
    return [(filesystem.unstrip_protocol(file), str(filesystem.ukey(file))) for file in found]


def _is_list(path: str) -> bool:
    is_hidden = any(step.startswith((".", "_")) for step in path.split("/"))
    return not is_hidden and _IN_FOLDERS.fullmatch(path.rpartition("/")[2].lower().removesuffix(".gz")) is not None


@lru_cache(64)
def _opened(name: str, files: tuple[tuple[str, str], ...]) -> Blocklist:
    digest = _content_digest(path for path, _ in files)
    kept = _cache() / f"{digest}-{code_digest(*LIST_CODE)}"
    found = _mapped(kept)
    if found is None:
        found = _read(name, [path for path, _ in files])
        _keep(kept, found)
        found = _mapped(kept) or found
    domains, urls, counts = found
    if not len(domains) + len(urls):
        raise RequestError(
            f"measure.blocklists.{name}: {files[0][0]} holds no entry; expected lines such as {KNOWN_FORMS}"
        )
    return Blocklist(digest, domains, urls, *counts.tolist())


def _content_digest(paths: Iterator[str]) -> str:
    """Of what the files hold, whatever they are called and in whichever order."""
    digests = []
    for path in paths:
        digest = xxhash.xxh3_128()
        with fsspec.open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
        digests.append(digest.hexdigest())
    return xxhash.xxh3_128_hexdigest(" ".join(sorted(digests)).encode())


def _read(name: str, paths: Sequence[str]) -> Kept:
    """The hashes of all domains, and those of all URLs, sorted; and the counts of lines.

    Raises:
        RequestError: more than half of the lines are not understood; it shows the first of them.
    """
    domains, urls = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    counts, first = np.zeros(3, np.int64), ""
    for path in paths:
        with fsspec.open(path, "rb") as file:
            for lines in _line_blocks(path, file):
                found = entries_of(lines)
                domains.append(_hashed(found.domains, hash_backward))
                urls.append(_hashed(found.urls, hash_forward))
                counts += (found.n_lines, found.n_passed_over, len(found.strange))
                first = first or next((f"{path}: {line[:SHOWN_CHARS]!r}" for line in found.strange), "")
    n_lines, _, n_strange = counts.tolist()
    if 2 * n_strange > n_lines:
        raise RequestError(
            f"measure.blocklists.{name}: {n_strange:,} of {n_lines:,} lines are not understood, the first in "
            f"{first}; expected lines such as {KNOWN_FORMS}"
        )
    return _sorted(domains), _sorted(urls), counts


def _sorted(parts: list[Hashes]) -> Hashes:
    """All hashes in order, each once; np.unique takes four times as long."""
    hashes = np.concatenate(parts)
    parts.clear()
    hashes.sort()
    once: Hashes = hashes[np.append(np.ones(min(len(hashes), 1), np.bool_), hashes[1:] != hashes[:-1])]
    return once


def _line_blocks(path: str, file: IO[bytes]) -> Iterator[pl.Series]:
    """The lines of a file, some MB at a time."""
    source: Any = gzip.GzipFile(fileobj=file) if file.read(2) == GZIP else file
    file.seek(0)
    rest = b""
    try:
        while block := source.read(BLOCK_BYTES):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                yield _lines(whole)
    except (OSError, EOFError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error
    yield _lines(rest)


def _lines(block: bytes) -> pl.Series:
    text = block.decode("utf-8", "replace").removeprefix("\ufeff")
    return pl.Series([text], dtype=pl.String).str.split("\n").explode().str.strip_chars()


def _hashed(names: pl.Series, hash_names: Any) -> Hashes:
    hashes = np.empty(len(names), np.uint64)
    hash_names(*_buffers(names), hashes)
    return hashes


# the user's cache

_KINDS = ("domains", "urls", "counts")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onggi" / "blocklists"


def _mapped(kept: Path) -> Kept | None:
    """The hashes as they lie on disk, which all processes of a machine share; None where they do not."""
    try:
        domains, urls, counts = (_map(kept.with_suffix(f".{kind}.npy")) for kind in _KINDS)
    except (OSError, ValueError, EOFError):
        return None
    return domains, urls, counts


def _map(path: Path) -> Any:
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _keep(kept: Path, found: Kept) -> None:
    """Write the hashes aside, then rename; where that cannot be, each process holds its own."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        for kind, hashes in zip(_KINDS, found, strict=True):
            aside = kept.with_suffix(f".{uuid.uuid4().hex[:8]}")
            with aside.open("wb") as file:
                np.save(file, hashes, allow_pickle=False)
            aside.replace(kept.with_suffix(f".{kind}.npy"))
    except OSError:
        return
