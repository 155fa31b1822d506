"""The loop of `onggi classifier` apart from any judge: does it find, by a quarter of the labels, what all teach?

The annotator knows the labels of `data/edu/labelled.parquet` already, so that the mechanism is measured and not a
judge. A document is positive where its source is educational; reference pages are the hard negatives. A quarter of
the documents, drawn by seed, is gold. The loop starts from 100 labels of which 5 are positive and may have a quarter
of the remaining documents labelled; the control draws as many at random. Recall is that at precision .9 on gold. The
splits are drawn three times.

    python benchmarks/edu_loop.py ../shared/data --write
"""

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from classifiers.loop import by_known_labels, learn
from classifiers.summary import Round
from manifests.engine import Engine
from manifests.schema_classifier import ClassifierManifest

RESULT = Path(__file__).parent / "results" / "edu_loop.md"
SEEDS = (1, 2, 3)
N_SEED_LABELS, N_SEED_POSITIVES = 100, 5
GOLD_FRAC, BUDGET_FRAC = 0.25, 0.25
N_ROUNDS = 14
MODEL = {"kind": "fasttext", "dim": 16, "epoch": 60, "lr": 0.5, "bucket": 50_000}
COLUMNS = {"id": "id", "source": "source", "language": "lang"}
VALUES = {"edu": 1.0, "reference": 0.0, "not_edu": 0.0}


def split(data: Path, folder: Path, seed: int) -> int:
    """Write gold, pool and seeds; returns the documents in the pool."""
    rows = pl.read_parquet(data / "edu" / "labelled.parquet").unique("text", keep="first", maintain_order=True)
    rows = rows[np.random.default_rng(seed).permutation(len(rows))]
    n_gold = round(GOLD_FRAC * len(rows))
    gold, pool = rows[:n_gold], rows[n_gold:]
    positive = pool.filter(pl.col("label") == "edu").head(N_SEED_POSITIVES)
    negative = pool.filter(pl.col("label") != "edu").head(N_SEED_LABELS - N_SEED_POSITIVES)
    for name, frame in (("gold", gold), ("pool", pool), ("seeds", pl.concat([positive, negative]))):
        frame.write_parquet(folder / f"{name}.parquet")
    return len(pool)


def rounds(folder: Path, name: str, per_round: int, shares: dict[str, float] | None) -> list[Round]:
    """The rounds of one arm; without shares all of the pool is labelled at once."""
    labelled = {name: {"path": f"{name}.parquet", "label": "label", "values": VALUES, **COLUMNS} for name in FILES}
    asked: dict[str, Any] = {
        "kind": "classifier",
        "name": "edu",
        "seeds": [labelled["seeds" if shares else "pool"]],
        "gold": [labelled["gold"]],
        "documents": [{"path": "pool.parquet", **COLUMNS}] if shares else [],
        "known_labels": labelled["pool"],
        "positive_from": 1,
        "model": MODEL,
        "candidates": {"per_round": per_round, **(shares or {})},
        "stop": {"rounds": N_ROUNDS, "patience": N_ROUNDS},
        "output": name,
    }
    manifest = ClassifierManifest.model_validate(asked)
    (folder / name).mkdir()
    annotate = by_known_labels(manifest, str(folder))
    return learn(manifest, str(folder), folder / name, Engine(), annotate).rounds


FILES = ("seeds", "gold", "pool")
ARMS: dict[str, dict[str, float] | None] = {
    "all labels": None,
    "loop": {"top": 0.1, "uncertain": 0.8, "random": 0.1},
    "random": {"top": 0.0, "uncertain": 0.0, "random": 1.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the development corpora")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    args = parser.parse_args()
    found: dict[str, list[list[Round]]] = {name: [] for name in ARMS}
    n_pool = 0
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            n_pool = split(args.data, Path(folder), seed)
            per_round = int((BUDGET_FRAC * n_pool - N_SEED_LABELS) / N_ROUNDS)
            for name, shares in ARMS.items():
                started = time.process_time()
                found[name].append(rounds(Path(folder), name.replace(" ", "-"), per_round, shares))
                last = found[name][-1][-1]
                print(f"seed {seed}, {name}: {last.headline}; {time.process_time() - started:.0f} s", flush=True)
    text = page(found, n_pool)
    print(text)
    if args.write:
        RESULT.write_text(text)


def page(found: dict[str, list[list[Round]]], n_pool: int) -> str:
    lines = ["# The loop, with an annotator that knows the labels", ""]
    lines += [
        f"Recall at precision .9 on gold, splits {', '.join(map(str, SEEDS))}; {n_pool:,} documents to label.",
        "",
    ]
    lines += [
        "| labels | " + " | ".join(f"{arm}, split {seed}" for arm in ("loop", "random") for seed in SEEDS) + " |"
    ]
    lines += ["|---" * (1 + 2 * len(SEEDS)) + "|"]
    for number in range(N_ROUNDS + 1):
        cells = [arm[number].recall_at_precision for name in ("loop", "random") for arm in found[name]]
        lines.append(
            f"| {found['loop'][0][number].n_labels:,} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |"
        )
    whole = [arm[0] for arm in found["all labels"]]
    cells = [f"**{arm.recall_at_precision:.3f}**" for arm in whole]
    lines.append(f"| all {whole[0].n_labels:,} | " + " | ".join(cells * 2) + " |")
    lines += [
        "",
        "| | best recall within a quarter of the labels, mean | of all labels | rounds in which recall rose |",
    ]
    lines += ["|---|---|---|---|"]
    for name in ("loop", "random"):
        best = [max(part.recall_at_precision for part in arm) for arm in found[name]]
        rose = [sum(a.recall_at_precision < b.recall_at_precision for a, b in pairwise(arm)) for arm in found[name]]
        all_labels = np.mean([arm.recall_at_precision for arm in whole])
        lines.append(
            f"| {name} | {np.mean(best):.3f} | {all_labels:.3f} | {', '.join(map(str, rose))} of {N_ROUNDS} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
