"""Manifests: what a run is to do. Pydantic models whose docstrings become the reference page and the JSON Schema."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

MIB = 1 << 20

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
"""A name that can stand in a path, a column name and a ledger reason."""

RuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z][A-Za-z0-9_-]*)?$")]
"""A name, or RULESET.NAME as in a resolved manifest, where rulesets stand written out."""


class Model(BaseModel):
    """A part of a manifest: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Limits(Model):
    """Bounds on what one record or one piece of work may take."""

    record_bytes: int = Field(64 * MIB, ge=1024)
    """Largest record after decompression; a larger one fails as `record_too_large`."""
    shard_bytes: int = Field(64 * MIB, ge=1024)
    """Content read before a shard is written: bounds memory, and what a killed run has to do again."""


class Input(Model):
    """Where records come from, and what their fields are called there."""

    source: Name
    """Name of this source; it is part of every document's id."""
    path: str = Field(min_length=1)
    """A file, a folder or a glob; any fsspec URL. Relative paths start at the manifest's folder."""
    format: Literal["auto", "warc", "jsonl", "parquet", "text"] = "auto"
    """`auto` goes by the name: .warc(.gz), .jsonl/.ndjson(.gz, .zst), .parquet, .txt/.md and folders of them."""
    text: str | None = None
    """Column that holds plain text (JSONL, Parquet). Without `text` and `html` it is `text`."""
    html: str | None = None
    """Column that holds HTML (text or raw bytes), to be extracted; instead of `text`."""
    key: str | None = None
    """Column that names the record in its source. WARC uses WARC-Record-ID, folders the relative path."""
    url: str | None = None
    """Column of the URL (WARC: WARC-Target-URI)."""
    date: str | None = None
    """Column of the date (WARC: WARC-Date)."""
    license: str | None = None
    """Column of the licence. For one licence for all records see `set`."""
    category: str | None = None
    """Column of the category."""
    charset: str | None = None
    """Column of the charset that was declared outside the content (raw bytes in `html`)."""
    metadata: dict[Name, str] = Field(default_factory=dict)
    """Further columns to carry along as strings: {name in `metadata`: column}. WARC: a header, as `WARC-IP-Address`
    or `http:Server`."""
    set: dict[Literal["url", "date", "license", "category"], str] = Field(default_factory=dict)
    """Values that hold for every record, as {license: CC-BY-4.0}."""

    @model_validator(mode="after")
    def _one_content_column(self) -> "Input":
        if self.text and self.html:
            raise ValueError("name either `text` or `html`, not both")
        both = sorted(set_ for set_ in self.set if getattr(self, set_))
        if both:
            raise ValueError(f"{', '.join(both)}: given both as a column and in `set`")
        return self


class Extract(Model):
    """How HTML becomes text."""

    engine: Literal["onggi", "resiliparse", "trafilatura"] = "onggi"
    """`trafilatura` needs the extra `onggi[extract]`."""


class Language(Model):
    """Language identification."""

    model: str = "lid176"
    """`lid176`, which is bundled, or the path of any fastText model (GlotLID, say)."""
    max_chars: int = Field(1000, ge=50)
    """How much of a document is judged, in characters."""


class Measure(Model):
    """The measuring pass over the text: it happens once and leaves columns. What is not named is not measured."""

    extract: Extract = Extract()
    """How HTML becomes text."""
    language: Language | None = None
    """Identify the language: columns `language`, `language_score`, `hangul_frac`."""
    signals: bool = False
    """Measure all signals: the column `signals`."""


class Rule(Model):
    """One condition that a document must meet to be kept."""

    name: RuleName
    """Name under which the ledger records what it dropped."""
    keep: str = Field(min_length=1)
    """SQL predicate over the document columns; a document for which it is not true is dropped (`NAME:missing` where
    it is NULL)."""
    when: str | None = None
    """SQL predicate: the rule applies only where it is true."""


class RulesetUse(Model):
    """A shipped ruleset (`onggi recipes --rulesets`), or the path of one."""

    ruleset: str = Field(min_length=1)
    """`gopher`, `c4`, `fineweb`, `fineweb2-ko`, or the path of a YAML file of the same form."""
    when: str | None = None
    """SQL predicate: the ruleset applies only where it is true."""


class Dedup(Model):
    """What is compared with what."""

    exact: bool = False
    """Keep one of the documents whose normalised texts are equal."""


class Output(Model):
    """Where the results go."""

    path: str = Field(min_length=1)
    """Folder of the run; any fsspec URL. Relative paths start at the manifest's folder."""
    shard_bytes: int = Field(256 * MIB, ge=1024)
    """Text per file of `documents`, about. Files are cut by ranges of the id: the same value gives the same files."""


def _short_output(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class CorpusManifest(Model):
    """Raw records in; a curated corpus, a ledger and a report out (`onggi curate`)."""

    kind: Literal["corpus"]
    """What this manifest declares."""
    name: Name
    """Name of the corpus."""
    inputs: list[Input] = Field(min_length=1)
    """Where records come from."""
    measure: Measure = Measure()
    """The measuring pass."""
    rules: list[Rule | RulesetUse] = Field(default_factory=list)
    """Conditions in order; the first that fails is the document's reason, all that fail are recorded."""
    dedup: Dedup = Dedup()
    """What is compared with what."""
    store: Literal["all", "columns"] = "all"
    """`all` keeps the text of every measured record, so that any later decision can restore it; `columns` keeps
    that of the kept documents only."""
    limits: Limits = Limits()
    """Bounds on memory."""
    output: Annotated[Output, BeforeValidator(_short_output, json_schema_input_type=str | Output)]
    """Folder of the run, or {path, shard_bytes}."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> "CorpusManifest":
        names = [rule.name for rule in self.rules if isinstance(rule, Rule)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules: names used twice: {', '.join(twice)}")
        return self

    @property
    def metadata_names(self) -> list[str]:
        """The fields of the `metadata` struct: all that any input names, sorted."""
        return sorted({name for item in self.inputs for name in item.metadata})
