"""Stretches of text that stand in several places, word for word (Lee et al. 2022, ExactSubstr), in bounded memory.

A window is `min_chars` characters; a character goes where it lies in a window that also stands at an earlier place.
The lowest hash of a window's k-grams is the same wherever the window stands, so rows of (hash, document, place) name
all windows that could be equal (kernels/spans.py). In steps, each a map over bounded tasks:

1. `fingerprints`, derived per measured part: the runs of windows of each text, by hash;
2. `candidates`, per range of hashes: runs whose hash occurs at several places, by part;
3. `contexts`, per part: the characters of these runs, by hash;
4. `repeated_spans`, per range of hashes: windows compared character by character, and put together to the longest
   stretches that occur in the same places, by document.

All this is done once, over all measured texts, equal texts being one. Which occurrence of a stretch is the first
depends on which documents are kept, so it is chosen each time that a decision is made, by (id, copy, place).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

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
from curation.kernels.spans import (
    Stretches,
    add_shapes,
    classify,
    find_runs,
    gram_chars,
    new_classes,
    new_ring,
    new_runs,
    write_stretches,
)
from manifests.code import code_digest
from manifests.engine import Engine, map_shards
from manifests.schema import RepeatedSpans
from manifests.store import Folder, KeyRange, ranges_for, to_arrow

SPAN_CODE = (
    "curation/dedup/exchange.py",
    "curation/dedup/spans.py",
    "curation/kernels/characters.py",
    "curation/kernels/hashing.py",
    "curation/kernels/spans.py",
)
"""The code that repeated stretches depend on."""

ROWS_PER_RANGE = 1_000_000
"""Narrow rows held at once."""

CONTEXT_BYTES_PER_RANGE = 24 << 20
"""Characters of runs that are compared at once; comparing takes some 25 bytes for each."""

_RUN = [
    ("row", pa.int32()),  # of the measured part
    ("start", pa.int32()),  # of the first window, in characters
    ("n_chars", pa.int32()),  # to the end of the last window
    ("first_byte", pa.int32()),
    ("n_bytes", pa.int32()),
]
FINGERPRINTS = pa.schema([("hash", pa.uint64()), ("text", pa.uint64()), *_RUN])
"""Runs of windows of equal fingerprint, ordered by hash."""

CANDIDATES = pa.schema([("part", pa.int32()), ("hash", pa.uint64()), *_RUN])
"""Runs that may repeat, ordered by part (its number among the measured parts, by name)."""

CONTEXTS = pa.schema(
    [
        ("hash", pa.uint64()),
        ("text", pa.uint64()),
        ("doc", pa.uint64()),
        ("start", pa.int32()),
        ("characters", pa.large_string()),
    ]
)
"""The same runs with their characters, ordered by hash."""

REPEATED = pa.schema(
    [
        ("doc", pa.uint64()),
        ("text", pa.uint64()),
        ("span", pa.uint64()),
        ("start", pa.int32()),
        ("n_chars", pa.int32()),
    ]
)
"""Stretches that occur in several places, ordered by document; those of equal `span` are equal."""

PLACES = pa.schema(
    [
        ("span", pa.uint64()),
        ("id", pa.string()),
        ("copy", pa.int32()),
        ("text", pa.uint64()),
        ("start", pa.int32()),
        ("n_chars", pa.int32()),
    ]
)
"""Where kept documents have them, ordered by span."""

REPEATS = pa.schema([("id", pa.string()), ("copy", pa.int32()), ("start", pa.int32()), ("end", pa.int32())])
"""What goes: all but the first occurrences, ordered by (id, copy)."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Fingerprint:
    """Rows of FINGERPRINTS for the rows of a measured part."""

    min_chars: int

    def __call__(self, measured: pa.Table) -> pa.Table:
        """Find the runs of each text."""
        digests = pl.from_arrow(measured.select(["text_digest"]))
        assert isinstance(digests, pl.DataFrame)
        utf8, offsets = text_buffers(measured.column("text").combine_chunks())
        runs = new_runs(int(offsets[-1] - offsets[0]) + 1)
        n_runs = find_runs(utf8, offsets, self.min_chars, gram_chars(self.min_chars), new_ring(self.min_chars), runs)
        frame = pl.DataFrame(
            {
                "hash": runs.hashes[:n_runs],
                "text": digests.select(first_64_bits("text_digest")).to_series()[runs.rows[:n_runs]],
                "row": runs.rows[:n_runs],
                "start": runs.starts[:n_runs],
                "n_chars": runs.n_chars[:n_runs],
                "first_byte": runs.first_bytes[:n_runs],
                "n_bytes": runs.n_bytes[:n_runs],
            }
        )
        return to_arrow(frame.sort("hash", "text", "row", "start"), FINGERPRINTS)


def table_of(settings: RepeatedSpans) -> Derived:
    """The derived table of fingerprints that these settings need."""
    fingerprint = f"{settings.min_chars} {code_digest(*SPAN_CODE)}"
    columns = ["text_digest", "text"]
    return Derived("fingerprints", fingerprint, columns, FINGERPRINTS, Fingerprint(settings.min_chars))


