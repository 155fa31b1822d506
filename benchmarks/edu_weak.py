"""Do labels that only a source implies help the `edu` model? Judged windows by sites left out, with N a source added.

    python benchmarks/edu_weak.py [--data ../shared/data]

`data/edu/labelled.parquet` says edu, reference or not_edu of whole sources: 3.3, 1.9 and .2 here, which are about the
means of such sources as judged. A site is held out with all its rows, judged or not.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from edu_data import read_judged, read_unlabelled, site_of

from classifiers.evaluate import metrics
from classifiers.lsa import LsaSettings, train_lsa

VALUES = {"edu": 3.3, "reference": 1.9, "not_edu": 0.2}
N_PER_SOURCE = (0, 40, 150)
CHARS = 1200


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = arguments.parse_args().data
    print("| language | rows a source implies | windows | Spearman | AUC at 3 | F1 at 3 |\n|---|---|---|---|---|---|")
    for language in ("ko", "en"):
        for n in N_PER_SOURCE:
            for line in measured(data, language, n):
                print(line, flush=True)


def measured(data: Path, language: str, n: int) -> list[str]:
    rows, weak = read_judged(data, language), weak_rows(data, language, n)
    mine = np.flatnonzero(rows.may_train)
    texts, sites = rows.texts.take(pa.array(mine)).to_pylist(), rows.sites[mine].tolist()
    weak = weak.filter(~pl.col("text").is_in(texts))
    held_out = train(
        pa.array([*texts, *weak["text"]], pa.large_string()),
        np.concatenate([rows.labels[mine], weak["value"].to_numpy()]),
        [*sites, *map(site_of, weak["source"])],
        read_unlabelled(data, language),
    )[: len(mine)]
    lines = []
    for name, some in (("the 54 sources", ~rows.is_new[mine]), ("new sources", rows.is_new[mine])):
        found = metrics(rows.labels[mine][some], held_out[some], 3.0, 2.5)
        cells = (language, f"{len(weak):,}", name, f"{found.spearman:.3f}", f"{found.auc:.3f}", f"{found.f1:.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def weak_rows(data: Path, language: str, n: int) -> pl.DataFrame:
    rows = pl.read_parquet(data / "edu" / "labelled.parquet").filter(pl.col("lang") == language).sort("id")
    some = rows.group_by("source", maintain_order=True).head(n)
    value = pl.col("label").replace_strict(VALUES, return_dtype=pl.Float64)
    return some.with_columns(text=pl.col("text").str.slice(0, CHARS), value=value)


def train(
    texts: pa.LargeStringArray, labels: np.ndarray, sites: list[str], unlabelled: list[pa.LargeStringArray]
) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        return train_lsa(texts, labels, Path(folder), LsaSettings(), sites, unlabelled).held_out


if __name__ == "__main__":
    main()
