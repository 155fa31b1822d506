"""Byte ranges of the files of a crawl: over HTTP, politely, or from a folder or a bucket that holds a mirror."""

import netrc
import random
import re
import string
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from threading import Event
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import fsspec
from xxhash import xxh3_128_hexdigest

from curation.crawl.gate import WAIT_S_MAX, Gate, gate_of
from manifests.code import version
from manifests.errors import RequestError, RunError, missing_extra
from manifests.schema import MIB
from manifests.schema_crawl import Fetch

BUSY = frozenset({403, 408, 425, 429, 500, 502, 503, 504, 509})
"""Statuses after which a later try may succeed. 403 is what Common Crawl's rate limit answers."""
ASKS_FOR_LESS = frozenset({403, 429, 503, 509})
BACKOFF_S, BACKOFF_S_MAX = 2.0, 60.0
"""Of the first wait, at most, and of the longest. Half is certain: Common Crawl calls one retry in a second polite
(https://status.commoncrawl.org)."""
WHOLE_BYTES_MAX = 64 * MIB
"""Of a file that is fetched whole: a list of files."""
REFUSAL_BYTES_MAX = 64 * 1024
NEVER = Event()

_SAFE_NAME = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))[A-Za-z0-9][A-Za-z0-9._/=+-]*")


class FetchError(Exception):
    """Bytes that cannot be had. The message tells of the answer, not of the place."""

    def __init__(self, detail: str, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.status, self.retry_after_s = status, retry_after_s


class _TryAgainError(FetchError):
    """A later try may succeed."""


@dataclass(frozen=True)
class Body:
    """Bytes of a file, the size of all of it, and what identifies this version of it."""

    data: bytes
    size_bytes: int
    tag: str

    @property
    def digest(self) -> str:
        """What stands for the whole file."""
        return xxh3_128_hexdigest(f"{self.size_bytes} {self.tag}".encode())


class Source(Protocol):
    """Where the files of a crawl are, by their names below its base."""

    base: str
    n_failed_in_row: int
    """How many ranges in a row could not be had; whoever reads records counts."""

    def __hash__(self) -> int: ...

    def read(self, name: str, start: int, end: int, stopped: Event = NEVER) -> bytes:
        """The bytes from `start` to before `end`.

        Raises:
            FetchError: they cannot be had.
            RunError: the host is to be left alone.
        """

    def tail(self, name: str, n_bytes: int) -> Body:
        """The last bytes of a file, or all of a smaller one. Raises as `read`."""

    def whole(self, name: str) -> bytes | None:
        """All of a small file; None where there is no such file. Raises as `read`."""


@lru_cache(maxsize=16)
def source_of(base: str, fetch: Fetch) -> Source:
    """The source at a base; one for all threads.

    Raises:
        RequestError: the HTTP client or the file system is not installed.
    """
    if base.startswith(("http://", "https://")):
        return HttpSource(base, fetch)
    return FileSource(base)


class FileSource:
    """A mirror in a folder, or in a bucket that fsspec opens."""

    def __init__(self, base: str) -> None:
        self.base, self.n_failed_in_row = base.rstrip("/"), 0
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.base)
        except (ImportError, ValueError) as error:
            raise RequestError(f"crawl.base: {base}: {error}") from error

    def read(self, name: str, start: int, end: int, stopped: Event = NEVER) -> bytes:
        """See `Source`."""
        data = bytes(self._ask(lambda: self._fs.cat_file(f"{self._root}/{name}", start, end)))
        if len(data) != end - start:
            raise FetchError(f"the file has {len(data)} of {end - start} bytes there")
        return data

    def tail(self, name: str, n_bytes: int) -> Body:
        """See `Source`."""
        info = self._ask(lambda: self._fs.info(f"{self._root}/{name}"))
        size_bytes = int(info["size"])
        tag = next((str(info[of]) for of in ("ETag", "etag", "md5Hash", "mtime") if info.get(of)), "")
        return Body(self.read(name, max(0, size_bytes - n_bytes), size_bytes), size_bytes, tag)

    def whole(self, name: str) -> bytes | None:
        """See `Source`."""
        path = f"{self._root}/{name}"
        return bytes(self._ask(lambda: self._fs.cat_file(path))) if self._fs.exists(path) else None

    def names(self, folder: str) -> list[str]:
        """The names of files in a folder; none where it is not there."""
        path = f"{self._root}/{folder}"
        found = self._fs.find(path) if self._fs.exists(path) else []
        return sorted(f"{folder}{name[len(path) :]}" for name in found)

    def _ask(self, of: Callable[[], Any]) -> Any:
        try:
            return of()
        except OSError as error:
            raise FetchError(f"{type(error).__name__}: {error.strerror or 'cannot be read'}") from error


