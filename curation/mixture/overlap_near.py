"""How much of one curated run resembles documents of another, by the MinHash signatures that both stored.

Names of clusters speak of one run only, so the bands of signatures are joined, and each pair that shares one is
judged by the similarity that both sketches give. No text is read. What is held in memory is 16 bytes per chosen text,
the hashes of one band in a range, and the pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import polars as pl

from curation.dedup.candidates import BAND_ROWS_PER_RANGE
from curation.dedup.exchange import KEY_BITS, ROWS_PER_RANGE, first_64_bits
from curation.dedup.signatures import Banding, estimated_jaccard
from curation.derive import FINGERPRINT
from manifests.errors import RequestError
from manifests.record import RunRecord, measured_folder, read_record
from manifests.schema import NearDedup
from manifests.store import Folder, KeyRange, ranges_for

Numbers = npt.NDArray[np.int64]

PER_BUCKET = 16
"""Texts of each run that are compared with those of the other where they share a band, those with the least digests:
a bucket of boilerplate would give pairs without end."""

PAIRS_PER_RANGE = 500_000
"""Pairs whose sketches are held at once (112 bytes a text, by default)."""

_PARAMETERS = {
    "n_bands": "`bands`",
    "n_rows": "`rows`",
    "ko": "`shingle.ko`",
    "en": "`shingle.en`",
    "seed": "the seed of the permutations",
}


@dataclass(frozen=True)
class NearOverlap:
    """What two runs have in common, equal texts included; zeros where that could not be told."""

    n_documents_a: int = 0
    """Documents of the first run that resemble one of the second."""
    n_documents_b: int = 0
    """Documents of the second run that resemble one of the first."""
    n_pairs: int = 0
    """Pairs of different texts, or of one text that both have; at least so many, where a band is shared by many."""
    jaccard: float = 0.0
    """Estimated similarity from which on they count: the lower one of both runs."""
    refused: str | None = None
    """Why the runs cannot be compared, if so."""


def near_overlap(
    run_a: Folder, run_b: Folder, where_a: pl.Expr | None = None, where_b: pl.Expr | None = None
) -> NearOverlap:
    """Count the kept documents of each run that resemble one of the other's.

    Args:
        run_a: folder of a curated run.
        run_b: folder of another.
        where_a: which of the first run's documents count, as a condition over the columns of `documents`
            (`parse_predicate(...).expr`); null is not true. Without it, all.
        where_b: the same for the second run.

    Raises:
        RequestError: a folder holds no complete run, or its measured parts are gone.
    """
    runs = [_open(run) for run in (run_a, run_b)]
    if reason := _refusal(*runs):
        return NearOverlap(refused=reason)
    a, b = (_texts(run, where) for run, where in zip(runs, (where_a, where_b), strict=True))
    jaccard = min(run.near.jaccard for run in runs if run.near)
    pairs = _candidates(a, b, runs[0].banding)
    similar = pairs[_are_similar(a, b, pairs, jaccard)] if len(pairs) else pairs
    return NearOverlap(
        int(a.n_documents[np.unique(similar[:, 0])].sum()),
        int(b.n_documents[np.unique(similar[:, 1])].sum()),
        len(similar),
        jaccard,
    )


@dataclass(frozen=True)
class _Run:
    folder: Folder
    measured: Folder
    record: RunRecord
    near: NearDedup | None

    @property
    def banding(self) -> Banding:
        return Banding.of(self.near or NearDedup())


def _open(folder: Folder) -> _Run:
    record = read_record(folder)
    near = (record.manifest.get("dedup") or {}).get("near")
    return _Run(
        folder, measured_folder(folder, record), record, NearDedup.model_validate(near) if near is not None else None
    )


def _refusal(a: _Run, b: _Run) -> str | None:
    """Why the signatures of two runs cannot be joined."""
    for run in (a, b):
        if run.near is None:
            return f"{run.folder.path} was curated without `dedup.near`, so it has no signatures"
    try:
        here, there = a.banding, b.banding
    except RequestError as error:  # `bands: auto` needs a library
        return str(error)
    pairs = {field.name: (getattr(here, field.name), getattr(there, field.name)) for field in fields(Banding)}
    if differ := [f"{_PARAMETERS[name]} ({one} and {two})" for name, (one, two) in pairs.items() if one != two]:
        return f"{a.folder.path} and {b.folder.path} were curated with different {', '.join(differ)}"
    stored = [_fingerprints(run) for run in (a, b)]
    for run, found in zip((a, b), stored, strict=True):
        if len(found) != 1:
            return f"{run.folder.path}: signatures are not there for all of its parts; run `onggi decide` on it"
    if stored[0] != stored[1]:
        return (
            f"{a.folder.path} and {b.folder.path} have signatures of different versions of Onggi; run `onggi decide` "
            "on both with this one"
        )
    return None


def _fingerprints(run: _Run) -> set[str | None]:
    """What the files of signatures say that they depend on; nothing where one is missing."""
    signatures = run.measured / "signatures"
    names = signatures.names(".parquet")
    if names != (run.measured / "measured").names(".parquet"):
        return set()
    return {signatures.parquet_extra(name, "signatures").get(FINGERPRINT) for name in names}


@dataclass(frozen=True)
class _Texts:
    """The different texts of a run's chosen documents; a text is known by its place in the order of digests."""

    signatures: Folder
    n_documents: Numbers
    """Of each text: chosen documents that have it."""
    files: list[tuple[str, Numbers, Numbers]]
    """Of each file of signatures: its name, rows that hold a chosen text, and these texts; each text once."""

    def column(self, name: str, column: str) -> pl.Series:
        """A column of one file of signatures."""
        return self.signatures.scan([name]).select(column).collect()[column]


