"""Rows that a stage trains on: of Parquet and JSONL files, a folder, a glob, or a run of `onggi synth`.

What a row must hold is the stage's to say: it parses rows one by one (`parsed`), and a row that is not what it should
be is left out and counted by its reason, with the first one named. Nothing is left out silently; a file of which no
row is any good is an error.
"""

import contextlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

import fsspec
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from polars.exceptions import PolarsError
from sqlglot import exp

from classifiers.rows import PARQUET, ROWS_AT_ONCE, input_files, json_rows
from curation.predicates import dotted_columns, parse_predicate, parse_tree
from manifests.contracts import check_version
from manifests.errors import RequestError
from manifests.record import RECORD
from manifests.store import Folder, resolve
from synth.record import read_synthesis

Values = dict[str, Any]
Parsed = TypeVar("Parsed")
IS_TRUE = "\0is_true"


@dataclass(frozen=True)
class Source:
    """Where rows come from, as a manifest says it."""

    path: str
    """Absolute: a file, a folder, a glob, or the folder of a run of `onggi synth`."""
    at: str
    """The entry of the manifest, as errors call it: `data[0]`."""
    where: str | None = None
    """SQL predicate over all columns."""
    limit: int | None = None
    """How many rows are taken: those whose contents hash lowest, so always the same ones."""
    table: str = "messages"
    """Which table of a run of `onggi synth`: `messages` or `preference`."""


@dataclass(frozen=True)
class Row:
    """A row, with the columns that were asked for."""

    file: str
    number: int
    """From 1; of JSONL that of the line."""
    values: Values

    @property
    def place(self) -> str:
        """As errors name it."""
        return f"{self.file}:{self.number}"


@dataclass
class Left:
    """What became of the rows that are not trained on."""

    counts: dict[str, int] = field(default_factory=dict)
    """Rows by reason: `where`, `limit`, and what was wrong with them."""
    examples: dict[str, str] = field(default_factory=dict)
    """The first row of each reason that is a fault: where it is, and what is wrong."""

    def count(self, reason: str, n: int = 1, example: str | None = None) -> None:
        """Take note of n rows."""
        if n:
            self.counts[reason] = self.counts.get(reason, 0) + n
        if example is not None:
            self.examples.setdefault(reason, example)


class BadRow(ValueError):
    """A row is not what it should be."""

    def __init__(self, reason: str, said: str) -> None:
        super().__init__(said)
        self.reason = reason
        """In a word or some joined by _: `empty_content`."""
        self.said = said
        """The field, what was found, and what would be valid."""


def source_of(path: str, base: str, at: str, **more: Any) -> Source:
    """A source whose relative path starts at `base`; `more` are fields of `Source`."""
    return Source(path=resolve(path, base), at=at, **more)


def data_files(source: Source) -> list[str]:
    """The files of a source, ordered by name.

    Raises:
        RequestError: there are none; names the entry of the manifest.
    """
    try:
        return input_files(_table_of_a_run(source) or source.path)
    except RequestError as error:
        raise RequestError(f"{source.at}.path: {error}") from None


def _table_of_a_run(source: Source) -> str | None:
    """The folder of the table, where the path is a run's.

    Raises:
        RequestError: the run is another command's, or has no such table.
    """
    filesystem, inner = fsspec.core.url_to_fs(source.path)
    if not filesystem.isdir(inner) or not filesystem.exists(f"{inner.rstrip('/')}/{RECORD}"):
        return None
    run = Folder(source.path)
    read_synthesis(run)
    if not (run / source.table).names(".parquet"):
        there = [name for name in ("messages", "preference", "text") if run.exists(name)]
        raise RequestError(f"{source.path}: the run has no {source.table!r}; it has {', '.join(there) or 'none'}")
    return f"{source.path}/{source.table}"


