"""From the bytes of a file of source code to its text."""

import re

from curation.charset import BOMS, DETECT_BYTES, SINGLE_BYTE, Decoded, codec, decode

HEAD_BYTES = 8192
CONTROL_FRAC_MAX = 0.05
"""Share of control characters in the first bytes from which on a file is no text."""

N_HANGUL_MIN = 2
HANGUL_FRAC_MIN = 0.9
"""Of the characters that are not ASCII."""

_CONTROLS = bytes([*range(0x07), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F])
_COOKIE = re.compile(rb"coding[:=][ \t]*[\"']?([-\w.]+)|encoding=[\"']([-\w.]+)[\"']")
_NOT_ASCII = re.compile(rb"[^\n]*[\x80-\xff][^\n]*")


def is_binary(content: bytes) -> bool:
    """Whether the first bytes are those of no text: a NUL that no UTF-16 explains, or many controls."""
    head = content[:HEAD_BYTES]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) and len(head) % 2 == 0:
        return False
    n_controls = len(head) - len(head.translate(None, _CONTROLS))
    return b"\0" in head or n_controls > CONTROL_FRAC_MAX * len(head)


def decode_source(content: bytes) -> Decoded:
    """The text of a file: UTF-8 where it is that, else in the charset that it names (PEP 263, Emacs), else in what
    its lines that are not ASCII look like; between lines of code the few of a comment in EUC-KR would not be noticed.
    """
    if any(content.startswith(mark) for mark, _ in BOMS):
        return decode(content)
    try:
        return Decoded(content.decode().replace("\0", ""), "utf-8", 0)
    except UnicodeDecodeError:
        pass
    lines = b"\n".join(_NOT_ASCII.findall(content))[:DETECT_BYTES]
    found = decode(lines, _named(content))
    charset = "cp949" if SINGLE_BYTE.fullmatch(found.charset) and _is_korean(lines, found.text) else found.charset
    text = content.decode(charset, "replace").replace("\0", "")
    known = content.count("\ufffd".encode()) if charset == "utf-8" else 0
    return Decoded(text, charset, text.count("\ufffd") - known)


def _is_korean(lines: bytes, otherwise: str) -> bool:
    """Whether lines that a detector takes for letters of Latin (`otherwise`) are Korean: a word or two are too little
    for it, and by chance hardly any Latin text is nothing but pairs of bytes that are Hangul."""
    try:
        odd = [character for character in lines.decode("cp949") if character > "\x7f"]
    except UnicodeDecodeError:
        return False
    n_hangul = sum("가" <= character <= "힣" for character in odd)
    is_cyrillic = any("\u0400" <= character <= "\u04ff" for character in otherwise)
    return not is_cyrillic and n_hangul >= N_HANGUL_MIN and n_hangul >= HANGUL_FRAC_MIN * len(odd)


def _named(content: bytes) -> str | None:
    head = b"\n".join(content[:HEAD_BYTES].split(b"\n")[:3])
    match = _COOKIE.search(head)
    name = (match[1] or match[2]).decode("ascii", "ignore") if match else None
    return name if codec(name) else None
