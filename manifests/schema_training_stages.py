"""Stages of a training that learn from text: what all have, continued pre-training, and tuning on chats."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from manifests.errors import FieldError
from manifests.schema import Model, Name, path_alone
from manifests.schema_mixture import Share, Tokens
from manifests.schema_training_gates import TrainingGate
from manifests.schema_training_steps import Checkpoints, Lora, Optimizer, Schedule, ScheduleField


class Stage(Model):
    """What all stages have."""

    name: Name
    """Name of the stage, and of what it makes."""
    gates: list[TrainingGate] = Field(default_factory=list)
    """What must hold before the next stage starts. Where one fails, the run stops with the figures and keeps what the
    stage made."""


class Trained(Stage):
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


def mixtures(value: Any) -> Any:
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
        list[MixtureUse], BeforeValidator(mixtures, json_schema_input_type=str | MixtureUse | list[str | MixtureUse])
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