def parsed(
    source: Source, columns: Sequence[str], parse: Callable[[Row], Parsed], left: Left
) -> Iterator[tuple[Row, Parsed]]:
    """The rows of a source, each with what it was parsed to, in the order of the files.

    Args:
        source: where they come from.
        columns: those that are read; a file must have one of them at least.
        parse: makes something of a row, or raises `BadRow`.
        left: rows that are left out are counted here.

    Raises:
        RequestError: there is no such file, `where` is wrong, or all rows of a file are bad: names the first one.
        RunError: a line is no JSON object.
    """
    n_good, first_fault, file = 0, "", ""
    for row in read_rows(source, columns, left):
        if row.file != file:
            _check_some_good(n_good, first_fault)
            n_good, first_fault, file = 0, "", row.file
        try:
            made = parse(row)
        except BadRow as fault:
            said = f"{row.place}: {fault.said}"
            left.count(fault.reason, example=said)
            first_fault = first_fault or f"{source.at}: no row of the file can be used; the first: {said}"
            continue
        n_good += 1
        yield row, made
    _check_some_good(n_good, first_fault)


def _check_some_good(n_good: int, first_fault: str) -> None:
    if first_fault and not n_good:
        raise RequestError(first_fault)


def read_rows(source: Source, columns: Sequence[str], left: Left) -> Iterator[Row]:
    """The rows of a source in the order of its files, as they are; see `parsed`."""
    rows = _chosen_rows(source, columns, left)
    return rows if source.limit is None else _sample(rows, source.limit, left)


def _sample(rows: Iterable[Row], limit: int, left: Left) -> Iterator[Row]:
    """Those that hash lowest, in their order; holds no more of them than that."""
    lowest, n_rows = list[tuple[int, int, Row]](), 0
    for place, row in enumerate(rows):
        entry = (-content_hash(row.values), -place, row)
        n_rows += 1
        if len(lowest) < limit:
            heapq.heappush(lowest, entry)
        else:
            heapq.heappushpop(lowest, entry)
    left.count("limit", n_rows - len(lowest))
    yield from (row for _, _, row in sorted(lowest, key=lambda entry: -entry[1]))


def content_hash(value: Any) -> int:
    """XXH3-64 of something that JSON can say; what it cannot counts as Python writes it."""
    return xxhash.xxh3_64_intdigest(orjson.dumps(value, default=repr, option=orjson.OPT_SORT_KEYS))


# Batches of a file


@dataclass(frozen=True)
class _Batch:
    numbers: Sequence[int]
    rows: Sequence[Values]
    frame: pl.DataFrame
    """The columns that `where` names."""


def _chosen_rows(source: Source, columns: Sequence[str], left: Left) -> Iterator[Row]:
    where = _Where(source)
    is_a_runs = _table_of_a_run(source) is not None
    for path in data_files(source):
        with fsspec.open(path, "rb") as file:
            is_parquet = file.read(4) == PARQUET
            file.seek(0)
            table = source.table if is_a_runs else None
            batches = (
                _parquet_batches(source, file, path, columns, where, table)
                if is_parquet
                else _json_batches(source, file, path, columns, where)
            )
            for batch in batches:
                chosen = where.is_true(batch.frame, path, len(batch.rows))
                left.count("where", len(chosen) - sum(chosen))
                for number, values, is_chosen in zip(batch.numbers, batch.rows, chosen, strict=True):
                    if is_chosen:
                        yield Row(path, number, {name: values.get(name) for name in columns})


