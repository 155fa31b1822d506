"""Stages that make an encoder of a language model, as LLM2Vec does (Kanana 1.8): it reads both ways, fills in blanks,
and tells what belongs together."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.errors import FieldError
from manifests.schema import Model, Name
from manifests.schema_mixture import Share
from manifests.schema_training_stages import MixtureUse, Trained, mixtures


class Mntp(Trained):
    """Masked next token prediction: attention sees both ways, and what was masked is predicted by the token before
    it."""

    kind: Literal["mntp"]
    """What the stage does."""
    mixture: Annotated[
        list[MixtureUse], BeforeValidator(mixtures, json_schema_input_type=str | MixtureUse | list[str | MixtureUse])
    ] = Field(min_length=1)
    """Folder of a token mixture, or several {path, stage, tokens}."""
    mask: Annotated[Share, Field(gt=0, lt=1)] = 0.2
    """Share of tokens that are to be predicted (LLM2Vec: .2 for Llama 3). Special tokens and the first one of a
    document are none of them."""
    replace: Literal["bert", "mask"] = "bert"
    """What stands in their place. `bert`: of 80% the mask, of 10% any token, and 10% stay as they are (LLM2Vec for
    Llama 3). `mask`: the mask."""
    mask_token: str | None = None
    """The mask: a token of the vocabulary. Without it, the tokenizer's own, or `_`, as LLM2Vec has
    it."""


class Texts(Model):
    """Texts that belong together."""

    path: str = Field(min_length=1)
    """Parquet or JSONL (.gz, .zst): a file, a folder or a glob. Relative paths start at the manifest's folder."""
    query: str = "query"
    """Column of the question."""
    positive: str = "positive"
    """Column of the text that answers it."""
    negative: str | None = None
    """Column of a text that does not, or of a list of them; without it, only the other texts of a batch are told
    apart."""
    instruction: str = ""
    """What is put before each question."""
    domain: Name = "texts"
    """What they count as."""
    where: str | None = None
    """SQL predicate over the columns; rows for which it is not true are left out."""
    limit: int | None = Field(None, ge=1)
    """How many rows are taken: a random sample, always the same one."""


class Retrieval(Model):
    """Questions and the texts among which their answers are looked for: nDCG@10, before and after."""

    name: Name
    """What the measure is called."""
    queries: str = Field(min_length=1)
    """Parquet or JSONL with `id` and `text`."""
    corpus: str = Field(min_length=1)
    """Parquet or JSONL with `id` and `text`, and perhaps `title`."""
    qrels: str = Field(min_length=1)
    """Parquet, JSONL or TSV (.gz) with `query-id`, `corpus-id` and `score`, as BEIR has it."""
    instruction: str = ""
    """What is put before each question."""


class Contrast(Trained):
    """Contrastive training: a question is nearer to its answer than to any other text of the batch."""

    kind: Literal["contrast"]
    """What the stage does. It makes an encoder, which no language model's stage goes on from."""
    model: str | None = None
    """What it goes on from: `base`, the name of a stage, or a folder. Without it, the last `mntp` or `contrast` stage
    before; else the last that makes a language model, or the base."""
    data: list[Texts] = Field(min_length=1)
    """Questions, answers, and texts that are none."""
    bidirectional: bool = True
    """Let attention see both ways; else as the language model does, to compare with."""
    pooling: Literal["mean", "last"] = "mean"
    """What of a text's tokens becomes its vector."""
    temperature: float = Field(0.05, gt=0, allow_inf_nan=False)
    """Cosines are divided by it (LLM2Vec: .02, or .05 without labels)."""
    max_length: int = Field(512, ge=8)
    """Tokens per text; longer ones are cut at the end."""
    held_out: Share = 0.0
    """Share of each domain's questions that is not trained on; before and after, their answers are looked for among
    all answers that are held out (nDCG@10)."""
    retrieval: list[Retrieval] = Field(default_factory=list)
    """Sets by which it is measured before and after."""

    @model_validator(mode="after")
    def _sets_have_names_of_their_own(self) -> "Contrast":
        names = [item.name for item in self.retrieval]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise FieldError(
                    f"{name!r} is the name of retrieval[{names.index(name)}], too; give each set its own",
                    "retrieval", number, "name",
                )  # fmt: skip
        return self
