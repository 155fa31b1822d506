"""Addresses in one spelling, so that a URL in a request meets that of a document however either is written.

Equal are: http, https and no scheme; `www.` and none; hosts in any letter case, as 한국.kr or as xn--3e0b707e.kr; a
host with its scheme's own port or a dot at its end; a path with or without `/` at its end; characters written out or
as %XX of their UTF-8, composed or decomposed; anything after `#` (but `#!`, which names a page). Not equal are paths
that differ in letter case, and other queries.
"""

import ipaddress
import re
import unicodedata
from functools import lru_cache
from urllib.parse import quote

_ADDRESS = re.compile(
    r"(?:(?:([A-Za-z][A-Za-z0-9+.-]*):)?//)?(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?(.*)", re.S
)
HOST_PATTERN = r"^\s*(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//)?(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:\s]+)"
"""The host in an address as it is written, for a whole column at once."""
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_DELIMITERS = frozenset("/?#[]@!$&'()*+,;=:%")
_PORTS = {"80", "443", "", None}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")


def canonical_url(url: str) -> str | None:
    """The address in one spelling, without its scheme if that is http or https; None where it names no host."""
    found = _ADDRESS.fullmatch(url.strip())
    assert found  # every part of the pattern may be empty
    scheme, host, port, rest = found.groups()
    if rest[:1] not in ("", "/", "?", "#") or not (name := canonical_host(host)):
        return None
    scheme = "" if (scheme or "http").lower() in ("http", "https") else f"{scheme.lower()}://"
    return f"{scheme}{name}{'' if port in _PORTS else f':{port}'}{_canonical_rest(rest)}"


@lru_cache(1 << 16)
def canonical_host(host: str) -> str | None:
    """The host in lower-case ASCII without `www.`; None where it is none."""
    host = unicodedata.normalize("NFC", host.strip()).lower().rstrip(".")
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host.strip('[]')).compressed}]"
        except ValueError:
            return None
    try:
        name = ".".join(_ascii_label(label) for label in re.split(r"[.。．｡]", host))
    except UnicodeError:
        return None
    name = name.removeprefix("www.") if name.count(".") > 1 else name
    return name if all(_LABEL.fullmatch(label) for label in name.split(".")) else None


def _ascii_label(label: str) -> str:
    return label if label.isascii() else label.encode("idna").decode()


def host_of(url: str) -> str | None:
    """The canonical host of an address; None where it names none."""
    found = re.match(HOST_PATTERN, url)
    return canonical_host(found[1]) if found else None


def parent_domains(host: str) -> list[str]:
    """The canonical host and the domains above it, but for the topmost: a.b.kr, b.kr."""
    if host.startswith("[") or re.fullmatch(r"[\d.]+", host):
        return [host]
    labels = host.split(".")
    return [".".join(labels[first:]) for first in range(max(1, len(labels) - 1))]


def _canonical_rest(rest: str) -> str:
    """Path and query."""
    address, _, fragment = rest.partition("#")
    path, _, query = address.partition("?")
    path = _canonical_escapes(_without_dots(path)).rstrip("/")
    query = f"?{_canonical_escapes(query)}" if query else ""
    return path + query + (f"#{_canonical_escapes(fragment)}" if fragment.startswith("!") else "")


def _without_dots(path: str) -> str:
    """The path without `.` and `..` (RFC 3986, 5.2.4)."""
    if "/." not in path:
        return path
    kept = list[str]()
    for step in path.split("/"):
        if step == ".." and len(kept) > 1:
            kept.pop()
        elif step not in (".", ".."):
            kept.append(step)
    return "/".join(kept)


def _canonical_escapes(part: str) -> str:
    """Characters that need no escape written out, composed; the others as %XX in capitals."""
    written = _ESCAPES.sub(lambda found: _unescaped(found[0]), part)
    composed = unicodedata.normalize("NFC", written)
    return re.sub(r"[\s\x00-\x20\x7f\"<>\\^`{|}]", lambda found: quote(found[0]), composed)


def _unescaped(escapes: str) -> str:
    """A run of %XX; bytes that are no UTF-8 stay as they are, and so does what delimits the parts of an address."""
    try:
        characters = bytes.fromhex(escapes.replace("%", "")).decode()
    except UnicodeDecodeError:
        return escapes.upper()
    return "".join(quote(one, safe="") if one in _DELIMITERS else one for one in characters)
