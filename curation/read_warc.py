"""WARC files: what each record is, and its content without transfer and content encodings."""

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from curation.read_batch import Batch, Event, Record, Split, batches
from curation.read_http import (
    HEADER_BYTES,
    HTML_TYPES,
    TEXT_TYPES,
    UNKNOWN_TYPES,
    Headers,
    Response,
    TooLargeError,
    UndecodableError,
    declared_charset,
    decode_body,
    media_type,
    parse_response,
    robots_headers,
    sniff_type,
)
from curation.read_stream import open_input
from curation.read_warc_frames import Frame, WarcFrames, is_gzip
from manifests.schema import Input, Limits

DOCUMENT_TYPES = frozenset({"response", "resource", "conversion"})
OTHER_TYPES = frozenset({"warcinfo", "request", "metadata", "revisit", "continuation"})
_RECORDS_PER_PLACE = 1 << 24


def read_warc(
    split: Split, item: Input, limits: Limits, metadata_names: list[str], cursor: int = 0
) -> Iterator[Batch]:
    """Batches of one split of a WARC file; see `curation.read.read_split`."""
    with open_input(split.path) as file:
        yield from batches(_events(file, split, item, limits, cursor), split, item, metadata_names)


def _events(file: BinaryIO, split: Split, item: Input, limits: Limits, cursor: int) -> Iterator[Event]:
    """A cursor holds a place where a frame begins, and how many frames that do not begin at a place follow it."""
    place, n_done = divmod(cursor, _RECORDS_PER_PLACE)
    keep_bytes = limits.record_bytes + HEADER_BYTES
    gzip = is_gzip(file, split.path)
    frames = WarcFrames(file, max(place, split.start), split.end, gzip=gzip, keep_bytes=keep_bytes)
    n_since = 0
    for frame in frames:
        n_since = 0 if frames.clean else n_since + 1
        if n_done:
            n_done -= 1
        else:
            yield _event(frame, item, limits), frames.place * _RECORDS_PER_PLACE + n_since


def member_events(member: bytes, name: str, item: Input, limits: Limits) -> Iterator[Record | str]:
    """The records in the bytes of a gzip member, or of a record as it stands; one at least, broken though it be.

    Args:
        member: the bytes, from where the record starts in its file.
        name: of that file; of what is broken it tells whether it should be compressed.
        item: what is to be read of a record.
        limits: how large it may be.
    """
    file, keep_bytes = BytesIO(member), limits.record_bytes + HEADER_BYTES
    frames = WarcFrames(file, 0, len(member), gzip=is_gzip(file, name), keep_bytes=keep_bytes)
    nothing = Frame(0, problem=("malformed_warc", "no record begins where one should"), n_bytes=len(member))
    frame = None
    for frame in frames:
        yield _event(frame, item, limits)
    if frame is None:
        yield _event(nothing, item, limits)


def _event(frame: Frame, item: Input, limits: Limits) -> Record | str:
    headers = frame.headers
    if headers is None or frame.problem:
        return _broken(frame, item, limits)
    kind = headers.get("warc-type", "").strip().lower()
    if kind not in DOCUMENT_TYPES:
        return kind if kind in OTHER_TYPES else "unknown type"
    http = media_type(headers.get("content-type")) == "application/http" or frame.block.startswith(b"HTTP/")
    if kind == "response" and http:
        return _response(frame, headers, item, limits)
    return _resource(frame, headers, item, limits)


def _broken(frame: Frame, item: Input, limits: Limits) -> Record:
    record = _record(frame, frame.headers, None, item)
    reason, detail = frame.problem or ("malformed_warc", None)
    if frame.headers is None and reason == "malformed_warc" and frame.n_bytes > limits.record_bytes:
        return record.too_large(limits.record_bytes, frame.n_bytes, frame.raw_digest(), frame.n_bytes)
    return record.fail(reason, detail, frame.raw_digest(), frame.n_bytes)


def _response(frame: Frame, headers: Headers, item: Input, limits: Limits) -> Record:
    try:
        response = parse_response(frame.block)
    except UndecodableError as error:
        return _record(frame, headers, None, item).fail(error.reason, error.detail, frame.raw_digest(), frame.n_bytes)
    record = _record(frame, headers, response, item)
    record.robots_headers = robots_headers(response.headers)
    if response.status != 200:
        record.value, record.threshold = response.status, 200
        return record.drop("http_status", None, frame.raw_digest(), frame.n_bytes)
    content_type = response.headers.get("content-type")
    n_payload_bytes = frame.n_block_bytes - (len(frame.block) - len(response.body))
    return _typed(record, frame, content_type, n_payload_bytes, limits, response)


def _resource(frame: Frame, headers: Headers, item: Input, limits: Limits) -> Record:
    record = _record(frame, headers, None, item)
    return _typed(record, frame, headers.get("content-type"), frame.n_block_bytes, limits, None)


def _typed(
    record: Record,
    frame: Frame,
    content_type: str | None,
    n_payload_bytes: int,
    limits: Limits,
    response: Response | None,
) -> Record:
    media = media_type(content_type)
    if media not in HTML_TYPES | TEXT_TYPES | UNKNOWN_TYPES:
        return record.drop("content_type", media, frame.raw_digest(), frame.n_bytes)
    if n_payload_bytes > limits.record_bytes:
        return record.too_large(limits.record_bytes, n_payload_bytes, frame.raw_digest(), frame.n_bytes)
    try:
        content = decode_body(response, limits.record_bytes) if response else frame.block
    except TooLargeError:
        return record.too_large(limits.record_bytes, None, frame.raw_digest(), frame.n_bytes)
    except UndecodableError as error:
        return record.fail(error.reason, error.detail, frame.raw_digest(), frame.n_bytes)
    if media in UNKNOWN_TYPES:
        media = sniff_type(content)
        if media not in HTML_TYPES | TEXT_TYPES:
            return record.drop("content_type", f"{media} (sniffed)", frame.raw_digest(), frame.n_bytes)
    record.kind = "html" if media in HTML_TYPES else "text"
    record.charset = declared_charset(content_type)
    return record.keep(content)


def _record(frame: Frame, headers: Headers | None, response: Response | None, item: Input) -> Record:
    def value(name: str | None) -> str | None:
        if name is None or headers is None:
            return None
        name = name.lower()
        if name.startswith("http:"):
            text = response.headers.get(name[5:].strip()) if response else None
        else:
            text = headers.get(name)
        return text.strip() if text is not None else None

    url = value(item.url or "WARC-Target-URI")
    return Record(
        offset=frame.offset,
        kind="html",
        key=(value(item.key or "WARC-Record-ID") or "").removeprefix("<").removesuffix(">"),
        url=url.removeprefix("<").removesuffix(">") if url else None,
        date=value(item.date or "WARC-Date"),
        license=value(item.license),
        category=value(item.category),
        metadata={name: value(header) for name, header in item.metadata.items()},
    )
