"""How the formats are read whose records are not documents yet: TeX sources, wikitext, repositories, PDF, a crawl."""

from typing import Literal

from pydantic import Field

from manifests.schema_model import Model

STANDARD_FACTS: dict[str, tuple[str, ...]] = {
    "latex": ("title", "main_file", "n_files", "n_missing", "n_cycles", "n_formulas", "n_sections"),
    "mediawiki": ("title", "page_id", "revision_id", "n_formulas", "n_formulas_in", "n_templates_dropped"),
    "code": (
        "repository",
        "path",
        "programming_language",
        "file_kind",
        "license_verdict",
        "license_evidence",
    ),
    "pdf": ("title", "n_pages", "n_empty_pages"),
}
"""What a reader knows of each record beside its text: fields of `metadata`, as strings."""

NOTED_FORMATS = frozenset(STANDARD_FACTS)
"""Formats whose readers write notes into the ledger."""


class Latex(Model):
    """How TeX sources become text (`format: latex`)."""


class Mediawiki(Model):
    """How wikitext becomes text (`format: mediawiki`)."""


class Code(Model):
    """What of a repository is read (`format: code`)."""


class Pdf(Model):
    """How the pages of a PDF become text (`format: pdf`; `onggi[pdf]`)."""

    running_lines: Literal["drop", "keep"] = "drop"
    """What becomes of lines at the top or bottom of more than half of the pages, numbers aside."""
    pages_max: int = Field(5_000, ge=1)
    """How many pages of a file are read; that there are more is noted in the ledger."""


class Crawl(Model):
    """Which records of Common Crawl are fetched."""

    id: str = Field(pattern=r"^CC-MAIN-\d{4}-\d{2}$")
    """The crawl, as `CC-MAIN-2025-05`."""


class Each(Model):
    """A part of a template for every element of a list."""

    each: str = Field(min_length=1)
    """Path of the list, as `conversations`."""
    parts: list["str | Each"] = Field(min_length=1)
    """What is written of an element; paths begin at it, and `{.}` is the element itself."""
    separator: str = "\n\n"
    """What stands between elements."""
    within: str | None = None
    """What stands between the parts of an element; without it a line end."""
    only: dict[str, list[str]] = Field(default_factory=dict)
    """Leave out elements but those whose field has one of these values, as {role: [user, assistant]}."""


class Template(Model):
    """The text of a record from several of its fields; `{question}` stands for a field, `{{` for a brace."""

    parts: list[str | Each] = Field(min_length=1)
    """Texts with fields by their paths, as `{title}` or `{answers[0].text}`, and lists that are gone through."""
    separator: str = "\n"
    """What stands between parts."""
    missing: Literal["fail", "skip"] = "fail"
    """What a part does of which a field is absent, null or blank: the record fails as `missing_field`, or the part is
    left out."""
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    """What is written for the values of a field, by its path as the template has it, as
    {from: {human: 사용자, gpt: 도우미}}; other values stay."""
    html: list[str] = Field(default_factory=list)
    """Fields that hold HTML, of which the text is taken."""


def template_alone(value: object) -> object:
    """A template that is written as its one text, or as its parts, for the mapping."""
    return {"parts": [value]} if isinstance(value, str) else {"parts": value} if isinstance(value, list) else value
