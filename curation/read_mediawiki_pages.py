"""Pages of an XML dump as stretches of bytes, whatever is wrong with some of them; where a dump may be cut.

A dump escapes every `<` of a text, so `<page>` and `</page>` are nothing else. Cut there, a page that is damaged
harms no other, and none is read with what a document type or an entity declared before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from xxhash import xxh3_128, xxh3_128_digest

from curation.read_mediawiki_stream import compression, next_stream, source_of
from curation.read_stream import GZIP, BrokenMemberError, diagnose, digest_range, next_member, read_range

OPEN, CLOSE = b"<page>", b"</page>"


@dataclass(frozen=True, slots=True)
class PageFrame:
    """A page as stored, or what is none (`problem`)."""

    offset: int  # in the file: of the page, or of the compressed stream in which it begins
    data: bytes = b""  # from `<page>` to `</page>`; empty where it is too large or broken
    n_bytes: int = 0
    digest: bytes = b""
    problem: tuple[str, str] | None = None  # reason and detail


class PageFrames:
    """The pages that begin in a range of a file, in order.

    A page belongs to the range in which its `<page>` begins, or in which the compressed stream does that holds this;
    it is read on beyond the range. After each frame, `place` is where to start again and `n_since` how many of the
    frames from there have come.
    """

    def __init__(self, file: BinaryIO, start: int, end: int, size_bytes: int, path: str, keep_bytes: int) -> None:
        self.file, self.end, self.size_bytes, self.keep_bytes = file, end, size_bytes, keep_bytes
        self.compressed = compression(file, path)
        self._source: Any = source_of(file, start, size_bytes, self.compressed)
        self.place, self.n_since = start, 0
        self._forget()

    def _forget(self) -> None:
        self._buffer = bytearray()
        self._starts: list[tuple[int, int]] = []  # (place in the buffer, start of the member), in order
        self._may_hold_tail = (
            self.compressed != "none"
        )  # what comes first may be the end of a page of a stream before
        self._gap, self._n_gap_bytes, self._gap_closes = xxh3_128(), 0, False

    def __iter__(self) -> Iterator[PageFrame]:
        while True:
            try:
                frame = self._next()
            except BrokenMemberError as error:
                frame = self._cut_short(error.offset) or self._broken(error.offset)
            if frame is None:
                return
            yield frame

    def _next(self) -> PageFrame | None:
        """The next frame, None at the end of the range."""
        is_page = self._go_to_page()
        if self._gap_closes and not self._may_hold_tail:
            return self._stray()
        self._may_hold_tail = self._may_hold_tail and not is_page
        self._end_gap()
        if not is_page or self._home(0) >= self.end:
            return None
        at = len(OPEN)
        while True:
            close = self._buffer.find(CLOSE, max(at - len(CLOSE), 0))
            again = self._buffer.find(OPEN, max(at - len(OPEN), 1), close if close >= 0 else len(self._buffer))
            if again >= 0:
                return self._truncated(again, "another page begins before its end")
            if close >= 0:
                return self._whole(close + len(CLOSE))
            if len(self._buffer) > self.keep_bytes + (1 << 20):
                return self._too_large()
            at = len(self._buffer)
            if not self._extend():
                return self._truncated(len(self._buffer), "the file ends before its end")

    def _go_to_page(self) -> bool:
        """Whether there is another `<page>`, which then is where the buffer begins."""
        while (found := self._buffer.find(OPEN)) < 0:
            self._pass_gap(max(0, len(self._buffer) - len(CLOSE) + 1))
            if not self._extend():
                self._pass_gap(len(self._buffer))
                return False
        self._pass_gap(found)
        return True

    def _pass_gap(self, end: int) -> None:
        """Bytes between pages."""
        if end:
            self._gap_closes = self._gap_closes or 0 <= self._buffer.find(CLOSE) < end
            self._gap.update(bytes(self._buffer[:end]))
            self._n_gap_bytes += end
            self._drop(end)

    def _end_gap(self) -> None:
        self._gap, self._n_gap_bytes, self._gap_closes = xxh3_128(), 0, False

    def _stray(self) -> PageFrame:
        """What lies between two pages and ends one of its own."""
        digest, n_bytes = self._gap.digest(), self._n_gap_bytes
        self._end_gap()
        self.n_since += 1
        problem = "malformed_xml", "a page ends that has no beginning"
        return PageFrame(self.place, b"", n_bytes, digest, problem)

    def _extend(self) -> bool:
        piece = self._source.next()
        if piece is None:
            return False
        if self.compressed != "none" and piece.first:
            self._starts.append((len(self._buffer), piece.offset))
        self._buffer += piece.data
        return True

    def _drop(self, n_bytes: int) -> None:
        del self._buffer[:n_bytes]
        moved = [(max(0, at - n_bytes), member) for at, member in self._starts]
        last = sum(at == 0 for at, _ in moved)
        self._starts = moved[max(0, last - 1) :]

    def _home(self, at: int) -> int:
        """Where the page that begins at a place of the buffer is looked up: its byte, or that of its stream."""
        if self.compressed == "none":
            return int(self._source.position) - len(self._buffer) + at
        return [member for place, member in self._starts if place <= at][-1]

    def _note(self, home: int) -> None:
        self.n_since = self.n_since + 1 if home == self.place else 1
        self.place = home

    def _whole(self, end: int) -> PageFrame:
        home = self._home(0)
        data = bytes(self._buffer[:end])
        self._drop(end)
        self._note(home)
        kept = data if len(data) <= self.keep_bytes else b""
        return PageFrame(home, kept, len(data), xxh3_128_digest(data))

    def _truncated(self, end: int, detail: str) -> PageFrame:
        home = self._home(0)
        data = bytes(self._buffer[:end])
        self._drop(end)
        self._note(home)
        return PageFrame(home, b"", len(data), xxh3_128_digest(data), ("truncated", detail))

    def _too_large(self) -> PageFrame:
        """A page that is passed without being kept."""
        home, digest, n_bytes = self._home(0), xxh3_128(), 0
        problem = None
        while (close := self._buffer.find(CLOSE)) < 0:
            passed = max(0, len(self._buffer) - len(CLOSE) + 1)
            digest.update(bytes(self._buffer[:passed]))
            n_bytes += passed
            self._drop(passed)
            try:
                more = self._extend()
            except BrokenMemberError as error:
                if home == error.offset:
                    raise
                self._source.restart(error.offset)
                more = False
            if not more:
                problem = "truncated", "the file ends before its end"
                close = len(self._buffer) - len(CLOSE)
                break
        rest = bytes(self._buffer[: close + len(CLOSE)])
        digest.update(rest)
        self._drop(len(rest))
        self._note(home)
        return PageFrame(home, b"", n_bytes + len(rest), digest.digest(), problem)

    def _cut_short(self, broken: int) -> PageFrame | None:
        """The page in hand, if it began before the stream that is broken; that comes next."""
        begun = self._buffer.startswith(OPEN) and self._home(0) < broken
        if not begun:
            return None
        frame = self._truncated(len(self._buffer), "the stream that it goes on in is broken")
        self._source.restart(broken)
        return frame

    def _broken(self, start: int) -> PageFrame | None:
        """A stream that cannot be decoded to its end; reading goes on at the next."""
        if start >= self.end:
            return None
        if self.compressed == "bzip2":
            end = next_stream(self.file, start + 1, self.size_bytes)
            problem = "malformed_bzip2", f"cannot be decoded to the end of its {end - start} bytes"
        else:
            end = next_member(self.file, start + 1, self.size_bytes, GZIP, b"")
            problem = diagnose(self.file, start, end, GZIP)
        self._source.restart(end)
        self._forget()
        self._note(start)
        return PageFrame(start, b"", end - start, digest_range(self.file, start, end), problem)


def cut_pages(file: BinaryIO, path: str, size_bytes: int, shard_bytes: int) -> list[int]:
    """Where to cut a dump into ranges of about `shard_bytes`: at streams of bzip2, or at pages where it is not
    compressed; first 0, last the size. A dump in gzip is one range."""
    compressed = compression(file, path)
    bounds = [0]
    while compressed != "gzip" and bounds[-1] + shard_bytes < size_bytes:
        find = next_stream if compressed == "bzip2" else _next_page
        found = find(file, bounds[-1] + shard_bytes, size_bytes)
        if found >= size_bytes:
            break
        bounds.append(found)
    return [*bounds, size_bytes]


def _next_page(file: BinaryIO, start: int, end: int) -> int:
    tail, at = b"", start
    for block in read_range(file, start, end):
        window = tail + block
        found = window.find(OPEN)
        if found >= 0:
            return at - len(tail) + found
        at += len(block)
        tail = window[-(len(OPEN) - 1) :]
    return end