def _parquet_batches(
    source: Source, file: BinaryIO, path: str, columns: Sequence[str], where: "_Where", table: str | None
) -> Iterator[_Batch]:
    try:
        parquet, first = pq.ParquetFile(file), 1
    except pa.ArrowException as error:
        raise RequestError(f"{path}: is no Parquet file that can be read: {error}") from error
    schema = parquet.schema_arrow
    if table is not None:
        check_version(schema, table, path)
    _check_columns(source, path, columns, schema.names)
    where.check(path, dotted_columns(schema))
    there = [name for name in schema.names if name in (*columns, *where.columns)]
    read = [name for name in there if name in columns]
    as_json = [name for name in read if _holds_json(schema.field(name).type)]
    for batch in parquet.iter_batches(batch_size=ROWS_AT_ONCE, columns=there):
        rows = batch.select(read).to_pylist()
        for row in rows:
            row |= {name: _from_json(row[name]) for name in as_json}
        judged = pa.Table.from_batches([batch]).select([name for name in there if name in where.columns])
        yield _Batch(range(first, first + len(batch)), rows, pl.DataFrame(judged))
        first += len(batch)


def _holds_json(kind: pa.DataType) -> bool:
    """Whether values are JSON, or lists of it, of Arrow's extension type."""
    return bool(kind == pa.json_() or (pa.types.is_list(kind) and kind.value_type == pa.json_()))


def _from_json(value: Any) -> Any:
    """What JSON says; what is none stays as it is."""
    if isinstance(value, list):
        return [_from_json(one) for one in value]
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _json_batches(
    source: Source, file: BinaryIO, path: str, columns: Sequence[str], where: "_Where"
) -> Iterator[_Batch]:
    there: set[str] = set()
    types: dict[str, pa.DataType] = {}
    for numbers, _, rows in json_rows(file, path):
        is_first = not there
        there.update(name for row in rows for name in row)
        if is_first:
            _check_columns(source, path, columns, sorted(there))
        judged = [name for name in where.columns if name in there]
        frame = pl.DataFrame({name: pl.Series([row.get(name) for row in rows], strict=False) for name in judged})
        found = dotted_columns(frame.to_arrow().schema) | {name: pa.null() for name in there if name not in judged}
        types |= {name: kind for name, kind in found.items() if name not in types or not pa.types.is_null(kind)}
        where.check(path, types)
        yield _Batch(numbers, rows, frame)


def _check_columns(source: Source, path: str, columns: Sequence[str], found: Sequence[str]) -> None:
    if not set(columns) & set(found):
        wanted = " or ".join(f"`{name}`" for name in columns)
        raise RequestError(f"{source.at}: {path}: has no column {wanted}; found: {', '.join(found)}")


class _Where:
    """The predicate of a source, checked for each file by the types of its columns."""

    def __init__(self, source: Source) -> None:
        self._source, self._predicate = source, pl.lit(True)
        self._types: Mapping[str, pa.DataType] = {}
        self.columns: list[str] = []
        """Those that it names, without what follows a dot."""
        if source.where is not None:
            with _at_where(source):
                names = (column.parts[0].name for column in parse_tree(source.where).find_all(exp.Column))
                self.columns = list(dict.fromkeys(names))

    def check(self, path: str, types: Mapping[str, pa.DataType]) -> None:
        """Compile it for columns of these types.

        Raises:
            RequestError: it names one that is not there, or compares what does not go together.
        """
        if self._source.where is not None and types != self._types:
            with _at_where(self._source, path):
                self._predicate, self._types = parse_predicate(self._source.where, types).expr, dict(types)

    def is_true(self, frame: pl.DataFrame, path: str, n_rows: int) -> list[bool]:
        """Of each row, whether it is true."""
        if self._source.where is None:
            return [True] * n_rows
        try:
            is_true: list[bool] = frame.select(self._predicate.fill_null(False).alias(IS_TRUE))[IS_TRUE].to_list()
        except PolarsError as error:
            said = str(error).splitlines()[0]
            raise RequestError(f"{self._source.at}.where: {path}: `{self._source.where}`: {said}") from error
        return is_true


@contextlib.contextmanager
def _at_where(source: Source, path: str | None = None) -> Iterator[None]:
    """Errors of predicates name the entry of the manifest, and the file."""
    try:
        yield
    except RequestError as error:
        place = f"{source.at}.where: " + (f"{path}: " if path else "")
        raise RequestError(f"{place}{error}") from None
