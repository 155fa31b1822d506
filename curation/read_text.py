"""Folders of text and Markdown: one record per file."""

import unicodedata
from collections.abc import Iterator

from curation.read_batch import Batch, Event, Record, Split, batches
from curation.read_stream import digest_range, open_input
from manifests.schema import Input, Limits


def read_text(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of one split of a text folder; see `curation.read.read_split`."""
    yield from batches(_events(split, limits, cursor), split, item, metadata_names)


def _events(split: Split, limits: Limits, cursor: int) -> Iterator[Event]:
    """A cursor is an index into the split's files."""
    for index in range(max(cursor, split.start), split.end):
        yield _record(split.path, split.files[index], limits), index + 1


def _record(folder: str, name: str, limits: Limits) -> Record:
    path = f"{folder}/{name}"
    record = Record(offset=0, kind="text", key=unicodedata.normalize("NFC", name), file=path)
    with open_input(path) as file:
        content = file.read(limits.record_bytes + 1)
        if len(content) <= limits.record_bytes:
            return record.keep(content)
        n_bytes = file.seek(0, 2)
        return record.too_large(limits.record_bytes, n_bytes, digest_range(file, 0, n_bytes), n_bytes)
