"""Clustering of synthetic signatures: time per million and peak memory as their number grows.

Signatures are laid out as a measured run leaves them (`signatures`, `keys`), a part per million texts, 14 bands.
Three texts in ten belong to clusters whose sizes follow a power law (2 to 1,000), each member sharing every band with
its cluster with the probability .8^8 that 8 rows of a pair of similarity .8 agree; the rest share nothing. Nothing is
compared by text, since there is none; how many texts were drawn into clusters stands beside how many were found.

    python benchmarks/clusters.py --millions 1 5 20
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from curation.dedup.near import find_clusters
from curation.dedup.signatures import Banding
from manifests.engine import PeakMemory
from manifests.schema import NearDedup
from manifests.store import Folder, to_arrow

RESULT = Path(__file__).parent / "results" / "clusters.md"
TEXTS_PER_PART = 1_000_000
CLUSTERED_FRAC, SHARES_BAND = 0.3, 0.8**8


def lay_out(run: Folder, n_texts: int, banding: Banding, seed: int = 0) -> int:
    """Write signatures and keys of n texts; returns how many of them have a band in common with another."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(2 / rng.random(n_texts // 8) ** 0.7, 1000).astype(np.int64)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), CLUSTERED_FRAC * n_texts)]
    cluster = np.full(n_texts, -1, np.int64)
    cluster[: sizes.sum()] = np.repeat(np.arange(len(sizes)), sizes)
    cluster = rng.permutation(cluster)
    for number, start in enumerate(range(0, n_texts, TEXTS_PER_PART)):
        part = cluster[start : start + TEXTS_PER_PART]
        digests = [f"{value:032x}" for value in _digests(rng, len(part))]
        columns: dict[str, object] = {"text_digest": digests, "n_shingles": np.full(len(part), 100, np.int32)}
        for k, band in enumerate(banding.band_names):
            of_cluster = (part.astype(np.uint64) * np.uint64(64) + np.uint64(k)) * np.uint64(0x9E3779B97F4A7C15)
            own = rng.integers(0, 2**63, len(part), dtype=np.uint64) | np.uint64(1 << 63)
            shares = (part >= 0) & (rng.random(len(part)) < SHARES_BAND)
            columns[band] = np.where(shares, of_cluster, own)
        sketch = np.zeros((len(part), banding.n_bands * banding.n_rows), np.uint8)
        columns["sketch"] = pl.Series([b""] * 0, dtype=pl.Binary).extend_constant(sketch[0].tobytes(), len(part))
        frame = pl.DataFrame(columns).sort("text_digest")
        extra = {"fingerprint": banding.fingerprint}
        name = f"{number:05d}.parquet"
        with (run / "signatures").table_writer(name, banding.schema, "signatures", extra) as writer:
            writer.write(to_arrow(frame, banding.schema), 1 << 16)
        keys = frame.select("text_digest", id="text_digest", row_hash=pl.lit(bytes(16))).to_arrow(
            compat_level=pl.CompatLevel.oldest()
        )
        with (run / "keys").table_writer(name, keys.schema, "keys") as writer:
            writer.write(keys, 1 << 16)
        (run / "measured").fs.makedirs((run / "measured").root, exist_ok=True)
        (run / "measured").write_bytes(name, b"")  # only its name is asked for
    return int((cluster >= 0).sum())


def _digests(rng: np.random.Generator, n: int) -> list[int]:
    high, low = rng.integers(0, 2**64, (2, n), dtype=np.uint64).tolist()
    return [(a << 64) + b for a, b in zip(high, low, strict=True)]


def one(millions: int) -> dict[str, float]:
    """Seconds, peak memory and findings for so many texts; run in a process of its own."""
    near = NearDedup(verify=False)
    with tempfile.TemporaryDirectory() as folder:
        run, n_texts = Folder(folder), millions * 1_000_000
        n_clustered = lay_out(run, n_texts, Banding.of(near))
        steps: dict[str, float] = {}
        started = last = time.perf_counter()
        processor = time.process_time()

        def watch(step: str, done: int, total: int) -> None:
            nonlocal last
            now = time.perf_counter()
            steps[step] = steps.get(step, 0) + now - last
            last = now

        with PeakMemory() as memory:
            found = find_clusters(run, near, n_texts, progress=watch)
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
    print({step: round(value, 1) for step, value in steps.items()}, file=sys.stderr)
    return {
        "millions": millions,
        "seconds": seconds,
        "processor_s": processor,
        "peak_gb": memory.peak_bytes / 1e9,
        "n_clustered": n_clustered,
        "n_texts": found.n_texts,
        "n_clusters": found.n_clusters,
        "n_pairs": found.n_pairs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--once", type=int)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(one(arguments.once)))
        return
    lines = [
        "| million texts | seconds | seconds per million | processor s per million | peak GB | pairs, all bands "
        "| in clusters drawn | found |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for millions in arguments.millions:
        command = [sys.executable, __file__, "--once", str(millions)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        lines.append(
            f"| {millions} | {row['seconds']:.0f} | {row['seconds'] / millions:.1f} "
            f"| {row['processor_s'] / millions:.1f} | {row['peak_gb']:.2f} "
            f"| {row['n_pairs']:,} | {row['n_clustered']:,} | {row['n_texts']:,} |"
        )
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
