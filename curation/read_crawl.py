"""Common Crawl by its columnar index: a row group of it is a split, and of the WARC files only what it names is read.

Nothing looks at the whole index before the work begins: planning takes the footers of its files, whose statistics
rule out most row groups where places are named, and each worker chooses the records of its own row groups.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from xxhash import xxh3_64_hexdigest, xxh3_128_digest

from curation.crawl.choice import COLUMNS, Choice, Chosen, check_columns, choose
from curation.crawl.index import TABLE, IndexFile, index_file, index_names
from curation.crawl.ranges import Member, members
from curation.crawl.source import BUSY, FetchError, Source, is_safe, source_of
from curation.read_batch import Batch, Event, Record, Split, batches
from curation.read_warc import member_events
from manifests.errors import RequestError, RunError
from manifests.schema import Input, Limits

if TYPE_CHECKING:
    from manifests.schema_crawl import Crawl

PUBLIC = "https://data.commoncrawl.org"
"""Where Common Crawl publishes its crawls."""
FAILURES_IN_ROW = 20
"""So many ranges in a row that cannot be had are no matter of single records: the run stops."""
EVENTS_PER_RECORD = 1 << 20
"""A cursor is the number of a chosen record, times this, and how many records of its member come before."""


def plan_crawl(item: Input, base: str) -> list[Split]:
    """The splits of a crawl: each a row group of its index that may hold chosen records.

    Args:
        item: with `crawl`.
        base: URL or folder that the crawl's files lie below; empty for the public one.

    Raises:
        RequestError: no such crawl, an index without a column that is asked for, or no contact for the public host.
        RunError: the index cannot be had.
    """
    crawl = _crawl(item)
    base = (base or PUBLIC).rstrip("/")
    _check_contact(crawl, base)
    source, choice = source_of(base, crawl.fetch), Choice(crawl, item.languages)
    try:
        names = index_names(source, crawl)
        with ThreadPoolExecutor(crawl.fetch.connections) as pool:
            opened = pool.map(lambda name: IndexFile(source, name), names)
            splits = [split for index in opened for split in _splits(index, item, choice)]
    except FetchError as error:
        raise RunError(
            f"source {item.source!r}: the index of {crawl.id} cannot be had from {base}: {error}"
        ) from error
    if not splits:
        raise RequestError(
            f"source {item.source!r}: no row group of {crawl.id} can hold what `crawl` asks for: see tlds, domains, "
            "hosts, mimes, status and languages"
        )
    return _limited(splits, crawl)


def read_crawl(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of the chosen records of one row group; see `curation.read.read_split`.

    Raises:
        RunError: the index is not the one that was planned with, or many records in a row cannot be fetched.
    """
    yield from batches(_events(split, item, limits, cursor), split, item, metadata_names)


def count_crawl(split: Split, item: Input) -> tuple[int, int]:
    """(records, bytes of their ranges) that a split will fetch, by its row group of the index alone.

    Raises:
        RunError: the index cannot be read.
    """
    _, chosen = _chosen(split, item)
    return len(chosen), int(chosen.length.sum())


def _crawl(item: Input) -> "Crawl":
    assert item.crawl  # those without one are read by their files
    return item.crawl


def _check_contact(crawl: "Crawl", base: str) -> None:
    if not crawl.fetch.contact and (urlsplit(base).hostname or "").endswith("commoncrawl.org"):
        raise RequestError(
            f"crawl.fetch.contact: {base} is shared by everyone; say who asks, as {{contact: you@example.org}}, so "
            "that Common Crawl can write before it has to block"
        )


def _splits(index: IndexFile, item: Input, choice: Choice) -> list[Split]:
    check_columns(index, choice)
    size_bytes, digest = index.tail.size_bytes, index.tail.digest
    return [
        Split(item.source, index.path, "crawl", group, group + 1, size_bytes, digest)
        for group in range(index.metadata.num_row_groups)
        if choice.may_hold(index.metadata.row_group(group))
    ]


def _limited(splits: list[Split], crawl: "Crawl") -> list[Split]:
    """The splits that `row_groups` lets through, with their parts of `max_records`."""
    order = sorted(splits, key=lambda split: xxh3_64_hexdigest(f"{_name(split)} {split.start}".encode()))[
        : crawl.row_groups
    ]
    if crawl.max_records is None:
        return sorted(order, key=lambda split: (split.path, split.start))
    least, n_more = divmod(crawl.max_records, len(order))
    limited = [replace(split, n_max=least + (number < n_more)) for number, split in enumerate(order)]
    return sorted((split for split in limited if split.n_max), key=lambda split: (split.path, split.start))


def _name(split: Split) -> str:
    """The index file's name below the base."""
    return f"{TABLE}{split.path.rpartition(TABLE)[2]}"


