"""What a compressed archive decodes to, piece by piece and counted: gzip, bzip2, xz, zstandard, or as it stands."""

import bz2
import io
import lzma
import zlib
from typing import Any, BinaryIO

import zstandard

from manifests.schema import MIB

PIECE_BYTES = 256 * 1024
XZ_MEMORY_BYTES = 256 * MIB
"""What an xz stream may ask for; `xz -9` needs 65 MiB."""
ZSTD_WINDOW_BYTES = 128 * MIB


class BrokenArchiveError(Exception):
    """An archive cannot be read any further; `reason` and `detail` are for the ledger."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class Decompressed(io.RawIOBase):
    """What a compressed file decodes to, member after member, counted: it ends where it is more than it may be."""

    def __init__(self, file: BinaryIO, limit_bytes: int) -> None:
        self._file, self._limit_bytes, self._n_out = file, limit_bytes, 0
        self._input, self._at_start = b"", True
        head = file.read(6)
        file.seek(-len(head), io.SEEK_CUR)
        self._kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), "plain")
        self._decoder: Any = None
        self._rest = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end.

        Raises:
            BrokenArchiveError: it decodes to more than the limit, or cannot be decoded.
        """
        while not self._rest:
            piece = self._next()
            if piece is None:
                return 0
            self._rest = piece
        n_bytes = min(len(buffer), len(self._rest))
        buffer[:n_bytes] = self._rest[:n_bytes]
        self._rest = self._rest[n_bytes:]
        self._n_out += n_bytes
        if self._n_out > self._limit_bytes:
            raise BrokenArchiveError("archive_too_large", f"more than {self._limit_bytes} bytes when decompressed")
        return n_bytes

    def _next(self) -> bytes | None:
        """A piece of at most PIECE_BYTES, perhaps empty; None at the end."""
        if self._kind == "plain":
            return self._file.read(PIECE_BYTES) or None
        if self._kind == "zstd":
            self._decoder = self._decoder or zstandard.ZstdDecompressor(
                max_window_size=ZSTD_WINDOW_BYTES
            ).stream_reader(self._file, read_across_frames=True)
            return self._decoder.read(PIECE_BYTES) or None
        if not self._input and self._needs_input():
            self._input = self._file.read(PIECE_BYTES)
            if not self._input:
                if self._decoder is not None:
                    raise EOFError("the compressed stream ends early")
                return None
        return self._decode()

    def _needs_input(self) -> bool:
        return self._decoder is None or self._kind == "gzip" or self._decoder.needs_input

    def _decode(self) -> bytes:
        if self._decoder is None:
            self._input = self._input.lstrip(b"\0") if not self._at_start else self._input
            if not self._input:
                return b""
            self._decoder, self._at_start = _decoder(self._kind), False
        data, self._input = self._input, b""
        if self._kind == "gzip":
            out = self._decoder.decompress(data, PIECE_BYTES)
            self._input = self._decoder.unconsumed_tail
        else:
            out = self._decoder.decompress(data, PIECE_BYTES)
        if self._decoder.eof:
            self._input, self._decoder = self._decoder.unused_data or self._input, None
        return bytes(out)


_MAGIC = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))


def _decoder(kind: str) -> Any:
    if kind == "gzip":
        return zlib.decompressobj(31)
    return bz2.BZ2Decompressor() if kind == "bzip2" else lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)
