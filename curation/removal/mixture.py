"""Documents cut out of a token mixture: of its sequences, its validation, its ledger and its store."""

from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from curation.mixture.assemble import AS_PARQUET
from curation.mixture.pipeline import write_mixture_report
from curation.mixture.record import read_mixture
from curation.mixture.token_rows import tokens_digest
from curation.mixture.token_store import remember_removed, remove_from_store
from curation.removal.corpus_plan import Change, Sum
from curation.removal.corpus_summary import without_ids
from curation.removal.entries import Request
from curation.removal.mixture_counts import SUMS, record_without, summary_without, sums_of
from curation.removal.mixture_sources import Mixture
from curation.removal.notes import finish_note, new_note, removals, unfinished
from curation.removal.spans import CUT, without_documents
from curation.removal.tables import Rewritten, digest_of_table, remove_strays, rewrite, row_groups
from curation.removal.token_ledger import reduced
from curation.removal.tombstones import FOLDER, Note, read_note, write_note
from manifests.contracts import TOKEN_LEDGER
from manifests.digest import TableDigest
from manifests.errors import RunError
from manifests.record import PREVIOUS, RECORD, set_aside
from manifests.store import Folder

TABLES = {"tokens": "tokens", "validation": "validation"}
"""Tables of sequences, and the name of their digest in the record."""
LEDGER = "ledger"
DIGESTS = TABLES | {LEDGER: "token_ledger"}
SUMMARY, REPORT = "summary.json", "report.html"


class Cut(BaseModel):
    """What was cut out of a stage of one source."""

    stage: str
    source: str
    n_documents: int
    n_spans: int
    n_tokens: int


class MixturePlan(BaseModel):
    """What is to be done in the folder of a mixture."""

    ids: list[str]
    """Of the documents that are in it."""
    n_spans: int
    n_tokens: int
    cut: list[Cut]
    changes: list[Change]
    taken: dict[str, Sum]
    """Rows that change as they were, by table."""
    added: dict[str, Sum]
    """The same rows as they will be."""


def _plan(mixture: Mixture, ids: set[str]) -> tuple[MixturePlan, pl.DataFrame]:
    """What removing these documents takes, and the spans that go."""
    raw = _raw(ids)
    changes, taken, added = list[Change](), dict[str, Sum](), dict[str, Sum]()
    cut = [pl.DataFrame(schema=CUT)]
    for table in TABLES:
        old = new = TableDigest()
        folder = mixture.run / table
        for name in folder.names(".parquet"):
            if not _holds(folder, name, raw):
                continue
            n_rows = 0
            for rows in row_groups(folder, name):
                after, before, spans = without_documents(rows, raw, mixture.pad_id)
                if len(before):
                    mask = pc.is_in(after["sequence"], value_set=before["sequence"].combine_chunks())
                    old, new = old + tokens_digest(before), new + tokens_digest(after.filter(mask))
                    n_rows += len(before)
                    cut.append(spans)
            changes.append(Change(path=f"{table}/{name}", size_bytes=folder.size_bytes(name), n_rows=n_rows))
        taken[table], added[table] = Sum.of(old), Sum.of(new)
    spans = pl.concat(cut)
    plan = MixturePlan(
        ids=sorted(name.hex() for name in spans["id"].unique()),
        n_spans=spans.height,
        n_tokens=int(spans["n_tokens"].sum()),
        cut=[Cut(**row) for row in sums_of(spans).to_dicts()],
        changes=changes,
        taken=taken,
        added=added,
    )
    return plan, spans


def _raw(ids: set[str]) -> pa.Array:
    return pa.array([bytes.fromhex(name) for name in sorted(ids)], pa.binary(16))


def _holds(folder: Folder, name: str, ids: pa.Array) -> bool:
    """Whether a file has spans of these documents; only their names are read."""
    return any(
        pc.any(pc.is_in(rows["document_ids"].combine_chunks().flatten(), value_set=ids)).as_py()
        for rows in row_groups(folder, name, ["document_ids"])
    )


