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