def _chosen(split: Split, item: Input) -> tuple[Source, Chosen]:
    crawl = _crawl(item)
    source = source_of(split.path.rpartition(f"/{TABLE}")[0], crawl.fetch)
    try:
        index = index_file(source, _name(split))
    except FetchError as error:
        raise RunError(f"{split.path}: the index cannot be had: {error}; run again to go on") from error
    if index.tail.digest != split.file_digest:
        index_file.cache_clear()
        raise RunError(f"{split.path}: the index changed while it was read; run again")
    facts = sorted(COLUMNS & set(item.metadata.values()))
    return source, choose(index, split.start, Choice(crawl, item.languages), facts, split.n_max)


def _events(split: Split, item: Input, limits: Limits, cursor: int) -> Iterator[Event]:
    """What comes of each chosen record. Failures wait until the host is known to be there: an outage leaves none."""
    source, chosen = _chosen(split, item)
    first, n_done = divmod(cursor, EVENTS_PER_RECORD)
    waiting: list[tuple[int, Member]] = []
    safe = replace(chosen, files=[name if is_safe(name) else "" for name in chosen.files])
    for at, member in members(source, safe, first, _crawl(item).fetch, limits.record_bytes):
        waiting.append((at, member))
        if isinstance(member, FetchError):
            is_new = not waiting[:-1] or member is not waiting[-2][1]  # records that were asked for together share it
            source.n_failed_in_row += is_new
            _check_outage(source, member)
            if at + 1 < len(chosen):
                continue
        elif member:
            source.n_failed_in_row = 0
        _check_there(source, _name(split), [member for _, member in waiting])
        for at_, member_ in waiting:
            yield from _of_member(source, chosen, at_, member_, item, limits, n_done if at_ == first else 0)
        waiting.clear()


def _check_outage(source: Source, error: FetchError) -> None:
    n_failed = source.n_failed_in_row
    if n_failed >= FAILURES_IN_ROW:
        source.n_failed_in_row = 0  # of whoever goes on in this process
        raise _outage(source, f"{n_failed} ranges in a row could not be fetched (the last: {error})")


def _check_there(source: Source, name: str, members: list[Member]) -> None:
    """Ask for something that is known to be there, if one of these failed as in an outage."""
    if any(isinstance(member, FetchError) and (member.status is None or member.status in BUSY) for member in members):
        try:
            source.tail(name, 8)
        except FetchError as error:
            raise _outage(source, f"nothing can be fetched any more ({error})") from error


def _outage(source: Source, what: str) -> RunError:
    slower = ", with a lower crawl.fetch.requests_per_second where the host asks for less"
    hint = slower if source.base.startswith("http") else ""
    return RunError(f"{source.base}: {what}; what is whole is kept: run the same command again to go on{hint}")


def _of_member(
    source: Source, chosen: Chosen, at: int, member: Member, item: Input, limits: Limits, n_done: int
) -> Iterator[Event]:
    """The records of a fetched member (one, unless somebody put several into it), or why there are none."""
    name, offset, n_bytes = chosen.files[chosen.file[at]], int(chosen.offset[at]), int(chosen.length[at])
    found: Iterator[Record | str]
    if isinstance(member, bytes):
        found = member_events(member, name, item, limits)
    else:
        found = iter([_failed(name, offset, n_bytes, member, limits)])
    following, number = next(found, None), 0
    while (event := following) is not None:
        following, number = next(found, None), number + 1
        if number > n_done:
            if isinstance(event, Record):
                event.file, event.offset = f"{source.base}/{name}", offset
                event.metadata |= _facts(chosen, at, item)
            yield event, (at + 1) * EVENTS_PER_RECORD if following is None else at * EVENTS_PER_RECORD + number


def _failed(name: str, offset: int, n_bytes: int, error: FetchError | None, limits: Limits) -> Record:
    """A record of which only the index tells, as a failed row; its place is its name."""
    record = Record(offset=offset, kind="html", key=f"{name}:{offset}")
    digest = xxh3_128_digest(f"{name} {offset} {n_bytes}".encode())
    if error:
        record.value = error.status
        return record.fail("fetch_failed", str(error), digest, 0)
    if n_bytes > limits.record_bytes:
        return record.too_large(limits.record_bytes, n_bytes, digest, 0)
    wrong = "no file of a crawl" if not is_safe(name) else f"{n_bytes} bytes at {offset}"
    return record.fail("fetch_failed", f"the index names {wrong}", digest, 0)


def _facts(chosen: Chosen, at: int, item: Input) -> dict[str, Any]:
    return {name: chosen.facts[column][at] for name, column in item.metadata.items() if column in chosen.facts}
