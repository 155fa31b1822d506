"""Documents that a classifier is trained on, judged by or looks for, from files: each cut to what is labelled.

A document is known by the digest of its text as cut: the same text is the same document wherever it stands.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import polars as pl
import pyarrow as pa
import xxhash
from polars.exceptions import PolarsError

from classifiers.language import LanguageIdentifier
from classifiers.rows import frames, input_files
from manifests.errors import RequestError
from manifests.schema_classifier import Documents, Labelled
from manifests.store import resolve

DOCUMENT = {
    "digest": pl.String,
    "id": pl.String,
    "text": pl.String,
    "source": pl.String,
    "language": pl.String,
}
EXAMPLE = {**DOCUMENT, "label": pl.Float64}
LABEL_MAX = 1_000_000


def document_files(documents: Documents, base: str) -> list[str]:
    """The files of an entry of a manifest, ordered by name."""
    return input_files(resolve(documents.path, base))


def read_documents(
    documents: Documents, path: str, max_chars: int, identifier: LanguageIdentifier | None
) -> Iterator[pl.DataFrame]:
    """The documents of a file in batches with the columns of DOCUMENT; blank texts are left out.

    Args:
        documents: what the columns are called there.
        path: of the file.
        max_chars: how much of a text counts, in characters from its beginning.
        identifier: identifies languages where no column has them; without it they are null there.

    Raises:
        RequestError: a column is missing or holds what it should not, or `where` is wrong.
    """
    for frame in _frames(documents, path, []):
        yield _documents(frame, documents, path, max_chars, identifier)


def read_examples(
    labelled: Sequence[Labelled], base: str, max_chars: int, identifier: LanguageIdentifier | None
) -> pl.DataFrame:
    """All documents with labels, with the columns of EXAMPLE; of equal texts the first one counts.

    Raises:
        RequestError: as `read_documents`, a label is no number and not explained, or there is no label at all.
    """
    found = [pl.DataFrame(schema=EXAMPLE)]
    for item in labelled:
        for path in document_files(item, base):
            for frame in _frames(item, path, [item.label]):
                labels = _checked(_labels(frame[item.label], item, path), item, path)
                documents = _documents(frame.with_columns(labels.alias("label")), item, path, max_chars, identifier)
                found.append(documents.filter(pl.col("label").is_not_null()).select(*EXAMPLE))
    examples = pl.concat(found).unique("digest", keep="first", maintain_order=True)
    if labelled and examples.is_empty():
        raise RequestError(f"{labelled[0].path}: holds no document with a label in {labelled[0].label!r}")
    return examples


def _frames(documents: Documents, path: str, more: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The columns that are needed, of the rows for which `where` is true."""
    where, columns = _where(documents)
    named = [documents.text, documents.id, documents.source, documents.language, *more, *columns]
    for frame in frames(path, list(dict.fromkeys(name for name in named if name))):
        try:
            yield frame if where is None else frame.filter(where)
        except PolarsError as error:
            raise RequestError(f"{path}: where: {documents.where}: {error}") from error


def _where(documents: Documents) -> tuple[pl.Expr | None, list[str]]:
    """The predicate of a manifest, and the columns that it needs."""
    if documents.where is None:
        return None, []
    try:
        where = pl.sql_expr(documents.where)
        return where, where.meta.root_names()
    except PolarsError as error:
        raise RequestError(f"{documents.path}: where: {documents.where}: {error}") from error


def _documents(
    frame: pl.DataFrame, documents: Documents, path: str, max_chars: int, identifier: LanguageIdentifier | None
) -> pl.DataFrame:
    if frame[documents.text].dtype not in (pl.String, pl.Null):
        found = frame[documents.text].dtype
        raise RequestError(f"{path}: the column {documents.text!r} holds {found}; expected text")
    text = pl.col(documents.text).cast(pl.String).str.slice(0, max_chars)
    plain = frame.with_columns(text.alias("text")).filter(pl.col("text").str.contains(r"\S"))
    named = plain.with_columns(
        text_digests(plain["text"]).alias("digest"),
        _column(documents.source, PurePosixPath(path).name.split(".")[0]).alias("source"),
        _column(documents.language, None).alias("language"),
    )
    named = named.with_columns(_column(documents.id, None).fill_null(pl.col("digest")).alias("id"))
    if identifier and documents.language is None:
        texts = pa.array(named["text"], pa.large_string())
        named = named.with_columns(pl.Series("language", identifier.identify(texts).language.to_pylist(), pl.String))
    return named.select(*DOCUMENT, *({"label"} & set(named.columns)))


def text_digests(texts: pl.Series) -> pl.Series:
    """What n texts, as cut, are known by: XXH3-128 in hexadecimal digits."""
    return pl.Series([xxhash.xxh3_128_hexdigest(text.encode()) for text in texts], dtype=pl.String)


def _column(name: str | None, otherwise: str | None) -> pl.Expr:
    given = pl.lit(otherwise, pl.String)
    return given if name is None else pl.col(name).cast(pl.String).fill_null(given)


def _checked(labels: pl.Series, item: Labelled, path: str) -> pl.Series:
    """Labels that can be added up.

    Raises:
        RequestError: names one that is infinite, or beyond LABEL_MAX.
    """
    wrong = labels.filter(labels.abs() > LABEL_MAX)
    if len(wrong):
        limits = f"from -{LABEL_MAX:,} to {LABEL_MAX:,}"
        raise RequestError(f"{path}: {item.label!r} holds {wrong[0]:g}; a label is a number {limits}")
    return labels


def _labels(column: pl.Series, item: Labelled, path: str) -> pl.Series:
    """Labels as numbers; null for rows that have none."""
    if item.values is not None:
        return column.cast(pl.String).replace_strict(item.values, default=None, return_dtype=pl.Float64)
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64).fill_nan(None)
    numbers = column.cast(pl.String).cast(pl.Float64, strict=False).fill_nan(None)
    wrong = column.filter(numbers.is_null() & column.is_not_null())
    if len(wrong):
        raise RequestError(
            f"{path}: {item.label!r} holds {str(wrong[0])[:40]!r}, which is no number; say what names stand for in "
            f"`values`, as {{{str(wrong[0])[:20]}: 0}}"
        )
    return numbers
