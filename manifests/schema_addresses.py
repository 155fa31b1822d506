"""What a manifest says of addresses: their one spelling, what pages answer to robots, one document per address."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from manifests.schema_model import Model

AI_AGENTS = (
    "ccbot",
    "gptbot",
    "google-extended",
    "googlebot",
    "applebot-extended",
    "claudebot",
    "anthropic-ai",
    "meta-externalagent",
    "bytespider",
    "amazonbot",
    "perplexitybot",
    "cohere-ai",
    "yeti",  # Naver
    "daum",  # Kakao
)
"""Robots that gather pages for models or for search, in lower case."""

Agent = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$", to_lower=True)]
"""The name of a robot as pages write it, in either case."""

Parameter = Annotated[str, StringConstraints(pattern=r"^[^&=*\s]+\*?$")]
"""The name of a parameter of a query; `NAME*`: all that begin so."""


ListPath = Annotated[str, StringConstraints(min_length=1)]
ListPaths = ListPath | Annotated[list[ListPath], Field(min_length=1)]
"""A file or a folder of a list of addresses, or several; any fsspec URL."""


class Urls(Model):
    """Addresses in one canonical spelling: columns `canonical_url`, `url_host` and `url_domain` (`onggi[urls]`)."""

    index_files: bool = False
    """Take `index.html` and the like off the end of a path."""
    https: bool = False
    """Write http as https, as most sites answer to both with the same page."""
    drop: list[Parameter] = Field(default_factory=list)
    """Further parameters of queries that say nothing of the page, as `ref` or `src_*`; those for tracking and those
    that name sessions go anyway."""


class Robots(Model):
    """What pages, and the servers that sent them, say that robots must not do: the column `robots`."""

    agents: tuple[Agent, ...] = AI_AGENTS
    """Robots whose rules count besides those for all of them."""


class UrlDedup(Model):
    """One document per canonical URL (`onggi[urls]`)."""

    keep: Literal["newest", "first", "longest"] = "newest"
    """Which of those that pass the rules survives; ties go by the id, and one without a date is the oldest."""


def switched(value: Any) -> Any:
    """What `true` and `false` stand for: the defaults, and nothing."""
    return ({} if value else None) if isinstance(value, bool) else value
