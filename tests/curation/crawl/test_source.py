"""What an answer may say, and when to ask again."""

import itertools
import time
from pathlib import Path

import pytest

from curation.crawl import source as crawl_source
from curation.crawl.source import is_safe, source_of, user_agent
from manifests.errors import RequestError
from manifests.schema_crawl import Fetch


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


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(RequestError, match=r"\.\.\.@localhost:1: .*netrc") as error:
        source_of("http://user:hunter2@localhost:1", Fetch())
    assert "hunter2" not in str(error.value)


def test_passwords_come_from_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login user password hunter2\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert source_of("http://localhost:1", Fetch())._client.auth is not None  # type: ignore[attr-defined]
