"""Manifests: what a run is to do. Pydantic models whose docstrings become the reference page and the JSON Schema."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from manifests.schema_addresses import ListPaths, Robots, UrlDedup, Urls, switched
from manifests.schema_model import MIB as MIB
from manifests.schema_model import Model as Model
from manifests.schema_model import Name as Name
from manifests.schema_model import one_field, percent
from manifests.schema_readers import (
    NOTED_FORMATS,
    STANDARD_FACTS,
    Code,
    Crawl,
    Each,
    Latex,
    Mediawiki,
    Pdf,
    Template,
    template_alone,
)

RuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z][A-Za-z0-9_-]*)?$")]
"""A name, or RULESET.NAME as in a resolved manifest, where rulesets stand written out."""


ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
"""A name with which that of a column begins."""


class Limits(Model):
    """Bounds on what one record or one piece of work may take."""

    record_bytes: int = Field(64 * MIB, ge=1024)
    """Largest record after decompression; a larger one fails as `record_too_large`."""
    shard_bytes: int = Field(64 * MIB, ge=1024)
    """Content read before a shard is written: bounds memory, and what a killed run has to do again."""


Scalar = bool | int | float | str | None
Argument = Scalar | list[Scalar] | dict[str, Scalar]
"""What can be given to a class of datatrove."""


class DatatroveReader(Model):
    """A reader of datatrove (`onggi[datatrove]`), file by file."""

    reader: str = Field(min_length=1)
    """A class that reads files, as `datatrove.pipeline.readers.CSVReader`."""
    args: dict[str, Argument] = Field(default_factory=dict)
    """Its arguments but for the folder, as {text_key: body, id_key: name}."""


class DatatroveStep(Model):
    """A filter or a formatter of datatrove (`onggi[datatrove]`) in the measuring pass."""

    name: Name
    """What a filter's verdict is called: `datatrove.NAME` in a predicate."""
    step: str = Field(min_length=1)
    """The class, as `datatrove.pipeline.filters.C4BadWordsFilter`."""
    args: dict[str, Argument] = Field(default_factory=dict)
    """Its arguments."""


