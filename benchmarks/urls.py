"""Addresses: canonical forms beside w3lib, courlan and ada; a list of five million domains; what pages tell robots.

    python benchmarks/urls.py [--data ../shared/data] [--peers FOLDER] [--entries 5000000]

The addresses are all http links of the pages in `data/web` and `data/extraction`, as they are written there, and the
addresses of the pages. The peers are imported from FOLDER (`pip install --target FOLDER w3lib ada-url`) in this
process.
"""

import argparse
import html
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from curation.addresses.blocklists import open_blocklist
from curation.addresses.robots import FIELDS, of_headers, of_page, robots_column
from curation.addresses.urls import canonical_column, canonical_url
from curation.read import plan_splits, read_split
from manifests.engine import resident_bytes
from manifests.schema import Input, Limits
from manifests.schema_addresses import Robots

ROOT = Path(__file__).resolve().parent.parent
RESULT = Path(__file__).parent / "results" / "urls.md"
ALL = Robots()
LINK = re.compile(rb"""href\s*=\s*["'](https?://[^"'<>]{1,2000})["']""", re.IGNORECASE)
N_ASKED = 1_000_000


def pages(data: Path) -> Iterator[tuple[str, str, bytes, str]]:
    """(set, address, content, headers to robots) of all pages."""
    item = Input(source="web", path=str(data / "web"))
    for split in plan_splits(item, "", 1 << 40):
        folder, _, file = split.path.rpartition("/")
        name = "web/real_crawls" if folder.endswith("real_crawls") else f"web/{file}"
        for batch in read_split(split, item, Limits(), []):
            for row in batch.records.to_pylist():
                if row["kind"] == "html" and row["content"] is not None:
                    yield name, row["url"] or "", row["content"], row["robots_headers"] or ""
    for path in sorted((data / "extraction").glob("*.pages.parquet")):
        for row in pl.read_parquet(path, columns=["url", "html"]).iter_rows():
            yield f"extraction/{path.name.split('.')[0]}", row[0] or "", row[1], ""


def rate(work: Callable[[], object], n_items: int) -> float:
    """Items per second, the best of three."""
    took = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return n_items / min(took)


def spelled(canonical: Callable[[str], str | None], urls: list[str]) -> list[str | None]:
    """What a peer makes of each address; what it refuses is None."""

    def one(url: str) -> str | None:
        try:
            return canonical(url)
        except Exception:
            return None

    return [one(url) for url in urls]


def canonical_table(urls: list[str]) -> list[str]:
    """Rates, and how many addresses are left apart."""
    import ada_url
    import courlan
    import w3lib.url

    column = pa.array(urls, pa.string())
    ours = canonical_column(column).to_pylist()
    rates = {
        "`canonical_column`": (rate(lambda: canonical_column(column), len(urls)), ours),
        "`canonical_url`, one by one": (rate(lambda: spelled(canonical_url, urls), len(urls)), ours),
    }
    peers: dict[str, Callable[[str], str | None]] = {
        f"w3lib {_version('w3lib')}, canonicalize_url": w3lib.url.canonicalize_url,
        f"courlan {_version('courlan')}, normalize_url": courlan.normalize_url,
        f"courlan {_version('courlan')}, clean_url": courlan.clean_url,
        f"ada-url {_version('ada-url')}, href (no tracking, no order)": lambda url: str(ada_url.URL(url).href),
    }
    for name, peer in peers.items():
        theirs = spelled(peer, urls)
        rates[name] = rate(lambda peer=peer: spelled(peer, urls), len(urls)), theirs  # type: ignore[misc]
    base = rates["`canonical_column`"][0]
    lines = ["| | URLs/s | times as slow | refused | different left | equal to ours |", "|---|---|---|---|---|---|"]
    for name, (per_s, found) in rates.items():
        same = sum(mine == theirs for mine, theirs in zip(ours, found, strict=True)) / len(urls)
        refused, left = sum(url is None for url in found), len(set(found) - {None})
        lines.append(f"| {name} | {per_s:,.0f} | {base / per_s:.1f} | {refused:,} | {left:,} | {same:.1%} |")
    agree = sum(
        one is not None and ada_url.URL(one).href == one and canonical_url(ada_url.URL(url).href) == one
        for url, one in zip(urls, ours, strict=True)
    )
    told = f"The URL Standard (ada) spells {agree:,} of our {len(urls) - ours.count(None):,} forms as we do; its own "
    return [*lines, "", f"{told}spelling of these addresses comes to the same form."]


def _version(name: str) -> str:
    from importlib import metadata

    return metadata.version(name)


LOOK_UP = """
import pickle, sys, time
import pyarrow as pa
from curation.addresses.blocklists import open_blocklist
from manifests.engine import resident_bytes
urls = pa.array(pickle.load(open(sys.argv[2], "rb")), pa.string())
open_blocklist("warm", sys.argv[3]).find(urls.slice(0, 4096))
before = resident_bytes()
started = time.perf_counter(); of = open_blocklist("list", sys.argv[1]); opened = time.perf_counter() - started
took = []
for _ in range(3):
    started, n_found = time.perf_counter(), 0
    for first in range(0, len(urls), 4096):
        found = of.find(urls.slice(first, 4096))
        n_found += len(found) - found.null_count
    took.append(time.perf_counter() - started)
print(opened, min(took), n_found, resident_bytes() - before)
"""

