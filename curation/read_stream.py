"""Byte ranges of files, decoded piece by piece: gzip members and zstd frames with bounded memory, and how to go on
after a broken one."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import fsspec
import zstandard
from xxhash import xxh3_128

from manifests.schema import MIB

READ_BYTES = 1 * MIB
PIECE_BYTES = 1 * MIB
FIRST_FEED_BYTES = 16 * 1024
"""A member is often small: feeding little at first saves copying what comes after it."""
PROBE_BYTES = 64 * 1024
"""How much of a possible member is decoded to see whether it is one."""
ZSTD_WINDOW_BYTES = 1 << 31
"""The largest window that a file may ask for (`zstd --long=31`, as large public dumps do)."""


class BrokenMemberError(Exception):
    """A compressed member cannot be decoded to its end."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__(f"broken member at byte {offset}")


@dataclass(frozen=True, slots=True)
class Piece:
    """Decoded bytes of one member; `offset` is where the member starts in the file, `last` whether it ends here."""

    data: bytes
    offset: int
    first: bool
    last: bool


@dataclass(frozen=True)
class Codec:
    """A compression of members that can follow each other in a file."""

    name: str
    magic: bytes
    feed_bytes: int  # of input at once: bounds the output where the library does not

    def decoder(self) -> Any:
        """A new decompressor, for one member."""
        if self.name == "gzip":
            return zlib.decompressobj(31)
        return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()

    def decode(self, decoder: Any, data: bytes) -> tuple[bytes, int]:
        """Decoded bytes, and how many of `data` they took."""
        if self.name == "gzip":
            out = decoder.decompress(data, PIECE_BYTES)
            n_left = len(decoder.unused_data if decoder.eof else decoder.unconsumed_tail)
        else:
            out = decoder.decompress(data)
            n_left = len(decoder.unused_data)
        return out, len(data) - n_left


GZIP = Codec("gzip", b"\x1f\x8b\x08", 256 * 1024)
ZSTD = Codec("zstd", b"\x28\xb5\x2f\xfd", 1024)  # a run of zeros decodes to 32,768 times its size
DECODE_ERRORS = (zlib.error, zstandard.ZstdError)


def open_input(path: str) -> BinaryIO:
    """The file at an fsspec URL or a path, to be read at any position."""
    filesystem, inner = fsspec.core.url_to_fs(path)
    file: BinaryIO = filesystem.open(inner, "rb")
    return file


def read_range(file: BinaryIO, start: int, end: int, block_bytes: int = READ_BYTES) -> Iterator[bytes]:
    """The bytes of a range in blocks; the file may be moved in between."""
    while start < end:
        file.seek(start)
        block = file.read(min(block_bytes, end - start))
        if not block:
            return
        start += len(block)
        yield block


def digest_range(file: BinaryIO, start: int, end: int) -> bytes:
    """XXH3-128 of a range of a file."""
    digest = xxh3_128()
    for block in read_range(file, start, end):
        digest.update(block)
    return digest.digest()


