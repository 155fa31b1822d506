"""A crawl in miniature: real WARC files, an index in Common Crawl's schema, and a server that can misbehave."""

import gzip
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from warcio.archiveiterator import ArchiveIterator

ID = "CC-MAIN-2025-05"
SAMPLE = Path(__file__).parents[2] / "manifests/sample/web"

_STRINGS = (
    "url_surtkey url url_host_name url_host_tld url_host_2nd_last_part url_host_3rd_last_part url_host_4th_last_part "
    "url_host_5th_last_part url_host_registry_suffix url_host_registered_domain url_host_private_suffix "
    "url_host_private_domain url_host_name_reversed url_protocol"
)
SCHEMA = pa.schema(
    [(name, pa.string()) for name in _STRINGS.split()]
    + [("url_port", pa.int32()), ("url_path", pa.string()), ("url_query", pa.string())]
    + [("fetch_time", pa.timestamp("ms")), ("fetch_status", pa.int16()), ("fetch_redirect", pa.string())]
    + [
        (f"content_{name}", pa.string())
        for name in ("digest", "mime_type", "mime_detected", "charset", "languages", "truncated")
    ]
    + [("warc_filename", pa.string()), ("warc_record_offset", pa.int32()), ("warc_record_length", pa.int32())]
    + [("warc_segment", pa.string())]
)
"""cc-index-schema-flat.json of commoncrawl/cc-index-table, as it was until CC-MAIN-2026-30; the partition columns
`crawl` and `subset` are in the path."""

Row = dict[str, Any]


def surt(url: str) -> str:
    """The sort key of a URL, nearly as Common Crawl has it."""
    parts = urlsplit(url)
    host = re.sub(r"^www\d*\.", "", parts.hostname or "")
    return (
        f"{','.join(reversed(host.split('.')))}){parts.path or '/'}{f'?{parts.query}' if parts.query else ''}".lower()
    )


def index_rows(path: Path, name: str, languages: str | None) -> Iterator[Row]:
    """A row for each response in a WARC file, by warcio."""
    with path.open("rb") as file:
        archive = ArchiveIterator(file)
        for record in archive:
            offset = archive.get_record_offset()
            record.content_stream().read()
            if record.rec_type != "response":
                continue
            url = record.rec_headers.get_header("WARC-Target-URI").strip("<>")
            host = urlsplit(url).hostname or ""
            declared = (record.http_headers.get_header("Content-Type") or "").partition(";")[0].strip().lower()
            yield {
                "url_surtkey": surt(url),
                "url": url,
                "url_host_name": host,
                "url_host_tld": host.rpartition(".")[2],
                "url_host_registered_domain": ".".join(host.split(".")[-2:]),
                "url_protocol": urlsplit(url).scheme,
                "url_path": urlsplit(url).path,
                "fetch_time": datetime.fromisoformat(record.rec_headers.get_header("WARC-Date")).replace(tzinfo=None),
                "fetch_status": int(record.http_headers.get_statuscode()),
                "content_mime_type": declared or None,
                "content_mime_detected": declared or "application/octet-stream",
                "content_languages": languages,
                "warc_filename": name,
                "warc_record_offset": offset,
                "warc_record_length": archive.get_record_length(),
                "warc_segment": "1.1",
            }


@dataclass
class Mirror:
    """A crawl below a folder."""

    root: Path
    rows: list[Row]

    @property
    def index_names(self) -> list[str]:
        """Files of its index, below the root."""
        return sorted(str(path.relative_to(self.root)) for path in (self.root / "cc-index").rglob("*.parquet"))


def build(
    root: Path, files: dict[Path, str | None], n_files: int = 2, group_rows: int = 60, **changes: Any
) -> Mirror:
    """A crawl of WARC files, each with the languages of its pages.

    Args:
        root: where it goes.
        files: (file, content_languages of its records).
        n_files: files of the index.
        group_rows: rows per row group.
        changes: values for columns of every row, or what makes one of a row.
    """
    rows: list[Row] = []
    for path, languages in files.items():
        name = f"crawl-data/{ID}/segments/1.1/warc/{path.name}"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(path.read_bytes())
        rows += index_rows(path, name, languages)
    for row in rows:
        row |= {name: of(row) if callable(of) else of for name, of in changes.items()}
    return indexed(root, rows, n_files, group_rows)


