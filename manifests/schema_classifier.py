"""The manifest of a classifier of documents: what it learns from, who labels, and when it has learnt enough."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from manifests.schema import Model, Name
from manifests.schema_teacher import Teacher


class Documents(Model):
    """Documents in Parquet or JSONL (.gz, .zst) files."""

    path: str = Field(min_length=1)
    """A file, a folder or a glob. Relative paths start at the manifest's folder."""
    text: str = "text"
    """Column of the text."""
    id: str | None = None
    """Column that names a document; without it, the digest of its text does."""
    source: str | None = None
    """Column of the source, by which candidates are spread and metrics told apart; without it, the file's name."""
    language: str | None = None
    """Column of the language (BCP 47); without it, languages are identified where they matter."""
    where: str | None = None
    """SQL predicate over the columns; rows for which it is not true are left out."""


class Labelled(Documents):
    """Documents with labels."""

    label: str = "score"
    """Column of the label: a number, or a name that `values` explains."""
    values: dict[str, float] | None = None
    """What a label that is a name stands for, as {hq: 1, cc: 0}; rows with other names are left out."""


class FastText(Model):
    """A fastText classifier (`onggi[classifier]`): its score is the expectation over all labels."""

    kind: Literal["fasttext"]
    """What is trained."""
    lr: float = Field(0.1, gt=0, le=10)
    """Learning rate at the beginning."""
    dim: int = Field(100, ge=1, le=2000)
    """Numbers per word."""
    epoch: int = Field(5, ge=1, le=10_000)
    """How often the texts are gone through."""
    min_count: int = Field(1, ge=1)
    """How often a word must occur."""
    word_ngrams: int = Field(2, ge=1, le=10)
    """Longest sequence of words."""
    minn: int = Field(0, ge=0, le=20)
    """Shortest part of a word in characters; 0 with `maxn: 0`: words are not parted."""
    maxn: int = Field(0, ge=0, le=20)
    """Longest part of a word."""
    bucket: int = Field(200_000, ge=1)
    """Rows for sequences and parts of words, which share them by their hash."""
    loss: Literal["softmax", "ova"] = "softmax"
    """`ova` asks of each label by itself."""
    quantise: bool = False
    """Make the model small (.ftz)."""
    view: Literal["spelling-1", "jamo-1"] | None = None
    """What it reads, in training and in scoring: with `spelling-1` spellings that hide words are undone, as 카.지.노
    and ㅋㅏㅈㅣ노; with `jamo-1` syllables are parted into jamo as well, so that `minn` and `maxn` count these
    (docs/harm-scores.md). Documents keep their text. Left out: texts as they are."""

    @model_validator(mode="after")
    def _parts_in_order(self) -> "FastText":
        if self.minn > self.maxn:
            raise ValueError(f"minn is {self.minn}; it must be at most maxn, {self.maxn}")
        return self


class Lsa(Model):
    """Latent semantic analysis and a lexicon, then kernel ridge regression, of labels from 0 to 5: for hundreds to
    some thousands of labels, and for sites that are not among them."""

    kind: Literal["lsa"]
    """What is trained."""
    unlabelled: list[Documents] = Field(default_factory=list)
    """More text of the kind that will be scored, from which the vectors of words are learnt; read whole."""
    n_tokens: int = Field(15_000, ge=100)
    """The words, and parts of words, that most windows hold."""
    dimensions: int = Field(50, ge=2, le=500)
    """Numbers per word."""
    ridge: float = Field(0.3, gt=0)
    """What a deviation costs against the fit: more is smoother."""
    source_power: float = Field(-0.5, le=0)
    """A label weighs (labels of its source)^source_power, so that no source speaks for all; 0: all alike."""
    lexicon: bool = True
    """Count the words of teaching that `classifiers/lexicon/teaching.tsv` lists, Korean and English."""


class Head(Model):
    """A regression on the vectors of an encoder (`onggi[train]`), of labels from 0 to 5, by FineWeb-Edu's recipe."""

    kind: Literal["head"]
    """What is trained."""
    encoder: str = Field(min_length=1)
    """Folder of a sequence encoder of transformers or sentence-transformers, with safetensors. A relative path starts
    at the manifest's folder."""
    frozen: bool = True
    """Whether the encoder stays as it is; else it is trained along."""
    lr: float = Field(3e-4, gt=0)
    """Learning rate of the head."""
    encoder_lr: float = Field(2e-5, gt=0)
    """That of the encoder, where it is trained along."""
    epochs: int = Field(20, ge=1)
    """How often the texts are gone through: 20 are for hundreds of thousands of labels, a thousand want 100."""
    batch_docs: int = Field(256, ge=1)
    """Documents per step."""
    max_tokens: int = Field(512, ge=8)
    """How much of a text is seen, from its beginning."""
    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    """How tokens become one vector; `auto`: as the encoder says, else `mean`."""
    prefix: str = ""
    """What the encoder wants before each text, as `query: ` for E5."""
    batch_tokens: int = Field(16_384, ge=1)
    """Tokens that the encoder sees at once."""


