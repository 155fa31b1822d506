"""How the report writes values: numbers for people, and text of strangers so that it is harmless."""

import re

OPS = {"<=": "≤", ">=": "≥", "<>": "≠"}


def percent(part: float, whole: float) -> str:
    """A share: 12.3%, 0.04%, <0.01%. Only nothing is 0 and only the whole is 100."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.01:
        return "<0.01%"
    if 99.99 < share < 100:
        return ">99.99%"
    return f"{share:.2f}%" if 0 < share < 1 or 99 < share < 100 else f"{share:.1f}%"


def number(value: float) -> str:
    """A measured value: 2,000,000, 1,234.5, 0.374."""
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def size(n_bytes: float) -> str:
    """A size in decimal units: 12.3 MB."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:,.1f} {name}"
    return f"{n_bytes:,.0f} B"


def duration(seconds: float) -> str:
    """A time: 0.24 s, 12.3 s, 4 min 05 s, 3 h 20 min."""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(iso: str) -> str:
    """A time without seconds: 2026-11-21 04:01 UTC."""
    return f"{iso[:10]} {iso[11:16]}{' UTC' if iso.endswith(('Z', '+00:00')) else iso[19:]}"


def web_link(url: str | None) -> str | None:
    """The URL where it may be linked: http and https only."""
    return url if url and re.match(r"https?://[^\s]+\Z", url, re.IGNORECASE) else None


def address(url: str) -> str:
    """A URL as a person reads it: no scheme, not too long."""
    plain = re.sub(r"^https?://(www\.)?", "", url, flags=re.IGNORECASE).rstrip("/")
    return plain if len(plain) <= 60 else f"{plain[:40]}…{plain[-17:]}"


def visible(text: str) -> str:
    """The text with control characters as their pictures, and without those that turn the direction of text."""
    return text.translate(_PICTURES)


_REMOVED = (0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | dict.fromkeys(_REMOVED)


def language_tag(language: str | None) -> str | None:
    """The language where it is a plain BCP 47 tag that an attribute can hold."""
    return language if language and re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language) else None
