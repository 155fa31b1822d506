"""Documents taken out of a corpus: its measured parts, what was derived from these, its documents, ledger, report."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow.compute as pc

from curation.card import dataset_card
from curation.pipeline import CARD, SUMMARY, write_report
from curation.removal.corpus_plan import (
    Change,
    CorpusPlan,
    doomed_in,
    n_doomed,
    plan_corpus,
)
from curation.removal.corpus_summary import gone_rows, pieces_in, summary_without
from curation.removal.files import write_without
from curation.removal.notes import finish_note, removals, unfinished
from curation.removal.rows import Doomed
from curation.removal.tables import Rewritten, remove_strays, row_groups
from curation.removal.tombstones import FOLDER, Note, write_note, write_tombstones
from curation.shards import measured_counts
from curation.summary_models import Summary
from manifests.contracts import NOT_IN_DIGEST
from manifests.digest import TableDigest
from manifests.errors import RequestError, RunError
from manifests.record import Entry, RunRecord, measured_folder, read_record, set_aside, write_record
from manifests.store import Folder

WORK = ("staging-", "near-", "semantic-", "held-", "repeats-", "url_groups-")
"""Folders in which a decision is worked on."""


@dataclass(frozen=True)
class Corpus:
    """A run of `onggi curate` or `decide`, complete but for a removal that was killed."""

    run: Folder
    record: RunRecord
    measured: Folder | None
    """Where the parts lie from which it was decided; None where they are gone."""

    @property
    def is_measured_here(self) -> bool:
        """Whether they lie in its own folder."""
        return self.measured is not None and self.measured.root == self.run.root


def open_corpus(run: Folder) -> Corpus:
    """The corpus in a folder.

    Raises:
        RequestError: there is no complete run.
    """
    record = read_record(run, interrupted=bool(unfinished(run)))
    try:
        measured: Folder | None = measured_folder(run, record)
    except RequestError:
        measured = None
    return Corpus(run, record, measured)


@dataclass
class Work:
    """What is done to a corpus for one request."""

    corpus: Corpus
    note: Note
    plan: CorpusPlan
    summary: Summary | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Of the plan's files."""
        return self.note.request[:16]


def prepared(corpus: Corpus, note: Note) -> Work:
    """What is to be done: the plan that a killed command left, or a new one; nothing is changed yet."""
    folder, name = corpus.run / FOLDER, note.request[:16]
    if name in unfinished(corpus.run):
        return Work(corpus, note, CorpusPlan.model_validate(folder.read_json(f"{name}-plan.json")))
    plan = plan_corpus(corpus.run, corpus.measured, set(note.ids))
    summary = None
    if corpus.run.exists(SUMMARY):
        before = Summary.model_validate(corpus.run.read_json(SUMMARY))
        gone, quoted = gone_rows(corpus.run, corpus.measured, set(note.ids), pieces_in(before))
        summary = summary_without(before, gone, quoted)
    return Work(corpus, note, plan, summary)


def remove_from_corpus(work: Work, found: pl.DataFrame) -> dict[str, Any]:
    """Do what was planned, and write the run's record anew; returns what the receipt says of the run.

    Args:
        work: see `prepared`.
        found: `id` and `url` of the documents.

    Raises:
        RunError: the tables do not add up afterwards.
    """
    run, folder = work.corpus.run, work.corpus.run / FOLDER
    if work.name not in unfinished(run):
        _tidy(folder, work.name)  # where a command was killed after all was done
        write_tombstones(run, work.note.request, found)
        write_note(run, work.note)
        if work.summary:
            folder.write_bytes(f"{work.name}-summary.json", work.summary.model_dump_json().encode())
        folder.write_json(f"{work.name}-plan.json", work.plan.model_dump())
    set_aside(run)
    remove_strays(run)
    for stale in [name for prefix in WORK for name in run.folders(prefix)]:
        run.remove(stale)
    if work.plan.is_found_anew:
        _forget_groups(run)
    for table in work.plan.tables_removed:
        run.remove(table)
    files = [_rewritten(run, work.plan, change) for change in _in_order(work.plan.changes)]
    counted = _counted(run)
    record = _record(work.corpus, counted)
    part = _part(work, record, files) | {"tables": _proof(work.plan, work.corpus.record.digests, counted)}
    finish_note(run, work.note, part)
    if folder.exists(f"{work.name}-summary.json"):
        run.write_bytes(SUMMARY, folder.read_bytes(f"{work.name}-summary.json"))
    record = record.model_copy(update={"removed": removals(run)})
    if run.exists(SUMMARY):
        summary = Summary.model_validate(run.read_json(SUMMARY))
        run.write_bytes(CARD, dataset_card(record, summary).encode())
        write_report(run, record, summary)
    write_record(run, record)
    _tidy(folder, work.name)
    return part


def _tidy(folder: Folder, name: str) -> None:
    for left in (f"{name}-summary.json", f"{name}-plan.json"):
        folder.remove(left)


def _in_order(changes: list[Change]) -> list[Change]:
    """Measured parts last: with them goes what tells the rows of other tables."""
    return sorted(changes, key=lambda change: (change.path.startswith("measured/"), change.path))


