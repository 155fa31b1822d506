"""Do the English rulesets decide as datatrove's filters do, given the same words? Filter by filter.

python benchmarks/parity.py --data ../shared/data

datatrove's own filters are the oracle (tests/curation/datatrove_oracle.py), with `str.split()` for words and our
sentence splitter for C4's sentences. Every number that they compare with a threshold is compared too. Exits 1 where a
verdict differs on more than 0.1% of the documents, or a number by more than 1e-9.
"""

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
from sample_text import markdown, publish

from curation.signals import measure_signals
from tests.curation.datatrove_oracle import REASONS, Datatrove, differing_numbers, our_reasons, whitespace_datatrove

AGREEMENT_MIN = 0.999
WORDS_MIN = 50


@dataclass
class Agreement:
    """Counts of one filter on one set of documents."""

    n_docs: int = 0
    n_kept: int = 0
    n_verdicts: int = 0
    n_reasons: int = 0
    differing: list[str] = field(default_factory=list)

    def add(self, document: str, ours: str | None, theirs: str | None) -> None:
        """Counts one document, given both reasons (None where kept)."""
        self.n_docs += 1
        self.n_kept += theirs is None
        self.n_verdicts += (ours is None) == (theirs is None)
        self.n_reasons += ours == theirs
        if ours != theirs:
            self.differing.append(f"{document}: {ours or 'kept'} here, {theirs or 'kept'} in datatrove")

    def row(self, name: str, documents: str) -> list[str]:
        """A row of the table."""
        counts = [f"{n:,}" for n in (self.n_docs, self.n_kept, self.n_verdicts, self.n_reasons)]
        return [name, documents, *counts, f"{self.n_verdicts / self.n_docs:.4%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--per-file", type=int, default=10**9, help="at most so many documents of each file")
    options = parser.parse_args()
    every: dict[str, Agreement] = defaultdict(Agreement)
    long: dict[str, Agreement] = defaultdict(Agreement)
    numbers: list[str] = []
    n_numbers = 0
    with whitespace_datatrove() as datatrove:
        for path in sorted((options.data / "text").glob("*.parquet")):
            rows = pl.scan_parquet(path).filter(pl.col("lang") == "en").select("id", "text").head(options.per_file)
            for batch in rows.collect().iter_slices(1000):
                n_numbers += compare(datatrove, batch, every, long, numbers)
            print(path.name, every["c4"].n_docs, "documents so far", file=sys.stderr)
    publish("parity", report(every, long, numbers, n_numbers))
    verdicts = [*every.values(), *long.values()]
    sys.exit(bool(numbers) or any(one.n_verdicts < AGREEMENT_MIN * one.n_docs for one in verdicts))


def compare(
    datatrove: Datatrove,
    batch: pl.DataFrame,
    every: dict[str, Agreement],
    long: dict[str, Agreement],
    numbers: list[str],
) -> int:
    """Adds one batch of documents to the counts; returns how many numbers were compared."""
    texts = batch["text"].to_list()
    measured = measure_signals(pa.array(texts, pa.large_string())).to_pylist()
    reasons = our_reasons(texts)
    n_numbers = 0
    for i, (name, text) in enumerate(batch.iter_rows()):
        expected = datatrove.numbers(text)
        n_numbers += len(expected)
        numbers += [f"{name}: {line}" for line in differing_numbers(expected, measured[i])]
        for filter_name in REASONS:
            theirs = datatrove.reason(filter_name, text)
            every[filter_name].add(name, reasons[filter_name][i], theirs)
            if measured[i]["word_count"] >= WORDS_MIN:
                long[filter_name].add(name, reasons[filter_name][i], theirs)
    return n_numbers


def report(every: dict[str, Agreement], long: dict[str, Agreement], numbers: list[str], n_numbers: int) -> str:
    header = ["datatrove filter", "documents", "n", "kept by datatrove", "same verdict", "same reason", "agreement"]
    rows = [every[name].row(name, "all English") for name in every]
    rows += [long[name].row(name, f"of at least {WORDS_MIN} words") for name in long]
    differing = [f"- {name}: {line}" for name, one in every.items() for line in one.differing]
    return "\n".join(
        [
            "# The English rulesets beside datatrove 0.10.1, on whitespace words\n",
            markdown(header, rows),
            f"{n_numbers:,} numbers that decide were compared; {len(numbers):,} differ by more than 1e-9.\n",
            f"Documents with another verdict or reason: {len(differing)}\n",
            *differing,
            *(f"- {line}" for line in numbers),
        ]
    )


if __name__ == "__main__":
    main()
