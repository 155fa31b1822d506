"""Hostile input: a 200 MB line, invalid UTF-8, 1 GB gzip bombs, 10,000-deep HTML; what becomes of it, and memory.

python benchmarks/hostile.py
"""

import argparse
import gzip
import io
import json
import sys
import tempfile
import zlib
from pathlib import Path

import polars as pl
from memory import watch
from sample_text import markdown, publish

MANIFEST = """
kind: corpus
name: hostile
inputs:
  - {source: long, path: "long.jsonl"}
  - {source: utf8, path: "utf8.jsonl"}
  - {source: bomb_jsonl, path: "bomb.jsonl.gz"}
  - {source: bomb_warc, path: "bomb.warc.gz"}
  - {source: bomb_http, path: "http.warc.gz"}
  - {source: deep, path: "deep.warc.gz"}
measure: {language: {}, signals: true}
output: out
"""
ZEROS = bytes(1 << 20)


def warc_record(body: bytes, headers: str = "Content-Type: text/html") -> bytes:
    return warc_head(len(body), headers) + body + b"\r\n\r\n"


def warc_head(body_bytes: int, headers: str) -> bytes:
    """A response record up to its body."""
    http = f"HTTP/1.1 200 OK\r\n{headers}\r\nContent-Length: {body_bytes}\r\n\r\n"
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000001>\r\n"
        "WARC-Target-URI: http://example.org/\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http) + body_bytes}\r\n\r\n"
    )
    return (head + http).encode()


def write_inputs(folder: Path) -> None:
    good = json.dumps({"text": "A good record, after the bad one."}).encode()
    with (folder / "long.jsonl").open("wb") as file:
        file.write(b'{"text": "')
        for _ in range(200):
            file.write(b"x" * 10**6)
        file.write(b'"}\n' + good + b"\n")
    (folder / "utf8.jsonl").write_bytes(b'{"text": "broken \xff\xfe here"}\n' + good + b"\n")
    with gzip.open(folder / "bomb.jsonl.gz", "wb", 6) as file:
        for _ in range(1024):
            file.write(ZEROS)
        file.write(b"\n" + good + b"\n")
    (folder / "bomb.warc.gz").write_bytes(bomb_member() + gzip.compress(warc_record(b"<p>A good page.</p>")))
    squeezed = io.BytesIO()
    with gzip.GzipFile(fileobj=squeezed, mode="wb") as file:
        for _ in range(1024):
            file.write(ZEROS)
    record = warc_record(squeezed.getvalue(), "Content-Type: text/html\r\nContent-Encoding: gzip")
    (folder / "http.warc.gz").write_bytes(gzip.compress(record) + gzip.compress(warc_record(b"<p>A good page.</p>")))
    deep = b"<html><body>" + b"<div>" * 10_000 + b"Deep down there is a sentence." + b"</div>" * 10_000
    (folder / "deep.warc.gz").write_bytes(gzip.compress(warc_record(deep)))


def bomb_member() -> bytes:
    """One gzip member: a WARC response whose body is 1 GB of zeros."""
    head = warc_head(1024 * len(ZEROS), "Content-Type: text/html")
    squeeze = zlib.compressobj(6, zlib.DEFLATED, 31)
    parts = [squeeze.compress(head), *(squeeze.compress(ZEROS) for _ in range(1024))]
    return b"".join([*parts, squeeze.compress(b"\r\n\r\n"), squeeze.flush()])


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        (folder / "m.yaml").write_text(MANIFEST)
        peak, seconds = watch([sys.executable, "-m", "onggi", "curate", f"{folder}/m.yaml"])
        ledger = pl.read_parquet(folder / "out/ledger/*.parquet").sort("source", "verdict")
    columns = ledger.select("source", "verdict", "reason", "detail").rows()
    rows = [[source, verdict, reason or "", (detail or "")[:80]] for source, verdict, reason, detail in columns]
    text = markdown(["source", "verdict", "reason", "detail"], rows)
    publish("hostile", f"{text}\nPeak memory of the process tree: {peak / 2**20:,.0f} MiB; {seconds:.0f} s.\n")


if __name__ == "__main__":
    main()
