"""What a run remembers of removals: which ids are gone, and digests of what was asked for.

`removed/` in the run's folder holds, for each request, a table of tombstones and a note. The table says of each
document that was removed its id and the digests of its address and domains, so that a mixture made from the run can
still be told which documents a request means, and documents that are measured again are not let in. Neither says
which addresses they were; of an address that one knows one can tell whether it was removed.
"""

from collections.abc import Iterable
from typing import Any

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from curation.removal.addresses import host_of
from curation.removal.entries import Request
from curation.removal.matching import Matcher, host_digests, url_digest
from manifests.store import Folder, to_arrow

FOLDER = "removed"
"""Of a run."""

TOMBSTONES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("url_digest", pa.string()),  # null where the document had no address
        pa.field("domain_digests", pa.list_(pa.field("element", pa.string()))),  # of its host and those above it
    ]
)
"""Documents that were removed, ordered by id."""


class Note(BaseModel):
    """What was asked for, what was found of it, and whether that is done; written before anything is changed."""

    model_config = ConfigDict(extra="ignore")

    request: str
    """Digest of the request."""
    created: str
    onggi_version: str
    done: bool = False
    ids: list[str]
    """Of the documents that this request removes here."""
    urls: list[str]
    """Digests of the addresses that were asked for, with those of `url_hosts` and `domains`."""
    url_hosts: list[str]
    domains: list[str]
    found: dict[str, list[str]]
    """Of each entry that means documents here, by its digest: their ids."""
    part: dict[str, Any] = {}
    """What the receipt says of this run."""


def note_name(request: str) -> str:
    """The name of a request's note in the folder `removed`."""
    return f"{request[:16]}.json"


def read_notes(run: Folder) -> list[Note]:
    """The notes of a run, ordered by name."""
    folder = run / FOLDER
    return [Note.model_validate(folder.read_json(name)) for name in folder.names(".json") if "-" not in name]


def read_note(run: Folder, request: Request) -> Note | None:
    """The note of a request, if there is one."""
    return next((note for note in read_notes(run) if note.request == request.digest), None)


def write_note(run: Folder, note: Note) -> None:
    """Write a note, which replaces that of the same request."""
    (run / FOLDER).write_json(note_name(note.request), note.model_dump())


def write_tombstones(run: Folder, request: str, found: pl.DataFrame) -> None:
    """Write the tombstones of documents, given as `id` and `url`; those that are there already stay."""
    name = note_name(request).replace(".json", ".parquet")
    folder = run / FOLDER
    urls = found.unique(["id", "url"]).sort("id", "url")
    rows = pl.DataFrame(
        {
            "id": urls["id"],
            "url_digest": pl.Series([url_digest(url) for url in urls["url"]], dtype=pl.String),
            "domain_digests": pl.Series(
                [host_digests(host_of(url) if url else None) for url in urls["url"]], dtype=pl.List(pl.String)
            ),
        }
    )
    if folder.exists(name):
        rows = pl.concat([folder.scan([name]).drop("shard").collect(), rows])
    rows = rows.unique(["id", "url_digest"], keep="first").sort("id", "url_digest")
    with folder.table_writer(name, TOMBSTONES, "tombstones") as writer:
        writer.write(to_arrow(rows, TOMBSTONES))


def read_tombstones(run: Folder) -> pl.DataFrame:
    """All tombstones of a run."""
    folder = run / FOLDER
    if not folder.names(".parquet"):
        return pl.DataFrame(schema=pl.Schema(TOMBSTONES))
    return folder.scan().drop("shard").collect()


def find_buried(run: Folder, matcher: Matcher) -> pl.DataFrame:
    """The documents of a run that were removed before and that a request means: `id` and `entry`, its digest."""
    dead = read_tombstones(run)
    if dead.is_empty():
        return pl.DataFrame(schema={"id": pl.String, "entry": pl.String})
    by_id = matcher.find(dead.select("id", url=pl.lit(None, pl.String))).select("id", "entry")
    by_url = dead.filter(pl.col("url_digest").is_in(list(matcher.urls))).select("id", entry="url_digest")
    hosts = dead.select("id", entry="domain_digests").explode("entry")
    by_host = hosts.filter(pl.col("entry").is_in(list(matcher.domains)))
    return pl.concat([by_id, by_url, by_host]).unique(maintain_order=True)


def standing_matcher(run: Folder) -> Matcher:
    """What the removals of a run ask for now and later: their ids, addresses and domains."""
    notes = read_notes(run)
    return Matcher(
        _all(note.ids for note in notes),
        _all(note.urls for note in notes),
        _all(note.domains for note in notes),
        _all(note.url_hosts for note in notes),
    )


def _all(lists: Iterable[list[str]]) -> frozenset[str]:
    return frozenset(item for items in lists for item in items)
