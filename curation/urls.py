"""Addresses in one canonical spelling, so that pages can be compared by where they are.

Two spellings that RFC 3986 (section 6.2) or the URL Standard (url.spec.whatwg.org) hold for equal come out the same,
and so do those that differ in what says nothing of the page: the fragment, user and password, the order of a query's
parameters, and those by which visits are tracked. What may name another page stays: `www.` and `m.`, letter case and
empty steps of a path, values in their order, http beside https, the last `/`.
"""

import ipaddress
import re
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import polars as pl
import pyarrow as pa

from curation.url_parameters import says_nothing
from manifests.errors import RequestError
from manifests.schema_addresses import Urls

MAX_CHARS = 32_768
"""A longer address is none: no server takes one, and traps for crawlers make them."""
MAX_HOST_CHARS = 253
HOSTS_KEPT = 1 << 16

DEFAULT = Urls()
"""The canonical form where a manifest says nothing of it."""

_SPLIT = re.compile(r"(https?):[/\\]*([^/\\?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(?:.*@)?(\[[^\]]*\]|[^:]*)(?::(\d*))?", re.DOTALL)
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPES = {
    f"%{high}{low}": chr(int(high + low, 16)) if chr(int(high + low, 16)) in _UNRESERVED else f"%{high}{low}".upper()
    for high in "0123456789abcdefABCDEF"
    for low in "0123456789abcdefABCDEF"
}
_PATH = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~!$&'()*+,;=:@/]")
_QUERY = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~!$&()*+,;=:@/?]")
_SESSION = re.compile(r";(?:jsessionid|phpsessid|aspsessionid[a-z]*)=[^/;]*", re.IGNORECASE)
_INDEX = re.compile(r"/(?:index|default)\.(?:html?|shtml|xhtml|php[0-9]?|aspx?|jspx?|cfm|cgi|do)$", re.IGNORECASE)
_SPACES = "".join(map(chr, range(0x21)))

# What is canonical already, so that most of a column needs no more than four searches by Polars.
_IS_PLAIN = r"^https?://[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*/[A-Za-z0-9\-._~!$&'()*+,=:@/]*$"
_IS_ODD = r"/\.|^https?://(?:[^/]*\.)?(?:[0-9]+|0x[0-9a-f]*)/|xn--|^.{2000}|^https?://[^/]{254}"
_HOST = r"^https?://(\[[^\]]*\]|[^/:]+)"


def check_installed() -> None:
    """Refuse to go on without what knows international names and public suffixes.

    Raises:
        RequestError: says what to install.
    """
    missing = [name for name in ("idna", "publicsuffixlist") if find_spec(name) is None]
    if missing:
        raise RequestError(f"addresses need {' and '.join(missing)}: pip install 'onggi[urls]'")


def canonical_url(url: str, form: Urls = DEFAULT) -> str | None:
    """The address of a web page in its one spelling; None where it is no http or https address.

    What is canonical is its own canonical form, and the URL Standard's serialization of it is the same.
    """
    text = url.strip(_SPACES)
    if len(text) > MAX_CHARS or not (found := _SPLIT.fullmatch(re.sub(r"[\t\n\r]", "", text))):
        return None
    scheme, authority, path, query, fragment = found.groups()
    scheme = scheme.lower()
    place = _AUTHORITY.fullmatch(authority)
    host = canonical_host(place[1]) if place else None
    if place is None or host is None:
        return None
    port = int(place[2] or 0) or {"http": 80, "https": 443}[scheme]
    if port > 0xFFFF:
        return None
    shown = "" if port == {"http": 80, "https": 443}[scheme] else f":{port}"
    scheme = "https" if form.https and not shown else scheme
    rest = _canonical_path(path, form.index_files) + _canonical_query(query, form)
    return f"{scheme}://{host}{shown}{rest}{_page_of(fragment)}"


@lru_cache(HOSTS_KEPT)
def canonical_host(host: str) -> str | None:
    """The host in lower-case ASCII (UTS 46, as browsers); an IP address as the URL Standard writes it; None: none."""
    if host.startswith("["):
        return _ipv6(host)
    name = host if "%" not in host else _unescaped(host)
    if name is None:
        return None
    name = name.lower() if name.isascii() else _mapped(name)
    labels = (name or "").removesuffix(".").split(".")
    labels = [label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels]
    if not all(_LABEL.fullmatch(label) and _is_sound(label) for label in labels):
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


