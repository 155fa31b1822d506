"""The summary of a corpus after documents were removed: what it counts, and no sample of one that is gone."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from curation.dedup.exact import number_copies
from curation.removal.rows import REASON, STAGE
from curation.summary_models import Summary, Tally, by_key
from manifests.store import Folder


def summary_without(summary: Summary, gone: pl.DataFrame, texts: Iterable[str]) -> Summary:
    """The summary of a corpus after a removal: its counts of records, and no sample of a document that goes.

    Distributions stay as they were decided: a bin tells nothing of a document.

    Args:
        summary: as it is.
        gone: what goes: `id`, the keys of a tally, `n_bytes`, `n_text_bytes` and `n_chars`, a row per record.
        texts: of the documents that go.
    """
    ids, texts = set(gone["id"]), list(texts)
    value = without_ids(summary.model_dump(mode="json"), ids)
    for rule in value["removed"]:  # a piece has no id: it stands in several documents, maybe in one of these
        rule["pieces"] = [piece for piece in rule["pieces"] if not any(piece["text"] in text for text in texts)]
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


def gone_rows(run: Folder, measured: Folder | None, ids: set[str]) -> tuple[pl.DataFrame, list[str]]:
    """Per record that goes what the summary counted of it, and the texts: those of the documents, or as measured."""
    is_mine, keys = pl.col("id").is_in(list(ids)), ["id", "copy", "source", "language", "verdict", "stage", "reason"]
    is_there = is_mine & pl.col("stage").ne_missing(STAGE)
    rows = (run / "ledger").scan().filter(is_there).select(*keys, "edits").collect()
    documents = (run / "documents").scan().filter(is_mine).select("id", "copy", written="text").collect()
    rows = rows.join(documents, on=["id", "copy"], how="left")
    if measured:
        scan = (measured / "measured").scan().filter(is_there)
        text = pl.col("text") if "text" in scan.collect_schema().names() else pl.lit(None, pl.String).alias("text")
        found = number_copies(scan.select("id", "row_hash", "n_bytes", "n_text_bytes", text).collect())
        rows = rows.join(found.drop("row_hash"), on=["id", "copy"], how="left")
    else:
        size = pl.col("written").str.len_bytes()
        rows = rows.with_columns(n_bytes=pl.lit(0), n_text_bytes=size, text=pl.lit(None, pl.String))
    shown = pl.coalesce("written", "text")
    rows = rows.with_columns(
        n_chars=shown.str.len_chars().fill_null(0).cast(pl.Int64),
        n_bytes=pl.col("n_bytes").fill_null(0),
        n_text_bytes=pl.when(pl.col("edits").is_not_null())
        .then(pl.col("written").str.len_bytes())
        .otherwise("n_text_bytes")
        .fill_null(0),
    )
    texts = [text for name in ("written", "text") for text in rows[name].drop_nulls()]
    return rows.drop("edits", "written", "text", "copy"), texts
