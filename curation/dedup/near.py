"""Near-duplicates: signatures, candidate pairs, components, comparison, clusters; computed once per measured run.

Clusters cover all measured documents and do not depend on any rule; which member survives is decided later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import polars as pl
import pyarrow as pa

from curation.dedup.candidates import (
    BAND_ROWS_PER_RANGE,
    TEXTS_PER_RANGE,
    JoinTask,
    NumberTask,
    join_band,
    number_texts,
)
from curation.dedup.components import label_components
from curation.dedup.exchange import ROWS_PER_RANGE, Finding, fingerprint_of, write_rows
from curation.dedup.signatures import Banding
from curation.dedup.verify import (
    SHINGLES_PER_RANGE,
    Compared,
    CompareTask,
    GatherTask,
    PlaceTask,
    TakeTask,
    compare_pairs,
    gather_sets,
    place_pairs,
    take_components,
)
from curation.derive import derive
from curation.shards import has_texts
from manifests.code import code_digest
from manifests.engine import Engine, run_step
from manifests.errors import RequestError
from manifests.schema import NearDedup
from manifests.store import Folder, KeyRange, ranges_for

Progress = Callable[[str, int, int], None]

_STEPS = ("candidates", "components", "exchange", "near", "signatures", "verify")
NEAR_CODE = (
    *(f"curation/dedup/{step}.py" for step in _STEPS),
    "curation/kernels/clusters.py",
    "curation/kernels/shingles.py",
)

GROUPED = pa.schema(
    [
        ("id", pa.string()),
        ("row_hash", pa.binary(16)),
        ("near_cluster", pa.string()),
        ("near_cluster_size", pa.int64()),
        ("exact_size", pa.int64()),
    ]
)
"""Documents that share their text, or nearly all of it, with others, ordered by id.

Records of equal id and row hash have equal texts, and stand here once.
"""


@dataclass(frozen=True)
class NearClusters:
    """What was found: clusters of near-duplicates (with groups of equal texts), and what finding them took."""

    n_members: int
    """Documents in any cluster."""
    n_clusters: int
    """Clusters of different texts."""
    n_texts: int
    """Different texts in them."""
    n_pairs: int
    """Pairs of texts that share a band, counted per band."""
    n_compared: int
    n_similar: int


def find_clusters(
    run: Folder,
    near: NearDedup,
    n_rows: int,
    engine: Engine | int = 1,
    progress: Progress = lambda step, done, total: None,
) -> NearClusters:
    """Write the table `near` of a measured run, unless it is there for these very parts and settings.

    Args:
        run: the folder with `measured` and `keys`.
        near: what counts as near.
        n_rows: measured rows, which says how many ranges keep memory bounded.
        engine: where tasks execute.
        progress: called with (step, tasks done, tasks in all).

    Raises:
        RequestError: texts are needed that the run did not store (`store: columns`).
    """
    banding = Banding.of(near)
    depends = [
        banding.fingerprint,
        f"{near.verify} {near.jaccard if near.verify else ''}",
        code_digest(*NEAR_CODE),
        *(run / "keys").names(".parquet"),
    ]
    finding = Finding(run, "near", fingerprint_of(*depends))
    if found := finding.read():
        return NearClusters(**found)
    if near.verify and not has_texts(run):
        raise RequestError(
            f"{run.path} was measured with `store: columns`: its texts are gone, and candidates cannot be compared; "
            "give dedup.near `verify: false`, or curate again"
        )
    work = finding.start()
    derive(run, banding.derived, engine, progress)
    if (work / "near").exists("clusters"):  # killed between the two moves below
        work.move_in(work / "near" / "clusters", "clusters")
    counts = _cluster(run, work, near, banding, n_rows, engine, progress)
    (work / "near").move_in(work / "clusters", "clusters")
    finding.finish(counts.__dict__)
    return counts


def _cluster(
    run: Folder,
    work: Folder,
    near: NearDedup,
    banding: Banding,
    n_rows: int,
    engine: Engine | int,
    progress: Progress,
) -> NearClusters:
    each = partial(run_step, engine, progress)
    ranges = ranges_for(n_rows, TEXTS_PER_RANGE)
    n_nodes = each("number texts", number_texts, [NumberTask(run.path, work.path, banding, keys) for keys in ranges])
    band_ranges = ranges_for(sum(n_nodes), BAND_ROWS_PER_RANGE)
    joins = [JoinTask(work.path, k, keys, near.verify) for k in range(banding.n_bands) for keys in band_ranges]
    n_pairs = sum(each("join bands", join_band, joins))
    label_components(work, ranges, n_nodes, engine)
    n_paired = sum(each("place pairs", place_pairs, [PlaceTask(work.path, keys, near.verify) for keys in ranges]))
    if near.verify:
        parts = [name.removesuffix(".parquet") for name in (run / "measured").names(".parquet")]
        gathers = [GatherTask(run.path, work.path, banding, part) for part in parts]
        n_shingles = sum(each("gather shingles", gather_sets, gathers))
        compares = [CompareTask(work.path, keys, near.jaccard) for keys in ranges_for(n_shingles, SHINGLES_PER_RANGE)]
        compared = sum(each("compare", compare_pairs, compares), Compared())
    else:
        takes = [TakeTask(work.path, keys) for keys in ranges_for(n_paired, ROWS_PER_RANGE)]
        compared = sum(each("take components", take_components, takes), Compared())
    members = each("group", group_records, [GroupTask(run.path, work.path, keys) for keys in ranges])
    return NearClusters(
        sum(members), compared.n_clusters, compared.n_texts, n_pairs, compared.n_compared, compared.n_similar
    )


@dataclass(frozen=True)
class GroupTask:
    """Give the records of a range of digests their clusters."""

    run: str
    work: str
    keys: KeyRange


def group_records(task: GroupTask) -> int:
    """Write the table `near` of a range of digests; returns how many records it holds."""
    run, work, name = Folder(task.run), Folder(task.work), f"part-{task.keys.index:05d}.parquet"
    records = (run / "keys").read_range("text_digest", task.keys, ["text_digest", "id", "row_hash"])
    records = records.with_columns(exact_size=pl.len().over("text_digest").cast(pl.Int64))
    clusters = (work / "clusters").read_range(
        "text_digest", task.keys, ["text_digest", "near_cluster", "near_cluster_size"]
    )
    grouped = records.join(clusters, on="text_digest", how="left").with_columns(
        pl.col("near_cluster").fill_null(pl.col("text_digest")),
        pl.col("near_cluster_size").fill_null(pl.col("exact_size")),
    )
    grouped = grouped.filter(pl.col("near_cluster_size") > 1)
    write_rows(work / "near", name, grouped.unique(["id", "row_hash"]).sort("id", "row_hash"), GROUPED)
    return grouped.height
