"""What earlier runs hold already: documents whose text one of them kept, or one like it.

Equal texts are found by their digests. Similar ones share a band of their signatures, and are judged by the estimate
that both sketches give: the earlier texts are not read. A document that only resembles a near-duplicate of an earlier
text, and not that text itself, is not held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from curation.dedup.candidates import (
    BAND_ROWS_PER_RANGE,
    TEXTS_PER_RANGE,
    NumberTask,
    node_numbers,
    node_range,
    number_texts,
    write_bands,
)
from curation.dedup.exchange import ROWS_PER_RANGE, Finding, fingerprint_of, read_numbers, write_rows
from curation.dedup.signatures import Banding, estimated_jaccard
from curation.derive import FINGERPRINT, derive
from manifests.code import code_digest
from manifests.engine import Engine, map_shards
from manifests.errors import RequestError
from manifests.record import measured_folder, read_record
from manifests.schema import Dedup
from manifests.store import Folder, KeyRange, ranges_for

Progress = Callable[[str, int, int], None]

EARLIER_PER_BUCKET = 16
"""Earlier texts of one band that a text is compared with: those with the least digests."""

TEXTS = pa.schema([("text_digest", pa.string()), ("held_by", pa.string()), ("run", pa.int32())])
"""Texts that earlier runs kept, ordered by digest: the least id that has it, and which run that is."""

EARLIER_NODES = pa.schema([("node", pa.uint64()), *TEXTS, ("sketch", pa.binary())])
PAIRS = pa.schema([("left", pa.uint64()), ("right", pa.uint64())])
"""A text of this run and an earlier one, ordered by the first."""

SKETCHED = pa.schema([("left", pa.uint64()), ("right", pa.uint64()), ("sketch", pa.binary())])
"""Pairs with the sketch of the first, ordered by the second."""

SIMILAR = pa.schema([("left", pa.uint64()), ("held_by", pa.string()), ("run", pa.int32())])
"""Texts of this run that an earlier one resembles, ordered by the first."""

HELD = pa.schema(
    [("id", pa.string()), ("row_hash", pa.binary(16)), ("held_by", pa.string()), ("held_in", pa.string())]
)
"""Documents that an earlier run holds, ordered by id: the earlier document's id, and the run's folder."""


def state_of(against: Sequence[str]) -> list[str]:
    """What the runs that are compared with consist of now.

    Raises:
        RequestError: one of them is no complete run.
    """
    return [f"{path} {read_record(Folder(path)).digests}" for path in against]


def find_held(
    run: Folder, dedup: Dedup, n_rows: int, engine: Engine | int = 1, progress: Progress = lambda *_: None
) -> int:
    """Write the table `held` of a measured run, unless it is there; returns how many documents are held.

    Raises:
        RequestError: an earlier run is not complete, or has no signatures like this run's.
    """
    banding = Banding.of(dedup.near) if dedup.near else None
    depends = [
        *state_of(dedup.against),
        f"{banding.fingerprint} {dedup.near.jaccard}" if banding and dedup.near else "",
        code_digest("curation/dedup/earlier.py", "curation/dedup/candidates.py"),
        *(run / "keys").names(".parquet"),
    ]
    finding = Finding(run, "held", fingerprint_of(*depends))
    if found := finding.read():
        return found["n_held"]
    work = finding.start()
    if banding:
        derive(run, banding.derived, engine, progress)
    ranges = ranges_for(n_rows, TEXTS_PER_RANGE)
    _list_texts(work, dedup.against, engine)
    n_ranges = _find_similar(run, work, dedup, banding, ranges, engine, progress) if banding else 0
    tasks = [HeldTask(run.path, work.path, tuple(dedup.against), keys, n_ranges > 0) for keys in ranges]
    n_held = sum(n for _, n in map_shards(hold_records, tasks, engine))
    finding.finish({"n_held": n_held})
    return n_held


@dataclass(frozen=True)
class ListTask:
    """List the texts that a range of ids of an earlier run kept."""

    work: str
    path: str
    number: int
    keys: KeyRange


def _list_texts(work: Folder, against: Sequence[str], engine: Engine | int) -> None:
    tasks = []
    for number, path in enumerate(against):
        n_kept = read_record(Folder(path)).counts["kept"]
        tasks += [ListTask(work.path, path, number, keys) for keys in ranges_for(n_kept, ROWS_PER_RANGE)]
    for _ in map_shards(list_kept, tasks, engine):
        pass


def list_kept(task: ListTask) -> None:
    """Write the table `texts` of a range of ids."""
    earlier = Folder(task.path)
    kept = (earlier / "documents").read_range("id", task.keys, ["id"]).unique()
    measured = measured_folder(earlier, read_record(earlier)) / "measured"
    digests = measured.read_range("id", task.keys, ["id", "text_digest"]).drop_nulls()
    texts = digests.join(kept, on="id", how="semi").group_by("text_digest").agg(held_by=pl.col("id").min())
    texts = texts.with_columns(run=pl.lit(task.number, pl.Int32)).sort("text_digest")
    write_rows(Folder(task.work) / "texts", f"part-{task.number:03d}-{task.keys.index:05d}.parquet", texts, TEXTS)


def _first(texts: pl.DataFrame) -> pl.DataFrame:
    """Of each text the first run that holds it, and its least id."""
    return texts.sort("text_digest", "run", "held_by").unique("text_digest", keep="first", maintain_order=True)


def _find_similar(
    run: Folder,
    work: Folder,
    dedup: Dedup,
    banding: Banding,
    ranges: Sequence[KeyRange],
    engine: Engine | int,
    progress: Progress,
) -> int:
    """Write the table `similar`; returns how many files it has."""
    folders = [measured_folder(Folder(path), read_record(Folder(path))) for path in dedup.against]
    for path, folder in zip(dedup.against, folders, strict=True):
        _check_signatures(path, folder, banding)
    n_texts = sum((work / "texts").parquet_metadata(name).num_rows for name in (work / "texts").names(".parquet"))
    old_ranges = ranges_for(n_texts, TEXTS_PER_RANGE)
    signed = tuple(folder.path for folder in folders)
    new = f"{work.path}/new"
    n_new = [n for _, n in map_shards(number_texts, [NumberTask(run.path, new, banding, k) for k in ranges], engine)]
    old = [OldTask(work.path, signed, banding, keys) for keys in old_ranges]
    n_old = [n for _, n in map_shards(number_earlier, old, engine)]
    band_ranges = ranges_for(max(sum(n_new), sum(n_old)), BAND_ROWS_PER_RANGE)
    joins = [MeetTask(work.path, k, keys) for k in range(banding.n_bands) for keys in band_ranges]
    for done, _ in enumerate(map_shards(meet, joins, engine), 1):
        progress("earlier runs", done, len(joins))
    for _ in map_shards(sketch_pairs, [SketchTask(run.path, work.path, keys) for keys in ranges], engine):
        pass
    jaccard = dedup.near.jaccard if dedup.near else 1.0
    for _ in map_shards(estimate, [EstimateTask(work.path, keys, jaccard) for keys in old_ranges], engine):
        pass
    return len(old_ranges)


def _check_signatures(path: str, measured: Folder, banding: Banding) -> None:
    signatures = measured / "signatures"
    names = signatures.names(".parquet")
    have = {signatures.parquet_extra(name, "signatures").get(FINGERPRINT) for name in names}
    if have != {banding.fingerprint} or names != (measured / "measured").names(".parquet"):
        raise RequestError(
            f"dedup.against: {path} has no signatures like those asked for here ({banding.n_bands} bands of "
            f"{banding.n_rows} rows, {banding.ko} and {banding.en}, by this version of Onggi); run `onggi decide` on "
            "it with the same dedup.near, or leave `near` out to compare equal texts only"
        )


@dataclass(frozen=True)
class OldTask:
    """Number the earlier texts of a range of digests, and lay out their bands."""

    work: str
    signed: tuple[str, ...]
    banding: Banding
    keys: KeyRange


def number_earlier(task: OldTask) -> int:
    """Write the tables `old/nodes` and `old/bands` of a range of digests; returns how many nodes it has."""
    work, name = Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    texts = _first((work / "texts").read_range("text_digest", task.keys, TEXTS.names))
    columns = ["text_digest", *task.banding.band_names, "sketch"]
    signed = [(Folder(path) / "signatures").read_range("text_digest", task.keys, columns) for path in task.signed]
    nodes = texts.join(pl.concat(signed).unique("text_digest"), on="text_digest", maintain_order="left")
    nodes = nodes.with_columns(node=node_numbers(task.keys.index, nodes.height))
    write_bands(work / "old" / "bands", name, nodes, task.banding)
    write_rows(work / "old" / "nodes", name, nodes, EARLIER_NODES)
    return nodes.height


@dataclass(frozen=True)
class MeetTask:
    """Join a range of the hashes of one band: new texts with earlier ones."""

    work: str
    band: int
    keys: KeyRange


def meet(task: MeetTask) -> None:
    """Write the table `pairs` of this range."""
    work, here = Folder(task.work), pl.col("band") == task.band
    new, old = (
        read_numbers(work / side / "bands", "hash", task.keys, ["hash", "node"], here) for side in ("new", "old")
    )
    old = old.join(new, on="hash", how="semi").sort("hash", "node")
    old = old.group_by("hash", maintain_order=True).head(EARLIER_PER_BUCKET)
    pairs = new.join(old, on="hash").select(left="node", right="node_right").sort("left", "right")
    write_rows(work / "pairs", f"part-{task.band:03d}-{task.keys.index:05d}.parquet", pairs, PAIRS)


@dataclass(frozen=True)
class SketchTask:
    """Give the pairs of a range of digests the sketches of their new texts."""

    run: str
    work: str
    keys: KeyRange


def sketch_pairs(task: SketchTask) -> None:
    """Write the table `sketched` of this range."""
    run, work, name = Folder(task.run), Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    pairs = (work / "pairs").scan().filter(node_range(task.keys)).select("left", "right").unique().collect()
    nodes = (work / "new" / "nodes").scan([name]).select(left="node", text_digest="text_digest").collect()
    sketches = (run / "signatures").read_range("text_digest", task.keys, ["text_digest", "sketch"])
    sketches = nodes.join(sketches.unique("text_digest"), on="text_digest").select("left", "sketch")
    write_rows(work / "sketched", name, pairs.join(sketches, on="left").sort("right", "left"), SKETCHED)


@dataclass(frozen=True)
class EstimateTask:
    """Judge the pairs of a range of earlier texts."""

    work: str
    keys: KeyRange
    jaccard: float


def estimate(task: EstimateTask) -> None:
    """Write the table `similar` of this range."""
    work, name = Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    pairs = (work / "sketched").scan().filter(node_range(task.keys, "right")).select(SKETCHED.names).collect()
    old = (work / "old" / "nodes").scan([name]).select(EARLIER_NODES.names).collect()
    pairs = pairs.join(old, left_on="right", right_on="node", suffix="_old")
    similar = estimated_jaccard(_bytes(pairs["sketch"]), _bytes(pairs["sketch_old"])) >= task.jaccard
    found = pairs.filter(pl.Series(similar)).sort("left", "run", "held_by")
    write_rows(work / "similar", name, found.unique("left", keep="first", maintain_order=True), SIMILAR)


def _bytes(sketches: pl.Series) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Sketches as rows of bytes."""
    joined = np.frombuffer(b"".join(sketches.to_list()), np.uint8)
    return joined.reshape(len(sketches), -1 if len(sketches) else 0)


