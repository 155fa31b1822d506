"""The catalogue: which documents of a slice a mixture may use, how long they are, and where their tokens lie.

Made by evaluating a source's predicate, the licence policy and `repeat` over its columns; texts are read only where
their tokens are not stored yet. A catalogue is kept by what it depends on, so that a changed predicate makes only
that source's anew.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson
import polars as pl
import xxhash
from numpy.typing import NDArray
from polars.exceptions import PolarsError

from curation.mixture.documents import ROW, Slice, column_types, read_columns
from curation.mixture.licenses import allowed
from curation.mixture.rehydrate import repeat_counts
from curation.mixture.token_store import CATALOGUE, Part, ensure, ids_file, store_key, token_type
from curation.tokens.tokenizer import Tokenizer, load_tokenizer
from manifests.code import code_digest
from manifests.errors import RequestError, RunError
from manifests.schema_mixture import Licenses, Source
from manifests.schema_mixture import Tokenizer as TokenizerSettings
from manifests.store import Folder

if TYPE_CHECKING:  # a mixture without predicates needs nothing that reads SQL
    from curation.expressions import Expression
    from curation.predicates import Predicate

CATALOGUED = np.dtype(
    [
        ("id_high", "<u8"),
        ("id_low", "<u8"),
        ("content", "<u8"),
        ("start", "<u8"),  # of its tokens in the part
        ("n_tokens", "<u4"),
        ("copy", "<u4"),  # among equal ids; COUNTED where it is numbered when it is needed
        ("repeat", "<u4"),  # how often it stands in an epoch
        ("part", "<u2"),  # of the slice
    ]
)
"""What is known of a document that may be used; ordered by id."""

COUNTED = 2**32 - 1
FENCE_BITS = 12
"""A catalogue says where each of 2^12 equal ranges of ids begins, so that a range is read without the rest."""
CATALOGUE_CODE = (
    "classifiers/rows.py",
    "curation/expressions.py",
    "curation/kernels/tokens.py",
    "curation/mixture/catalogue.py",
    "curation/mixture/documents.py",
    "curation/mixture/licenses.py",
    "curation/mixture/rehydrate.py",
    "curation/mixture/token_store.py",
    "curation/predicates.py",
    "curation/tokens/[ce]*.py",
    "curation/tokens/files.py",
    "curation/tokens/tokenizer.py",
)
UNKNOWN = "unknown"

Catalogued = NDArray[np.void]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class CatalogueTask:
    """A slice of a source to catalogue; pickles to a worker."""

    source: Source
    piece: Slice
    licenses: Licenses
    tokenizer: TokenizerSettings
    """Its engine is decided: `gigatoken` or `library`."""
    base: str
    store: str
    slice_bytes: int

    def __str__(self) -> str:
        return f"source {self.source.name!r}, {self.piece}"


@dataclass
class Count:
    """Documents, with the size of their texts and their tokens, each counted once."""

    n_documents: int = 0
    n_bytes: int = 0
    n_tokens: int = 0

    def add(self, other: "Count") -> None:
        """Add other documents to these."""
        self.n_documents += other.n_documents
        self.n_bytes += other.n_bytes
        self.n_tokens += other.n_tokens


@dataclass
class Available:
    """What a slice, or a whole source, has for a mixture."""

    n_rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that are not used: `where`, `license`, `repeat` (0 times) or `no_text`."""
    licenses_left_out: Counter[str] = field(default_factory=Counter)
    """Documents that the policy leaves out, by licence."""
    n_epoch_tokens: int = 0
    """Tokens of one epoch: each document as often as it repeats."""
    n_epoch_documents: int = 0
    by_language: dict[str, Count] = field(default_factory=dict)
    by_license: dict[str, Count] = field(default_factory=dict)
    lengths: Counter[int] = field(default_factory=Counter)
    """Documents by the binary logarithm of their tokens, rounded down."""
    tokenised_bytes: int = 0
    """Text that had to be tokenised for it."""

    @property
    def total(self) -> Count:
        """All documents, each counted once."""
        found = Count()
        for count in self.by_language.values():
            found.add(count)
        return found

    def add(self, other: "Available") -> None:
        """Add what another slice has."""
        self.n_rows += other.n_rows
        self.left_out.update(other.left_out)
        self.licenses_left_out.update(other.licenses_left_out)
        self.n_epoch_tokens += other.n_epoch_tokens
        self.n_epoch_documents += other.n_epoch_documents
        self.lengths.update(other.lengths)
        self.tokenised_bytes += other.tokenised_bytes
        for mine, theirs in ((self.by_language, other.by_language), (self.by_license, other.by_license)):
            for name, count in theirs.items():
                mine.setdefault(name, Count()).add(count)


