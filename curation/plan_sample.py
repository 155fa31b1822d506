"""A small run of the same manifest: a few MB of its inputs, chosen by seed, measured and decided for real."""

import random
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.decide import decide
from curation.measure import Measurer
from curation.pipeline import Job, split_sizes
from curation.plan_crawl import expected_crawl, stand_in, stand_in_bytes
from curation.plan_watch import StepWatch, Took
from curation.read import Batch, Split, read_split
from curation.read_files import RECORDS_PER_FILE
from curation.read_parquet import open_parquet
from curation.read_stream import open_input
from curation.shards import Part, write_part
from manifests.schema import CorpusManifest, Input
from manifests.schema_crawl import Crawl
from manifests.store import Folder

SAMPLE_BYTES = 32 << 20
"""Content that is measured, of all inputs together."""
SPLITS_MIN, SPLITS_MAX = 16, 256
"""Splits of an input that are read, if it has so many: each in proportion to its size."""
SEED = 1


@dataclass
class Amounts:
    """What was read of some records, and made of them."""

    n_records: float = 0.0
    content_bytes: float = 0.0
    text_bytes: float = 0.0
    measured_bytes: float = 0.0
    """Of the measured parts, as stored."""
    seconds: float = 0.0

    def add(self, other: "Amounts", times: float = 1.0) -> None:
        """Add others, as if there were `times` as many."""
        for name, value in other.__dict__.items():
            setattr(self, name, getattr(self, name) + times * value)


@dataclass
class InputSample:
    """What was read of an input, and what it says of all of it: each split by the share of it that was read."""

    item: Input
    splits: list[Split]
    taken: Amounts = field(default_factory=Amounts)
    whole: Amounts = field(default_factory=Amounts)
    formats: set[str] = field(default_factory=set)
    failed: Counter[str] = field(default_factory=Counter)
    """Of the records in `taken`, those that failed, by reason."""
    stand_in: Amounts = field(default_factory=Amounts)
    """Of a crawl: pages that stand in for its own."""
    fetch_bytes: int | None = None
    """Of a crawl: what its records take that will be fetched."""

    @property
    def size_bytes(self) -> int:
        """Of all files of the input, or of what is fetched of them."""
        if self.fetch_bytes is not None:
            return self.fetch_bytes
        return sum({(split.path, split.file_digest): split.file_bytes for split in self.splits}.values())


@dataclass(frozen=True)
class Decision:
    """What deciding over measured parts took, and what it left."""

    n_rows: int
    text_bytes: int
    steps: dict[str, Took]
    passed: int
    """Documents that pass the rules; each is kept, or a duplicate."""
    kept: int
    text_column_bytes: int
    """Of the texts in the measured parts, as stored."""


def take_sample(job: Job, run: Folder) -> list[InputSample]:
    """Measure some of each input into `run`, about SAMPLE_BYTES in all; a part holds what came of one batch."""
    files = {split.path: split for item, split in job.splits if not item.crawl}
    whole_bytes = sum(split.file_bytes for split in files.values())
    measurer, samples = Measurer(job.manifest), list[InputSample]()
    for item in job.manifest.inputs:
        sample = InputSample(item, [split for owner, split in job.splits if owner is item])
        if item.crawl:
            earlier = next((of.stand_in for of in samples if of.item.crawl), None)
            _take_crawl(sample, earlier, item.crawl, job, measurer, run)
            samples.append(sample)
            continue
        budget_bytes = SAMPLE_BYTES * sample.size_bytes / max(whole_bytes, 1)
        chosen = _chosen(sample.splits)
        chosen_bytes = sum(size_bytes for _, size_bytes in chosen)
        for split, size_bytes in chosen:
            share = size_bytes / max(chosen_bytes, 1.0)
            taken, read_frac = _take_split(
                sample, split, size_bytes, budget_bytes * share, job.manifest, measurer, run
            )
            sample.taken.add(taken)
            sample.whole.add(taken, max(1.0, sample.size_bytes / max(chosen_bytes, 1.0)) / max(read_frac, 1e-9))
        samples.append(sample)
    return samples


def _take_crawl(
    sample: InputSample, earlier: Amounts | None, crawl: Crawl, job: Job, measurer: Measurer, run: Folder
) -> None:
    """Count what the index names, and measure pages that stand in for it, once for all crawls (`earlier`)."""
    n_records, fetch_bytes = expected_crawl(sample.item, sample.splits)
    sample.formats.add("crawl")
    sample.fetch_bytes = round(fetch_bytes)
    sample.stand_in = earlier or Amounts()
    if not earlier:
        for batch in stand_in(sample.item, job.manifest):
            sample.stand_in.add(_measure_part(batch, measurer, run))
        sample.taken.add(sample.stand_in)
    sample.whole.add(sample.stand_in, fetch_bytes / max(stand_in_bytes(), 1))
    sample.whole.n_records = n_records
    fetch_s = n_records / crawl.fetch.requests_per_second  # of all processes together
    sample.whole.seconds = max(sample.whole.seconds, fetch_s * job.n_workers)


