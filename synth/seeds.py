"""The seeds of a manifest, from its files: each row an item, in the order of the files.

A row without text is left out and counted; a row that comes twice is taken once, from the first file that has it; two
rows that differ under one id are an error, since nobody could tell what was made of which.
"""

import heapq
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import fsspec
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from polars.exceptions import PolarsError

from classifiers.language import LanguageIdentifier
from classifiers.rows import PARQUET, ROWS_AT_ONCE, input_files, json_rows
from manifests.errors import RequestError
from manifests.record import Entry
from manifests.schema_synthesis import Seeds
from manifests.store import resolve
from synth.samples import Item

Row = dict[str, Any]
SHOWN_CHARS = 60
COLUMNS = ("text", "input", "answer", "choices", "tests", "tools", "quality", "id", "language", "license", "source")
"""Fields of `seeds` that name a column."""
IS_TRUE = "\0is_true"
"""Column of what `where` says of a row: of as many as there are numbers of rows, where it names no column."""


@dataclass
class SeedCounts:
    """What became of the rows."""

    n_items: int = 0
    n_blank: int = 0
    n_repeated: int = 0
    by_source: dict[str, int] = field(default_factory=dict)


def seed_files(seeds: Sequence[Seeds], base: str) -> list[Entry]:
    """Every file of seeds, with its size and the XXH3-128 of its bytes.

    Raises:
        RequestError: there is none.
    """
    found = []
    for number, entry in enumerate(seeds):
        try:
            paths = input_files(resolve(entry.path, base))
        except RequestError as error:
            raise RequestError(f"seeds[{number}].path: {error}") from None
        for path in paths:
            digest, size = xxhash.xxh3_128(), 0
            with fsspec.open(path, "rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
                    size += len(chunk)
            found.append(Entry(path=path, size_bytes=size, digest=digest.hexdigest(), source=entry.path))
    return found


def read_seeds(seeds: Sequence[Seeds], base: str, counts: SeedCounts | None = None) -> Iterator[Item]:
    """All seeds, numbered from 0.

    Args:
        seeds: entries of the manifest.
        base: where relative paths start.
        counts: filled while the seeds are read.

    Raises:
        RequestError: a column is missing or holds what it should not, `where` is wrong, or two rows that differ have
            one id; names file, row and field.
        RunError: a line is no JSON object.
    """
    counts = counts if counts is not None else SeedCounts()
    there: dict[int, int] = {}
    for entry in seeds:
        for item in _languages_told(_limited(entry, base, counts)):
            key = _hash(item.id)
            content = key if entry.id is None else _hash(repr(item))  # its id is all that it says
            if there.setdefault(key, content) != content:
                raise RequestError(f"{entry.path}: two seeds that differ have the id {item.id!r}; ids must be unique")
            if len(there) == counts.n_items:
                counts.n_repeated += 1
                continue
            counts.n_items += 1
            counts.by_source[item.source] = counts.by_source.get(item.source, 0) + 1
            yield replace(item, number=counts.n_items - 1)


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode())


def _limited(entry: Seeds, base: str, counts: SeedCounts) -> Iterator[Item]:
    """The items of an entry; with a limit, those whose ids hash lowest."""
    if entry.limit is None:
        yield from _items(entry, base, counts)
        return
    hashes = {_hash(item.id) for item in _items(entry, base, SeedCounts())}
    lowest = set(heapq.nsmallest(entry.limit, hashes))
    yield from (item for item in _items(entry, base, counts) if _hash(item.id) in lowest)


def _items(entry: Seeds, base: str, counts: SeedCounts) -> Iterator[Item]:
    columns = {column for name in COLUMNS if (column := getattr(entry, name))} | set(_where(entry)[1])
    for path in input_files(resolve(entry.path, base)):
        for numbers, rows in _rows(entry, path, columns):
            for number, row in _chosen(entry, path, numbers, rows):
                item = _item(entry, path, number, row)
                if item is None:
                    counts.n_blank += 1
                else:
                    yield item


def _rows(entry: Seeds, path: str, columns: set[str]) -> Iterator[tuple[list[int], list[Row]]]:
    """Rows with their numbers, from 1; of Parquet files these columns only."""
    with fsspec.open(path, "rb") as file:
        is_parquet = file.read(4) == PARQUET
        file.seek(0)
        if not is_parquet:
            for numbers, _, rows in json_rows(file, path):
                if numbers[0] == 1:
                    _check_columns(entry, path, {name for row in rows for name in row})
                yield numbers, rows
            return
        try:
            source, first = pq.ParquetFile(file), 1
        except pa.ArrowException as error:
            raise RequestError(f"{path}: is no Parquet file that can be read: {error}") from error
        _check_columns(entry, path, set(source.schema_arrow.names))
        there = [name for name in source.schema_arrow.names if name in columns]
        for batch in source.iter_batches(batch_size=ROWS_AT_ONCE, columns=there):
            yield list(range(first, first + len(batch))), batch.to_pylist()
            first += len(batch)


