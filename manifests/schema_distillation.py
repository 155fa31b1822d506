"""The stage of a training in which a student learns from a teacher."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from manifests.errors import FieldError
from manifests.schema import Model
from manifests.schema_mixture import Share
from manifests.schema_training_stages import ChatData, MixtureUse, Trained, mixtures


class OffPolicy(Model):
    """Training on answers of the student's own, more of them where the loss of what is held out rises: DistiLLM's
    adaptive scheduler with its replay buffer."""

    start: Share = 0.0
    """Share phi of steps, at first, that train on the student's answers (DistiLLM: 0 for GPT-2, .2 for OpenLLaMA)."""
    rise: Share = 0.1
    """What is added to phi, up to 1, where the loss has risen."""
    tolerance: float = Field(0.1, ge=0, allow_inf_nan=False)
    """A loss that lies so much above the one it is compared with has risen (nats)."""
    every: int = Field(100, ge=1)
    """Steps between two looks at the loss of what is held out."""
    replay: Literal["decreasing", "constant", "increasing"] = "decreasing"
    """How the share of phi that draws new answers goes over the training: phi times (1 - step / steps), phi / 2, or
    phi times step / steps; the rest of phi takes answers from the buffer."""
    capacity: int = Field(1000, ge=1)
    """Answers that the buffer holds; the oldest go first."""
    max_new_tokens: int = Field(256, ge=1)
    """Longest answer."""
    temperature: float = Field(1.0, gt=0, le=2)
    """How answers are drawn."""


class Contrastive(Model):
    """DistiLLM-2: skewed KL on the teacher's answers, and skewed reverse KL on the student's, to the same prompts."""

    student: str = Field(min_length=1)
    """Rows in the order and with the prompts of `data`, whose answers are the student's: a path as of `data`."""
    ramp: bool = True
    """Let the weight beta of the student's answers rise from 1 to 1.5 over the first half; else it is 1."""
    adaptive: bool = True
    """Choose the skew of each answer by how far the models are apart."""


DistillLoss = Literal[
    "forward_kl", "reverse_kl", "js", "skew_kl", "skew_reverse_kl", "symmetric_kl", "total_variation"
]


class Distill(Trained):
    """A student learns a teacher's distribution of each next token (Kanana 2.3.3, DNA 1.0 4.5)."""

    kind: Literal["distill"]
    """What the stage does."""
    teacher: str | None = None
    """The teacher: a stage or a folder, with the student's own vocabulary. Without it, `logprobs`."""
    logprobs: str | None = None
    """Instead: the folder of a run of `onggi synth` that kept its teacher's tokens and their probabilities
    (`teacher.logprobs`), on which the student is trained. What lies beyond the likeliest tokens is one rest."""
    mixture: Annotated[
        list[MixtureUse], BeforeValidator(mixtures, json_schema_input_type=str | MixtureUse | list[str | MixtureUse])
    ] = Field(default_factory=list)
    """With a teacher: token mixtures to distil on, as of `cpt`. Or `data`."""
    data: list[ChatData] = Field(default_factory=list)
    """With a teacher: conversations to distil on, where the assistant's turns count, as of `sft`."""
    template: str | None = None
    """Of `data`: chat template, as of `sft`."""
    max_length: int = Field(4096, ge=8)
    """Of `data` and `logprobs`: tokens per example; longer ones are cut at the end."""
    held_out: Share = 0.0
    """Share of the examples that is not trained on, and measured before and after."""
    loss: DistillLoss = "skew_kl"
    """What is between the two distributions: see docs/distillation.md."""
    skew: float = Field(0.1, ge=0, le=1, allow_inf_nan=False)
    """Lambda of `skew_kl` and `skew_reverse_kl`: weight of a model's own side in the mixture it is compared with; of
    `js` and `symmetric_kl` weight of the reverse part (DistiLLM takes .9 there)."""
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Logits of both are divided by it; the loss is multiplied by its square."""
    ce_weight: Share = 0.0
    """Weight of the ordinary loss on the data's own tokens; that of the divergence is the rest. 1 is no distillation,
    to compare with. Steps on answers of the student's own have none."""
    off_policy: OffPolicy | None = None
    """Of `data`: also train on answers of the student's own."""
    contrastive: Contrastive | None = None
    """Of `data`: DistiLLM-2's form, in the place of `loss`."""
    vocabulary_chunk: int = Field(16384, ge=256)
    """Tokens of the vocabulary whose probabilities are computed at once."""

    @model_validator(mode="after")
    def _fits(self) -> "Distill":
        if (self.teacher is None) == (self.logprobs is None):
            raise ValueError("name one of `teacher` and `logprobs`")
        places = [bool(self.mixture), bool(self.data), self.logprobs is not None]
        if sum(places) != 1:
            raise ValueError("with a teacher, name one of `mixture` and `data`; `logprobs` has its own answers")
        for name in ("off_policy", "contrastive"):
            if getattr(self, name) is not None and not self.data:
                raise FieldError("takes `data`: prompts that are answered", name)
        if self.off_policy is not None and self.contrastive is not None:
            raise FieldError("is no part of `contrastive`; leave one out", "off_policy")
        if self.off_policy is not None and not self.held_out:
            raise FieldError("`off_policy` looks at the loss of what is held out; set it, as 2%", "held_out")
        if self.contrastive is not None and self.ce_weight:
            raise FieldError("is no part of `contrastive`; leave one out", "ce_weight")
        if self.off_policy is not None and self.ce_weight == 1:
            raise FieldError("1 is no distillation, and only a teacher can judge `off_policy` answers", "ce_weight")
        if self.mixture and self.held_out:
            raise FieldError("is for `data` and `logprobs`; a mixture has its own held-out part", "held_out")
        if self.logprobs is not None and self.loss not in ("forward_kl", "skew_kl"):
            raise FieldError("stored probabilities are the teacher's: valid are forward_kl, skew_kl", "loss")
        if self.logprobs is not None and self.temperature != 1:
            raise FieldError("stored probabilities are those of temperature 1; leave it out", "temperature")
        return self
