"""What removing documents from a corpus takes, found out and written down before anything is changed.

The plan is whole on disk before the first file is rewritten, so that a command that was killed goes on from it: by
then the tables no longer tell which documents were meant.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel

from curation.removal.matching import FOUND, Matcher, address
from curation.removal.rows import ROW_TABLES, STAGE, Doomed, buried
from curation.removal.tables import file_schema, row_groups, tables_in
from curation.removal.tombstones import FOLDER
from curation.shards import has_texts
from manifests.contracts import NOT_IN_DIGEST
from manifests.digest import TableDigest
from manifests.store import Folder

COUNTED = ("repeated_lines", "repeated_paragraphs", "repeated_spans")
"""Tables of what several texts share; where texts are stored these go, and the next decision finds them anew."""
N_COPIES_NAMED = 1000


class Change(BaseModel):
    """A file that is to be written again."""

    path: str
    size_bytes: int
    n_rows: int
    """Rows that go, or become tombstones."""


class Part(BaseModel):
    """What goes of a measured part and of the tables derived from it."""

    digests: list[str]
    """Of the texts that no document of the part has any more."""
    rows: list[int]


class Sum(BaseModel):
    """A digest that can be added to."""

    total: str
    n_rows: int

    @staticmethod
    def of(digest: TableDigest) -> "Sum":
        """The sum of a digest, for JSON."""
        return Sum(total=f"{digest.total:032x}", n_rows=digest.n_rows)

    @property
    def digest(self) -> TableDigest:
        """The digest itself."""
        return TableDigest(int(self.total, 16), self.n_rows)


class CorpusPlan(BaseModel):
    """What is to be done in the folder of one corpus."""

    ids: list[str]
    n_records: int
    n_by_verdict: dict[str, int]
    digests: list[str]
    """Of the texts that no document of the run has any more."""
    parts: dict[str, Part]
    changes: list[Change]
    is_found_anew: bool
    """Whether the next decision is to find groups and repeats anew, as it can where texts are stored."""
    tables_removed: list[str]
    """What goes whole, since it will be found anew."""
    taken: dict[str, Sum]
    """Rows that go, by table."""
    added: dict[str, Sum]
    """Tombstones that come, by table."""
    inputs: dict[str, int]
    """Input files that hold the records, and how many of them."""
    copies_left: list[dict[str, Any]]
    n_copies_left: int


def find_in_ledger(run: Folder, matcher: Matcher) -> pl.DataFrame:
    """The records of a run that are meant and still there, as `matching.FOUND`; a file of the ledger at a time."""
    is_there = pl.col("stage").ne_missing(STAGE)
    found = [pl.DataFrame(schema=FOUND)]
    for name in (run / "ledger").names(".parquet"):
        rows = (run / "ledger").scan([name]).filter(is_there).select("id", address()).collect()
        found.append(matcher.find(rows))
    return pl.concat(found).unique(["id", "entry"], maintain_order=True)


def find_copies(run: Folder, measured: Folder, ids: set[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Other documents of a run with the text of these, and others nearly with it: `id` and `url` of each."""
    texts = (measured / "measured").scan().select("id", "text_digest").filter(pl.col("text_digest").is_not_null())
    mine = texts.filter(pl.col("id").is_in(list(ids))).select("text_digest").unique().collect()["text_digest"]
    same = texts.filter(pl.col("text_digest").is_in(mine.implode())).select("id").unique().collect()["id"]
    equal = set(same) - ids
    near = set[str]()
    if (measured / "near").names(".parquet"):
        grouped = (measured / "near").scan().select("id", "near_cluster")
        clusters = grouped.filter(pl.col("id").is_in(list(ids))).select("near_cluster").unique().collect().to_series()
        near = set(grouped.filter(pl.col("near_cluster").is_in(clusters.implode())).collect()["id"]) - ids - equal
    ledger = (run / "ledger").scan().filter(pl.col("stage").ne_missing(STAGE))
    ledger = ledger.filter(pl.col("id").is_in([*equal, *near])).select("id", address(), "verdict")
    rows = ledger.collect().unique("id").sort("id")
    return rows.filter(pl.col("id").is_in(list(equal))), rows.filter(pl.col("id").is_in(list(near)))


