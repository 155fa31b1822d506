"""Manifests of experiments: runs that follow on each other, once per arm and seed, and what they are compared by.

A step is a manifest of any kind that a command runs. What an earlier step made is named by `step:NAME`, which stands
for its folder, `step:NAME/PATH` for something in it, and `step:NAME.STAGE` for the model that a stage of a training
made. Nothing else is replaced, and nothing is executed.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.errors import FieldError
from manifests.schema import Model, Name, path_alone
from manifests.schema_mixture import Share

STEP = re.compile(r"step:(?P<step>[A-Za-z][A-Za-z0-9_-]*)(?:\.(?P<stage>[A-Za-z][A-Za-z0-9_-]*))?(?P<path>/.*)?")
"""What names something that an earlier step made."""
POINT = re.compile(r"(?P<step>[A-Za-z][A-Za-z0-9_-]*)(?:\.(?P<stage>[A-Za-z][A-Za-z0-9_-]*))?")


class NewTokenizer(Model):
    """A tokenizer that is trained as a step; see `onggi tokenizer train`."""

    text: list[str] = Field(min_length=1)
    """Runs of `onggi curate`, or files (Parquet, JSONL) with a column `text`."""
    vocab_size: int = Field(ge=300)
    """Tokens."""
    korean: Share | None = None
    """Share of Korean in what it learns from; without it, the share that there is."""
    bytes_max: int = Field(1 << 30, ge=1000)
    """Bytes of text that it learns from."""
    digits: Literal["single", "triples"] = "triples"
    """How many digits a token may hold."""
    special: list[str] = Field(default_factory=lambda: ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"])
    """Special tokens; the first ends a document, the second pads."""


class Step(Model):
    """A run of a manifest."""

    name: Name
    """Name of the step."""
    manifest: str | dict[str, Any] | None = None
    """What is run: a manifest that is written here, a path, or the name of a recipe. `name` and `output` are given by
    the experiment. Or `tokenizer`."""
    tokenizer: NewTokenizer | None = None
    """Instead: a tokenizer is trained."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Other values of its fields, as {stages.cpt.learning_rate: 1e-4}."""
    seeds: bool | None = None
    """Whether each seed of the experiment makes a run of its own, with that `seed`. Without it, mixtures and
    trainings do, and what goes on from them; corpora, tokenizers and synthetic data are the same for all. A training
    reads a mixture in its order, so that a mixture which is the same for all may leave seeds nothing to differ in."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Step":
        if (self.manifest is None) == (self.tokenizer is None):
            raise ValueError("name one of `manifest` and `tokenizer`")
        if self.tokenizer is not None and (self.set or self.seeds):
            raise ValueError("`set` and `seeds` are for a `manifest`")
        return self


class _Experiment(Model):
    """What all experiments have."""

    name: Name
    """Name of the experiment."""
    title: str = ""
    """What its page is called."""
    about: str = ""
    """What it is to find out, for its page."""
    steps: list[Step] = Field(min_length=1)
    """What is run, in this order."""
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(default=[0, 1, 2], min_length=1)
    """Seeds, each of which is a run; what differs between arms is judged by how it differs between these."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Of the intervals."""
    output: Annotated[
        "ExperimentOutput", BeforeValidator(path_alone, json_schema_input_type="str | ExperimentOutput")
    ]
    """Folder of the experiment."""

    @model_validator(mode="after")
    def _steps_name_what_is_there(self) -> "_Experiment":
        if len(set(self.seeds)) < len(self.seeds):
            raise FieldError("a seed is there twice", "seeds")
        for number, step in enumerate(self.steps):
            before = [earlier.name for earlier in self.steps[:number]]
            if step.name in before:
                raise FieldError(f"{step.name!r} is used twice", "steps", number, "name")
            given: list[tuple[str, Any]] = [("set", step.set)]
            if isinstance(step.manifest, dict):
                given.append(("manifest", step.manifest))
            if step.tokenizer is not None:
                given.append(("tokenizer", step.tokenizer.text))
            for field, value in given:
                for found in steps_named(value):
                    if found["step"] not in before:
                        said = f"{found[0]!r} names no earlier step; valid: {', '.join(before) or 'there is none'}"
                        raise FieldError(said, "steps", number, field)
        return self

    def check_point(self, point: str, *at: str | int) -> None:
        """That STEP or STEP.STAGE names a step, and where its manifest is written here, a stage of it.

        Raises:
            FieldError: it does not.
        """
        found = POINT.fullmatch(point)
        steps = {step.name: step for step in self.steps}
        if found is None or found["step"] not in steps:
            raise FieldError(f"{point!r} names no step; valid: {', '.join(steps)} (or STEP.STAGE)", *at)
        manifest = steps[found["step"]].manifest
        stages = manifest.get("stages") if isinstance(manifest, dict) else None
        names = [one.get("name") for one in stages if isinstance(one, dict)] if isinstance(stages, list) else None
        if found["stage"] and names is not None and found["stage"] not in (*names, "base"):
            said = f"{point!r} names no stage of {found['step']}; valid: {', '.join(map(str, names))}"
            raise FieldError(said, *at)


