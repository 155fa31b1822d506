"""The life of one document: what was read, what was measured, what was decided, and because of what."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from curation.decontaminate import find_items
from curation.dedup import survivors, urls
from curation.dedup.near_summary import found_counts
from curation.explain_near import NearStory, held_by, near_story, semantic_story
from curation.rules import CheckedRule, judge, settled
from curation.score_tables import join_scores, recorded_tables
from curation.verdicts import checked_rules
from manifests.errors import RequestError
from manifests.record import RunRecord, measured_folder, read_record
from manifests.schema import CorpusManifest, Dedup
from manifests.store import KEY_SPACE_BITS, Folder, KeyRange

MIN_PREFIX = 6


@dataclass(frozen=True)
class RuleOutcome:
    """What one rule said of a document."""

    name: str
    keep: str
    when: str | None
    applies: bool
    holds: bool | None
    values: dict[str, Any]


@dataclass(frozen=True)
class Story:
    """Everything a run knows of one record."""

    ledger: dict[str, Any]
    measured: dict[str, Any]
    rules: list[RuleOutcome]
    exact_group: list[dict[str, Any]]
    url_group: list[dict[str, Any]]
    """The records with its canonical URL, where there are several and `dedup.url` compared them."""
    near: NearStory | None
    """The documents that nearly have its text, where any do."""
    semantic: NearStory | None
    """Those that mean the same, where that joins more than near-duplicates."""
    held: dict[str, Any] | None
    """What earlier run holds it: {run, id}."""
    text: str | None
    removed: list[dict[str, Any]]
    """What went of the text: {rule, start, end, text}."""
    items: list[dict[str, Any]]
    """Items of benchmarks that were found in the text: {benchmark, item, score, start, end, found, wanted}."""
    pii: list[dict[str, Any]]
    """Personal data in the text of a kept document: {kind, start, end, written}, as it was written."""


def explain(run: Folder, name: str) -> list[Story]:
    """The stories of the records whose id starts with `name` (ID, or ID#COPY).

    Raises:
        RequestError: no record has such an id, several have, or `name` is too short to look for.
    """
    record = read_record(run)
    prefix, _, copy = name.lower().partition("#")
    if len(prefix) < MIN_PREFIX:
        raise RequestError(f"{name}: give at least the first {MIN_PREFIX} digits of an id")
    ledger = (run / "ledger").scan().filter(pl.col("id").str.starts_with(prefix)).collect()
    if copy and not copy.isdigit():
        raise RequestError(f"{name}: after # comes the number of a copy")
    if copy:
        ledger = ledger.filter(pl.col("copy") == int(copy))
    if ledger["id"].n_unique() != 1:
        found = ", ".join(ledger["id"].unique().sort().head(5)) or "none"
        raise RequestError(f"{run.path}: {name} names {ledger['id'].n_unique()} records, not one (found: {found})")
    measured = measured_folder(run, record)
    return [_story(run, measured, record, row) for row in ledger.to_dicts()]


def _story(run: Folder, measured_in: Folder, record: RunRecord, row: dict[str, Any]) -> Story:
    manifest = CorpusManifest.model_validate(record.manifest)
    measured = (measured_in / "measured").scan().filter(pl.col("id") == row["id"]).drop("shard").collect()
    measured = measured.sort("row_hash").slice(row["copy"], 1)
    measured = _with_scores(measured, measured_in, manifest, record)
    dedup = manifest.dedup
    compared = dedup.exact or dedup.near or dedup.semantic
    group = _same_text(run, measured_in, measured["text_digest"][0]) if compared else []
    same_url = _same_url(run, measured_in, measured) if dedup.url else []
    near = near_story(run, measured_in, dedup.near, measured) if dedup.near else None
    semantic = semantic_story(run, measured_in, measured) if dedup.semantic else None
    held = held_by(row, measured_in, dedup, measured)
    values = measured.drop("row_hash").to_dicts()[0]
    text = values.pop("text", None)
    judged = (
        _with_sizes(measured, measured_in, dedup, record)
        if row["stage"] not in ("read", "extract", "removed")
        else None
    )
    pieces = [edit | {"text": text[edit["start"] : edit["end"]]} for edit in (row["edits"] or []) if text is not None]
    items = find_items(measured_in, row["id"], measured["row_hash"][0]) if manifest.decontaminate else []
    pii = _written_pii(run, row) if manifest.pii_kinds and row["verdict"] == "kept" else []
    outcomes = _outcomes(judged, settled(manifest, record.thresholds), record.manifest_base)
    return Story(row, values, outcomes, group, same_url, near, semantic, held, text, pieces, items, pii)


def _written_pii(run: Folder, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The spans of a document, with what stands there."""
    found = (run / "documents").scan().filter(pl.col("id") == row["id"], pl.col("copy") == row["copy"])
    document = found.select("text", "pii").collect().to_dicts()[0]
    return [span | {"written": document["text"][span["start"] : span["end"]]} for span in document["pii"]]


def _with_scores(
    measured: pl.DataFrame, measured_in: Folder, manifest: CorpusManifest, record: RunRecord
) -> pl.DataFrame:
    """The measured row with the scores that came after rules; null where it did not come so far."""
    return join_scores(measured, measured_in, recorded_tables(manifest, record.scores), _narrowest(measured))


def _with_sizes(measured: pl.DataFrame, measured_in: Folder, dedup: Dedup, record: RunRecord) -> pl.DataFrame:
    """The measured row with the sizes of its groups, which rules may name; null where they were found anew since."""
    sizes = survivors.group_columns(dedup)
    table = "semantic" if dedup.semantic else "near" if dedup.near else "exact"
    is_there = bool((measured_in / table).names(".parquet"))
    if not is_there or (table != "exact" and found_counts(measured_in, table) != getattr(record, table)):
        return measured.with_columns(pl.lit(None, pl.Int64).alias(name) for name in sizes)
    return survivors.join_groups(measured, measured_in, dedup, _narrowest(measured), has_groups=True)


def _narrowest(measured: pl.DataFrame) -> KeyRange:
    """The smallest range of ids that holds a row."""
    return KeyRange(int(measured["id"][0][: KEY_SPACE_BITS // 4], 16), 2**KEY_SPACE_BITS)


def _outcomes(measured: pl.DataFrame | None, manifest: CorpusManifest, base: str) -> list[RuleOutcome]:
    if measured is None:
        return []
    outcomes = []
    rules = checked_rules(manifest, base, has_texts="text" in measured.columns)
    asked = _stage_reached(measured, rules)
    for rule in rules:
        applies = rule.stage <= asked and (rule.when is None or measured.select(rule.when.expr).item() is True)
        names = sorted(rule.keep.columns)
        values = {name: _value(measured, name) for name in names}
        when = rule.when.sql if rule.when else None
        holds = measured.select(rule.keep.expr).item()
        outcomes.append(RuleOutcome(rule.name, rule.keep.sql, when, applies, holds, values))
    return outcomes


def _stage_reached(measured: pl.DataFrame, rules: list[CheckedRule]) -> int:
    """The last stage whose rules are asked of a document: that in which one drops it."""
    stages = sorted({rule.stage for rule in rules})
    fails = (
        stage for stage in stages if judge(measured, [rule for rule in rules if rule.stage == stage])["reason"][0]
    )
    return next(fails, max(stages, default=0))


def _value(measured: pl.DataFrame, dotted: str) -> Any:
    column, _, field = dotted.partition(".")
    value = measured[column][0]
    return value[field] if field and value is not None else value


def _same_text(run: Folder, measured_in: Folder, digest: str | None) -> list[dict[str, Any]]:
    """The ledger rows of all records with this text."""
    if digest is None:
        return []
    same = (measured_in / "keys").scan().filter(pl.col("text_digest") == digest).select("id").unique().collect()
    return _outcomes_of(run, same["id"])


def _same_url(run: Folder, measured_in: Folder, measured: pl.DataFrame) -> list[dict[str, Any]]:
    """The ledger rows of all records with this canonical URL."""
    if not (measured_in / urls.TABLE).names(".parquet"):
        return []
    grouped = (measured_in / urls.TABLE).scan().select(urls.GROUPED.names)
    mine = grouped.join(measured.lazy().select("id", "row_hash"), on=["id", "row_hash"], how="semi")
    groups = mine.select("url_group").collect()
    same = (measured_in / urls.KEYS).scan().join(groups.lazy(), on="url_group", how="semi").select("id").unique()
    return _outcomes_of(run, same.collect()["id"])


def _outcomes_of(run: Folder, ids: pl.Series) -> list[dict[str, Any]]:
    """The ledger rows of some documents, if they are several."""
    rows = (run / "ledger").scan().filter(pl.col("id").is_in(ids.to_list())).collect()
    columns = ["id", "copy", "source", "url", "verdict", "reason", "duplicate_of"]
    return rows.select(columns).sort("id", "copy").to_dicts() if rows.height > 1 else []