def _forget_groups(run: Folder) -> None:
    """Let groups be found anew by the next decision; until then those that were found can be explained."""
    for table in run.folders():
        for name in (run / table).names(".json"):
            if table != FOLDER and "fingerprint" in (value := (run / table).read_json(name)):
                (run / table).write_json(name, value | {"fingerprint": ""})


def _rewritten(run: Folder, plan: CorpusPlan, change: Change) -> Rewritten:
    doomed = doomed_in(change.path, plan.ids, plan.digests, plan.parts)
    assert doomed
    folder, _, name = change.path.rpartition("/")
    return write_without(run, folder, name, doomed)


@dataclass
class _Counted:
    """What the documents and the ledger of a run hold now."""

    documents: TableDigest = field(default_factory=TableDigest)
    ledger: TableDigest = field(default_factory=TableDigest)
    verdicts: Counter[str] = field(default_factory=Counter)
    text_bytes: int = 0
    licenses: Counter[str] = field(default_factory=Counter)


def _counted(run: Folder) -> _Counted:
    found = _Counted()
    for name in (run / "documents").names(".parquet"):
        for rows in row_groups(run / "documents", name):
            found.documents += TableDigest.of(rows)
            found.text_bytes += pc.sum(pc.binary_length(rows["text"])).as_py() or 0
            found.licenses.update(pc.fill_null(rows["license"], "unknown").to_pylist())
    for name in (run / "ledger").names(".parquet"):
        for rows in row_groups(run / "ledger", name):
            found.ledger += TableDigest.of(rows, NOT_IN_DIGEST)
            found.verdicts.update(rows["verdict"].to_pylist())
    return found


def _record(corpus: Corpus, counted: _Counted) -> RunRecord:
    """The run's record with the counts and digests of what is there now.

    Raises:
        RunError: records were lost.
    """
    run, record = corpus.run, corpus.record
    counts = {name: counted.verdicts.get(name, 0) for name in ("kept", "dropped", "failed")}
    if (n_read := sum(counts.values())) != record.counts["read"]:
        raise RunError(f"{run.path}: its ledger has {n_read:,} records, the run has read {record.counts['read']:,}")
    shards = record.shards
    if corpus.measured:
        parts = measured_counts(corpus.measured)
        counts["text_bytes"] = sum(part.text_bytes for part in parts.values())
        shards = {name: {"read": part.n_read, **part.n_early} for name, part in parts.items()}
    digests = {"documents": counted.documents.hex, "ledger": counted.ledger.hex}
    return record.model_copy(
        update={
            "counts": record.counts | counts | {"kept_text_bytes": counted.text_bytes},
            "licenses": dict(counted.licenses),
            "shards": shards,
            "digests": record.digests | digests,
            "outputs": [_output(run, entry, counts["kept"]) for entry in record.outputs],
        }
    )


def _output(run: Folder, entry: Entry, n_kept: int) -> Entry:
    folder = run / entry.path
    size_bytes = sum(folder.size_bytes(name) for name in folder.names(".parquet"))
    return entry.model_copy(
        update={"size_bytes": size_bytes, "rows": n_kept if entry.path == "documents" else entry.rows}
    )


def _proof(plan: CorpusPlan, before: dict[str, str], counted: _Counted) -> dict[str, Any]:
    """That nothing else changed: what is left and what was taken add up to what the run's record said before."""
    found = dict[str, Any]()
    for table, now in (("documents", counted.documents), ("ledger", counted.ledger)):
        was = _minus(now + plan.taken[table].digest, plan.added[table].digest)
        found[table] = {
            "rows_taken": plan.taken[table].n_rows,
            "tombstones_put": plan.added[table].n_rows,
            "digest_before": before.get(table, ""),
            "digest_after": now.hex,
            "digest_of_rows_taken": plan.taken[table].digest.hex,
            "nothing_else_changed": was.hex == before.get(table),
        }
    return found


def _minus(digest: TableDigest, part: TableDigest) -> TableDigest:
    return TableDigest((digest.total - part.total) % 2**128, digest.n_rows - part.n_rows)


def _part(work: Work, record: RunRecord, files: list[Rewritten]) -> dict[str, Any]:
    """What the receipt says of a run.

    Raises:
        RunError: rows of documents that were removed are still there.
    """
    run, plan, measured = work.corpus.run, work.plan, work.corpus.is_measured_here
    doomed = Doomed(plan.ids, plan.digests)
    left = {
        change.path: n_rows for change in plan.changes if (n_rows := n_doomed(run, change.path, doomed, plan.parts))
    }
    if left:
        raise RunError(f"{run.path}: documents to be removed are still in {', '.join(sorted(left))}")
    taken = {change.path: change.n_rows for change in plan.changes}
    return {
        "n_documents": len(plan.ids),
        "n_records": plan.n_records,
        "n_records_by_verdict": plan.n_by_verdict,
        "ids": plan.ids,
        "counts": {name: record.counts[name] for name in ("read", "kept", "dropped", "failed")},
        "files": [file.__dict__ | {"rows_taken": taken[file.path]} for file in files],
        "tables_removed": plan.tables_removed,
        "rows_left": 0,
        "texts_left_in": "" if measured or not work.corpus.measured else work.corpus.measured.path,
        "inputs_that_hold_them": plan.inputs,
        "n_copies_left": plan.n_copies_left,
        "copies_left": plan.copies_left,
    }
