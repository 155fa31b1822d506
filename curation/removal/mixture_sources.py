"""Token mixtures that documents are to be removed from, and which of their sources' documents a request means."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import xxhash

from classifiers.rows import frames, input_files
from curation.removal.corpus_plan import find_in_ledger
from curation.removal.matching import FOUND, Matcher
from curation.removal.notes import unfinished
from curation.removal.tombstones import find_buried
from manifests.errors import RequestError
from manifests.record import PREVIOUS, RECORD
from manifests.schema_mixture import Source
from manifests.store import Folder, resolve


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
        """Where its tokenised documents lie."""
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
    for path in input_files(resolve(source.path or "", base)):
        yield from _in_file(path, source, matcher)


def _in_file(path: str, source: Source, matcher: Matcher) -> Iterator[pl.DataFrame]:
    """Ids of documents in files are made as `onggi curate` makes them: of source, key and content digest."""
    try:
        urls = [frame[source.url] for frame in frames(path, [source.url])]
    except RequestError:
        return  # no such column: nothing that addresses could mean
    for number, frame in enumerate(frames(path, [source.url, source.text, *([source.key] if source.key else [])])):
        places = [str(place) for place in range(len(frame))]
        rows = pl.DataFrame({"id": places, "url": urls[number].cast(pl.String)})
        found = matcher.find(rows)
        if found.height:
            ids = {place: _file_id(frame.row(int(place), named=True), source) for place in found["id"].unique()}
            yield found.with_columns(pl.col("id").replace_strict(ids, return_dtype=pl.String))


def _file_id(row: dict[str, Any], source: Source) -> str:
    content = xxhash.xxh3_128_digest(str(row[source.text] or "").encode())
    key = "" if source.key is None or row[source.key] is None else str(row[source.key])
    return xxhash.xxh3_128_hexdigest(b"%b\0%b\0%b" % (source.name.encode(), key.encode(), content))
