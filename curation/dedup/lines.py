r"""Lines (or paragraphs) that occur all over the corpus: menus, notices, signatures.

How often each occurs is counted over all measured texts, equal texts once, so that neither the rules nor their
thresholds change a count. Hashes of lines are derived beside the measured parts; they are counted in ranges of the
hash, and come back as narrow rows in the order of the documents' ids: which line of which document occurs how often.
Memory is bounded by a range.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from classifiers.scripts import text_buffers
from curation.dedup.exchange import (
    fingerprint_of,
    first_64_bits,
    is_written,
    keep_only,
    n_rows,
    read_numbers,
    write_rows,
)
from curation.derive import Derived, derive
from curation.kernels.characters import character_classes
from curation.kernels.line_hashes import hash_units, new_units
from manifests.code import code_digest
from manifests.engine import Engine, map_shards
from manifests.schema import LineColours, RepeatedLines
from manifests.store import Folder, KeyRange, ranges_for, to_arrow

LINE_CODE = (
    "curation/dedup/exchange.py",
    "curation/dedup/lines.py",
    "curation/kernels/characters.py",
    "curation/kernels/hashing.py",
    "curation/kernels/line_hashes.py",
)
"""The code that counts of lines depend on."""

ROWS_PER_RANGE = 2_000_000
"""Rows held at once: 28 bytes each, and some of them several times."""

HASHES = pa.schema([("hash", pa.uint64()), ("text", pa.uint64()), ("doc", pa.uint64()), ("place", pa.int32())])
"""Lines of all measured documents, ordered by hash; `place` is 0 for a document's first line that is not blank."""

REPEATED = pa.schema(
    [("doc", pa.uint64()), ("text", pa.uint64()), ("place", pa.int32()), ("count", pa.int64()), ("hash", pa.uint64())]
)
"""Lines that occur more than once, ordered by document; `count` is their frequency in the corpus."""

PATTERNS = (re.compile("g{2,}"), re.compile("g{2,}(y+g{1,})+g"))
"""What is kept of a document, as the colours of its lines (reference/papers.md 4.4, PLD of arXiv 2510.24139)."""


@dataclass(frozen=True)
class HashLines:
    """Rows of HASHES for the rows of a measured part."""

    unit: str

    def __call__(self, measured: pa.Table) -> pa.Table:
        """Hash the lines of each text."""
        frame = pl.from_arrow(measured.select(["id", "text_digest"]))
        assert isinstance(frame, pl.DataFrame)
        documents = frame.select(text=first_64_bits("text_digest"), doc=first_64_bits("id"))
        hashes, rows, places = hash_lines(measured.column("text").combine_chunks(), self.unit)
        lines = documents[rows].with_columns(hash=pl.Series(hashes), place=pl.Series(places))
        return to_arrow(lines.sort("hash", "text", "doc", "place"), HASHES)


