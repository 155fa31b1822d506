"""JSONL: one record per line; a line that is not one is a failed row and does not disturb the others."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson
from xxhash import xxh3_128, xxh3_128_digest

from curation.read_batch import Batch, Event, Record, Split, batches
from curation.read_stream import (
    GZIP,
    ZSTD,
    BrokenMemberError,
    Codec,
    Members,
    PlainBytes,
    diagnose,
    digest_range,
    next_member,
    open_input,
    read_range,
)
from curation.template import MissingFieldError, compile_template
from manifests.schema import Input, Limits

_BOM = b"\xef\xbb\xbf"


def read_jsonl(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of one split of a JSONL file; see `curation.read.read_split`."""
    with open_input(split.path) as file:
        yield from batches(_events(file, split, item, limits, cursor), split, item, metadata_names)


def codec_of(file: BinaryIO, path: str) -> Codec | None:
    """How the file is compressed: by its first bytes and, where those are broken, by its name."""
    file.seek(0)
    head = file.read(8)
    for codec in (GZIP, ZSTD):
        if head.startswith(codec.magic):
            return codec
    if not head or head.removeprefix(_BOM).lstrip().startswith(b"{"):
        return None
    return GZIP if path.lower().endswith(".gz") else ZSTD if path.lower().endswith((".zst", ".zstd")) else None


def cut_jsonl(file: BinaryIO, path: str, size_bytes: int, shard_bytes: int) -> list[int]:
    """Where to cut a file into ranges of about `shard_bytes`: after line ends; a compressed file stays whole."""
    bounds = [0]
    if codec_of(file, path):
        return [0, size_bytes]
    while bounds[-1] + shard_bytes < size_bytes:
        at = bounds[-1] + shard_bytes - 1
        for block in read_range(file, at, size_bytes, 65536):
            newline = block.find(b"\n")
            at += newline + 1 if newline >= 0 else len(block)
            if newline >= 0:
                break
        if at >= size_bytes:
            break
        bounds.append(at)
    return [*bounds, size_bytes]


