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

    namespaces: list[int] = Field(default=[0], min_length=1)
    """Numbers of the namespaces whose pages are documents: 0 articles, 4 the project's own pages, 12 help."""
    formulas: Literal["latex", "tags"] = "latex"
    """`latex`: `$..$`, and `$$..$$` where a formula stands alone; `tags`: `<math>..</math>`. Verbatim in both."""
    tables: Literal["drop", "text", "markdown"] = "text"
    """`text`: a line for each row, its cells between bars; `markdown`: tables of Markdown."""
    infoboxes: Literal["drop", "text"] = "drop"
    """`text`: lines of `name: value`."""
    captions: Literal["keep", "drop"] = "keep"
    """Captions of images and galleries."""
    drop_sections: list[str] | None = None
    """Titles of sections that are left out, with what is below them; left out, those of references, notes, links and
    further reading in Korean and English; `[]` keeps all."""
    keep_templates: dict[str, int | str] = Field(default_factory=dict)
    """Further templates that hold text: {name: argument}, the argument by number or name, `last`, or `all`."""
    disambiguation: Literal["drop", "keep"] = "drop"
    """Pages that only tell apart what bears one name."""


class Code(Model):
    """What of a repository is read (`format: code`)."""


class Pdf(Model):
    """How the pages of a PDF become text (`format: pdf`)."""


class Crawl(Model):
    """Which records of Common Crawl are fetched."""

    id: str = Field(pattern=r"^CC-MAIN-\d{4}-\d{2}$")
    """The crawl, as `CC-MAIN-2025-05`."""
