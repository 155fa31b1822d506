"""`onggi plan`: what a manifest will read, keep in memory, write and take, from a few measured samples."""

import io
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.measure import Measurer
from curation.pipeline import Job, split_sizes, warm_up
from curation.read import Split, read_split
from manifests.engine import resident_bytes
from manifests.schema import CorpusManifest, Input
from manifests.store import COMPRESSION, COMPRESSION_LEVEL

SAMPLE_SPLITS = 8
SAMPLE_BYTES = 2 << 20
"""Content measured per sampled split."""
HELD_FACTOR = 4.0
"""Memory held per byte of a shard: rows as read, as measured, ordered and encoded."""


@dataclass(frozen=True)
class InputEstimate:
    """One input: its files, and what a sample says of all of it."""

    source: str
    path: str
    format: str
    n_files: int
    n_splits: int
    size_bytes: int
    n_records: int
    content_bytes: int
    text_bytes: int


@dataclass(frozen=True)
class Estimate:
    """What a run will take; everything but `size_bytes` is extrapolated from `sampled_bytes` of content."""

    inputs: list[InputEstimate]
    sampled_bytes: int
    measure_mb_s: float
    seconds: float
    ram_bytes: int
    disk_bytes: int

    @property
    def n_records(self) -> int:
        """Records in all inputs."""
        return sum(item.n_records for item in self.inputs)

    @property
    def size_bytes(self) -> int:
        """Size of all input files."""
        return sum(item.size_bytes for item in self.inputs)


@dataclass
class _Sample:
    """What was seen of an input."""

    input_bytes: float = 0.0
    n_records: int = 0
    content_bytes: int = 0
    text_bytes: int = 0
    disk_bytes: int = 0
    seconds: float = 0.0
    formats: set[str] = field(default_factory=set)


def estimate(job: Job) -> Estimate:
    """Measure a few MB of each input and extrapolate to all of it; the manifest's outputs are not touched."""
    warm_up(job.manifest)
    measurer = Measurer(job.manifest)
    inputs, total = [], _Sample()
    scale_s = disk = 0.0
    for number, item in enumerate(job.manifest.inputs):
        splits = [split for owner, split in job.splits if owner is job.manifest.inputs[number]]
        files = {(split.path, split.file_digest): split.file_bytes for split in splits}
        sample = _sample(splits, item, job.manifest, measurer)
        factor = sum(files.values()) / max(sample.input_bytes, 1.0)
        inputs.append(
            InputEstimate(
                item.source,
                item.path,
                "+".join(sorted(sample.formats)),
                sum(max(1, len(split.files)) for split in splits) if splits[0].files else len(files),
                len(splits),
                sum(files.values()),
                round(sample.n_records * factor),
                round(sample.content_bytes * factor),
                round(sample.text_bytes * factor),
            )
        )
        scale_s += sample.seconds * factor
        disk += sample.disk_bytes * factor
        total.content_bytes += sample.content_bytes
        total.seconds += sample.seconds
    shard_bytes = min(job.manifest.limits.shard_bytes, max(item.content_bytes for item in inputs))
    return Estimate(
        inputs,
        total.content_bytes,
        total.content_bytes / 1e6 / max(total.seconds, 1e-9),
        scale_s / job.n_workers,
        round((resident_bytes() + HELD_FACTOR * shard_bytes) * (1 if job.n_workers == 1 else job.n_workers + 0.3)),
        round(disk * (2 if job.manifest.store == "all" else 1.1)),
    )


def _sample(splits: list[Split], item: Input, manifest: CorpusManifest, measurer: Measurer) -> _Sample:
    sample = _Sample()
    step = max(1, len(splits) // SAMPLE_SPLITS)
    sizes = split_sizes(splits)
    for split, whole in list(zip(splits, sizes, strict=True))[::step][:SAMPLE_SPLITS]:
        sample.formats.add(split.format)
        content_bytes = n_records = 0
        content = b""
        ended = True
        for batch in read_split(split, item, manifest.limits, manifest.metadata_names):
            started = time.perf_counter()
            table = measurer.measure(batch.records)
            sample.disk_bytes += _stored_bytes(table)
            sample.seconds += time.perf_counter() - started
            n_records += table.num_rows
            content_bytes += pc.sum(batch.records.column("n_bytes")).as_py() or 0
            sample.text_bytes += pc.sum(table.column("n_text_bytes")).as_py() or 0
            content = content or b"".join(_some(batch.records))
            if content_bytes >= SAMPLE_BYTES:
                ended = False
                break
        sample.n_records += n_records
        sample.content_bytes += content_bytes
        sample.input_bytes += whole if ended else min(whole, content_bytes * _compression(split, content))
    return sample


def _some(records: pa.RecordBatch) -> Iterator[bytes]:
    for value in records.column("content").to_pylist()[:200]:
        yield value or b""


def _compression(split: Split, content: bytes) -> float:
    """Bytes of the file per byte of content: 1 for plain files, else what zlib makes of the sampled content."""
    plain = split.path.endswith((".warc", ".jsonl", ".ndjson", ".txt", ".md"))
    return 1.0 if plain or not content else len(zlib.compress(content)) / len(content)


def _stored_bytes(table: pa.Table) -> int:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression=COMPRESSION, compression_level=COMPRESSION_LEVEL)
    return sink.tell()
