"""Which rows of a table a request means; addresses are compared as digests, so that tombstones can be asked too."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from curation.removal.addresses import HOST_PATTERN, canonical_host, canonical_url, host_of, parent_domains
from curation.removal.entries import Request, digest_of

FOUND = {"id": pl.String, "url": pl.String, "entry": pl.String}
"""A document and the digest of the entry that means it, once for each such entry."""


@dataclass(frozen=True)
class Matcher:
    """What is looked for: ids, and digests of addresses and domains (`entries.digest_of`)."""

    ids: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    url_hosts: frozenset[str] = field(default=frozenset())
    """Of the addresses their hosts, as domains: where no host is among them, addresses need not be spelled out."""

    @staticmethod
    def of(request: Request) -> "Matcher":
        """The matcher of a request."""
        hosts = (host_of(entry.written) for entry in request.of("urls"))
        return Matcher(
            frozenset(entry.name for entry in request.of("ids")),
            frozenset(entry.digest for entry in request.of("urls")),
            frozenset(entry.digest for entry in request.of("domains")),
            frozenset(digest_of("domains", host) for host in hosts if host),
        )

    @cached_property
    def asks_addresses(self) -> bool:
        """Whether anything but ids is looked for."""
        return bool(self.urls or self.domains)

    def find(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are meant, as FOUND.

        `rows` has `id` (32 hexadecimal digits) and `url`; null where there is none.
        """
        by_id = rows.filter(pl.col("id").is_in(list(self.ids))).unique("id")
        found = [by_id.select("id", "url", entry=_id_digests(by_id["id"]))]
        if self.asks_addresses:
            with_url = rows.filter(pl.col("url").is_not_null())
            hosts = with_url["url"].str.extract(HOST_PATTERN).alias("host")
            found += [self._of_hosts(with_url.with_columns(hosts).filter(pl.col("host").is_not_null()))]
        return pl.concat(found).cast(FOUND).unique(["id", "entry"], maintain_order=True)  # type: ignore[arg-type]

    def _of_hosts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Each host is looked at once, and the addresses of those hosts only that an address is looked for of."""
        hits, wanted = list[tuple[str, str]](), list[str]()
        for host in rows["host"].unique():
            digests = host_digests(host)
            hits += [(host, digest) for digest in digests if digest in self.domains]
            if not self.url_hosts.isdisjoint(digests[:1]):
                wanted.append(host)
        by_domain = rows.join(_pairs("host", hits), on="host").select("id", "url", "entry")
        urls = rows.filter(pl.col("host").is_in(wanted)).select("id", "url")
        by_address = {url: digest for url in urls["url"].unique() if (digest := url_digest(url)) in self.urls}
        by_url = urls.join(_pairs("url", by_address.items()), on="url").select("id", "url", "entry")
        return pl.concat([by_domain, by_url])


def _pairs(name: str, pairs: Iterable[tuple[str, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(list(pairs), schema={name: pl.String, "entry": pl.String}, orient="row")


def _id_digests(ids: pl.Series) -> pl.Series:
    return pl.Series("entry", [digest_of("ids", name) for name in ids], pl.String)


def url_digest(url: str | None) -> str | None:
    """The digest of an address; None where it is none."""
    name = canonical_url(url) if url else None
    return digest_of("urls", name) if name else None


def host_digests(host: str | None) -> list[str]:
    """The digests of a host and the domains above it, the host first; none where it is no host."""
    name = canonical_host(host) if host else None
    return [digest_of("domains", domain) for domain in parent_domains(name)] if name else []


def address() -> pl.Expr:
    """The address of a record: its `url`, or where it has none a `key` that is one."""
    is_url = pl.col("key").str.contains(r"(?i)^\s*https?://")
    return pl.coalesce("url", pl.when(is_url).then("key")).alias("url")
