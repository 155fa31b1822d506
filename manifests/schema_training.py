"""The manifest of a training: stages, each on from what an earlier one wrote, and what must hold between them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.errors import FieldError
from manifests.schema import Model, Name, path_alone
from manifests.schema_distillation import Distill
from manifests.schema_embedding import Contrast, Mntp
from manifests.schema_evaluation import NEEDLE, Evaluations, refuse_twice
from manifests.schema_merge import MergeRule
from manifests.schema_surgery import Init, NewModel, Prune, Upscale
from manifests.schema_training_gates import (
    AccuracyGate,
    LengthBiasGate,
    LossGate,
    NeedleGate,
    PlateauGate,
    Prompts,
    RetrievalGate,
    RewardDriftGate,
    ScoreGate,
    TrainingGate,
    Validation,
)
from manifests.schema_training_preferences import Dpo, OnlineDpo, Reward
from manifests.schema_training_stages import Cpt, Sft, Stage

BASE = "base"
"""What stages call the model that the training begins with."""
RESERVED = (BASE, "before", "parents", "model", "reference", "answers")
"""What a stage cannot be called, since it is what gates, stages and judges call a model by its part."""


class Merge(Stage):
    """Models become one, tensor by tensor."""

    kind: Literal["merge"]
    """What the stage does."""
    rule: MergeRule
    """What is merged with what, and how."""
    sweep: list[Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=list)
    """Of `slerp` and `linear`: values of `t` that are tried, as [0.3, 0.5, 0.7]; each is measured by the manifest's
    `validation`, and drawn. What the stage makes has the rule's own `t`."""


TrainingStage = Annotated[
    Cpt | Sft | Reward | Dpo | OnlineDpo | Distill | Merge | Init | Upscale | Prune | Mntp | Contrast,
    Field(discriminator="kind"),
]
MAKES_POLICY = ("cpt", "sft", "dpo", "online_dpo", "distill", "merge", "init", "upscale", "prune")
"""Stages that make a language model."""
MAKES_ENCODER = ("mntp", "contrast")
"""Stages that make an encoder."""
WITHOUT_TRAINING = ("merge", "init", "upscale", "prune")
"""Stages that have no loss of training, and are run by one process."""
Role = Literal["policy", "reward", "encoder"]
IN_WORDS: dict[str, str] = {"policy": "a language model", "reward": "a reward model", "encoder": "an encoder"}


class TrainingOutput(Model):
    """Where a training goes."""

    path: str = Field(min_length=1)
    """A folder on this machine. Relative paths start at the manifest's folder."""