class ExperimentOutput(Model):
    """Where an experiment goes."""

    path: str = Field(min_length=1)
    """A folder on this machine. Relative paths start at the manifest's folder."""


def steps_named(value: Any) -> Iterator[re.Match[str]]:
    """Everything in a value that names something which a step made."""
    if isinstance(value, str):
        if found := STEP.fullmatch(value):
            yield found
    elif isinstance(value, dict):
        for item in value.values():
            yield from steps_named(item)
    elif isinstance(value, list):
        for item in value:
            yield from steps_named(item)


# Ablations


class Arm(Model):
    """One of the things that are compared."""

    name: Name
    """Name of the arm."""
    title: str = ""
    """What it is, in a few words."""
    set: dict[str, Any] = Field(default_factory=dict)
    """What is other in it, by step and field, as {mix.sources.web.where: "edu_score >= 3"}."""
    of: str | None = None
    """Which model it is judged by, as STEP.STAGE; without it the ablation's `of`. Stages that it does not go back to
    are not run."""


class AblationManifest(_Experiment):
    """Runs that differ in what is asked about; a table and a plot with intervals out (`onggi ablate`)."""

    kind: Literal["ablation"]
    """What this manifest declares."""
    of: str
    """Which model arms are judged by: STEP.STAGE of a training; or STEP, an evaluation or the last stage of a
    training."""
    arms: list[Arm] = Field(default_factory=list)
    """What is compared. Or `grid`."""
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    """Instead: values of fields, as {train.stages.merged.rule.t: [0.3, 0.5, 0.7]}; every combination is an arm."""
    baseline: str | None = None
    """The arm that others are compared with, seed by seed; without it, the first."""
    measures: list[str] = Field(default_factory=list)
    """What is compared, as `ko.bits_per_byte`, `kmmlu.acc`, `answers.reward_mean`, `figures.NAME` (of the stage),
    `counts.NAME`; without it all that models were measured by, of a benchmark its main score."""

    @model_validator(mode="after")
    def _arms_can_be_compared(self) -> "AblationManifest":
        if bool(self.arms) == bool(self.grid):
            raise ValueError("name one of `arms` and `grid`")
        names = [arm.name for arm in self.arms]
        for number, arm in enumerate(self.arms):
            if arm.name in names[:number]:
                raise FieldError(f"{arm.name!r} is used twice", "arms", number, "name")
            self._check_fields(arm.set, "arms", number, "set")
            if arm.of is not None:
                self.check_point(arm.of, "arms", number, "of")
        for field, values in self.grid.items():
            if not values:
                raise FieldError("has no values", "grid", field)
        self._check_fields(self.grid, "grid")
        if self.baseline is not None and self.arms and self.baseline not in names:
            raise FieldError(f"{self.baseline!r} is no arm; valid: {', '.join(names)}", "baseline")
        self.check_point(self.of, "of")
        return self

    def _check_fields(self, fields: dict[str, Any], *at: str | int) -> None:
        steps = [step.name for step in self.steps]
        for field in fields:
            if field.partition(".")[0] not in steps or "." not in field:
                said = f"{field!r} names no field of a step; expected STEP.FIELD with one of {', '.join(steps)}"
                raise FieldError(said, *at, field)


# The ladder


class Rung(Model):
    """What a step of the ladder is to bring."""

    name: Name
    """Name of the rung."""
    title: str = ""
    """What is done, in a few words."""
    of: str
    """What it made: STEP, or STEP.STAGE."""
    against: str | None = None
    """What that is compared with, seed by seed: STEP or STEP.STAGE; without it, it is only shown."""
    measures: list[str] = Field(default_factory=list)
    """By what, as of an ablation; without it all that both were measured by."""
    expect: dict[str, Literal["lower", "higher", "same"]] = Field(default_factory=dict)
    """What the papers let one expect of a measure; the page tells in how many seeds it holds."""
    note: str = ""
    """For the page: where the expectation comes from, or what this size cannot show."""


class LadderManifest(_Experiment):
    """All that the reports do, once, small: a page with what each rung brought (`onggi ladder`)."""

    kind: Literal["ladder"]
    """What this manifest declares."""
    rungs: list[Rung] = Field(min_length=1)
    """What is told of it, in this order."""

    @model_validator(mode="after")
    def _rungs_stand(self) -> "LadderManifest":
        names = [rung.name for rung in self.rungs]
        for number, rung in enumerate(self.rungs):
            if rung.name in names[:number]:
                raise FieldError(f"{rung.name!r} is used twice", "rungs", number, "name")
            self.check_point(rung.of, "rungs", number, "of")
            if rung.against is not None:
                self.check_point(rung.against, "rungs", number, "against")
            for measure in rung.expect:
                if rung.against is None:
                    raise FieldError("there is nothing to compare with; name `against`", "rungs", number, "expect")
                if rung.measures and measure not in rung.measures:
                    raise FieldError(f"{measure!r} is not among its `measures`", "rungs", number, "expect")
        return self
