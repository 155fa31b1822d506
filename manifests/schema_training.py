"""The manifest of a training: stages, each on from what an earlier one wrote, and what must hold between them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from manifests.errors import FieldError
from manifests.schema import Model, Name, path_alone
from manifests.schema_merge import MergeRule
from manifests.schema_mixture import Share, Tokens
from manifests.schema_training_gates import (
    AccuracyGate,
    LengthBiasGate,
    LossGate,
    PlateauGate,
    Prompts,
    RewardDriftGate,
    TrainingGate,
    Validation,
)
from manifests.schema_training_steps import Checkpoints, Lora, Optimizer, Schedule, ScheduleField

BASE = "base"
"""What stages call the model that the training begins with."""
RESERVED = (BASE, "before", "parents", "model", "reference", "answers")
"""What a stage cannot be called, since it is what gates, stages and judges call a model by its part."""


class _Stage(Model):
    """What all stages have."""

    name: Name
    """Name of the stage, and of what it makes."""
    gates: list[TrainingGate] = Field(default_factory=list)
    """What must hold before the next stage starts. Where one fails, the run stops with the figures and keeps what the
    stage made."""


class Trained(_Stage):
    """What all stages that train have."""

    model: str | None = None
    """What it goes on from: `base`, the name of a stage, or a folder. Without it, the last stage before that makes a
    language model, or the base."""
    learning_rate: float = Field(2e-5, gt=0, allow_inf_nan=False)
    """Peak of the learning rate."""
    schedule: ScheduleField = Schedule()
    """How the learning rate goes: `cosine`, or {kind, warmup, ...}."""
    optimizer: Optimizer = Optimizer()
    """Of AdamW."""
    batch: int = Field(16, ge=1)
    """Sequences, examples, pairs or prompts per step, of all processes together."""
    micro_batch: int | None = Field(None, ge=1)
    """How many of them a process takes at once; gradients of the rest of its share are added up. Without it, all."""
    epochs: float = Field(1.0, gt=0, allow_inf_nan=False)
    """How often the data is gone through."""
    steps: int | None = Field(None, ge=1)
    """Steps, instead of epochs."""
    lora: Lora | None = None
    """Low-rank adaptation; without it all weights are trained."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 where a GPU has it, else float32. Weights and the optimiser's state are always float32."""
    recompute: bool = False
    """Compute activations again in the backward pass instead of keeping them (gradient checkpointing)."""
    checkpoints: Checkpoints = Checkpoints()
    """What a killed run goes on from."""


# Continued pre-training


class _MixturePart(Model):
    """Sequences of a token mixture."""

    path: str = Field(min_length=1)
    """Folder of `onggi mix`. Relative paths start at the manifest's folder."""
    stage: Name | None = None
    """One of the mixture's stages; without it, all of them in their order."""
    balance_lengths: list[Annotated[int, Field(ge=1)]] | None = Field(None, min_length=1)
    """Edges of length, in tokens, as [2048, 8192, 32768]: sequences are drawn so that each range of their longest
    document has an equal share of the tokens. None is drawn more than four times for that; ranges that cannot reach
    their share leave it to the others."""

    @field_validator("balance_lengths")
    @classmethod
    def _edges_rise(cls, edges: list[int] | None) -> list[int] | None:
        if edges is not None and edges != sorted(set(edges)):
            raise ValueError(f"found {edges}; expected numbers that rise")
        return edges


class MixtureUse(_MixturePart):
    """A token mixture that is trained on, or a part of one."""

    tokens: Tokens | None = None
    """How many of its tokens; without it, all. More than it has goes through it again, in another order. The last
    sequence is not cut."""


def _mixtures(value: Any) -> Any:
    """Mixtures that are written as their paths alone, as a list of mappings."""
    return [path_alone(item) for item in value] if isinstance(value, list) else [path_alone(value)]


class Replay(_MixturePart):
    """A mixture of which a share stands among the others', so that what it holds is not forgotten."""

    share: Annotated[Share, Field(gt=0, lt=1)]
    """Share of all tokens of the stage. What it takes beyond the mixture goes through it again, in another order."""


class Yarn(Model):
    """YaRN: frequencies of RoPE stretched by ranges."""

    factor: float = Field(gt=1)
    """How many times longer the context becomes."""
    original: int | None = Field(None, ge=1)
    """Length that the model was trained for; without it, what its configuration says."""
    beta_fast: float = Field(32.0, gt=0)
    """Rotations above which a frequency stays as it is."""
    beta_slow: float = Field(1.0, gt=0)
    """Rotations below which it is stretched by the whole factor."""


class Context(Model):
    """A longer context."""

    length: int = Field(ge=8)
    """Tokens that the model is then made for."""
    rope_theta: float | None = Field(None, gt=1)
    """Another base of RoPE's frequencies."""
    yarn: Yarn | None = None
    """YaRN on top."""


