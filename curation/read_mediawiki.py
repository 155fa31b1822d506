"""XML dumps of MediaWiki: the pages of a wiki as documents of text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote
from xml.etree import ElementTree  # expat; it sees single pages, which no document type can precede

from xxhash import xxh3_128_digest

from curation.read_batch import Batch, Event, Record, Split, batches
from curation.read_mediawiki_pages import PageFrame, PageFrames, cut_pages
from curation.read_mediawiki_stream import compression, source_of
from curation.read_stream import BrokenMemberError, open_input
from curation.wikitext.text import Converter, PageText
from curation.wikitext.tokens import token_types
from manifests.errors import RequestError
from manifests.schema import MIB, Input, Limits

LICENSE, CATEGORY = "CC-BY-SA-4.0", "encyclopedia"
"""What Wikipedia's texts are under, and what they are."""
HEADER_BYTES = 1 * MIB
_FRAMES_PER_PLACE = 1 << 26

_REDIRECT = re.compile(r"\s*#(?:redirect|넘겨주기)\s*:?\s*\[\[([^\]|#]*)", re.IGNORECASE)
_AMBIGUOUS = re.compile(r"\((?:동음이의|동명이인|disambiguation)[^()]*\)$")


@dataclass(frozen=True)
class Site:
    """What the head of a dump says of the wiki."""

    language: str = "en"
    base: str | None = None  # of the addresses of pages
    namespaces: dict[int, str] | None = None

    def url(self, title: str) -> str | None:
        """The address of a page."""
        return self.base and self.base + quote(title.replace(" ", "_"), safe="/:@!$*(),;~'")


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and of its revisions the newest."""

    title: str
    key: str
    namespace: int
    redirect: str | None
    revision: str | None
    date: str | None
    model: str
    text: str | None


def check_mediawiki() -> None:
    """RequestError where the library is not installed, or has other tokens."""
    token_types()


def cut_mediawiki(file: BinaryIO, path: str, size_bytes: int, shard_bytes: int) -> list[int]:
    """Where to cut a dump; see `curation.read_mediawiki_pages.cut_pages`.

    Raises:
        RequestError: the file is no export of MediaWiki, or declares a document type or entities.
    """
    check_head(file, path, size_bytes)
    return cut_pages(file, path, size_bytes, shard_bytes)


def read_mediawiki(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of one split of a dump; see `curation.read.read_split`."""
    with open_input(split.path) as file:
        yield from batches(_events(file, split, item, limits, cursor), split, item, metadata_names)


def _events(file: BinaryIO, split: Split, item: Input, limits: Limits, cursor: int) -> Iterator[Event]:
    """A cursor holds a place where reading may begin, and how many frames from there have been read."""
    place, n_done = divmod(cursor, _FRAMES_PER_PLACE)
    site = site_of(_head(file, split.path, split.file_bytes) or b"")
    reader = _PageReader(site, item, limits)
    start = max(place, split.start)
    frames = PageFrames(file, start, split.end, split.file_bytes, split.path, limits.record_bytes)
    for frame in frames:
        if n_done:
            n_done -= 1
        else:
            yield reader.record(frame), frames.place * _FRAMES_PER_PLACE + frames.n_since


class _PageReader:
    def __init__(self, site: Site, item: Input, limits: Limits) -> None:
        self.site, self.item, self.limits = site, item, limits
        self.converter = Converter(item.mediawiki, site.namespaces, site.language)

    def record(self, frame: PageFrame) -> Record:
        """The row of a page."""
        record = Record(offset=frame.offset, kind="text", license=LICENSE, category=CATEGORY)
        if frame.problem:
            return record.fail(*frame.problem, frame.digest, frame.n_bytes)
        if not frame.data:
            return record.too_large(self.limits.record_bytes, frame.n_bytes, frame.digest, frame.n_bytes)
        try:
            page = page_of(frame.data)
        except (ElementTree.ParseError, ValueError) as error:
            return record.fail("malformed_xml", str(error), frame.digest, frame.n_bytes)
        record.key, record.date, record.url = page.key, page.date, self.site.url(page.title)
        facts = {"title": page.title, "page_id": page.key, "revision_id": page.revision}
        record.metadata = {name: facts.get(fact) for name, fact in self.item.metadata.items()}
        if page.text is None:
            return record.fail("missing_text", "the revision has no text", frame.digest, frame.n_bytes)
        return self._document(record, page, page.text)

    def _document(self, record: Record, page: Page, text: str) -> Record:
        source = text.encode()
        digest = xxh3_128_digest(source)
        if reason := self._no_document(page, text):
            return record.drop(*reason, digest, len(source))
        converted = self.converter.text_of(text, page.title)
        if converted.disambiguation and self.item.mediawiki.disambiguation == "drop":
            return record.drop("disambiguation", page.title, digest, len(source))
        if not converted.text:
            return record.drop("empty", "nothing is left of the page", digest, len(source))
        self._note(record, converted)
        record.utf8 = True
        return record.keep(converted.text.encode(), digest)

    def _note(self, record: Record, converted: PageText) -> None:
        record.notes = list(converted.notes)
        for name, fact in self.item.metadata.items():
            if fact.startswith("n_"):
                record.metadata[name] = str(getattr(converted, fact))

    def _no_document(self, page: Page, text: str) -> tuple[str, str] | None:
        """Why a page is none, and the detail."""
        policy = self.item.mediawiki
        if page.namespace not in policy.namespaces:
            return "namespace", str(page.namespace)
        if page.redirect is not None:
            return "redirect", page.redirect
        if found := _REDIRECT.match(text):
            return "redirect", found[1].strip()
        if page.model != "wikitext":
            return "content_model", page.model
        if policy.disambiguation == "drop" and _AMBIGUOUS.search(page.title):
            return "disambiguation", page.title
        return None