@dataclass(frozen=True)
class Catalogue:
    """The catalogue of a slice, on disk."""

    name: str
    parts: tuple[str, ...]
    """The parts of the store that its documents point to."""
    n_documents: int
    available: Available = field(compare=False, repr=False)


@dataclass(frozen=True)
class Choice:
    """A source's predicate and expression, checked against the columns of a file."""

    where: "Predicate | None"
    repeat: "Expression | None"
    columns: tuple[str, ...]
    """What has to be read for it, and for the counts."""


def chosen(source: Source, path: str) -> Choice:
    """The predicate and the expression of a source over a file of it.

    Raises:
        RequestError: one of them is wrong; names the source.
    """
    if not (source.where or source.repeat):
        return Choice(None, None, _counted_columns(source))
    from curation.expressions import parse_expression
    from curation.predicates import parse_predicate

    if not (types := column_types(path)):  # of no rows
        return Choice(None, None, _counted_columns(source))
    try:
        where = parse_predicate(source.where, types) if source.where else None
        repeat = parse_expression(source.repeat, types) if source.repeat else None
    except RequestError as error:
        raise RequestError(f"sources: {source.name}: {path}: {error}") from None
    read = [*(where.columns if where else ()), *(repeat.columns if repeat else ())]
    roots = sorted({name.split(".")[0] for name in read})
    return Choice(where, repeat, tuple(dict.fromkeys([*_counted_columns(source), *roots])))


def _counted_columns(source: Source) -> tuple[str, ...]:
    columns = [
        name for what, name in (("language", source.language), ("license", source.license)) if what not in source.set
    ]
    return (*columns, *(["copy"] if source.run else []))


def catalogue(task: CatalogueTask) -> Catalogue:
    """The catalogue of a slice: the one that is there, or a new one.

    Raises:
        RequestError: the predicate does not fit the file.
        RunError: a row cannot be used, or `repeat` gives what is no number of times.
    """
    tokenizer = load_tokenizer(task.tokenizer, task.base)
    folder = Folder(task.store)
    name = catalogue_key(task, tokenizer)
    if folder.exists(f"{name}.json") and folder.exists(f"{name}.npy"):
        found = _from_note(name, folder.read_json(f"{name}.json"))
        if all(folder.exists(ids_file(part, token_type(tokenizer.vocab_size))) for part in found.parts):
            return found
    available = Available()
    frame = _eligible(task, chosen(task.source, task.piece.path), available)
    parts, available.tokenised_bytes = ensure(
        folder, task.piece, task.source, tokenizer, frame["row"].to_numpy(), task.slice_bytes
    )
    try:
        documents, facts = _located(frame, parts, repeats=task.source.repeat is not None)
    except RunError as error:
        raise RunError(f"{task}: {error}") from None
    available.left_out["no_text"] += len(frame) - len(documents)
    _count(documents, facts, available)
    with folder.writing(f"{name}.npy") as path, folder.fs.open(path, "wb") as file:
        file.write(fences(documents["id_high"]).tobytes())
        file.write(documents.tobytes())
    found = Catalogue(name, tuple(part.name for part in parts), len(documents), available)
    folder.write_json(f"{name}.json", _to_note(found))
    return found


