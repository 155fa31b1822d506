"""Personal data in rows that were decided on: counts per kind, texts as they are written, samples to look at."""

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from curation.edits import EDITS, move_spans
from curation.pii import find_pii
from curation.pii_redact import Redactor, placeholder
from curation.summary_models import N_PII_SAMPLES, PiiSample, PiiSummary, Summary
from manifests.contracts import PII_TYPE, pii_counts_type
from manifests.schema import ALL_PII_KINDS, PiiKind

SAMPLE_CHARS = 60
"""Characters shown on each side of a masked span."""

_MASK_ALL = Redactor(frozenset(ALL_PII_KINDS), None)


def kind_counts(kinds: Sequence[PiiKind]) -> pl.Expr:
    """The column `pii_counts` (contracts.PII_COUNTS) from `pii`: null for kinds that were not looked for."""
    counts = [
        (_n_spans(kind).cast(pl.Int32) if kind in kinds else pl.lit(None, pl.Int32)).alias(kind)
        for kind in pii_counts_type(kinds).names
    ]
    return pl.when(pl.col("pii").is_not_null()).then(pl.struct(counts)).alias("pii_counts")


def follow_edits(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with `pii` moved to where it stands after `edits` were taken from the measured texts."""
    some = rows.with_row_index("row").filter((pl.col("edits").list.len() > 0) & (pl.col("pii").list.len() > 0))
    cuts = [[{**span, "replacement": ""} for span in edits] for edits in some["edits"]]
    moved = pl.Series("pii", move_spans(pa.array(cuts, EDITS), _arrays(some)[1])).cast(rows.schema["pii"])
    return rows.with_row_index("row").update(some.select("row", moved), on="row").drop("row")


def as_written(rows: pl.DataFrame, redactor: Redactor) -> pl.DataFrame:
    """The rows with their texts masked, and with `pii` as it stands in those."""
    has_any = (pl.col("pii").list.len() > 0) & pl.col("text").is_not_null()
    some = rows.with_row_index("row").filter(has_any).select("row", "text", "pii")
    done = redactor.redact(*_arrays(some))
    new = some.select("row").with_columns(text=pl.Series(done.texts), pii=pl.Series(done.pii))
    new = new.cast({"text": pl.String, "pii": rows.schema["pii"]})
    return rows.with_row_index("row").update(new, on="row").drop("row")


def summarize_pii(rows: pl.DataFrame, kinds: Sequence[PiiKind], redactor: Redactor | None) -> tuple[PiiSummary, ...]:
    """What was found of each kind, and a few samples, in which everything is masked whatever the manifest says.

    Args:
        rows: ordered by (id, copy), with their verdict, `pii_counts` as measured, and `text` and `pii` as they are to
            be written but for the masks.
        kinds: what was looked for.
        redactor: what masks the kept documents.
    """
    summaries = []
    for kind in kinds:
        count = pl.col("pii_counts").struct.field(kind)
        holding = rows.filter(count > 0)
        kept = holding.filter(pl.col("verdict") == "kept")
        n_kept = int(kept.select(_n_spans(kind).sum()).item() or 0)
        summaries.append(
            PiiSummary(
                kind=kind,
                n_found=int(holding.select(count.sum()).item()),
                n_docs=holding.height,
                n_kept=n_kept,
                n_kept_docs=kept.filter(_n_spans(kind) > 0).height,
                n_masked=n_kept if redactor and kind in redactor.kinds else 0,
                samples=_samples(
                    kept.filter(_n_spans(kind) > 0, pl.col("text").is_not_null()).head(N_PII_SAMPLES), kind
                ),
            )
        )
    return tuple(summaries)


def mask_pieces(summary: Summary, redactor: Redactor) -> Summary:
    """The summary with what was taken out of measured texts, and what was found in them, masked as well."""

    def masked(text: str) -> str:
        texts = pa.array([text], pa.large_string())
        return str(redactor.redact(texts, find_pii(texts, tuple(redactor.kinds))).texts[0])

    removed = [
        rule.model_copy(
            update={"pieces": tuple(piece.model_copy(update={"text": masked(piece.text)}) for piece in rule.pieces)}
        )
        for rule in summary.removed
    ]
    benchmarks = [
        of.model_copy(update={"hits": tuple(hit.model_copy(update={"found": masked(hit.found)}) for hit in of.hits)})
        for of in summary.benchmarks
    ]
    return summary.model_copy(update={"removed": tuple(removed), "benchmarks": tuple(benchmarks)})


def _n_spans(kind: PiiKind) -> pl.Expr:
    return pl.col("pii").list.eval(pl.element().struct.field("kind")).list.count_matches(kind)


def _samples(rows: pl.DataFrame, kind: PiiKind) -> tuple[PiiSample, ...]:
    """The first span of the kind in each row, with what is around it, all masked."""
    done = _MASK_ALL.redact(*_arrays(rows))
    samples = []
    columns = (rows["id"], rows["copy"], rows["source"], done.texts.to_pylist(), done.pii.to_pylist())
    for id_, copy, source, text, spans in zip(*columns, strict=True):
        first = next(span for span in spans if span["kind"] == kind)
        before = text[max(0, first["start"] - SAMPLE_CHARS) : first["start"]]
        after = text[first["end"] : first["end"] + SAMPLE_CHARS]
        samples.append(
            PiiSample(id=id_, copy_number=copy, source=source, snippet=f"{before}{placeholder(kind)}{after}")
        )
    return tuple(samples)


def _arrays(rows: pl.DataFrame) -> tuple[pa.LargeStringArray, pa.ListArray]:
    """The columns `text` and `pii`, each as one Arrow array."""
    text = rows["text"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    return text, rows["pii"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(PII_TYPE)
