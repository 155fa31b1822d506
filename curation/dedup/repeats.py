"""What repeated lines and stretches take from the texts of kept documents, and which documents they drop.

Both are found over all measured texts and looked up for the documents that rules and duplicates let through. A
document's text changes once, by what both remove; one that would lose more than `max_removed_frac` of its characters,
or all but white space, is dropped as `repeated_text`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from curation.dedup import lines, spans
from curation.dedup.cuts import cut, merged, without
from curation.edits import EDITS as TEXT_EDITS
from curation.edits import apply_edits
from manifests.engine import Engine
from manifests.schema import Dedup, RepeatedLines
from manifests.store import Folder, KeyRange

Spans = list[tuple[int, int]]

REASON = "repeated_text"

RULES = ("repeated_lines", "repeated_spans")
"""Under what the ledger records what was taken."""

EDITS = pl.List(pl.Struct({"rule": pl.String, "start": pl.Int32, "end": pl.Int32}))
"""What went of a text and why, in order and apart from each other, as the ledger has it."""

PIECES = pl.List(pl.Struct({"rule": pl.String, "text": pl.String}))
"""The same as texts."""


@dataclass(frozen=True)
class Repeats:
    """Where the tables of a decision are; None for what the manifest does not ask for. Pickles to a worker."""

    lines: str | None
    spans: str | None


def find(run: Folder, dedup: Dedup, engine: Engine | int, progress: Callable[[str, int, int], None]) -> Repeats:
    """Find what repeats in the measured texts, unless that was done.

    Raises:
        RequestError: the texts are needed and were not stored.
    """
    found_lines = lines.find_repeated(run, dedup.lines, engine, progress).path if dedup.lines else None
    found_spans = spans.find_repeated(run, dedup.spans, engine, progress).path if dedup.spans else None
    return Repeats(found_lines, found_spans)


def remove(frame: pl.DataFrame, repeats: Repeats, firsts: Folder, keys: KeyRange, dedup: Dedup) -> pl.DataFrame:
    """Decided rows of a range of ids, ordered, without what repeats in the texts of the kept ones.

    Args:
        frame: ledger and document columns; rows whose text is null stay as they are.
        repeats: the tables to look them up in.
        firsts: what `spans.choose_firsts` wrote.
        keys: the range.
        dedup: the manifest's settings.

    Returns the frame with `edits` (EDITS, null where nothing was removed), `removed` (PIECES, alike; no such column
    where nothing is looked for), other texts, and with the verdicts of documents that would lose too much.
    """
    if not (repeats.lines or repeats.spans):
        return frame.with_columns(edits=pl.lit(None, EDITS))
    kept = frame.filter((pl.col("verdict") == "kept") & pl.col("text").is_not_null())
    removed = _with_removed(
        kept.select("id", "copy", "text_digest", "language", "text"), repeats, firsts, keys, dedup
    )
    texts = removed["text"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    cuts = [
        [{"start": edit["start"], "end": edit["end"], "replacement": ""} for edit in row] for row in removed["edits"]
    ]
    left = pl.Series("left", apply_edits(texts, pa.array(cuts, TEXT_EDITS)).texts, pl.String)
    pieces = [
        [{"rule": edit["rule"], "text": text[edit["start"] : edit["end"]]} for edit in row]
        for text, row in removed.select("text", "edits").iter_rows()
    ]
    changes = removed.select("id", "copy", "edits", "removed_frac").with_columns(
        left, pl.Series("removed", pieces, PIECES)
    )
    frame = frame.join(changes, on=["id", "copy"], how="left", maintain_order="left")
    share = pl.col("removed_frac")
    is_lost = ((share > dedup.max_removed_frac) | (share == 1.0)).fill_null(False)
    is_changed = ~is_lost & (pl.col("edits").list.len() > 0)
    return frame.with_columns(
        verdict=pl.when(is_lost).then(pl.lit("dropped")).otherwise("verdict"),
        stage=pl.when(is_lost).then(pl.lit("dedup")).otherwise("stage"),
        reason=pl.when(is_lost).then(pl.lit(REASON)).otherwise("reason"),
        value=pl.when(is_lost).then(share).otherwise("value"),
        threshold=pl.when(is_lost).then(pl.lit(dedup.max_removed_frac)).otherwise("threshold"),
        edits=pl.when(is_changed).then("edits"),
        removed=pl.when(is_changed).then("removed"),
        n_text_bytes=pl.when(is_changed)
        .then(pl.col("left").str.len_bytes().cast(pl.Int64))
        .otherwise("n_text_bytes"),
        text=pl.when(is_changed).then("left").otherwise("text"),
    ).drop("left", "removed_frac")


def _with_removed(kept: pl.DataFrame, repeats: Repeats, firsts: Folder, keys: KeyRange, dedup: Dedup) -> pl.DataFrame:
    """Kept documents with `edits` and `removed_frac`, the share of the characters that goes.

    The share is 1.0 where nothing but white space would be left.
    """
    found: list[list[Spans]] = []
    for folder, settings in ((repeats.lines, dedup.lines), (repeats.spans, dedup.spans)):
        if not folder or not settings:
            found.append([[] for _ in range(kept.height)])
        elif isinstance(settings, RepeatedLines):
            found.append(_cuts(kept["text"], lines.removed_lines(kept, Folder(folder), keys, settings), "character"))
        else:
            found.append(_cuts(kept["text"], spans.removed_spans(kept, firsts, keys), settings.boundary))
    changes = [bool(settings and settings.action == "remove") for settings in (dedup.lines, dedup.spans)]
    rows = [_removed(text, by_rule, changes) for text, *by_rule in zip(kept["text"], *found, strict=True)]
    edits = pl.Series("edits", [edits for edits, _ in rows], EDITS)
    return kept.with_columns(edits, pl.Series("removed_frac", [frac for _, frac in rows], pl.Float64))


def _cuts(texts: pl.Series, found: list[Spans], boundary: str) -> list[Spans]:
    return [cut(text, wanted, boundary) if wanted else [] for text, wanted in zip(texts, found, strict=True)]


def _removed(text: str, by_rule: list[Spans], changes: list[bool]) -> tuple[list[dict[str, object]], float]:
    """(edits, share of the characters that goes) of a text: what RULES take, those that may change texts."""
    if not any(by_rule):
        return [], 0.0
    edits: list[dict[str, object]] = []
    taken: Spans = []
    for rule, wanted, may_change in zip(RULES, by_rule, changes, strict=True):
        if may_change:
            edits += [{"rule": rule, "start": start, "end": end} for start, end in without(wanted, taken)]
            taken = merged(taken + wanted)
    gone = merged([span for wanted in by_rule for span in wanted])
    left = without([(0, len(text))], gone)
    is_blank = not any(text[start:end].strip() for start, end in left)
    frac = 1.0 if is_blank else sum(end - start for start, end in gone) / len(text)
    return sorted(edits, key=lambda edit: edit["start"]), frac  # type: ignore[arg-type, return-value]