def _chosen(splits: list[Split]) -> list[tuple[Split, float]]:
    """(split, bytes of its file that it reads) of some splits that only the seed decides."""
    pairs = list(zip(splits, split_sizes(splits), strict=True))
    shuffled = random.Random(SEED).sample(pairs, len(pairs))
    there = np.cumsum([size_bytes for _, size_bytes in shuffled])
    n_enough = int(np.searchsorted(there, SAMPLE_BYTES)) + 1
    return shuffled[: max(SPLITS_MIN, min(SPLITS_MAX, n_enough))]


def _take_split(
    sample: InputSample,
    split: Split,
    size_bytes: float,
    budget_bytes: float,
    manifest: CorpusManifest,
    measurer: Measurer,
    run: Folder,
) -> tuple[Amounts, float]:
    """Measure the records with which a split begins, as many as the budget allows; (amounts, share of the split)."""
    sample.formats.add(split.format)
    taken, some, started = Amounts(), b"", time.perf_counter()
    for batch in read_split(split, sample.item, manifest.limits, manifest.metadata_names):
        read_s = time.perf_counter() - started
        records = batch.records.slice(0, _n_within(batch.records, budget_bytes - taken.content_bytes))
        taken.seconds += read_s * len(records) / max(len(batch.records), 1)
        taken.add(_measure_part(Batch(records, batch.cursor, batch.skipped), measurer, run, sample.failed))
        some = some or b"".join(value or b"" for value in records.column("content")[:200].to_pylist())
        if taken.content_bytes >= budget_bytes or len(records) < len(batch.records):
            place = _place(split, records, taken.n_records, batch.cursor)
            return taken, place or _compressed(some, taken.content_bytes, size_bytes)
        started = time.perf_counter()
    return taken, 1.0


def _n_within(records: pa.RecordBatch, n_bytes: float) -> int:
    """How many of the first records hold so many bytes of content; one at least."""
    ends = np.cumsum(records.column("n_bytes").fill_null(0).to_numpy())
    return min(len(records), int(np.searchsorted(ends, n_bytes)) + 1)


def _measure_part(batch: Batch, measurer: Measurer, run: Folder, failed: Counter[str] | None = None) -> Amounts:
    """Measure a batch into a part of its own; what failed is added to `failed`, by reason."""
    started = time.perf_counter()
    part, table = Part(), measurer.measure(batch.records)
    part.add(batch, table, 0)
    if failed is not None:
        failed.update(table.filter(pc.equal(table.column("verdict"), "failed")).column("reason").to_pylist())
    name = f"{len((run / 'measured').names('.parquet')):016x}-00000"
    write_part(run, name, part, measurer)
    seconds = time.perf_counter() - started
    counts, stored = part.counts, (run / "measured").size_bytes(f"{name}.parquet")
    return Amounts(counts.n_read, counts.content_bytes, counts.text_bytes, stored, seconds)


def _place(split: Split, records: pa.RecordBatch, n_records: float, cursor: int) -> float:
    """The share of a split that was read, by the place of the last records; 0 where that says nothing."""
    if split.format == "parquet":
        return n_records / max(_n_rows(split), 1)
    if split.format == "text":
        return n_records / max(len(split.files), 1)
    if split.files:
        return cursor // RECORDS_PER_FILE / len(split.files)
    if split.format == "warc" or split.path.endswith((".jsonl", ".ndjson")):
        return float((records.column("offset")[-1].as_py() or 0) - split.start) / max(split.end - split.start, 1)
    return 0.0


def _compressed(some: bytes, content_bytes: float, size_bytes: float) -> float:
    """The share of a compressed file that so much content is, judged by how well some of it compresses."""
    return min(1.0, content_bytes * len(zlib.compress(some)) / max(len(some), 1) / max(size_bytes, 1.0))


def _n_rows(split: Split) -> int:
    with open_input(split.path) as file:
        parquet = open_parquet(file, split.path)
        return sum(parquet.metadata.row_group(i).num_rows for i in range(split.start, split.end))


def half_of(run: Folder, half: Folder) -> None:
    """Put every second part of a sample into another folder; the only one of a sample that has one."""
    for table in ("measured", "keys"):
        for name in (run / table).names(".parquet")[::2]:
            (half / table).write_bytes(name, (run / table).read_bytes(name))


def decide_sample(job: Job, run: Folder) -> Decision:
    """Decide over measured parts as `onggi curate` does, in this process; earlier runs are left out."""
    dedup = job.manifest.dedup.model_copy(update={"against": []})
    manifest = job.manifest.model_copy(update={"dedup": dedup})
    names = (run / "measured").names(".parquet")
    n_rows = sum((run / "measured").parquet_metadata(name).num_rows for name in names)
    text_bytes = int((run / "measured").scan().select(pl.col("n_text_bytes").sum()).collect().item() or 0)
    with StepWatch(run) as watch:
        decided = decide(run, run / f"staging-{0:016x}", manifest, job.base, n_rows, text_bytes, progress=watch)
    n_lost = sum(tally.n_docs for tally in decided.summary.tallies if tally.stage == "dedup")
    stored = sum(_text_column_bytes((run / "measured").parquet_metadata(name)) for name in names)
    return Decision(n_rows, text_bytes, watch.steps, decided.n_kept + n_lost, decided.n_kept, stored)


def _text_column_bytes(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(column.total_compressed_size for column in columns if column.path_in_schema == "text")
