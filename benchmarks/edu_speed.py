"""How fast the shipped `edu` model scores text on one core, with the language given and with it identified.

    python benchmarks/edu_speed.py [--data ../shared/data] [--write]

MB of whole text per second of processor time; the first 1,500 documents of each file of data/text by id.
"""

import argparse
import os
import time
from pathlib import Path

import polars as pl
import pyarrow as pa

from classifiers.scorer import SHIPPED, Scorer

OUT = Path(__file__).parent / "results" / "edu_speed.md"
N_DOCS = 1_500


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--write", action="store_true", help=f"write {OUT}")
    options = arguments.parse_args()
    os.sched_setaffinity(0, {0})
    scorer, total = Scorer(SHIPPED / "edu"), [0.0, 0.0, 0.0]
    lines = ["| file | bytes a document | MB/s, language given | MB/s, language identified |", "|---|---|---|---|"]
    for path in sorted((options.data / "text").glob("*.parquet")):
        rows = pl.read_parquet(path).sort("id").head(N_DOCS)
        texts = pa.array(rows["text"].to_list(), pa.large_string())
        found = measure(scorer, texts, pa.array(rows["lang"].to_list(), pa.string()))
        total = [left + right for left, right in zip(total, found, strict=True)]
        lines.append(f"| {path.stem} | {found[0] * 1e6 / len(texts):,.0f} | {speeds(found)} |")
    lines.append(f"| **all** | | {speeds(total)} |")
    report = (
        "\n\n".join(["# Speed of the `edu` model", str(__doc__).strip().split("\n\n")[2], "\n".join(lines)]) + "\n"
    )
    print(report)
    if options.write:
        OUT.write_text(report, "utf-8")


def measure(scorer: Scorer, texts: pa.LargeStringArray, languages: pa.Array) -> list[float]:
    """[MB, seconds where the language is given, seconds where it is identified]."""
    scorer.score(texts.slice(0, 3))  # compiles
    start = time.process_time()
    scorer.score(texts, languages)
    between = time.process_time()
    scorer.score(texts)
    return [texts.nbytes / 1e6, between - start, time.process_time() - between]


def speeds(found: list[float]) -> str:
    return f"{found[0] / found[1]:.1f} | {found[0] / found[2]:.1f}"


if __name__ == "__main__":
    main()
