"""How the formats are read whose records are not documents yet: TeX sources, wikitext, repositories, PDF, a crawl."""

from typing import Literal

from pydantic import Field

from manifests.schema_crawl import Crawl as Crawl
from manifests.schema_model import MIB, Model

STANDARD_FACTS: dict[str, tuple[str, ...]] = {
    "latex": (
        "title",
        "main_file",
        "n_files",
        "n_missing",
        "n_cycles",
        "n_unused",
        "n_formulas",
        "n_sections",
        "language",
        "categories",
    ),
    "mediawiki": ("title", "page_id", "revision_id", "n_formulas", "n_formulas_in", "n_templates_dropped"),
    "code": (
        "repository",
        "path",
        "programming_language",
        "file_kind",
        "license_verdict",
        "license_evidence",
        "line_chars_max",
        "alnum_frac",
    ),
    "pdf": ("title", "n_pages", "n_empty_pages"),
}
"""What a reader knows of each record beside its text: fields of `metadata`, as strings."""

NOTED_FORMATS = frozenset(STANDARD_FACTS)
"""Formats whose readers write notes into the ledger."""


class Latex(Model):
    """How TeX sources become text (`format: latex`)."""

    to: Literal["text", "latex"] = "text"
    """`text`: headings, lists and rows as in Markdown, formulas as in the source. `latex`: the source in one piece,
    from \\begin{document} on, without comments."""
    macros: Literal["keep", "expand"] = "keep"
    """Macros of the document inside formulas: kept, with their definitions at the end of the text, or replaced by
    what they stand for. In running text they are always replaced."""
    bibliography: Literal["drop", "keep"] = "drop"
    """The list of references, of thebibliography or the .bbl file; with it, citations stay as [key]."""
    tables: Literal["rows", "drop"] = "rows"
    """Tables as a line per row, its cells between ` | `, or only their captions."""
    licenses: str | None = None
    """arXiv's metadata as JSONL (id, license, categories, update_date), as arxiv-metadata-oai-snapshot.json: the
    licence of a paper does not stand in its source. A relative path starts at the manifest's folder."""


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

    repositories: Literal["folders", "path", "archives"] = "folders"
    """What is a repository. `folders`: each folder and each archive that lies directly under `path`. `path`: all of
    `path` is one. `archives`: every archive (.tar, also with .gz .bz2 .xz .zst; .tgz .zip .whl .crate .gem) at any
    depth; other files are passed over."""
    include: list[str] = Field(default_factory=list)
    """Globs of paths in a repository: only these are read. `*.py` is a name at any depth, `src/**` all below src."""
    exclude: list[str] = Field(default_factory=list)
    """Globs of paths that are not read."""
    languages: list[str] = Field(default_factory=list)
    """Programming languages to read, as GitHub names them; without it all. Case does not matter."""
    headers: Literal["keep", "drop_copyright", "drop"] = "keep"
    """What becomes of comments above the first line of code: `drop_copyright` removes those that speak of copyright
    or a licence, `drop` all. The licence is read before."""
    licenses: Literal["detect", "declared", "skip"] = "detect"
    """`detect`: by the texts of licences and notices. `declared`: where there are none, also by what the metadata of
    a package declares. `skip`: not at all (`license_verdict` is null)."""
    file_bytes: int = Field(MIB, ge=1024)
    """A larger file is dropped (`file_too_large`)."""
    data_bytes: int = Field(65_536, ge=0)
    """JSON, XML, YAML and the like are `data` when larger, in characters, else configuration."""
    archive_bytes: int = Field(4096 * MIB, ge=1024)
    """What an archive may hold once decompressed; reading ends there with a failed row (`archive_too_large`)."""
    archive_files: int = Field(1_000_000, ge=1, lt=1 << 24)
    """How many members it may have."""


class Pdf(Model):
    """How the pages of a PDF become text (`format: pdf`; `onggi[pdf]`)."""

    running_lines: Literal["drop", "keep"] = "drop"
    """What becomes of running heads and feet: lines at the edge of three pages in ten or more, page numbers aside."""
    pages_max: int = Field(5_000, ge=1)
    """How many pages of a file are read; that there are more is noted in the ledger."""


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
