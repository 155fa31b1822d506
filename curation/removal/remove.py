"""`onggi remove`: a request is looked up in all folders that are given, each of them is cleaned, and a receipt tells.

Which documents are meant is found out before anything changes, in corpora by their ledgers and by what they remember
of earlier removals, in mixtures by their sources. So the order of the folders does not matter, nor which of them were
cleaned before.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from curation.removal import mixture, synthetic
from curation.removal.corpus import Corpus, Work, open_corpus, prepared, remove_from_corpus
from curation.removal.corpus_plan import find_copies, find_in_ledger
from curation.removal.entries import Request
from curation.removal.matching import FOUND, Matcher
from curation.removal.mixture_sources import Mixture, find_in_sources, open_mixture
from curation.removal.notes import new_note, unfinished
from curation.removal.tombstones import find_buried, read_note
from manifests.code import version
from manifests.errors import RequestError
from manifests.record import PREVIOUS, RECORD, now
from manifests.store import Folder

Progress = Callable[[str, float, float, str], None]


def silent(step: str, done: float, total: float, note: str = "") -> None:
    """Progress that nobody watches."""


@dataclass
class _Targets:
    """What the folders of a command hold."""

    corpora: list[Corpus] = field(default_factory=list)
    mixtures: list[Mixture] = field(default_factory=list)
    synthetic: list[Folder] = field(default_factory=list)

    @property
    def folders(self) -> list[Folder]:
        """All of them, in the order in which they are cleaned."""
        return [
            *(corpus.run for corpus in self.corpora),
            *(one.run for one in self.mixtures),
            *self.synthetic,
        ]


@dataclass
class _Found:
    """Which documents are meant."""

    by_entry: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Ids by the digest of an entry."""
    in_corpus: dict[str, pl.DataFrame] = field(default_factory=dict)
    """`id` and `url` of the documents that are still in a corpus, by its folder."""

    @property
    def ids(self) -> set[str]:
        """All of them."""
        return {name for ids in self.by_entry.values() for name in ids}

    def add(self, rows: pl.DataFrame) -> None:
        """Add documents, given as `id` and `entry`."""
        for name, entry in rows.select("id", "entry").iter_rows():
            self.by_entry[entry].add(name)


def remove(
    paths: Sequence[str],
    request: Request,
    dry_run: bool = False,
    progress: Progress = silent,
    forget: synthetic.Forget | None = None,
) -> dict[str, Any]:
    """Remove documents from runs, mixtures and synthetic data; returns the receipt.

    Args:
        paths: folders, in any order; a corpus that was decided from the measurements of another takes that along.
        request: what is to go.
        dry_run: only tell what would go.
        progress: is told which folder is worked on.
        forget: removes what else a folder of synthetic data holds of the rows that go; it is called before they do,
            so that a removal that was killed finds them again.

    Raises:
        RequestError: a folder holds nothing of these, or it cannot be found out which documents are meant; nothing
            was done.
        RunError: what is left does not add up.
    """
    targets = _targets(paths, request)
    found = _find(targets, request)
    works = [_planned(corpus, request, found) for corpus in targets.corpora]
    ids = found.ids
    children = synthetic.find_children(targets.synthetic, ids)
    parts, total = list[dict[str, Any]](), float(len(targets.folders))
    for number, folder in enumerate(targets.folders):
        progress("remove", number, total, folder.path)
        if number < len(works):
            work = works[number]
            part = _corpus_part(targets.corpora[number], work, request, found, dry_run)
            parts.append({"path": folder.path, "kind": "corpus", **part})
        elif number < len(works) + len(targets.mixtures):
            one = targets.mixtures[number - len(works)]
            part = mixture.remove_from_mixture(one, request, ids, dry_run)
            parts.append({"path": folder.path, "kind": "mixture", **part})
        else:
            forgotten = forget(folder, synthetic.gone_rows(folder, ids, children), dry_run) if forget else {}
            part = {**synthetic.remove_children(folder, ids, children, dry_run), **forgotten}
            parts.append({"path": folder.path, "kind": "synthetic", **part})
    progress("remove", total, total, "")
    return _receipt(request, found, parts, dry_run)


def _targets(paths: Sequence[str], request: Request) -> _Targets:
    """Open all folders.

    Raises:
        RequestError: one holds nothing that documents can be removed from.
    """
    targets, seen = _Targets(), set[str]()
    queue = [Folder(path) for path in paths]
    while queue:
        folder = queue.pop(0)
        if folder.root in seen:
            continue
        seen.add(folder.root)
        _check_pending(folder, request)
        kind = _kind(folder)
        if kind == "corpus":
            corpus = open_corpus(folder)
            targets.corpora.append(corpus)
            if corpus.measured and not corpus.is_measured_here:
                queue.append(corpus.measured)
        elif kind == "mixture":
            targets.mixtures.append(open_mixture(folder))
        else:
            targets.synthetic.append(folder)
    return targets


