"""The manifest of synthetic data: from which seeds, by which teacher, for which task, past which gates."""

import posixpath
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.errors import FieldError
from manifests.schema import BenchmarkFile, Model, Name, Output, path_alone
from manifests.schema_mixture import Share
from manifests.schema_teacher import Sampling, Teacher

Language = Literal["ko", "en"]
AnswerKind = Literal["auto", "math", "choice", "yes_no", "text", "json", "code", "none"]


class Seeds(Model):
    """What data is made from: questions, instructions or documents in Parquet or JSONL (.gz, .zst) files."""

    path: str = Field(min_length=1)
    """A file, a folder or a glob. Relative paths start at the manifest's folder."""
    text: str = "text"
    """Column of the question, the instruction or the document."""
    input: str | None = None
    """Column with more of it, as the passage that an instruction is about."""
    answer: str | None = None
    """Column of the known answer."""
    answer_after: str | None = None
    """The answer is what follows the last of these in that column, as `####`."""
    choices: str | None = None
    """Column with the list of the options of a multiple-choice question."""
    tests: str | None = None
    """Column with the tests of a programming task: assertions, or a list of them."""
    tools: str | None = None
    """Column with function definitions, as JSON."""
    quality: str | None = None
    """Column with the quality bucket of a document, by which `rewrite` chooses its styles."""
    id: str | None = None
    """Column that names a row; without it, the digest of its content does."""
    language: str | None = None
    """Column of the language (BCP 47); without it and without `set`, it is identified."""
    license: str | None = None
    """Column of the licence."""
    set: dict[Literal["language", "license", "source", "quality"], str] = Field(default_factory=dict)
    """Values that hold for every row, as {language: ko, license: MIT}."""
    source: str | None = None
    """Column of the source; without it, the file's name."""
    where: str | None = None
    """SQL predicate over the columns; rows for which it is not true are left out."""
    limit: int | None = Field(None, ge=1)
    """How many rows are taken: a random sample, always the same one."""

    @model_validator(mode="after")
    def _given_once(self) -> "Seeds":
        both = sorted(name for name in self.set if getattr(self, name))
        if both:
            raise ValueError(f"{', '.join(both)}: given both as a column and in `set`")
        if self.answer_after is not None and self.answer is None:
            raise ValueError("answer_after: there is no `answer` column to look in")
        return self


# Tasks. Each says what its samples are; prompts are in synth/prompts, in Korean and English.


class _Task(Model):
    """What all tasks have."""

    prompts: str | None = None
    """A folder whose Jinja files take the place of Onggi's prompts of the same name. Relative paths start at the
    manifest's folder."""
    language: Language | None = None
    """Language of what is written; without it, that of the seed."""
    attempts: int = Field(3, ge=1, le=20)
    """How often something is asked for at most where the answer has not the form that was asked for."""


class Reasoning(_Task):
    """Reasoning traces for questions: several samples of each, kept where the final answer is verified."""

    kind: Literal["reasoning"]
    """What is made."""
    samples: int = Field(4, ge=1, le=1024)
    """Traces that are asked for per question."""
    keep: int = Field(1, ge=1)
    """Right traces that are kept per question at most: the shortest first, then those that differ most in length."""
    answer: AnswerKind = "auto"
    """What the known answer is. `auto`: tests make it code, choices a choice, else a number or formula where it is
    one, else a text. `none`: there is no known answer, and the majority decides."""
    majority: Share = 0.5
    """Where there is no known answer: the share of the samples, two at least, that must agree on one."""
    pass_frac: tuple[Share, Share] = (0.0, 1.0)
    """Questions are kept whose pass rate lies in this range, ends included; [0, 0.75] leaves out what the teacher
    always solves."""
    think: Literal["plain", "tags", "mixed"] = "plain"
    """`plain`: the trace is the answer. `tags`: thoughts stand in <think>...</think> before the answer, the model's
    own where the server parses them. `mixed`: language-mixed thoughts in tags (English reasoning that keeps Korean
    terms of the question), and a Korean answer."""
    evolve: int = Field(0, ge=0, le=16)
    """Harder variants that the teacher makes of each question which has no options and no tests. Their answers are
    numbers or formulas that nobody knows: the majority decides."""
    code_timeout_s: float = Field(10.0, gt=0, le=600)
    """How long a program may run under its tests."""

    @model_validator(mode="after")
    def _fits(self) -> "Reasoning":
        if self.keep > self.samples:
            raise ValueError(f"keep is {self.keep}; it must be at most samples, {self.samples}")
        if self.pass_frac[0] > self.pass_frac[1]:
            raise ValueError("pass_frac: the first is the lower end")
        if self.think == "mixed" and self.language == "en":
            raise ValueError("think: `mixed` is for Korean answers")
        if self.evolve and self.answer not in ("auto", "none", "math", "text"):
            raise ValueError(f"evolve: variants are answered by a number or a formula, and answer is `{self.answer}`")
        return self