def remove_from_mixture(mixture: Mixture, request: Request, ids: set[str], dry_run: bool) -> dict[str, Any]:
    """Cut documents out of a mixture, and write its record anew; returns what the receipt says of it.

    Raises:
        RunError: what is left does not add up; or a store holds the documents and cannot be cleaned.
    """
    run, folder, note = mixture.run, mixture.run / FOLDER, read_note(mixture.run, request)
    name = request.digest[:16]
    if unfinished(run) and note and not dry_run:
        plan = MixturePlan.model_validate(folder.read_json(f"{name}-plan.json"))
        return _done(mixture, note, plan, name) | {"store": _clean_store(mixture, ids)}
    plan, spans = _plan(mixture, ids)
    if dry_run:
        return {**_counts(plan), "files": [change.model_dump() for change in plan.changes]}
    stored = _clean_store(mixture, ids)
    if not plan.ids:
        if folder.exists(f"{name}-plan.json"):  # killed after the record was written
            _write_report(mixture)
            _tidy(folder, name)
        before = {**note.part, "done_before": note.created} if note else {"n_documents": 0, "ids": []}
        return before | {"store": stored}
    note = new_note(request, {*plan.ids, *(note.ids if note else ())}, {})
    write_note(run, note)
    _write_new_ledger(mixture, spans, name)
    if run.exists(SUMMARY):
        summary = without_ids(run.read_json(SUMMARY), set(plan.ids))
        folder.write_json(f"{name}-summary.json", summary_without(summary, sums_of(spans), mixture.record))
    folder.write_json(f"{name}-plan.json", plan.model_dump())
    return _done(mixture, note, plan, name) | {"store": stored}


def _write_new_ledger(mixture: Mixture, spans: pl.DataFrame, name: str) -> None:
    """Write those files of the ledger that change aside: counts can be taken off once only."""
    ledger, aside = mixture.run / LEDGER, mixture.run / FOLDER / f"{name}-ledger"
    files = {file: pa.concat_tables(row_groups(ledger, file)) for file in ledger.names(".parquet")}
    if not files:
        return
    before = pa.concat_tables(files.values()).select(TOKEN_LEDGER.names)
    after, first = reduced(before, spans), 0
    for file, rows in files.items():
        mine = after.slice(first, len(rows))
        first += len(rows)
        if not mine.equals(rows.select(TOKEN_LEDGER.names).cast(mine.schema)):
            with aside.table_writer(file, TOKEN_LEDGER, "token_ledger") as writer:
                writer.write(mine)


# doing it


def _done(mixture: Mixture, note: Note, plan: MixturePlan, name: str) -> dict[str, Any]:
    """Carry out a plan; it may have been carried out in part before."""
    run, folder, raw = mixture.run, mixture.run / FOLDER, _raw(set(plan.ids))
    set_aside(run)
    remove_strays(run)
    files = [_cut_file(run, change, raw, mixture.pad_id) for change in plan.changes]
    aside = folder / f"{name}-ledger"
    for file in aside.names(".parquet"):
        (run / LEDGER).write_bytes(file, aside.read_bytes(file))
    if folder.exists(f"{name}-summary.json"):
        run.write_bytes(SUMMARY, folder.read_bytes(f"{name}-summary.json"))
    tables, digests = _proof(mixture, plan)
    part = {
        **_counts(plan),
        "tables": tables,
        "files": [
            file.__dict__ | {"rows_changed": change.n_rows} for file, change in zip(files, plan.changes, strict=True)
        ],
        "ledger_files": aside.names(".parquet"),
        "rows_left": 0,
    }
    finish_note(run, note, part)
    _write_record(mixture, plan, digests)
    _write_report(mixture)
    _tidy(folder, name)
    return part


