"""Where a document of a mixture went, and what stands in a sequence of it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from curation.mixture.documents import ROW, Slice, read_columns, source_slices
from curation.mixture.ledger import VALIDATION
from curation.mixture.pipeline import LEDGER, TOKENS
from curation.mixture.record import MixtureRecord, read_mixture
from curation.mixture.survey import STORE
from curation.mixture.token_store import Part, read_parts, store_key
from curation.tokens.tokenizer import load_tokenizer
from manifests.errors import RequestError
from manifests.schema_mixture import MixtureManifest, Source
from manifests.store import Folder

PREFIX_DIGITS_MIN = 6
SEQUENCE = re.compile(r"(?:(validation)@|@)(\d+)(?::(\d+))?")
SNIPPET_CHARS = 240


@dataclass(frozen=True)
class Span:
    """A stretch of a document in a sequence."""

    table: str
    """`tokens` or `validation`."""
    stage: str
    sequence: int
    start: int
    """Its first token in the sequence."""
    n_tokens: int
    id: str
    copy: int
    offset: int
    """Of its first token in the document."""
    source: str


@dataclass(frozen=True)
class Origin:
    """Where a document comes from."""

    source: str
    category: str
    file: str
    row: int
    url: str | None
    n_tokens: int
    snippet: str


@dataclass(frozen=True)
class MixtureStory:
    """A document with all its spans, or a sequence with all that stands in it."""

    id: str | None
    sequence: int | None
    spans: list[Span]
    origins: dict[str, Origin]
    """By id; those of a few documents."""


def explain_mixture(folder: Folder, name: str) -> MixtureStory:
    """Follow a document into its spans, or a span back to its document.

    Args:
        folder: of a mixture.
        name: the id of a document, or its first digits; `@N` for sequence N of the training, `@N:T` for the document
            at token T of it, `validation@N` for a sequence that is held out.

    Raises:
        RequestError: there is no such document or sequence, or more than one document.
    """
    record = read_mixture(folder)
    if found := SEQUENCE.fullmatch(name):
        return _of_sequence(folder, record, found[1] or TOKENS, int(found[2]), int(found[3]) if found[3] else None)
    return _of_document(folder, record, name.lower())


def _of_sequence(folder: Folder, record: MixtureRecord, table: str, number: int, at: int | None) -> MixtureStory:
    rows = _rows(folder, table, [(number, number)])
    if not len(rows):
        n_rows = next((entry.rows or 0 for entry in record.outputs if entry.path == table), 0)
        raise RequestError(f"{folder.path}: there is no sequence {number:,}; {table} has {n_rows:,}, counted from 0")
    spans = list(_spans(rows, table))
    if at is not None:
        spans = [span for span in spans if span.start <= at < span.start + span.n_tokens]
        if not spans:
            n_tokens = int(rows["n_tokens"][0])
            raise RequestError(f"{folder.path}: sequence {number:,} has {n_tokens:,} tokens; token {at:,} is padding")
    return MixtureStory(None, number, spans, _origins(folder, record, spans))


def _of_document(folder: Folder, record: MixtureRecord, prefix: str) -> MixtureStory:
    if not re.fullmatch(rf"[0-9a-f]{{{PREFIX_DIGITS_MIN},32}}", prefix):
        raise RequestError(
            f"{prefix}: is no id of a document ({PREFIX_DIGITS_MIN} to 32 hexadecimal digits) and no sequence "
            "(@N, @N:TOKEN or validation@N)"
        )
    low, high = (bytes.fromhex(prefix.ljust(32, digit)) for digit in "0f")
    entries = (folder / LEDGER).scan().filter(pl.col("id_to") >= low, pl.col("id_from") <= high).collect()
    spans = list[Span]()
    for table in (TOKENS, VALIDATION):
        own = entries.filter((pl.col("stage") == VALIDATION) == (table == VALIDATION))
        ranges = list(own.select("first_sequence", "last_sequence").unique().sort("first_sequence").iter_rows())
        rows = _rows(folder, table, ranges)
        spans += [span for span in _spans(rows, table) if span.id.startswith(prefix)]
    ids = sorted({span.id for span in spans})
    if not ids:
        raise RequestError(f"{folder.path}: no document whose id begins with {prefix} was taken or held out")
    if len(ids) > 1:
        found = ", ".join(ids[:5]) + ", ..." * (len(ids) > 5)
        raise RequestError(f"{folder.path}: {len(ids)} ids begin with {prefix}: {found}; give more digits")
    return MixtureStory(ids[0], None, spans, _origins(folder, record, spans[:1]))


def _rows(folder: Folder, table: str, ranges: Sequence[tuple[int, int]]) -> pl.DataFrame:
    """Sequences in the ranges, without their tokens."""
    columns = ["sequence", "stage", "n_tokens", "document_starts", "document_ids", "document_copies"]
    columns += ["document_offsets", "source_of_span"]
    chosen = pl.any_horizontal([pl.col("sequence").is_between(low, high) for low, high in ranges] or [pl.lit(False)])
    if not (folder / table).names(".parquet"):
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.Null))
    return (folder / table).scan().filter(chosen).select(columns).collect(engine="streaming").sort("sequence")


def _spans(rows: pl.DataFrame, table: str) -> Iterator[Span]:
    for row in rows.iter_rows(named=True):
        ends = [*row["document_starts"], row["n_tokens"]][1:]  # none where all was removed
        parts = zip(
            row["document_starts"],
            ends,
            row["document_ids"],
            row["document_copies"],
            row["document_offsets"],
            row["source_of_span"],
            strict=True,
        )
        for start, end, id_, copy, offset, source in parts:
            yield Span(table, row["stage"], row["sequence"], start, end - start, id_.hex(), copy, offset, source)


def _origins(folder: Folder, record: MixtureRecord, spans: Sequence[Span]) -> dict[str, Origin]:
    """Where documents come from, found in the store and read from their files; none where these are gone."""
    manifest = MixtureManifest.model_validate(record.manifest)
    wanted = {source: {span.id for span in spans if span.source == source} for source in {of.source for of in spans}}
    found = dict[str, Origin]()
    for source in manifest.sources:
        if source.name in wanted:
            found |= _from_source(folder, record, manifest, source, wanted[source.name])
    return found


def _from_source(
    folder: Folder, record: MixtureRecord, manifest: MixtureManifest, source: Source, ids: set[str]
) -> dict[str, Origin]:
    store, found = Folder(record.store) if record.store else folder / STORE, dict[str, Origin]()
    try:
        tokenizer = load_tokenizer(manifest.tokenizer, record.manifest_base)
        slices = source_slices(source, record.manifest_base, manifest.limits.slice_bytes)
    except RequestError:
        return {}
    for piece in slices:
        for part in read_parts(store, store_key(piece, source, tokenizer)):
            for id_ in sorted(ids - set(found)):
                if (at := _place(part, id_)) is not None:
                    row, n_tokens = int(part.documents["row"][at]), int(part.documents["n_tokens"][at])
                    url, text = _row(piece, source, row)
                    snippet = " ".join(text[:SNIPPET_CHARS].split())
                    found[id_] = Origin(source.name, source.category, piece.path, row, url, n_tokens, snippet)
    return found


def _place(part: Part, id_: str) -> int | None:
    """Where a document is in a part."""
    high, low = np.uint64(int(id_[:16], 16)), np.uint64(int(id_[16:], 16))
    first, end = (int(np.searchsorted(part.documents["id_high"], high, side)) for side in ("left", "right"))
    same = np.flatnonzero(part.documents["id_low"][first:end] == low)
    return first + int(same[0]) if len(same) else None


def _row(piece: Slice, source: Source, row: int) -> tuple[str | None, str]:
    """(URL, text) of a row."""
    for frame in read_columns(piece, [source.url, source.text]):
        for values in frame.filter(pl.col(ROW) == row).iter_rows(named=True):
            url = values[source.url]
            return None if url is None else str(url), values[source.text] or ""
    return None, ""
