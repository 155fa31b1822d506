"""Whether the disk can hold a run, from the size of its inputs alone: cheap enough to be asked before every run.

The factors are those of inputs that take little (benchmarks/plan.py), so that a refusal is right; `onggi plan`
measures a sample and tells more.
"""

import shutil
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from curation.pipeline import Job, split_sizes
from curation.plan_watch import table_bytes
from manifests.errors import RequestError
from manifests.store import Folder

TEXT_FACTOR = 1.7
"""On disk at the peak per byte of compressed text: measured columns, keys, documents and ledger."""
WEB_FACTOR = 0.4
"""The same per byte of a compressed WARC, of which most is markup."""
PLAIN_FRAC = 0.25
"""What compression leaves of files that are stored as they are."""
PLAIN_SUFFIXES = (".jsonl", ".ndjson", ".warc", ".wet", ".xml")
NEAR_FACTOR, LINES_FACTOR, SPANS_FACTOR = 0.2, 0.3, 0.6
"""What these parts of dedup add, per byte of compressed text."""


def needed_bytes(job: Job) -> int:
    """What a run takes on disk at its peak, at least; nothing is read."""
    dedup = job.manifest.dedup
    asked = ((dedup.near, NEAR_FACTOR), (dedup.lines, LINES_FACTOR), (dedup.spans, SPANS_FACTOR))
    grows = 1 + sum(factor for wanted, factor in asked if wanted) / TEXT_FACTOR
    splits = [split for _, split in job.splits]
    needed = 0.0
    for split, size_bytes in zip(splits, split_sizes(splits), strict=True):
        if split.format == "crawl":
            continue  # the size of an index says nothing; `onggi plan` looks into it
        is_plain = split.format == "text" or split.path.endswith(PLAIN_SUFFIXES)
        factor = WEB_FACTOR if split.format == "warc" else TEXT_FACTOR
        needed += size_bytes * factor * (PLAIN_FRAC if is_plain else 1.0)
    return round(needed * grows * job.sample_frac)


def free_bytes(path: str) -> int | None:
    """What is free where a folder is, or would be; None where only the filesystem itself knows."""
    folder = Folder(path)
    if not isinstance(folder.fs, LocalFileSystem):
        return None
    there = Path(folder.root)
    return shutil.disk_usage(next(place for place in (there, *there.parents) if place.exists())).free


def check_disk(job: Job) -> None:
    """Refuse a run that the disk of its output cannot hold; what is there of it counts. Only local disks are asked.

    Raises:
        RequestError: says how much is needed, and how much is free where.
    """
    needed, free = needed_bytes(job), free_bytes(job.output)
    if free is None or needed <= free:
        return
    there = sum(table_bytes(Folder(job.output)).values())
    if needed - there > free:
        raise RequestError(
            f"{job.output}: the run takes at least {(needed - there) / 1e9:,.3g} GB there, and {free / 1e9:,.3g} GB "
            "are free; nothing was written. `onggi plan` tells more. Free space, write elsewhere with --output, or "
            "start it all the same with --skip-disk-check"
        )
