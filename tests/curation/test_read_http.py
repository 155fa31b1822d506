"""HTTP bodies: encodings are undone within bounds, and not believed where the body shows otherwise."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from curation.read_http import TooLargeError, UndecodableError, dechunk, decode_body, parse_response, sniff_type

PAGE = b"<!DOCTYPE html><title>x</title>" * 50
LIMIT = 100_000


def body_of(headers: bytes, body: bytes, limit: int = LIMIT) -> bytes:
    return decode_body(parse_response(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n" + body), limit)


def chunked(data: bytes, size: int, end: bytes = b"0\r\n\r\n") -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x;q=1\r\n%s\r\n" % (len(part), part) for part in parts) + end


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {
    b"gzip": gzip.compress,
    b"X-Gzip": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
    b"deflate": zlib.compress,
    b" Deflate ": raw_deflate,
    b"br": brotli.compress,
    b"zstd": zstandard.compress,
    b"identity": bytes,
}


@pytest.mark.parametrize("name", PACKERS)
def test_content_encodings(name):
    pack = PACKERS[name]
    header = b"Content-Encoding: " + name
    for data in (PAGE, b"", b"x"):
        assert body_of(header, pack(data)) == data
    assert body_of(header + b"\r\nTransfer-Encoding: chunked", chunked(pack(PAGE), 7)) == PAGE
    with pytest.raises(TooLargeError):
        body_of(header, pack(bytes(LIMIT + 1)))
    assert body_of(header, pack(b"a" * LIMIT)) == b"a" * LIMIT


@pytest.mark.parametrize("name", [b"gzip", b"deflate", b"br", b"zstd"])
def test_a_body_that_is_cut_short_fails(name):
    packed = PACKERS[name](bytes(range(256)) * 4)
    for n_bytes in (len(packed) // 2, len(packed) - 1):
        with pytest.raises(UndecodableError) as error:
            body_of(b"Content-Encoding: " + name, packed[:n_bytes])
        assert error.value.reason in ("truncated", "bad_encoding")


@pytest.mark.parametrize("name", [b"gzip", b"deflate", b"br", b"zstd", b"gzip, br", b"sdch", b"utf-8"])
def test_a_readable_body_is_taken_as_it_is(name):
    assert body_of(b"Content-Encoding: " + name, PAGE) == PAGE
    with pytest.raises(UndecodableError, match="bad_encoding"):
        body_of(b"Content-Encoding: " + name, b"\x00\x01\x02\xff" * 50)


def test_several_encodings_are_undone_from_the_last():
    assert body_of(b"Content-Encoding: deflate\r\nContent-Encoding: gzip", gzip.compress(zlib.compress(PAGE))) == PAGE
    with pytest.raises(UndecodableError, match="6 content encodings"):
        body_of(b"Content-Encoding: " + b",".join([b"gzip"] * 6), PAGE)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_chunks_are_joined(data, size):
    if data:
        assert dechunk(chunked(data, size)) == data
        assert dechunk(chunked(data, size, b"")) == data  # the server closed the connection
        assert dechunk(chunked(data, size).replace(b"\r\n0\r\n\r\n", b"\r\n0\r\nTrailer: x\r\n\r\n")) == data


def test_what_is_not_chunked_stays_and_what_is_broken_fails():
    assert dechunk(PAGE) == PAGE
    assert dechunk(b"") == b""
    for body in (b"5\r\n<p>", b"3\r\n<p>\r\n<p>x", b"ffffffffffffff\r\n<p>"):
        with pytest.raises(UndecodableError, match="bad_chunking"):
            dechunk(body)


@pytest.mark.parametrize(
    ("head", "media"),
    [
        (b"\xef\xbb\xbf \n<HTML>", "text/html"),
        (b"<p>x", "text/html"),
        (b"<pre>", "text/plain"),
        (b"<!-- x", "text/html"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html>', "text/html"),
        ("<html>".encode("utf-16"), "text/html"),
        ("글".encode("cp949"), "text/plain"),
        (b"%PDF-1.7\n\0", "application/octet-stream"),
        (b"", "text/plain"),
    ],
)
def test_sniffing(head, media):
    assert sniff_type(head) == media
