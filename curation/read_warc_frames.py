"""Where records of a WARC file begin and end, whatever is wrong with some of them; where the file may be cut."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from xxhash import xxh3_128, xxh3_128_digest

from curation.read_http import HEADER_BYTES, Headers, header_end, parse_headers
from curation.read_stream import (
    GZIP,
    BrokenMemberError,
    Members,
    Piece,
    PlainBytes,
    diagnose,
    digest_range,
    next_member,
    read_range,
)
from manifests.schema import MIB

MAGIC = b"WARC/"
PROOF_BYTES = 1 * MIB
"""Members that follow each other for so long are not an archive stored inside a record: what deflate cannot compress
it stores in parts of at most 65,535 bytes with other bytes between them, where such a chain breaks."""

_RECORD_START = re.compile(rb"WARC/[01]\.\d+\r?\n(?:WARC|Content)-[A-Za-z-]+:")
_RECORD_START_BYTES = 64  # at least as long as what the pattern can match of a real record
MAX_SKIPPED_BYTES = 4096
"""Line ends after a record that are remembered, to be read again where something else follows them."""
_LINE_ENDS = re.compile(rb"[\r\n]*")


@dataclass(frozen=True, slots=True)
class Frame:
    """A record as stored, or a stretch that is none (`headers` is None), or one that is not whole (`problem`)."""

    offset: int  # in the file: of the member, or of the record where the file is not compressed
    headers: Headers | None = None
    header: bytes = b""  # as stored
    block: bytes = b""  # its beginning, where it is larger than what is kept
    n_block_bytes: int = 0
    problem: tuple[str, str] | None = None  # reason and detail
    digest: bytes | None = None  # given where `block` is not all there is
    n_bytes: int = 0

    def raw_digest(self) -> bytes:
        """XXH3-128 of the record as stored: header and block; of compressed bytes where those are broken."""
        return self.digest or xxh3_128_digest(self.header + self.block)


def is_gzip(file: BinaryIO, path: str) -> bool:
    """Whether the file is compressed: by its first bytes and, where those are broken, by its name."""
    file.seek(0)
    head = file.read(_RECORD_START_BYTES)
    return head.startswith(GZIP.magic) or (path.lower().endswith(".gz") and not _RECORD_START.match(head))


class WarcFrames:
    """The frames of a range, in order; every byte belongs to one, or to the padding between them.

    After each frame, `place` and `clean` say where to resume: with `clean`, a frame begins at byte `place` of the
    file; else `place` is the last one where that was so. `keep_bytes` bounds what is kept of a block.

    The decoded bytes in hand are `_buffer[_at:]`. A record may go on in the next member (some writers cut members
    anywhere), unless that member begins with a record of its own.
    """

    def __init__(self, file: BinaryIO, start: int, end: int, *, gzip: bool, keep_bytes: int) -> None:
        self.file, self.end, self.gzip, self.keep_bytes = file, end, gzip, keep_bytes
        self._source = Members(file, start, end, GZIP, MAGIC) if gzip else PlainBytes(file, start, end)
        self._restart(start)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            self._headers: Headers | None = None
            try:
                if not self._begin():
                    return
                self._skipped = b""
                frame = self._frame()
                self._note_place()
            except BrokenMemberError as error:
                frame = self._broken_member(error.offset)
            yield frame

    def _restart(self, at: int) -> None:
        self._source.restart(at)
        self.place, self.clean = at, True
        self._buffer, self._at, self._member = b"", 0, at
        self._skipped = b""  # line ends after the block in hand
        self._ended = self.gzip  # the member in hand is decoded to its end
        self._ahead: Piece | None = None
        self._broken: BrokenMemberError | None = None  # in the member ahead

    def _note_place(self) -> None:
        if not self.gzip:
            self.place = self._plain_offset()
            return
        self.clean = self._ended and self._at == len(self._buffer)
        if self.clean:
            ahead = self._broken or self._ahead
            self.place = ahead.offset if ahead else self._source.position

    def _plain_offset(self) -> int:
        return self._source.position - len(self._buffer) + self._at

    def _peek(self) -> Piece | None:
        if not self._ahead and not self._broken:
            try:
                self._ahead = self._source.next()
            except BrokenMemberError as error:
                self._broken = error
        return self._ahead

    def _append(self, piece: Piece | None) -> bool:
        if piece is None:
            return False
        self._buffer, self._at = self._buffer[self._at :] + piece.data, 0
        self._member, self._ended, self._ahead = piece.offset, piece.last, None
        return True

    def _extend(self) -> bool:
        """More bytes of the record in hand; False where another record follows, or nothing."""
        if not self._ended:
            return self._append(self._source.next())
        piece = self._peek()
        return piece is not None and not piece.data.startswith(MAGIC) and self._append(piece)

    def _skip_line_ends(self) -> bool:
        """Whether anything is left in the buffer after them."""
        match = _LINE_ENDS.match(self._buffer, self._at)
        if match:
            self._at = match.end()
            self._skipped += match[0][: MAX_SKIPPED_BYTES - len(self._skipped)]
        return self._at < len(self._buffer)

    def _begin(self) -> bool:
        """Go to the next record; False at the end."""
        while not self._skip_line_ends():
            piece = self._peek() if self._ended else self._source.next()
            if self._broken:
                raise self._broken
            if not self._append(piece):
                return False
        return True

    def _starts_record(self) -> bool:
        while len(self._buffer) - self._at < len(MAGIC) and self._extend():
            pass
        return self._buffer.startswith(MAGIC, self._at)

    def _frame(self) -> Frame:
        offset = self._member if self.gzip else self._plain_offset()
        if not self._starts_record():
            return self._scan(offset, b"", ("malformed_warc", "no record begins where one should"))
        while (end := header_end(self._buffer, self._at)) is None:
            if len(self._buffer) - self._at > HEADER_BYTES or not self._extend():
                return self._scan(offset, b"", ("malformed_warc", "the headers do not end"))
        if _RECORD_START.search(self._buffer, self._at + 1, end):
            return self._scan(offset, b"", ("truncated", "the headers end where another record begins"))
        header, self._at = self._buffer[self._at : end], end
        try:
            self._headers = parse_headers(header, "utf-8")
            n_block_bytes = _content_length(self._headers)
        except ValueError as error:
            return self._scan(offset, header, ("malformed_warc", str(error)))
        block, n_bytes, digest = self._take(n_block_bytes, header)
        if n_bytes < n_block_bytes:
            problem = "truncated", f"the block ends after {n_bytes} of {n_block_bytes} bytes"
            return self._scan(offset, header, problem, block, n_bytes, digest)
        has_end, self._skipped = self._ends_with_blank_line(), b""
        if not self._at_boundary() and not (has_end and not self._holds_record(offset + len(header), n_bytes, block)):
            problem = "malformed_warc", f"no record follows the {n_bytes} bytes of Content-Length"
            return self._scan(offset, header, problem, block, n_bytes, digest)
        n_all = len(header) + n_bytes
        return Frame(offset, self._headers, header, block, n_bytes, None, digest and digest.digest(), n_all)

    def _ends_with_blank_line(self) -> bool:
        while len(self._buffer) - self._at < 4 and not self._ended and self._append(self._source.next()):
            pass
        return self._buffer.startswith((b"\r\n\r\n", b"\n\n"), self._at)

    def _at_boundary(self) -> bool:
        """Whether a record follows, or the member's end; it is reached, so that a wrong checksum is known."""
        while not self._skip_line_ends():
            if self._ended or not self._append(self._source.next()):
                return True
        return self._starts_record()

    def _holds_record(self, start: int, n_bytes: int, block: bytes) -> bool:
        """Whether a block holds what looks like a record: then a wrong length made it swallow one."""
        if self.gzip:
            return _RECORD_START.search(block) is not None
        tail = b""
        for part in read_range(self.file, start, start + n_bytes):
            if _RECORD_START.search(tail + part):
                return True
            tail = part[-_RECORD_START_BYTES:]
        return False

    def _take(self, n_bytes: int, header: bytes) -> tuple[bytes, int, Any]:
        """The first bytes of a block, how many it has, and a digest of header and block where not all are kept."""
        pieces: list[bytes] = []
        n_done, digest = 0, None
        while n_done < n_bytes and (self._at < len(self._buffer) or self._extend()):
            piece = self._buffer[self._at : self._at + n_bytes - n_done]
            self._at += len(piece)
            n_done += len(piece)
            if digest is None and n_done > self.keep_bytes:
                digest = xxh3_128(header + b"".join(pieces))
                pieces = [b"".join(pieces)[:HEADER_BYTES]] if pieces else [piece[:HEADER_BYTES]]
            if digest is None:
                pieces.append(piece)
            else:
                digest.update(piece)
        return b"".join(pieces), n_done, digest

    def _scan(
        self,
        offset: int,
        header: bytes,
        problem: tuple[str, str],
        block: bytes = b"",
        n_block_bytes: int = 0,
        digest: Any = None,
    ) -> Frame:
        """A frame up to where the next record seems to begin, from the block on: its length may be wrong."""
        n_bytes = len(header) + n_block_bytes
        if not self.gzip and header:
            self._restart(offset + len(header))
        elif digest is None:  # else the block is gone
            self._buffer, self._at = block + self._skipped + self._buffer[self._at :], 0
        if digest is None or not self.gzip:
            digest, n_bytes = xxh3_128(header), len(header)
        n_searched = 0 if header else 1  # what begins here is no record
        while True:
            found = _RECORD_START.search(self._buffer, self._at + n_searched)
            unsure = max(self._at, len(self._buffer) - _RECORD_START_BYTES)
            n_bytes += self._pass(found.start() if found else unsure, digest)
            if found:
                break
            n_searched = 0 if self._at else n_searched
            if not self._extend():
                n_bytes += self._pass(len(self._buffer), digest)
                break
        return Frame(offset, self._headers, problem=problem, digest=digest.digest(), n_bytes=n_bytes)

    def _pass(self, to: int, digest: Any) -> int:
        passed = self._buffer[self._at : to]
        digest.update(passed)
        self._at = to
        return len(passed)

    def _broken_member(self, start: int) -> Frame:
        end = next_member(self.file, start + 1, self.end, GZIP, MAGIC)
        problem = diagnose(self.file, start, end, GZIP)
        self._restart(end)
        digest = digest_range(self.file, start, end)
        return Frame(start, self._headers, problem=problem, digest=digest, n_bytes=end - start)


