"""The manifest of an evaluation: which models, and by what they are judged."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from manifests.errors import FieldError
from manifests.schema import Model, Name, path_alone
from manifests.schema_mixture import Share
from manifests.schema_teacher import ArgumentName, Teacher, VariableName
from manifests.schema_training_gates import ANSWERS, Validation

BENCHMARKS = (
    "mmlu",
    "mmlu-cot",
    "mmlu-pro",
    "kmmlu",
    "kmmlu-cot",
    "haerae",
    "haerae-cot",
    "kobest-boolq",
    "kobest-copa",
    "kobest-wic",
    "kobest-hellaswag",
    "kobest-sentineg",
    "click",
    "belebele-en",
    "belebele-ko",
    "bbh",
    "gsm8k",
    "gsm8k-cot",
    "math",
    "math-cot",
    "humaneval",
    "humaneval-instruct",
    "humaneval-plus",
    "humaneval-plus-instruct",
    "mbpp",
    "mbpp-plus",
    "ifeval",
    "ifeval-ko",
)
"""Benchmarks that Onggi knows: their columns, prompts, shots and how answers are read (`training.benchmarks`)."""


class VllmServer(Model):
    """vLLM, whose server is started on this machine for each model and stopped after it."""

    python: str | None = None
    """Interpreter that has vLLM, as .venv-vllm/bin/python; without it, the one that Onggi runs on. Relative paths
    start at the manifest's folder."""
    args: dict[ArgumentName, bool | int | float | str] = Field(default_factory=dict)
    """vLLM's flags without their dashes, as {max_model_len: 4096, dtype: bfloat16}."""
    env: dict[VariableName, str] = Field(default_factory=dict)
    """Further variables of its environment."""
    startup_s: float = Field(600.0, gt=0)
    """How long it may take until it answers."""
    concurrency: int = Field(32, ge=1, le=4096)
    """Most requests in flight."""


class Benchmark(Model):
    """Questions that a model answers: of a known benchmark, or any task of lm-eval."""

    name: Name
    """Name of the result, and of the benchmark where `task` is left out."""
    task: str | None = None
    """Which benchmark, where `name` is another."""
    lm_eval: str | None = None
    """Instead: a task of lm-eval by its name there, or a YAML file of one; its own shots and prompts hold."""
    data: str | None = None
    """Parquet or JSONL with the questions, in the columns of the dataset as published: a file, a folder or a glob.
    Relative paths start at the manifest's folder. Without it, the dataset is taken from the hub."""
    examples: str | None = None
    """Where worked examples (shots) come from, in the same columns; without it, what the hub has for them. A question
    is never its own example."""
    shots: int | None = Field(None, ge=0, le=100)
    """Worked examples before a question; without it, as many as the reports take."""
    chat: bool | None = None
    """Ask in the model's chat template; without it, as the model says, but never where choices are compared by their
    log-likelihood."""
    limit: int | None = Field(None, ge=1)
    """Questions that are taken: always the same ones."""
    max_new_tokens: int | None = Field(None, ge=1)
    """Longest answer; without it, as the benchmark has it."""
    side: Literal["core", "chat"] | None = None
    """On which side of the table it stands; without it, as the benchmark has it: `chat` for those of a judge and of
    instructions, `core` for the others."""

    @model_validator(mode="after")
    def _is_known(self) -> "Benchmark":
        if self.lm_eval is not None:
            if self.task is not None:
                raise FieldError("is a task of its own; leave `task` out", "lm_eval")
            if self.examples is not None and self.data is None:
                raise FieldError("stand beside `data`; without it, the task's own are taken", "examples")
            return self
        named = self.task or self.name
        if named not in BENCHMARKS:
            at = "task" if self.task else "name"
            raise FieldError(
                f"`{named}` is no benchmark; valid: {', '.join(BENCHMARKS)}; or name one of lm-eval's in `lm_eval`",
                at,
            )
        return self


