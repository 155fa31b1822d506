"""Clustering of synthetic embeddings: pairs found, seconds and peak memory by how many clusters a text visits.

Embeddings are laid out as a measured run leaves them (`embeddings`, `keys`), a part per 20,000 texts. They are drawn
in few intrinsic dimensions around topics of very different sizes that overlap; one text in ten has a twin at a cosine
between .95 and 1. What a run finds is compared with all pairs at .95 or more (brute force), as the share of them that
end in one group. Seconds are those of the processor, so that others on the machine do not count.

    python benchmarks/semantic.py --texts 100000
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from curation.dedup.centroids import Vectors, normalized
from curation.dedup.embeddings import Encoder
from curation.dedup.semantic import find_clusters
from manifests.engine import PeakMemory
from manifests.schema import SemanticDedup
from manifests.store import Folder, to_arrow

RESULT = Path(__file__).parent / "results" / "semantic.md"
TEXTS_PER_PART, N_DIMS, N_INTRINSIC, N_TOPICS, COSINE = 20_000, 384, 24, 2_000, 0.95


def make_vectors(n: int, rng: np.random.Generator) -> Vectors:
    """Embeddings around topics (a power law of sizes), a tenth of them with a twin."""
    sizes = rng.pareto(1.0, N_TOPICS) + 0.1
    topics = normalized(rng.normal(size=(N_TOPICS, N_INTRINSIC)))
    drawn = topics[rng.choice(N_TOPICS, n, p=sizes / sizes.sum())]
    inner = drawn + 0.9 * normalized(rng.normal(size=(n, N_INTRINSIC)))
    vectors = normalized(inner @ rng.normal(size=(N_INTRINSIC, N_DIMS)))
    twins = rng.permutation(n)[: n // 10 * 2].reshape(2, -1)
    angles = np.arccos(rng.uniform(COSINE, 1, (len(twins[0]), 1)))
    apart = normalized(rng.normal(size=(len(twins[0]), N_DIMS)))
    vectors[twins[1]] = normalized(np.cos(angles) * vectors[twins[0]] + np.sin(angles) * apart)
    return normalized(vectors.astype(np.float16))


def lay_out(run: Folder, vectors: Vectors, encoder: Encoder, digests: list[str]) -> None:
    """Write the tables of a run whose texts are embedded already."""
    rows = pl.DataFrame({"text_digest": digests, "embedding": vectors.astype(np.float16)})
    for number, part in enumerate(rows.iter_slices(TEXTS_PER_PART)):
        name, part = f"{number:05d}.parquet", part.sort("text_digest")
        extra = {"fingerprint": encoder.fingerprint}
        with (run / "embeddings").table_writer(name, encoder.schema, "embeddings", extra) as writer:
            writer.write(to_arrow(part, encoder.schema), 1 << 16)
        keys = part.select("text_digest", id="text_digest", row_hash=pl.lit(bytes(16)))
        table = keys.to_arrow(compat_level=pl.CompatLevel.oldest())
        for folder in ("keys", "measured"):
            with (run / folder).table_writer(name, table.schema, folder) as writer:
                writer.write(table)


def brute_force(vectors: Vectors) -> Iterator[tuple[int, int]]:
    """All pairs that are similar enough."""
    for start in range(0, len(vectors), 500):
        left, right = np.nonzero(vectors[start : start + 500] @ vectors[start:].T >= COSINE)
        yield from zip((left + start)[left < right].tolist(), (right + start)[left < right].tolist(), strict=True)


def measure(run: Folder, settings: SemanticDedup, n: int) -> tuple[float, float, dict[str, str]]:
    """(seconds, peak GiB, clusters by digest) of one run, in a process of its own."""
    with PeakMemory() as memory:
        started = time.process_time()
        find_clusters(run, settings, n)
        seconds = time.process_time() - started
    found = (run / "semantic").scan().select("id", "semantic_cluster").collect()
    return seconds, memory.peak_bytes / 2**30, dict(found.iter_rows())


def main(n: int) -> None:
    rng = np.random.default_rng(0)
    vectors = make_vectors(n, rng)
    digests = [rng.bytes(16).hex() for _ in range(n)]
    started = time.process_time()
    pairs = list(brute_force(vectors))
    brute_s = time.process_time() - started
    lines = ["| clusters | visited | seconds | peak GiB | pairs found |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        model.mkdir()
        (model / "config.json").write_text(json.dumps({"hidden_size": N_DIMS}))
        (model / "model.safetensors").touch()
        run = Folder(f"{folder}/run")
        lay_out(run, vectors, Encoder.of(SemanticDedup(model=str(model))), digests)
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            for clusters, n_probe in (("auto", 1), ("auto", 2), ("auto", 4), (100, 1), (100, 4), (100, 16)):
                settings = SemanticDedup(model=str(model), cosine=COSINE, clusters=clusters, n_probe=n_probe)
                seconds, peak_gib, group = pool.apply(measure, (run, settings, n))
                together = sum(group.get(digests[a], a) == group.get(digests[b], b) for a, b in pairs)
                lines.append(
                    f"| {clusters} | {n_probe} | {seconds:.1f} | {peak_gib:.2f} | {together / len(pairs):.4f} |"
                )
                print(lines[-1], flush=True)
    head = (
        f"{n:,} embeddings of {N_DIMS} dimensions ({N_INTRINSIC} intrinsic), {len(pairs):,} pairs at {COSINE} or "
        f"more; all pairs by brute force took {brute_s:.0f} s. Seconds of one core."
    )
    RESULT.write_text(f"# Semantic duplicates\n\n{head}\n\n" + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000)
    main(parser.parse_args().texts)
