"""Records of a crawl fetched ahead, in a fixed order: those that lie side by side by one request."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from curation.crawl.choice import Chosen
from curation.crawl.source import BUSY, FetchError, Source
from manifests.schema import MIB
from manifests.schema_crawl import Fetch

SPAN_BYTES = 8 * MIB
"""Records are not joined beyond this: what a broken connection costs."""
SPANS_AHEAD = 8
"""Requests under way or done for each connection."""

Member = bytes | FetchError | None
"""The compressed bytes of a record, or why there are none; None where they were not asked for."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file that one request asks for, and the records in them."""

    file: str
    start: int
    end: int
    first: int
    last: int
    """Records `first` to before `last` of those that were chosen."""


def spans(chosen: Chosen, first: int, gap_bytes: int, record_bytes: int) -> Iterator[Span]:
    """The requests for all records from `first` on. One that is not to be asked for has a span of no bytes."""
    span: Span | None = None
    for at in range(first, len(chosen)):
        file, start, n_bytes = chosen.files[chosen.file[at]], int(chosen.offset[at]), int(chosen.length[at])
        wanted = bool(file) and start >= 0 and 0 < n_bytes <= record_bytes
        near = span and wanted and span.end > span.start and span.file == file and 0 <= start - span.end <= gap_bytes
        if span and near and start + n_bytes - span.start <= SPAN_BYTES:
            span = Span(file, span.start, start + n_bytes, span.first, at + 1)
            continue
        if span:
            yield span
        span = Span(file, start, start + n_bytes if wanted else start, at, at + 1)
    if span:
        yield span


def members(
    source: Source, chosen: Chosen, first: int, fetch: Fetch, record_bytes: int
) -> Iterator[tuple[int, Member]]:
    """(number, bytes) of the chosen records from `first` on, in order, while the next ones are on their way.

    Raises:
        RunError: the host is to be left alone.
    """
    for span, data in _ahead(source, spans(chosen, first, fetch.gap_bytes, record_bytes), fetch):
        for at in range(span.first, span.last):
            start, end = int(chosen.offset[at]), int(chosen.offset[at] + chosen.length[at])
            if isinstance(data, bytes):
                yield at, data[start - span.start : end - span.start]
            elif data is None or span.last - span.first == 1 or data.status is None or data.status in BUSY:
                yield at, data
            else:  # one of them may be what the host has no bytes for
                yield at, _fetched(source, Span(span.file, start, end, at, at + 1), Event())


def _ahead(source: Source, wanted: Iterator[Span], fetch: Fetch) -> Iterator[tuple[Span, Member]]:
    """The spans' bytes in order; so many are under way or in hand as the settings allow."""
    stopped, under_way, n_bytes = Event(), deque[tuple[Span, Future[Member]]](), 0
    pool = ThreadPoolExecutor(fetch.connections, "crawl")
    try:
        following = next(wanted, None)
        while under_way or following:
            while following and (
                not under_way
                or (
                    n_bytes + following.end - following.start <= fetch.ahead_bytes
                    and len(under_way) < SPANS_AHEAD * fetch.connections
                )
            ):
                under_way.append((following, pool.submit(_fetched, source, following, stopped)))
                n_bytes += following.end - following.start
                following = next(wanted, None)
            span, future = under_way.popleft()
            yield span, future.result()
            n_bytes -= span.end - span.start
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _fetched(source: Source, span: Span, stopped: Event) -> Member:
    if span.start == span.end:
        return None
    try:
        return source.read(span.file, span.start, span.end, stopped)
    except FetchError as error:
        return error
