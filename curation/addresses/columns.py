"""What is measured by and about the addresses of records: canonical form, host, domain, lists, words to robots."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.addresses.blocklists import Blocklist, list_digest, open_blocklist
from curation.addresses.hosts import check_installed, suffixes_version
from curation.addresses.robots import robots_column
from curation.addresses.urls import DEFAULT, address_columns, canonical_column
from manifests.errors import RequestError
from manifests.record import ListRecord
from manifests.schema import Measure
from manifests.store import resolve


@dataclass(frozen=True)
class AddressColumns:
    """The columns of `contracts.address_fields` that a manifest asks for."""

    asked: Measure
    lists: dict[str, Blocklist]

    @staticmethod
    def of(measure: Measure) -> "AddressColumns":
        """With the lists that the manifest names, read or mapped into memory.

        Raises:
            RequestError: a list is not there or holds nothing, or what reads addresses is not installed.
        """
        if measure.urls or measure.blocklists:
            check_installed(_asking(measure))
        return AddressColumns(measure, {name: open_blocklist(name, of) for name, of in measure.blocklists.items()})

    def measure(self, records: pa.RecordBatch) -> dict[str, pa.Array]:
        """The columns of n records, in their order."""
        columns: dict[str, Any] = {}
        if self.asked.urls or self.lists:
            urls = records.column("url")
            canonical = canonical_column(urls, self.asked.urls or DEFAULT)
            if self.asked.urls:
                columns |= {"canonical_url": canonical, **address_columns(canonical)}
            if self.lists:
                canonical = canonical if self.asked.urls in (None, DEFAULT) else canonical_column(urls, DEFAULT)
                found = [of.find(canonical) for of in self.lists.values()]
                columns["blocklists"] = pa.StructArray.from_arrays(found, names=list(self.lists))
        if self.asked.robots:
            contents, kinds, headers = (records.column(name) for name in ("content", "kind", "robots_headers"))
            columns["robots"] = robots_column(contents, kinds, headers, self.asked.robots)
        return columns


def resolved_lists(lists: Mapping[str, str | list[str]], base: str) -> dict[str, str | list[str]]:
    """The lists with absolute paths; relative ones start at `base`."""
    return {
        name: resolve(paths, base) if isinstance(paths, str) else [resolve(path, base) for path in paths]
        for name, paths in lists.items()
    }


def addresses_digest(measure: Measure) -> dict[str, str]:
    """What the columns depend on beside the manifest: the lists and the libraries.

    Raises:
        RequestError: as `AddressColumns.of`.
    """
    if not (measure.urls or measure.blocklists):
        return {}
    libraries = suffixes_version(_asking(measure))
    lists = {f"list {name}": open_blocklist(name, of).digest for name, of in measure.blocklists.items()}
    return {"libraries": libraries, **lists}


def _asking(measure: Measure) -> str:
    """The field that asks for addresses."""
    return "measure.urls" if measure.urls else "measure.blocklists"


def recorded_lists(measure: Measure) -> dict[str, ListRecord]:
    """What the record says of each list: its digest, and how its lines were understood.

    Raises:
        RequestError: as `open_blocklist`.
    """
    return {name: open_blocklist(name, of).record for name, of in measure.blocklists.items()}


def lists_gone(run: str, recorded: Mapping[str, ListRecord], measure: Measure) -> list[str]:
    """The lists that cannot be read any more, of those that the addresses of a run were looked up in.

    Raises:
        RequestError: a list holds something else than when it was looked up in; it names the list.
    """
    gone = []
    for name, of in measure.blocklists.items():
        if name not in recorded:
            continue
        try:
            digest = list_digest(name, of)
        except (OSError, RequestError):
            gone.append(name)
            continue
        if digest != recorded[name].digest:
            where = of if isinstance(of, str) else ", ".join(of)
            raise RequestError(
                f"{run} was measured with another content of measure.blocklists.{name} ({where}): what is listed was "
                "looked up then, and `onggi decide` reads nothing again; run `onggi curate`, or put the list back"
            )
    return gone