class Input(Model):
    """Where records come from, and what their fields are called there."""

    source: Name
    """Name of this source; it is part of every document's id."""
    path: str = ""
    """A file, a folder or a glob; any fsspec URL. Relative paths start at the manifest's folder. Of a `crawl`, where
    it lies; without it, where Common Crawl publishes it."""
    format: Literal["auto", "warc", "jsonl", "parquet", "text", "latex", "mediawiki", "code", "pdf"] = "auto"
    """`auto` goes by the name: .warc(.gz), .jsonl/.ndjson(.gz, .zst), .parquet, .txt/.md and folders of them.
    `latex`: source archives as arXiv ships them. `mediawiki`: XML dumps. `code`: repositories, archives of them."""
    latex: Latex = Latex()
    """How TeX sources are read."""
    mediawiki: Mediawiki = Mediawiki()
    """How a dump is read."""
    code: Code = Code()
    """How repositories are read."""
    pdf: Pdf = Pdf()
    """How PDF files are read."""
    crawl: Annotated[Crawl, BeforeValidator(one_field("id"), json_schema_input_type=str | Crawl)] | None = None
    """Read records of this crawl of Common Crawl, as `CC-MAIN-2025-05`, by its columnar index."""
    languages: list[Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]] = Field(default_factory=list)
    """Of a `crawl`: the languages of the pages, as its index writes them (ISO 639-3: kor, eng)."""
    text: str | None = None
    """Column that holds plain text (JSONL, Parquet). Without `text` and `html` it is `text`."""
    html: str | None = None
    """Column that holds HTML (text or raw bytes), to be extracted; instead of `text`."""
    template: (
        Annotated[Template, BeforeValidator(template_alone, json_schema_input_type=str | list[str | Each] | Template)]
        | None
    ) = None
    """Instead of `text` and `html` (JSONL, Parquet): the text is made of several fields, as
    `"질문: {question}\\n답변: {answers[0].text}"`."""
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
    or `http:Server`. Formats whose readers know more of a record than its text (`latex`, `mediawiki`, `code`, `pdf`)
    name these facts; left out, it is all of them."""
    set: dict[Literal["url", "date", "license", "category"], str] = Field(default_factory=dict)
    """Values that hold for every record, as {license: CC-BY-4.0}."""
    datatrove: DatatroveReader | None = None
    """Read each file through this reader. `url`, `date`, `license`, `category` and `metadata` name keys of its
    documents' metadata; a document's id is its key."""

    @model_validator(mode="before")
    @classmethod
    def _facts_of_the_format(cls, data: Any) -> Any:
        """`metadata` left out means all facts that the format's reader knows."""
        facts = STANDARD_FACTS.get(data.get("format", "")) if isinstance(data, dict) else None
        return {"metadata": {name: name for name in facts}} | data if facts else data

    @model_validator(mode="after")
    def _known_facts(self) -> "Input":
        facts = STANDARD_FACTS.get(self.format)
        unknown = sorted(set(self.metadata.values()) - set(facts)) if facts else []
        if unknown:
            raise ValueError(
                f"metadata: {', '.join(unknown)}: the format {self.format} has no such facts; "
                f"it has: {', '.join(facts or ())}"
            )
        return self

    @model_validator(mode="after")
    def _settings_of_the_format(self) -> "Input":
        for name, default in (("latex", Latex()), ("mediawiki", Mediawiki()), ("code", Code()), ("pdf", Pdf())):
            if getattr(self, name) != default and self.format != name:
                raise ValueError(f"{name} goes with `format: {name}`; the format is {self.format}")
        return self

    @model_validator(mode="after")
    def _path_or_crawl(self) -> "Input":
        if not self.path and not self.crawl:
            raise ValueError("path: name a file, a folder or a glob (or `crawl: CC-MAIN-...`)")
        other = [name for name in ("text", "html", "charset", "datatrove") if getattr(self, name)]
        if self.crawl and (other or self.format != "auto"):
            raise ValueError(
                f"{', '.join(other) or 'format'} does not go with `crawl`, whose records are WARC records"
            )
        if self.languages and not self.crawl:
            raise ValueError("languages goes with `crawl`; of other inputs a rule over `language` decides")
        return self

    @model_validator(mode="after")
    def _one_content_column(self) -> "Input":
        if len([given for given in (self.text, self.html, self.template) if given]) > 1:
            raise ValueError("name one of `text`, `html` and `template`")
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


PiiKind = Literal[
    "email", "ip", "phone", "rrn", "frn", "card", "passport", "account", "driver_license", "crn", "brn", "secret"
]
"""Kinds of personal data. `rrn` and `frn`: resident and foreigner registration numbers; `crn` and `brn`: registration
numbers of legal persons and of businesses; `secret`: keys, tokens and passwords, as they stand in code."""

ALL_PII_KINDS: tuple[PiiKind, ...] = get_args(PiiKind)


class Pii(Model):
    """Where personal data stands in the texts."""

    kinds: list[PiiKind] = Field(min_length=1)
    """What to look for."""


class Score(Model):
    """A classifier that scores the texts: the columns `NAME_score` and `NAME_int_score`."""

    name: ColumnName
    """What its columns are called."""
    model: str = Field(min_length=1)
    """A classifier that comes with Onggi, by name; the folder of one, or a fastText file. A relative path starts at
    the manifest's folder."""
    label: str | None = None
    """Of a plain fastText file: the label whose probability is the score."""
    after: Literal["measure", "rules"] = "measure"
    """`measure` scores every text in the measuring pass; `rules` only what passes all rules that do not ask for this
    score, or for one that is listed after it: for models that cost much."""

    @property
    def columns(self) -> tuple[str, str]:
        """Names of its columns: the score, and the whole number."""
        return f"{self.name}_score", f"{self.name}_int_score"


