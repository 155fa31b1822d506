"""The summary of a corpus after documents were removed: what it counts, and no sample of one that is gone."""

from collections.abc import Collection
from typing import Any

import polars as pl

from curation.dedup.exact import number_copies
from curation.removal.rows import REASON, STAGE
from curation.summary_models import Summary, Tally, by_key
from manifests.store import Folder, ranges_for

TALLIED = ("source", "language", "verdict", "stage", "reason")
TEXT_BYTES = 96 << 20
"""Of texts that are read at once."""


def pieces_in(summary: Summary) -> set[str]:
    """The lines and stretches that a summary shows: they have no ids, as they stand in several documents."""
    return {piece.text for rule in summary.removed for piece in rule.pieces}


def summary_without(summary: Summary, gone: pl.DataFrame, quoted: Collection[str]) -> Summary:
    """The summary of a corpus after a removal: its counts of records, and no sample of a document that goes.

    Distributions stay as they were decided: a bin tells nothing of a document.

    Args:
        summary: as it is.
        gone: what goes: `id`, the keys of a tally, `n_bytes`, `n_text_bytes` and `n_chars`, a row per record.
        quoted: pieces of text that stand in one of them, see `pieces_in`.
    """
    ids = set(gone["id"])
    value = without_ids(summary.model_dump(mode="json"), ids)
    for rule in value["removed"]:
        rule["pieces"] = [piece for piece in rule["pieces"] if piece["text"] not in quoted]
    for clusters in (value["near"]["clusters"], value["semantic"]["clusters"], value["semantic"]["edge"]):
        clusters[:] = [cluster for cluster in clusters if len(cluster["members"]) > 1]
    return Summary.model_validate(value).model_copy(update={"tallies": _moved(summary.tallies, gone)})


def without_ids(value: Any, ids: set[str]) -> Any:
    """A JSON value without the members of lists that speak of one of these documents (`id`, or a part with one)."""
    if isinstance(value, list):
        return [without_ids(item, ids) for item in value if not _speaks_of(item, ids)]
    return {name: without_ids(item, ids) for name, item in value.items()} if isinstance(value, dict) else value


def _speaks_of(item: Any, ids: set[str]) -> bool:
    if not isinstance(item, dict):
        return False
    inner = [part.get("id") for part in item.values() if isinstance(part, dict)]
    return any(isinstance(name, str) and name in ids for name in (item.get("id"), *inner))


def _moved(tallies: tuple[Tally, ...], gone: pl.DataFrame) -> tuple[Tally, ...]:
    """The tallies with the records that go counted as removed."""
    sums = {tally.key: tally for tally in tallies}
    for row in gone.iter_rows(named=True):
        old = sums.get((row["source"], row["language"], row["verdict"], row["stage"], row["reason"]))
        if old is None:  # a summary that says nothing of it
            continue
        sums[old.key] = old.model_copy(
            update={
                "n_docs": old.n_docs - 1,
                "content_bytes": old.content_bytes - row["n_bytes"],
                "text_bytes": max(0, old.text_bytes - row["n_text_bytes"]),
                "n_chars": max(0, old.n_chars - row["n_chars"]),
            }
        )
        key = (row["source"], None, "dropped", STAGE, REASON)
        zero = {"n_docs": 0, "content_bytes": 0, "text_bytes": 0, "n_chars": 0}
        new = sums.get(key) or Tally(source=key[0], language=None, verdict=key[2], stage=STAGE, reason=REASON, **zero)
        more = {"n_docs": new.n_docs + 1, "content_bytes": new.content_bytes + row["n_bytes"]}
        sums[key] = new.model_copy(update=more)
    return by_key(tally for tally in sums.values() if tally.n_docs)


def gone_rows(
    run: Folder, measured: Folder | None, ids: set[str], pieces: Collection[str]
) -> tuple[pl.DataFrame, set[str]]:
    """Per record that goes what the summary counted of it, and which of some pieces of text stand in those records.

    Texts are read in ranges of ids, so that what is held does not depend on how many documents go.
    """
    n_bytes = 0
    if measured:
        sizes = (measured / "measured").scan().filter(pl.col("id").is_in(list(ids))).select(pl.sum("n_text_bytes"))
        n_bytes = int(sizes.collect().item())
    found, quoted = list[pl.DataFrame](), set[str]()
    for low, high in (keys.bounds for keys in ranges_for(n_bytes, TEXT_BYTES)):
        rows = _gone_range(run, measured, [name for name in ids if low <= name < high])
        for column in ("written", "text"):
            for text in rows[column].drop_nulls():
                quoted |= {piece for piece in pieces if piece in text}
        found.append(rows.drop("written", "text"))
    return pl.concat(found), quoted


def _gone_range(run: Folder, measured: Folder | None, ids: list[str]) -> pl.DataFrame:
    """Records with the keys of a tally and what it sums up, and their texts: as `written`, and as measured."""
    is_mine = pl.col("id").is_in(ids)
    is_there = is_mine & pl.col("stage").ne_missing(STAGE)
    rows = (run / "ledger").scan().filter(is_there).select("id", "copy", *TALLIED, "edits").collect()
    documents = (run / "documents").scan().filter(is_mine).select("id", "copy", written="text").collect()
    rows = rows.join(documents, on=["id", "copy"], how="left")
    written_bytes = pl.col("written").str.len_bytes().cast(pl.Int64)
    if measured:
        scan = (measured / "measured").scan().filter(is_there)
        text = pl.col("text") if "text" in scan.collect_schema().names() else pl.lit(None, pl.String).alias("text")
        found = number_copies(scan.select("id", "row_hash", "n_bytes", "n_text_bytes", text).collect())
        rows = rows.join(found.drop("row_hash"), on=["id", "copy"], how="left")
    else:
        rows = rows.with_columns(
            n_bytes=pl.lit(0, pl.Int64), n_text_bytes=written_bytes, text=pl.lit(None, pl.String)
        )
    is_edited = pl.col("edits").is_not_null()
    return rows.with_columns(
        n_chars=pl.coalesce("written", "text").str.len_chars().fill_null(0).cast(pl.Int64),
        n_bytes=pl.col("n_bytes").fill_null(0),
        n_text_bytes=pl.when(is_edited).then(written_bytes).otherwise("n_text_bytes").fill_null(0),
    ).drop("edits", "copy")
