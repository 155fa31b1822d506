"""TeX submissions as arXiv ships them: one record per paper, from single archives or the tars of its bulk data."""

import posixpath
import re
import tarfile
import unicodedata
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from xxhash import xxh3_128_digest

from curation.latex.archive import (
    BrokenArchiveError,
    Submission,
    TooLargeError,
    is_tar,
    kind_of,
    member_name,
    sources,
    unpack,
)
from curation.latex.licenses import Licenses, licenses
from curation.latex.paper import convert
from curation.read_batch import Batch, Note, Record, Split, batches
from curation.read_files import file_events
from curation.read_stream import digest_range, open_input
from manifests.schema import Input, Limits

ENDINGS = (".tar.gz", ".tgz", ".tar", ".tex.gz", ".tex", ".ltx", ".latex", ".gz", ".pdf")
PAPER = re.compile(r"(?:(\d{4}\.\d{4,5})|([a-z][a-z-]*(?:\.[A-Za-z-]{2,8})?)[/_]?(\d{7}))(v\d+)?")
BULK = re.compile(rf"(?:.*/)?{PAPER.pattern}\.(?:gz|tar\.gz|pdf|tar|ps\.gz|html\.gz)")
WITHDRAWN = re.compile(
    rb"\s*%\s*auto-ignore|[^\\]{0,500}?\b(?:paper|submission|article|manuscript)[^.\\]{0,100}withdrawn", re.I
)
WITHDRAWN_BYTES_MAX = 4096
"""What arXiv serves for a withdrawn paper is a few lines; a paper that speaks of a withdrawal is longer."""


def read_latex(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of one split of source archives; see `curation.read.read_split`."""
    events = file_events(split, cursor, partial(_records, item=item, limits=limits))
    yield from batches(events, split, item, metadata_names)


def _records(folder: str, name: str, item: Input, limits: Limits) -> Iterator[Record | str]:
    path = f"{folder}/{name}"
    known = licenses(item.latex.licenses) if item.latex.licenses else None
    with open_input(path) as file:
        start = file.read(512)
        file.seek(0)
        if is_tar(start) and _is_bulk(file):
            yield from _bulk(file, path, item, limits, known)
            return
        data = file.read(limits.record_bytes + 1)
        record = _record(unicodedata.normalize("NFC", name), path)
        if len(data) > limits.record_bytes:
            n_bytes = file.seek(0, 2)
            yield record.too_large(limits.record_bytes, n_bytes, digest_range(file, 0, n_bytes), n_bytes)
            return
    yield _fill(record, data, item, limits, known)


def _record(name: str, path: str, offset: int = 0) -> Record:
    """A record named after its paper, or where the file's name is no paper's, after the file."""
    record = Record(offset=offset, kind="text", utf8=True, key=name, file=path, category="academic")
    paper = PAPER.fullmatch(_stem(name))
    if paper:
        record.key = (paper[1] or f"{paper[2]}/{paper[3]}") + (paper[4] or "")
        record.url = f"https://arxiv.org/abs/{record.key}"
    return record


def _stem(name: str) -> str:
    last = posixpath.basename(name)
    ending = next((ending for ending in ENDINGS if last.lower().endswith(ending)), "")
    return last[: len(last) - len(ending)]


def _is_bulk(file: BinaryIO) -> bool:
    """Whether a tar holds submissions rather than the files of one: all are named as papers are, none is bare TeX."""
    n_files = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it remembers all of them
                if member.isreg():
                    n_files += 1
                    if not BULK.fullmatch(member.name):
                        return False
    except (tarfile.TarError, ValueError, OverflowError, EOFError):
        pass  # what could be read decides; the damage is met again where its record is
    finally:
        file.seek(0)
    return n_files > 0


def _bulk(file: BinaryIO, path: str, item: Input, limits: Limits, known: Licenses | None) -> Iterator[Record | str]:
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]
                if member.isreg():
                    yield _member(archive, member, path, item, limits, known)
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        detail = str(error)[:200]
        record = Record(offset=0, kind="text", key=posixpath.basename(path), file=path, category="academic")
        yield record.fail("malformed_tar", detail, xxh3_128_digest(detail.encode()), 0)


def _member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, item: Input, limits: Limits, known: Licenses | None
) -> Record:
    name = member_name(member.name) or ascii(member.name)[1:-1]
    record = _record(name, path, member.offset_data)
    opened = archive.extractfile(member)
    data = opened.read(limits.record_bytes + 1) if opened and not member.issparse() else b""
    if len(data) > limits.record_bytes:
        return record.too_large(limits.record_bytes, member.size, xxh3_128_digest(data), member.size)
    if len(data) < member.size:
        return record.fail("truncated", "the tar ends in it", xxh3_128_digest(data), len(data))
    return _fill(record, data, item, limits, known)


def _fill(record: Record, data: bytes, item: Input, limits: Limits, known: Licenses | None) -> Record:
    """The paper in a submission's bytes, or why there is none."""
    digest, n_bytes = xxh3_128_digest(data), len(data)
    paper = known.find(re.sub(r"v\d+$", "", record.key)) if known else None
    record.license, record.date = (paper.license, paper.date) if paper else (None, None)
    try:
        submission = unpack(data, f"{_stem(record.key.partition('/')[2] or record.key)}.tex", limits.record_bytes)
    except BrokenArchiveError as error:
        return record.fail(error.reason, error.detail, digest, n_bytes)
    except TooLargeError:
        return record.too_large(limits.record_bytes, None, digest, n_bytes)
    why = _not_latex(submission)
    found = None if why else sources(submission)
    document = convert(found, item.latex, others=submission.files) if found else None
    if document is None:
        why = why or f"no TeX source among {len(submission.files)} files"
        return record.drop("not_latex", why, digest, n_bytes)
    if document.text is None:
        return record.too_large(limits.record_bytes, None, digest, n_bytes)
    text = document.text.encode("utf-8", "replace")
    if len(text) > limits.record_bytes:
        return record.too_large(limits.record_bytes, len(text), digest, n_bytes)
    record.notes = document.notes + [Note("left_out", name) for name in submission.left_out]
    facts = document.facts() | {"categories": paper.categories if paper else None}
    record.metadata = {name: facts.get(fact) for name, fact in item.metadata.items()}
    return record.keep(text, submission.digest)


def _not_latex(submission: Submission) -> str | None:
    """Why a submission is not TeX, told by what it is; None where it may be."""
    if not submission.files:
        return "an empty archive"
    if len(submission.files) > 1:
        return None
    [data] = submission.files.values()
    if len(data) <= WITHDRAWN_BYTES_MAX and WITHDRAWN.match(data):
        return "withdrawn"
    return kind_of(data)