class HttpSource:
    """A server that answers range requests. Connections stay open; every answer is checked against what was asked."""

    def __init__(self, base: str, fetch: Fetch) -> None:
        try:
            import httpx2 as httpx
        except ImportError as error:
            raise missing_extra("crawl", "httpx2", "crawl") from error
        self._httpx = httpx
        self.base, self.n_failed_in_row, self._fetch = base.rstrip("/"), 0, fetch
        parts = urlsplit(self.base)
        if "@" in parts.netloc:
            raise RequestError(
                f"path: {parts.scheme}://...@{parts.netloc.rpartition('@')[2]}: a user's name and password in an "
                "address would stand in the ledger and in errors; put them into ~/.netrc, which is looked at"
            )
        self.gate: Gate = gate_of(f"{parts.scheme}://{parts.netloc}")
        self.gate.limit(fetch.connections, fetch.requests_per_second)
        limits = httpx.Limits(max_connections=fetch.connections, max_keepalive_connections=fetch.connections)
        headers = {"User-Agent": user_agent(fetch.contact), "Accept-Encoding": "identity"}
        try:
            auth = httpx.NetRCAuth()
        except (OSError, netrc.NetrcParseError):
            auth = None
        self._client = httpx.Client(headers=headers, timeout=fetch.timeout_s, limits=limits, auth=auth)
        weakref.finalize(self, self._client.close)  # of a source that is not used any more, or at the end

    def read(self, name: str, start: int, end: int, stopped: Event = NEVER) -> bytes:
        """See `Source`."""
        return self._get(name, f"bytes={start}-{end - 1}", end - start, start, stopped).data

    def tail(self, name: str, n_bytes: int) -> Body:
        """See `Source`."""
        return self._get(name, f"bytes=-{n_bytes}", n_bytes, None, NEVER)

    def whole(self, name: str) -> bytes | None:
        """See `Source`."""
        try:
            return self._get(name, None, WHOLE_BYTES_MAX, None, NEVER).data
        except FetchError as error:
            if error.status == 404:
                return None
            raise

    def _get(self, name: str, asked: str | None, n_bytes: int, start: int | None, stopped: Event) -> Body:
        for n_tries in range(1, self._fetch.retries + 2):
            try:
                with self.gate.turn(stopped):
                    body = self._try(name, asked, n_bytes, start)
                self.gate.answered(len(body.data))
                return body
            except _TryAgainError as error:
                self._make_way(error, n_tries, stopped)
                if n_tries > self._fetch.retries:
                    tries = f", after {n_tries} tries" if n_tries > 1 else ""
                    raise FetchError(f"{error}{tries}", error.status) from error
        raise AssertionError("unreachable")

    def _make_way(self, error: _TryAgainError, n_tries: int, stopped: Event) -> None:
        """Wait before the next try: as the host says, or longer each time; all wait where it asks for less."""
        after_s = error.retry_after_s
        if after_s is not None and after_s > WAIT_S_MAX:
            raise RunError(
                f"{self.gate.host} asks to be left alone for {after_s:,.0f} s; what is whole is kept: run the same "
                "command again then to go on"
            )
        pause_s = after_s or backoff_s(n_tries)
        if after_s is not None or error.status in ASKS_FOR_LESS:
            self.gate.slow_down(pause_s)
        elif n_tries <= self._fetch.retries:
            stopped.wait(pause_s)

    def _try(self, name: str, asked: str | None, n_bytes: int, start: int | None) -> Body:
        headers = {"Range": asked} if asked else {}
        until_s = time.monotonic() + self._fetch.timeout_s
        try:
            with self._client.stream("GET", f"{self.base}/{name}", headers=headers) as response:
                if _is_refusal(response.status_code, response.headers):
                    response.read()  # or the connection could not be used again
                size_bytes, n_expected = _expected(response.status_code, response.headers, asked, n_bytes, start)
                data = bytearray()
                for block in response.iter_raw():
                    data += block
                    if len(data) > n_expected:
                        raise _TryAgainError(f"more bytes came than the {n_expected} that were asked for")
                    if time.monotonic() > until_s:
                        raise _TryAgainError(
                            f"{len(data)} of {n_expected} bytes came within {self._fetch.timeout_s:g} s"
                        )
                tag = response.headers.get("etag") or response.headers.get("last-modified") or ""
        except (self._httpx.TransportError, self._httpx.DecodingError) as error:
            raise _TryAgainError(f"{type(error).__name__}: {error}"[:200]) from error
        if asked and len(data) < n_expected:
            raise _TryAgainError(f"{len(data)} of {n_expected} bytes came")
        return Body(bytes(data), size_bytes or len(data), tag)


