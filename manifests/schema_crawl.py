"""Which records of Common Crawl are fetched, and how."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from manifests.schema_model import MIB, Model, percent


class Fetch(Model):
    """How a host is asked. Nothing of it changes what comes of a run, so a run goes on with other settings."""

    contact: str | None = Field(None, min_length=3)
    """Who asks: an address or a page, which stands in the User-Agent. Common Crawl's own host wants one."""
    requests_per_second: float = Field(10.0, gt=0, le=1000)
    """At most so many over all threads, and over all processes of a user on a machine."""
    connections: int = Field(8, ge=1, le=256)
    """At most so many at a time, of each process."""
    retries: int = Field(6, ge=0, le=100)
    """After a failure that may pass: what asks for patience (429, 503, Retry-After), a connection that broke."""
    timeout_s: float = Field(60.0, gt=0)
    """For the whole of an answer."""
    gap_bytes: int = Field(1024, ge=0)
    """Records of a file that lie no further apart are fetched by one request, and what lies between them with it."""
    ahead_bytes: int = Field(32 * MIB, ge=1)
    """What may be fetched ahead while records are measured."""


Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+(\.[a-z0-9_-]+)*$")]
"""A name of the DNS, as the index writes it: lower case, Punycode."""


class Crawl(Model):
    """Which records of Common Crawl are fetched; `tlds`, `domains` and `hosts` add up."""

    id: str = Field(pattern=r"^CC-MAIN-\d{4}-\d{2}$")
    """The crawl, as `CC-MAIN-2025-05`."""
    match: Literal["primary", "any"] = "primary"
    """Whether a page's first language must be among `languages`, or any of the up to three that were found in it."""
    tlds: list[Label] = Field(default_factory=list)
    """Pages of hosts that end so, as `kr`."""
    domains: list[Label] = Field(default_factory=list)
    """Pages of registered domains, as `example.co.kr`."""
    hosts: list[Label] = Field(default_factory=list)
    """Pages of hosts, as `www.example.com`."""
    mimes: list[str] = Field(default=["text/html", "application/xhtml+xml"])
    """Types of content as Common Crawl detected them; an empty list takes all."""
    status: int = 200
    """HTTP status."""
    sample: Annotated[float, Field(gt=0, le=1), BeforeValidator(percent, json_schema_input_type=float | str)] = 1.0
    """The share of the chosen records that is taken, as `1%`: by a hash of their place, the same in every run."""
    row_groups: int | None = Field(None, ge=1)
    """Look into so many row groups of the index only (of those that may hold chosen records), by a hash of their
    place: for a trial, since every row group that is looked into costs some MB of the index."""
    max_records: int | None = Field(None, ge=1)
    """At most so many records: every row group that is looked into gives an equal part, or what it has."""
    fetch: Fetch = Fetch()
    """How the host is asked."""
