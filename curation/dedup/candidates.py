"""Candidate pairs: texts whose signatures share a band.

A node is a text; its number is the range of digests that it lies in (the upper half) and its place there (the lower),
so nodes are in the order of their digests. Every step is a task over a bounded range: of digests, or of the hashes of
one band. A file that is there is whole, so a killed run goes on where it stopped.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curation.dedup.exchange import read_numbers, write_rows
from curation.dedup.signatures import Banding
from curation.kernels.clusters import count_pairs, fill_pairs
from manifests.store import Folder, KeyRange

RANGE_SHIFT = 32
TEXTS_PER_RANGE = 2_000_000
"""Texts per task that numbers them. Few ranges make long stretches of each band, so that row groups are read once."""

BAND_ROWS_PER_RANGE = 4_000_000
"""Nodes per task that joins a band."""

NODES = pa.schema(
    [("node", pa.uint64()), ("text_digest", pa.string()), ("n_records", pa.int64()), ("part", pa.string())]
)
"""Texts with a signature, ordered by digest: how many records have it, and a measured part that holds it."""

BANDS = pa.schema([("band", pa.uint16()), ("hash", pa.uint64()), ("node", pa.uint64())])
"""Ordered by (band, hash)."""

PAIRS = pa.schema([("left", pa.uint64()), ("right", pa.uint64())])
"""Nodes that share a band, left < right; ordered."""


@dataclass(frozen=True)
class NumberTask:
    """Number the texts of a range of digests, and lay out their bands."""

    run: str
    work: str
    banding: Banding
    keys: KeyRange


def number_texts(task: NumberTask) -> int:
    """Write the tables `nodes` and `bands` of a range of digests; returns how many nodes it has."""
    run, work, name = Folder(task.run), Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    if not (work / "nodes").exists(name):
        columns = ["text_digest", "shard", *task.banding.band_names]
        signed = (run / "signatures").read_range("text_digest", task.keys, columns)
        signed = signed.sort("text_digest", "shard").unique("text_digest", keep="first", maintain_order=True)
        records = (run / "keys").read_range("text_digest", task.keys, ["text_digest"]).group_by("text_digest").len()
        signed = signed.with_columns(node=node_numbers(task.keys.index, signed.height))
        write_bands(work / "bands", name, signed, task.banding)
        nodes = signed.select("node", "text_digest", part="shard")
        nodes = nodes.join(records, on="text_digest", maintain_order="left")
        write_rows(work / "nodes", name, nodes.with_columns(n_records=pl.col("len").cast(pl.Int64)), NODES)
    return int((work / "nodes").parquet_metadata(name).num_rows)


def node_numbers(range_index: int, n: int) -> npt.NDArray[np.uint64]:
    """The numbers of the n nodes of a range."""
    return (np.uint64(range_index) << np.uint64(RANGE_SHIFT)) + np.arange(n, dtype=np.uint64)


def write_bands(folder: Folder, name: str, signed: pl.DataFrame, banding: Banding) -> None:
    """Write the table BANDS of nodes with their signatures."""
    bands = [
        signed.select(pl.lit(k, pl.UInt16).alias("band"), pl.col(band).alias("hash"), "node").sort("hash")
        for k, band in enumerate(banding.band_names)
    ]
    write_rows(folder, name, pl.concat(bands), BANDS, plain=True)


def node_range(keys: KeyRange, column: str = "left") -> pl.Expr:
    """Whether the column holds a node of this range of digests."""
    low = keys.index << RANGE_SHIFT
    return pl.col(column).is_between(pl.lit(low, pl.UInt64), pl.lit(low + (1 << RANGE_SHIFT) - 1, pl.UInt64))


@dataclass(frozen=True)
class JoinTask:
    """Join a range of the hashes of one band."""

    work: str
    band: int
    keys: KeyRange
    compared: bool
    """Whether pairs will be compared; otherwise those that chain a bucket are enough."""


def join_band(task: JoinTask) -> int:
    """Write the pairs of nodes that share the band in this range of hashes; returns how many they are."""
    work, name = Folder(task.work), f"part-{task.band:03d}-{task.keys.index:05d}.parquet"
    if not (work / "pairs").exists(name):
        rows = read_numbers(work / "bands", "hash", task.keys, ["hash", "node"], pl.col("band") == task.band)
        rows = rows.filter(pl.col("hash").is_duplicated()).sort("hash", "node")
        hashes, nodes = rows["hash"].to_numpy(), rows["node"].to_numpy()
        left, right = np.empty((2, count_pairs(hashes, task.compared)), np.uint64)
        fill_pairs(hashes, nodes, task.compared, left, right)
        pairs = pl.DataFrame({"left": left, "right": right}).sort("left", "right")
        write_rows(work / "pairs", name, pairs, PAIRS)
    return int((work / "pairs").parquet_metadata(name).num_rows)
