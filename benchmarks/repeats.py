"""Repeated lines and stretches of `data/text`: time, memory and what goes, beside a suffix array and datatrove.

python benchmarks/repeats.py [--suffix-array FOLDER]

One process. The peers run in the same process afterwards, on the same normalised texts: datatrove's sentence dedup
on lines (its three steps), and a suffix array with its LCP array over all bytes, as ExactSubstr of Lee et al. 2022
builds it, by pydivsufsort where that can be imported (`pip install --target FOLDER --no-deps pydivsufsort`). The
suffix array is also the oracle: both must find the same number of windows that stand in several places.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash
from sample_text import markdown, publish

from classifiers.scripts import text_buffers
from curation.dedup import lines, repeats, spans
from curation.kernels.spans import find_runs, gram_chars, new_ring, new_runs
from curation.normalize import normalize_column
from manifests.engine import PeakMemory
from manifests.schema import Dedup, RepeatedLines, RepeatedSpans
from manifests.store import Folder, KeyRange

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = Dedup(lines=RepeatedLines(), spans=RepeatedSpans())
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("language", pa.string()),
        ("text_digest", pa.string()),
        ("text", pa.large_string()),
    ]
)
ALL = KeyRange()

seconds: dict[str, float] = {}
peak_gib: dict[str, float] = {}


@contextmanager
def measured(step: str) -> Iterator[None]:
    with PeakMemory() as memory:
        started = time.perf_counter()
        yield
        seconds[step] = time.perf_counter() - started
    peak_gib[step] = memory.peak_bytes / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--suffix-array", type=Path, help="folder to import pydivsufsort from")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        run = Folder(name)
        frame = write_measured(run, args.data / "text")
        n_bytes = int(frame["text"].str.len_bytes().sum())
        warm_up(Folder(f"{name}/warm"), frame)
        kernel_rows = time_kernels(frame)
        steps: list[tuple[str, Callable[[], Any]]] = [
            ("lines: hash and count", lambda: lines.find_repeated(run, RepeatedLines())),
            ("stretches: find", lambda: spans.find_repeated(run, RepeatedSpans())),
            ("stretches: choose the first", lambda: choose(run, frame)),
        ]
        for step, work in steps:
            with measured(step):
                work()
        with measured("cut both out of the texts"):
            both = remove(run, frame, "both")
        removed = {"lines": remove(run, frame, "lines"), "stretches": remove(run, frame, "stretches"), "both": both}
        sizes = {
            table: sum((run / table).size_bytes(file) for file in (run / table).names(".parquet")) / n_bytes
            for table in ("line_hashes", "repeated_lines", "fingerprints", "repeated_spans")
        }
        ours = n_repeated_windows(run)
        peers = [*suffix_array(frame, args.suffix_array, ours), *datatrove_lines(run, frame)]
    report = [
        f"{frame.height:,} documents of data/text, {n_bytes / 1e6:.0f} MB in normal form; one process.",
        markdown(["kernel", "MB/s"], kernel_rows),
        markdown(["step", "seconds", "MB/s", "peak GiB"], [row_of(step, n_bytes) for step in seconds]),
        "Tables on disk, of the text's bytes: " + ", ".join(f"{name} {share:.1%}" for name, share in sizes.items()),
        f"Windows of {RepeatedSpans().min_chars} characters that stand in several places: {ours:,}.",
        *peers,
        by_source(frame, removed),
    ]
    publish("repeats", "\n\n".join(report) + "\n")


def write_measured(run: Folder, folder: Path) -> pl.DataFrame:
    """Every file of the folder as a measured part; all of them as one frame, ordered by id."""
    frames = []
    for path in sorted(folder.glob("*.parquet")):
        rows = pl.read_parquet(path, columns=["text", "lang"])
        texts = normalize_column(rows["text"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string()))
        digests = [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts.to_pylist()]
        ids = [
            xxhash.xxh3_128_hexdigest(f"{path.stem} {row} {digest}".encode()) for row, digest in enumerate(digests)
        ]
        frame = pl.DataFrame({"id": ids, "language": rows["lang"], "text_digest": digests, "text": pl.Series(texts)})
        frame = frame.with_columns(source=pl.lit(path.stem)).sort("id")
        note = {"part": '{"has_text": true}'}
        with (run / "measured").table_writer(f"{path.stem}.parquet", SCHEMA, "measured", note) as writer:
            writer.write(frame.select(SCHEMA.names).to_arrow().cast(SCHEMA), row_group_rows=4096)
        frames.append(frame)
    return pl.concat(frames).sort("id").with_columns(copy=pl.lit(0, pl.Int32))


def warm_up(run: Folder, frame: pl.DataFrame) -> None:
    """Compile every kernel."""
    some = frame.filter(pl.col("text").str.len_chars() > 300).head(2)
    twice = pl.concat([some, some.with_columns(text=pl.col("text") + "!", text_digest=pl.col("id"))])
    with (run / "measured").table_writer("a.parquet", SCHEMA, "measured", {"part": '{"has_text": true}'}) as writer:
        writer.write(twice.select(SCHEMA.names).to_arrow().cast(SCHEMA))
    lines.find_repeated(run, RepeatedLines())
    spans.find_repeated(run, RepeatedSpans())


def time_kernels(frame: pl.DataFrame) -> list[list[str]]:
    texts = frame["text"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    utf8, offsets = text_buffers(texts)
    min_chars = RepeatedSpans().min_chars
    rows = []
    for language, label in (("en", "English"), ("ko", "Korean")):
        part = frame.filter(pl.col("language") == language)["text"]
        texts = part.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
        utf8, offsets = text_buffers(texts)
        n_bytes = int(offsets[-1] - offsets[0])
        runs, ring = new_runs(n_bytes + 1), new_ring(min_chars)
        find_runs(utf8, offsets, min_chars, gram_chars(min_chars), ring, runs)
        started = time.perf_counter()
        n_runs = find_runs(utf8, offsets, min_chars, gram_chars(min_chars), ring, runs)
        elapsed = time.perf_counter() - started
        n_chars = int(part.str.len_chars().sum())
        name = f"fingerprints, {label} ({n_runs / n_chars:.4f} rows per character)"
        rows.append([name, f"{n_bytes / elapsed / 1e6:.0f}"])
        started = time.perf_counter()
        lines.hash_lines(texts, "line")
        rows.append([f"line hashes, {label}", f"{n_bytes / (time.perf_counter() - started) / 1e6:.0f}"])
    return rows


def choose(run: Folder, frame: pl.DataFrame) -> None:
    spans.write_places(run / "repeated_spans", ALL, frame, run / "places", "part-00000.parquet")
    spans.choose_firsts(run / "places", run / "repeats", RepeatedSpans().min_chars)


def remove(run: Folder, frame: pl.DataFrame, what: str) -> pl.DataFrame:
    """The frame after lines, stretches or both were removed."""
    rows = frame.with_columns(
        verdict=pl.lit("kept"),
        n_text_bytes=pl.col("text").str.len_bytes().cast(pl.Int64),
        **{name: pl.lit(None, pl.String) for name in ("stage", "reason")},
        **{name: pl.lit(None, pl.Float64) for name in ("value", "threshold")},
    )
    of_lines, of_spans = (run / "repeated_lines").path, (run / "repeated_spans").path
    tables = repeats.Repeats(None if what == "stretches" else of_lines, None if what == "lines" else of_spans)
    return pl.concat(
        repeats.remove(part, tables, run / "repeats", keys, SETTINGS)
        for keys in ALL.split(8)
        for part in [rows.filter((pl.col("id") >= keys.bounds[0]) & (pl.col("id") < keys.bounds[1]))]
    )


def by_source(frame: pl.DataFrame, removed: dict[str, pl.DataFrame]) -> str:
    """Which share of the characters goes, by source; dropped documents count as a whole."""
    shares = []
    for name, left in removed.items():
        rest = left.with_columns(
            n_left=pl.when(pl.col("verdict") == "kept").then(pl.col("text").str.len_chars()).otherwise(0)
        )
        shares.append(rest.select("id", pl.col("n_left").alias(name)))
    joined = frame.select("id", "source", n_chars=pl.col("text").str.len_chars())
    for share in shares:
        joined = joined.join(share, on="id")
    total = (
        joined.group_by("source").agg(pl.len().alias("documents"), pl.col("n_chars", *removed).sum()).sort("source")
    )
    rows = [
        [row["source"], f"{row['documents']:,}", *(f"{1 - row[name] / row['n_chars']:.1%}" for name in removed)]
        for row in total.to_dicts()
    ]
    return markdown(["source", "documents", *(f"{name}: characters removed" for name in removed)], rows)


def n_repeated_windows(run: Folder) -> int:
    """Windows, in distinct texts, that stand in another place too, of another text or without overlap of this one."""
    rows = (run / "repeated_spans").scan().select("span", "text", "start", "n_chars").unique().collect()
    start, text = pl.col("start"), pl.col("text")
    is_apart = (start.max() - start.min() >= RepeatedSpans().min_chars).over("span") | (
        text.min() != text.max()
    ).over("span")
    return int((rows.filter(is_apart)["n_chars"] - RepeatedSpans().min_chars + 1).sum())


def suffix_array(frame: pl.DataFrame, folder: Path | None, ours: int) -> list[str]:
    """Time and windows of a suffix array over the distinct texts, or why there is none."""
    if not folder:
        return ["Suffix array: not asked for."]
    sys.path.append(str(folder))
    from pydivsufsort import divsufsort, kasai  # type: ignore[import-not-found]

    texts = frame.unique("text_digest", maintain_order=True)["text"]
    joined = np.frombuffer(bytearray("\0".join([*texts, ""]).encode()), np.uint8)
    with measured("peer: suffix array and LCP"):
        suffixes = divsufsort(joined)
        common = kasai(joined, suffixes)
    found = count_windows(joined, suffixes, common, RepeatedSpans().min_chars)
    equal = "equal" if found == ours else f"NOT EQUAL to ours, {ours:,}"
    step = "peer: suffix array and LCP"
    return [
        f"Suffix and LCP arrays by pydivsufsort: {seconds[step]:.1f} s, {peak_gib[step]:.1f} GiB, before anything "
        f"is done with them; windows in several places: {found:,} ({equal})."
    ]


def count_windows(joined: Any, suffixes: Any, common: Any, min_chars: int) -> int:
    """Windows of min_chars characters within one text that stand in another place too, without overlap."""
    is_start = joined & 0xC0 != 0x80
    starts = np.flatnonzero(is_start)
    n_bytes = np.zeros(len(joined), np.int32)
    n_bytes[starts[:-min_chars]] = starts[min_chars:] - starts[:-min_chars]
    ends = np.flatnonzero(joined == 0)
    next_end = ends[np.searchsorted(ends, starts[:-min_chars])]
    n_bytes[starts[:-min_chars][next_end < starts[min_chars:]]] = 0
    wanted = n_bytes[suffixes]
    is_first = np.ones(len(suffixes), np.bool_)
    is_first[1:] = common[:-1] < wanted[1:]  # of the windows that are equal, which follow each other
    is_first |= wanted == 0
    firsts = np.flatnonzero(is_first)
    low, high = np.minimum.reduceat(suffixes, firsts), np.maximum.reduceat(suffixes, firsts)
    sizes = np.diff([*firsts, len(suffixes)])
    n_before = np.cumsum(is_start, dtype=np.int64)  # characters up to each byte
    is_apart = (n_before[high] - n_before[low] >= min_chars) | (
        np.searchsorted(ends, low) != np.searchsorted(ends, high)
    )
    return int(sizes[is_apart & (wanted[firsts] > 0) & (sizes > 1)].sum())


def datatrove_lines(run: Folder, frame: pl.DataFrame) -> list[str]:
    """Time of datatrove's sentence dedup on lines, or why it did not run."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import SentenceDedupFilter, SentenceDedupSignature, SentenceFindDedups
    from datatrove.pipeline.dedup.sentence_dedup import SentDedupConfig
    from datatrove.utils import word_tokenizers
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.logging import logger

    logger.remove()
    plain = SimpleNamespace(word_tokenize=str.split)  # lines need no tokenizer, and spaCy may not be there
    word_tokenizers.load_tokenizer_assignments()["none"] = lambda: plain
    config = SentDedupConfig(
        n_sentences=1,
        split_sentences=False,
        min_doc_words=0,
        min_num_sentences=0,
        hash_config=HashConfig(hash_fc="sha1"),  # its xxhash wants a version of xxhash that takes strings
    )
    signatures, found = run.file("dt_signatures"), run.file("dt_found")
    documents = [Document(text, name) for name, text in frame.select("id", "text").iter_rows()]
    step = "peer: datatrove, lines"
    with measured(step):
        SentenceDedupSignature(signatures, config=config, language="none").run(iter(documents))
        SentenceFindDedups(signatures, found, config=config).run()
        left = sum(
            len(document.text)
            for document in SentenceDedupFilter(found, config=config, language="none").run(iter(documents))
        )
    n_chars = int(frame["text"].str.len_chars().sum())
    return [
        f"datatrove 0.10.1's sentence dedup on lines (all but the first of equal lines go): {seconds[step]:.1f} s, "
        f"{peak_gib[step]:.1f} GiB; {1 - left / n_chars:.1%} of the characters removed."
    ]


def row_of(step: str, n_bytes: int) -> list[str]:
    return [step, f"{seconds[step]:.1f}", f"{n_bytes / seconds[step] / 1e6:.1f}", f"{peak_gib[step]:.2f}"]


if __name__ == "__main__":
    main()
