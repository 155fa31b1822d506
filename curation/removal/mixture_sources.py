"""Token mixtures that documents are to be removed from, and which of their sources' documents a request means."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import xxhash

from curation.mixture.documents import Slice, read_columns, source_slices
from curation.removal.corpus_plan import find_in_ledger
from curation.removal.matching import FOUND, Matcher
from curation.removal.notes import unfinished
from curation.removal.tombstones import find_buried
from manifests.errors import RequestError
from manifests.record import PREVIOUS, RECORD
from manifests.schema_mixture import Source
from manifests.store import Folder, resolve

SLICE_BYTES = 32 << 20
"""Text of a file that is gone through as one piece."""


@dataclass(frozen=True)
class Mixture:
    """A run of `onggi mix`, complete but for a removal that was killed."""

    run: Folder
    record: dict[str, Any]

    @property
    def pad_id(self) -> int:
        """What sequences are filled up with."""
        return int(self.record["tokenizer"]["pad_id"])

    @property
    def store(self) -> Folder:
        """Where its tokenised documents lie: in its own folder, which may have moved, or where the manifest says."""
        path = self.record["manifest"]["output"].get("store")
        return Folder(resolve(path, self.record["manifest_base"])) if path else self.run / "store"


def open_mixture(run: Folder) -> Mixture:
    """The mixture in a folder.

    Raises:
        RequestError: it is not complete.
    """
    name = PREVIOUS if unfinished(run) and not run.exists(RECORD) else RECORD
    if not run.exists(name):
        raise RequestError(f"{run.path}: is not complete (no {RECORD}): run `onggi mix` again to finish it")
    return Mixture(run, run.read_json(name))


def find_in_sources(mixture: Mixture, matcher: Matcher) -> pl.DataFrame:
    """The documents of a mixture's sources that addresses or domains mean, as FOUND; ids need no sources.

    Raises:
        RequestError: a source is not there any more.
    """
    found = [pl.DataFrame(schema=FOUND)]
    if matcher.asks_addresses:
        for value in mixture.record["manifest"]["sources"]:
            source, base = Source.model_validate(value), mixture.record["manifest_base"]
            found += [rows.select(*FOUND) for rows in _in_source(source, base, matcher)]
    return pl.concat(found)


def _in_source(source: Source, base: str, matcher: Matcher) -> Iterator[pl.DataFrame]:
    if source.run is not None:
        run = Folder(resolve(source.run, base))
        if not run.exists("ledger"):
            raise RequestError(
                f"source {source.name!r}: {run.path} holds no run any more, so addresses of its documents are not "
                "known: name their ids with --ids"
            )
        yield find_in_ledger(run, matcher)
        yield find_buried(run, matcher).with_columns(url=pl.lit(None, pl.String))
        return
    for piece in source_slices(source, base, SLICE_BYTES):
        yield from _in_slice(piece, source, matcher)


def _in_slice(piece: Slice, source: Source, matcher: Matcher) -> Iterator[pl.DataFrame]:
    """Ids of documents in files are made as `onggi curate` makes them: of source, key and content digest."""
    columns = [source.url, source.text, *([source.key] if source.key else [])]
    for frame in read_columns(piece, columns):
        urls = frame[source.url].cast(pl.String)
        found = matcher.find(pl.DataFrame({"id": [str(place) for place in range(len(frame))], "url": urls}))
        if found.height:
            places = found["id"].unique(maintain_order=True)
            ids = dict(zip(places, _file_ids(frame[places.cast(pl.Int64)], source), strict=True))
            yield found.with_columns(pl.col("id").replace_strict(ids, return_dtype=pl.String))


def _file_ids(frame: pl.DataFrame, source: Source) -> list[str]:
    """As the token store has them."""
    keys = frame[source.key].cast(pl.String).fill_null("") if source.key else [""] * len(frame)
    contents = (xxhash.xxh3_128_digest(text.encode()) for text in frame[source.text].fill_null(""))
    name, digest = source.name.encode(), xxhash.xxh3_128_hexdigest
    return [digest(b"%b\0%b\0%b" % (name, key.encode(), part)) for key, part in zip(keys, contents, strict=True)]
