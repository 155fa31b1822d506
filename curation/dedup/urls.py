"""Documents with one canonical URL: the same page, fetched again or found under several spellings of its address.

Groups are found once, over all measured documents, as those of equal texts are. Each decision then keeps, of those
that pass the rules, the best, before any texts are compared: a page that has changed since loses to its newer form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import polars as pl
import pyarrow as pa
import xxhash

from curation.addresses.hosts import suffixes_version
from curation.addresses.urls import canonical_column
from curation.dedup.exchange import ROWS_PER_RANGE, Finding, fingerprint_of, write_rows
from curation.dedup.ranks import policy_columns, policy_rank
from curation.derive import Derived, derive
from manifests.code import code_digest
from manifests.engine import Engine, run_step
from manifests.schema import CorpusManifest
from manifests.schema_addresses import UrlDedup
from manifests.store import Folder, KeyRange, ranges_for

Progress = Callable[[str, int, int], None]

REASON = "duplicate_url"
KEYS, TABLE = "url_keys", "url_groups"
"""Tables in the run's folder."""

KEY_ROWS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("row_hash", pa.binary(16), nullable=False),
        pa.field("url_group", pa.string(), nullable=False),  # XXH3-128 of the canonical URL
    ]
)
GROUPED = pa.schema([("id", pa.string()), ("row_hash", pa.binary(16)), ("url_group", pa.string())])
"""Documents that share their URL with others, ordered by id. Records of equal id and row hash stand here once."""

PASSING = pa.schema(
    [("url_group", pa.string()), ("url_rank", pa.float64()), ("id", pa.string()), ("copy", pa.int32())]
)
"""Those among them that pass the rules, ordered by group; the least rank survives, null comes last."""

LOSERS = pa.schema(
    [("id", pa.string()), ("copy", pa.int32()), ("same_url_as", pa.string()), ("same_url_as_copy", pa.int32())]
)
"""Passing members that are not their group's survivor, ordered by (id, copy)."""


# groups


@dataclass(frozen=True)
class _MakeKeys:
    """Keys of a measured part's documents; `column` is `canonical_url` where that was measured, else `url`."""

    column: str

    def __call__(self, rows: pa.Table) -> pa.Table:
        frame = pl.DataFrame(pl.from_arrow(rows)).filter(pl.col("verdict").is_null())
        urls = frame[self.column].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
        canonical = canonical_column(urls) if self.column == "url" else urls
        digests = [xxhash.xxh3_128_hexdigest(url.encode()) if url else None for url in canonical.to_pylist()]
        frame = frame.select("id", "row_hash", url_group=pl.Series(digests, dtype=pl.String))
        found = frame.filter(pl.col("url_group").is_not_null()).sort("url_group", "id", "row_hash")
        return found.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(KEY_ROWS)


def _keys(manifest: CorpusManifest) -> Derived:
    """The derived table of canonical URLs: those that were measured, or else those of the column `url`."""
    make = _MakeKeys("canonical_url" if manifest.measure.urls else "url")
    libraries = "" if manifest.measure.urls else suffixes_version()
    fingerprint = fingerprint_of(_code(), make.column, libraries)
    return Derived(KEYS, fingerprint, ("id", "row_hash", "verdict", make.column), KEY_ROWS, make)


@cache
def _code() -> str:
    return code_digest("curation/dedup/urls.py", "curation/addresses/*.py")


def find_groups(run: Folder, manifest: CorpusManifest, n_rows: int, engine: Engine | int, progress: Progress) -> int:
    """Write the table `url_groups` of a measured run, unless it is there; returns how many documents are in it.

    Args:
        run: the folder with `measured`.
        manifest: says what is canonical.
        n_rows: measured rows, which says how many ranges keep memory bounded.
        engine: where tasks execute.
        progress: called with (step, tasks done, tasks in all).
    """
    table = _keys(manifest)
    finding = Finding(run, TABLE, fingerprint_of(table.fingerprint, *(run / "measured").names(".parquet")))
    if found := finding.read():
        return found["n_members"]
    work = finding.start()
    derive(run, table, engine, progress)
    tasks = [_GroupTask(run.path, work.path, keys) for keys in ranges_for(n_rows, ROWS_PER_RANGE)]
    n_members = sum(run_step(engine, progress, "group URLs", _group, tasks))
    finding.finish({"n_members": n_members})
    return n_members