def _tidy(folder: Folder, name: str) -> None:
    for left in (f"{name}-ledger", f"{name}-summary.json", f"{name}-plan.json"):
        folder.remove(left)


def _cut_file(run: Folder, change: Change, ids: pa.Array, pad_id: int) -> Rewritten:
    table, _, name = change.path.rpartition("/")
    digest, n_rows = TableDigest(), 0
    for rows in row_groups(run / table, name):
        after = without_documents(rows, ids, pad_id)[0]
        digest, n_rows = digest + tokens_digest(after), n_rows + len(after)
    note = {"onggi.plan": "", "onggi.digest": f"{digest.total:032x}", "onggi.n_rows": str(n_rows)}  # of no plan now
    how = AS_PARQUET
    return rewrite(run, change.path, lambda rows: without_documents(rows, ids, pad_id)[0], note, how)


def _counts(plan: MixturePlan) -> dict[str, Any]:
    return {"n_documents": len(plan.ids), "ids": plan.ids, "n_spans": plan.n_spans, "n_tokens": plan.n_tokens}


def _proof(mixture: Mixture, plan: MixturePlan) -> tuple[dict[str, Any], dict[str, str]]:
    """That nothing else changed, and the digests of what is there now.

    Raises:
        RunError: spans of documents that were removed are still there.
    """
    run, before, raw = mixture.run, mixture.record["digests"], _raw(set(plan.ids))
    found, digests = dict[str, Any](), dict[str, str]()
    for table, name in TABLES.items():
        folder = run / table
        if left := [file for file in folder.names(".parquet") if _holds(folder, file, raw)]:
            raise RunError(f"{folder.path}: documents to be removed are still in {', '.join(left)}")
        now, taken, added = (
            digest_of_table(folder, digest=tokens_digest),
            plan.taken[table].digest,
            plan.added[table].digest,
        )
        was = TableDigest((now.total + taken.total - added.total) % 2**128, now.n_rows + taken.n_rows - added.n_rows)
        digests[name] = now.hex
        found[table] = {
            "rows_changed": taken.n_rows,
            "digest_before": before.get(name, ""),
            "digest_after": now.hex,
            "nothing_else_changed": was.hex == before.get(name, was.hex),
        }
    digests["token_ledger"] = digest_of_table(run / LEDGER).hex
    found[LEDGER] = {"digest_before": before.get("token_ledger", ""), "digest_after": digests["token_ledger"]}
    return found, {name: value for name, value in digests.items() if name in before}


def _write_record(mixture: Mixture, plan: MixturePlan, digests: dict[str, str]) -> None:
    """Write the record, what it counts without what was cut out: the last write of a removal but for the report."""
    run, record = mixture.run, mixture.record
    removed = [removal.model_dump() for removal in removals(run)]
    found = record_without(record, pl.DataFrame([cut.model_dump() for cut in plan.cut], schema=SUMS))
    outputs = [_output(run, entry, digests) for entry in record.get("outputs", [])]
    run.write_json(RECORD, found | {"digests": record["digests"] | digests, "removed": removed, "outputs": outputs})
    run.remove(PREVIOUS)


def _output(run: Folder, value: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    folder, digest = run / value["path"], digests.get(DIGESTS.get(value["path"], ""), "")
    size_bytes = sum(folder.size_bytes(name) for name in folder.names(".parquet"))
    return value | {"size_bytes": size_bytes} | ({"digest": digest} if digest else {})


def _clean_store(mixture: Mixture, ids: set[str]) -> list[str] | None:
    """Take documents out of the store of tokens; the files that were written anew or removed, None without one."""
    store = mixture.store
    if store.fs.isdir(store.root):
        return remove_from_store(store, ids)
    if not mixture.record["manifest"]["output"].get("store"):  # its own, which the next mixture makes again
        remember_removed(store, ids)
    return None


def _write_report(mixture: Mixture) -> None:
    if mixture.run.exists(REPORT):
        write_mixture_report(mixture.run, read_mixture(mixture.run))
