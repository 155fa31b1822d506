"""PDF files: one record per file, the text of its pages by PDFium (`onggi[pdf]`)."""

import re
import threading
import unicodedata
from collections.abc import Iterator
from datetime import date
from functools import partial
from importlib.util import find_spec
from typing import Any

from xxhash import xxh3_128_digest

from curation.pdf_text import Line, pages_to_text, without_running
from curation.read_batch import Batch, Note, Record, Split, batches
from curation.read_files import file_events
from curation.read_stream import digest_range, open_input
from manifests.errors import missing_extra
from manifests.schema import Input, Limits
from manifests.schema_readers import Pdf

_PDFIUM = threading.Lock()
"""PDFium may be in one thread at a time (pypdfium2's documentation, "Thread incompatibility")."""


def check_pdf() -> None:
    """RequestError where the library is not installed."""
    if find_spec("pypdfium2") is None:
        raise missing_extra("format: pdf", "pypdfium2", "pdf")


def read_pdf(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of one split of a folder of PDF files; see `curation.read.read_split`."""
    check_pdf()
    events = file_events(split, cursor, partial(_records, item=item, limits=limits))
    yield from batches(events, split, item, metadata_names)


def _records(folder: str, name: str, item: Input, limits: Limits) -> Iterator[Record]:
    path = f"{folder}/{name}"
    record = Record(offset=0, kind="text", utf8=True, key=unicodedata.normalize("NFC", name), file=path)
    with open_input(path) as file:
        data = file.read(limits.record_bytes + 1)
        if len(data) > limits.record_bytes:
            n_bytes = file.seek(0, 2)
            yield record.too_large(limits.record_bytes, n_bytes, digest_range(file, 0, n_bytes), n_bytes)
            return
    yield _fill(record, data, item, limits)


def _fill(record: Record, data: bytes, item: Input, limits: Limits) -> Record:
    import pypdfium2

    digest = xxh3_128_digest(data)
    try:
        with _PDFIUM:
            document = _Document(data, item.pdf)
    except pypdfium2.PdfiumError as error:
        reason = "encrypted" if "password" in str(error).lower() else "malformed_pdf"
        return record.fail(reason, str(error), digest, len(data))
    record.notes += [Note("unread_page", f"page {number}: {why}") for number, why in document.broken]
    record.date = document.date
    record.metadata = {name: document.facts.get(fact) for name, fact in item.metadata.items()}
    if document.n_empty == len(document.pages):
        of = "" if len(document.pages) == document.n_pages else f"of {document.n_pages} "
        detail = f"{len(document.pages)} pages {of}were read, none of them with text: scans need OCR first"
        return record.fail("no_text", detail, digest, len(data))
    pages = document.pages
    if item.pdf.running_lines == "drop":
        pages, left_out = without_running(pages)
        if left_out:
            record.notes.append(Note("running_lines", f"{len(left_out)} left out, the first: {left_out[0]}"))
    text = pages_to_text(pages).encode("utf-8", "replace")
    if len(text) > limits.record_bytes:
        return record.too_large(limits.record_bytes, len(text), digest, len(data))
    return record.keep(text, digest)


class _Document:
    """The lines of a document's pages and what it says of itself."""

    def __init__(self, data: bytes, settings: Pdf) -> None:
        import pypdfium2

        document = pypdfium2.PdfDocument(data)
        try:
            self.n_pages = len(document)
            self.pages: list[list[Line]] = []
            self.broken: list[tuple[int, str]] = []
            for number in range(min(self.n_pages, settings.pages_max)):
                try:
                    self.pages.append(_page_lines(document[number]))
                except pypdfium2.PdfiumError as error:
                    self.pages.append([])
                    self.broken.append((number + 1, str(error)))
            if self.n_pages > settings.pages_max:
                n_after = self.n_pages - settings.pages_max - 1
                self.broken.append((settings.pages_max + 1, f"it and {n_after} after it: over `pages_max`"))
            said = document.get_metadata_dict()
        finally:
            document.close()
        self.n_empty = len(self.pages) - sum(map(bool, self.pages))
        self.date = _date(said.get("CreationDate", ""))
        title = said.get("Title", "").encode("utf-8", "replace").decode()
        self.facts = {"title": title or None, "n_pages": str(self.n_pages), "n_empty_pages": str(self.n_empty)}


def _page_lines(page: Any) -> list[Line]:
    """The lines of a page that are not blank, in the order in which the page draws them."""
    try:
        textpage = page.get_textpage()
        lines, start = [], 0
        for raw in textpage.get_text_range().split("\r\n"):
            text = raw.strip()
            if text:
                first = start + len(raw) - len(raw.lstrip())
                lines.append(_line(textpage, text, first, first + len(text) - 1))
            start += len(raw) + 2
        textpage.close()
        return lines
    finally:
        page.close()


def _line(textpage: Any, text: str, first: int, last: int) -> Line:
    import pypdfium2.raw as pdfium

    places = [pdfium.FPDFText_GetCharIndexFromTextIndex(textpage.raw, at) for at in (first, last)]
    boxes = [textpage.get_charbox(place, loose=True) for place in places if place >= 0]
    if not boxes:
        return Line(text, 0, 0, 0, 0)
    left, bottom, _, top = boxes[0]
    return Line(text, left, boxes[-1][2], bottom, top - bottom)


def _date(said: str) -> str | None:
    """`D:20260102030405+09'00'` (ISO 32000-1, 7.9.4) as ISO 8601, to the day."""
    match = re.match(r"(?:D:)?(\d{4})(\d\d)(\d\d)", said)
    try:
        return date(*map(int, match.groups())).isoformat() if match else None
    except ValueError:  # such a day never was
        return None