def plan_corpus(run: Folder, measured: Folder | None, ids: set[str]) -> CorpusPlan:
    """What removing these documents from a run takes; `measured` is the run itself where its measured parts are."""
    doomed = pa.array(sorted(ids), pa.string())
    own = measured if measured and measured.root == run.root else None
    parts, digests = parts_of(own, ids) if own else ({}, [])
    ledger = pa.concat_tables(_rows(run / "ledger", doomed))
    copies = find_copies(run, measured, ids) if measured else (pl.DataFrame(), pl.DataFrame())
    left = [
        row | {"text": kind}
        for kind, rows in zip(("equal", "similar"), copies, strict=True)
        for row in rows.to_dicts()
    ]
    documents = sum((TableDigest.of(rows) for rows in _rows(run / "documents", doomed)), TableDigest())
    is_found_anew = bool(own and parts and has_texts(own))
    tables_removed = [table for table in COUNTED if is_found_anew and run.exists(table)]
    changes = _changes(run, parts, Doomed(sorted(ids), digests), own is not None)
    return CorpusPlan(
        ids=sorted(ids),
        n_records=ledger.num_rows,
        n_by_verdict=_counted(ledger["verdict"]),
        digests=digests,
        parts=parts,
        changes=[change for change in changes if change.path.split("/")[0] not in tables_removed],
        is_found_anew=is_found_anew,
        tables_removed=tables_removed,
        taken={
            "documents": Sum.of(documents),
            "ledger": Sum.of(TableDigest.of(ledger, NOT_IN_DIGEST)),
        },
        added={
            "documents": Sum.of(TableDigest()),
            "ledger": Sum.of(TableDigest.of(buried(ledger, doomed), NOT_IN_DIGEST)),
        },
        inputs=_counted(ledger["file"]),
        copies_left=left[:N_COPIES_NAMED],
        n_copies_left=len(left),
    )


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    return dict(sorted(Counter(column.to_pylist()).items()))


def _rows(folder: Folder, ids: pa.Array) -> Iterator[pa.Table]:
    """The rows of a table that have these ids and are no tombstones, a row group at a time."""
    for name in folder.names(".parquet"):
        with folder.fs.open(folder.file(name), "rb") as file:
            source = pq.ParquetFile(file)
            columns = [column for column in ("id", "stage") if column in source.schema_arrow.names]
            yield source.schema_arrow.empty_table()
            for group in range(source.num_row_groups):
                mask = _is_doomed(source.read_row_group(group, columns), "id", ids)
                if pc.any(mask).as_py():
                    yield source.read_row_group(group).filter(mask)


def _is_doomed(rows: pa.Table, column: str, values: pa.Array) -> pa.ChunkedArray:
    """Which rows go: those with these values that are no tombstones."""
    mask = pc.is_in(rows[column], value_set=values)
    if "stage" not in rows.column_names:
        return mask
    return pc.and_(mask, pc.fill_null(pc.not_equal(rows["stage"], STAGE), True))


def parts_of(run: Folder, ids: set[str]) -> tuple[dict[str, Part], list[str]]:
    """What goes of each measured part, by its name, and the digests of texts that nothing else in the run has."""
    parts, gone, left = dict[str, Part](), set[str](), set[str]()
    for name in (run / "measured").names(".parquet"):
        rows = (run / "measured").scan([name]).select("id", "stage", "text_digest").collect()
        is_gone = pl.col("id").is_in(list(ids)) & pl.col("stage").ne_missing(STAGE)
        mine = rows.with_row_index("row").filter(is_gone)
        if mine.height:
            digests = set(mine["text_digest"].drop_nulls())
            others = set(rows.filter(~is_gone & pl.col("text_digest").is_in(list(digests)))["text_digest"])
            gone, left = gone | digests, left | others
            parts[name] = Part(digests=sorted(digests - others), rows=mine["row"].to_list())
    if gone:
        elsewhere = (
            (run / "keys").scan().filter(pl.col("text_digest").is_in(list(gone)) & ~pl.col("id").is_in(list(ids)))
        )
        left |= set(elsewhere.select("text_digest").collect().to_series())
    return parts, sorted(gone - left)


def doomed_in(path: str, plan_ids: list[str], digests: list[str], parts: dict[str, Part]) -> Doomed | None:
    """What goes of a file: of a table made part by part what goes of that part, None where nothing does."""
    name = path.rpartition("/")[2]
    if name.startswith("part-"):
        return Doomed(plan_ids, digests)
    part = parts.get(name)
    return Doomed(plan_ids, part.digests, part.rows) if part else None


def _changes(run: Folder, parts: dict[str, Part], doomed: Doomed, with_measured: bool) -> list[Change]:
    """The files that hold a row of a document that goes."""
    changes = list[Change]()
    for path in tables_in(run):
        table = path.split("/")[0]
        if table == FOLDER or (table == "measured" and not with_measured):
            continue
        if n_rows := n_doomed(run, path, doomed, parts):
            changes.append(Change(path=path, size_bytes=run.size_bytes(path), n_rows=n_rows))
    return changes


def n_doomed(run: Folder, path: str, doomed: Doomed, parts: dict[str, Part]) -> int:
    """Rows of a file that have to go, or to become tombstones."""
    mine = doomed_in(path, list(doomed.ids), list(doomed.digests), parts)
    folder, _, name = path.rpartition("/")
    found = mine.column(file_schema(run / folder, name)) if mine else None
    if found is None:
        return 0
    column, values = found
    is_row_table = path.split("/")[0] in ROW_TABLES
    n_rows = 0
    for rows in row_groups(run / folder, name, [column, "stage"] if is_row_table else [column]):
        n_rows += pc.sum(_is_doomed(rows, column, values)).as_py() or 0
    return n_rows