def indexed(root: Path, rows: list[Row], n_files: int = 2, group_rows: int = 60) -> Mirror:
    """The index of a crawl, ordered by sort key, with the list of its files."""
    rows = sorted(rows, key=lambda row: (row["url_surtkey"], row["warc_filename"], row["warc_record_offset"]))
    folder = root / f"cc-index/table/cc-main/warc/crawl={ID}/subset=warc"
    folder.mkdir(parents=True, exist_ok=True)
    per_file = -(-len(rows) // n_files)
    for number in range(n_files):
        some = rows[number * per_file : (number + 1) * per_file]
        table = pa.Table.from_pylist([{name: row.get(name) for name in SCHEMA.names} for row in some], SCHEMA)
        pq.write_table(
            table, folder / f"part-{number:05d}.c000.gz.parquet", compression="gzip", row_group_size=group_rows
        )
    mirror = Mirror(root, rows)
    listed = [*mirror.index_names, f"cc-index/table/cc-main/warc/crawl={ID}/subset=robotstxt/part-0.parquet"]
    paths = root / f"crawl-data/{ID}/cc-index-table.paths.gz"
    paths.parent.mkdir(parents=True, exist_ok=True)
    paths.write_bytes(gzip.compress("\n".join(listed).encode()))
    return mirror


@dataclass
class Asked:
    """A request that the server got."""

    path: str
    start: int | None
    end: int | None
    agent: str
    at_s: float


@dataclass
class Server:
    """What a test may look at and set. `fault` is asked for each request, with its number for that very range."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    fault: Callable[[Asked, int], str | None] | None = None
    latency_s: float = 0.0
    n_open_max: int = 0
    n_bytes: int = 0
    n_connections: int = 0

    def warc_requests(self) -> list[Asked]:
        """Requests for ranges of WARC files."""
        return [asked for asked in self.asked if asked.path.endswith((".warc.gz", ".warc"))]


@contextmanager
def served(root: Path) -> Iterator[Server]:
    """A server of a folder that answers range requests, on a port of its own."""
    seen: Counter[tuple[str, str | None]] = Counter()
    lock, n_open = threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            with lock:
                server.n_connections += 1

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            with lock:
                n_open[0] += 1
                server.n_open_max = max(server.n_open_max, n_open[0])
            try:
                self._answer()
            finally:
                with lock:
                    n_open[0] -= 1

        def _answer(self) -> None:
            path = root / self.path.lstrip("/")
            if ".." in self.path or not path.is_file():
                self._send(404, b"no such file")
                return
            size = path.stat().st_size
            found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            start, end = 0, size
            if found:
                first, last = found.groups()
                start = int(first) if first else max(0, size - int(last))
                end = min(size, int(last) + 1) if first and last else size
            asked = Asked(
                self.path,
                start if found else None,
                end if found else None,
                self.headers["User-Agent"],
                time.monotonic(),
            )
            with lock:
                server.asked.append(asked)
                key = self.path, self.headers.get("Range")
                number = seen[key]
                seen[key] += 1
            time.sleep(server.latency_s)
            fault = server.fault(asked, number) if server.fault else None
            if fault and fault[0].isdigit():
                status, _, after = fault.partition(" ")
                self._send(int(status), b"not now", {"Retry-After": after} if after else {})
                return
            if start >= size:
                self._send(416, b"", {"Content-Range": f"bytes */{size}"})
                return
            with path.open("rb") as file:
                file.seek(start)
                data = file.read(end - start) if fault != "ignores ranges" else file.read(0)
            more = {"ETag": f'"{size}"'}
            if fault == "ignores ranges":
                self._send_endless()
            elif not found:
                self._send(200, data, more)
            elif fault == "wrong range":
                self._send(206, data, more | {"Content-Range": f"bytes {start + 1}-{end}/{size}"})
            elif fault == "short range":
                self._send(206, data[:-1], more | {"Content-Range": f"bytes {start}-{end - 2}/{size}"})
            else:
                self._send(206, data, more | {"Content-Range": f"bytes {start}-{end - 1}/{size}"}, fault)

        def _send(
            self, status: int, data: bytes, more: dict[str, str] | None = None, fault: str | None = None
        ) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(more or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if fault == "reset":
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                self.close_connection = True
                return
            if fault == "slow":
                for at in range(0, len(data), 64):
                    self.wfile.write(data[at : at + 64])
                    time.sleep(0.05)
                return
            if fault == "flipped":
                data = data[:-40] + bytes([data[-40] ^ 0xFF]) + data[-39:]
            self.wfile.write(data)
            with lock:
                server.n_bytes += len(data)

        def _send_endless(self) -> None:
            """A body of 1 GB, unless the other side goes."""
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 30))
            self.end_headers()
            self.close_connection = True
            try:
                for _ in range(1 << 14):
                    self.wfile.write(bytes(1 << 16))
                    with lock:
                        server.n_bytes += 1 << 16
            except OSError:
                pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            pass  # connections that a test breaks

    http = Quiet(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