@dataclass(frozen=True)
class _Step:
    """From one table to the next."""

    run: str
    reads: str
    writes: str
    min_chars: int
    fingerprint: str


@dataclass(frozen=True)
class _Task:
    """One file of a step's table: of a range of hashes, or of a measured part."""

    step: _Step
    name: str
    keys: KeyRange
    part: int

    def __str__(self) -> str:
        return f"{self.step.writes}/{self.name}"


def find_repeated(
    run: Folder,
    settings: RepeatedSpans,
    engine: Engine | int = 1,
    progress: Progress = lambda step, done, total: None,
) -> Folder:
    """Bring the table of repeated stretches of a measured run up to date; returns its folder (schema REPEATED).

    Raises:
        RequestError: the texts are needed and were not stored.
    """
    table, parts, folder = table_of(settings), (run / "measured").names(".parquet"), run / "repeated_spans"
    fingerprint = fingerprint_of(table.fingerprint, *parts)
    if folder.exists("done.json") and folder.read_json("done.json")["fingerprint"] == fingerprint:
        return folder
    fingerprints = derive(run, table, engine, progress)
    work = run / f"repeats-{fingerprint}"
    candidates, contexts = work / "candidates", work / "contexts"

    step = _Step(run.path, fingerprints.path, candidates.path, settings.min_chars, fingerprint)
    _do(_find_candidates, _ranges(step, n_rows(fingerprints), ROWS_PER_RANGE), "candidates", engine, progress)
    step = replace(step, reads=candidates.path, writes=contexts.path)
    tasks = [_Task(step, name, KeyRange(), part) for part, name in enumerate(parts)]
    _do(_read_contexts, tasks, "contexts", engine, progress)
    step = replace(step, reads=contexts.path, writes=folder.path)
    tasks = _ranges(step, _total_bytes(candidates), CONTEXT_BYTES_PER_RANGE)
    folder.remove("done.json")
    keep_only(folder, {task.name for task in tasks})
    _do(_compare, tasks, "repeated spans", engine, progress)
    folder.write_json("done.json", {"fingerprint": fingerprint})
    run.remove(f"repeats-{fingerprint}")
    return folder


def _ranges(step: _Step, total: float, per_range: float) -> list[_Task]:
    return [_Task(step, f"part-{keys.index:05d}.parquet", keys, 0) for keys in ranges_for(total, per_range)]


def _do(
    work: Callable[[_Task], None], tasks: list[_Task], name: str, engine: Engine | int, progress: Progress
) -> None:
    """Work on those tasks of which nothing whole is there."""
    missing = [task for task in tasks if not is_written(Folder(task.step.writes), task.name, task.step.fingerprint)]
    for done, _ in enumerate(map_shards(work, missing, engine), 1):
        progress(name, done, len(missing))


def _total_bytes(candidates: Folder) -> int:
    return int(candidates.scan().select(pl.col("n_bytes").cast(pl.Int64).sum()).collect(engine="streaming").item())


def _find_candidates(task: _Task) -> None:
    """Runs of a range of hashes whose hash occurs at several places, or that are long enough to repeat themselves."""
    numbers = {name: part for part, name in enumerate(Folder(f"{task.step.run}/measured").names(".parquet"))}
    rows = read_numbers(Folder(task.step.reads), "hash", task.keys, [*FINGERPRINTS.names, "shard"])
    places = rows.select("hash", "text", "start").unique().group_by("hash").len("n_places")
    may_repeat = (pl.col("n_places") > 1) | (pl.col("n_chars") >= 2 * task.step.min_chars)
    found = rows.join(places, on="hash").filter(may_repeat)
    part = pl.concat_str("shard", pl.lit(".parquet")).replace_strict(numbers, return_dtype=pl.Int32)
    frame = found.with_columns(part=part).select(CANDIDATES.names).sort("part", "hash", "row", "start")
    write_rows(Folder(task.step.writes), task.name, frame, CANDIDATES, task.step.fingerprint)


def _read_contexts(task: _Task) -> None:
    """Read the characters of a part's candidates."""
    rows = Folder(task.step.reads).scan().filter(pl.col("part") == task.part).collect(engine="streaming")
    rows = rows.sort("hash", "row", "start")
    measured = Folder(f"{task.step.run}/measured")
    with measured.fs.open(measured.file(task.name), "rb") as file:
        table = pq.read_table(file, columns=["id", "text_digest", "text"])
    frame = pl.from_arrow(table.select(["id", "text_digest"]))
    assert isinstance(frame, pl.DataFrame)
    documents = frame.select(text=first_64_bits("text_digest"), doc=first_64_bits("id"))[rows["row"]]
    utf8, offsets = text_buffers(table.column("text").combine_chunks())
    firsts = offsets[rows["row"].to_numpy()] + rows["first_byte"].to_numpy()
    pieces = [utf8[first : first + size] for first, size in zip(firsts, rows["n_bytes"].to_numpy(), strict=True)]
    ends = np.concatenate([[0], np.cumsum(rows["n_bytes"].to_numpy(), dtype=np.int64)])
    content = pa.py_buffer(np.concatenate(pieces) if pieces else b"")
    characters = pa.LargeStringArray.from_buffers(len(rows), pa.py_buffer(ends), content)
    contexts = pl.concat([rows.select("hash", "start"), documents], how="horizontal")
    contexts = contexts.with_columns(characters=pl.Series(characters, dtype=pl.String))
    write_rows(Folder(task.step.writes), task.name, contexts, CONTEXTS, task.step.fingerprint)