class Measure(Model):
    """The measuring pass over the text: it happens once and leaves columns. What is not named is not measured."""

    extract: Extract = Extract()
    """How HTML becomes text."""
    language: Language | None = None
    """Identify the language: columns `language`, `language_score`, `hangul_frac`."""
    signals: bool = False
    """Measure all signals: the column `signals`."""
    pii: Pii | None = None
    """Find personal data: the columns `pii` and `pii_count`. Nothing is masked; see `redact`."""
    urls: Annotated[Urls | None, BeforeValidator(switched, json_schema_input_type=bool | Urls | None)] = None
    """Bring addresses into one spelling: the columns `canonical_url`, `url_host` and `url_domain`; `urls: true` takes
    the defaults."""
    blocklists: dict[ColumnName, ListPaths] = Field(default_factory=dict)
    """Lists of domains and URLs to look addresses up in, as {NAME: path of a file or a folder, or several}: the
    column of text `blocklists.NAME`, the entry that an address is listed under, or null. Relative paths start at the
    manifest's folder. A rule decides: `blocklists.NAME IS NULL` (`onggi[urls]`)."""
    robots: Annotated[Robots | None, BeforeValidator(switched, json_schema_input_type=bool | Robots | None)] = None
    """Note what pages and servers say that robots must not do: the column `robots`, as `robots.noai`."""
    scores: list[Score] = Field(default_factory=list)
    """Classifiers, in the order in which those with `after: rules` are asked: the cheaper ones first."""
    datatrove: list[DatatroveStep] = Field(default_factory=list)
    """Formatters change the text, in their order, before it is normalised. A filter judges the normalised text and
    leaves a column of text, `datatrove.NAME`: `kept`, or its reason. A rule decides: `datatrove.NAME = 'kept'`."""

    @model_validator(mode="after")
    def _columns_are_unique(self) -> "Measure":
        taken = {"language_score": "measure.language"}
        for score in self.scores:
            for column in score.columns:
                if column in taken:
                    raise ValueError(f"scores: {score.name}: the column {column} is that of {taken[column]} already")
                taken[column] = f"the score {score.name}"
        return self

    @property
    def scored_in_pass(self) -> list[Score]:
        """The scores of the measuring pass."""
        return [score for score in self.scores if score.after == "measure"]

    @property
    def scored_after_rules(self) -> list[Score]:
        """The scores of what the rules let through."""
        return [score for score in self.scores if score.after == "rules"]

    @property
    def in_pass(self) -> "Measure":
        """What the measuring pass does: these settings without what comes after the rules."""
        return self.model_copy(update={"scores": self.scored_in_pass})


Share = Annotated[float, Field(gt=0, le=1)]
PercentText = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?%$")]


class Top(Model):
    """The best of what the rules before let through, by a score."""

    score: str = Field(min_length=1)
    """A numeric column of the documents, as `edu_score`; a document without a value is dropped as `NAME:missing`."""
    frac: Annotated[Share, BeforeValidator(percent, json_schema_input_type=Share | PercentText)]
    """How much of it is kept: `10%` or 0.1. It is a share of the documents of the whole corpus that pass all rules
    before, for which `when` is true and which have a score, duplicates among them; ties are kept."""


class Rule(Model):
    """One condition that a document must meet to be kept."""

    name: RuleName
    """Name under which the ledger records what it dropped."""
    keep: str | None = Field(None, min_length=1)
    """SQL predicate over the document columns; a document for which it is not true is dropped (`NAME:missing` where
    it is NULL)."""
    top: Top | None = None
    """Instead of `keep`: the best share of what the rules before let through, as {score: edu_score, frac: 10%}."""
    when: str | None = None
    """SQL predicate: the rule applies only where it is true."""

    @model_validator(mode="after")
    def _one_condition(self) -> "Rule":
        if (self.keep is None) == (self.top is None):
            raise ValueError("a rule has either `keep`, a predicate, or `top`, a share")
        return self


class RulesetUse(Model):
    """A shipped ruleset (`onggi recipes --rulesets`), or the path of one."""

    ruleset: str = Field(min_length=1)
    """`gopher`, `c4`, `fineweb`, `fineweb2-ko`, `code`, or the path of a YAML file of the same form."""
    when: str | None = None
    """SQL predicate: the ruleset applies only where it is true."""


ShingleUnit = Annotated[str, StringConstraints(pattern=r"^(char|word)-[1-9][0-9]?$")]
"""n-grams of characters (without white space and punctuation) or of words, as `char-5` or `word-5`."""


