"""Whole near-deduplication beside datatrove, datasketch, rensa and text-dedup: CPU seconds, recall and precision.

Each tool takes a Parquet file of texts to clusters, one process, 14 bands of 8 rows. Time is that of data/text;
recall and precision are those on data/neardup/pairs.parquet: a pair counts as found where both texts end in one
cluster. Onggi is timed from measured parts (Parquet of normalised texts) to clusters that were compared exactly, once
with word 5-grams throughout, once with character 5-grams for Korean.

    python benchmarks/dedup.py --peers /path/to/python --datatrove /path/to/python [--data ../shared/data]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

import manifests  # noqa: F401  (sets the cache of kernels before Numba is imported)

RESULT = Path(__file__).parent / "results" / "dedup.md"
JACCARD_MIN = 0.8
MANIFEST = """
kind: corpus
name: dedup
inputs: [{{source: s, path: {path}, key: key}}]
output: {output}
"""


def onggi(path: Path, korean: str) -> tuple[float, list[int]]:
    """CPU seconds from measured parts to clusters, and a label per row."""
    from benchmarks.dedup_peers import cpu_seconds
    from curation.dedup.near import find_clusters
    from curation.pipeline import curate, prepare
    from manifests.load import parse_manifest
    from manifests.schema import NearDedup, Shingle
    from manifests.store import Folder

    with tempfile.TemporaryDirectory() as folder:
        job = prepare(parse_manifest(MANIFEST.format(path=path, output=f"{folder}/out"), "dedup"), folder)
        n_rows = curate(job).counts["read"]
        run, near = Folder(job.output), NearDedup(shingle=Shingle(ko=korean))
        find_clusters(warm(folder), near, 2)
        started = cpu_seconds()
        find_clusters(run, near, n_rows)
        seconds = cpu_seconds() - started
        rows = (run / "measured").scan().select("id", pl.col("key").cast(pl.Int64)).sort("key").collect()
        clusters = (run / "near").scan().select("id", "near_cluster").collect()
        named = rows.join(clusters, on="id", how="left").with_columns(pl.col("near_cluster").fill_null(pl.col("id")))
        return seconds, named["near_cluster"].rank("dense").cast(pl.Int64).to_list()


def warm(folder: str):
    """A run of two texts, so that kernels are loaded."""
    from curation.pipeline import curate, prepare
    from manifests.load import parse_manifest
    from manifests.store import Folder

    texts = ["옹기는 숨을 쉬는 그릇이다. " * 9, "옹기는 숨을 쉬는 그릇이다. " * 9 + "끝"]
    pl.DataFrame({"key": ["0", "1"], "text": texts}).write_parquet(f"{folder}/warm.parquet")
    text = MANIFEST.format(path=f"{folder}/warm.parquet", output=f"{folder}/warm")
    job = prepare(parse_manifest(text, "warm"), folder)
    curate(job)
    return Folder(job.output)


def inputs(data: Path, folder: Path) -> tuple[Path, Path, pl.DataFrame]:
    """(all texts, texts of the pairs: first all left ones, then all right ones, the pairs)."""
    texts = pl.concat([pl.read_parquet(path, columns=["text"]) for path in sorted((data / "text").glob("*.parquet"))])
    pairs = pl.read_parquet(data / "neardup/pairs.parquet")
    both = pl.concat([pairs.select(text="text_a"), pairs.select(text="text_b")])
    for name, frame in (("texts", texts), ("pairs", both)):
        frame.with_row_index("key").with_columns(pl.col("key").cast(pl.String)).write_parquet(
            folder / f"{name}.parquet"
        )
    return folder / "texts.parquet", folder / "pairs.parquet", pairs


def run(command: list[str], tool: str, path: Path, folder: Path) -> dict[str, object]:
    output = folder / "answer.json"
    env = os.environ | {
        "POLARS_MAX_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "RAYON_NUM_THREADS": "1",
    }
    subprocess.run([*command, tool, str(path), str(output)], check=True, env=env, capture_output=True)
    answer: dict[str, object] = json.loads(output.read_text())
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--peers", default="", help="a python with rensa, text-dedup and datasketch")
    parser.add_argument("--datatrove", default="", help="a python with datatrove[io] and spacy")
    parser.add_argument("--only", nargs="+")
    parser.add_argument("own", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.own:
        korean, path, output = arguments.own
        seconds, labels = onggi(Path(path), korean)
        Path(output).write_text(json.dumps({"seconds": seconds, "labels": labels}))
        return
    peers = str(Path(__file__).parent / "dedup_peers.py")
    tools = {
        "Onggi, word-5": ([sys.executable, __file__], "word-5"),
        "Onggi, char-5 for Korean": ([sys.executable, __file__], "char-5"),
        **{name: ([arguments.peers, peers], name) for name in ("rensa", "datasketch", "text-dedup")},
        "datatrove": ([arguments.datatrove, peers], "datatrove"),
    }
    lines = [
        "| tool | CPU s | MB/s | times the fastest peer's | recall en | recall ko | precision en | precision ko |",
        "|---|---|---|---|---|---|---|---|",
    ]
    found: dict[str, tuple[float, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        texts, both, pairs = inputs(arguments.data, Path(name))
        size_mb = pl.scan_parquet(texts).select(pl.col("text").str.len_bytes().sum()).collect().item() / 1e6
        for tool, (command, argument) in tools.items():
            if arguments.only and tool not in arguments.only:
                continue
            labels = np.array(run(command, argument, both, Path(name))["labels"])
            seconds = float(run(command, argument, texts, Path(name))["seconds"])  # type: ignore[arg-type]
            found[tool] = seconds, quality(pairs, labels[: len(pairs)] == labels[len(pairs) :])
            print(tool, seconds, found[tool][1], flush=True)
    fastest = min(
        (seconds for tool, (seconds, _) in found.items() if not tool.startswith("Onggi")), default=float("nan")
    )
    for tool, (seconds, values) in found.items():
        ratio = f"{fastest / seconds:.1f}"
        cells = " | ".join(f"{value:.4f}" for value in values)
        lines.append(f"| {tool} | {seconds:.1f} | {size_mb / seconds:.1f} | {ratio} | {cells} |")
    truth = (
        "Similar means a Jaccard of .8 in words, which character 5-grams exceed by design: see neardup.md for theirs."
    )
    report = f"{size_mb:.0f} MB of text. {truth}\n\n" + "\n".join(lines)
    print(report)
    if not arguments.only:
        RESULT.write_text(report + "\n")


def quality(pairs: pl.DataFrame, together: np.ndarray) -> list[float]:
    """Recall in English and Korean of pairs with `jaccard_w5` of .8 or more, then precision."""
    language, similar = pairs["lang"].to_numpy(), pairs["jaccard_w5"].to_numpy() >= JACCARD_MIN
    recall = [together[(language == name) & similar].mean() for name in ("en", "ko")]
    return [
        float(value) for value in [*recall, *(similar[(language == name) & together].mean() for name in ("en", "ko"))]
    ]


if __name__ == "__main__":
    main()
