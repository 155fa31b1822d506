"""Stages that change how a model is built: made anew, made deeper, pruned."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.errors import FieldError
from manifests.schema import Model, path_alone
from manifests.schema_mixture import Share, Tokens
from manifests.schema_training_stages import MixtureUse, Stage

OneMixture = Annotated[MixtureUse, BeforeValidator(path_alone, json_schema_input_type=str | MixtureUse)]
"""A token mixture, which may be written as its path alone."""
Span = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]
"""Layers [first, end), counted from 0."""


class Sizes(Model):
    """How a decoder of the Llama family is built; what is not named stays as it is."""

    hidden_size: int | None = Field(None, ge=1)
    """Width of what goes from layer to layer."""
    intermediate_size: int | None = Field(None, ge=1)
    """Width inside the MLP."""
    num_hidden_layers: int | None = Field(None, ge=1)
    """Layers."""
    num_attention_heads: int | None = Field(None, ge=1)
    """Heads of queries."""
    num_key_value_heads: int | None = Field(None, ge=1)
    """Heads of keys and values."""
    head_dim: int | None = Field(None, ge=1)
    """Width of a head."""

    def given(self) -> dict[str, int]:
        """What is named, by its name in `config.json`."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class NewModel(Sizes):
    """A model that does not exist yet: how it is built. Its weights are drawn by the manifest's seed."""

    tokenizer: str = Field(min_length=1)
    """Folder with the tokenizer's files (tokenizer.json, tokenizer_config.json). Relative paths start at the
    manifest's folder."""
    model_type: Literal["llama", "mistral", "qwen2", "qwen3"] = "llama"
    """Architecture, as `config.json` calls it."""
    hidden_size: int = Field(ge=1)
    """Width of what goes from layer to layer."""
    intermediate_size: int = Field(ge=1)
    """Width inside the MLP."""
    num_hidden_layers: int = Field(ge=1)
    """Layers."""
    num_attention_heads: int = Field(ge=1)
    """Heads of queries."""
    max_position_embeddings: int = Field(8192, ge=8)
    """Longest context."""
    rope_theta: float = Field(10000.0, gt=1)
    """Base of RoPE's frequencies."""
    tie_word_embeddings: bool = False
    """Whether output embeddings are the input's."""
    initializer_range: float = Field(0.02, gt=0, lt=1)
    """Standard deviation of new weights."""


class Init(Stage):
    """A model of new weights, built as another one: what training from scratch begins with."""

    kind: Literal["init"]
    """What the stage does."""
    model: str | None = None
    """Whose configuration and tokenizer it has: `base`, the name of a stage, or a folder. Without it, the last stage
    before that makes a language model, or the base."""
    sizes: Sizes = Sizes()
    """What is built otherwise."""


# Depth


def refuse_training(mixture: MixtureUse | None) -> None:
    """That a mixture on which a model is only measured has no fields of training.

    Raises:
        FieldError: it has.
    """
    for name in ("tokens", "balance_lengths"):
        if mixture is not None and getattr(mixture, name) is not None:
            raise FieldError("is for what is trained on; `samples` says how much is read", "mixture", name)


class Influence(Model):
    """Choose layers by how much they change what goes through them: one minus the cosine of a layer's input and
    output, on the mean of all tokens (block influence, ShortGPT)."""

    text: str | None = None
    """Texts that it is measured on: Parquet or JSONL with a column `text`. Or `mixture`."""
    mixture: OneMixture | None = None
    """A token mixture that it is measured on."""
    samples: int = Field(128, ge=1)
    """Sequences, or texts."""
    length: int | None = Field(None, ge=8)
    """Tokens of each text that are read; without it, 2,048 or the model's context. Sequences are read whole."""

    @model_validator(mode="after")
    def _one_place(self) -> "Influence":
        if (self.text is None) == (self.mixture is None):
            raise ValueError("name one of `text` and `mixture`")
        refuse_training(self.mixture)
        return self


