"""How a small model is reached in steps, each of which cuts no more than a stage may.

Kanana never cut more than about half at once (arXiv 2502.18934, 2.3.3), and healed the model by a distillation from
the first one after each cut. What its table 16 and the text beside it say of the order: MLPs lose least, so they are
cut first, as far as three times the width of what goes from layer to layer, the narrowest that the table has; heads
are cut at a larger scale rather than later, so they come next; then that width itself, and MLPs with it. Depth is
worse to cut than width, and comes last. That models on the way have such sizes is this module's reading: Kanana's are
not published.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from manifests.errors import RequestError
from manifests.schema_surgery import Prune, Sizes
from training.flops import parameters
from training.new_models import with_sizes

ORDER = ("intermediate_size", "num_attention_heads", "hidden_size", "num_hidden_layers")
"""What is cut, and what of it first."""
GRAINS = (128, 64, 32, 16, 8, 4, 2, 1)
"""Widths on the way are multiples of the first of these that suits the widths at both ends, and may be halved where
steps would be too large."""
NARROWEST = 3.0
"""An MLP on the way is at least so many times as wide as the model, unless it is narrower at one end of the way."""
CUT_MAX = float(Prune.model_fields["cut_max"].default)
STEPS_MAX = 64
"""More of them are refused: the model would be cut by next to nothing each time."""
Shape = dict[str, int]


@dataclass(frozen=True)
class Step:
    """A model on the way."""

    sizes: Sizes
    n_parameters: int
    """Weights beside embeddings."""
    cut_frac: float
    """Share of those of the model before that are cut."""


def layers_of(config: Mapping[str, Any]) -> int:
    """Weights of a model beside its embeddings, by its `config.json`.

    Raises:
        RequestError: it is of a family that is not counted by its configuration.
    """
    found = parameters(config.get("text_config", config))
    if found is None:
        raise RequestError(
            f"model_type {config.get('model_type')!r}: is not counted by its configuration; valid: llama, mistral, "
            "qwen2, qwen3"
        )
    return found.layers


def steps_to(config: Mapping[str, Any], target: Sizes, cut_max: float = CUT_MAX) -> list[Step]:
    """The models on the way to a target, the target last; each cuts at most `cut_max` of the one before.

    Steps are about equal as shares, and as few as will do. Widths on the way are round, and heads are multiples of
    those of keys and values.

    Args:
        config: `config.json` of the model that is pruned.
        target: what it is to be.
        cut_max: largest share of the weights beside embeddings that one step cuts.

    Raises:
        RequestError: the target is larger than the model, heads cannot be shared out, there is nothing to cut, or no
            steps are small enough.
    """
    if not 0 < cut_max < 1:
        raise RequestError(f"cut_max: found {cut_max:g}; expected a share above 0 and below 1")
    way = _Way.of(config, target)
    here, steps = way.start, []
    while here != way.end:
        after = way.next(here, cut_max)
        steps.append(way.step(here, after))
        here = after
        if len(steps) > STEPS_MAX:
            raise RequestError(f"cut_max: {cut_max:g}: more than {STEPS_MAX} steps; expected a larger share")
    return steps


@dataclass(frozen=True)
class _Way:
    """Where a model is, and where it is to go."""

    config: Mapping[str, Any]
    start: Shape
    end: Shape
    grains: Shape
    """What widths on the way are multiples of."""

    @classmethod
    def of(cls, config: Mapping[str, Any], target: Sizes) -> "_Way":
        part = config.get("text_config", config)
        given = target.given()
        for name in ("num_key_value_heads", "head_dim"):
            if name in given:
                raise RequestError(f"{name}: is kept when pruning; leave it out")
        start = {name: int(part[name]) for name in ORDER}
        end = {name: given.get(name, start[name]) for name in ORDER}
        groups = int(part.get("num_key_value_heads") or start["num_attention_heads"])
        check_target(start, end, groups)
        grains = dict.fromkeys(ORDER, 1) | {"num_attention_heads": groups}
        for name in ("intermediate_size", "hidden_size"):
            grains[name] = next(grain for grain in GRAINS if not start[name] % grain and not end[name] % grain)
        return cls(config, start, end, grains)

    def n_parameters(self, model: Shape) -> int:
        """Weights beside embeddings."""
        sizes = model | {"head_dim": self._head_dim()}
        return layers_of(with_sizes(self.config, sizes))

    def step(self, before: Shape, after: Shape) -> Step:
        """The cut from one model to the next; only what changes on the whole way is named."""
        changed = {name: after[name] for name in ORDER if self.start[name] != self.end[name]}
        n_before, n_after = self.n_parameters(before), self.n_parameters(after)
        return Step(Sizes(**changed), n_after, 1 - n_after / n_before)

    def next(self, here: Shape, cut_max: float) -> Shape:
        """The model after this one: the target where that is near enough, else one of the size that is wanted.

        Raises:
            RequestError: whatever is cut next is more than `cut_max`.
        """
        n_here, n_end = self.n_parameters(here), self.n_parameters(self.end)
        least = math.ceil((1 - cut_max) * n_here)
        if n_end >= least:
            return self.end
        n_steps = math.ceil(math.log(n_end / n_here) / math.log(1 - cut_max) - 1e-9)
        wanted = max(least, round(n_here * (n_end / n_here) ** (1 / max(n_steps, 2))))
        for divisor in GRAINS[::-1]:  # 1, 2, 4, ...: the grain as it is, then finer
            if (found := self._cut_to(here, least, wanted, divisor)) != here:
                return found
        raise RequestError(
            f"cut_max: {cut_max:g}: of {n_here:,} weights beside embeddings at most {n_here - least:,} may be cut, "
            f"and the smallest cut of {_said(here)} is more; expected a larger share"
        )

    def _cut_to(self, here: Shape, least: int, wanted: int, divisor: int) -> Shape:
        """Cut one size after the other until the model is as large as is wanted, and no smaller than `least`."""
        model = dict(here)
        for name in ORDER:
            for value in self._values(name, model, divisor):
                tried = model | {name: value}
                if name == "hidden_size":
                    tried["intermediate_size"] = min(model["intermediate_size"], self._mlp_min(value))
                n_tried = self.n_parameters(tried)
                if n_tried < least:
                    if model != here:
                        return model  # what comes later in the order waits for this
                    break
                model = tried
                if n_tried <= wanted:
                    return model
        return model

    def _values(self, name: str, model: Shape, divisor: int) -> Iterator[int]:
        """Smaller values of a size, the largest first, as far as it may go for now."""
        grain, last = self.grains[name], self.end[name]
        if name in ("intermediate_size", "hidden_size"):
            grain = max(1, grain // divisor)
        if name == "intermediate_size":
            last = self._mlp_min(model["hidden_size"])
        yield from range(model[name] - grain, last - 1, -grain)

    def _mlp_min(self, hidden_size: int) -> int:
        """The narrowest MLP of a model so wide: a multiple of the grain, and not below the target's."""
        ends = (one["intermediate_size"] / one["hidden_size"] for one in (self.start, self.end))
        grain = self.grains["intermediate_size"]
        narrowest = math.ceil(min(NARROWEST, *ends) * hidden_size / grain - 1e-9) * grain
        return max(self.end["intermediate_size"], narrowest)

    def _head_dim(self) -> int:
        part = self.config.get("text_config", self.config)
        return int(part.get("head_dim") or self.start["hidden_size"] // self.start["num_attention_heads"])


def check_target(start: Shape, end: Shape, groups: int) -> None:
    """That a target is smaller than what is pruned, and its heads can be shared out.

    Raises:
        RequestError: it is not; names the size and what is valid.
    """
    for name in ORDER:
        if end[name] > start[name]:
            raise RequestError(f"{name}: found {end[name]:,}; the model has {start[name]:,}, and pruning only cuts")
    if end["num_attention_heads"] % groups:
        valid = ", ".join(map(str, range(groups, start["num_attention_heads"] + 1, groups)))
        raise RequestError(
            f"num_attention_heads: found {end['num_attention_heads']}, which {groups} heads of keys and values "
            f"cannot share evenly; valid: {valid}"
        )
    if start == end:
        raise RequestError(f"the model is {_said(start)} already; name a size to cut: {', '.join(ORDER)}")


def _said(model: Shape) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in model.items())


