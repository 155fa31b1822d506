"""Minimal PDF files, byte by byte: lines of text at places, in a font whose codes are UTF-16."""

from collections.abc import Sequence
from pathlib import Path

TO_UNICODE = b"""/CIDInit /ProcSet findresource begin 12 dict begin begincmap
/CMapName /U def /CMapType 2 def
1 begincodespacerange <0000> <FFFF> endcodespacerange
2 beginbfrange <0020> <00FF> <0020> <0100> <FFFF> <0100> endbfrange
endcmap end end"""

Placed = tuple[float, float, float, str]
"""Left, bottom, size of the letters, text."""


def write_pdf(path: Path, pages: Sequence[Sequence[Placed]], title: str = "제목") -> Path:
    """A PDF whose characters are all as wide as high."""
    n_pages = len(pages)
    kids = " ".join(f"{6 + 2 * i} 0 R" for i in range(n_pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {n_pages} >>".encode(),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /F /Encoding /Identity-H "
        b"/DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /F /DW 1000 "
        b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        _stream(TO_UNICODE),
    ]
    for number, lines in enumerate(pages):
        font = "/Resources << /Font << /F 3 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] {font} /Contents {7 + 2 * number} 0 R >>".encode()
        )
        shown = (
            f"BT /F {size} Tf {left} {bottom} Td <{text.encode('utf-16-be').hex()}> Tj ET"
            for left, bottom, size, text in lines
        )
        objects.append(_stream("\n".join(shown).encode()))
    said = title.encode("utf-16").hex()
    info = f"<< /Title <{_big_endian(said)}> /CreationDate (D:20260102030405+09'00') >>".encode()
    path.write_bytes(_file([*objects, info]))
    return path


def _big_endian(little: str) -> str:
    return bytes.fromhex(little).decode("utf-16").encode("utf-16-be").join([b"\xfe\xff", b""]).hex()


def _stream(data: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%b\nendstream" % (len(data), data)


def _file(objects: list[bytes]) -> bytes:
    out, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (len(objects) + 1, table, len(objects) + 1, len(objects), len(out))
    )