def _is_sound(label: str) -> bool:
    """Whether a label that says xn-- is the spelling of an international one that mapping leaves alone."""
    if not label.startswith("xn--"):
        return True
    try:
        name = label[4:].encode().decode("punycode")
    except UnicodeError:
        return False
    return not name.isascii() and _mapped(name) == name and name.encode("punycode").decode() == label[4:]


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


def _escaped(found: re.Match[str]) -> str:
    """A %XX in its normal form, or a character that must not stand as it is as the %XX of its UTF-8."""
    written = found[0]
    if len(written) == 3:
        return _ESCAPES[written]
    return "".join(f"%{byte:02X}" for byte in _without_surrogates(written).encode())


def _without_surrogates(character: str) -> str:
    return "\ufffd" if "\ud800" <= character <= "\udfff" else character


def _canonical_path(path: str, index_files: bool) -> str:
    """The path without `.` and `..` and ids of sessions, its escapes in their normal form."""
    path = _PATH.sub(_escaped, path.replace("\\", "/"))
    path = _SESSION.sub("", path) if ";" in path else path
    path = _without_dots(path) if "/." in path else path
    path = _INDEX.sub("/", path) if index_files else path
    return path or "/"


def _without_dots(path: str) -> str:
    """The path without `.` and `..` (RFC 3986, section 5.2.4)."""
    kept = list[str]()
    steps = path.split("/")[1:]
    for step in steps:
        if step == "..":
            kept = kept[:-1]
        elif step != ".":
            kept.append(step)
    is_open = steps[-1] in (".", "..")
    return "/" + "/".join([*kept, *([""] if is_open else [])])


def _canonical_query(query: str | None, form: Urls) -> str:
    """The query by the names of its parameters, without those that say nothing of the page."""
    if not query:
        return ""
    drop = tuple(form.drop)
    parts = [_QUERY.sub(_escaped, part) for part in query.split("&") if part]
    named = [(part.partition("=")[0], part) for part in parts]
    kept = [part for part in named if not says_nothing(*part, drop)]
    return "?" + "&".join(part for _, part in sorted(kept, key=lambda part: part[0])) if kept else ""


def _page_of(fragment: str | None) -> str:
    """The fragment where it names a page of its own, as `#!/board/1` does."""
    return f"#{_QUERY.sub(_escaped, fragment)}" if fragment and fragment.startswith("!") else ""


def canonical_column(urls: pa.StringArray, form: Urls = DEFAULT) -> pa.StringArray:
    """The canonical form of n addresses; null where there is none, or what is there is no address.

    Args:
        urls: shape (n,).
        form: what else is left out.
    """
    series = pl.Series("url", pl.from_arrow(urls), pl.String)
    plain = pl.col("url").str.contains(_IS_PLAIN) & ~pl.col("url").str.contains(_IS_ODD)
    if form.https:
        plain &= pl.col("url").str.starts_with("https")
    if form.index_files:
        plain &= ~pl.col("url").str.contains("(?i)" + _INDEX.pattern)
    frame = series.to_frame().with_row_index("row").with_columns(plain=plain.fill_null(False))
    rest = frame.filter(~pl.col("plain") & pl.col("url").is_not_null())
    spelled = pl.Series("url", [canonical_url(url, form) for url in rest["url"]], pl.String)
    done = frame.select("row", url=pl.when("plain").then("url"))
    done = done.update(rest.select("row", spelled), on="row", include_nulls=False)
    return _strings(done["url"])


def address_columns(canonical: pa.StringArray) -> dict[str, pa.StringArray]:
    """`url_host` and `url_domain` of n canonical addresses, shape (n,) each; null where there is none.

    The domain is the registered one: the host's public suffix and the label before it, as `snu.ac.kr`. An IP address,
    and a host that is a public suffix itself, have none.
    """
    hosts = hosts_of(canonical)
    names = hosts.unique().drop_nulls()
    domains = pl.Series([registered_domain(name) for name in names], dtype=pl.String)
    return {"url_host": _strings(hosts), "url_domain": _strings(hosts.replace_strict(names, domains, default=None))}


def hosts_of(canonical: pa.StringArray) -> pl.Series:
    """The hosts of canonical addresses."""
    return pl.Series("url", pl.from_arrow(canonical), pl.String).str.extract(_HOST)


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


def suffixes_version() -> str:
    """Which public suffix list is installed; domains depend on it."""
    from importlib import metadata

    return f"{metadata.version('publicsuffixlist')} {metadata.version('idna')}"


def _strings(series: pl.Series) -> pa.StringArray:
    return series.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
