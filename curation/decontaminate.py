"""Decontamination of a run: benchmark items are looked for once, and decisions are made from what was found.

Matching reads every measured text once for a set of benchmarks, and leaves the derived table `contamination`. Another
threshold or action reads only that. How common an n-gram is in the corpus is counted in a sample of it, documents
whose ids come first; ids are hashes, so that is a random sample, and always the same one.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import xxhash

from curation.benchmarks import Item, load_items
from curation.decontaminate_index import HITS, ContaminationIndex, count_in_documents
from curation.dedup.cuts import merged, without
from curation.derive import Derived, derive
from curation.edits import EDITS, apply_edits
from curation.shards import has_texts
from manifests.code import code_digest
from manifests.engine import Engine
from manifests.errors import RequestError
from manifests.schema import Decontaminate
from manifests.store import Folder, KeyRange, ranges_for

CONTAMINATION = "contamination"
"""The derived table."""

INDEX = "contamination_index"
STAGE = "decontaminate"
REASON = "contaminated"

SAMPLE_BYTES = 32 << 20
"""Text in which the n-grams of benchmarks are counted."""

CODE = (
    "curation/benchmark*",
    "curation/decontaminate_*.py",
    "curation/kernels/characters.py",
    "curation/kernels/contamination.py",
    "curation/kernels/hashing.py",
    "curation/normalize.py",
)
"""The code that hits depend on."""

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("row_hash", pa.binary(16), nullable=False),
        *(field for field in HITS if field.name != "row"),
    ]
)
"""The derived table: one row per place of an item in a measured text, in the order of its part."""


SHOWN = ["benchmark", "item", "score", "start", "end", "found", "wanted"]
"""What reports say of a place."""


@dataclass(frozen=True)
class _Matcher:
    """Finds the items of a run's index in the texts of a measured part; pickles to a worker."""

    run: str
    key: str

    def __call__(self, part: pa.Table) -> pa.Table:
        texts = part.column("text").combine_chunks()
        hits = _read_index(self.run, self.key).find(texts)
        rows = part.select(["id", "row_hash"]).take(hits.column("row"))
        for name in SCHEMA.names[2:]:
            rows = rows.append_column(SCHEMA.field(name), hits.column(name))
        return rows.cast(SCHEMA)


def items_digest(settings: Decontaminate | None, base: str) -> str:
    """Digest of the items that a manifest names and of the code that finds them; empty where it names none.

    Raises:
        RequestError: a benchmark cannot be read, or holds nothing.
    """
    if settings is None:
        return ""
    items = load_items(settings.against, settings.data_dir, base)
    return xxhash.xxh3_64_hexdigest(orjson.dumps([[item.__dict__ for item in items], code_digest(*CODE)]))