SET = """
import pickle, sys, time
from manifests.engine import resident_bytes
urls = pickle.load(open(sys.argv[2], "rb"))
before = resident_bytes()
started = time.perf_counter()
entries = {line.strip() for line in open(sys.argv[1])}
opened = time.perf_counter() - started
started = time.perf_counter()
n_found = 0
for url in urls:
    labels = url.split("/", 3)[2].split(".")
    n_found += any(".".join(labels[first:]) in entries for first in range(len(labels)))
print(opened, time.perf_counter() - started, n_found, resident_bytes() - before)
"""


def list_table(n_entries: int) -> list[str]:
    """A list of made-up domains: what it takes, beside a Python set of them."""
    import pickle

    chosen = random.Random(0)
    names = [f"{chosen.randrange(16**8):08x}{number}.example{number % 50}.kr" for number in range(n_entries)]
    hosts = (
        chosen.choice(names) if number % 2 else f"{chosen.randrange(16**9):09x}.example{number % 50}.kr"
        for number in range(N_ASKED)
    )
    urls = [f"https://www.{host}/a/b?c={number}" for number, host in enumerate(hosts)]
    with tempfile.TemporaryDirectory() as folder:
        path, asked, warm = Path(folder, "list.txt"), Path(folder, "urls"), Path(folder, "warm.txt")
        path.write_text("\n".join(names))
        asked.write_bytes(pickle.dumps(urls))
        warm.write_text("a.kr\n")
        os.environ["XDG_CACHE_HOME"] = folder
        started = time.perf_counter()
        before = resident_bytes()
        of = open_blocklist("list", str(path))
        built_s, grown = time.perf_counter() - started, resident_bytes() - before
        rows = {name: _run(code, path, asked, warm) for name, code in (("Onggi", LOOK_UP), ("a Python set", SET))}
    lines = [
        f"{of.n_entries:,} made-up domains; building: {built_s:.1f} s, {grown / 1e6:,.0f} MB more resident "
        f"afterwards, {8 * of.n_entries / 1e6:,.0f} MB on disk, once per list and user.",
        "",
        "| a process | seconds to open | lookups/s | found | MB more resident |",
        "|---|---|---|---|---|",
    ]
    for name, (opened, took, n_found, more) in rows.items():
        per_s = N_ASKED / float(took)
        lines.append(f"| {name} | {float(opened):.2f} | {per_s:,.0f} | {int(n_found):,} | {int(more) / 1e6:,.0f} |")
    ratio = float(rows["a Python set"][1]) / float(rows["Onggi"][1])
    return [*lines, "", f"{ratio:.1f} times as many lookups per second, of one in two of which nothing is listed."]


def _run(code: str, *arguments: Path) -> list[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.split()


def robots_table(found: list[tuple[str, str, bytes, str]]) -> list[str]:
    """How many pages say what, set by set, and how fast they are read."""
    from resiliparse.parse.html import HTMLTree

    lines = ["| set | pages | " + " | ".join(FIELDS) + " |", "|---" * (2 + len(FIELDS)) + "|"]
    for name in sorted({item[0] for item in found}):
        mine = [of_page(content, ALL) | of_headers(headers, ALL) for of, _, content, headers in found if of == name]
        counts = [str(sum(field in said for said in mine)) for field in FIELDS]
        lines.append(f"| {name} | {len(mine):,} | " + " | ".join(counts) + " |")
    contents = [content for _, _, content, _ in found]
    n_bytes = sum(map(len, contents))
    column = pa.array(contents, pa.large_binary())
    kinds, headers = pa.array(["html"] * len(contents)), pa.nulls(len(contents), pa.string())
    ours = rate(lambda: robots_column(column, kinds, headers, ALL), n_bytes) / 1e6
    trees = rate(lambda: [HTMLTree.parse_from_bytes(content) for content in contents], n_bytes) / 1e6
    return [
        *lines,
        "",
        f"{ours:,.0f} MB/s; parsing the pages with resiliparse alone: {trees:,.0f} MB/s ({ours / trees:.1f}).",
    ]


def main() -> None:
    """Measure, and write the page of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--peers", default="", help="a folder with w3lib and ada-url")
    parser.add_argument("--entries", type=int, default=5_000_000)
    arguments = parser.parse_args()
    if arguments.peers:
        sys.path.append(arguments.peers)
    found = list(pages(arguments.data))
    links = [
        html.unescape(link.decode("utf-8", "replace")) for _, _, content, _ in found for link in LINK.findall(content)
    ]
    urls = [url for _, url, _, _ in found if url] + links
    text = [
        "# Addresses",
        f"\n`python benchmarks/urls.py`: Python {sys.version.split()[0]}, one process on {os.cpu_count()} "
        "cores shared with other work.",
        "\n## Canonical forms\n",
        f"{len(urls):,} addresses ({len(set(urls)):,} different): links of {len(found):,} pages, and their own.\n",
        *canonical_table(urls),
        "\n## Lists\n",
        *list_table(arguments.entries),
        "\n## What pages tell robots\n",
        *robots_table(found),
    ]
    RESULT.write_text("\n".join(text) + "\n", "utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