def _name_alone(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


BenchmarkField = Annotated[Benchmark, BeforeValidator(_name_alone, json_schema_input_type=str | Benchmark)]


class Needle(Model):
    """A sentence hidden in a long text, at each depth of each length; the model is asked for what it says."""

    lengths: list[Annotated[int, Field(ge=64)]] = Field(min_length=1)
    """Tokens of the whole prompt, by the model's own tokenizer."""
    depths: list[Share] = Field(default=[0.0, 0.25, 0.5, 0.75, 1.0], min_length=1)
    """Where the needle stands, as a share of the text before it."""
    languages: list[Literal["ko", "en"]] = Field(default=["ko", "en"], min_length=1)
    """Of the text, the needle and the question."""
    n: int = Field(5, ge=1, le=1000)
    """Needles per cell of the grid, each another one in another stretch of text."""
    haystack: dict[Literal["ko", "en"], str] = Field(default_factory=dict)
    """Text of each language: Parquet or JSONL with `text`. Without it, the sample that comes with Onggi, which is
    gone through again where it is too short."""
    chat: bool | None = None
    """Ask in the model's chat template; without it, as the model says."""
    max_new_tokens: int = Field(32, ge=1)
    """Longest answer."""

    @field_validator("lengths", "depths", "languages")
    @classmethod
    def _named_once(cls, values: list[Any]) -> list[Any]:
        if len(set(values)) != len(values):
            raise ValueError(f"found {values}; name each once")
        return values


class Judged(Model):
    """Answers that a judge scores from 1 to 10: LogicKor, MT-bench and their kin."""

    name: Name
    """Name of the result."""
    form: Literal["logickor", "mt-bench", "komt-bench", "wildbench"]
    """Columns of the questions, prompt of the judge, and how its answer is read."""
    data: str = Field(min_length=1)
    """JSONL or Parquet with the questions, in the columns of the dataset as published. Relative paths start at the
    manifest's folder."""
    judge: Teacher
    """Who judges. Its answers are kept: none is paid twice."""
    pairwise: str | None = None
    """Instead of scores: a model of the manifest against which each answer is held; in both orders, and a verdict
    that changes with the order is a tie."""
    limit: int | None = Field(None, ge=1)
    """Questions that are taken: always the same ones."""
    temperature: float | None = Field(None, ge=0, le=2)
    """How the model's answers are drawn; without it, as the benchmark has it."""
    max_new_tokens: int = Field(1024, ge=1)
    """Longest answer of the model."""


def _engine_alone(value: Any) -> Any:
    """An engine that is written as its name alone."""
    if isinstance(value, str) and value not in ("transformers", "vllm"):
        raise ValueError(f"found `{value}`; valid: transformers, vllm, or {{python, args, ...}} of vLLM")
    return {} if value == "vllm" else value


class Evaluations(Model):
    """By what models are judged, beside the loss on held-out text."""

    benchmarks: list[BenchmarkField] = Field(default_factory=list)
    """Questions with right answers: a name, or {name, data, shots, ...}."""
    needle: Needle | None = None
    """A grid of hidden sentences, by length and depth."""
    judged: list[Judged] = Field(default_factory=list)
    """Answers that a judge scores."""
    engine: Annotated[
        Literal["transformers"] | VllmServer,
        BeforeValidator(_engine_alone, json_schema_input_type=str | VllmServer),
    ] = "transformers"
    """Who computes: `transformers` in a process of its own, or vLLM: `vllm`, or {python, args, ...}."""
    batch: int = Field(8, ge=1)
    """Of `transformers`: prompts that go through the model at once."""

    def names(self) -> list[str]:
        """The names of all results."""
        asked = [item.name for item in self.benchmarks]
        return [*asked, *(item.name for item in self.judged), *([NEEDLE] if self.needle else [])]

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Evaluations":
        refuse_twice(self.names(), [])
        return self


NEEDLE = "needle"
"""Name of the grid's result."""


def refuse_twice(names: Sequence[str], others: Sequence[str]) -> None:
    """Refuse a name that stands for two results.

    Raises:
        ValueError: one does.
    """
    seen = {ANSWERS, *others}
    for name in names:
        if name in seen:
            raise ValueError(f"`{name}` is the name of two results, or means something else; give another `name`")
        seen.add(name)


class EvaluatedModel(Model):
    """A model that is judged."""

    name: Name
    """What tables call it."""
    path: str = Field(min_length=1)
    """Its folder: safetensors, `config.json` and the tokenizer. Relative paths start at the manifest's folder."""
    chat: bool = False
    """Whether it is asked in its chat template where a benchmark leaves that open."""


class EvaluationOutput(Model):
    """Where an evaluation goes."""

    path: str = Field(min_length=1)
    """A folder on this machine. Relative paths start at the manifest's folder."""


class EvaluationManifest(Evaluations):
    """Models in; tables of what they can do, with intervals, and a report out (`onggi eval`)."""

    kind: Literal["evaluation"]
    """What this manifest declares."""
    name: Name
    """Name of the evaluation."""
    models: list[EvaluatedModel] = Field(min_length=1)
    """What is judged."""
    compare_with: Name | None = None
    """The model that the others are compared with; without it, the first one."""
    validation: list[Validation] = Field(default_factory=list)
    """Held-out text and plain multiple choice, as in a training: loss and bits per byte of each language."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 where a GPU has it, else float32."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Of what is drawn: examples, needles, answers at a temperature."""
    threads: int | None = Field(None, ge=1)
    """Threads on a CPU; without it, as many as there are cores."""
    output: Annotated[EvaluationOutput, BeforeValidator(path_alone, json_schema_input_type=str | EvaluationOutput)]
    """Folder of the run."""

    @model_validator(mode="after")
    def _there_is_something_to_do(self) -> "EvaluationManifest":
        if not self.names() and not self.validation:
            raise ValueError("nothing is measured: name `benchmarks`, `needle`, `judged` or `validation`")
        refuse_twice(self.names(), [item.name for item in self.validation])
        models = [model.name for model in self.models]
        for number, name in enumerate(models):
            if name in models[:number]:
                raise FieldError(f"{name!r} is used twice", "models", number, "name")
        if self.compare_with is not None and self.compare_with not in models:
            raise FieldError(f"{self.compare_with!r} is none of `models`: {', '.join(models)}", "compare_with")
        for number, item in enumerate(self.judged):
            if item.pairwise is not None and item.pairwise not in models:
                raise FieldError(
                    f"{item.pairwise!r} is none of `models`: {', '.join(models)}", "judged", number, "pairwise"
                )
        return self
