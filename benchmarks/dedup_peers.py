"""One peer's near-deduplication of a Parquet file, in the peers' own environment; called by benchmarks/dedup.py.

    python dedup_peers.py rensa|datasketch|text-dedup|datatrove INPUT OUTPUT

INPUT has a column `text`; OUTPUT becomes JSON: CPU seconds (children included, imports not) and a label per row,
equal for rows that the tool puts into one cluster. All use 14 bands of 8 rows over word 5-grams.
"""

import json
import re
import resource
import struct
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

BANDS, ROWS, NGRAM = 14, 8, 5
WORD = re.compile(r"\w+")


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def shingles(text: str) -> list[str]:
    words = WORD.findall(text.lower())
    return [" ".join(words[k : k + NGRAM]) for k in range(max(1, len(words) - NGRAM + 1))] if words else []


class UnionFind:
    """Clusters of pairs."""

    def __init__(self, n: int) -> None:
        self.parent = list(range(n))

    def find(self, node: int) -> int:
        """The root of a node."""
        while self.parent[node] != node:
            self.parent[node] = self.parent[self.parent[node]]
            node = self.parent[node]
        return node

    def unite(self, a: int, b: int) -> None:
        """Join two clusters."""
        a, b = sorted((self.find(a), self.find(b)))
        self.parent[b] = a

    def labels(self) -> list[int]:
        """The root of every node."""
        return [self.find(node) for node in range(len(self.parent))]


def rensa(path: Path) -> tuple[float, list[int]]:
    from rensa import RMinHash, RMinHashLSH

    started = cpu_seconds()
    texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
    lsh = RMinHashLSH(threshold=0.8, num_perm=BANDS * ROWS, num_bands=BANDS)
    found = UnionFind(len(texts))
    for at in range(0, len(texts), 10_000):
        sets = [shingles(text) for text in texts[at : at + 10_000]]
        for k, minhash in enumerate(RMinHash.from_token_sets(sets, num_perm=BANDS * ROWS, seed=42)):
            if sets[k]:
                for other in lsh.query(minhash):
                    found.unite(other, at + k)
                lsh.insert(at + k, minhash)
    return cpu_seconds() - started, found.labels()


def datasketch(path: Path) -> tuple[float, list[int]]:
    from datasketch import MinHash, MinHashLSH

    started = cpu_seconds()
    texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
    lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    found = UnionFind(len(texts))
    for k, text in enumerate(texts):
        if grams := shingles(text):
            minhash = MinHash(num_perm=BANDS * ROWS)
            minhash.update_batch([gram.encode() for gram in set(grams)])
            for other in lsh.query(minhash):
                found.unite(other, k)
            lsh.insert(k, minhash, check_duplication=False)
    return cpu_seconds() - started, found.labels()


def text_dedup(path: Path) -> tuple[float, list[int]]:
    from text_dedup import minhash

    with tempfile.TemporaryDirectory() as folder:
        options = f"--path parquet --data_files {path} --split train --cache_dir {folder}/cache --output {folder}/out"
        options += f" --column text --num_perm {BANDS * ROWS} --b {BANDS} --r {ROWS} --ngram {NGRAM} --min_length 1"
        started = cpu_seconds()
        minhash.main([*options.split(), "--num_proc", "1", "--batch_size", "10000"], standalone_mode=False)
        seconds = cpu_seconds() - started
    return seconds, [minhash.uf.find(k) for k in range(pq.read_metadata(path).num_rows)]


def datatrove(path: Path) -> tuple[float, list[int]]:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import ParquetReader

    config = MinhashConfig(num_buckets=BANDS, hashes_per_bucket=ROWS, n_grams=NGRAM)
    with tempfile.TemporaryDirectory() as folder:
        reader = ParquetReader(str(path.parent), glob_pattern=path.name)
        stages = [
            ([reader, MinhashDedupSignature(f"{folder}/sig", config=config)], 1),
            ([MinhashDedupBuckets(f"{folder}/sig", f"{folder}/buckets", config=config)], BANDS),
            ([MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config, save_cluster_id=True)], 1),
        ]
        started = cpu_seconds()
        for number, (stage, tasks) in enumerate(stages):
            LocalPipelineExecutor(stage, tasks=tasks, workers=1, logging_dir=f"{folder}/log{number}").run()
        seconds = cpu_seconds() - started
        pairs = UnionFind(pq.read_metadata(path).num_rows)
        for name in Path(folder, "buckets").glob("*.dups"):
            for first, one, second, other in struct.iter_unpack("<4I", name.read_bytes()):
                if first == second == 0:
                    pairs.unite(one, other)
    return seconds, pairs.labels()


TOOLS = {"rensa": rensa, "datasketch": datasketch, "text-dedup": text_dedup, "datatrove": datatrove}


if __name__ == "__main__":
    tool, source, output = sys.argv[1:]
    seconds, labels = TOOLS[tool](Path(source))
    Path(output).write_text(json.dumps({"seconds": seconds, "labels": labels}))