def _check_columns(entry: Seeds, path: str, found: set[str]) -> None:
    for name in COLUMNS:
        column = getattr(entry, name)
        if column is not None and column not in found:
            raise RequestError(f"{path}: has no column `{column}` (seeds.{name}); found: {', '.join(sorted(found))}")
    for column in _where(entry)[1]:
        if column not in found:
            raise RequestError(f"{path}: has no column `{column}` (seeds.where); found: {', '.join(sorted(found))}")


def _chosen(entry: Seeds, path: str, numbers: Sequence[int], rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """The rows for which `where` is true."""
    where, columns = _where(entry)
    if where is None:
        yield from zip(numbers, rows, strict=True)
        return
    try:
        found = {name: pl.Series([row.get(name) for row in rows], strict=False) for name in columns}
        is_true = pl.DataFrame({IS_TRUE: numbers} | found).with_columns(where.alias(IS_TRUE))[IS_TRUE]
    except PolarsError as error:
        raise RequestError(f"{path}: seeds.where: {entry.where}: {error}") from error
    if is_true.dtype not in (pl.Boolean, pl.Null):
        raise RequestError(f"{path}: seeds.where: {entry.where}: is {is_true.dtype}; expected what is true or false")
    yield from ((number, row) for number, row, chosen in zip(numbers, rows, is_true, strict=True) if chosen)


def _where(entry: Seeds) -> tuple[pl.Expr | None, list[str]]:
    """The predicate, and the columns that it needs."""
    if entry.where is None:
        return None, []
    try:
        where = pl.sql_expr(entry.where)
        return where, where.meta.root_names()
    except PolarsError as error:
        raise RequestError(f"{entry.path}: seeds.where: {entry.where}: {error}") from error


def _item(entry: Seeds, path: str, number: int, row: Row) -> Item | None:
    """The item of a row; None where it has no text."""

    def text(name: str) -> str | None:
        column = getattr(entry, name)
        if column is None:
            return entry.set.get(name)  # type: ignore[call-overload, no-any-return]
        value = row.get(column)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        found = f"found {type(value).__name__}; expected text"
        raise RequestError(f"{path}:{number}: `{column}` (seeds.{name}): {found}")

    content = text("text")
    if content is None or not content.strip():
        return None
    more, answer = (text("input") or "").strip(), _answer(entry, text("answer"), path, number)
    choices, tests, tools = (_list(entry, name, row, path, number) for name in ("choices", "tests", "tools"))
    return Item(
        id=text("id") or xxhash.xxh3_128_hexdigest(orjson.dumps([content, more, answer, choices, tests, tools])),
        text=_nfc(content.strip()),
        language=text("language"),
        source=text("source") or PurePosixPath(path).name.split(".")[0],
        license=text("license"),
        input=_nfc(more),
        answer=None if answer is None else _nfc(answer),
        quality=text("quality"),
        choices=tuple(map(_nfc, choices)),
        tests=tests,
        tools=tools,
    )


def _nfc(text: str) -> str:
    """As Onggi reads all text; files from macOS hold the jamo of syllables one by one."""
    return unicodedata.normalize("NFC", text)


def _answer(entry: Seeds, text: str | None, path: str, number: int) -> str | None:
    if text is None or not text.strip():
        return None
    if entry.answer_after is None:
        return text.strip()
    _, mark, answer = text.rpartition(entry.answer_after)
    if not mark or not answer.strip():
        shown = " ".join(text.split())[-SHOWN_CHARS:]
        raise RequestError(
            f"{path}:{number}: `{entry.answer}` (seeds.answer): nothing follows {entry.answer_after!r} in "
            f"`...{shown}`; leave such rows out with seeds.where"
        )
    return answer.strip()


def _list(entry: Seeds, name: str, row: Row, path: str, number: int) -> tuple[str, ...]:
    """The texts of a list; JSON of what is no text. A text may hold the list as JSON; else it is the only one."""
    column = getattr(entry, name)
    value = None if column is None else row.get(column)
    if isinstance(value, str):
        try:
            parsed = orjson.loads(value)
        except ValueError:
            parsed = value
        value = parsed if isinstance(parsed, list) else [parsed] if isinstance(parsed, dict) else [value]
    if value is None:
        return ()
    if not isinstance(value, list):
        found = f"found {type(value).__name__}; expected a list"
        raise RequestError(f"{path}:{number}: `{column}` (seeds.{name}): {found}")
    return tuple(one if isinstance(one, str) else orjson.dumps(one).decode() for one in value)


def _languages_told(items: Iterator[Item]) -> Iterator[Item]:
    """Items, each with its language: identified where its row does not say, some at once."""
    identifier = None
    while some := [item for _, item in zip(range(ROWS_AT_ONCE), items, strict=False)]:
        unknown = [item for item in some if not item.language]
        if unknown:
            identifier = identifier or LanguageIdentifier()
            texts = pa.array([f"{item.text}\n{item.input}" for item in unknown], pa.large_string())
            told = dict(zip(map(id, unknown), identifier.identify(texts).language.to_pylist(), strict=True))
            some = [replace(item, language=told.get(id(item), item.language)) for item in some]
        yield from some
