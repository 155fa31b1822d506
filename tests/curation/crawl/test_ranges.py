"""Requests for records: each record once, in order, and nothing joined that is far apart."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.crawl import ranges as crawl_ranges
from curation.crawl.choice import Chosen
from curation.crawl.ranges import SPAN_BYTES, members, spans
from curation.crawl.source import FetchError
from manifests.schema_crawl import Fetch

PLACES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5_000), st.integers(0, 900)), max_size=60)


def chosen(places: list[tuple[int, int, int]]) -> Chosen:
    """Records at (file, offset, length), ordered as an index's are."""
    columns = np.array(sorted(places), np.int64).reshape(-1, 3).T
    return Chosen(["a", "b", "c"], *columns, np.arange(len(places)), {})


class Made:
    """A source whose files hold bytes that tell their place."""

    base, n_failed_in_row = "made", 0

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self._lock = threading.Lock()

    def read(self, name: str, start: int, end: int, stopped: object = None) -> bytes:
        with self._lock:
            self.asked.append((name, start, end))
        if name == "c" and start <= 1000 < end:
            raise FetchError("status 404", 404)
        return bytes((ord(name) + at * 7) % 251 for at in range(start, end))


@given(PLACES, st.integers(0, 300), st.integers(0, 60))
def test_spans_hold_each_record_once(places: list[tuple[int, int, int]], gap: int, first: int) -> None:
    of = chosen(places)
    found = list(spans(of, first, gap, 800))
    assert [at for span in found for at in range(span.first, span.last)] == list(range(first, len(of)))
    for span in found:
        for at in range(span.first, span.last):
            start, end = of.offset[at], of.offset[at] + of.length[at]
            if 0 < of.length[at] <= 800:
                assert span.start <= start and end <= span.end and of.files[of.file[at]] == span.file
            else:
                assert span.start == span.end and span.last == span.first + 1
        inside = sum(of.length[at] for at in range(span.first, span.last) if span.end > span.start)
        assert span.end - span.start <= inside + gap * (span.last - span.first - 1)
        assert span.end - span.start <= SPAN_BYTES


@given(PLACES, st.integers(0, 300), st.integers(1, 4000))
def test_members_are_the_bytes_at_their_places(places: list[tuple[int, int, int]], gap: int, ahead: int) -> None:
    of, source = chosen(places), Made()
    fetch = Fetch(connections=3, gap_bytes=gap, ahead_bytes=ahead)
    for at, member in members(source, of, 0, fetch, 800):
        name, start, end = of.files[of.file[at]], int(of.offset[at]), int(of.offset[at] + of.length[at])
        if not 0 < end - start <= 800:
            assert member is None
        elif name == "c" and start <= 1000 < end:
            assert isinstance(member, FetchError)
        else:
            assert member == bytes((ord(name) + place * 7) % 251 for place in range(start, end))


def test_so_much_is_fetched_ahead_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Made()
    of = chosen([(0, at * 1000, 500) for at in range(100)])
    monkeypatch.setattr(crawl_ranges, "SPANS_AHEAD", 100)
    reader = members(source, of, 0, Fetch(connections=2, gap_bytes=0, ahead_bytes=5000), 800)
    for _ in range(10):
        next(reader)
    reader.close()
    assert 10 <= len(source.asked) <= 10 + 5000 // 500
