"""Measured parts on disk: a split of the input is measured in bounded pieces, each written whole.

A split is read in small batches; their measured rows are collected until they make a part (bounded in bytes), which
is written ordered by id. A part carries the cursor at which reading goes on, so a killed run starts again after its
last whole part.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from classifiers.code import LANGUAGE_CODE
from curation.addresses.columns import addresses_digest
from curation.latex.licenses import licenses_digest
from curation.read import Batch, Split, read_split
from curation.scorers import model_digests
from curation.signals import SIGNALS_VERSION
from manifests.code import code_digest
from manifests.engine import Stopwatch, add_seconds
from manifests.schema import CorpusManifest, Input
from manifests.store import Folder

if TYPE_CHECKING:
    from curation.measure import Measurer  # loads all that measuring takes, which a decision does not need

MEASURE_CODE = (
    *LANGUAGE_CODE,
    "classifiers/models/*",
    "curation/addresses/*.py",
    "curation/charset.py",
    "curation/code/*",
    "curation/crawl/choice.py",
    "curation/crawl/index.py",
    "curation/crawl/ranges.py",
    "curation/datatrove_bridge.py",
    "curation/extract*.py",
    "curation/kernels/*.*",
    "curation/latex/*.py",
    "curation/licenses/*",
    "curation/main_content*",
    "curation/measure.py",
    "curation/normalize.py",
    "curation/pii.py",
    "curation/pii_secrets.py",
    "curation/pii_shapes.py",
    "curation/pdf_text.py",
    "curation/pii_validators.py",
    "curation/read*.py",
    "curation/scorers.py",
    "curation/shards.py",
    "curation/signals.py",
    "curation/template.py",
    "curation/wikitext/*",
    "manifests/contracts.py",
    "manifests/digest.py",
)
"""The code that measured columns depend on."""

MEASURE_LIBRARIES = ("fastwarc", "ftfy", "resiliparse")
"""The libraries that they depend on."""

READING_LIBRARIES = {
    "mediawiki": ("mwparserfromhell",),
    "code": ("license-expression", "pygments", "scancode-toolkit-mini"),
    "pdf": ("pypdfium2",),
}
"""The libraries on which what is read of a format depends, too."""

ROW_GROUP_TEXT_BYTES = 4 << 20
"""Text per row group of a measured part: what reading a range of ids costs at least."""

ROW_BYTES = 1024
"""What a row takes in memory beside its text: its columns, about."""

KEY_COLUMNS = ["text_digest", "id", "row_hash"]


@dataclass(frozen=True)
class MeasureTask:
    """One split to measure; pickles to a worker."""

    folder: str
    split: Split
    item: Input
    manifest: CorpusManifest
    sample_frac: float = 1.0

    def __str__(self) -> str:
        return f"source {self.split.source!r}, {self.split.path} ({self.split.start} to {self.split.end})"

    @property
    def _asks_datatrove(self) -> bool:
        return bool(self.item.datatrove or self.manifest.measure.datatrove)

    @cached_property
    def fingerprint(self) -> str:
        """What the split's parts depend on: content, how it is read and measured, and the code that does it."""
        from curation.normalize import NORMAL_FORM

        depends = {
            "split": self.split.__dict__,
            "item": self.item.model_dump(exclude={"crawl": {"fetch"}}),
            "measure": self.manifest.measure.in_pass.model_dump(),
            "limits": self.manifest.limits.model_dump(),
            "metadata": self.manifest.metadata_names,
            "sample_frac": self.sample_frac,
            "normal_form": NORMAL_FORM,
            "signals": SIGNALS_VERSION,
            "code": _measure_code(),
            "readers": [_version(name) for name in READING_LIBRARIES.get(self.split.format, ())],
            "datatrove": metadata.version("datatrove") if self._asks_datatrove else "",
            "model": model_digest(self.manifest.measure.language.model if self.manifest.measure.language else ""),
            "licenses": licenses_digest(self.item.latex.licenses),
            "scores": model_digests(self.manifest.measure.scored_in_pass),
            "addresses": addresses_digest(self.manifest.measure),
        }
        return xxhash.xxh3_64_hexdigest(orjson.dumps(depends, option=orjson.OPT_SORT_KEYS))