def catalogue_key(task: CatalogueTask, tokenizer: Tokenizer) -> str:
    """What the catalogue of a slice depends on."""
    depends = [
        store_key(task.piece, task.source, tokenizer),
        task.source.model_dump(include={"where", "repeat", "license", "language", "set"}),
        task.licenses.model_dump(),
        code_digest(*CATALOGUE_CODE),
    ]
    return CATALOGUE + xxhash.xxh3_128_hexdigest(orjson.dumps(depends, option=orjson.OPT_SORT_KEYS))


def _eligible(task: CatalogueTask, choice: Choice, available: Available) -> pl.DataFrame:
    """The rows that may be used: `row`, `language`, `license`, `repeat` and `copy`, ordered by row.

    Raises:
        RunError: the predicate or the expression does not fit what a file turns out to hold.
    """
    source, frames = task.source, [pl.DataFrame(schema=_ELIGIBLE)]
    for read in read_columns(task.piece, choice.columns):
        available.n_rows += len(read)
        try:
            frames.append(_eligible_of(read, source, task.licenses, choice, available))
        except PolarsError as error:
            rows = f"rows {read[0, ROW]} to {read[-1, ROW]}"
            raise RunError(f"{task}: {rows}: {str(error).splitlines()[0]}") from error
    return pl.concat(frames)


def _eligible_of(
    frame: pl.DataFrame, source: Source, licenses: Licenses, choice: Choice, available: Available
) -> pl.DataFrame:
    """The rows of a batch that may be used; what is made here is not called as any column that SQL may name."""
    if choice.where:
        frame = _kept(frame, frame.select(choice.where.expr.fill_null(False)).to_series(), "where", available)
    frame = frame.with_columns(_fact(source, name).alias(f"\0{name}") for name in ("language", "license"))
    is_allowed = allowed(frame["\0license"], licenses)
    refused = frame.filter(~is_allowed)["\0license"].fill_null(UNKNOWN).value_counts()
    available.licenses_left_out.update(dict(refused.iter_rows()))
    frame = _kept(frame, is_allowed, "license", available)
    copies = pl.col("copy").cast(pl.UInt32) if source.run else pl.lit(COUNTED, pl.UInt32)
    repeat = choice.repeat.expr.cast(pl.Float64) if choice.repeat else pl.lit(1.0)
    return frame.select(
        pl.col(ROW).alias("row"),
        pl.col("\0language").alias("language"),
        pl.col("\0license").alias("license"),
        repeat.alias("repeat"),
        copies.alias("copy"),
    )


_ELIGIBLE = {"row": pl.Int64, "language": pl.String, "license": pl.String, "repeat": pl.Float64, "copy": pl.UInt32}


def _fact(source: Source, name: Literal["language", "license"]) -> pl.Expr:
    """A column of text, or the value that holds for all documents."""
    return pl.lit(source.set[name]) if name in source.set else pl.col(getattr(source, name)).cast(pl.String)


def _kept(frame: pl.DataFrame, keep: pl.Series, reason: str, available: Available) -> pl.DataFrame:
    kept = frame.filter(keep)
    available.left_out[reason] += len(frame) - len(kept)
    return kept


def _located(frame: pl.DataFrame, parts: Sequence[Part], *, repeats: bool) -> tuple[Catalogued, pl.DataFrame]:
    """The documents with their tokens, ordered by id, and the facts of each: language, license, n_bytes."""
    wanted, found, rows, n_bytes = frame["row"].to_numpy(), list[Catalogued](), list[I64](), list[U32]()
    is_found = np.zeros(len(wanted), bool)
    for number, part in enumerate(parts):
        place = np.searchsorted(wanted, part.documents["row"])
        place[place == len(wanted)] = 0
        is_wanted = (wanted[place] == part.documents["row"]) if len(wanted) else np.zeros(len(place), bool)
        is_wanted &= part.documents["n_tokens"] > 0
        if len(wanted):
            is_wanted &= ~is_found[place]
            is_found[place[is_wanted]] = True
        stored = part.documents[is_wanted]
        documents = np.zeros(len(stored), CATALOGUED)
        for name in ("id_high", "id_low", "content", "start", "n_tokens"):
            documents[name] = stored[name]
        documents["part"] = number
        found.append(documents)
        rows.append(place[is_wanted])
        n_bytes.append(stored["n_bytes"])
    documents, facts = (
        np.concatenate([np.zeros(0, CATALOGUED), *found]),
        frame[np.concatenate([[], *rows]).astype(np.int64)],
    )
    facts = facts.with_columns(n_bytes=np.concatenate([np.zeros(0, np.uint32), *n_bytes]))
    if len(parts) > 1:
        order = np.lexsort((documents["id_low"], documents["id_high"]))
        documents, facts = documents[order], facts[order]
    documents["copy"] = facts["copy"].to_numpy()
    documents["repeat"] = repeat_counts(facts["repeat"], documents["id_high"]) if repeats else 1
    return documents, facts


