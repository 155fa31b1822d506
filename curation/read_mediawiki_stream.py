"""Streams of bzip2, one after another, decoded with bounded memory; where a dump may be cut between them."""

import bz2
import re
from typing import Any, BinaryIO

from curation.read_stream import GZIP, PIECE_BYTES, BrokenMemberError, Members, Piece, PlainBytes, read_range

MAGIC = re.compile(rb"BZh[1-9]1AY&SY")
_MAGIC_BYTES = 10
FEED_BYTES = 16 * 1024
"""Of input at once. Counted from the start of a stream, so that a broken one yields the same whatever was read before
it: what a piece of input decodes to before the error in it is lost."""
PROOF_BYTES = 1 << 20
"""Of output, more than one block, whose checksum is then known to be right."""


class Bz2Streams:
    """Decoded pieces of the bzip2 streams of a range, with the interface of `read_stream.Members`."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self.file, self.end = file, end
        self.restart(start)

    def restart(self, at: int) -> None:
        """Go on at the stream that starts at byte `at`."""
        self.position = self.member = at
        self._decoder: Any = None

    def next(self) -> Piece | None:
        """The next piece, None at the end.

        Raises:
            BrokenMemberError: the stream cannot be decoded to its end. Call `restart` to go on elsewhere.
        """
        first = self._decoder is None
        if first:
            if self.position >= self.end:
                return None
            self.member, self._decoder = self.position, bz2.BZ2Decompressor()
        data = b""
        while not data and not self._decoder.eof:
            data = self._decode()
        last = self._decoder.eof
        if last:
            self.position -= len(self._decoder.unused_data)
            self._decoder = None
        return Piece(data, self.member, first, last)

    def _decode(self) -> bytes:
        block = b""
        if self._decoder.needs_input:
            self.file.seek(self.position)
            block = self.file.read(min(FEED_BYTES, self.end - self.position))
            self.position += len(block)
            if not block:
                raise BrokenMemberError(self.member)
        try:
            data: bytes = self._decoder.decompress(block, PIECE_BYTES)
        except (OSError, ValueError, EOFError):
            raise BrokenMemberError(self.member) from None
        return data


def next_stream(file: BinaryIO, start: int, end: int) -> int:
    """The first start of a bzip2 stream in a range that decodes; its end where there is none."""
    tail, at = b"", start
    for block in read_range(file, start, end):
        window = tail + block
        for found in MAGIC.finditer(window):
            position = at - len(tail) + found.start()
            if _decodes(file, position, end):
                return position
        at += len(block)
        tail = window[-(_MAGIC_BYTES - 1) :]
    return end


def _decodes(file: BinaryIO, at: int, end: int) -> bool:
    streams, n_bytes = Bz2Streams(file, at, end), 0
    try:
        while n_bytes < PROOF_BYTES:
            piece = streams.next()
            if piece is None or piece.last:
                return True
            n_bytes += len(piece.data)
    except BrokenMemberError:
        return False
    return True


def compression(file: BinaryIO, path: str) -> str:
    """`bzip2`, `gzip` or `none`: by the first bytes and, where those are broken, by the name."""
    file.seek(0)
    head = file.read(64)
    if head.startswith(b"BZh") or (path.lower().endswith(".bz2") and b"<" not in head):
        return "bzip2"
    return "gzip" if head.startswith(GZIP.magic) or (path.lower().endswith(".gz") and b"<" not in head) else "none"


def source_of(file: BinaryIO, start: int, size_bytes: int, compressed: str) -> Any:
    """The decoded pieces from a byte on."""
    if compressed == "bzip2":
        return Bz2Streams(file, start, size_bytes)
    return Members(file, start, size_bytes, GZIP) if compressed == "gzip" else PlainBytes(file, start, size_bytes)