class Candidates(Model):
    """Which documents are labelled in a round; of a stratum (source and length) no more than six times its share."""

    per_round: int = Field(200, ge=1)
    """How many."""
    top: float = Field(0.1, ge=0, le=1)
    """Share that has the highest scores: where positives are rare, these are where more of them are."""
    uncertain: float = Field(0.8, ge=0, le=1)
    """Share that lies nearest to the threshold which parts the labels best, out of fold."""
    random: float = Field(0.1, ge=0, le=1)
    """Share that is drawn from all, so that what the model does not know is heard of."""

    @model_validator(mode="after")
    def _shares_add_up(self) -> "Candidates":
        total = self.top + self.uncertain + self.random
        if abs(total - 1) > 1e-9:
            raise ValueError(f"top, uncertain and random are shares of all; they add up to {total:g}")
        return self


class Stop(Model):
    """When the loop ends."""

    rounds: int = Field(5, ge=0, le=1000)
    """Rounds of labelling at most; 0 trains on the seeds and evaluates."""
    precision: float = Field(0.9, gt=0, le=1)
    """The precision at which recall is looked at."""
    min_gain: float = Field(0.002, ge=0)
    """Recall that a round must add to count as a rise."""
    patience: int = Field(2, ge=1)
    """Rounds without a rise after which it ends."""


class CrossValidation(Model):
    """Evaluation without a gold set: each fold is scored by a model that was trained without it."""

    by: Literal["source", "document"] = "source"
    """`source` holds whole sources out: what a model is worth on sites that it has not seen."""
    folds: int = Field(10, ge=2)
    """How many models are trained for it; no more than there are sources."""


Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]


class ClassifierManifest(Model):
    """Seeds and a corpus in; a classifier that learns from what a teacher labels, and a report out (`onggi
    classifier`)."""

    kind: Literal["classifier"]
    """What this manifest declares."""
    name: Name
    """Name of the classifier."""
    seeds: list[Labelled] = Field(min_length=1)
    """What round 0 is trained on."""
    gold: list[Labelled] = Field(default_factory=list)
    """What every round is evaluated on; a text that is here is trained on nowhere."""
    cross_validation: CrossValidation = CrossValidation()
    """How labels are evaluated where there is no `gold`."""
    documents: list[Documents] = Field(default_factory=list)
    """The corpus that candidates come from. Without it there is one round."""
    languages: list[Language] = Field(default_factory=list)
    """A model for each of these languages; without it one model for all texts."""
    positive_from: float = 3.0
    """The label from which on a document is what is looked for."""
    max_chars: int = Field(1200, ge=50)
    """How much of a text is labelled, trained on and evaluated, in characters from its beginning."""
    model: FastText | Lsa | Head
    """What is trained."""
    teacher: Teacher | None = None
    """Who labels candidates, from 0 to 5 for their educational value."""
    second_teacher: Teacher | None = None
    """Another annotator, whose agreement with the first is reported; its labels are not trained on."""
    second_frac: float = Field(0.1, gt=0, le=1)
    """Share of the candidates that the second annotator labels too."""
    known_labels: Labelled | None = None
    """Instead of a teacher: labels that are there already, found by the text. For studies of the loop itself."""
    candidates: Candidates = Candidates()
    """Which documents are labelled."""
    stop: Stop = Stop()
    """When the loop ends."""
    seed: int = Field(0, ge=0)
    """Of what is drawn at random."""
    output: str = Field(min_length=1)
    """Folder of the run; any path on this machine. Relative paths start at the manifest's folder."""

    @model_validator(mode="after")
    def _somebody_labels(self) -> "ClassifierManifest":
        if self.teacher and self.known_labels:
            raise ValueError("name either `teacher` or `known_labels`, not both")
        if self.documents and self.stop.rounds and not (self.teacher or self.known_labels):
            raise ValueError("documents: nobody labels them; name a `teacher`, or `stop: {rounds: 0}`")
        if self.second_teacher and not self.teacher:
            raise ValueError("second_teacher: there is no first `teacher` to agree with")
        if self.teacher and self.second_teacher and self.teacher.answers == self.second_teacher.answers is not None:
            raise ValueError("second_teacher.answers: both teachers ask at once, so each needs a file of its own")
        return self

    @model_validator(mode="after")
    def _lsa_has_sources(self) -> "ClassifierManifest":
        if isinstance(self.model, Lsa) and self.cross_validation.by == "document" and not self.gold:
            raise ValueError(
                "cross_validation.by: `lsa` holds out whole sources; take `by: source`, or give a `gold` set"
            )
        return self

    @property
    def n_rounds(self) -> int:
        """Rounds of labelling at most."""
        return self.stop.rounds if self.documents else 0