def _kind(folder: Folder) -> str:
    name = RECORD if folder.exists(RECORD) else PREVIOUS
    kind = str(folder.read_json(name).get("kind")) if folder.exists(name) else None
    if kind in ("corpus", "mixture") or (kind is None and folder.exists("measured")):
        return kind or "corpus"
    if kind in (None, "synthesis") and synthetic.tables_of(folder):
        return "synthetic"
    holds = f"a run of `kind: {kind}`" if kind else "no run, and no table with a `provenance`"
    raise RequestError(
        f"{folder.path}: holds {holds}; documents are removed from corpora, mixtures and synthetic data"
    )


def _check_pending(folder: Folder, request: Request) -> None:
    """Refuse a folder in which the removal of something else was killed."""
    if other := [name for name in unfinished(folder) if name != request.digest[:16]]:
        raise RequestError(
            f"{folder.path}: another removal ({other[0]}) was not finished: run its command again first"
        )


def _find(targets: _Targets, request: Request) -> _Found:
    """Look the request up everywhere; documents that any folder names are meant in all."""
    found, matcher = _Found(), Matcher.of(request)
    for corpus in targets.corpora:
        rows = find_in_ledger(corpus.run, matcher)
        found.in_corpus[corpus.run.root] = rows
        found.add(rows)
        found.add(find_buried(corpus.run, matcher))
        if note := read_note(corpus.run, request):
            for entry, ids in note.found.items():
                found.by_entry[entry].update(ids)
    for one in targets.mixtures:
        found.add(find_in_sources(one, matcher))
    for named in request.of("ids"):
        found.by_entry[named.digest].add(named.name)  # also where no corpus is at hand that has it
    _find_others(targets, found, request.copies)
    return found


def _find_others(targets: _Targets, found: _Found, with_copies: bool) -> None:
    """In each corpus, what was found in others by its id, and equal texts where these are asked for."""
    for corpus in targets.corpora:
        here = find_in_ledger(corpus.run, Matcher(frozenset(found.ids)))
        rows = [found.in_corpus[corpus.run.root], here]
        if with_copies and corpus.measured and here.height:
            equal, _ = find_copies(corpus.run, corpus.measured, set(here["id"]))
            copies = equal.select("id", "url", entry=pl.lit(COPY))
            rows.append(copies)
            found.add(copies)
        found.in_corpus[corpus.run.root] = pl.concat(rows).cast(FOUND).unique("id")  # type: ignore[arg-type]


COPY = "copies"
"""What stands for the entry of a document that goes since it has the text of one that is named."""


def _planned(corpus: Corpus, request: Request, found: _Found) -> Work | None:
    """What is to be done in a corpus; None where nothing is."""
    note, here = read_note(corpus.run, request), set(found.in_corpus[corpus.run.root]["id"])
    if unfinished(corpus.run) and note:
        return prepared(corpus, note)
    if not here:
        return None
    before = set(note.ids) if note else set[str]()
    mine = {entry: sorted(ids & (here | before)) for entry, ids in found.by_entry.items() if ids & (here | before)}
    return prepared(corpus, new_note(request, here | before, mine))


def _corpus_part(corpus: Corpus, work: Work | None, request: Request, found: _Found, dry_run: bool) -> dict[str, Any]:
    """What the receipt says of a corpus, after it was cleaned."""
    note = read_note(corpus.run, request)
    if work is None:
        return {**note.part, "done_before": note.created} if note else {"n_documents": 0, "ids": []}
    if dry_run:
        plan = work.plan
        return {
            "n_documents": len(plan.ids),
            "n_records": plan.n_records,
            "n_records_by_verdict": plan.n_by_verdict,
            "ids": plan.ids,
            "files": [change.model_dump() for change in plan.changes],
            "inputs_that_hold_them": plan.inputs,
            "n_copies_left": plan.n_copies_left,
            "copies_left": plan.copies_left,
        }
    return remove_from_corpus(work, found.in_corpus[corpus.run.root].select("id", "url"))


def _receipt(request: Request, found: _Found, parts: list[dict[str, Any]], dry_run: bool) -> dict[str, Any]:
    """Everything that was asked for, found and done."""
    there = {name for part in parts for name in part.get("ids", ())}
    matched, unmatched = list[dict[str, Any]](), list[dict[str, Any]]()
    for entry in request.entries:
        ids = sorted(found.by_entry.get(entry.digest, set()) & there)
        asked = {"kind": entry.kind, "entry": entry.written}
        (matched if ids else unmatched).append(asked | ({"ids": ids} if ids else {}))
    return {
        "onggi_version": version(),
        "created": now(),
        "dry_run": dry_run,
        "request": {
            "digest": request.digest,
            "copies": request.copies,
            "files": [file.__dict__ for file in request.files],
            "n_entries": len(request.entries),
        },
        "n_documents": len(there),
        "matched": matched,
        "unmatched": unmatched,
        "copies": sorted(found.by_entry.get(COPY, set()) & there),
        "runs": parts,
    }


def receipt_name(receipt: dict[str, Any]) -> str:
    """What the file of a receipt is called where no name is given."""
    moment = "".join(character for character in receipt["created"][:19] if character not in "-:")
    return f"removal-{moment}Z.json"