def _count(documents: Catalogued, facts: pl.DataFrame, available: Available) -> None:
    """Count what is there, and what `repeat` leaves out."""
    n_tokens, repeat = documents["n_tokens"].astype(np.int64), documents["repeat"].astype(np.int64)
    available.left_out["repeat"] += int((repeat == 0).sum())
    available.n_epoch_tokens += int((n_tokens * repeat).sum())
    available.n_epoch_documents += int(repeat.sum())
    sizes, counts = np.unique(np.log2(n_tokens).astype(np.int64), return_counts=True)
    available.lengths.update(dict(zip(sizes.tolist(), counts.tolist(), strict=True)))
    facts = facts.with_columns(n_tokens=n_tokens).filter(repeat > 0)
    for name, counted in (("language", available.by_language), ("license", available.by_license)):
        sums = facts.group_by(pl.col(name).fill_null(UNKNOWN)).agg(pl.len(), pl.col("n_bytes", "n_tokens").sum())
        for value, n_documents, n_bytes, n_all in sums.iter_rows():
            counted.setdefault(value, Count()).add(Count(n_documents, n_bytes, n_all))


def fences(id_high: U64) -> I64:
    """Where each of the 2^FENCE_BITS ranges of ids begins among sorted ids, and where the last one ends."""
    firsts = np.arange(1, 1 << FENCE_BITS, dtype=np.uint64) << np.uint64(64 - FENCE_BITS)
    return np.concatenate([[0], np.searchsorted(id_high, firsts), [len(id_high)]]).astype(np.int64)


FENCES_BYTES = 8 * ((1 << FENCE_BITS) + 1)


def read_fences(folder: Folder, name: str) -> I64:
    """The fences of a catalogue."""
    with folder.fs.open(folder.file(f"{name}.npy"), "rb") as file:
        return np.frombuffer(file.read(FENCES_BYTES), np.int64)


def read_documents(folder: Folder, name: str, start: int, end: int) -> Catalogued:
    """Documents [start, end) of a catalogue."""
    with folder.fs.open(folder.file(f"{name}.npy"), "rb") as file:
        file.seek(FENCES_BYTES + CATALOGUED.itemsize * start)
        return np.frombuffer(file.read(CATALOGUED.itemsize * (end - start)), CATALOGUED)


def total(parts: Iterable[Catalogue]) -> Available:
    """What the slices of a source have together."""
    found = Available()
    for part in parts:
        found.add(part.available)
    return found


def _to_note(found: Catalogue) -> dict[str, Any]:
    available = dict(vars(found.available))
    for name in ("by_language", "by_license"):
        available[name] = {value: asdict(count) for value, count in available[name].items()}
    available["lengths"] = {str(size): n_documents for size, n_documents in found.available.lengths.items()}
    return {"parts": found.parts, "n_documents": found.n_documents, "available": available}


def _from_note(name: str, note: dict[str, Any]) -> Catalogue:
    available = dict(note["available"])
    for key in ("by_language", "by_license"):
        available[key] = {value: Count(**count) for value, count in available[key].items()}
    for key in ("left_out", "licenses_left_out"):
        available[key] = Counter(available[key])
    available["lengths"] = Counter({int(size): n_documents for size, n_documents in available["lengths"].items()})
    return Catalogue(
        name, tuple(note["parts"]), note["n_documents"], Available(**(available | {"tokenised_bytes": 0}))
    )