def hash_lines(texts: pa.LargeStringArray, unit: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hash, row of its text, place in it) of every line or paragraph that is not blank."""
    utf8, offsets = text_buffers(texts)
    units = new_units(int(offsets[-1] - offsets[0]) + 1)
    n_units = hash_units(utf8, offsets, character_classes(), unit == "paragraph", units)
    return units.hashes[:n_units], units.rows[:n_units], units.places[:n_units]


def table_of(settings: RepeatedLines) -> Derived:
    """The derived table of line hashes that these settings need."""
    fingerprint = f"{settings.unit} {code_digest(*LINE_CODE)}"
    columns = ["id", "text_digest", "text"]
    return Derived(f"{settings.unit}_hashes", fingerprint, columns, HASHES, HashLines(settings.unit))


@dataclass(frozen=True)
class _Range:
    hashes: str
    repeated: str
    keys: KeyRange
    fingerprint: str

    @property
    def name(self) -> str:
        return f"part-{self.keys.index:05d}.parquet"


def find_repeated(
    run: Folder,
    settings: RepeatedLines,
    engine: Engine | int = 1,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Folder:
    """Bring the table of repeated lines of a measured run up to date; returns its folder, with the schema REPEATED.

    Raises:
        RequestError: the texts are needed and were not stored.
    """
    table = table_of(settings)
    hashes = derive(run, table, engine, progress)
    repeated = run / f"repeated_{settings.unit}s"
    fingerprint = fingerprint_of(table.fingerprint, *hashes.names(".parquet"))
    tasks = [
        _Range(hashes.path, repeated.path, keys, fingerprint) for keys in ranges_for(n_rows(hashes), ROWS_PER_RANGE)
    ]
    keep_only(repeated, {task.name for task in tasks})
    missing = [task for task in tasks if not is_written(repeated, task.name, fingerprint)]
    for done, _ in enumerate(map_shards(_count_range, missing, engine), 1):
        progress(f"repeated {settings.unit}s", done, len(missing))
    return repeated


def _count_range(task: _Range) -> None:
    """Count the lines of a range of hashes; a line in records of equal text counts as in one of them."""
    rows = read_numbers(Folder(task.hashes), "hash", task.keys, HASHES.names)
    places = rows.unique(["hash", "text", "place"])
    counts = places.group_by("hash").len("count").filter(pl.col("count") > 1)
    repeated = rows.join(counts.cast({"count": pl.Int64}), on="hash").select(REPEATED.names).unique()
    write_rows(Folder(task.repeated), task.name, repeated.sort("doc", "text", "place"), REPEATED, task.fingerprint)


def unit_spans(text: str, unit: str) -> list[tuple[int, int]]:
    r"""Where each line (or paragraph) that is not blank begins, and where what follows it does, in characters."""
    starts, was_blank, place = [], True, 0
    for line in text.split("\n"):
        is_blank = not line.strip()
        if not is_blank and (unit == "line" or was_blank):
            starts.append(place)
        was_blank, place = is_blank, place + len(line) + 1
    return list(zip(starts, [*starts, len(text)][1:], strict=True))


def colours_of(counts: Iterable[int], limits: LineColours) -> str:
    """The colour of each line by its frequency: r above `red_over`, g up to `green_max`, y between."""
    return "".join("r" if n > limits.red_over else "g" if n <= limits.green_max else "y" for n in counts)


def kept_units(colours: str, keep: str) -> list[bool]:
    """Which lines stay: with `keep` "patterns" those in a match of PATTERNS, with "not_red" all but red ones."""
    if keep == "not_red":
        return [colour != "r" for colour in colours]
    kept = [False] * len(colours)
    for pattern in PATTERNS:
        for found in pattern.finditer(colours):
            kept[found.start() : found.end()] = [True] * (found.end() - found.start())
    return kept


def removed_lines(
    frame: pl.DataFrame, repeated: Folder, keys: KeyRange, settings: RepeatedLines
) -> list[list[tuple[int, int]]]:
    """What goes of each text: its lines that are not kept, as spans in characters, in order.

    `frame` has `id`, `text_digest`, `language` and `text` of documents of a range of ids; a language may be null.
    """
    counts = _counts_of(frame, read_numbers(repeated, "doc", keys, REPEATED.names))
    n_units = _n_units(frame, settings.unit)
    removed: list[list[tuple[int, int]]] = [[] for _ in range(frame.height)]
    rows = [row for row in range(frame.height) if row in counts or n_units[row] == 1]
    some = frame[rows].select("text", "language")
    for row, (text, language) in zip(rows, some.iter_rows(), strict=True):
        limits = settings.ko if (language or "").split("-")[0] == "ko" else settings.other
        frequency = counts.get(row, {})
        colours = colours_of((frequency.get(place, 1) for place in range(n_units[row])), limits)
        kept = kept_units(colours, settings.keep)
        removed[row] = [span for span, stays in zip(unit_spans(text, settings.unit), kept, strict=True) if not stays]
    return removed


def _counts_of(frame: pl.DataFrame, repeated: pl.DataFrame) -> dict[int, dict[int, int]]:
    """{row of the frame: {place of a line: its frequency}} of the lines that occur more than once."""
    documents = frame.select(doc=first_64_bits("id"), text=first_64_bits("text_digest")).with_row_index("row")
    counts: dict[int, dict[int, int]] = {}
    for row, place, count in documents.join(repeated, on=["doc", "text"]).select("row", "place", "count").iter_rows():
        counts.setdefault(row, {})[place] = count
    return counts


def _n_units(frame: pl.DataFrame, unit: str) -> list[int]:
    texts = frame["text"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    _, rows, _ = hash_lines(texts, unit)
    counted: list[int] = np.bincount(rows, minlength=frame.height).tolist()
    return counted
