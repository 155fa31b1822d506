"""Hosts as browsers understand them, and the domains that were registered for them."""

import ipaddress
import re
import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from manifests.errors import missing_extra

MAX_HOST_CHARS = 253
HOSTS_KEPT = 1 << 16

_WRITTEN_HOST_CHARS = 2000
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_JOINERS = frozenset("\u200c\u200d")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def check_installed(field: str) -> None:
    """Refuse to go on without what knows international names and public suffixes, which a field asks for.

    Raises:
        RequestError: says what to install.
    """
    missing = [name for name in ("idna", "publicsuffixlist") if find_spec(name) is None]
    if missing:
        raise missing_extra(field, " and ".join(missing), "urls")


@lru_cache(HOSTS_KEPT)
def canonical_host(host: str) -> str | None:
    """The host in lower-case ASCII (UTS 46, as browsers); an IP address as the URL Standard writes it; None: none."""
    if host.startswith("["):
        return _ipv6(host)
    if len(host) > _WRITTEN_HOST_CHARS:
        return None
    name = host if "%" not in host else _unescaped(host)
    if name is None:
        return None
    name = name.lower() if name.isascii() else _mapped(name)
    labels = (name or "").removesuffix(".").split(".")
    if not _are_sound([_decoded(label) for label in labels]):
        return None
    labels = [label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels]
    if not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    name = ".".join(labels)
    return name if len(name) <= MAX_HOST_CHARS else None


def _unescaped(host: str) -> str | None:
    """A host with its %XX written out; None where they are no UTF-8."""
    octets = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), host.encode())
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def _mapped(name: str) -> str | None:
    """A name in the letters that stand for those written (UTS 46, non-transitional); None: one is not allowed."""
    from idna import IDNAError, uts46_remap

    try:
        return uts46_remap(name, std3_rules=False, transitional=False)
    except IDNAError:
        return None


def _decoded(label: str) -> str | None:
    """A label in its own letters; None where it says xn-- and is not the spelling that its letters have."""
    if not label.startswith("xn--"):
        return label
    try:
        name = label[4:].encode().decode("punycode")
    except ValueError:
        return None
    is_own = not name.isascii() and _mapped(name) == name and name.encode("punycode").decode() == label[4:]
    return name if is_own else None


def _are_sound(labels: list[str | None]) -> bool:
    """Whether all labels may stand in a name (UTS 46, section 4.1, without the rules for hyphens)."""
    if all(label is not None and label.isascii() for label in labels):
        return True
    from idna import IDNAError, check_bidi
    from idna.core import valid_contextj

    for label in labels:
        if not label or unicodedata.category(label[0]).startswith("M"):
            return False
        try:
            joined = all(valid_contextj(label, place) for place, one in enumerate(label) if one in _JOINERS)
            if not joined or not check_bidi(label):
                return False
        except (IDNAError, ValueError):
            return False
    return True


def _ipv4(labels: list[str]) -> str | None:
    """An address of one to four numbers, decimal, octal or hexadecimal (URL Standard, IPv4 parser)."""
    if len(labels) > 4:
        return None
    try:
        numbers = [_number(label) for label in labels]
    except ValueError:
        return None
    *first, last = numbers
    if any(number > 0xFF for number in first) or last >= 256 ** (5 - len(numbers)):
        return None
    value = last + sum(number << 8 * (3 - place) for place, number in enumerate(first))
    return str(ipaddress.IPv4Address(value))


def _number(label: str) -> int:
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if len(label) > 1 and label.startswith("0") else int(label)


def _ipv6(host: str) -> str | None:
    try:
        address = ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return None
    return None if address.scope_id else f"[{address.compressed}]"


@lru_cache(HOSTS_KEPT)
def registered_domain(host: str) -> str | None:
    """The registered domain of a canonical host, by the ICANN section of the public suffix list."""
    if host.startswith("[") or _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    domain: str | None = _suffixes().privatesuffix(host)
    return domain


@lru_cache(1)
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(only_icann=True)


def suffixes_version(field: str = "measure.urls") -> str:
    """Which public suffix list is installed, and which tables of international names; `field` asks for them.

    Raises:
        RequestError: one is not.
    """
    from importlib import metadata

    check_installed(field)
    return f"{metadata.version('publicsuffixlist')} {metadata.version('idna')}"