@dataclass(frozen=True)
class HeldTask:
    """Mark the records of a range of digests that earlier runs hold."""

    run: str
    work: str
    against: tuple[str, ...]
    keys: KeyRange
    has_similar: bool


def hold_records(task: HeldTask) -> int:
    """Write the table `held` of a range of digests; returns how many records it holds."""
    run, work, name = Folder(task.run), Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    texts = (work / "texts").read_range("text_digest", task.keys, TEXTS.names)
    if task.has_similar:
        similar = (work / "similar").scan().filter(node_range(task.keys)).select(SIMILAR.names).collect()
        nodes = (work / "new" / "nodes").scan([name]).select(left="node", text_digest="text_digest").collect()
        # an equal text of any run comes before one that is only similar
        equal = texts.select("text_digest").unique()
        resembling = similar.join(nodes, on="left").join(equal, on="text_digest", how="anti")
        texts = pl.concat([texts, resembling.select(TEXTS.names)])
    records = (run / "keys").read_range("text_digest", task.keys, ["text_digest", "id", "row_hash"])
    held = records.join(_first(texts), on="text_digest").unique(["id", "row_hash"]).sort("id", "row_hash")
    folders = pl.Series(task.against, dtype=pl.String)
    held = (
        held.with_columns(held_in=folders.gather(held["run"]))
        if held.height
        else held.with_columns(held_in=pl.lit(None, pl.String))
    )
    write_rows(work / "held", name, held, HELD)
    return held.height