class DeepSeekLaw(Model):
    """Learning rate and batch by DeepSeek-LLM's law of the compute budget C (FLOPs): 0.3118 C^-0.125 and
    0.2920 C^0.3271 tokens."""

    law: Literal["deepseek"]
    """Which law."""
    compute: float | None = Field(None, gt=0, allow_inf_nan=False)
    """C; without it 6 N D of this stage: all of the model's weights, embeddings too, times its tokens."""


class Cpt(Trained):
    """Continued pre-training on packed sequences, in which documents do not see each other."""

    kind: Literal["cpt"]
    """What the stage does."""
    mixture: Annotated[
        list[MixtureUse], BeforeValidator(_mixtures, json_schema_input_type=str | list[str | MixtureUse])
    ] = Field(min_length=1)
    """Folder of a token mixture, or several {path, stage, tokens}, one after another: the data changes at the exact
    sequence."""
    replay: Replay | None = None
    """A mixture that is spread evenly among the others."""
    context: Context | None = None
    """Changes for a longer context."""
    law: DeepSeekLaw | None = None
    """Takes the place of `learning_rate`, and of `batch`."""
    z_loss: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Coefficient of the squared log of the softmax's sum, which keeps logits from drifting (Kanana: 5e-6)."""

    @model_validator(mode="after")
    def _law_has_its_compute(self) -> "Cpt":
        if self.law is not None and self.law.compute is None and self.steps is not None:
            raise FieldError(
                "`steps` of a batch that the law has yet to tell are no tokens; name it", "law", "compute"
            )
        return self


# Supervised fine-tuning


class ChatData(Model):
    """Conversations."""

    path: str = Field(min_length=1)
    """Parquet or JSONL (.gz, .zst): a file, a folder, a glob, or the folder of a run of `onggi synth`. Relative paths
    start at the manifest's folder."""
    domain: Name = "chat"
    """What they count as, as `code` or `maths`."""
    weight: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Share of these examples among all that are trained on, in any unit. As many are taken as have these shares and
    are there; none is taken twice. Without weights, all are taken."""
    where: str | None = None
    """SQL predicate over the columns; rows for which it is not true are left out."""
    limit: int | None = Field(None, ge=1)
    """How many rows are taken: a random sample, always the same one."""


class Sft(Trained):
    """Supervised fine-tuning on conversations, with a loss on the assistant's turns only."""

    kind: Literal["sft"]
    """What the stage does."""
    data: list[ChatData] = Field(min_length=1)
    """`messages` (and `tools`), or `prompt` and `completion`."""
    template: str | None = None
    """Chat template: `chatml`, `llama3`, `gemma`, or a Jinja file, best one with `{% generation %}`. Without it, the
    model's own. Control tokens that it writes and the tokenizer lacks are added."""
    max_length: int = Field(4096, ge=8)
    """Tokens per example; longer ones are cut at the end, and left out where nothing of the assistant remains."""
    packing: bool = True
    """Put several examples into a sequence, in which they do not see each other."""
    held_out: Share = 0.0
    """Share of each domain's examples that is not trained on, and measured before and after: whole prompts, always
    the same ones."""
    leave_one_out: bool = False
    """Also train once without each domain, and tell what each measure loses (Kanana, table 9); takes `held_out`."""

    @model_validator(mode="after")
    def _mixture_can_be_made(self) -> "Sft":
        if len({data.weight is None for data in self.data}) > 1:
            raise ValueError("data: give the `weight` of all entries, or of none")
        if self.leave_one_out and not self.held_out:
            raise ValueError("leave_one_out: there is nothing to measure; set `held_out`, as 5%")
        if self.leave_one_out and len({data.domain for data in self.data}) < 2:
            raise ValueError("leave_one_out: takes two domains or more; name the `domain` of each entry of `data`")
        return self


# Preferences


class PairData(Model):
    """Pairs of answers, of which one is preferred."""

    path: str = Field(min_length=1)
    """Parquet or JSONL (.gz, .zst) with `prompt`, `chosen` and `rejected`, texts or messages; or the folder of a run
    of `onggi synth`. Relative paths start at the manifest's folder."""
    domain: Name = "chat"
    """What they count as."""
    where: str | None = None
    """SQL predicate over the columns; rows for which it is not true are left out."""
    limit: int | None = Field(None, ge=1)
    """How many rows are taken: a random sample, always the same one."""


