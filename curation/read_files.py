"""Splits of whole files: each holds records of its own, as an archive does, and is read in order."""

from collections.abc import Callable, Iterator

from curation.read_batch import Event, Record, Split

RECORDS_PER_FILE = 1 << 24
"""A cursor is the index of a file, times this, and how many of the file's records come before."""

RecordsOf = Callable[[str, str], Iterator[Record | str]]
"""The records of a file, by its folder and its name there, always in the same order; a string is a kind of what is
skipped."""


def file_events(split: Split, cursor: int, records_of: RecordsOf) -> Iterator[Event]:
    """The records of a split's files with the cursor after each; a file is read again up to where the cursor is."""
    first, n_done = divmod(cursor, RECORDS_PER_FILE)
    for index in range(max(first, split.start), split.end):
        for number, event in enumerate(records_of(split.path, split.files[index]), 1):
            if index > first or number > n_done:
                yield event, index * RECORDS_PER_FILE + number