class Shingle(Model):
    """What two texts are compared by, per kind of script; a text in several scripts is cut where they change."""

    ko: ShingleUnit = "char-5"
    """For Hangul, and for other scripts without spaces or with inflected words (Chinese, Japanese, Thai)."""
    en: ShingleUnit = "word-5"
    """For all other scripts."""


class BestScore(Model):
    """The member with the highest value of a column."""

    score: str = Field(min_length=1)
    """A numeric column of the documents, as `signals.word_count` or `edu_score`; a null loses."""


class SourcePriority(Model):
    """The member from the source that comes first."""

    sources: list[Name] = Field(min_length=1)
    """Sources, the most trusted first; those that are not named come last."""


Keep = Literal["first", "longest", "newest"] | BestScore | SourcePriority


class NearDedup(Model):
    """Near-duplicates by MinHash: candidates share a band of their signatures, and are compared exactly."""

    jaccard: float = Field(0.8, ge=0.3, le=1.0)
    """Similarity of the sets of shingles from which on two texts are near-duplicates."""
    bands: int | Literal["auto"] = 14
    """Bands of a signature; `auto`: datasketch's optimum for `jaccard` and `permutations`."""
    rows: int = Field(8, ge=1, le=64)
    """Minima per band. A pair of similarity s is a candidate with probability 1 - (1 - s^rows)^bands."""
    permutations: int = Field(112, ge=8, le=1024)
    """How many minima `bands: auto` may use."""
    shingle: Shingle = Shingle()
    """What texts are compared by."""
    verify: bool = True
    """Compare candidates exactly. Without, sharing one band makes two texts near-duplicates."""
    keep: Keep = "longest"
    """Which member of a cluster survives, of those that pass the rules; ties go by the id."""

    @model_validator(mode="after")
    def _bands_fit(self) -> "NearDedup":
        if self.bands != "auto" and not 1 <= self.bands <= 256:
            raise ValueError(f"bands is {self.bands}; it must be `auto` or from 1 to 256")
        return self


class SemanticDedup(Model):
    """Documents of like meaning (`onggi[semantic]`): pairs of embeddings whose cosine is high enough, within clusters
    by k-means."""

    model: str = Field(min_length=1)
    """Folder of a sentence encoder as sentence-transformers or transformers write it, with safetensors. A relative
    path starts at the manifest's folder."""
    cosine: float = Field(0.95, ge=0.3, lt=1)
    """Cosine from which on two texts mean the same; what it should be depends on the model."""
    max_tokens: int = Field(512, ge=8)
    """How much of a text is embedded, from its beginning; never more than the model takes."""
    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    """How tokens become one vector; `auto`: as `1_Pooling/config.json` of the model says, else `mean`."""
    prefix: str = ""
    """What the model wants before each text, as `query: ` for E5."""
    batch_tokens: int = Field(16_384, ge=1)
    """Tokens that the model sees at once."""
    clusters: int | Literal["auto"] = "auto"
    """Clusters within which pairs are compared; `auto`: about 10,000 texts in each."""
    n_probe: int = Field(4, ge=1)
    """In how many of the nearest clusters a text is compared: more find more of the pairs that borders cut."""
    keep: Keep | None = None
    """Which member of a group survives, as in `near`, whose policy holds where both are named; else `longest`."""

    @model_validator(mode="after")
    def _clusters_fit(self) -> "SemanticDedup":
        if self.clusters != "auto" and self.clusters < 1:
            raise ValueError(f"clusters is {self.clusters}; it must be `auto` or at least 1")
        return self


class LineColours(Model):
    """Where the colours of lines begin, by how often a line occurs in the corpus."""

    red_over: int = Field(ge=1)
    """A line that occurs more often is red."""
    green_max: int = Field(ge=1)
    """A line that occurs at most so often is green; between the two it is yellow."""

    @model_validator(mode="after")
    def _in_order(self) -> "LineColours":
        if self.green_max > self.red_over:
            raise ValueError(f"green_max is {self.green_max}; it must be at most red_over, {self.red_over}")
        return self