@dataclass
class PartCounts:
    """What a part holds: records by their first verdict, what was skipped, and what it cost."""

    n_read: int = 0
    n_sampled_out: int = 0
    n_early: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    content_bytes: int = 0
    text_bytes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, other: "PartCounts") -> None:
        """Add another part's counts to these."""
        self.n_read += other.n_read
        self.n_sampled_out += other.n_sampled_out
        self.n_early.update(other.n_early)
        self.skipped.update(other.skipped)
        self.content_bytes += other.content_bytes
        self.text_bytes += other.text_bytes
        add_seconds(self.seconds, other.seconds)


def measure_split(task: MeasureTask) -> PartCounts:
    """Measure a split from where its whole parts end; returns the counts of all its parts."""
    folder = Folder(task.folder)
    counts, cursor, n_parts, finished = _whole_parts(folder, task.fingerprint)
    if finished:
        return counts
    measurer = kept_measurer(task.manifest)
    for part in _collect(task, measurer, cursor):
        write_part(folder, f"{task.fingerprint}-{n_parts:05d}", part, measurer)
        counts.add(part.counts)
        n_parts += 1
        del part  # or it would be held while the next one is collected
        pa.default_memory_pool().release_unused()  # what parts of other shapes leave free would add up
    return counts


@dataclass
class Part:
    """Measured rows on their way to one file."""

    tables: list[pa.Table] = field(default_factory=list)
    counts: PartCounts = field(default_factory=PartCounts)
    cursor: int = 0
    finished: bool = False

    def add(self, batch: Batch, table: pa.Table, n_sampled_out: int) -> None:
        """Add a batch and its measured rows."""
        early = table.column("verdict").drop_null().to_pylist()
        content_bytes = int(pc.sum(batch.records.column("n_bytes")).as_py() or 0)
        text_bytes = int(pc.sum(table.column("n_text_bytes")).as_py() or 0)
        self.tables.append(table)
        self.cursor = batch.cursor
        self.counts.add(
            PartCounts(
                table.num_rows, n_sampled_out, Counter(early), Counter(batch.skipped), content_bytes, text_bytes
            )
        )


def _collect(task: MeasureTask, measurer: "Measurer", cursor: int) -> Iterator[Part]:
    """Measured rows of the split, in parts of about `limits.shard_bytes` of content; the last one is marked."""
    part = Part(cursor=cursor)
    batches = read_split(task.split, task.item, task.manifest.limits, task.manifest.metadata_names, cursor)
    for batch in timed(batches, measurer.watch, "read"):
        records = batch.records
        if task.sample_frac < 1:
            records = _sampled(records, task.sample_frac)
        part.add(batch, measurer.measure(records), len(batch.records) - len(records))
        if part.counts.content_bytes + ROW_BYTES * part.counts.n_read >= task.manifest.limits.shard_bytes:
            yield part
            part = Part(cursor=part.cursor)
    part.finished = True
    yield part


def _sampled(records: pa.RecordBatch, frac: float) -> pa.RecordBatch:
    """The records whose content digest falls into the first `frac` of its range: the same ones in every run."""
    first = np.array([int.from_bytes(value[:4], "big") for value in records.column("content_digest").to_pylist()])
    return records.filter(pa.array(first < frac * 2**32, pa.bool_()))


def timed(items: Iterator[Batch], watch: Stopwatch, name: str) -> Iterator[Batch]:
    """The items, with the time that getting each takes under `name`."""
    while True:
        with watch(name):
            item = next(items, None)
        if item is None:
            return
        yield item


