"""Stages of a training that learn from preferences: reward models, offline and online DPO."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from manifests.errors import FieldError
from manifests.schema import Model, Name
from manifests.schema_mixture import Share
from manifests.schema_training_stages import Trained


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