class Magpie(_Task):
    """Instructions from the chat template alone: the model writes what a user would ask, and then answers it."""

    kind: Literal["magpie"]
    """What is made."""
    count: int = Field(1000, ge=1)
    """Instructions that are asked for."""
    template: str | None = None
    """What stands before a user's words in the model's chat template. Without it, it is taken from the chat template
    in the folder `tokenizer`."""
    tokenizer: str | None = None
    """Folder of the teacher's tokenizer, with its chat template. Relative paths start at the manifest's folder."""
    system: dict[Language, list[str]] = Field(default_factory=dict)
    """System prompts that instructions are drawn under, in turn; without it those of Onggi, by language."""
    stop: list[str] = Field(default_factory=list)
    """What ends a user's turn; without it, what the chat template says."""
    languages: list[Language] = Field(default=["ko", "en"], min_length=1)
    """Languages in turn, where `language` is not given."""

    @model_validator(mode="after")
    def _has_a_template(self) -> "Magpie":
        if (self.template is None) == (self.tokenizer is None):
            raise ValueError("name either `template`, what stands before a user's words, or `tokenizer`, a folder")
        return self


class SelfInstruct(_Task):
    """Instructions like those of the seeds: a few of them are shown, new ones asked for, and answered."""

    kind: Literal["self_instruct"]
    """What is made."""
    count: int = Field(1000, ge=1)
    """Requests for new instructions."""
    shown: int = Field(6, ge=1, le=50)
    """Seeds that are shown in each request."""
    per_request: int = Field(4, ge=1, le=50)
    """New instructions that each request asks for."""


class Backtranslation(_Task):
    """Instructions from documents: the one that a document would answer, and the document, tidied, as its answer."""

    kind: Literal["backtranslation"]
    """What is made."""
    max_chars: int = Field(4000, ge=100)
    """How much of a document is used; longer ones are cut at the end of a paragraph or sentence."""
    min_score: int = Field(4, ge=1, le=5)
    """The teacher's own score of how well the answer serves the instruction, from 1 to 5, that is kept."""


class GroundedQa(_Task):
    """Questions and answers on documents, with reflection between two gates, and bad answers as rejected ones."""

    kind: Literal["grounded_qa"]
    """What is made."""
    per_document: int = Field(2, ge=1, le=20)
    """Questions that are asked for per document."""
    first_gate: int = Field(9, ge=1, le=10)
    """Score from 1 to 10 that an answer needs to be reflected on (Kanana: 9)."""
    second_gate: int = Field(10, ge=1, le=10)
    """Score that the refined answer needs (Kanana: 10)."""
    pairs: bool = True
    """Ask for bad answers too: each makes a preference pair, in a table of its own."""
    max_chars: int = Field(6000, ge=200)
    """How much of a document is shown; longer ones are cut at the end of a paragraph or sentence."""


RewriteStyle = Literal["wikipedia", "diverse_qa", "distill", "extract", "list"]


