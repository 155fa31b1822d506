"""The manifest of a token mixture: which documents, how many tokens of each, in which stages, packed how."""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.errors import FieldError
from manifests.schema import MIB, Model, Name, path_alone

MULTIPLES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


TOKENS_MAX = 10**18
"""More than anybody has."""


def _tokens(value: Any) -> Any:
    """A number of tokens as people write it: 300B, 2.7T, 1_000_000."""
    wrong = ValueError(f"found `{value}`; expected a number of tokens, such as 20M, 4.7B or 2.7T")
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([KMBT]?)\s*", value, re.IGNORECASE | re.ASCII)
        if not found:
            raise wrong
        tokens = Decimal(found[1].replace("_", "")) * MULTIPLES[found[2].upper()]
        if tokens != int(tokens):
            raise ValueError(f"found `{value}`, which is no whole number of tokens")
        value = int(tokens)
    if type(value) is not int or not 1 <= value <= TOKENS_MAX:  # `true` is an int, too
        raise wrong
    return value


Tokens = Annotated[int, BeforeValidator(_tokens, json_schema_input_type=int | str), Field(ge=1)]
"""A number of tokens: 20M, 4.7B, 2.7T or all digits."""


def _share(value: Any) -> Any:
    """A share as people write it: 0.5% or 0.005."""
    share = value
    if isinstance(value, str) and (found := re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", value, re.ASCII)):
        share = float(Decimal(found[1]) / 100)
    if type(share) not in (int, float) or not 0 <= share <= 1:
        raise ValueError(f"found `{value}`; expected a share from 0 to 1, or from 0% to 100%")
    return share


Share = Annotated[float, BeforeValidator(_share, json_schema_input_type=float | str), Field(ge=0, le=1)]
"""A share of a whole: 0.5% or 0.005."""


class Tokenizer(Model):
    """What turns texts into ids."""

    path: str = Field(min_length=1)
    """A `tokenizer.json`, a folder that holds one, a SentencePiece `.model` or `.tiktoken` ranks. A relative path
    starts at the manifest's folder."""
    eod: str | None = None
    """The token that ends each document. Without it: what the tokenizer's own configuration calls its end of text."""
    bos: str | None = None
    """A token that begins each document; without it, none does."""
    pretokenizer: str | None = None
    """How a text is cut before ranks apply (`.tiktoken` files whose name does not tell): `cl100k`, `o200k`, `gpt2`,
    ..."""
    engine: Literal["auto", "gigatoken", "library"] = "auto"
    """`auto` uses Gigatoken where its ids equal those of the tokenizer's own library on a sample of each source."""


class Source(Model):
    """Documents of one kind: those of a curated run, or of any Parquet or JSONL (.gz, .zst) files."""

    name: Name
    """Name of this source, in weights and in the ledger."""
    run: str | None = None
    """Folder of a curated run, whose documents these are."""
    path: str | None = None
    """Instead of a run: a file, a folder or a glob. Relative paths start at the manifest's folder."""
    text: str = "text"
    """Column of the text."""
    key: str | None = None
    """Column that names a document in its source (files only): part of its id, as in a corpus."""
    url: str = "url"
    """Column of the URL, where there is one."""
    license: str = "license"
    """Column of the licence, where there is one. For one licence for all documents see `set`."""
    language: str = "language"
    """Column of the language, where there is one."""
    set: dict[Literal["license", "language"], str] = Field(default_factory=dict)
    """Values that hold for every document, as {license: CC-BY-4.0}."""
    where: str | None = None
    """SQL predicate over the columns; documents for which it is not true are left out."""
    repeat: str | None = None
    """SQL expression: how often a document stands in one epoch, as `least(near_cluster_size, 5)`. A fraction is a
    chance, the same in every run."""
    category: Name
    """What its tokens count as."""
    weight: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Its share: of its category where a stage weighs categories, else of the mixture. Without it, as large as the
    source is."""
    tokens: Tokens | None = None
    """Instead of a weight: how many tokens are taken (not where there are `stages`)."""
    epochs_max: float = Field(1, gt=0, allow_inf_nan=False)
    """How often each document may be gone through, in all stages together."""

    @model_validator(mode="after")
    def _one_place(self) -> "Source":
        if (self.run is None) == (self.path is None):
            raise ValueError("name either `run` or `path`")
        if self.weight is not None and self.tokens is not None:
            raise ValueError("name either `weight` or `tokens`, not both")
        if self.run is not None and (self.key or self.text != "text"):
            raise ValueError("`text` and `key` are for files; a run has its own")
        return self


class Licenses(Model):
    """Which documents the mixture may hold, by their licence."""

    allow: list[str] | None = None
    """Licences that may be used; without it, all that are not denied. `CC-BY-*` stands for all that begin so; letter
    case does not matter."""
    deny: list[str] = Field(default_factory=list)
    """Licences that may not be used, as `*-NC-*`."""
    unknown: Literal["allow", "deny"] = "allow"
    """What becomes of documents without a licence."""


class Stage(Model):
    """A part of the training with a mixture of its own."""

    name: Name
    """Name of the stage."""
    tokens: Tokens
    """Where it ends: at the first sequence boundary at or after this many tokens of it."""
    weights: dict[Name, float] | None = None
    """Shares of categories or sources, in any unit: they are divided by their sum. Without it, the weights of the
    sources."""
    amounts: dict[Name, Tokens] = Field(default_factory=dict)
    """Tokens of categories or sources instead of shares; the weights share what is left."""
    transition: Tokens | None = None
    """Over its first so many tokens the mixture goes linearly from that of the stage before to its own."""


class Validation(Model):
    """Documents held out of the training, by their content, so that none of them is trained on under another id."""

    frac: Share = 0.005
    """Share of the documents of each source."""
    tokens_max: Tokens | None = None
    """Tokens held out per category at most."""


class Packing(Model):
    """How documents become sequences."""

    cut: Literal["long", "any"] = "long"
    """`long` cuts only documents that are longer than a sequence; `any` also cuts one where a sequence would else be
    padded."""
    cross_lingual: Share = 0
    """Share of the sequences in which documents of two languages alternate and may attend to each other."""


class Target(Model):
    """Held-out text whose loss a search is to lower."""

    name: Name
    """What it is called."""
    path: str = Field(min_length=1)
    """Parquet or JSONL with a column `text`: a file, a folder or a glob. Relative paths start at the manifest's
    folder."""
    column: str = "text"
    """Column of the text."""
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)
    """How much its loss counts."""
    limit: int | None = Field(None, ge=1)
    """Documents that are taken: always the same ones."""


class Proxy(Model):
    """The small models that a search trains: Llamas of new weights."""

    hidden_size: int = Field(128, ge=8)
    """Width of what goes from layer to layer."""
    intermediate_size: int = Field(256, ge=8)
    """Width inside the MLP."""
    num_hidden_layers: int = Field(2, ge=1)
    """Layers."""
    num_attention_heads: int = Field(4, ge=1)
    """Heads."""
    sequence_length: int = Field(128, ge=8)
    """Tokens per sequence."""
    batch: int = Field(16, ge=1)
    """Sequences per step."""
    learning_rate: float = Field(3e-3, gt=0, allow_inf_nan=False)
    """Peak of the learning rate, by a cosine."""
    tokens: Tokens = 250_000
    """Tokens that each is trained on."""

    @model_validator(mode="after")
    def _can_be_built(self) -> "Proxy":
        if self.hidden_size % (2 * self.num_attention_heads):
            raise FieldError(
                f"{self.num_attention_heads} heads of a hidden_size of {self.hidden_size}; expected heads of an even "
                f"size: hidden_size a multiple of {2 * self.num_attention_heads}",
                "num_attention_heads",
            )
        if self.tokens < self.sequence_length:
            raise FieldError(
                f"{self.tokens:,} are less than one sequence (sequence_length: {self.sequence_length:,})", "tokens"
            )
        return self


class MixtureSearch(Model):
    """Look for weights of the sources: small models are trained on random ones, and a regression from weights to
    losses tells the best (RegMix; `onggi mix --search`)."""

    proxies: int = Field(48, ge=8)
    """Models that are trained."""
    model: Proxy = Proxy()
    """How they are built and trained."""
    targets: list[Target] = Field(default_factory=list)
    """What is to be predicted well. Without it: what is held out of each category, weighing the same."""
    concentration: float = Field(1.0, gt=0, allow_inf_nan=False)
    """How near random weights lie to those of the sources as they are: of a Dirichlet distribution around them, as
    spread as this; small values give mixtures of few sources."""
    candidates: int = Field(100_000, ge=1000)
    """Mixtures whose losses are predicted; the best of them are averaged."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Of weights, models and their data."""


class MixtureOutput(Model):
    """Where the mixture goes, and in which pieces."""

    path: str = Field(min_length=1)
    """Folder of the mixture; any fsspec URL. Relative paths start at the manifest's folder."""
    shard_bytes: int = Field(256 * MIB, ge=1024)
    """Tokens per file, in bytes, about; the order of sequences does not depend on it."""
    store: str | None = None
    """Folder of the tokenised documents, which mixtures may share; by default `store` in the output folder."""


class MixtureLimits(Model):
    """Bounds on what one piece of work may take."""

    slice_bytes: int = Field(16 * MIB, ge=1024)
    """Text that is tokenised at once."""


class MixtureManifest(Model):
    """Documents in; packed sequences of tokens in the order of training, a token ledger and a report out (`onggi
    mix`)."""

    kind: Literal["mixture"]
    """What this manifest declares."""
    name: Name
    """Name of the mixture."""
    tokenizer: Annotated[Tokenizer, BeforeValidator(path_alone, json_schema_input_type=str | Tokenizer)]
    """What turns texts into ids: a path, or {path, eod, bos}."""
    sequence_length: int = Field(ge=8, le=1 << 24)
    """Tokens per sequence."""
    seed: int = Field(0, ge=0)
    """Of the order of documents."""
    sources: list[Source] = Field(min_length=1)
    """Where documents come from."""
    licenses: Licenses = Licenses()
    """Which documents may be used."""
    tokens: Tokens | None = None
    """Budget of a mixture without stages. Without it: the most that keeps the weights, or all there is."""
    stages: list[Stage] = Field(default_factory=list)
    """Parts of the training, in their order; without them there is one."""
    when_short: Literal["fail", "shrink", "fill"] = "fail"
    """Where a source has too little: `fail` says how much is missing; `shrink` takes less of everything, so that
    shares hold; `fill` takes more of the others."""
    validation: Validation | None = None
    """What is held out."""
    packing: Packing = Packing()
    """How documents become sequences."""
    search: MixtureSearch = MixtureSearch()
    """Of `onggi mix --search`: how weights are looked for."""
    limits: MixtureLimits = MixtureLimits()
    """Bounds on memory."""
    output: Annotated[MixtureOutput, BeforeValidator(path_alone, json_schema_input_type=str | MixtureOutput)]
    """Folder of the mixture, or {path, shard_bytes, store}."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> "MixtureManifest":
        for what, names in (
            ("sources", [source.name for source in self.sources]),
            ("stages", [stage.name for stage in self.stages]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise FieldError(f"names used twice: {', '.join(twice)}", what)
        for number, stage in enumerate(self.stages):
            if stage.name == "validation":
                held_out = "`validation` is what is held out; give the stage another name"
                raise FieldError(held_out, "stages", number, "name")
        for name in {source.name for source in self.sources} & {source.category for source in self.sources}:
            if [source.name for source in self.sources if source.category == name] != [name]:
                raise FieldError(f"{name!r} names a source and a category that is not just that source", "sources")
        return self

    @model_validator(mode="after")
    def _budget_is_stated_once(self) -> "MixtureManifest":
        if self.stages and self.tokens is not None:
            raise FieldError("each of the `stages` has its own; leave this one out", "tokens")
        for number, source in enumerate(self.sources):
            if self.stages and source.tokens:
                said = f"{source.name}: `tokens` is for a mixture without stages; use `amounts` of a stage"
                raise FieldError(said, "sources", number, "tokens")
        return self

    @model_validator(mode="after")
    def _stages_can_be_met(self) -> "MixtureManifest":
        for number, stage in enumerate(self.stages):
            wrong = partial(_wrong, number, stage)
            self._check_names(stage, wrong)
            if stage.transition and number == 0:
                raise wrong("there is no stage before it", "transition")
            if stage.transition and stage.transition > stage.tokens:
                raise wrong(f"is longer than the stage, which has {stage.tokens:,} tokens", "transition")
            for name, weight in (stage.weights or {}).items():
                if not 0 <= weight < math.inf:
                    raise wrong(f"found `{weight:g}` for {name}; weights are numbers of at least 0", "weights")
            if stage.weights is not None and not sum(stage.weights.values()) and not stage.amounts:
                raise wrong("takes nothing; give `weights` above 0, or `amounts`", "weights")
            if (amounts := sum(stage.amounts.values())) > stage.tokens:
                raise wrong(f"amounts are {amounts:,}, more than its {stage.tokens:,} tokens", "amounts")
        return self

    def _check_names(self, stage: Stage, wrong: Callable[[str, str], FieldError]) -> None:
        """That a stage names what there is, once."""
        known = {source.name for source in self.sources} | {source.category for source in self.sources}
        for field, names in (("weights", stage.weights or {}), ("amounts", stage.amounts)):
            for name in names:
                if name not in known:
                    raise wrong(f"{name!r} is no source or category; valid: {', '.join(sorted(known))}", field)
        named = [*(stage.weights or {}), *stage.amounts]
        for source in self.sources:
            if sum(name in (source.name, source.category) for name in named) > 1:
                field = "weights" if stage.weights else "amounts"
                raise wrong(f"{source.name!r} is named twice, by itself or by its category", field)


def _wrong(number: int, stage: Stage, message: str, field: str) -> FieldError:
    """What is wrong with a field of a stage, which the message calls by its name."""
    return FieldError(f"{stage.name}: {message}", "stages", number, field)
