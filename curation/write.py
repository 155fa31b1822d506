"""What is written of a range of ids: its kept documents, a ledger row of each of its records, and their summary."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson
import polars as pl
import pyarrow as pa

from curation.decontaminate import CONTAMINATION, judge_hits, read_hits, redact_hits
from curation.dedup import repeats, spans, survivors, urls
from curation.pii_redact import Redactor
from curation.pii_redact import redactor as redactor_of
from curation.pii_rows import as_written, follow_edits, kind_counts, mask_pieces, summarize_pii
from curation.rules import CheckedRule, columns_needed
from curation.score_tables import ScoreTable, Settled, join_scores, later_columns
from curation.summary import Summary, merge, summarize
from curation.summary_models import PiiSummary
from curation.verdicts import checked_rules, judged, signal_type, stored_schema
from manifests.contracts import NOT_IN_DIGEST, address_fields, conform, documents_schema, ledger_schema
from manifests.digest import TableDigest
from manifests.schema import CorpusManifest
from manifests.store import Folder, KeyRange, TableWriter, to_arrow


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
    texts_redacted: bool
    """Those texts are masked already."""
    repeated: repeats.Repeats
    """Where to look up what repeats in the texts."""
    scores: tuple[ScoreTable, ...] = ()
    """The scores that came after rules."""

    def __str__(self) -> str:
        return f"the ids from {' to '.join(self.keys.bounds)}"

    @property
    def rules(self) -> list[CheckedRule]:
        """The manifest's rules; parsed once per process."""
        return checked_rules(self.manifest, self.base, has_texts=self.texts_in is None)


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
    settled: Settled = field(default_factory=Settled)
    """What was found out over the whole corpus before its documents were judged."""

    @property
    def n_read(self) -> int:
        """Records that were read."""
        return self.n_kept + self.n_dropped + self.n_failed


def write_range(task: DecideTask, rows: pl.DataFrame | None = None) -> Decided:
    """Write the documents and the ledger of a range of ids; what was written is known from its note, written last.

    `rows` are the `judged_rows` of the whole range, where they are at hand.
    """
    staging, name = Folder(task.staging), f"part-{task.keys.index:05d}"
    notes = staging / "notes"
    staged = all((staging / table).exists(f"{name}.parquet") for table in ("documents", "ledger"))
    if staged and notes.exists(f"{name}.json"):
        return _from_note(notes.read_json(f"{name}.json"))
    pii = bool(task.manifest.pii_kinds)
    schema = documents_schema(
        task.manifest.metadata_names,
        signal_type(task.manifest),
        pii=pii,
        semantic=task.manifest.dedup.semantic is not None,
        scores=[score.name for score in task.manifest.measure.scores],
        addresses=address_fields(task.manifest.measure),
    )
    of_ledger = ledger_schema(pii=task.manifest.pii_kinds, notes=task.manifest.has_notes)
    with (
        (staging / "documents").table_writer(f"{name}.parquet", schema, "documents") as documents,
        (staging / "ledger").table_writer(f"{name}.parquet", of_ledger, "ledger") as ledger,
    ):
        parts = [
            _write_slice(
                task,
                _decided_rows(task, judged_rows(task, keys) if rows is None else rows, keys),
                schema,
                documents,
                ledger,
            )
            for keys in task.keys.split(task.n_slices)
        ]
    whole = total(parts)
    notes.write_json(f"{name}.json", _to_note(whole))
    return whole


def judged_rows(task: DecideTask, keys: KeyRange) -> pl.DataFrame:
    """All measured columns of a range, with the groups of duplicates and the verdicts by the rules."""
    stored = stored_schema(task.manifest, has_texts=not task.texts_in)
    measured = (Folder(task.run) / "measured").read_range("id", keys, [*stored.names, "shard"])
    return _judged_with_groups(task, measured, keys)


def _decided_rows(task: DecideTask, rows: pl.DataFrame, keys: KeyRange) -> pl.DataFrame:
    """The judged rows of a range with their final verdicts and texts, ordered by (id, copy)."""
    frame = survivors.join_losers(rows, Folder(task.staging) / "losers", keys, task.compared)
    pii = ["pii"] if task.manifest.pii_kinds else []
    if pii:
        frame = frame.with_columns(kind_counts(task.manifest.pii_kinds))
    if task.texts_in:  # `pii` too, which speaks of the text beside it
        texts = Folder(task.texts_in).read_range("id", keys, ["id", "copy", "text", *pii])
        frame = frame.drop(pii)
        frame = frame.join(texts, on=["id", "copy"], how="left", maintain_order="left")
    settings = task.manifest.decontaminate
    if settings:
        frame = judge_hits(frame, read_hits(Folder(task.run) / CONTAMINATION, keys, settings), settings)
    frame = repeats.remove(frame, task.repeated, Folder(task.staging) / "repeats", keys, task.manifest.dedup)
    frame = redact_hits(frame, settings)
    return follow_edits(frame) if pii else frame


