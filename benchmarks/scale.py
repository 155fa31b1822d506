"""The rates that docs/scale.md reckons with: steps of a run, opening files, rows that a range does not want, unions.

python benchmarks/scale.py [--data ../shared/data] [--mb 300]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from plan import MANIFEST, ROOT, job_of
from sample_text import markdown, publish, write_reshuffled

import manifests  # noqa: F401  (sets the cache of kernels before Numba is imported)
from curation.kernels.clusters import unite_pairs
from curation.pipeline import curate
from curation.plan_watch import StepWatch
from manifests.store import Folder, KeyRange

N_NODES, N_PAIRS = 200_000_000, 20_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--mb", type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_reshuffled(args.data, args.mb * 10**6, Path(folder) / "in")
        manifest = Path(folder) / "m.yaml"
        manifest.write_text(MANIFEST.format(path="in/*.parquet", key=", key: id", dedup="near: {}"))
        job = job_of(str(manifest))
        with StepWatch(Folder(job.output)) as watch:
            record = curate(job, watch)
        run, text_mb, n_rows = Folder(job.output), record.counts["text_bytes"] / 1e6, record.counts["read"]
        rows = [[step, f"{took.seconds:.1f}", f"{text_mb / took.seconds:,.0f}"] for step, took in watch.steps.items()]
        text = f"{text_mb:.0f} MB of text, {n_rows:,} documents, one process.\n\n"
        text += markdown(["step", "seconds", "MB of text/s"], rows)
        most: dict[str, int] = {}
        for took in watch.steps.values():
            for name, size in took.tables.items():
                most[name] = max(most.get(name, 0), size)
        sizes = [[name or "report", f"{size / n_rows:.1f}"] for name, size in sorted(most.items())]
        text += "\n" + markdown(["table", "bytes per document"], sizes)
        text += f"\nOpening a file and looking at its footer: {open_s(run) * 1e3:.2f} ms.\n"
        text += f"A row of signatures that a range does not want: {unwanted_s(run, n_rows) * 1e6:.2f} us.\n"
    text += f"A union of two of {N_NODES:,} nodes: {union_s() * 1e9:.0f} ns.\n"
    publish("scale", text)


def open_s(run: Folder) -> float:
    """Seconds of a file of which no row is wanted."""
    names = [run.url(f"signatures/{name}") for name in (run / "signatures").names(".parquet")] * 200
    started = time.perf_counter()
    frame = pl.scan_parquet(names, glob=False).filter(pl.col("text_digest") < "0")
    frame.select("band_00").collect(engine="streaming")
    return (time.perf_counter() - started) / len(names)


def unwanted_s(run: Folder, n_rows: int) -> float:
    """Processor seconds per row, where a range is a small part of each file."""
    columns = ["text_digest", *(f"band_{k:02d}" for k in range(14))]
    started = time.process_time()
    for _ in range(5):
        (run / "signatures").read_range("text_digest", KeyRange(4000, 8192), columns)
    return (time.process_time() - started) / 5 / n_rows


def union_s() -> float:
    """Seconds per pair of random nodes."""
    rng = np.random.default_rng(0)
    parents = np.arange(N_NODES, dtype=np.uint32)
    left, right = rng.integers(0, N_NODES, (2, N_PAIRS))
    unite_pairs(parents[:1], left[:0], right[:0])
    started = time.perf_counter()
    unite_pairs(parents, left, right)
    return (time.perf_counter() - started) / N_PAIRS


if __name__ == "__main__":
    main()