class Members:
    """Decoded pieces of the compressed members of a range, one after another; zero bytes between them are padding.

    A member that was cut short ends where the next one starts: what follows would decode to nonsense or, where
    deflate stored bytes as they are, to something that makes sense. Hence gzip data are fed up to whatever looks like
    the start of a member, with `prefix` in it, and past that only where the member in hand is whole.
    """

    def __init__(self, file: BinaryIO, start: int, end: int, codec: Codec, prefix: bytes = b"") -> None:
        self.file, self.end, self.codec, self.prefix = file, end, codec, prefix
        self.restart(start)

    def restart(self, at: int) -> None:
        """Go on at the member that starts at byte `at`."""
        self.position, self.member = at, at
        self._decoder: Any = None
        self._block, self._used = b"", 0  # what was read, and how much of it the decoder took
        self._feed_bytes, self._checked = 0, at  # no start of a member is looked for before `_checked`

    def next(self) -> Piece | None:
        """The next piece, None at the end; at least 16 bytes unless the member is shorter.

        Raises:
            BrokenMemberError: the member cannot be decoded to its end. Call `restart` to go on elsewhere.
        """
        first = self._decoder is None
        if first:
            if not self._skip_padding():
                return None
            self.member, self._decoder = self.position, self.codec.decoder()
            self._feed_bytes = min(FIRST_FEED_BYTES, self.codec.feed_bytes)
        data = b""
        while len(data) < 16 and not self._decoder.eof:
            data += self._decode()
        last = self._decoder.eof
        if last:
            self._decoder = None
        return Piece(data, self.member, first, last)

    def _skip_padding(self) -> bool:
        while self._fill():
            if self._block[self._used]:
                return True
            rest = self._block[self._used :]
            self._take(len(rest) - len(rest.lstrip(b"\0")))
        return False

    def _fill(self) -> bool:
        """Whether there is input: enough to recognise a member, unless the range ends before."""
        n_left = len(self._block) - self._used
        if n_left < len(self.codec.magic) and self.position + n_left < self.end:
            self.file.seek(self.position)
            self._block, self._used = self.file.read(min(READ_BYTES, self.end - self.position)), 0
        return self._used < len(self._block)

    def _take(self, n: int) -> None:
        self._used += n
        self.position += n

    def _decode(self) -> bytes:
        has_input = self._fill()
        at_start = has_input and self._block.startswith(self.codec.magic, self._used)
        feed = b"" if at_start and self._at_next_member() else self._feed()
        spare = self._decoder.copy() if self.codec is GZIP else None
        try:
            data, n_used = self.codec.decode(self._decoder, feed)
        except DECODE_ERRORS:
            # What came out before the error is lost with it: feed less, down to the byte that is wrong.
            if spare is None or self._feed_bytes == 1:
                raise BrokenMemberError(self.member) from None
            self._decoder, self._feed_bytes = spare, self._feed_bytes // 2
            return b""
        if not feed and not data and not self._decoder.eof:
            raise BrokenMemberError(self.member)
        self._take(n_used)
        self._feed_bytes = min(2 * self._feed_bytes, self.codec.feed_bytes)
        return data

    def _feed(self) -> bytes:
        stop = min(self._used + self._feed_bytes, len(self._block))
        if self.codec is GZIP:
            first = self._used + max(1, self._checked - self.position)
            found = self._block.find(self.codec.magic, first, stop + len(self.codec.magic) - 1)
            more_to_come = self.position + len(self._block) - self._used < self.end
            if found < 0 and more_to_come:
                stop = max(self._used + 1, min(stop, len(self._block) - len(self.codec.magic) + 1))
            stop = found if found >= 0 else stop
        return self._block[self._used : stop]

    def _at_next_member(self) -> bool:
        """Whether another member starts here although the one in hand has not ended."""
        if self.codec is not GZIP or self.position == self.member or self.position < self._checked:
            return False
        self._checked = self.position + 1
        if not _is_member(self.file, self.position, self.end, self.codec, self.prefix):
            return False
        end = self._end_of_member()
        self._checked = end or self.position
        return end is None

    def _end_of_member(self) -> int | None:
        decoder, at = self._decoder.copy(), self.position
        for block in read_range(self.file, self.position, self.end, PROBE_BYTES):
            while block and not decoder.eof:
                try:
                    _, n_used = self.codec.decode(decoder, block)
                except DECODE_ERRORS:
                    return None
                at, block = at + n_used, block[n_used:]
            if decoder.eof:
                return at
        return None


class PlainBytes:
    """The bytes of a range that is not compressed, with the interface of `Members`."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self.file, self.end = file, end
        self.restart(start)

    def restart(self, at: int) -> None:
        """Go on at byte `at`."""
        self.position = self.member = at
        self._first = True

    def next(self) -> Piece | None:
        """The next piece, None at the end."""
        if self.position >= self.end:
            return None
        self.file.seek(self.position)
        data = self.file.read(min(READ_BYTES, self.end - self.position))
        self.position += len(data)
        first, self._first = self._first, False
        return Piece(data, self.member, first, self.position >= self.end or not data)


def member_starts(file: BinaryIO, start: int, end: int, codec: Codec, prefix: bytes) -> Iterator[int]:
    """Where members seem to start in a range: the magic bytes, and what follows decodes, to `prefix` at first."""
    tail = b""
    for block in read_range(file, start, end):
        window = tail + block
        at = window.find(codec.magic)
        while at >= 0:
            if _is_member(file, start - len(tail) + at, end, codec, prefix):
                yield start - len(tail) + at
            at = window.find(codec.magic, at + 1)
        start += len(block)
        tail = window[-(len(codec.magic) - 1) :]


def _is_member(file: BinaryIO, at: int, end: int, codec: Codec, prefix: bytes) -> bool:
    file.seek(at)
    data = file.read(min(PROBE_BYTES, end - at))
    decoder, out = codec.decoder(), b""
    try:
        while data and not decoder.eof and len(out) <= len(prefix):
            more, n_used = codec.decode(decoder, data[: codec.feed_bytes])
            out, data = out + more, data[n_used:]
    except DECODE_ERRORS:
        return False
    return bool(out) and out.startswith(prefix)


def next_member(file: BinaryIO, start: int, end: int, codec: Codec, prefix: bytes) -> int:
    """The first start of a member in a range; its end where there is none."""
    return next(member_starts(file, start, end, codec, prefix), end)


def diagnose(file: BinaryIO, start: int, end: int, codec: Codec) -> tuple[str, str]:
    """Why the member in this range cannot be decoded: a reason and a detail, which depend on its bytes alone."""
    decoder, n_used = codec.decoder(), 0
    for block in read_range(file, start, end, 1024):
        while block and not decoder.eof:
            try:
                _, n = codec.decode(decoder, block)
            except DECODE_ERRORS as error:
                return (
                    f"malformed_{codec.name}",
                    f"{error}, at byte {n_used} of the compressed member or shortly after",
                )
            n_used, block = n_used + n, block[n:]
    return "truncated", f"the compressed member ends early, after {end - start} bytes"