def stages_yaml(
    steps: Sequence[Step], mixture: str, *, cut_max: float = CUT_MAX, tie_embeddings: bool = False
) -> str:
    """The stages of a manifest that take the steps, to start from.

    After each cut the model is distilled from the base, as Kanana did it: KL of final logits, cosine from 1.2e-4,
    512 sequences per step, 100 steps of warm-up (arXiv 2502.18934, appendix A.4).

    Args:
        steps: of `steps_to`.
        mixture: token mixture for importance and distillation.
        cut_max: that the steps were made with.
        tie_embeddings: tie them in the last cut.
    """
    lines = ["stages:\n"]
    for number, step in enumerate(steps, 1):
        cut: dict[str, Any] = {"name": f"pruned-{number}", "kind": "prune", "to": step.sizes.given()}
        cut["calibration"] = {"mixture": {"path": mixture}, "samples": 1024}
        cut |= {"cut_max": cut_max} if cut_max != CUT_MAX else {}
        cut |= {"tie_embeddings": True} if tie_embeddings and number == len(steps) else {}
        lines.append(
            f"# {step.n_parameters:,} weights beside embeddings; {step.cut_frac:.1%} of those before are cut\n"
        )
        lines.append(
            yaml.safe_dump([cut, _healing(f"healed-{number}", mixture)], sort_keys=False, allow_unicode=True)
        )
    return "".join(lines)


def _healing(name: str, mixture: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "distill",
        "teacher": "base",
        "mixture": mixture,
        "loss": "forward_kl",
        "learning_rate": 1.2e-4,
        "schedule": {"kind": "cosine", "warmup": 100},
        "batch": 512,
    }