def _content_length(headers: Headers) -> int:
    value = headers.get("content-length", "").strip()
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise ValueError(f"Content-Length is {value!r}")
    return int(value)


def cut_warc(file: BinaryIO, path: str, size_bytes: int, shard_bytes: int) -> list[int]:
    """Where to cut a file into ranges of about `shard_bytes`: at starts of records, first 0, last the size."""
    bounds = [0]
    find = _proven_member if is_gzip(file, path) else _record_after
    while bounds[-1] + shard_bytes < size_bytes:
        found = find(file, bounds[-1], bounds[-1] + shard_bytes, size_bytes)
        if found is None:
            break
        bounds.append(found)
    return [*bounds, size_bytes]


def _record_after(file: BinaryIO, known: int, target: int, size_bytes: int) -> int | None:
    """The first record at or after `target`, by way of all from a `known` one: text can look like a record."""
    frames = WarcFrames(file, known, size_bytes, gzip=False, keep_bytes=0)
    return next((frames.place for _ in frames if target <= frames.place < size_bytes), None)


def _proven_member(file: BinaryIO, known: int, target: int, size_bytes: int) -> int | None:
    """The first member with a record at or after `target` in a chain of members from a `known` one or long enough."""
    near = target - known <= PROOF_BYTES
    chain = known if near else next_member(file, target - PROOF_BYTES, size_bytes, GZIP, MAGIC)
    members, found = Members(file, chain, size_bytes, GZIP, MAGIC), None
    while True:
        try:
            piece = members.next()
        except BrokenMemberError as error:
            near, found = False, None
            chain = next_member(file, error.offset + 1, size_bytes, GZIP, MAGIC)
            members.restart(chain)
            continue
        if piece is None:
            return found
        if not (piece.first and piece.data.startswith(MAGIC)):
            continue
        if found is None and piece.offset >= target:
            found = piece.offset
        if found is not None and (near or piece.offset - chain >= PROOF_BYTES):
            return found