def _is_refusal(status: int, headers: Any) -> bool:
    """Whether an answer says why nothing comes, in a body of a size that may be read."""
    length = headers.get("content-length", "")
    return status not in (200, 206) and length.isdigit() and int(length) <= REFUSAL_BYTES_MAX


def _expected(
    status: int, headers: Any, asked: str | None, n_bytes: int, start: int | None
) -> tuple[int | None, int]:
    """(size of the file where it is told, bytes of the body), if the answer is one to what was asked.

    Raises:
        FetchError: it is not. Nothing of the body need be read for that.
    """
    if status in BUSY:
        raise _TryAgainError(f"status {status}", status, retry_after_s(headers.get("retry-after")))
    if status == 200 and not asked:
        return None, n_bytes
    if status == 200:
        raise FetchError("the server ignores ranges (status 200)", status)
    if status != 206 or not asked:
        raise FetchError(f"status {status}", status)
    try:
        unit, _, rest = headers.get("content-range", "").strip().partition(" ")
        place, _, size = rest.partition("/")
        first, last = (int(of) for of in place.split("-"))
        size_bytes = int(size)
    except ValueError:
        unit, first, last, size_bytes = "", 0, 0, 0
    wanted = max(0, size_bytes - n_bytes) if start is None else start
    n_wanted = size_bytes - wanted if start is None else n_bytes
    if unit != "bytes" or (first, last) != (wanted, wanted + n_wanted - 1):
        detail = f"{asked} was asked for, and Content-Range is {headers.get('content-range')!r}"
        raise (_TryAgainError if size_bytes >= wanted + n_wanted else FetchError)(detail, status)
    if headers.get("content-encoding", "identity") != "identity":
        raise FetchError(f"the server encodes ranges ({headers['content-encoding']})", status)
    return size_bytes, n_wanted


def is_safe(name: str) -> bool:
    """Whether a name can only be that of a file below a base: an index may name anything."""
    return _SAFE_NAME.fullmatch(name) is not None


def backoff_s(n_tries: int) -> float:
    """How long to wait after so many tries: twice as long each time, and not the same for two that failed at once."""
    return min(BACKOFF_S_MAX, BACKOFF_S * 2.0 ** (n_tries - 1)) * random.uniform(0.5, 1.0)


def retry_after_s(value: str | None) -> float | None:
    """Seconds that a Retry-After header names, as a number or as a date; None where it names none."""
    try:
        return max(0.0, float(value or ""))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value or "")
    except (ValueError, TypeError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def user_agent(contact: str | None) -> str:
    """Who asks; a header holds ASCII only, so other characters are written as in addresses (`%EC%98%B9`)."""
    shown = f"; {quote(contact, safe=string.punctuation + ' ')}" if contact else ""
    return f"onggi/{version()} (corpus curation{shown})"