class Rewrite(_Task):
    """Documents written anew, by quality bucket (Nemotron-CC): text for pre-training."""

    kind: Literal["rewrite"]
    """What is made."""
    styles: dict[str, list[RewriteStyle]] = Field(
        default={"low": ["wikipedia"], "high": ["diverse_qa", "distill", "extract", "list"]}, min_length=1
    )
    """Styles of each quality bucket. Documents without a bucket have that of `default`."""
    default: str = "high"
    """Bucket of documents whose seeds say none."""
    chunk_words: int = Field(350, ge=50)
    """Documents are parted into chunks of so many words at most, at ends of paragraphs and sentences (Nemotron-CC:
    510 tokens)."""
    min_words: int = Field(30, ge=1)
    """Shorter outputs are rejected (Nemotron-CC: 50 tokens)."""

    @model_validator(mode="after")
    def _default_is_a_bucket(self) -> "Rewrite":
        if self.default not in self.styles:
            raise ValueError(f"default: `{self.default}` is none of the buckets: {', '.join(self.styles)}")
        return self


class Translate(_Task):
    """English to Korean, with what must stay as it is kept apart: code, numbers, LaTeX, URLs, names."""

    kind: Literal["translate"]
    """What is made."""
    keep_names: list[str] = Field(default_factory=list)
    """Names and terms that stay as they are."""
    length_ratio: tuple[float, float] = (0.25, 1.2)
    """Least and most characters of the translation per character of the original."""
    round_trip: float | None = Field(0.35, ge=0, le=1)
    """Translate back, and keep where the character n-gram F-score (chrF, 0 to 1) with the original is so high; null
    asks for no way back."""
    max_share: Share = 0.3
    """Most that translated text may be of all samples that are written by tokens: with `mix_with`, of both together.
    What is over it is rejected (translationese costs cultural ability: HAE-RAE 35.2 to 15.3)."""
    mix_with: list[str] = Field(default_factory=list)
    """Finished runs of `onggi synth` that the share is reckoned with. Without any, all is translated: the share is
    reported, and nothing is capped."""


TurnType = Literal["call", "completion", "slot", "relevance"]


class FunctionCalling(_Task):
    """Dialogues with functions, of the four turn types of FunctionChat-Bench; calls fit the functions' schemas."""

    kind: Literal["function_calling"]
    """What is made."""
    turns: dict[TurnType, Share] = Field(
        default={"call": 0.4, "completion": 0.3, "slot": 0.15, "relevance": 0.15}, min_length=1
    )
    """Share of each type: `call` (the function and its arguments), `completion` (the answer from what it returned),
    `slot` (asking for an argument that is missing), `relevance` (saying that no function fits)."""
    per_function: int = Field(4, ge=1, le=100)
    """Dialogues per function."""
    tools: list[Literal["1_exact", "4_random", "4_close", "8_random", "8_close"]] = Field(
        default=["1_exact", "4_random", "4_close", "8_random", "8_close"], min_length=1
    )
    """How many functions are offered, and whether the others are alike, in turn."""

    @model_validator(mode="after")
    def _adds_up(self) -> "FunctionCalling":
        if abs(sum(self.turns.values()) - 1) > 1e-6:
            raise ValueError(f"turns are shares of all; they add up to {sum(self.turns.values()):g}")
        return self


class MultiTurn(_Task):
    """Conversations of several turns that begin with a seed: the teacher plays the user, too."""

    kind: Literal["multi_turn"]
    """What is made."""
    turns: tuple[int, int] = (2, 4)
    """Fewest and most turns of the user."""

    @model_validator(mode="after")
    def _in_order(self) -> "MultiTurn":
        if not 1 <= self.turns[0] <= self.turns[1] <= 20:
            raise ValueError("turns: expected the fewest and the most turns, from 1 to 20")
        return self


class Preferences(_Task):
    """Preference pairs: of several answers to an instruction the best and the worst, by a reward model or a judge."""

    kind: Literal["preferences"]
    """What is made."""
    samples: int = Field(4, ge=2, le=64)
    """Answers that are asked for per instruction."""
    by: Literal["judge", "reward"] = "judge"
    """Who scores them: the judge from 1 to 10, or the reward model."""
    min_margin: float = Field(1.0, ge=0)
    """How much better the best must be scored than the worst."""
    min_chosen: float | None = None
    """Score that the best needs."""
    max_length_ratio: float | None = Field(None, gt=1)
    """Chosen answers are no more than so many times as long as rejected ones, against length bias."""


class Annotations(_Task):
    """Educational value of documents, from 0 to 5, with the reason: labels to train a classifier on."""

    kind: Literal["annotations"]
    """What is made."""
    max_chars: int = Field(1200, ge=50)
    """How much of a text is labelled, from its beginning."""