def page_of(data: bytes) -> Page:
    """A page from its XML, `<page>` to `</page>`, of any version of the export format.

    Raises:
        ElementTree.ParseError: it is not well-formed, or names an entity.
        ValueError: it has no title, namespace or id.
    """
    root = ElementTree.fromstring(data)
    title, key, namespace = (root.findtext(name) for name in ("title", "id", "ns"))
    if not title or not key or not (namespace or "0").lstrip("-").isdecimal():
        raise ValueError(f"a page has a title, an id and a namespace: {title!r}, {key!r}, {namespace!r}")
    revisions = root.findall("revision")
    newest = max(revisions, key=_age, default=None)
    redirect = root.find("redirect")
    return Page(
        title=title,
        key=key.strip(),
        namespace=int(namespace or 0),
        redirect=None if redirect is None else redirect.get("title", ""),
        revision=_text(newest, "id"),
        date=_text(newest, "timestamp"),
        model=_text(newest, "model") or "wikitext",
        text=None if newest is None or newest.find("text") is None else newest.findtext("text", ""),
    )


def _age(revision: ElementTree.Element) -> tuple[str, int]:
    number = revision.findtext("id", "").strip()
    return revision.findtext("timestamp", ""), int(number) if number.isdecimal() else 0


def _text(revision: ElementTree.Element | None, name: str) -> str | None:
    return (revision.findtext(name) or "").strip() or None if revision is not None else None


def _head(file: BinaryIO, path: str, size_bytes: int) -> bytes | None:
    """The decoded beginning of a dump, to the end of `<siteinfo>` or the first page; None where it is broken."""
    source, head = source_of(file, 0, size_bytes, compression(file, path)), b""
    try:
        while len(head) < HEADER_BYTES and b"</siteinfo>" not in head and b"<page>" not in head:
            piece = source.next()
            if piece is None:
                break
            head += piece.data
    except BrokenMemberError:
        return None
    ends = [end for end in (head.find(b"<page>"), head.find(b"</siteinfo>") + len(b"</siteinfo>")) if end > 11]
    return head[: min(ends, default=HEADER_BYTES)]


def check_head(file: BinaryIO, path: str, size_bytes: int) -> None:
    """Refuse what is no export of MediaWiki; a beginning that is damaged is left to the reader.

    Raises:
        RequestError: names the file.
    """
    head = _head(file, path, size_bytes)
    if head is None:
        return
    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
        raise RequestError(f"{path}: declares a document type or entities, which no export of MediaWiki does")
    if b"<mediawiki" not in head:
        raise RequestError(
            f"{path}: is no XML export of MediaWiki: <mediawiki> is not in its first {len(head)} bytes"
        )


def site_of(head: bytes) -> Site:
    """What the head of a dump says of its wiki; what it does not say is left at the defaults."""
    begin, end = head.find(b"<siteinfo>"), head.find(b"</siteinfo>")
    language = re.search(rb'<mediawiki\b[^>]*\bxml:lang="([A-Za-z-]{1,20})"', head)
    named = language[1].decode() if language else "en"
    if begin < 0 or end < 0:
        return Site(named)
    try:
        info = ElementTree.fromstring(head[begin : end + len(b"</siteinfo>")])
    except ElementTree.ParseError:
        return Site(named)
    base = info.findtext("base", "")
    names = {int(e.get("key", "0")): e.text for e in info.iter("namespace") if e.text and _is_number(e.get("key"))}
    return Site(named, base.rpartition("/")[0] + "/" if "/" in base else None, names)


def _is_number(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"-?[0-9]{1,9}", text) is not None