def _compare(task: _Task) -> None:
    """Compare the windows of a range of hashes, and write the stretches that occur in several places."""
    rows = read_numbers(Folder(task.step.reads), "hash", task.keys, CONTEXTS.names)
    runs = rows.unique(["text", "start"], keep="any").sort("text", "start")
    frame = compare_runs(runs, task.step.min_chars).join(rows.select("text", "doc").unique(), on="text")
    frame = frame.select(REPEATED.names).sort("doc", "text", "start", "span")
    write_rows(Folder(task.step.writes), task.name, frame, REPEATED, task.step.fingerprint)


def compare_runs(runs: pl.DataFrame, min_chars: int) -> pl.DataFrame:
    """The stretches of at least min_chars characters that occur at several places of some runs of windows.

    `runs` has `text` (uint64), `start` (int32) and `characters`, each place once. Returns `text`, `span`, `start` and
    `n_chars`, one row for each place: a stretch's windows are all at the same other places.
    """
    characters = runs["characters"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    utf8, offsets = text_buffers(characters)
    texts, starts = runs["text"].to_numpy(), runs["start"].to_numpy()
    sizes = runs["characters"].str.len_chars().to_numpy().astype(np.int64) - min_chars + 1
    n_windows = int(sizes.sum())
    classes = new_classes(int(offsets[-1] - offsets[0]), n_windows)
    classify(utf8, offsets, texts, starts, min_chars, classes)
    add_shapes(sizes, texts, starts, classes)
    out = Stretches(np.empty(n_windows, np.uint64), *np.empty((3, n_windows), np.int32))
    n_out = write_stretches(sizes, starts, min_chars, classes, out)
    columns = {"text": texts[out.rows[:n_out]], "span": out.spans[:n_out]}
    return pl.DataFrame(columns | {"start": out.starts[:n_out], "n_chars": out.n_chars[:n_out]})


def write_places(repeated: Folder, keys: KeyRange, kept: pl.DataFrame, places: Folder, name: str) -> None:
    """Write where the kept documents of a range of ids (`id`, `copy`, `text_digest`) have repeated stretches."""
    rows = read_numbers(repeated, "doc", keys, REPEATED.names)
    documents = kept.select("id", "copy", doc=first_64_bits("id"), text=first_64_bits("text_digest"))
    found = documents.join(rows, on=["doc", "text"]).select(PLACES.names)
    write_rows(places, name, found.sort("span", "id", "copy", "start"), PLACES)


@dataclass(frozen=True)
class _Choice:
    places: str
    repeats: str
    keys: KeyRange
    min_chars: int


def choose_firsts(places: Folder, repeats: Folder, min_chars: int, engine: Engine | int = 1) -> None:
    """Keep the first occurrence of each stretch by (id, copy, place), and write all others to `repeats`.

    Documents of equal text are one: what stays in the first of them stays in all. In the first text itself an
    occurrence that overlaps the first one stays too.
    """
    ranges = ranges_for(n_rows(places), ROWS_PER_RANGE)
    choices = [_Choice(places.path, repeats.path, keys, min_chars) for keys in ranges]
    for _ in map_shards(_choose_range, choices, engine):
        pass


def _choose_range(task: _Choice) -> None:
    rows = read_numbers(Folder(task.places), "span", task.keys, PLACES.names).sort("span", "id", "copy", "start")
    first = pl.col("text", "start").first().over("span").name.prefix("first_")
    is_far = pl.col("start") >= pl.col("first_start") + task.min_chars
    rows = rows.with_columns(first).filter((pl.col("text") != pl.col("first_text")) | is_far)
    rows = rows.with_columns(end=pl.col("start") + pl.col("n_chars")).select(REPEATS.names).sort(REPEATS.names)
    write_rows(Folder(task.repeats), f"part-{task.keys.index:05d}.parquet", rows, REPEATS)


def removed_spans(frame: pl.DataFrame, repeats: Folder, keys: KeyRange) -> list[list[tuple[int, int]]]:
    """What goes of each document of a range of ids (`id`, `copy`): spans in characters, not yet cut at boundaries."""
    removed: list[list[tuple[int, int]]] = [[] for _ in range(frame.height)]
    if repeats.names(".parquet"):
        rows = repeats.read_range("id", keys, REPEATS.names)
        found = frame.select("id", "copy").with_row_index("row").join(rows, on=["id", "copy"])
        for row, start, end in found.select("row", "start", "end").iter_rows():
            removed[row].append((start, end))
    return removed