def _texts(run: _Run, where: pl.Expr | None) -> _Texts:
    """The texts of the documents that the condition lets through, as far as they have signatures."""
    chosen = np.concatenate([np.empty(0, np.uint64), *_digests(run, where)])
    digests, n_documents = np.unique(chosen, return_counts=True)
    signatures, files, is_new = run.measured / "signatures", [], np.ones(len(digests), np.bool_)
    for name in signatures.names(".parquet"):
        held = signatures.scan([name]).select(first_64_bits("text_digest")).collect()["text_digest"].to_numpy()
        _, rows, texts = np.intersect1d(held, digests, return_indices=True)
        fresh = is_new[texts]
        is_new[texts] = False
        files.append((name, rows[fresh], texts[fresh]))
    return _Texts(signatures, n_documents.astype(np.int64), files)


def _digests(run: _Run, where: pl.Expr | None) -> Iterator[npt.NDArray[np.uint64]]:
    """The first 64 bits of the text digests of chosen documents, a range of ids at a time."""
    for keys in ranges_for(run.record.counts["kept"], ROWS_PER_RANGE):
        kept = (run.folder / "documents").scan().filter(_in_range("id", keys))
        kept = kept if where is None else kept.filter(where)
        ids = kept.select("id").unique().collect(engine="streaming")
        measured = (run.measured / "measured").read_range("id", keys, ["id", "text_digest"]).drop_nulls()
        records = measured.join(ids, on="id", how="semi").unique()
        yield records.select(first_64_bits("text_digest"))["text_digest"].to_numpy()


def _in_range(column: str, keys: KeyRange) -> pl.Expr:
    low, high = keys.bounds
    return (pl.col(column) >= low) & (pl.col(column) < high)


def _candidates(a: _Texts, b: _Texts, banding: Banding) -> Numbers:
    """Pairs of texts that share a band, int64 (n_pairs, 2): a text of the first run and one of the second."""
    found = pl.DataFrame(schema={"a": pl.Int64, "b": pl.Int64})
    ranges = ranges_for(max(len(a.n_documents), len(b.n_documents)), BAND_ROWS_PER_RANGE)
    for band in banding.band_names:
        for keys in ranges:
            one, two = _bucket_rows(a, band, keys, "a"), _bucket_rows(b, band, keys, "b")
            one, two = one.join(two, on="hash", how="semi"), two.join(one, on="hash", how="semi")
            pairs = _least(one, "a").join(_least(two, "b"), on="hash").select("a", "b")
            found = pl.concat([found, pairs]).unique()
    return found.sort("a", "b").to_numpy()


def _bucket_rows(texts: _Texts, band: str, keys: KeyRange, name: str) -> pl.DataFrame:
    """The hashes of a band in a range, and their texts."""
    low, high = (keys.index << KEY_BITS) // keys.count, ((keys.index + 1 << KEY_BITS) // keys.count) - 1
    frames = []
    for file, rows, numbers in texts.files:
        hashes = texts.column(file, band).gather(rows).rename("hash")
        frame = pl.DataFrame([hashes, pl.Series(name, numbers, pl.Int64)])
        frames.append(frame.filter(pl.col("hash").is_between(pl.lit(low, pl.UInt64), pl.lit(high, pl.UInt64))))
    return pl.concat(frames)


def _least(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.sort("hash", name).group_by("hash", maintain_order=True).head(PER_BUCKET)


def _are_similar(a: _Texts, b: _Texts, pairs: Numbers, jaccard: float) -> npt.NDArray[np.bool_]:
    """Whether each pair is at least so similar, by its sketches."""
    similar = np.empty(len(pairs), np.bool_)
    for start in range(0, len(pairs), PAIRS_PER_RANGE):
        part = pairs[start : start + PAIRS_PER_RANGE]
        one, two = _sketches(a, part[:, 0]), _sketches(b, part[:, 1])
        similar[start : start + len(part)] = estimated_jaccard(one, two) >= jaccard
    return similar


def _sketches(texts: _Texts, wanted: Numbers) -> npt.NDArray[np.uint8]:
    """The sketches of texts, in the order in which they are wanted: uint8 (n, permutations)."""
    needed, places = np.unique(wanted, return_inverse=True)
    sketches: npt.NDArray[np.uint8] | None = None
    for name, rows, numbers in texts.files:
        _, here, there = np.intersect1d(numbers, needed, assume_unique=True, return_indices=True)
        if len(here):
            column = texts.column(name, "sketch").gather(rows[here])
            found = np.frombuffer(b"".join(column.to_list()), np.uint8).reshape(len(here), -1)
            sketches = np.empty((len(needed), found.shape[1]), np.uint8) if sketches is None else sketches
            sketches[there] = found
    assert sketches is not None
    return sketches[places]
