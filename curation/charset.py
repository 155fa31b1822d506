"""From bytes to text: which charset a page is really in, whatever its labels say."""

import re
from dataclasses import dataclass

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

META_SCAN_BYTES = 16_384  # the HTML standard asks for 1,024; real pages put long scripts before their meta tag
DETECT_BYTES = 131_072
REPLACED_FRAC_MAX = 0.02  # of the non-ASCII bytes: one torn character is damage, one in fifty is the wrong charset

BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
META = re.compile(
    rb"""<meta\b[^>]{0,1000}?\bcharset\s*=\s*["']?\s*([\w.:+-]+)|<\?xml\b[^>]{0,200}?\bencoding\s*=\s*["']([\w.:+-]+)""",
    re.IGNORECASE,
)
COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
KOREAN = re.compile(
    r"euc[-_]?kr|ks_?c_?5601.*|ksx?1001|uhc|korean|(x-)?(cp|ms|windows)-?_?949|iso-ir-149|cseuckr|cseuc-kr"
)
# Labels of the HTML standard, decoded by the superset that browsers use.
SUPERSETS = {"euc_kr": "cp949", "gbk": "gb18030", "shift_jis": "cp932", "iso8859-11": "cp874", "big5": "big5hkscs"}
ASCII = bytes(range(128))
SINGLE_BYTE = re.compile(r"cp125\d|cp874|cp866|iso8859.*|koi8.*|mac.*|ascii")


@dataclass(frozen=True)
class Decoded:
    """Text with the Python codec that gave it and the number of U+FFFD that decoding put into it."""

    text: str
    charset: str
    replaced: int


def codec(label: str | None) -> str | None:
    """The Python codec for a charset label found on the web, or None where no such charset is known.

    Only codecs of the HTML standard come back: `unicode_escape`, `punycode` and the like are no charsets of pages.
    Every Korean label means CP949, of which EUC-KR is a part.
    """
    name = (label or "").strip(" \t\r\n\"';").lower()
    if not name:
        return None
    if KOREAN.fullmatch(name):
        return "cp949"
    known = map_encoding_to_html5(name, fallback_utf8=False)
    return SUPERSETS.get(known, known) if known else None


def decode(content: bytes, declared: str | None = None) -> Decoded:
    """Decode a page: HTTP header (`declared`), BOM, meta tag or XML declaration, strict UTF-8, detector.

    The first candidate that decodes without error wins. A single-byte label (ISO-8859-1 and its like, the default of
    many servers) decodes anything and so proves nothing: it yields where the page itself names a multi-byte charset
    or is valid UTF-8. Where no candidate is free of errors the first with at most `REPLACED_FRAC_MAX` of its
    non-ASCII bytes replaced wins, then the detector, then whatever replaces least. NUL never survives.
    """
    named = _named(content, declared)
    for charset in sorted(named, key=lambda name: bool(SINGLE_BYTE.fullmatch(name))):
        text = _strict(content, charset)
        if text is not None:
            return Decoded(text, charset, 0)
    detected = codec(detect_encoding(content, DETECT_BYTES, html5_compatible=False))
    return _damaged(content, [name for name in named if not SINGLE_BYTE.fullmatch(name)], detected)


def _named(content: bytes, declared: str | None) -> list[str]:
    """Candidate codecs in order of trust, each once; UTF-8 is always the last of them."""
    header, mark = codec(declared), next((charset for mark, charset in BOMS if content.startswith(mark)), None)
    if (header or "").startswith("utf-16"):  # the mark alone knows the byte order, and markup in UTF-16 has NULs
        header = None if mark or b"\0" not in content[:1024] else header
    candidates = [header, mark, _meta(content), "utf-8"]
    return list(dict.fromkeys(name for name in candidates if name))


def _meta(content: bytes) -> str | None:
    """The charset that the page names; a page that could be read so far is not UTF-16, whatever it says."""
    found = META.search(COMMENT.sub(b"", content[:META_SCAN_BYTES]))
    if found is None:
        return None
    charset = codec((found[1] or found[2]).decode("ascii", "ignore"))
    return "utf-8" if charset and charset.startswith("utf-16") else charset


def _strict(content: bytes, charset: str) -> str | None:
    try:
        text = content.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return None
    return _clean(text)


def _clean(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\0", "")


def _damaged(content: bytes, named: list[str], detected: str | None) -> Decoded:
    """The best reading of bytes that no trusted candidate decodes without error."""
    n_bytes_max = REPLACED_FRAC_MAX * len(content.translate(None, ASCII))
    readings = []
    for charset in dict.fromkeys([*named, detected or "cp1252", "cp1252"]):
        text = _clean(content.decode(charset, "replace"))
        known = content.count("\ufffd".encode()) if charset == "utf-8" else 0
        decoded = Decoded(text, charset, text.count("\ufffd") - known)
        if decoded.replaced <= n_bytes_max:
            return decoded
        readings.append(decoded)
    return min(readings, key=lambda decoded: decoded.replaced)
