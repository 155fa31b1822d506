"""Lines of lists of addresses, in the forms that are about, as domains and beginnings of URLs."""

import re
from dataclasses import dataclass

import polars as pl

from curation.addresses.hosts import canonical_host
from curation.addresses.urls import canonical_url

_DOMAIN = r"(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]*"
_PLAIN = rf"^(?:(?:0\.0\.0\.0|127\.0\.0\.1)[ \t]+|\|\||\*?\.)?({_DOMAIN})\^?$"
"""What most lines of most lists are; Polars reads these, and the others are looked at one by one."""

_HOSTS_LINE = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?|fe80::1%lo0|255\.255\.255\.255)\s+(.+)")
_COMMENT = re.compile(r"\s#.*")
_AD_RULE = re.compile(r"\|\|([^\^$|*]+)\^?(?:\$(.*))?\|?")
_WHOLE_PAGE = frozenset({"all", "doc", "document", "important", "popup"})
"""Options with which a rule of ad blockers is about pages, and not only about what they embed."""


_DNSMASQ = re.compile(r"(?:address=/(.+)/[^/]*|(?:server|local)=/(.+)/)")
"""Names without an address, or with one that is no site's; `server=/a.kr/1.2.3.4` only says whom to ask."""
_NOT_OURS = re.compile(r"@@|.*#[@?$%]*#|\|\|?\S|/.+/(?:\$.*)?|(?:server|local)=/")

_PART_OF_PAGES = re.compile(r"#[@?$%]*#[^#\s]")

KNOWN_FORMS = (
    "`example.com`, `example.com/path`, `0.0.0.0 example.com`, `||example.com^` or `address=/example.com/0.0.0.0`"
)


@dataclass(frozen=True)
class Entries:
    """What some lines list."""

    domains: pl.Series
    """Canonical hosts."""
    urls: pl.Series
    """Beginnings of canonical addresses, without scheme and `www.`."""
    n_lines: int
    """Lines that hold anything but a comment."""
    n_passed_over: int
    """Of these, lines of a known form that are about no site: exceptions, parts of pages, what pages embed."""
    strange: list[str]
    """The other lines without an entry."""


def entries_of(lines: pl.Series) -> Entries:
    """The entries of lines without the white space around them; comments, and what is no entry, give none."""
    frame = lines.alias("line").to_frame().filter(pl.col("line").str.len_bytes() > 0)
    frame = frame.with_columns(domain=pl.col("line").str.extract(_PLAIN))
    is_plain = pl.col("domain").is_not_null() & ~pl.col("domain").str.contains("xn--", literal=True)
    others = [line for line in frame.filter(~is_plain)["line"] if not is_comment(line)]
    of_lines = [(line, line_entries(line)) for line in others]
    empty = [line for line, entries in of_lines if not entries]
    strange = [line for line in empty if not is_passed_over(line)]
    found = [entry for _, entries in of_lines for entry in entries]
    plain = frame.filter(is_plain)["domain"]
    domains = pl.concat([plain, pl.Series("domain", [entry for entry in found if "/" not in entry], pl.String)])
    urls = pl.Series("url", [entry for entry in found if "/" in entry], pl.String)
    return Entries(domains, urls, len(plain) + len(others), len(empty) - len(strange), strange)


def is_comment(line: str) -> bool:
    """Whether a line says nothing: a remark, or the name of a form."""
    return line.startswith(("!", ";", "[")) or (line.startswith("#") and not _PART_OF_PAGES.match(line))


def is_passed_over(line: str) -> bool:
    """Whether a line without an entry has a known form that is about no site."""
    return _HOSTS_LINE.fullmatch(_COMMENT.sub("", line)) is not None or _NOT_OURS.match(line) is not None


def line_entries(line: str) -> list[str]:
    """The entries of a line: domains, and beginnings of URLs, which hold a `/`."""
    if line.startswith(("#", "!", ";", "[", "@@")) or "##" in line or "#@#" in line:
        return []
    line = _COMMENT.sub("", line)
    if hosts := _HOSTS_LINE.fullmatch(line):
        return [entry for name in hosts[1].split() for entry in _entry(name)]
    if names := _DNSMASQ.fullmatch(line):
        return [entry for name in (names[1] or names[2]).split("/") for entry in _entry(re.sub(r"^\*?\.", "", name))]
    if line.startswith("|"):
        rule = _AD_RULE.fullmatch(line)
        options = {option for option in (rule[2] or "").split(",") if option} if rule else {""}
        return _entry(rule[1]) if rule and options <= _WHOLE_PAGE else []
    return _entry(re.sub(r"^\*?\.", "", line))


def _entry(name: str) -> list[str]:
    """A domain or a URL in its canonical form; nothing where it is neither, or has no dot: `com` is no site."""
    scheme, colons, _ = name.partition("://")
    if colons and scheme.lower() not in ("http", "https"):
        return []
    if not colons and "@" in re.split(r"[/?#]", name, maxsplit=1)[0]:
        return []  # an e-mail address, which is not about its provider
    is_domain = not colons and not re.search(r"[/?#:@\\\s]", name)
    if is_domain:
        host = canonical_host(name)
        return [host] if host and "." in host else []
    url = canonical_url(name if colons else f"http://{name}")
    if url is None or re.search(r"\s", name):
        return []
    beginning = re.sub(r"^https?://(?:www\.)?", "", url)
    host, _, path = beginning.partition("/")
    return [f"{host}/{path.rstrip('/')}"] if "." in host or ":" in host else []