class BestOfN(Model):
    """Which of several reward models picks the best answers, as a judge of its own sees it (Kanana, section 3)."""

    prompts: str = Field(min_length=1)
    """Parquet or JSONL with `messages` or `prompt`, and `answer` where the judge is `answers`."""
    limit: int = Field(64, ge=1)
    """How many prompts are taken."""
    n: int = Field(8, ge=2, le=1024)
    """Answers that the policy draws for each."""
    temperature: float = Field(1.0, gt=0, le=2)
    """How they are drawn."""
    max_new_tokens: int = Field(256, ge=1)
    """Longest answer."""
    candidates: list[str] = Field(default_factory=list)
    """Other reward models: folders or stages. The best one becomes what this stage makes."""
    judge: str = Field(min_length=1)
    """`answers` (the final answer is right), or a reward model that is trusted: a folder or a stage."""


class Reward(Trained):
    """A reward model by Bradley and Terry's likelihood of preferences."""

    kind: Literal["reward"]
    """What the stage does."""
    data: list[PairData] = Field(min_length=1)
    """Pairs to learn from."""
    held_out: Share = 0.05
    """Share of the pairs by which its accuracy is measured."""
    max_length: int = Field(4096, ge=8)
    """Tokens of prompt and answer; longer pairs are left out."""
    margin: bool = False
    """Take the column `margin` from the difference of rewards: pairs with a greater one must lie further apart."""
    centering: float = Field(0.0, ge=0)
    """Coefficient of the squared sum of both rewards, which keeps their mean at 0."""
    best_of_n: BestOfN | None = None
    """Choose among reward models by what they pick."""


DpoLoss = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
    "sigmoid_norm",
]


SMOOTHED = ("robust", "exo_pair", "aot", "aot_unpaired")
"""Losses that take notice of `label_smoothing`."""


class Dpo(Trained):
    """Direct preference optimisation on pairs that are there. Defaults are DNA 1.0's."""

    kind: Literal["dpo"]
    """What the stage does."""
    data: list[PairData] = Field(min_length=1)
    """Pairs to learn from."""
    learning_rate: float = Field(1e-6, gt=0, allow_inf_nan=False)
    """Peak of the learning rate."""
    epochs: float = Field(2.0, gt=0, allow_inf_nan=False)
    """How often the pairs are gone through."""
    beta: float = Field(0.1, gt=0)
    """How strongly the policy is held to the reference."""
    loss: dict[DpoLoss, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default={"sigmoid": 1.0}, min_length=1
    )
    """TRL's losses and their weights, as {sigmoid: 1, sft: 0.2}. `aot` and `aot_unpaired` compare the pairs that a
    process takes at once with each other, so there `micro_batch` matters."""
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    """Share of the pairs that are taken to be the wrong way round: by `robust`, `exo_pair`, `aot`, `aot_unpaired`."""
    length_desensitization: float | None = Field(None, ge=0, le=1)
    """LD-DPO's alpha: weight of what the longer answer has beyond the shorter one's length."""
    reference: str | None = None
    """What the policy is held to: `base`, a stage or a folder. Without it, the model that it goes on from."""
    held_out: Share = 0.0
    """Share of the pairs by which margin and accuracy are measured."""
    max_length: int = Field(4096, ge=8)
    """Tokens of prompt and answer; longer pairs are left out."""

    @model_validator(mode="after")
    def _smoothing_is_used(self) -> "Dpo":
        smoothed = [name for name in self.loss if name in SMOOTHED]
        if self.label_smoothing and not smoothed:
            raise FieldError(
                f"none of the losses takes notice of it; valid with {', '.join(SMOOTHED)}", "label_smoothing"
            )
        if "exo_pair" in self.loss and not self.label_smoothing:
            raise FieldError("`exo_pair` needs one above 0, as 0.001", "label_smoothing")
        return self


class OnlineDpo(Trained):
    """DPO on answers that the policy draws itself and a reward model ranks; the reference stays what it is."""

    kind: Literal["online_dpo"]
    """What the stage does."""
    prompts: str = Field(min_length=1)
    """Parquet or JSONL with `messages` or `prompt`: a file, a folder or a glob."""
    reward: str = Field(min_length=1)
    """The reward model: a stage or a folder."""
    reference: str | None = None
    """What the policy is held to, for the whole stage. Without it, the model that it goes on from: Kanana's is the
    offline-DPO model, since a reference that follows the policy made answers longer."""
    refresh_reference: int | None = Field(None, ge=1)
    """Take the policy as the new reference every so many steps: the control arm of that finding."""
    learning_rate: float = Field(1e-6, gt=0, allow_inf_nan=False)
    """Peak of the learning rate."""
    beta: float = Field(0.1, gt=0)
    """How strongly the policy is held to the reference."""
    loss: Literal["sigmoid", "ipo"] = "sigmoid"
    """Loss of a pair."""
    n: int = Field(2, ge=2, le=64)
    """Answers per prompt, of which the best and the worst make the pair."""
    temperature: float = Field(0.9, gt=0, le=2)
    """How they are drawn."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Share of the probability that they are drawn from."""
    max_prompt_length: int = Field(1024, ge=1)
    """Tokens of a prompt; longer ones are left out."""
    max_new_tokens: int = Field(256, ge=1)
    """Longest answer."""
    missing_eos_penalty: float = Field(1.0, ge=0, allow_inf_nan=False)
    """What is taken from the reward of an answer that does not end."""
    asynchronous: bool = True
    """Draw answers for the next step while this one trains: they are exactly one update old."""
    generator: Literal["auto", "transformers", "vllm"] = "auto"
    """Who draws: `auto` is vLLM where it is installed and a GPU is there, else a copy of the model."""

    @model_validator(mode="after")
    def _one_reference(self) -> "OnlineDpo":
        if self.reference is not None and self.refresh_reference is not None:
            raise ValueError("refresh_reference: takes the policy for the reference; leave `reference` out")
        return self