def find_contamination(
    run: Folder,
    settings: Decontaminate,
    base: str,
    text_bytes: int,
    engine: Engine | int = 1,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Folder:
    """Look for the items of benchmarks in the measured texts, unless that was done; returns the table's folder.

    Args:
        run: the folder with the table `measured`.
        settings: which benchmarks, and where their files are.
        base: where relative paths start.
        text_bytes: of all measured texts.
        engine: where to work, or a number of processes.
        progress: called with (step, parts done, parts in all).

    Raises:
        RequestError: a benchmark cannot be read, or the texts are needed and were not stored.
    """
    if settings.action == "redact" and not has_texts(run):
        raise RequestError(
            f"{run.path} was measured with `store: columns`: the texts in which items stand are gone; set "
            "`decontaminate.action: drop`, or curate again"
        )
    items = load_items(settings.against, settings.data_dir, base)
    depends = [items_digest(settings, base), (run / "measured").names(".parquet")]
    key = xxhash.xxh3_64_hexdigest(orjson.dumps(depends))
    folder = run / INDEX
    if not folder.exists("index.json") or folder.read_json("index.json")["key"] != key:
        _write_index(run, items, key, text_bytes)
    table = Derived(CONTAMINATION, key, ["id", "row_hash", "text"], SCHEMA, _Matcher(run.path, key))
    return derive(run, table, engine, progress)


def _write_index(run: Folder, items: list[Item], key: str, text_bytes: int) -> None:
    """Write what a worker needs to match: the items, and how many documents of the sample have each n-gram."""
    if not has_texts(run):
        raise RequestError(
            f"{run.path} was measured with `store: columns`: its texts are gone, and other benchmarks cannot be "
            "looked for; curate again with them in the manifest"
        )
    keys = ranges_for(text_bytes, SAMPLE_BYTES)[0]
    texts = (run / "measured").read_range("id", keys, ["id", "row_hash", "text"]).sort("id", "row_hash")["text"]
    sample = texts.drop_nulls().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    counts = io.BytesIO()
    np.save(counts, count_in_documents(items, sample), allow_pickle=False)
    ContaminationIndex.build(items[:1]).find(sample[:1])  # compiles here, once, what workers then find compiled
    folder = run / INDEX
    folder.remove("index.json")
    folder.write_bytes("items.json", orjson.dumps([item.__dict__ for item in items]))
    folder.write_bytes("counts.npy", counts.getvalue())
    folder.write_json("index.json", {"key": key, "n_sample": len(sample)})


@lru_cache(1)
def _read_index(run: str, key: str) -> ContaminationIndex:
    """The index of a run, built once per process; `key` is what it is for."""
    folder = Folder(run) / INDEX
    items = [
        Item(**{**row, "choices": tuple(row["choices"])}) for row in orjson.loads(folder.read_bytes("items.json"))
    ]
    counts = np.load(io.BytesIO(folder.read_bytes("counts.npy")), allow_pickle=False)
    return ContaminationIndex.build_counted(items, counts, folder.read_json("index.json")["n_sample"])


def read_hits(table: Folder, keys: KeyRange, settings: Decontaminate) -> pl.DataFrame:
    """The hits of a range of ids from the manifest's threshold on, the surest of each document first."""
    hits = table.read_range("id", keys, SCHEMA.names).filter(pl.col("score") >= settings.score)
    order = ["id", "row_hash", "score", "benchmark", "item", "part", "start"]
    return hits.sort(order, descending=[name == "score" for name in order])


def find_items(run: Folder, id: str, row_hash: bytes) -> list[dict[str, Any]]:
    """What was found in one document, at any score, the surest first: SHOWN of each place."""
    table = run / CONTAMINATION
    if not table.names(".parquet"):
        return []
    found = table.scan().filter((pl.col("id") == id) & (pl.col("row_hash") == row_hash)).select(SHOWN).collect()
    return found.sort("score", "start", descending=[True, False]).to_dicts()


def judge_hits(frame: pl.DataFrame, hits: pl.DataFrame, settings: Decontaminate) -> pl.DataFrame:
    """Decided rows with what hits say of them.

    Args:
        frame: ledger and document columns, the texts as measured.
        hits: what `read_hits` gave for the same range of ids.
        settings: the manifest's.

    Adds `hits` (a list of structs, the surest first; null where there is none). With `action: drop`, kept rows are
    dropped for their surest hit; otherwise they get `measured_text`, for `redact_hits`.
    """
    lists = hits.group_by("id", "row_hash", maintain_order=True).agg(pl.struct(SHOWN).alias("hits"))
    frame = frame.join(lists, on=["id", "row_hash"], how="left", maintain_order="left")
    is_hit = (pl.col("verdict") == "kept") & pl.col("hits").is_not_null()
    if settings.action == "redact":
        return frame.with_columns(measured_text=pl.when(is_hit).then("text"))
    return frame.with_columns(_dropped(is_hit, settings))


def _dropped(is_hit: pl.Expr, settings: Decontaminate) -> list[pl.Expr]:
    """The verdict and its cause, where `is_hit`: the surest of the document's `hits`."""
    surest = pl.col("hits").list.first().struct
    causes = {
        "verdict": pl.lit("dropped"),
        "stage": pl.lit(STAGE),
        "reason": pl.lit(REASON),
        "value": surest.field("score"),
        "threshold": pl.lit(settings.score),
        "detail": pl.concat_str(surest.field("benchmark"), pl.lit(":"), surest.field("item")),
    }
    return [pl.when(is_hit).then(cause).otherwise(name).alias(name) for name, cause in causes.items()]


def redact_hits(frame: pl.DataFrame, settings: Decontaminate | None) -> pl.DataFrame:
    """The rows of `judge_hits`, after repeats were removed from their texts, without the words of items.

    `edits` says of both what they took from the measured text, in order, apart. A document of which nothing but white
    space would be left is dropped for its surest hit, its text as measured.
    """
    if settings is None or settings.action != "redact":
        return frame
    wanted = (pl.col("verdict") == "kept") & pl.col("measured_text").is_not_null()
    rows = frame.with_row_index().filter(wanted)
    edits = [_with_hits(before or [], hits) for before, hits in rows.select("edits", "hits").iter_rows()]
    texts = rows["measured_text"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    removed = [[{"start": edit["start"], "end": edit["end"], "replacement": ""} for edit in mine] for mine in edits]
    edited = apply_edits(texts, pa.array(removed, EDITS))
    changes = rows.select("index").with_columns(
        pl.Series("redacted", edited.texts, pl.String), pl.Series("edits", edits, frame.schema["edits"])
    )
    frame = frame.with_row_index().join(changes, on="index", how="left", maintain_order="left", suffix="_now")
    is_done, is_blank = pl.col("redacted").is_not_null(), pl.col("redacted").str.strip_chars() == ""
    frame = frame.with_columns(
        *_dropped(is_blank.fill_null(False), settings),
        text=pl.when(is_blank).then("measured_text").when(is_done).then("redacted").otherwise("text"),
        edits=pl.when(is_blank).then(None).when(is_done).then("edits_now").otherwise("edits"),
    )
    if "removed" in frame.columns:
        frame = frame.with_columns(removed=pl.when(is_blank.fill_null(False)).then(None).otherwise("removed"))
    return frame.drop("index", "redacted", "edits_now", "measured_text")


def _with_hits(edits: list[dict[str, Any]], hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The edits of a text and, where none is yet, the spans of its hits; in order, apart."""
    taken = sorted((edit["start"], edit["end"]) for edit in edits)
    mine = without(merged([(hit["start"], hit["end"]) for hit in hits]), taken)
    return sorted(
        [*edits, *({"rule": REASON, "start": start, "end": end} for start, end in mine)], key=itemgetter("start")
    )
