"""Whether the ids of real tokenizers are their library's, and how fast each engine is, on all of `data/text`.

    python benchmarks/tokenizers_real.py NAME=PATH[,EOD] ... [--mb 200] [--write]

A tokenizer is a folder with a tokenizer.json, a SentencePiece model or ranks. Documents of both languages are encoded
on one core: by Gigatoken in a fresh state (its first pass over these words, without loading), again with what it then
remembers, and by the tokenizer's library. All ids are compared. Loading ends with the ids of one text.
"""

import argparse
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from sample_text import SEED, markdown, publish, texts_of

from curation.tokens.engines import Ids, Offsets, text_bytes
from curation.tokens.files import read_tokenizer_file
from curation.tokens.tokenizer import Tokenizer, make_tokenizer

ROOT = Path(__file__).resolve().parent.parent
TEXTS_AT_ONCE = 4096


@dataclass(frozen=True)
class Measured:
    """One engine on all texts; seconds."""

    load: float
    first: float
    again: float
    ids: Ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizers", nargs="+", metavar="NAME=PATH[,EOD]")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.sched_setaffinity(0, {options.core})
    texts = read_texts(options.data, options.mb)
    rows = [row for named in options.tokenizers for row in rows_of(named, texts)]
    header = ["tokenizer", "engine", "loads in s", "MB/s, first pass", "MB/s, again", "tokens", "ids equal"]
    report = "\n".join(
        [
            "# Real tokenizers, one core\n",
            f"Made by `benchmarks/tokenizers_real.py`: {len(texts):,} documents, {text_bytes(texts) / 1e6:.0f} MB of "
            "text, Korean and English. Processor time.\n",
            markdown(header, rows),
        ]
    )
    if options.write:
        publish("tokenizers", report)
    else:
        print(report)


def read_texts(data: Path, size_mb: float) -> pa.LargeStringArray:
    """Whole documents of both languages, shuffled by seed."""
    documents = [text for language in ("ko", "en") for _, text in texts_of(data, language)]
    random.Random(SEED).shuffle(documents)
    sizes = np.cumsum([len(text.encode()) for text in documents])
    return pa.array(documents[: int(np.searchsorted(sizes, size_mb * 1e6)) + 1], pa.large_string())


def rows_of(named: str, texts: pa.LargeStringArray) -> list[list[str]]:
    name, _, rest = named.partition("=")
    path, _, eod = rest.partition(",")
    fast, slow = (measured(path, eod or None, engine, texts) for engine in ("gigatoken", "library"))
    equal = "all" if np.array_equal(fast.ids, slow.ids) else "no"
    size_mb = text_bytes(texts) / 1e6
    return [
        [
            name,
            engine,
            f"{of.load:.2f}",
            f"{size_mb / of.first:.1f}",
            f"{size_mb / of.again:.1f}",
            f"{len(of.ids):,}",
            equal,
        ]
        for engine, of in (("Gigatoken", fast), ("library", slow))
    ]


def measured(path: str, eod: str | None, engine: str, texts: pa.LargeStringArray) -> Measured:
    start = time.process_time()
    tokenizer = make_tokenizer(read_tokenizer_file(Path(path), None), engine, None, eod)
    tokenizer.encode(texts[:1])
    load = time.process_time() - start
    first, (ids, _) = timed(tokenizer, texts)
    again = timed(tokenizer, texts)[0] if engine == "gigatoken" else first
    return Measured(load, first, again, ids)


def timed(tokenizer: Tokenizer, texts: pa.LargeStringArray) -> tuple[float, tuple[Ids, Offsets]]:
    start = time.process_time()
    parts = [tokenizer.encode(texts[at : at + TEXTS_AT_ONCE]) for at in range(0, len(texts), TEXTS_AT_ONCE)]
    seconds = time.process_time() - start
    return seconds, (np.concatenate([ids for ids, _ in parts]), np.concatenate([bounds for _, bounds in parts]))


if __name__ == "__main__":
    main()