def write_part(folder: Folder, name: str, part: Part, measurer: "Measurer") -> None:
    """Write a part's keys, ordered by text digest, and then its rows, ordered by id: these mark it whole."""
    table = pa.concat_tables(part.tables) if part.tables else measurer.schema.empty_table()
    with measurer.watch("write"):
        table = table.sort_by([("id", "ascending")])
        keys = table.select(KEY_COLUMNS).filter(pc.is_valid(table.column("text_digest")))
        with (folder / "keys").table_writer(f"{name}.parquet", keys.schema, "keys") as writer:
            writer.write(keys.sort_by([("text_digest", "ascending")]), row_group_rows=1 << 16)
    part.counts.seconds = dict(measurer.watch.seconds)
    measurer.watch.seconds.clear()
    rows = max(1, int(table.num_rows * ROW_GROUP_TEXT_BYTES / max(part.counts.text_bytes, 1)))
    note = {"cursor": part.cursor, "finished": part.finished, "has_text": True, "counts": part.counts}
    extra = {"part": orjson.dumps(note).decode()}
    with (folder / "measured").table_writer(f"{name}.parquet", measurer.schema, "measured", extra) as writer:
        writer.write(table, row_group_rows=rows)


def _whole_parts(folder: Folder, fingerprint: str) -> tuple[PartCounts, int, int, bool]:
    """(counts, cursor, number, finished) of a split's parts that are whole and hold their text."""
    counts, cursor, n_parts = PartCounts(), 0, 0
    while (folder / "measured").exists(name := f"{fingerprint}-{n_parts:05d}.parquet"):
        part = _part_note(folder, name)
        if not part["has_text"]:
            break
        counts.add(_counts(part["counts"]))
        cursor, n_parts = part["cursor"], n_parts + 1
        if part["finished"]:
            return counts, cursor, n_parts, True
    return counts, cursor, n_parts, False


def measured_counts(run: Folder) -> dict[str, PartCounts]:
    """The counts of every part of a run, by the part's name."""
    names = (run / "measured").names(".parquet")
    return {name.removesuffix(".parquet"): _counts(_part_note(run, name)["counts"]) for name in names}


def has_texts(run: Folder) -> bool:
    """Whether every measured part holds the texts, so that any document can be restored."""
    return all(_part_note(run, name)["has_text"] for name in (run / "measured").names(".parquet"))


def drop_texts(run: Folder) -> None:
    """Write every measured part again without its texts (`store: columns`); parts that have none stay as they are."""
    folder = run / "measured"
    for name in folder.names(".parquet"):
        if (note := _part_note(run, name))["has_text"]:
            with folder.fs.open(folder.file(name), "rb") as file:
                table = pq.read_table(file).drop_columns(["text"])
            extra = {"part": orjson.dumps(note | {"has_text": False}).decode()}
            with folder.table_writer(name, table.schema.remove_metadata(), "measured", extra) as writer:
                writer.write(table, row_group_rows=1 << 16)


def _part_note(run: Folder, name: str) -> dict[str, Any]:
    note: dict[str, Any] = orjson.loads((run / "measured").parquet_extra(name, "measured")["part"])
    return note


def _counts(value: dict[str, Any]) -> PartCounts:
    return PartCounts(**(value | {name: Counter(value[name]) for name in ("n_early", "skipped")}))


def _version(distribution: str) -> str:
    """Of a library that need not be there."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


@cache
def _measure_code() -> str:
    versions = [metadata.version(name) for name in MEASURE_LIBRARIES]
    versions += [metadata.version("trafilatura")] if find_spec("trafilatura") else []
    return " ".join([code_digest(*MEASURE_CODE), *versions])


@cache
def model_digest(model: str) -> str:
    """The digest of a language model that is given by path, since another may come to lie there."""
    path = Path(model)
    return xxhash.xxh3_64_hexdigest(path.read_bytes()) if path.is_file() else model


_measurers: "dict[str, Measurer]" = {}


def kept_measurer(manifest: CorpusManifest) -> "Measurer":
    """The process's measurer for this manifest; models load once."""
    from curation.measure import Measurer

    measure = manifest.measure.in_pass
    key = measure.model_dump_json() + repr(
        (manifest.metadata_names, model_digests(measure.scores), addresses_digest(measure))
    )
    if key not in _measurers:
        _measurers.clear()
        _measurers[key] = Measurer(manifest)
    return _measurers[key]


def forget_measurer() -> None:
    """Let go of the models; other processes will measure."""
    _measurers.clear()