Task = Annotated[
    Reasoning
    | Magpie
    | SelfInstruct
    | Backtranslation
    | GroundedQa
    | Rewrite
    | Translate
    | FunctionCalling
    | MultiTurn
    | Preferences
    | Annotations,
    Field(discriminator="kind"),
]


# Gates, in the order in which a sample passes them.


class LanguageGate(Model):
    """The answer is in the language that was asked for, and in its script."""

    gate: Literal["language"]
    """Which gate."""
    min_score: float = Field(0.5, ge=0, le=1)
    """How sure language identification must be, where a text is long enough to be identified."""
    max_foreign_frac: Share = 0.0
    """Most letters of other scripts than Hangul and Latin: Chinese characters, kana, Cyrillic. Those that the prompt
    holds, and those in brackets behind a Korean word, as 독립(獨立), do not count."""
    max_latin_frac: Share = 0.5
    """Of Korean answers: most letters that are Latin, outside code, formulas and URLs; a syllable of Hangul counts as
    two and a half."""


class LengthGate(Model):
    """Answers are neither too short nor too long."""

    gate: Literal["length"]
    """Which gate."""
    min_chars: int = Field(1, ge=0)
    """Shortest answer, in characters."""
    max_chars: int = Field(32_000, ge=1)
    """Longest one."""


class RepetitionGate(Model):
    """Answers do not go round in circles."""

    gate: Literal["repetition"]
    """Which gate."""
    max_dup_ngram_frac: Share = 0.3
    """Most characters in repeated word 5-grams."""
    max_dup_line_frac: Share = 0.3
    """Most lines that are repeated, of texts of five lines or more."""
    max_run_chars: int = Field(100, ge=10)
    """Longest run that only repeats a piece of up to 20 characters, as ㅋㅋㅋㅋ or ----, outside tables and rules."""


class RefusalGate(Model):
    """No refusals, no talk of being a language model, no left-over frames such as `Here is the translation:`."""

    gate: Literal["refusal"]
    """Which gate."""
    phrases: list[str] = Field(default_factory=list)
    """Further phrases that an answer must not hold, compared without regard to case and spaces."""


class NearGate(Model):
    """No near-duplicates: of each cluster within the set one stays, and none of the seeds comes back."""

    gate: Literal["near"]
    """Which gate."""
    jaccard: float = Field(0.8, ge=0.3, le=1.0)
    """Similarity of shingles from which on two texts are near-duplicates."""
    of: Literal["prompt", "answer", "both"] = "both"
    """What is compared. `prompt`: one sample per question."""
    seeds: bool = True
    """Compare answers (or prompts that were written) with the seeds, too."""


class DecontaminateGate(Model):
    """No benchmark items, in prompts or answers."""

    gate: Literal["decontaminate"]
    """Which gate."""
    against: list[str | BenchmarkFile] = Field(min_length=1)
    """As in a corpus manifest: names (`kmmlu`, `gsm8k`, ...), or files with `question` and `answer`."""
    data_dir: str | None = None
    """Folder with the files of the benchmarks given by name. Relative paths start at the manifest's folder."""
    score: float = Field(0.6, ge=0.4, le=1)
    """How sure it has to be that a sample holds an item."""


class ScoreGate(Model):
    """A score that is high enough: of a classifier, the judge or the reward model."""

    gate: Literal["score"]
    """Which gate."""
    by: Literal["classifier", "judge", "reward"]
    """Who scores: a `classifier` the text, the `judge` prompt and answer from 1 to 10, the `reward` model both."""
    model: str | None = None
    """Of `by: classifier`: one that comes with Onggi (`edu`), or its folder."""
    min: float
    """Least score that is kept."""

    @model_validator(mode="after")
    def _model_goes_with_classifier(self) -> "ScoreGate":
        if (self.by == "classifier") != (self.model is not None):
            raise ValueError("`model` goes with `by: classifier`")
        return self