class RepeatedLines(Model):
    """Lines or paragraphs that occur all over the corpus. The defaults are those of PLD (arXiv 2510.24139)."""

    unit: Literal["line", "paragraph"] = "line"
    """What is counted: lines, or runs of lines that are not blank."""
    keep: Literal["patterns", "not_red"] = "patterns"
    """`patterns` keeps runs of two or more green lines, and yellow ones between such; `not_red` keeps all but red."""
    ko: LineColours = LineColours(red_over=50, green_max=3)
    """Of documents in Korean."""
    other: LineColours = LineColours(red_over=1000, green_max=1)
    """Of documents in other languages, or of which the language was not measured."""
    action: Literal["remove", "drop"] = "remove"
    """`remove` takes the lines out; `drop` leaves texts alone and drops those that would lose too much."""


class RepeatedSpans(Model):
    """Stretches of text that stand in another place too, word for word; the first occurrence stays."""

    min_chars: int = Field(200, ge=20, le=10_000)
    """The shortest stretch that counts, in characters."""
    boundary: Literal["sentence", "character"] = "sentence"
    """`sentence` removes the whole sentences and lines of a stretch, `character` all of it. Where no sentence is
    whole both cut between characters as readers see them."""
    action: Literal["remove", "drop"] = "remove"
    """`remove` takes the stretches out; `drop` leaves texts alone and drops those that would lose too much."""


class Dedup(Model):
    """What is compared with what."""

    exact: bool = False
    """Keep one of the documents whose normalised texts are equal."""
    url: Annotated[UrlDedup | None, BeforeValidator(switched, json_schema_input_type=bool | UrlDedup | None)] = None
    """Keep one of the documents that have one canonical URL, before any texts are compared; `url: true` keeps the
    newest. What is canonical, `measure.urls` says."""
    near: NearDedup | None = None
    """Keep one of the documents that are nearly the same, or equal; `near: {}` takes the defaults."""
    semantic: SemanticDedup | None = None
    """Keep one of the documents that mean the same, or are nearly the same or equal."""
    against: list[str] = Field(default_factory=list)
    """Folders of earlier runs: documents that those kept are dropped here. Equal texts, and with `near` similar ones
    too (by their signatures: the earlier texts are not read)."""
    lines: RepeatedLines | None = None
    """Remove lines or paragraphs that occur all over the corpus; `lines: {}` takes the defaults."""
    spans: RepeatedSpans | None = None
    """Remove stretches of text that stand in another place too; `spans: {}` takes the defaults."""
    max_removed_frac: float = Field(1.0, gt=0, le=1)
    """A document is dropped (`repeated_text`) if `lines` and `spans` would take a larger share of its characters, or
    all of it but white space."""

    @model_validator(mode="after")
    def _one_policy(self) -> "Dedup":
        if self.near and self.semantic and self.semantic.keep is not None:
            raise ValueError("`near.keep` says which member of a group survives; leave `semantic.keep` out")
        return self

    @property
    def keep(self) -> Keep:
        """Which member of a group survives."""
        if self.near:
            return self.near.keep
        return (self.semantic.keep or "longest") if self.semantic else "first"

    @property
    def changes_texts(self) -> bool:
        """Whether texts are changed, and not only judged."""
        return any(found.action == "remove" for found in (self.lines, self.spans) if found)


class BenchmarkColumns(Model):
    """Which columns of a file hold the items of a benchmark."""

    question: list[str] | str = "question"
    """Column of the question; several are joined, as the two sentences of an inference task."""
    choices: list[str] | str = Field(default_factory=list)
    """Columns of the choices, or one column that lists them. Choices found without their question count as well."""
    answer: str | None = "answer"
    """Column of the answer: a text, or the letter or number of a choice. It need not be there; null is none."""
    answer_after: str | None = None
    """The answer is what comes after the last of these, as `####` in GSM8K."""
    first_answer: Literal[0, 1] = 0
    """The number that means the first choice."""
    id: str = "id"
    """Column that names the item; where there is no such column, the file and its row do."""


class BenchmarkFile(BenchmarkColumns):
    """A file of benchmark items whose columns are not called `question` and `answer`."""

    path: str = Field(min_length=1)
    """JSONL (.gz, .zst), Parquet or CSV; any fsspec URL. Relative paths start at the manifest's folder."""
    name: Name | None = None
    """What reports and the ledger call the benchmark; without it the file's name."""


