"""What an answer may say, and when to ask again."""

import itertools
import time

import pytest

from curation.crawl import source as crawl_source
from curation.crawl.source import is_safe, user_agent


@pytest.mark.parametrize(
    ("value", "seconds"), [("3", 3), ("0.5", 0.5), ("-1", 0), ("", None), ("soon", None), (None, None)]
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert crawl_source.retry_after_s(value) == seconds
    assert (
        55
        < (crawl_source.retry_after_s(time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))) or 0)
        <= 60
    )


def test_backoff_grows_and_differs() -> None:
    waits = [[crawl_source.backoff_s(n) for _ in range(50)] for n in range(1, 6)]
    assert all(max(one) <= 2 * min(one) and len(set(one)) > 40 for one in waits)
    assert all(max(one) <= min(two) * 2 + 1e-9 and max(two) > max(one) for one, two in itertools.pairwise(waits))
    assert crawl_source.backoff_s(1000) <= crawl_source.BACKOFF_S_MAX


@pytest.mark.parametrize(
    "name", ["a.warc.gz", "crawl-data/CC-MAIN-2025-05/segments/17.2/warc/CC-MAIN-1.warc.gz", "a/b=c/d..e"]
)
def test_names_below_a_base(name: str) -> None:
    assert is_safe(name)


@pytest.mark.parametrize(
    "name", ["", "/a", "..", "a/../b", "a/..", "./a", "a?b", "a#b", "a b", "a\\b", "http://b/a", "%2e%2e/a", "a\nb"]
)
def test_names_that_lead_elsewhere(name: str) -> None:
    assert not is_safe(name)


def test_a_contact_that_is_not_ascii_stands_in_a_header() -> None:
    shown = user_agent("옹기@example.org\r\nX: 1")
    assert shown.isascii() and "\n" not in shown and "@example.org" in shown
    assert "me@example.org" in user_agent("me@example.org")
