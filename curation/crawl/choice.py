"""What is wanted of a crawl: conditions on columns of its index, by the statistics of row groups and row by row.

The columns that the choice is made by are read first, and those that say where a record is only where one was chosen.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from xxhash import xxh3_64_intdigest

from curation.crawl.index import IndexFile
from manifests.errors import RequestError
from manifests.schema_crawl import Crawl

FILE, OFFSET, LENGTH = "warc_filename", "warc_record_offset", "warc_record_length"
LANGUAGES, STATUS, MIME = "content_languages", "fetch_status", "content_mime_detected"
TLD, DOMAIN, HOST, URL, SURT = (
    "url_host_tld",
    "url_host_registered_domain",
    "url_host_name",
    "url",
    "url_surtkey",
)
COLUMNS = frozenset(
    {SURT, URL, HOST, TLD, "url_host_2nd_last_part", "url_host_3rd_last_part", "url_host_4th_last_part"}
    | {"url_host_5th_last_part", "url_host_registry_suffix", DOMAIN, "url_host_private_suffix"}
    | {"url_host_private_domain", "url_host_name_reversed", "url_protocol", "url_port", "url_path", "url_query"}
    | {"fetch_time", STATUS, "fetch_redirect", "content_digest", "content_mime_type", MIME, "content_charset"}
    | {LANGUAGES, "content_truncated", "warc_segment", FILE, OFFSET, LENGTH}
)
"""Of the table, by cc-index-schema-flat.json of commoncrawl/cc-index-table; what can be a record's metadata."""


@dataclass(frozen=True)
class Chosen:
    """The wanted records of a row group, ordered by file and offset: an order that no index decides."""

    files: list[str]
    """Names below the base; `file` counts into these."""
    file: np.ndarray[Any, Any]
    offset: np.ndarray[Any, Any]
    length: np.ndarray[Any, Any]
    """Bytes of the compressed member."""
    row: np.ndarray[Any, Any]
    """Within the row group."""
    facts: dict[str, list[str | None]]
    """Further columns, as strings."""

    def __len__(self) -> int:
        return len(self.row)


class Choice:
    """What a manifest wants of a crawl, as conditions on columns of its index."""

    def __init__(self, crawl: Crawl, languages: list[str]) -> None:
        self.crawl, self.languages = crawl, languages
        self.places = {TLD: crawl.tlds, DOMAIN: crawl.domains, HOST: crawl.hosts}
        self.bounds = _surt_bounds(crawl)

    @property
    def columns(self) -> list[str]:
        """The columns that it is made by."""
        chosen = [name for name, values in self.places.items() if values]
        return [STATUS, *([MIME] if self.crawl.mimes else []), *([LANGUAGES] if self.languages else []), *chosen]

    def may_hold(self, group: pq.RowGroupMetaData) -> bool:
        """Whether a row group may hold a wanted record, by the statistics of its columns."""
        numbers = {group.column(number).path_in_schema: number for number in range(group.num_columns)}
        stats = {name: group.column(numbers[name]).statistics for name in numbers}

        def within(name: str, bounds: list[tuple[Any, Any]]) -> bool:
            of = stats.get(name)
            if of is None:
                return True
            if of.has_null_count and of.null_count == group.num_rows:
                return False
            if not of.has_min_max or type(of.max) is not type(bounds[0][0]):
                return True
            return any(low <= of.max and of.min < high for low, high in bounds)

        crawl, languages = self.crawl, self.languages
        tests = [within(STATUS, [(crawl.status, crawl.status + 1)])]
        if crawl.mimes:
            tests.append(within(MIME, [(mime, f"{mime}\0") for mime in crawl.mimes]))
        if languages and crawl.match == "primary":
            tests.append(within(LANGUAGES, [(language, f"{language}-") for language in languages]))
        elif languages:
            tests.append(within(LANGUAGES, [("", "~")]))
        if self.bounds:
            tests.append(within(SURT, self.bounds))
        return all(tests)

    def mask(self, rows: pa.RecordBatch) -> np.ndarray[Any, Any]:
        """Which rows are wanted, `sample` aside."""
        crawl = self.crawl
        wanted = _is_in(rows.column(STATUS), [crawl.status])
        if crawl.mimes:
            wanted &= _is_in(rows.column(MIME), crawl.mimes)
        if self.languages:
            wanted &= _speaks(rows.column(LANGUAGES), self.languages, primary=crawl.match == "primary")
        places = [_is_in(rows.column(name), values) for name, values in self.places.items() if values]
        return wanted & np.logical_or.reduce(places) if places else wanted


