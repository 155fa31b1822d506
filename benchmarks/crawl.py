"""A crawl by ranges, beside warcio and requests record by record; and what of an index is read.

A server in a process of its own answers each request after 20 ms. It serves the real WARC files of `data/web`, with
an index in Common Crawl's schema. The peer is given the places of the records (it reads no index), keeps its
connection open, and decodes each record as Onggi does: WARC, HTTP, transfer and content encoding. The large index is
made up: as many rows as asked, with hosts and languages in the shares that the head of this file names.

    python benchmarks/crawl.py [--data ../shared/data] [--rows 1000000]
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from sample_text import markdown, publish
from warcio.archiveiterator import ArchiveIterator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from curation.crawl import ranges as crawl_ranges  # noqa: E402
from curation.crawl.choice import Choice, choose  # noqa: E402
from curation.crawl.index import index_file  # noqa: E402
from curation.crawl.source import HttpSource, source_of  # noqa: E402
from curation.read import plan_splits, read_split  # noqa: E402
from manifests.schema import Input, Limits  # noqa: E402
from tests.curation.crawls import ID, SCHEMA, Mirror, build, served  # noqa: E402

LATENCY_S = 0.02
N_PEER = 400
"""Records that the slow ones fetch; all take as long."""
FILES = {"en_docs": "eng", "ko_docs": "kor", "wild_pages": "eng,kor", "ko_euckr_apache": "kor", "other_apache": "deu"}
TLDS = {"com": 0.45, "de": 0.06, "jp": 0.05, "kr": 0.012, "net": 0.05, "org": 0.08, "ru": 0.04, "uk": 0.258}
LANGUAGES = {"eng": 0.44, "deu": 0.06, "jpn": 0.05, "kor": 0.01, "rus": 0.05, "eng,kor": 0.002, "fra": 0.388}
GROUP_ROWS = 250_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        files = {args.data / f"web/{name}.warc.gz": languages for name, languages in FILES.items()}
        mirror = build(Path(folder), files, n_files=3, group_rows=400)
        pages = by_pages(mirror)
    with tempfile.TemporaryDirectory() as folder:
        index = by_index(Path(folder), args.rows)
    ran_on = (
        f"Server and client on one machine with {os.cpu_count()} cores; {LATENCY_S * 1000:.0f} ms to each answer."
    )
    publish("crawl", f"{ran_on}\n\n{pages}\n{index}")


def serve(root: Path) -> None:
    with served(root) as server:
        server.latency_s = LATENCY_S
        print(server.url, flush=True)
        sys.stdin.read()


def server_of(root: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def by_pages(mirror: Mirror) -> str:
    """Records per second and bytes of the peer and of Onggi, each with a server of its own."""
    wanted = [row for row in mirror.rows if row["content_languages"].startswith(("kor", "eng"))]
    rng = np.random.default_rng(1)
    some = [wanted[number] for number in rng.permutation(len(wanted))[:N_PEER]]
    found = [
        *((f"warcio + requests, {n} thread(s)", *at_server(mirror, peer, some, n)) for n in (1, 8)),
        ("onggi, 1 connection, record by record", *at_server(mirror, onggi, 1, joined=False)),
        ("onggi, 8 connections, record by record", *at_server(mirror, onggi, 8, joined=False)),
        ("onggi, 8 connections (the default)", *at_server(mirror, onggi, 8, joined=True)),
    ]
    first = found[0][1] / found[0][-1]
    header = ["", "records", "requests", "bytes of pages / named", "bytes of the index, MB", "s", "records/s", "x"]
    rows = [
        [name, f"{n:,}", f"{n_requests:,}", f"{share:.4f}", f"{index_bytes / 1e6:.2f}", *speed(n, s, first)]
        for name, n, n_requests, share, index_bytes, s in found
    ]
    return markdown(header, rows)


def speed(n: int, s: float, first: float) -> list[str]:
    return [f"{s:.1f}", f"{n / s:,.0f}", f"{n / s / first:.1f}"]


Measured = tuple[int, int, float, int, float]
"""(records, requests, bytes of pages by those that the index names, bytes of the index, seconds)"""


def at_server(mirror: Mirror, measure: Callable[..., Measured], *args: Any, **named: Any) -> Measured:
    process, url = server_of(mirror.root)
    try:
        return measure(url, *args, **named)
    finally:
        process.communicate()


def peer(url: str, rows: list[dict[str, Any]], n_threads: int) -> Measured:
    """Each record by a request of its own."""

    def fetch(some: list[dict[str, Any]]) -> int:
        session, n_bytes = requests.Session(), 0
        for row in some:
            start, length = row["warc_record_offset"], row["warc_record_length"]
            headers = {"Range": f"bytes={start}-{start + length - 1}"}
            answer = session.get(f"{url}/{row['warc_filename']}", headers=headers, timeout=30)
            answer.raise_for_status()
            n_bytes += len(answer.content)
            for record in ArchiveIterator(io.BytesIO(answer.content)):
                record.content_stream().read()
        return n_bytes

    started = time.perf_counter()
    with ThreadPoolExecutor(n_threads) as pool:
        n_bytes = sum(pool.map(fetch, [rows[number::n_threads] for number in range(n_threads)]))
    took_s = time.perf_counter() - started
    named = sum(row["warc_record_length"] for row in rows)
    return len(rows), len(rows), n_bytes / named, 0, took_s


def onggi(url: str, n_connections: int, *, joined: bool) -> Measured:
    """The same of Onggi, its index included in the time and in the requests."""
    crawl_ranges.SPAN_BYTES = 8 << 20 if joined else 0
    fetch = {"requests_per_second": 1000, "connections": n_connections}
    item = Input(source="s", path=url, crawl={"id": ID, "fetch": fetch}, languages=["kor", "eng"])
    assert item.crawl
    gate = HttpSource(url, item.crawl.fetch).gate
    started, n_records = time.perf_counter(), 0
    splits = plan_splits(item, "", 1)
    for split in splits:
        n_records += sum(batch.records.num_rows for batch in read_split(split, item, Limits(), []))
    took_s, n_requests, n_bytes = time.perf_counter() - started, gate.n_requests, gate.n_bytes
    index_file.cache_clear()
    named = page_bytes = 0
    for split in splits:
        index = index_file(source_of(url, item.crawl.fetch), split.path.removeprefix(f"{url}/"))
        chosen = choose(index, split.start, Choice(item.crawl, item.languages), [], None)
        named += int(chosen.length.sum())
        page_bytes += sum(
            of.end - of.start for of in crawl_ranges.spans(chosen, 0, item.crawl.fetch.gap_bytes, 1 << 30)
        )
    return n_records, n_requests, page_bytes / named, n_bytes - page_bytes, took_s


def by_index(folder: Path, n_rows: int) -> str:
    """What is read of an index of so many rows, and how fast it is gone through."""
    name = f"cc-index/table/cc-main/warc/crawl={ID}/subset=warc/part-00000.parquet"
    (folder / name).parent.mkdir(parents=True)
    size_bytes = write_index(folder / name, n_rows)
    process, url = server_of(folder)
    rows = []
    try:
        for title, crawl, languages in (
            ("languages: [kor]", {}, ["kor"]),
            ("languages: [kor, eng]", {}, ["kor", "eng"]),
            ("tlds: [kr]", {"tlds": ["kr"]}, []),
        ):
            item = Input(source="s", path=url, crawl={"id": ID, "fetch": {"requests_per_second": 1000}, **crawl})
            assert item.crawl
            source = source_of(url, item.crawl.fetch)
            assert isinstance(source, HttpSource)
            index_file.cache_clear()
            before, started = source.gate.n_bytes, time.perf_counter()
            index, choice, n_found = index_file(source, name), Choice(item.crawl, languages), 0
            groups = [g for g in range(index.metadata.num_row_groups) if choice.may_hold(index.metadata.row_group(g))]
            for group in groups:
                n_found += len(choose(index, group, choice, [], None))
            took_s = time.perf_counter() - started
            n_bytes = source.gate.n_bytes - before
            n_all = index.metadata.num_row_groups
            rate = f"{len(groups) * GROUP_ROWS / took_s / 1e6:.1f}"
            what = [title, f"{n_found:,}", f"{len(groups)} of {n_all}"]
            rows.append([*what, f"{n_bytes / 1e6:.1f}", f"{n_bytes / size_bytes:.1%}", f"{took_s:.1f}", rate])
    finally:
        process.communicate()
    header = ["", "records chosen", "row groups", "MB read", "of the index", "s", "million rows/s"]
    note = f"An index file of {n_rows:,} rows, {size_bytes / 1e6:.0f} MB."
    return f"{note}\n\n{markdown(header, rows)}"


def write_index(path: Path, n_rows: int) -> int:
    """Write an index file ordered by sort key; returns its size."""
    rng = np.random.default_rng(1)
    tlds = np.sort(rng.choice(list(TLDS), n_rows, p=list(TLDS.values())))
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for start in range(0, n_rows, GROUP_ROWS):
            writer.write_table(index_table(tlds[start : start + GROUP_ROWS], start, rng), row_group_size=GROUP_ROWS)
    return path.stat().st_size


def index_table(tlds: Any, start: int, rng: Any) -> pa.Table:
    """Rows as Common Crawl's index has them: long names, digests that do not compress, WARC files at random."""
    n = len(tlds)
    hosts = [f"host{(start + number) // 12:07d}.{tld}" for number, tld in enumerate(tlds)]
    paths = [f"/a/{value:x}/page.html" for value in rng.integers(0, 1 << 40, n)]
    segment = (
        "crawl-data/CC-MAIN-2025-05/segments/17361156{:05d}.{}/warc/CC-MAIN-20250117000000-20250117030000-{:05d}"
    )
    of_file = rng.integers(0, 90_000, n)
    languages = rng.choice(list(LANGUAGES), n, p=list(LANGUAGES.values()))
    columns: dict[str, Any] = {
        "url_surtkey": [
            f"{','.join(reversed(host.split('.')))}){path}" for host, path in zip(hosts, paths, strict=True)
        ],
        "url": [f"https://www.{host}{path}" for host, path in zip(hosts, paths, strict=True)],
        "url_host_name": [f"www.{host}" for host in hosts],
        "url_host_tld": tlds,
        "url_host_registered_domain": hosts,
        "url_protocol": ["https"] * n,
        "url_path": paths,
        "fetch_time": rng.integers(1_737_000_000_000, 1_738_000_000_000, n),
        "fetch_status": np.full(n, 200),
        "content_digest": [value.hex() for value in _digests(rng, n)],
        "content_mime_type": ["text/html"] * n,
        "content_mime_detected": rng.choice(
            ["text/html", "application/xhtml+xml", "application/pdf"], n, p=[0.9, 0.08, 0.02]
        ),
        "content_charset": ["UTF-8"] * n,
        "content_languages": languages,
        "warc_filename": [f"{segment.format(f % 100, f % 900, f)}.warc.gz" for f in of_file],
        "warc_record_offset": rng.integers(0, 1_200_000_000, n),
        "warc_record_length": rng.integers(2_000, 60_000, n),
        "warc_segment": [f"17361156{f % 100:05d}.{f % 900}" for f in of_file],
    }
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(n, field.type)
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _digests(rng: Any, n: int) -> list[bytes]:
    data = rng.bytes(16 * n)
    return [data[at : at + 16] for at in range(0, 16 * n, 16)]


if __name__ == "__main__":
    main()