class TrainingManifest(Model):
    """A base model in; a model after each stage, its measures, curves and a report out (`onggi train`)."""

    kind: Literal["training"]
    """What this manifest declares."""
    name: Name
    """Name of the training."""
    base: Annotated[str, Field(min_length=1)] | NewModel
    """Folder of the model that it begins with: safetensors, `config.json` and the tokenizer. Or how a new one is
    built, for training from scratch: {tokenizer, hidden_size, ...}."""
    stages: list[TrainingStage] = Field(min_length=1)
    """What is done, in this order."""
    validation: list[Validation] = Field(default_factory=list)
    """What is measured on the base and after each stage that makes a language model."""
    prompts: Annotated[Prompts, BeforeValidator(path_alone, json_schema_input_type=str | Prompts)] | None = None
    """What answers are drawn for after each such stage: a path, or {path, limit, ...}."""
    reward: str | None = None
    """What scores those answers: a stage or a folder. Without it, the last reward stage, if there is one."""
    evaluation: Evaluations | None = None
    """Benchmarks, hidden sentences and judged answers by which the base and each stage's model are measured; gates
    may name them."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Of the order of data, of what is drawn, and of new weights."""
    threads: int | None = Field(None, ge=1)
    """Threads of a process on a CPU; without it, as many as there are cores. Results are the same to the last bit
    only with the same number."""
    report_to: list[Literal["tensorboard", "wandb"]] = Field(default_factory=list)
    """Where else curves go, by transformers' own callbacks."""
    output: Annotated[TrainingOutput, BeforeValidator(path_alone, json_schema_input_type=str | TrainingOutput)]
    """Folder of the run."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> "TrainingManifest":
        for what, items in (("stages", self.stages), ("validation", self.validation)):
            names = [item.name for item in items]
            for number, name in enumerate(names):
                if name in names[:number]:
                    raise FieldError(f"{name!r} is used twice", what, number, "name")
                if what == "stages" and name in RESERVED:
                    raise FieldError(f"{name!r} means something else; give another name", what, number, "name")
        if self.evaluation is not None:
            refuse_twice(self.evaluation.names(), [item.name for item in self.validation])
            for number, item in enumerate(self.evaluation.judged):
                if item.pairwise is not None:
                    raise FieldError(
                        "is for `onggi eval`; stages are compared by their scores",
                        *("evaluation", "judged", number, "pairwise"),
                    )
        return self

    @model_validator(mode="after")
    def _stages_name_what_is_there(self) -> "TrainingManifest":
        """That each name of a stage stands for an earlier one; what has a `/` or a `.` is a folder."""
        for number, stage in enumerate(self.stages):
            made = {earlier.name: earlier.kind for earlier in self.stages[:number]}
            for *field, name, wanted in named_models(stage):
                if name == BASE or not _is_name(name):
                    continue
                if name not in made:
                    known = ", ".join([BASE, *made])
                    said = f"{name!r} is no earlier stage; valid: {known}, or a folder (`./{name}`)"
                    raise FieldError(said, "stages", number, *field)
                if (found := role_of(made[name])) not in wanted:
                    wants = " or ".join(IN_WORDS[role] for role in wanted)
                    said = f"{name!r} makes {IN_WORDS[found]}, and this takes {wants}"
                    raise FieldError(said, "stages", number, *field)
        if self.reward is not None and _is_name(self.reward):
            rewards = [stage.name for stage in self.stages if stage.kind == "reward"]
            if self.reward not in rewards:
                known = ", ".join(rewards) or "there is none"
                raise FieldError(f"{self.reward!r} is no stage that makes a reward model; valid: {known}", "reward")
        return self

    @model_validator(mode="after")
    def _gates_can_be_judged(self) -> "TrainingManifest":
        for number, stage in enumerate(self.stages):
            for place, gate in enumerate(stage.gates):
                if said := self._cannot(number, gate):
                    raise FieldError(said[0], "stages", number, "gates", place, said[1])
            if isinstance(stage, Merge) and stage.sweep:
                if stage.rule.method not in ("slerp", "linear") or len(stage.rule.models) != 2:
                    raise FieldError("is for `slerp` and `linear` of two models", "stages", number, "sweep")
                if not any(item.choices is None for item in self.validation):
                    raise FieldError(
                        "is measured by `validation`, and the manifest has none", "stages", number, "sweep"
                    )
        return self

    def _cannot_find(self, gate: NeedleGate) -> tuple[str, str] | None:
        """Why a gate of the grid cannot be judged."""
        grid = self.evaluation.needle if self.evaluation else None
        if grid is None:
            return f"it judges `evaluation.{NEEDLE}`, and there is none", "gate"
        if unknown := [length for length in gate.lengths if length not in grid.lengths]:
            return f"the grid has no length {unknown[0]}; valid: {', '.join(map(str, grid.lengths))}", "lengths"
        if unknown_languages := [name for name in gate.languages if name not in grid.languages]:
            return f"the grid has no {unknown_languages[0]}; valid: {', '.join(grid.languages)}", "languages"
        return None

    def _cannot(self, number: int, gate: TrainingGate) -> tuple[str, str] | None:
        """Why a gate of a stage cannot be judged, and in which field that lies."""
        stage, earlier = self.stages[number], self.stages[:number]
        if (gate.gate == "reward_accuracy") != (stage.kind == "reward"):
            return f"a stage of kind `{stage.kind}` makes no measure for it", "gate"
        if stage.kind in MAKES_ENCODER and not isinstance(gate, RetrievalGate):
            return f"a stage of kind `{stage.kind}` makes an encoder, which only `retrieval` judges", "gate"
        if isinstance(gate, RetrievalGate) and (unfit := _cannot_search(stage, gate)):
            return unfit
        if isinstance(stage, Reward) and not stage.held_out:
            return "it judges held-out pairs, and the stage's `held_out` is 0", "gate"
        if isinstance(gate, LossGate | AccuracyGate | PlateauGate):
            sets = {item.name: item.choices is not None for item in self.validation}
            suits = [name for name, is_choice in sets.items() if is_choice == isinstance(gate, AccuracyGate)]
            if gate.set not in suits:
                return f"{gate.set!r} is no set of `validation` that it can judge; valid: {', '.join(suits)}", "set"
        if isinstance(gate, ScoreGate):
            named = self.evaluation.names() if self.evaluation else []
            if gate.of not in named:
                valid = ", ".join(named) or "there is none"
                return f"{gate.of!r} is no result of the manifest's `evaluation`; valid: {valid}", "of"
        if isinstance(gate, NeedleGate) and (unfit := self._cannot_find(gate)):
            return unfit
        if isinstance(gate, PlateauGate) and stage.kind in WITHOUT_TRAINING:
            return f"a stage of kind `{stage.kind}` has no loss of training", "gate"
        if isinstance(gate, PlateauGate) and _is_name(gate.teacher):
            models = [BASE, *(item.name for item in earlier if item.kind in MAKES_POLICY)]
            if gate.teacher not in models:
                said = f"{gate.teacher!r} is no earlier stage; valid: {', '.join(models)}, or a folder"
                return f"{said} (`./{gate.teacher}`)", "teacher"
        if isinstance(gate, LengthBiasGate | RewardDriftGate):
            if self.prompts is None:
                return "it judges answers to the manifest's `prompts`, and there are none", "gate"
            if self.reward is None and not any(item.kind == "reward" for item in earlier):
                return "no reward stage comes before, and the manifest names no `reward` model", "gate"
            if self.reward in [item.name for item in self.stages[number:]]:
                return f"the manifest's `reward`, {self.reward!r}, is made after this stage", "gate"
        against = getattr(gate, "against", "before")
        known = ["before", BASE, *(["parents"] if stage.kind == "merge" else [])]
        known += [item.name for item in earlier if item.kind in MAKES_POLICY]
        if against not in known or (against == "before" and stage.kind == "merge"):
            known = [name for name in known if name != "before" or stage.kind != "merge"]
            return f"found `{against}`; valid: {', '.join(known)}", "against"
        return None


def _cannot_search(stage: TrainingStage, gate: RetrievalGate) -> tuple[str, str] | None:
    """Why a gate of retrieval cannot be judged."""
    if not isinstance(stage, Contrast):
        return f"a stage of kind `{stage.kind}` makes no measure for it", "gate"
    if gate.set is None:
        return None if stage.held_out else ("it judges held-out questions, and the stage's `held_out` is 0", "gate")
    names = [item.name for item in stage.retrieval]
    valid = ", ".join(names) or "there is none"
    return None if gate.set in names else (f"{gate.set!r} is none of the stage's `retrieval`; valid: {valid}", "set")


def _is_name(model: str) -> bool:
    """Whether it is the name of a stage, as it has to be where it is no path."""
    return "/" not in model and "." not in model and "\\" not in model and not model.startswith("~")


def role_of(kind: str) -> Role:
    """What a stage of a kind makes."""
    if kind == "reward":
        return "reward"
    return "encoder" if kind in MAKES_ENCODER else "policy"


def named_models(stage: TrainingStage) -> Iterator[tuple[Any, ...]]:
    """The models that a stage names: their field, the name, and which roles may stand there."""
    policy, reward = ("policy",), ("reward",)
    if isinstance(stage, Merge):
        yield from (("rule", "models", n, "model", item.model, policy) for n, item in enumerate(stage.rule.models))
        if stage.rule.base is not None:
            yield "rule", "base", stage.rule.base, policy
        return
    if stage.model is not None:
        yield "model", stage.model, ("policy", "encoder") if isinstance(stage, Contrast) else policy
    if isinstance(stage, Dpo | OnlineDpo) and stage.reference is not None:
        yield "reference", stage.reference, policy
    if isinstance(stage, Distill | Prune) and stage.teacher is not None:
        yield "teacher", stage.teacher, policy
    if isinstance(stage, OnlineDpo):
        yield "reward", stage.reward, reward
    if isinstance(stage, Reward) and stage.best_of_n is not None:
        choice = stage.best_of_n
        yield from (("best_of_n", "candidates", n, name, reward) for n, name in enumerate(choice.candidates))
        if choice.judge != "answers":
            yield "best_of_n", "judge", choice.judge, reward
