"""Verdicts of measured rows by the rules of a manifest, before duplicates are looked at."""

from functools import lru_cache

import polars as pl
import pyarrow as pa

from curation.datatrove_bridge import filter_names
from curation.dedup import exact, survivors
from curation.predicates import dotted_columns
from curation.rules import CheckedRule, judge, load_rules
from curation.signals import SIGNAL_TYPE
from manifests.contracts import address_fields, measured_schema, score_fields
from manifests.schema import CorpusManifest

NOT_FOR_RULES = {
    *("row_hash", "pii", "notes", "verdict", "stage", "reason", "value", "threshold", "detail", "file", "offset")
}
LANGUAGE_COLUMNS = {"language", "language_score", "hangul_frac"}


def checked_rules(manifest: CorpusManifest, base: str, *, has_texts: bool = True) -> list[CheckedRule]:
    """The manifest's rules, parsed against the columns that its measuring pass leaves; parsed once per process.

    Raises:
        RequestError: a predicate is not valid SQL, or names a column that is not measured.
    """
    return _checked(manifest.model_dump_json(), base, has_texts)


@lru_cache(8)
def _checked(manifest_json: str, base: str, has_texts: bool) -> list[CheckedRule]:
    manifest = CorpusManifest.model_validate_json(manifest_json)
    later = manifest.measure.scored_after_rules
    return load_rules(manifest.rules, base, predicate_columns(manifest, has_texts=has_texts), later)


def predicate_columns(manifest: CorpusManifest, *, has_texts: bool = True) -> dict[str, pa.DataType]:
    """The columns that a predicate may name, nested fields by their dotted names, with their types."""
    schema = stored_schema(manifest, has_texts=has_texts)
    hidden = NOT_FOR_RULES | (set() if manifest.measure.language else LANGUAGE_COLUMNS)
    later = score_fields([score.name for score in manifest.measure.scored_after_rules])
    columns = dotted_columns(pa.schema([*(field for field in schema if field.name not in hidden), *later]))
    survivors.check_policy(manifest.dedup, columns)
    return columns | survivors.group_columns(manifest.dedup)


def stored_schema(manifest: CorpusManifest, *, has_texts: bool = True) -> pa.Schema:
    """The columns that the manifest's measuring pass leaves."""
    names, signals, pii = manifest.metadata_names, signal_type(manifest), bool(manifest.pii_kinds)
    filters = filter_names(manifest.measure.datatrove)
    scores = [score.name for score in manifest.measure.scored_in_pass]
    return measured_schema(
        names,
        signals,
        store_text=has_texts,
        pii=pii,
        datatrove=filters,
        scores=scores,
        notes=manifest.has_notes,
        addresses=address_fields(manifest.measure),
    )


def signal_type(manifest: CorpusManifest) -> pa.StructType | None:
    """The type of the column `signals`; None where the manifest measures none."""
    return SIGNAL_TYPE if manifest.measure.signals else None


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