@dataclass(frozen=True)
class _GroupTask:
    run: str
    work: str
    keys: KeyRange


def _group(task: _GroupTask) -> int:
    """Write the members of the groups in a range of digests; returns how many they are."""
    rows = (Folder(task.run) / KEYS).read_range("url_group", task.keys, GROUPED.names)
    members = rows.filter(pl.len().over("url_group") > 1)
    once = members.unique(["id", "row_hash"]).sort("id", "row_hash")
    write_rows(Folder(task.work) / TABLE, f"part-{task.keys.index:05d}.parquet", once, GROUPED)
    return members.height


# survivors


def columns_needed(dedup: UrlDedup) -> set[str]:
    """The measured columns that say which member survives."""
    return {"id", "row_hash", *policy_columns(dedup.keep)}


def members_in(run: Folder, keys: KeyRange, rows: pl.DataFrame) -> pl.Series:
    """The ids of those among the rows of a range that share their URL with others."""
    groups = (run / TABLE).read_range("id", keys, ["id"])
    return rows.join(groups, on="id", how="semi")["id"]


def write_passing(run: Folder, staging: Folder, keys: KeyRange, judged: pl.DataFrame, dedup: UrlDedup) -> None:
    """Write those members of URL groups in a range of ids that pass the rules.

    `judged` are the rows of the range with their verdicts by the rules, ordered by (id, copy).
    """
    groups = (run / TABLE).read_range("id", keys, GROUPED.names)
    passing = judged.filter(pl.col("verdict") == "kept").join(groups, on=["id", "row_hash"], how="inner")
    passing = passing.with_columns(url_rank=policy_rank(dedup.keep)).select(PASSING.names).sort("url_group")
    write_rows(staging / "url_passing", f"part-{keys.index:05d}-{keys.count}.parquet", passing, PASSING)


def choose_survivors(staging: Folder, n_members: int) -> int:
    """Keep the best member of each group, ties going by (id, copy); write the others, return how many they are."""
    n_losers = 0
    for keys in ranges_for(n_members, ROWS_PER_RANGE):
        members = (staging / "url_passing").read_range("url_group", keys, PASSING.names)
        members = members.sort("url_group", "url_rank", "id", "copy", nulls_last=True)
        firsts = pl.col("id", "copy").first().over("url_group").name.prefix("same_url_as_")
        lost = members.with_columns(firsts).rename({"same_url_as_id": "same_url_as"})
        lost = lost.filter((pl.col("id") != pl.col("same_url_as")) | (pl.col("copy") != pl.col("same_url_as_copy")))
        lost = lost.select(LOSERS.names).sort("id", "copy")
        write_rows(staging / "url_losers", f"part-{keys.index:05d}.parquet", lost, LOSERS)
        n_losers += lost.height
    (staging / "url_losers").write_json("done.json", {"n_losers": n_losers})
    return n_losers


def drop_losers(judged: pl.DataFrame, staging: Folder, keys: KeyRange) -> pl.DataFrame:
    """The judged rows of a range of ids, where those are dropped that lose to another document of their URL.

    `held_by` and `held_by_copy` become the survivor's id and copy. Where survivors were not chosen, nothing changes.
    """
    if not staging.exists("url_losers/done.json"):
        return judged
    losers = (staging / "url_losers").read_range("id", keys, LOSERS.names)
    rows = judged.join(losers, on=["id", "copy"], how="left", maintain_order="left")
    lost = pl.col("same_url_as").is_not_null()
    return rows.with_columns(
        verdict=pl.when(lost).then(pl.lit("dropped")).otherwise("verdict"),
        stage=pl.when(lost).then(pl.lit("dedup")).otherwise("stage"),
        reason=pl.when(lost).then(pl.lit(REASON)).otherwise("reason"),
        held_by=pl.coalesce("same_url_as", "held_by"),
        held_by_copy=pl.coalesce("same_url_as_copy", "held_by_copy"),
    ).drop("same_url_as", "same_url_as_copy")