def _surt_bounds(crawl: Crawl) -> list[tuple[str, str]]:
    """Between which sort keys records of the wanted places lie; none where every place is wanted, or one is a number.

    A key is the host with its parts reversed and joined by commas, without `www.`, then `)` and the path; after a
    host comes `)`, or a comma and a further part, or `:` and a port.
    """
    names = [*crawl.tlds, *(re.sub(r"^www\d*\.", "", name) for name in [*crawl.domains, *crawl.hosts])]
    if any(name.rpartition(".")[2].isdigit() or ":" in name for name in names):
        return []
    reversed_ = [",".join(reversed(name.split("."))) for name in names]
    return [(f"{name})", f"{name};") for name in reversed_]


def _over_values(array: pa.Array, test: Any) -> np.ndarray[Any, Any]:
    """A test of each value, made once per value of a dictionary; False for nulls."""
    repeated = pa.types.is_dictionary(array.type)
    found = pc.take(test(array.dictionary), array.indices) if repeated else test(array)
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False), bool)


def _is_in(array: pa.Array, values: list[Any]) -> np.ndarray[Any, Any]:
    return _over_values(array, lambda of: pc.is_in(of, pa.array(values, of.type)))


def _speaks(array: pa.Array, languages: list[str], *, primary: bool) -> np.ndarray[Any, Any]:
    pattern = f"{'^' if primary else '(^|,)'}({'|'.join(languages)})(,|$)"
    return _over_values(array, lambda of: pc.match_substring_regex(of, pattern))


def choose(index: IndexFile, group: int, choice: Choice, facts: list[str], n_max: int | None) -> Chosen:
    """The wanted records of a row group.

    Args:
        index: the file.
        group: which of its row groups.
        choice: what is wanted.
        facts: further columns to give; those that the file lacks are null.
        n_max: how many at most: those whose hash comes first.

    Raises:
        RequestError: the file lacks a column that the choice is made by.
        RunError: the index cannot be read.
    """
    check_columns(index, choice)
    masks = [choice.mask(rows) for rows in index.rows(group, choice.columns)]
    mask = np.concatenate(masks) if masks else np.zeros(0, bool)
    if not mask.any() or n_max == 0:
        none = np.zeros(0, np.int64)
        return Chosen([], none, none, none, none, {name: [] for name in facts})
    known = [name for name in facts if name in index.columns]
    found, at = [], 0
    for rows in index.rows(group, list(dict.fromkeys([FILE, OFFSET, LENGTH, *known]))):
        of_rows = np.flatnonzero(mask[at : at + rows.num_rows])
        found.append(_located(rows.take(pa.array(of_rows)), of_rows + at, known))
        at += rows.num_rows
    table = pa.Table.from_batches(found)
    table = _sampled(table, choice.crawl.sample, n_max)
    table = table.sort_by([(FILE, "ascending"), (OFFSET, "ascending"), ("row", "ascending")])
    names = table.column(FILE).combine_chunks().dictionary_encode()
    return Chosen(
        names.dictionary.to_pylist(),
        names.indices.to_numpy(),
        table.column(OFFSET).to_numpy(),
        table.column(LENGTH).to_numpy(),
        table.column("row").to_numpy(),
        {name: table.column(f"fact {name}").to_pylist() if name in known else [None] * len(table) for name in facts},
    )


def check_columns(index: IndexFile, choice: Choice) -> None:
    """Refuse a choice by columns that the index of this crawl lacks.

    Raises:
        RequestError: names the columns.
    """
    missing = [name for name in [*choice.columns, FILE, OFFSET, LENGTH] if name not in index.columns]
    if missing:
        why = "; languages are known since CC-MAIN-2018-39" if LANGUAGES in missing else ""
        raise RequestError(f"{index.path}: the index has no columns {', '.join(missing)}{why}")


def _located(rows: pa.RecordBatch, numbers: np.ndarray[Any, Any], facts: list[str]) -> pa.RecordBatch:
    columns = {
        FILE: pc.fill_null(rows.column(FILE).cast(pa.string()), ""),  # what is missing makes a row that failed
        OFFSET: pc.fill_null(rows.column(OFFSET).cast(pa.int64()), -1),
        LENGTH: pc.fill_null(rows.column(LENGTH).cast(pa.int64()), -1),
        "row": pa.array(numbers, pa.int64()),
    }
    columns |= {f"fact {name}": rows.column(name).cast(pa.string()) for name in facts}
    return pa.RecordBatch.from_pydict(columns)


def _sampled(table: pa.Table, frac: float, n_max: int | None) -> pa.Table:
    """The rows whose hash falls into the first part of its range, and of these so many at most."""
    if frac >= 1 and (n_max is None or len(table) <= n_max):
        return table
    places = zip(table.column(FILE).to_pylist(), table.column(OFFSET).to_pylist(), strict=True)
    hashes = np.array([xxh3_64_intdigest(f"{name} {offset}".encode()) for name, offset in places], np.uint64)
    order = np.argsort(hashes, kind="stable")
    n_within = int(np.searchsorted(hashes[order], np.uint64(min(frac, 1.0) * (2**64 - 1025)), side="right"))
    return table.take(pa.array(order[: n_within if n_max is None else min(n_within, n_max)]))