class Upscale(Stage):
    """Depth up-scaling: a deeper model of a model's own layers, bit by bit (SOLAR; Kanana 2.3.2)."""

    kind: Literal["upscale"]
    """What the stage does."""
    model: str | None = None
    """What becomes deeper: `base`, the name of a stage, or a folder. Without it, the last stage before that makes a
    language model, or the base."""
    drop: int | None = Field(None, ge=0)
    """SOLAR's m: two copies, the first without its last m layers, the second without its first m, one on the other:
    2(n - m) of n layers. Or `to`, or `layers`."""
    to: int | None = Field(None, ge=1)
    """How many layers it then has: SOLAR's form with m = n - to / 2 (32 to 40: m = 12), or with `influence` the
    layers that change least are there twice."""
    layers: list[int | Span] | None = Field(None, min_length=1)
    """Which layers it then has, from 0: numbers, and spans [first, end), as [[0, 24], [8, 32]]."""
    influence: Influence | None = None
    """With `to`: choose the layers that are repeated by what they do, each copy right behind its original."""
    repeat: Literal["least", "most"] = "least"
    """With `influence`: whether those that change least are repeated, or those that change most."""
    start: Literal["copy", "identity"] = "copy"
    """`identity`: of a layer that is there twice the second changes nothing at first, since its output projections
    are 0 (LLaMA Pro)."""

    @model_validator(mode="after")
    def _one_form(self) -> "Upscale":
        given = [name for name in ("drop", "to", "layers") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            raise ValueError(f"name one of `drop`, `to` and `layers`; found {found}")
        if self.influence is not None and self.to is None:
            raise FieldError("takes `to`: how many layers there then are", "influence")
        if self.repeat != "least" and self.influence is None:
            raise FieldError("takes `influence`, by which layers are told apart", "repeat")
        for number, item in enumerate(self.layers or []):
            if isinstance(item, list) and item[0] >= item[1]:
                raise FieldError(f"found {item}; expected [first, end) with first below end", "layers", number)
            if isinstance(item, int) and item < 0:
                raise FieldError(f"found {item}; layers are counted from 0", "layers", number)
        return self


# Width


class Calibration(Model):
    """What importance is measured on; forwards only."""

    text: str | None = None
    """Texts: Parquet or JSONL with a column `text`. Or `mixture`."""
    mixture: OneMixture | None = None
    """A token mixture (Kanana: its second stage)."""
    samples: int = Field(1024, ge=1)
    """Sequences, or texts (Kanana: 1,024)."""
    length: int | None = Field(None, ge=8)
    """Tokens of each text that are read; without it, 2,048 or the model's context. Sequences are read whole."""
    micro_batch: int = Field(1, ge=1)
    """How many are read at once; results do not depend on it beyond rounding."""

    @model_validator(mode="after")
    def _one_place(self) -> "Calibration":
        if (self.text is None) == (self.mixture is None):
            raise ValueError("name one of `text` and `mixture`")
        refuse_training(self.mixture)
        return self


class Importance(Model):
    """How activations become a rank; what is set is Kanana's best, the others are for comparison (table 15)."""

    batch: Literal["l2", "mean"] = "l2"
    """How samples are put together."""
    sequence: Literal["mean", "l2"] = "mean"
    """How the tokens of a sample are put together."""
    layers: Literal["sum", "hidden", "each"] = "sum"
    """`sum`: scores of all layers are added, and there is one ranking for all of them. `hidden`: only those of hidden
    channels are, which layers share; neurons and heads are ranked layer by layer (NVIDIA's Model Optimizer). `each`:
    every layer has its own; that of hidden channels too, so that layers no longer agree on what a channel is."""
    mlp: Literal["intermediate", "gate_up"] = "intermediate"
    """`intermediate`: what goes into the down projection. `gate_up`: the mean of gate and up projections."""
    heads: Literal["groups", "any"] = "groups"
    """`groups`: of each group of queries that share keys and values as many are left. `any`: the best of all, put
    into groups in their order, so that queries may get the keys of others."""


class Trial(Model):
    """The short distillation by which candidates are compared."""

    mixture: OneMixture
    """A token mixture."""
    steps: int = Field(ge=1)
    """Steps per candidate (Minitron: ranks are stable after about 300; Kanana stops below 2% of the training)."""
    batch: int = Field(16, ge=1)
    """Sequences per step."""
    micro_batch: int | None = Field(None, ge=1)
    """How many of them are taken at once."""
    learning_rate: float = Field(1.2e-4, gt=0, allow_inf_nan=False)
    """Peak of the learning rate, by a cosine (Kanana: 1.2e-4)."""


class Search(Model):
    """Look for the best way to spend a number of weights (Kanana, table 16)."""

    parameters: Tokens
    """Weights that the model may have, as 1.3B; tied embeddings count once."""
    without_embeddings: bool = False
    """Count all but the embeddings, as Kanana's table does."""
    within: Share = 0.05
    """How far a candidate may lie from that (Minitron: 5%)."""
    hidden_size: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    """Values that are tried; without any, the model's own."""
    intermediate_size: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    """Values that are tried; without any, the model's own."""
    num_attention_heads: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    """Values that are tried; without any, the model's own."""
    trial: Trial
    """How candidates are compared: the loss after it on its mixture's held-out part is what counts."""


class Prune(Stage):
    """Structured pruning: a narrower model of a model's own weights (Kanana 2.3.3, Minitron). A stage `distill` heals
    it."""

    kind: Literal["prune"]
    """What the stage does."""
    model: str | None = None
    """What is pruned: `base`, the name of a stage, or a folder. Without it, the last stage before that makes a
    language model, or the base."""
    to: Sizes | None = None
    """What it then is: `hidden_size`, `intermediate_size`, `num_attention_heads`, and of depth `num_hidden_layers`.
    Or `search`."""
    search: Search | None = None
    """Instead: the best of several, by a short distillation of each."""
    teacher: str | None = None
    """Of the search: what candidates are distilled from; without it, what is pruned (Kanana: always the first
    model)."""
    calibration: Calibration | None = None
    """What importance is measured on, of width and of depth; where only embeddings are tied, nothing is."""
    importance: Importance = Importance()
    """How it is measured."""
    tie_embeddings: bool = False
    """Make output and input embeddings one, by their mean (Kanana, table 17)."""
    cut_max: Annotated[Share, Field(gt=0, lt=1)] = 0.5
    """Share of the weights beside embeddings that one stage may cut (Kanana: half); more takes several, with
    distillation between them."""

    @model_validator(mode="after")
    def _one_goal(self) -> "Prune":
        if (self.to is None) == (self.search is None):
            raise ValueError("name one of `to` and `search`")
        if self.to is not None:
            given = self.to.given()
            for name in ("num_key_value_heads", "head_dim"):
                if name in given:
                    raise FieldError("is kept when pruning; leave it out", "to", name)
            if not given and not self.tie_embeddings:
                raise FieldError("names nothing to prune", "to")
        if self.calibration is None and (self.to is None or self.to.given()):
            raise FieldError("is missing: what goes is chosen by text or a mixture", "calibration")
        if self.teacher is not None and self.search is None:
            raise FieldError("is for a `search`; a stage `distill` names its own", "teacher")
        if self.search is not None and not any(
            (self.search.hidden_size, self.search.intermediate_size, self.search.num_attention_heads)
        ):
            raise FieldError("names no sizes to try", "search")
        return self
