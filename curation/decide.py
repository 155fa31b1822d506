"""Decisions over measured columns: which documents are kept, which dropped, by what, and why.

The corpus is gone through in ranges of ids. Each range is read, judged and written apart from all others; only the
members of duplicate groups are exchanged between ranges, as narrow rows. Nothing here reads the web again.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import polars as pl
import pyarrow as pa

from curation.dedup import exact
from curation.predicates import dotted_columns
from curation.rules import CheckedRule, columns_needed, judge, load_rules
from curation.shards import ROW_BYTES
from curation.signals import SIGNAL_TYPE
from curation.summary import Summary, merge, summarize
from manifests.contracts import LEDGER, NOT_IN_DIGEST, conform, documents_schema, measured_schema
from manifests.digest import TableDigest
from manifests.engine import map_shards
from manifests.schema import CorpusManifest
from manifests.store import Folder, KeyRange, TableWriter, ranges_for, to_arrow

SLICE_BYTES = 64 << 20
"""Text, with ROW_BYTES for each row, that is held at once while a range of ids is written."""

DECIDE_CODE = (
    "curation/decide.py",
    "curation/dedup/*.py",
    "curation/predicates.py",
    "curation/rules.py",
    "curation/summary*.py",
    "manifests/contracts.py",
    "manifests/digest.py",
    "manifests/store.py",
)
"""The code that decisions depend on."""

NOT_FOR_RULES = {"row_hash", "verdict", "stage", "reason", "value", "threshold", "detail", "file", "offset"}
LANGUAGE_COLUMNS = {"language", "language_score", "hangul_frac"}
IDENTITY = ["id", "row_hash", "source", "key", "text_digest", "verdict"]


@dataclass(frozen=True)
class DecideTask:
    """One file of the output: a range of ids, to be written in slices. Pickles to a worker."""

    run: str
    staging: str
    manifest: CorpusManifest
    base: str
    keys: KeyRange
    n_slices: int
    compared: bool
    texts_in: str | None
    """The documents to take texts from, where the measured parts hold none (`store: columns`)."""


@dataclass(frozen=True)
class Decided:
    """What was written of a range of ids, or of all of them."""

    documents: TableDigest
    ledger: TableDigest
    n_kept: int
    n_dropped: int
    n_failed: int
    text_bytes: int
    by_shard: dict[str, int]
    licenses: dict[str, int]
    unrestorable: list[str]
    """Ids of documents that would be kept, had their text been stored."""
    summary: Summary

    @property
    def n_read(self) -> int:
        """Records that were read."""
        return self.n_kept + self.n_dropped + self.n_failed


def _rules(task: DecideTask) -> list[CheckedRule]:
    return checked_rules(task.manifest, task.base, has_texts=task.texts_in is None)


def checked_rules(manifest: CorpusManifest, base: str, *, has_texts: bool = True) -> list[CheckedRule]:
    """The manifest's rules, parsed against the columns that its measuring pass leaves; parsed once per process.

    Raises:
        RequestError: a predicate is not valid SQL, or names a column that is not measured.
    """
    return _checked(manifest.model_dump_json(), base, has_texts)


@lru_cache(8)
def _checked(manifest_json: str, base: str, has_texts: bool) -> list[CheckedRule]:
    manifest = CorpusManifest.model_validate_json(manifest_json)
    return load_rules(manifest.rules, base, predicate_columns(manifest, has_texts=has_texts))


def predicate_columns(manifest: CorpusManifest, *, has_texts: bool = True) -> dict[str, pa.DataType]:
    """The columns that a predicate may name, nested fields by their dotted names, with their types."""
    schema = measured_schema(manifest.metadata_names, _signal_type(manifest), store_text=has_texts)
    hidden = NOT_FOR_RULES | (set() if manifest.measure.language else LANGUAGE_COLUMNS)
    return dotted_columns(pa.schema([field for field in schema if field.name not in hidden]))


def decide(
    run: Folder,
    staging: Folder,
    manifest: CorpusManifest,
    base: str,
    n_rows: int,
    text_bytes: int,
    n_workers: int = 1,
    texts_in: Folder | None = None,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Decided:
    """Judge all measured documents of `run` and write `documents` and `ledger` into `staging`.

    Args:
        run: the folder with the tables `measured` and `keys`.
        staging: where to write; ranges that are whole there already are not written again.
        manifest: rules, dedup and output settings; its rulesets are already expanded.
        base: where relative paths in the manifest start.
        n_rows: measured rows.
        text_bytes: bytes of normalised text in all measured rows; decides how many files there are.
        n_workers: processes.
        texts_in: `documents` to take texts from, where the measured parts hold none.
        progress: called with (step, ranges done, ranges in all).
    """
    groups = exact.find_groups(run, n_rows) if manifest.dedup.exact else exact.ExactGroups(0, 0)
    ranges = ranges_for(text_bytes, manifest.output.shard_bytes)
    n_slices = max(1, len(ranges_for(text_bytes + ROW_BYTES * n_rows, SLICE_BYTES)) // len(ranges))
    texts = texts_in.path if texts_in else None
    tasks = [
        DecideTask(run.path, staging.path, manifest, base, keys, n_slices, groups.n_members > 0, texts)
        for keys in ranges
    ]
    if groups.n_members and not staging.exists("losers/done.json"):
        staging.remove("passing")
        for done, _ in enumerate(map_shards(_judge_members, tasks, n_workers), 1):
            progress("dedup", done, len(tasks))
        n_losers = exact.choose_survivors(staging / "passing", staging / "losers", groups.n_members)
        (staging / "losers").write_json("done.json", {"n_losers": n_losers})
    parts: dict[int, Decided] = {}
    for task, part in map_shards(_write_range, tasks, n_workers):
        parts[task.keys.index] = part
        progress("write", len(parts), len(tasks))
    return _total([parts[index] for index in sorted(parts)])


def _total(parts: list[Decided]) -> Decided:
    return Decided(
        sum((part.documents for part in parts), TableDigest()),
        sum((part.ledger for part in parts), TableDigest()),
        sum(part.n_kept for part in parts),
        sum(part.n_dropped for part in parts),
        sum(part.n_failed for part in parts),
        sum(part.text_bytes for part in parts),
        _add(part.by_shard for part in parts),
        _add(part.licenses for part in parts),
        [name for part in parts for name in part.unrestorable],
        merge(part.summary for part in parts),
    )


def _add(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return dict(total)


def judged(frame: pl.DataFrame, rules: list[CheckedRule]) -> pl.DataFrame:
    """Measured rows, ordered by (id, copy), with their verdicts by the rules alone.

    Rows that reading or extraction ended keep that verdict. Adds `copy` and `failed_rules`; fills `verdict`, `stage`,
    `reason`, `value`, `threshold` and `detail`.
    """
    frame = exact.number_copies(frame)
    found = judge(frame, rules)
    measured = pl.col("verdict").is_null()
    fails = found["reason"].is_not_null()
    causes = {
        name: pl.when(measured).then(found[name]).otherwise(pl.col(name)) if name in frame.columns else found[name]
        for name in ("reason", "value", "threshold", "detail")
    }
    return frame.with_columns(
        verdict=pl.when(~measured)
        .then(pl.col("verdict"))
        .when(fails)
        .then(pl.lit("dropped"))
        .otherwise(pl.lit("kept")),
        stage=pl.when(~measured).then(pl.col("stage")).when(fails).then(pl.lit("rules"))
        if "stage" in frame.columns
        else pl.lit(None, pl.String),
        failed_rules=pl.when(measured).then(found["failed_rules"]),
        **causes,
    )


def _judge_members(task: DecideTask) -> None:
    """Write those members of duplicate groups in a range of ids that pass the rules."""
    run, rules = Folder(task.run), _rules(task)
    columns = sorted({*IDENTITY, *columns_needed(rules)})
    passing = []
    for keys in task.keys.split(task.n_slices):
        frame = exact.join_groups(judged((run / "measured").read_range("id", keys, columns), rules), run, keys)
        kept = (pl.col("verdict") == "kept") & pl.col("exact_group").is_not_null()
        passing.append(frame.filter(kept).select(exact.PASSING.names))
    exact.write_passing(Folder(task.staging) / "passing", f"part-{task.keys.index:05d}.parquet", pl.concat(passing))


def _write_range(task: DecideTask) -> Decided:
    """Write the documents and the ledger of a range of ids; what was written is known from its note, written last."""
    staging, name = Folder(task.staging), f"part-{task.keys.index:05d}"
    notes = staging / "notes"
    staged = all((staging / table).exists(f"{name}.parquet") for table in ("documents", "ledger"))
    if staged and notes.exists(f"{name}.json"):
        return _from_note(notes.read_json(f"{name}.json"))
    schema = documents_schema(task.manifest.metadata_names, _signal_type(task.manifest))
    with (
        (staging / "documents").table_writer(f"{name}.parquet", schema, "documents") as documents,
        (staging / "ledger").table_writer(f"{name}.parquet", LEDGER, "ledger") as ledger,
    ):
        parts = [_write_slice(task, keys, schema, documents, ledger) for keys in task.keys.split(task.n_slices)]
    whole = _total(parts)
    notes.write_json(f"{name}.json", _to_note(whole))
    return whole


def _write_slice(
    task: DecideTask, keys: KeyRange, schema: pa.Schema, documents: TableWriter, ledger: TableWriter
) -> Decided:
    run, rules = Folder(task.run), _rules(task)
    stored = measured_schema(task.manifest.metadata_names, _signal_type(task.manifest), store_text=not task.texts_in)
    frame = judged((run / "measured").read_range("id", keys, [*stored.names, "shard"]), rules)
    frame = _with_duplicates(frame, task, keys)
    if task.texts_in:
        frame = frame.join(
            Folder(task.texts_in).read_range("id", keys, ["id", "copy", "text"]), on=["id", "copy"], how="left"
        )
    kept = frame.filter(pl.col("verdict") == "kept")
    unrestorable = kept.filter(pl.col("text").is_null())["id"].to_list()
    kept = kept.filter(pl.col("text").is_not_null())
    kept_table = conform(to_arrow(kept, schema), schema, "documents")
    ledger_table = conform(to_arrow(frame, LEDGER), LEDGER, "ledger")
    documents.write(kept_table)
    ledger.write(ledger_table)
    counts = dict(frame["verdict"].value_counts().iter_rows())
    return Decided(
        TableDigest.of(kept_table),
        TableDigest.of(ledger_table, NOT_IN_DIGEST),
        counts.get("kept", 0),
        counts.get("dropped", 0),
        counts.get("failed", 0),
        int(kept["n_text_bytes"].sum()),
        dict(frame["shard"].value_counts().iter_rows()),
        dict(kept["license"].fill_null("unknown").value_counts().iter_rows()),
        unrestorable,
        summarize(frame, rules),
    )


def _signal_type(manifest: CorpusManifest) -> pa.StructType | None:
    return SIGNAL_TYPE if manifest.measure.signals else None


def _with_duplicates(frame: pl.DataFrame, task: DecideTask, keys: KeyRange) -> pl.DataFrame:
    """The judged rows with duplicate groups, and with the verdicts of those that lose to a survivor."""
    if not task.compared:
        size = pl.lit(1 if task.manifest.dedup.exact else None, pl.Int64)
        return frame.with_columns(
            exact_group=pl.lit(None, pl.String),
            exact_size=pl.when(pl.col("text_digest").is_not_null()).then(size),
            duplicate_of=pl.lit(None, pl.String),
            duplicate_of_copy=pl.lit(None, pl.Int32),
        )
    frame = exact.join_groups(frame, Folder(task.run), keys)
    frame = exact.join_losers(frame, Folder(task.staging) / "losers", keys)
    lost = pl.col("duplicate_of").is_not_null()
    return frame.with_columns(
        verdict=pl.when(lost).then(pl.lit("dropped")).otherwise("verdict"),
        stage=pl.when(lost).then(pl.lit("dedup")).otherwise("stage"),
        reason=pl.when(lost).then(pl.lit("exact_duplicate")).otherwise("reason"),
    )


def _to_note(part: Decided) -> dict[str, object]:
    return {
        **{
            name: getattr(part, name)
            for name in ("n_kept", "n_dropped", "n_failed", "text_bytes", "by_shard", "licenses", "unrestorable")
        },
        "documents": [f"{part.documents.total:032x}", part.documents.n_rows],
        "ledger": [f"{part.ledger.total:032x}", part.ledger.n_rows],
        "summary": part.summary.model_dump(mode="json"),
    }


def _from_note(note: dict[str, object]) -> Decided:
    digests = {name: TableDigest(int(note[name][0], 16), note[name][1]) for name in ("documents", "ledger")}  # type: ignore[index]
    summary = Summary.model_validate(note["summary"])
    return Decided(**{**note, **digests, "summary": summary})  # type: ignore[arg-type]
