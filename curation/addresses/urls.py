"""Addresses in one canonical spelling, so that pages can be compared by where they are.

Two spellings that RFC 3986 (section 6.2) or the URL Standard (url.spec.whatwg.org) hold for equal come out the same,
and so do those that differ in what says nothing of the page: the fragment, user and password, the order of a query's
parameters, and those by which visits are tracked. What may name another page stays: `www.` and `m.`, letter case and
empty steps of a path, values in their order, http beside https, the last `/`.
"""

import re

import polars as pl
import pyarrow as pa

from curation.addresses.hosts import canonical_host, registered_domain
from curation.addresses.parameters import says_nothing
from manifests.schema_addresses import Urls

MAX_CHARS = 32_768
"""A longer address is none: no server takes one, and traps for crawlers make them."""
_PORTS = {"http": 80, "https": 443}

DEFAULT = Urls()
"""The canonical form where a manifest says nothing of it."""

_SPLIT = re.compile(r"(https?):[/\\]*([^/\\?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]*))?")
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

# What is canonical already, so that most of a column is only searched by Polars.
_IS_PLAIN = r"^https?://(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*/[A-Za-z0-9\-._~!$&'()*+,=:@/]*$"
_PLAIN_CHARS, _PLAIN_HOST_CHARS = 2000, 63
_HOST = r"^https?://(\[[^\]]*\]|[^/:]+)"


def canonical_url(url: str, form: Urls = DEFAULT) -> str | None:
    """The address of a web page in its one spelling; None where it is no http or https address.

    What is canonical is its own canonical form, and the URL Standard's serialization of it is the same.
    """
    text = url.strip(_SPACES)
    if len(text) > MAX_CHARS or not (found := _SPLIT.fullmatch(re.sub(r"[\t\n\r]", "", text))):
        return None
    scheme, authority, path, query, fragment = found.groups()
    scheme = scheme.lower()
    place = _canonical_place(authority, _PORTS[scheme])
    if place is None:
        return None
    if form.https and ":" not in place.rpartition("]")[2]:
        scheme = "https"
    rest = _canonical_path(path, form.index_files) + _canonical_query(query, form)
    return f"{scheme}://{place}{rest}{_page_of(fragment)}"


def _canonical_place(authority: str, own_port: int) -> str | None:
    """Host and port, the latter where it is not the scheme's own; None where either is none."""
    found = _AUTHORITY.fullmatch(authority.rpartition("@")[2])
    host = canonical_host(found[1]) if found else None
    if found is None or host is None:
        return None
    digits = (found[2] or str(own_port)).lstrip("0") or "0"
    port = int(digits[:6])
    return None if port > 0xFFFF else host if port == own_port else f"{host}:{port}"


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
    url = pl.col("url")
    plain = url.str.contains(_IS_PLAIN) & (url.str.len_bytes() <= _PLAIN_CHARS)
    plain &= url.str.extract(_HOST).str.len_bytes() <= _PLAIN_HOST_CHARS
    plain &= ~url.str.contains_any(["/.", "xn--"])
    if form.https:
        plain &= url.str.starts_with("https")
    if form.index_files:
        plain &= ~url.str.contains("(?i)" + _INDEX.pattern)
    frame = series.to_frame().with_row_index("row").with_columns(plain=plain.fill_null(False))
    rest = frame.filter(~pl.col("plain") & url.is_not_null())
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


def _strings(series: pl.Series) -> pa.StringArray:
    return series.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