def _judged_with_groups(task: DecideTask, measured: pl.DataFrame, keys: KeyRange) -> pl.DataFrame:
    """The rows with their groups, their later scores and their verdicts by the rules."""
    frame = survivors.join_groups(measured, Folder(task.run), task.manifest.dedup, keys, task.compared)
    frame = join_scores(frame, Folder(task.run), task.scores, keys)
    frame = survivors.drop_held(judged(frame, task.rules), Folder(task.run), task.manifest.dedup, keys)
    return urls.drop_losers(frame, Folder(task.staging), keys)


def place_spans(task: DecideTask) -> None:
    """Write where the documents of a range of ids that nothing else drops have repeated stretches."""
    needed = {"id", "row_hash", "text_digest", "verdict", "source", "key", *columns_needed(task.rules)}
    columns = sorted(needed - survivors.GROUP_COLUMNS - later_columns(task.manifest))
    places, folder = Folder(task.staging) / "places", Folder(task.repeated.spans or "")
    settings = task.manifest.decontaminate
    for number, keys in enumerate(task.keys.split(task.n_slices)):
        measured = (Folder(task.run) / "measured").read_range("id", keys, columns)
        frame = _judged_with_groups(task, measured, keys)
        frame = survivors.join_losers(frame, Folder(task.staging) / "losers", keys, task.compared)
        if settings and settings.action == "drop":
            frame = judge_hits(frame, read_hits(Folder(task.run) / CONTAMINATION, keys, settings), settings)
        kept = frame.filter(pl.col("verdict") == "kept")
        spans.write_places(folder, keys, kept, places, f"part-{task.keys.index:05d}-{number:03d}.parquet")


def _write_slice(
    task: DecideTask, frame: pl.DataFrame, schema: pa.Schema, documents: TableWriter, ledger: TableWriter
) -> Decided:
    """Append decided rows to both tables, the texts masked."""
    redactor = redactor_of(task.manifest, task.base)
    pii = summarize_pii(frame, task.manifest.pii_kinds, redactor)
    if redactor and not task.texts_redacted:  # dropped documents too, as the summary shows how they begin
        frame = as_written(frame, redactor)
    kept = frame.filter(pl.col("verdict") == "kept")
    unrestorable = kept.filter(pl.col("text").is_null())["id"].to_list()
    kept = kept.filter(pl.col("text").is_not_null())
    kept_table = conform(to_arrow(kept, schema), schema, "documents")
    of_ledger = ledger_schema(pii=task.manifest.pii_kinds, notes=task.manifest.has_notes)
    ledger_table = conform(to_arrow(frame, of_ledger), of_ledger, "ledger")
    documents.write(kept_table)
    ledger.write(ledger_table)
    counts = dict(frame["verdict"].value_counts().iter_rows())
    return Decided(
        TableDigest.of(kept_table),
        TableDigest.of(ledger_table, NOT_IN_DIGEST),
        counts.get("kept", 0),
        counts.get("dropped", 0),
        counts.get("failed", 0),
        int(kept["text"].str.len_bytes().sum()),
        dict(frame["shard"].value_counts().iter_rows()),
        dict(kept["license"].fill_null("unknown").value_counts().iter_rows()),
        unrestorable,
        _summary(frame, task.rules, pii, redactor),
    )


def _summary(
    frame: pl.DataFrame, rules: list[CheckedRule], pii: tuple[PiiSummary, ...], redactor: Redactor | None
) -> Summary:
    summary = summarize(frame, rules).model_copy(update={"pii": pii})
    return mask_pieces(summary, redactor) if redactor else summary


def total(parts: list[Decided]) -> Decided:
    """What was written of all parts together, in their order."""
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


def _to_note(part: Decided) -> dict[str, object]:
    return {
        **{
            name: getattr(part, name)
            for name in ("n_kept", "n_dropped", "n_failed", "text_bytes", "by_shard", "licenses", "unrestorable")
        },
        "documents": [f"{part.documents.total:032x}", part.documents.n_rows],
        "ledger": [f"{part.ledger.total:032x}", part.ledger.n_rows],
        "summary": orjson.Fragment(part.summary.model_dump_json()),
    }


def _from_note(note: dict[str, object]) -> Decided:
    digests = {name: TableDigest(int(note[name][0], 16), note[name][1]) for name in ("documents", "ledger")}  # type: ignore[index]
    summary = Summary.model_validate(note["summary"])
    return Decided(**{**note, **digests, "summary": summary})  # type: ignore[arg-type]