class Merge(_Stage):
    """Models become one, tensor by tensor."""

    kind: Literal["merge"]
    """What the stage does."""
    rule: MergeRule
    """What is merged with what, and how."""
    sweep: list[Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=list)
    """Of `slerp` and `linear`: values of `t` that are tried, as [0.3, 0.5, 0.7]; each is measured by the manifest's
    `validation`, and drawn. What the stage makes has the rule's own `t`."""


TrainingStage = Annotated[Cpt | Sft | Reward | Dpo | OnlineDpo | Merge, Field(discriminator="kind")]
MAKES_POLICY = ("cpt", "sft", "dpo", "online_dpo", "merge")
"""Stages that make a language model."""


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
    base: str = Field(min_length=1)
    """Folder of the model that it begins with: safetensors, `config.json` and the tokenizer."""
    stages: list[TrainingStage] = Field(min_length=1)
    """What is done, in this order."""
    validation: list[Validation] = Field(default_factory=list)
    """What is measured on the base and after each stage that makes a language model."""
    prompts: Annotated[Prompts, BeforeValidator(path_alone, json_schema_input_type=str | Prompts)] | None = None
    """What answers are drawn for after each such stage: a path, or {path, limit, ...}."""
    reward: str | None = None
    """What scores those answers: a stage or a folder. Without it, the last reward stage, if there is one."""
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
                if (made[name] == "reward") != (wanted == "reward"):
                    kind = "a reward model" if made[name] == "reward" else "a language model"
                    wants = "a reward model" if wanted == "reward" else "a language model"
                    raise FieldError(f"{name!r} makes {kind}, and this takes {wants}", "stages", number, *field)
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

    def _cannot(self, number: int, gate: TrainingGate) -> tuple[str, str] | None:
        """Why a gate of a stage cannot be judged, and in which field that lies."""
        stage, earlier = self.stages[number], self.stages[:number]
        if (gate.gate == "reward_accuracy") != (stage.kind == "reward"):
            return f"a stage of kind `{stage.kind}` makes no measure for it", "gate"
        if isinstance(stage, Reward) and not stage.held_out:
            return "it judges held-out pairs, and the stage's `held_out` is 0", "gate"
        if isinstance(gate, LossGate | AccuracyGate | PlateauGate):
            sets = {item.name: item.choices is not None for item in self.validation}
            suits = [name for name, is_choice in sets.items() if is_choice == isinstance(gate, AccuracyGate)]
            if gate.set not in suits:
                return f"{gate.set!r} is no set of `validation` that it can judge; valid: {', '.join(suits)}", "set"
        if isinstance(gate, PlateauGate) and stage.kind == "merge":
            return "a merge has no loss of training", "gate"
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


def _is_name(model: str) -> bool:
    """Whether it is the name of a stage, as it has to be where it is no path."""
    return "/" not in model and "." not in model and "\\" not in model and not model.startswith("~")


def named_models(stage: TrainingStage) -> Iterator[tuple[Any, ...]]:
    """The models that a stage names: their field, the name, and whether a `policy` or a `reward` model is wanted."""
    if isinstance(stage, Merge):
        yield from (("rule", "models", n, "model", item.model, "policy") for n, item in enumerate(stage.rule.models))
        if stage.rule.base is not None:
            yield "rule", "base", stage.rule.base, "policy"
        return
    if stage.model is not None:
        yield "model", stage.model, "policy"
    if isinstance(stage, Dpo | OnlineDpo) and stage.reference is not None:
        yield "reference", stage.reference, "policy"
    if isinstance(stage, OnlineDpo):
        yield "reward", stage.reward, "reward"
    if isinstance(stage, Reward) and stage.best_of_n is not None:
        choice = stage.best_of_n
        yield from (("best_of_n", "candidates", n, name, "reward") for n, name in enumerate(choice.candidates))
        if choice.judge != "answers":
            yield "best_of_n", "judge", choice.judge, "reward"