def _events(file: BinaryIO, split: Split, item: Input, limits: Limits, cursor: int) -> Iterator[Event]:
    """A cursor is a byte of the file or, where it is compressed, the number of lines before it."""
    codec = codec_of(file, split.path)
    parse = LineParser(item, limits)
    if codec is None:
        start = max(cursor, split.start)
        for line in read_lines(file, start, split.end, None, limits.record_bytes):
            yield parse(line, start), start + line.end
        return
    for index, line in enumerate(read_lines(file, split.start, split.end, codec, limits.record_bytes), 1):
        if index > cursor:
            yield parse(line, 0), index


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end; `data` is None where it is too large or could not be decoded."""

    start: int  # in the decoded bytes
    end: int  # the next line's start
    data: bytes | None
    digest: bytes = b""
    n_bytes: int = 0
    problem: tuple[str, str] | None = None


def read_lines(file: BinaryIO, start: int, end: int, codec: Codec | None, limit_bytes: int) -> Iterator[Line]:
    """The lines of a range; no more than the limit and a piece are held at once.

    Lines before the place where a compressed file is broken are read; what is left is one line with a `problem`, and
    reading goes on with the next member.
    """
    source = Members(file, start, end, codec) if codec else PlainBytes(file, start, end)
    line = _Open(0, limit_bytes)
    while True:
        try:
            piece = source.next()
        except BrokenMemberError as error:
            assert codec is not None
            stop = next_member(file, error.offset + 1, end, codec, b"")
            problem = diagnose(file, error.offset, stop, codec)
            digest = digest_range(file, error.offset, stop)
            at = line.start + line.n_bytes
            yield Line(line.start, at, None, digest, stop - error.offset, problem)
            source.restart(stop)
            line = _Open(at, limit_bytes)
            continue
        if piece is None:
            break
        data, at = piece.data, 0
        while (newline := data.find(b"\n", at)) >= 0:
            yield line.close(data[at:newline], 1)
            line, at = _Open(line.start + line.n_bytes + 1, limit_bytes), newline + 1
        line.add(data[at:])
    if line.n_bytes:
        yield line.close(b"", 0)


class _Open:
    """A line that is being read; beyond the limit only its digest is kept."""

    __slots__ = ("digest", "limit_bytes", "n_bytes", "pieces", "start")

    def __init__(self, start: int, limit_bytes: int) -> None:
        self.start, self.limit_bytes, self.n_bytes = start, limit_bytes, 0
        self.pieces: list[bytes] = []
        self.digest: Any = None

    def add(self, data: bytes) -> None:
        self.n_bytes += len(data)
        self.pieces.append(data)
        if self.n_bytes > self.limit_bytes:
            self.digest = self.digest or xxh3_128()
            for piece in self.pieces:
                self.digest.update(piece)
            self.pieces.clear()

    def close(self, data: bytes, n_end_bytes: int) -> Line:
        if self.n_bytes or len(data) > self.limit_bytes:
            self.add(data)
            data = b"".join(self.pieces)
        else:
            self.n_bytes = len(data)
        end = self.start + self.n_bytes + n_end_bytes
        if self.digest:
            return Line(self.start, end, None, self.digest.digest(), self.n_bytes)
        return Line(self.start, end, data)


class LineParser:
    """Lines as records, by an input's column mapping."""

    def __init__(self, item: Input, limits: Limits) -> None:
        self.limits = limits
        self.template = compile_template(item.template, f"source {item.source!r}") if item.template else None
        self.kind = "html" if item.html else "text"
        self.content = _column(item.html or item.text or "text")
        self.content_name = item.html or item.text or "text"
        named = {name: getattr(item, name) for name in ("key", "url", "date", "license", "category")}
        self.columns = [(name, _column(column)) for name, column in named.items() if column]
        self.metadata = [(name, _column(column)) for name, column in item.metadata.items()]

    def __call__(self, line: Line, base: int) -> Record | str:
        """A record, or the kind of what is skipped; `base` is where the range begins in the file."""
        record = Record(offset=base + line.start, kind=self.kind, utf8=True)
        if line.problem:
            return record.fail(*line.problem, line.digest, line.n_bytes)
        if line.data is None:
            return record.too_large(self.limits.record_bytes, line.n_bytes, line.digest, line.n_bytes)
        data = line.data.removeprefix(_BOM) if record.offset == 0 else line.data
        if not data or data.isspace():
            return "blank line"
        try:
            return self.fill(record, parse_object(data), xxh3_128_digest(data) if self.template else None)
        except BadLineError as error:
            return record.fail(error.reason, error.detail, xxh3_128_digest(data), len(data))

    def fill(self, record: Record, row: dict[str, Any], source_digest: bytes | None) -> Record:
        """The record with what the input's columns or template make of a row.

        Raises:
            BadLineError: `missing_text`, `text_not_string`, `missing_field` or `record_too_large`.
        """
        content = _encode(self._made(row) if self.template else self._mapped(row))
        if len(content) > self.limits.record_bytes:  # a template can say a field twice
            raise BadLineError("record_too_large", f"{len(content)} bytes; at most {self.limits.record_bytes}")
        for name, column in self.columns:
            setattr(record, name, _as_text(column(row)))
        record.key = record.key or ""
        record.metadata = {name: _as_text(column(row)) for name, column in self.metadata}
        return record.keep(content, source_digest)

    def _mapped(self, row: dict[str, Any]) -> str:
        content = self.content(row)
        if content is None:
            raise BadLineError("missing_text", f"no {self.content_name!r}; the line has {_names(row)}")
        if not isinstance(content, str):
            raise BadLineError("text_not_string", f"{self.content_name!r} is of type {type(content).__name__}")
        return content

    def _made(self, row: dict[str, Any]) -> str:
        assert self.template is not None
        try:
            text = self.template(row)
        except MissingFieldError as error:
            raise BadLineError("missing_field", f"no {error.path!r}; the record has {_names(row)}") from error
        except UnicodeDecodeError as error:
            raise BadLineError("invalid_utf8", f"{error.reason}, at byte {error.start + 1} of a field") from error
        if not text.strip():
            raise BadLineError("missing_text", f"no part of the template has text; the record has {_names(row)}")
        return text


class BadLineError(Exception):
    """A line that is no record; `reason` is for the ledger."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


def parse_object(line: bytes) -> dict[str, Any]:
    """The object on a line. Accepts what Python's own writer writes beyond RFC 8259: NaN, and lone surrogates.

    Raises:
        BadLineError: `invalid_utf8`, `malformed_json` or `not_an_object`.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = _parse_lenient(line)
    if not isinstance(row, dict):
        raise BadLineError("not_an_object", f"the line holds a {type(row).__name__}")
    return row


def _parse_lenient(line: bytes) -> Any:
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise BadLineError("invalid_utf8", f"{error.reason}, at byte {error.start + 1} of the line") from error
    except json.JSONDecodeError as error:
        raise BadLineError("malformed_json", f"{error.msg}, at column {error.pos + 1} of the line") from error
    except RecursionError as error:
        raise BadLineError("malformed_json", "nested too deeply") from error
    except ValueError as error:  # Python refuses integers of more than 4,300 digits
        raise BadLineError("malformed_json", "a number of too many digits") from error


def _column(name: str) -> Callable[[dict[str, Any]], Any]:
    """Look up a column: by its name as it stands or, with dots, by the path that it spells."""
    if "." not in name:
        return lambda row: row.get(name)

    def nested(row: Any) -> Any:
        if name in row:
            return row[name]
        for part in name.split("."):
            row = row.get(part) if isinstance(row, dict) else None
        return row

    return nested


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _encode(value).decode()
    return json.dumps(value, ensure_ascii=False, default=str)  # Parquet has dates


def _encode(text: str) -> bytes:
    """UTF-8; a lone surrogate becomes U+FFFD, as in browsers (encoding.spec.whatwg.org), since UTF-8 has none."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _names(row: dict[str, Any]) -> str:
    names = ", ".join(sorted(row)[:20])
    return _encode(names).decode()[:200] or "no fields"
