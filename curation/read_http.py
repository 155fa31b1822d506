"""HTTP responses as crawlers store them: headers, transfer and content encodings, content type."""

import re
import zlib
from dataclasses import dataclass
from io import BytesIO

import zstandard
from fastwarc.stream_io import BrotliReader
from fastwarc.warc import HeaderMap

HEADER_BYTES = 1 << 20
"""A longer header block is not a header block."""
MAX_ENCODINGS = 5
PIECE_BYTES = 64 * 1024
ZSTD_WINDOW_BYTES = 8 << 20
"""RFC 9659: what a client has to support over HTTP, and no more."""

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
TEXT_TYPES = frozenset({"text/plain", "text/markdown", "text/x-markdown"})
UNKNOWN_TYPES = frozenset({"", "*/*", "unknown/unknown", "application/unknown"})
"""To be sniffed, as browsers do (mimesniff.spec.whatwg.org, section 7.1)."""

ROBOTS_HEADERS = ("x-robots-tag", "tdm-reservation", "content-usage")

_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([^\s"';,]+)""", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_HTML_TAG = re.compile(
    rb"<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|link)[\s>]|<!--",
    re.IGNORECASE,
)
_XML_HTML = re.compile(rb"<\?xml[^>]*>\s*(?:<!doctype html|<html)", re.IGNORECASE)
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


ADDING = {"content-encoding": ",", "transfer-encoding": ",", "x-robots-tag": "\n"}
"""Headers of which all that are sent count, and what joins them."""

Headers = dict[str, str]
"""By name, in lower case."""


class UndecodableError(Exception):
    """A response that cannot be decoded; `reason` is for the ledger."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class TooLargeError(Exception):
    """A body grows beyond the limit while it is decoded."""


@dataclass(frozen=True)
class Response:
    """An HTTP response: status, headers, and the body as stored."""

    status: int
    headers: Headers
    body: bytes


def header_end(data: bytes, start: int = 0) -> int | None:
    """Where the blank line that ends a header block ends; None where there is none."""
    crlf = data.find(b"\n\r\n", start)
    lf = data.find(b"\n\n", start, crlf + 1 if crlf >= 0 else len(data))
    return lf + 2 if lf >= 0 else crlf + 3 if crlf >= 0 else None


def parse_headers(block: bytes, encoding: str) -> Headers:
    """Headers by name in lower case, of a block with its first line; lines may end in LF alone.

    The last of several counts, as in browsers; those in ADDING add up.

    Raises:
        ValueError: not a header block.
    """
    headers = HeaderMap(encoding)
    try:
        headers.parse(BytesIO(_with_crlf(block)), has_status_line=True)
    except OSError as error:
        raise ValueError(str(error)) from error
    pairs = [(name.lower(), value) for name, value in headers.astuples()]
    by_name = dict(pairs)
    if len(by_name) < len(pairs):
        for adding, between in ADDING.items():
            by_name[adding] = between.join(value for name, value in pairs if name == adding)
    return by_name


def _with_crlf(block: bytes) -> bytes:
    return block if block.count(b"\n") == block.count(b"\r\n") else re.sub(rb"\r?\n", b"\r\n", block)


def parse_response(block: bytes) -> Response:
    """A response from a record's block.

    Raises:
        UndecodableError: `malformed_http`.
    """
    if not block.startswith(b"HTTP/"):
        raise UndecodableError("malformed_http", f"no status line, the block begins with {block[:20]!r}")
    end = header_end(block[:HEADER_BYTES])
    if end is None:
        raise UndecodableError("malformed_http", "the headers do not end")
    try:
        headers = parse_headers(block[:end], "latin1")
    except ValueError as error:
        raise UndecodableError("malformed_http", str(error)) from error
    status = re.match(rb"HTTP/\S+\s+(\d{3})(?!\d)", block)
    if not status:
        raise UndecodableError("malformed_http", f"no status code in {block[:40]!r}")
    return Response(int(status[1]), headers, block[end:])


def robots_headers(headers: Headers) -> str:
    """What the headers of a response tell robots, as lines NAME: VALUE."""
    named = ((name, value) for name in ROBOTS_HEADERS for value in headers.get(name, "").split("\n"))
    return "\n".join(f"{name}: {value}" for name, value in named if value)


def media_type(header: str | None) -> str:
    """`text/html` of `Text/HTML; charset=x`; empty where there is no header."""
    return (header or "").split(";")[0].split(",")[0].strip().lower()


def declared_charset(header: str | None) -> str | None:
    """The charset as the header spells it, in lower case."""
    match = _CHARSET.search(header or "")
    return match[1].lower() if match else None


def sniff_type(body: bytes) -> str:
    """The media type that the first bytes show, of three: HTML, plain text and unknown binary data.

    A short form of mimesniff.spec.whatwg.org, section 7.1.
    """
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        body = body[:3000].decode("utf-16", "replace").encode()
    head = body[:1445].removeprefix(b"\xef\xbb\xbf").lstrip(b"\t\n\x0c\r ")
    if _HTML_TAG.match(head) or _XML_HTML.match(head):
        return "text/html"
    return "application/octet-stream" if _BINARY.search(head) else "text/plain"


def decode_body(response: Response, limit_bytes: int) -> bytes:
    """The body without its transfer and content encodings, at most `limit_bytes` long.

    A header that promises an encoding which a plainly readable body does not have is not believed: crawlers store
    decoded bodies under the headers of the encoded ones.

    Raises:
        UndecodableError: `bad_chunking`, `bad_encoding` or `truncated`.
        TooLargeError: the decoded body is larger than the limit.
    """
    body = response.body
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        body = dechunk(body)
    names = [name.strip().lower() for name in response.headers.get("content-encoding", "").split(",")]
    if len(names) > MAX_ENCODINGS:
        raise UndecodableError("bad_encoding", f"{len(names)} content encodings")
    for name in reversed(names):
        body = _decode_content(body, name, limit_bytes)
    if len(body) > limit_bytes:
        raise TooLargeError
    return body


def dechunk(body: bytes) -> bytes:
    """The body without chunked transfer coding (RFC 9112, 7.1); as it is where it does not begin with a chunk.

    The last, empty chunk may be missing, as where a server closed the connection instead.

    Raises:
        UndecodableError: `bad_chunking`: a chunk is cut short, or no chunk follows where one should.
    """
    chunks: list[memoryview] = []
    at = 0
    while at < len(body):
        size = _CHUNK_SIZE.match(body, at)
        if not size:
            if not chunks:
                return body
            raise UndecodableError("bad_chunking", f"no chunk at byte {at} of the body")
        n_bytes, at = int(size[1], 16), size.end()
        if n_bytes == 0:
            break
        if at + n_bytes > len(body):
            raise UndecodableError("bad_chunking", f"the chunk at byte {at} of the body ends early")
        chunks.append(memoryview(body)[at : at + n_bytes])
        at += n_bytes
        at += 2 if body.startswith(b"\r\n", at) else body.startswith(b"\n", at)
    return b"".join(chunks)


def _decode_content(body: bytes, name: str, limit_bytes: int) -> bytes:
    decoder = _DECODERS.get(name)
    if not body or name in ("", "identity", "none"):
        return body
    try:
        if decoder is None:
            raise UndecodableError("bad_encoding", f"unknown content encoding {name!r}")
        return decoder(body, limit_bytes)
    except UndecodableError:
        if _is_readable(body):
            return body
        raise


def _is_readable(body: bytes) -> bool:
    return sniff_type(body) != "application/octet-stream" and not _BINARY.search(body[:65536])


def _bounded(data: bytes, limit_bytes: int) -> bytes:
    if len(data) > limit_bytes:
        raise TooLargeError
    return data


def _gunzip(body: bytes, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    n_bytes, rest = 0, body
    while not pieces or rest.startswith(b"\x1f\x8b\x08"):
        decoder = zlib.decompressobj(31)
        pieces.append(_inflate(decoder, rest, limit_bytes - n_bytes, "gzip"))
        n_bytes += len(pieces[-1])
        rest = decoder.unused_data
    return b"".join(pieces)


def _inflate(decoder: "zlib._Decompress", body: bytes, limit_bytes: int, name: str) -> bytes:
    try:
        out = _bounded(decoder.decompress(body, limit_bytes + 1), limit_bytes)
    except zlib.error as error:
        raise UndecodableError("bad_encoding", f"content encoding {name}: {error}") from error
    if not decoder.eof:
        raise UndecodableError("truncated", f"content encoding {name}: the body ends early")
    return out


def _undeflate(body: bytes, limit_bytes: int) -> bytes:
    try:
        return _inflate(zlib.decompressobj(15), body, limit_bytes, "deflate")
    except UndecodableError as error:
        if error.reason == "truncated":
            raise
        return _inflate(zlib.decompressobj(-15), body, limit_bytes, "deflate")  # as some servers send it


def _unbrotli(body: bytes, limit_bytes: int) -> bytes:
    reader, pieces, n_bytes = BrotliReader(BytesIO(body)), [], 0
    try:
        while piece := reader.read(PIECE_BYTES):
            n_bytes += len(_bounded(piece, limit_bytes - n_bytes))
            pieces.append(piece)
    except OSError as error:
        raise UndecodableError("bad_encoding", f"content encoding br: {error}") from error
    return b"".join(pieces)


def _unzstd(body: bytes, limit_bytes: int) -> bytes:
    decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
    pieces, n_bytes = [], 0
    try:
        for at in range(0, len(body), 1024):  # a run of zeros decodes to 32,768 times its size
            pieces.append(_bounded(decoder.decompress(body[at : at + 1024]), limit_bytes - n_bytes))
            n_bytes += len(pieces[-1])
            if decoder.eof:
                return b"".join(pieces)
    except zstandard.ZstdError as error:
        raise UndecodableError("bad_encoding", f"content encoding zstd: {error}") from error
    raise UndecodableError("truncated", "content encoding zstd: the body ends early")


_DECODERS = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
