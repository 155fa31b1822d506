"""A request to take documents down: files of ids, URLs or domains, one entry per line or in a column."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import fsspec

from classifiers.rows import ENDINGS, frames
from curation.removal.addresses import canonical_host, canonical_url, host_of
from manifests.errors import RequestError

Kind = Literal["ids", "urls", "domains"]
COLUMNS: dict[Kind, str] = {"ids": "id", "urls": "url", "domains": "domain"}
"""The column that is read of a file with columns, where none is named."""


@dataclass(frozen=True)
class Entry:
    """One thing that is asked for."""

    kind: Kind
    written: str
    """As in the request."""
    name: str
    """In one spelling: an id in small letters, an address as `addresses` says."""

    @property
    def digest(self) -> str:
        """What is remembered of it, so that the folders of runs do not tell which addresses were taken down."""
        return digest_of(self.kind, self.name)


def digest_of(kind: Kind, name: str) -> str:
    """SHA-256 of an entry in its one spelling, hexadecimal."""
    return hashlib.sha256(f"{kind}\0{name}".encode()).hexdigest()


@dataclass(frozen=True)
class RequestFile:
    """A file of a request, as it was when it was read."""

    kind: Kind
    path: str
    sha256: str
    n_entries: int


@dataclass(frozen=True)
class Request:
    """All that is asked for, each thing once."""

    entries: tuple[Entry, ...]
    files: tuple[RequestFile, ...]
    copies: bool = False
    """Whether documents with the very text of those that are named go too."""

    @property
    def digest(self) -> str:
        """The same for the same request, whatever the order, the spelling or the file it comes in."""
        names = sorted(entry.digest for entry in self.entries)
        return hashlib.sha256("\n".join([str(self.copies), *names]).encode()).hexdigest()

    def of(self, kind: Kind) -> list[Entry]:
        """Its entries of one kind."""
        return [entry for entry in self.entries if entry.kind == kind]


def read_request(files: Mapping[Kind, Sequence[str]], column: str | None = None, copies: bool = False) -> Request:
    """The request in some files; paths are absolute.

    Args:
        files: of each kind, text files with an entry per line (blank lines and such that begin with # do not count),
            CSV or TSV with a header, Parquet or JSONL.
        column: of files with columns; by default `id`, `url` or `domain`.
        copies: see `Request`.

    Raises:
        RequestError: a file cannot be read or names nothing, or an entry is none of its kind; names file and line.
    """
    entries, read = dict[tuple[Kind, str], Entry](), list[RequestFile]()
    for kind, paths in files.items():
        for path in paths:
            content = _content(path)
            found = [
                _entry(kind, text, f"{path}:{line}") for line, text in _lines(path, content, column or COLUMNS[kind])
            ]
            if not found:
                raise RequestError(f"{path}: names nothing to remove; expected {kind}, one per line")
            read.append(RequestFile(kind, path, hashlib.sha256(content).hexdigest(), len(found)))
            for entry in found:
                entries.setdefault((kind, entry.name), entry)
    if not entries:
        raise RequestError("name what to remove: --ids FILE, --urls FILE or --domains FILE")
    return Request(tuple(entries.values()), tuple(read), copies)


def _content(path: str) -> bytes:
    try:
        with fsspec.open(path, "rb") as file:
            content: bytes = file.read()
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from None
    return content


def _lines(path: str, content: bytes, column: str) -> Iterator[tuple[int, str]]:
    """(line or row, entry) of a file."""
    if path.lower().endswith(ENDINGS):
        rows = (value for frame in frames(path, [column]) for value in frame[column])
        yield from ((row, str(value)) for row, value in enumerate(rows, 1) if value is not None)
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: is not UTF-8 (byte {error.start:,}); save it as UTF-8") from None
    if path.lower().endswith((".csv", ".tsv")):
        yield from _csv_lines(path, text, column)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if (entry := line.strip()) and not entry.startswith("#"):
            yield number, entry


def _csv_lines(path: str, text: str, column: str) -> Iterator[tuple[int, str]]:
    rows = csv.DictReader(io.StringIO(text), delimiter="\t" if path.lower().endswith(".tsv") else ",")
    if column not in (rows.fieldnames or []):
        raise RequestError(f"{path}: has no column {column!r}; found: {', '.join(rows.fieldnames or [])}")
    for row in rows:
        if entry := (row[column] or "").strip():
            yield rows.line_num, entry


def _entry(kind: Kind, text: str, where: str) -> Entry:
    """Raises RequestError: the text is no entry of this kind."""
    text = text.strip()
    if kind == "ids":
        if not re.fullmatch(r"[0-9a-fA-F]{32}", text):
            raise RequestError(f"{where}: {text!r} is no id: expected 32 hexadecimal digits (all copies of an id go)")
        return Entry(kind, text, text.lower())
    name = canonical_url(text) if kind == "urls" else _domain(text)
    host = host_of(name) if name else None
    if name is None or host is None or ("." not in host and ":" not in host):
        raise RequestError(
            f"{where}: {text!r} is no {'URL' if kind == 'urls' else 'domain'} with a host of two parts"
        )
    return Entry(kind, text, name)


def _domain(text: str) -> str | None:
    """The host of an entry such as example.com, *.example.com or https://example.com/."""
    bare = re.sub(r"^(?:https?://)?(?:\*?\.)?", "", text, flags=re.IGNORECASE).removesuffix("/")
    return canonical_host(bare)