class Decontaminate(Model):
    """Which benchmarks must not stand in the corpus."""

    against: list[str | BenchmarkFile] = Field(min_length=1)
    """Names (`kmmlu`, `kobest`, `haerae`, `click`, `kormedmcqa`, `mmlu`, `gsm8k`, `humaneval`, `mbpp`), files with
    `question` and `answer`, or files with their columns."""
    data_dir: str | None = None
    """Folder with the files of the benchmarks given by name: NAME.jsonl, or a copy of the dataset, as
    HAERAE-HUB/KMMLU. Relative paths start at the manifest's folder."""
    action: Literal["drop", "redact"] = "drop"
    """`drop` leaves the document out; `redact` takes the item's words out of its text."""
    score: float = Field(0.6, ge=0.4, le=1)
    """How sure it has to be that a document holds an item: about the share of its rare words."""


class Redact(Model):
    """What takes the place of personal data in the texts that are written."""

    mode: Literal["placeholder", "surrogate", "none"] = "placeholder"
    """`placeholder`: the kind, as <EMAIL>. `surrogate`: made-up data of the same form that can belong to nobody, the
    same for the same data wherever it stands; without the key nobody can tell which data that was."""
    kinds: list[PiiKind] | None = None
    """What to mask of what is measured; without it all but `brn`, which is public."""
    key: str | None = None
    """For surrogates: the name of an environment variable, or the path of a file, that holds the key (16 bytes at
    least). The key itself is written nowhere."""

    @model_validator(mode="after")
    def _surrogates_have_a_key(self) -> "Redact":
        if (self.mode == "surrogate") != (self.key is not None):
            raise ValueError("`key` goes with `mode: surrogate`: the environment variable or the file that holds it")
        return self


class Output(Model):
    """Where the results go."""

    path: str = Field(min_length=1)
    """Folder of the run; any fsspec URL. Relative paths start at the manifest's folder."""
    shard_bytes: int = Field(256 * MIB, ge=1024)
    """Text per file of `documents`, about. Files are cut by ranges of the id: the same value gives the same files."""


def path_alone(value: Any) -> Any:
    """What is written as its path alone, as a mapping."""
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
    decontaminate: Decontaminate | None = None
    """Which benchmarks must not stand in the corpus."""
    redact: Redact | None = None
    """What takes the place of personal data in the texts that are written; the measured texts keep it."""
    store: Literal["all", "columns"] = "all"
    """`all` keeps the text of every measured record, so that any later decision can restore it; `columns` keeps
    that of the kept documents only."""
    limits: Limits = Limits()
    """Bounds on memory."""
    output: Annotated[Output, BeforeValidator(path_alone, json_schema_input_type=str | Output)]
    """Folder of the run, or {path, shard_bytes}."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> "CorpusManifest":
        names = [rule.name for rule in self.rules if isinstance(rule, Rule)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules: names used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _redacts_what_is_measured(self) -> "CorpusManifest":
        if self.redact is None or self.redact.mode == "none":
            return self
        if not self.pii_kinds:
            raise ValueError("redact: nothing is measured; name `measure.pii: {kinds: [...]}`")
        missing = [kind for kind in self.redact.kinds or [] if kind not in self.pii_kinds]
        if missing:
            raise ValueError(f"redact.kinds: not among measure.pii.kinds: {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _changed_texts_can_be_restored(self) -> "CorpusManifest":
        if self.store == "columns" and self.dedup.changes_texts:
            raise ValueError(
                "store: `columns` keeps only the texts as `dedup.lines` and `dedup.spans` leave them, from which no "
                "other decision could be made; use `store: all`, or their `action: drop`"
            )
        return self

    @property
    def pii_kinds(self) -> list[PiiKind]:
        """The kinds of personal data that are looked for."""
        return self.measure.pii.kinds if self.measure.pii else []

    @property
    def has_notes(self) -> bool:
        """Whether a reader of any input may have something to say of what it read (the column `notes`)."""
        return any(item.format in NOTED_FORMATS for item in self.inputs)

    @property
    def metadata_names(self) -> list[str]:
        """The fields of the `metadata` struct: all that any input names, sorted."""
        return sorted({name for item in self.inputs for name in item.metadata})