class DiversityGate(Model):
    """No sample whose prompt means nearly the same as one before it, by the embeddings of an encoder."""

    gate: Literal["diversity"]
    """Which gate."""
    encoder: str = Field(min_length=1)
    """Folder of a sentence encoder (`onggi[semantic]`). Relative paths start at the manifest's folder."""
    max_cosine: float = Field(0.9, ge=0.3, lt=1)
    """Cosine from which on two prompts mean the same."""
    prefix: str = ""
    """What the encoder wants before each text, as `query: ` for E5."""


Gate = Annotated[
    LanguageGate
    | LengthGate
    | RepetitionGate
    | RefusalGate
    | NearGate
    | DecontaminateGate
    | ScoreGate
    | DiversityGate,
    Field(discriminator="gate"),
]


def _gate_alone(value: Any) -> Any:
    """A gate that is written as its name alone, as a mapping."""
    return [{"gate": item} if isinstance(item, str) else item for item in value] if isinstance(value, list) else value


SEEDLESS = ("magpie", "function_calling")
"""Tasks that need no seeds."""


class SynthesisManifest(Model):
    """Seeds and a teacher in; verified synthetic data in TRL's columns, with its provenance, and a report out (`onggi
    synth`)."""

    kind: Literal["synthesis"]
    """What this manifest declares."""
    name: Name
    """Name of the data."""
    task: Task
    """What is made."""
    seeds: list[Seeds] = Field(default_factory=list)
    """What it is made from. `magpie` needs none; `function_calling` has functions of its own."""
    teacher: Teacher
    """Who writes."""
    judge: Teacher | None = None
    """Who scores, where the task or a gate wants a judge; without it the teacher does."""
    reward: Teacher | None = None
    """A reward model behind vLLM's pooling server (`--runner pooling`), where the task or a gate wants one."""
    judge_sampling: Sampling = Sampling()
    """How the teacher draws its answers where it is the judge: greedily, unless this says otherwise."""
    gates: Annotated[list[Gate], BeforeValidator(_gate_alone, json_schema_input_type=list[str | Gate])] = Field(
        default_factory=list
    )
    """What each sample has to pass, in order; the first that it fails is its reason. A gate that has defaults for all
    may be written as its name alone."""
    sandbox: Literal["auto", "bubblewrap", "landlock", "unsafe"] = "auto"
    """Where programs are run. `auto`: bubblewrap where it works, else Landlock; where neither works, code is refused.
    `unsafe` runs them with limits of time and memory only."""
    license: str | None = None
    """Of what is made, for its card: what the teacher's licence and those of the seeds permit."""
    seed: int = Field(0, ge=0)
    """Of what is drawn at random."""
    output: Annotated[Output, BeforeValidator(path_alone, json_schema_input_type=str | Output)]
    """Folder of the run on this machine, or {path, shard_bytes}. Relative paths start at the manifest's folder."""

    @model_validator(mode="after")
    def _has_seeds(self) -> "SynthesisManifest":
        if not self.seeds and self.task.kind not in SEEDLESS:
            raise FieldError(f"missing; a task of kind `{self.task.kind}` is made from seeds", "seeds")
        return self

    @model_validator(mode="after")
    def _has_a_reward_model(self) -> "SynthesisManifest":
        wanted: list[tuple[str | int, ...]] = [
            ("gates", number, "by")
            for number, gate in enumerate(self.gates)
            if isinstance(gate, ScoreGate) and gate.by == "reward"
        ]
        if isinstance(self.task, Preferences) and self.task.by == "reward":
            wanted.insert(0, ("task", "by"))
        if wanted and self.reward is None:
            raise FieldError("found `reward`, and the manifest names no `reward` model", *wanted[0])
        return self

    @model_validator(mode="after")
    def _gates_once(self) -> "SynthesisManifest":
        counts = Counter((gate.gate, getattr(gate, "by", "")) for gate in self.gates)
        twice = sorted({name for (name, _), n in counts.items() if n > 1})
        if twice:
            raise FieldError(f"given twice: {', '.join(twice)}", "gates")
        return self

    @model_validator(mode="after")
    def _answers_apart(self) -> "SynthesisManifest":
        roles = (self.teacher, self.judge, self.reward)
        named = [posixpath.normpath(item.answers) for item in roles if item and item.answers]
        if len(set(named)) < len(named):
            raise ValueError("answers: teacher, judge and reward model ask at once, so each needs a file of its own")
        return self
