"""A small corpus of which documents are to be removed: sites, copies, near copies, repeated lines, personal data."""

import random
from pathlib import Path
from typing import Any

import orjson

from curation.pipeline import curate
from manifests.record import RunRecord
from tests.scenarios.runs import job_of

MANIFEST = """
kind: corpus
name: small
inputs:
  - {source: pages, path: "data/*.jsonl", key: key, url: url, license: license}
measure: {language: {}, pii: {kinds: [email]}}
rules:
  - {name: long, keep: "n_text_bytes >= 100"}
dedup:
  near: {}
  lines: {keep: not_red, ko: {red_over: 3, green_max: 1}, other: {red_over: 3, green_max: 1}}
  spans: {min_chars: 60}
decontaminate: {against: [items.jsonl]}
redact: {mode: placeholder}
limits: {shard_bytes: 20_000}
output: {path: out, shard_bytes: 20_000}
"""
COLUMNS = "\n".join(line for line in MANIFEST.splitlines() if not line.startswith(("  lines", "  spans")))
COLUMNS = COLUMNS.replace("output:", "store: columns\noutput:")

BLOG = "blog.example.com"
SHOP = "한국가게.kr"
N_PAGES = 90


def rows() -> list[dict[str, Any]]:
    """Pages of four sites. Page 3 has a copy on another site, page 5 a near copy; every fifth has a common line."""
    draw = random.Random(7)
    stems = ("river", "stone", "window", "paper", "garden", "signal", "copper", "market")
    words = [stem + end for stem in stems for end in ("", "s", "ing", "er", "ed")]
    found = []
    for n in range(N_PAGES):
        site = ("news.example.com", BLOG, "docs.example.org", SHOP)[n % 4]
        text = " ".join(draw.choice(words) for _ in range(120))
        if n % 5 == 0:
            text += f"\nThis line stands on many of the pages of this site, {site}, and says nothing of them."
        if n % 9 == 0:
            text += f"\nWrite to person{n}@example.com for more."
        found.append({"key": f"k{n}", "url": f"https://www.{site}/page/{n}", "license": "CC-BY-4.0", "text": text})
    found.append({"key": "copy", "url": "https://mirror.net/3", "license": None, "text": found[3]["text"]})
    near = found[5]["text"].replace("river", "rivers", 1)
    found.append({"key": "near", "url": "https://mirror.net/5", "license": None, "text": near})
    found.append({"key": "short", "url": f"https://{BLOG}/short", "license": None, "text": "too short"})
    found.append({"key": "empty", "url": f"https://{BLOG}/empty", "license": None, "text": " "})
    found.append({"key": "https://keyed.net/1", "url": None, "license": None, "text": found[7]["text"][::-1]})
    return found


def write_inputs(folder: Path, pages: list[dict[str, Any]]) -> None:
    """The pages, in three files."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    texts = {row["key"]: row["text"].split() for row in rows()}
    items = [{"question": " ".join(texts[key][20:60]), "answer": "no"} for key in ("k6", "k9")]
    (folder / "items.jsonl").write_bytes(b"".join(orjson.dumps(item) + b"\n" for item in items))
    for part in range(3):
        mine = [row for row in pages if hash_of(row) % 3 == part]
        (folder / f"data/{part}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in mine))


def hash_of(row: dict[str, Any]) -> int:
    """A number that does not depend on the other pages."""
    return sum(map(ord, row["key"]))


def small_corpus(folder: Path, pages: list[dict[str, Any]], manifest: str = MANIFEST) -> RunRecord:
    """Curate the pages into `out`."""
    write_inputs(folder, pages)
    (folder / "web.yaml").write_text(manifest)
    return curate(job_of(folder / "web.yaml"))
