"""The notes of removals in a run's folder: begun, finished, listed in the run's record."""

import hashlib
from typing import Any

from curation.removal.entries import Request
from curation.removal.matching import Matcher
from curation.removal.tombstones import FOLDER, Note, note_name, read_notes, write_note
from manifests.code import version
from manifests.record import RECORD, Removal, now
from manifests.store import Folder


def new_note(request: Request, ids: set[str], found: dict[str, list[str]]) -> Note:
    """The note of a request that removes these documents from a run; see `Note`."""
    matcher = Matcher.of(request)
    return Note(
        request=request.digest,
        created=now(),
        onggi_version=version(),
        ids=sorted(ids),
        urls=sorted(matcher.urls),
        url_hosts=sorted(matcher.url_hosts),
        domains=sorted(matcher.domains),
        found=found,
    )


def finish_note(run: Folder, note: Note, part: dict[str, Any]) -> None:
    """Write that a removal is done, and what came of it."""
    write_note(run, note.model_copy(update={"done": True, "part": part}))


def unfinished(run: Folder) -> list[str]:
    """The removals that were begun in a run and killed before its record was written, by their files' names."""
    plans = [name.removesuffix("-plan.json") for name in (run / FOLDER).names("-plan.json")]
    done = {note.request[:16] for note in read_notes(run) if note.done and run.exists(RECORD)}
    return [name for name in plans if name not in done]


def removals(run: Folder) -> list[Removal]:
    """The removals that were done in a run, in the order of time."""
    found = list[Removal]()
    for note in read_notes(run):
        if note.done:
            content = (run / FOLDER).read_bytes(note_name(note.request))
            found.append(
                Removal(
                    request=note.request,
                    created=note.created,
                    n_documents=len(note.ids),
                    note=f"{FOLDER}/{note_name(note.request)}",
                    note_digest=hashlib.sha256(content).hexdigest(),
                )
            )
    return sorted(found, key=lambda removal: (removal.created, removal.request))
