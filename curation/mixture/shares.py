"""What each stage asks of each source: shares from weights and amounts, how they change, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.errors import RequestError
from manifests.schema_mixture import MixtureManifest, Source, Stage

Shares = NDArray[np.float64]
"""One per source, in the order of the manifest; they add up to 1."""


@dataclass(frozen=True)
class Has:
    """What a source has for the training."""

    n_epoch_tokens: int
    """Tokens of one pass through it, without what is held out."""
    epochs_max: float

    @property
    def tokens_max(self) -> int:
        """Tokens that may be taken of it in all."""
        return int(self.n_epoch_tokens * self.epochs_max)


@dataclass(frozen=True)
class Asked:
    """A stage as numbers."""

    name: str
    n_tokens: int
    shares: Shares
    """At its end."""
    before: Shares
    """Where its transition begins."""
    transition: int
    """Tokens over which the shares go from those before to its own; 0 for a switch."""

    def targets(self, at: float) -> Shares:
        """Tokens of each source in the first `at` tokens of the stage: the integral of the shares."""
        within = min(at, self.transition)
        turned = within * within / (2 * self.transition) if self.transition else 0.0
        return self.before * (within - turned) + self.shares * (turned + at - within)

    @property
    def demand(self) -> Shares:
        """Tokens of each source in the whole stage."""
        return self.targets(self.n_tokens)


@dataclass(frozen=True)
class Missing:
    """A source that has too little."""

    source: str
    wanted: int
    has: int
    n_epoch_tokens: int

    @property
    def epochs_needed(self) -> float:
        """How often it would have to be gone through."""
        return self.wanted / self.n_epoch_tokens if self.n_epoch_tokens else float("inf")


def asked(manifest: MixtureManifest, has: Sequence[Has]) -> list[Asked]:
    """The stages of a mixture over what its sources have, as its policy for shortfalls says.

    Raises:
        RequestError: a source has too little and the policy is to fail, or there is nothing at all.
    """
    wanted = demanded(manifest, has)
    missing = shortfall(manifest, wanted, has)
    if not missing:
        return wanted
    if manifest.when_short == "fail":
        raise RequestError(_message(missing, wanted, has))
    return _shrunk(wanted, has) if manifest.when_short == "shrink" else _filled(wanted, has, manifest)


def demanded(manifest: MixtureManifest, has: Sequence[Has]) -> list[Asked]:
    """The stages as the manifest wants them, whatever the sources have.

    Raises:
        RequestError: nothing that a stage weighs has any documents.
    """
    stages, found = manifest.stages or [_only_stage(manifest, has)], list[Asked]()
    for stage in stages:
        shares = stage_shares(manifest, stage, has)
        before = found[-1].shares if found else shares
        found.append(Asked(stage.name, stage.tokens, shares, before, stage.transition or 0))
    return found


def _only_stage(manifest: MixtureManifest, has: Sequence[Has]) -> Stage:
    amounts = {source.name: source.tokens for source in manifest.sources if source.tokens}
    n_tokens = manifest.tokens
    if n_tokens is None and not amounts:
        n_tokens = _most(manifest, range(len(has)), has)
    elif n_tokens is None:
        n_tokens = sum(amounts.values()) + _most_of_others(manifest, has)
    if n_tokens < 1:
        raise RequestError(f"{manifest.name}: its sources have no documents that may be used")
    if (fixed := sum(amounts.values())) > n_tokens:
        raise RequestError(f"tokens: is {n_tokens:,}, less than the {fixed:,} that the sources ask for together")
    return Stage(name="all", tokens=n_tokens, amounts=amounts)


def _most_of_others(manifest: MixtureManifest, has: Sequence[Has]) -> int:
    """The most tokens of the sources that name no amount; 0 where there are none, or they have no documents."""
    others = [
        number for number, source in enumerate(manifest.sources) if not source.tokens and has[number].n_epoch_tokens
    ]
    return _most(manifest, others, has) if others else 0


def _most(manifest: MixtureManifest, numbers: Sequence[int], has: Sequence[Has]) -> int:
    """The most tokens that sources have together while they share them as they should."""
    shares = _within(manifest, numbers, has, manifest.name)
    return int(min(there.tokens_max / share for there, share in zip(has, shares, strict=True) if share))


def stage_shares(manifest: MixtureManifest, stage: Stage, has: Sequence[Has]) -> Shares:
    """The share of each source in a stage: amounts first, weights of what is left.

    A category's part goes to its sources by their weights; where they have none, by what they have.

    Raises:
        RequestError: nothing that it weighs has any documents.
    """
    shares = np.zeros(len(manifest.sources))
    for name, n_tokens in stage.amounts.items():
        shares += n_tokens / stage.tokens * _within(manifest, _named(manifest, name), has, f"{stage.name}: {name}")
    left = 1 - float(shares.sum())
    if left <= 1e-12:
        return normal(shares)
    free = [number for number, source in enumerate(manifest.sources) if not _is_amount(source, stage)]
    if not free:
        raise RequestError(
            f"{stage.name}: its amounts are {1 - left:.1%} of its tokens, and no source gives the rest"
        )
    if stage.weights is None:
        return normal(shares + left * _within(manifest, free, has, stage.name))
    total = sum(stage.weights.values())
    if not total:
        raise RequestError(
            f"stages: {stage.name}: its amounts are {1 - left:.1%} of its tokens, and no weight says what the rest is"
        )
    for name, weight in stage.weights.items():
        if weight:
            part = _within(manifest, _named(manifest, name), has, f"{stage.name}: {name}")
            shares += left * weight / total * part
    return normal(shares)


def normal(shares: Shares) -> Shares:
    """Numbers divided by their sum."""
    found: Shares = shares / shares.sum()
    return found


def _is_amount(source: Source, stage: Stage) -> bool:
    return source.name in stage.amounts or source.category in stage.amounts


def _named(manifest: MixtureManifest, name: str) -> list[int]:
    """The sources that a name stands for."""
    return [number for number, source in enumerate(manifest.sources) if name in (source.name, source.category)]


def _within(manifest: MixtureManifest, numbers: Sequence[int], has: Sequence[Has], what: str) -> Shares:
    """How some sources share what they get together: by their weights, or where none has one by what they have."""
    weights = np.zeros(len(manifest.sources))
    without = [manifest.sources[number].name for number in numbers if manifest.sources[number].weight is None]
    if without and len(without) < len(numbers):
        raise RequestError(f"{what}: some of its sources have a `weight` and some have none: {', '.join(without)}")
    for number in numbers:
        weight = manifest.sources[number].weight
        weights[number] = has[number].n_epoch_tokens if weight is None else weight * (has[number].n_epoch_tokens > 0)
    if not weights.sum():
        names = ", ".join(manifest.sources[number].name for number in numbers) or "none"
        raise RequestError(
            f"{what}: no document may be used of: {names}; `where`, `repeat`, `licenses` or empty texts leave all out"
        )
    return normal(weights)


def shortfall(manifest: MixtureManifest, stages: Sequence[Asked], has: Sequence[Has]) -> list[Missing]:
    """The sources of which more is asked than they have; a rounding of one token is none."""
    demand = sum((stage.demand for stage in stages), np.zeros(len(has)))
    return [
        Missing(source.name, round(float(wanted)), there.tokens_max, there.n_epoch_tokens)
        for source, wanted, there in zip(manifest.sources, demand.tolist(), has, strict=True)
        if wanted > there.tokens_max + 1
    ]


def _message(missing: Sequence[Missing], stages: Sequence[Asked], has: Sequence[Has]) -> str:
    lines = [
        f"{of.source}: {of.wanted:,} tokens are asked for, {of.has:,} are there: {of.wanted - of.has:,} are missing"
        + (f"; `epochs_max: {_rounded_up(of.epochs_needed)}` would do" if of.n_epoch_tokens else "")
        for of in missing
    ]
    fits = int(_scale(stages, has) * sum(stage.n_tokens for stage in stages))
    lines.append(
        f"Of this mixture {fits:,} tokens can be had (`when_short: shrink` takes them); "
        "`when_short: fill` takes more of the other sources"
    )
    return "\n".join(lines)


def _rounded_up(epochs: float) -> str:
    return f"{np.ceil(epochs * 100) / 100:g}"


def _scale(stages: Sequence[Asked], has: Sequence[Has]) -> float:
    """The largest share of all budgets that the sources can fill."""
    demand = sum((stage.demand for stage in stages), np.zeros(len(has)))
    return min(
        (there.tokens_max / wanted for wanted, there in zip(demand.tolist(), has, strict=True) if wanted), default=1
    )


def _shrunk(stages: Sequence[Asked], has: Sequence[Has]) -> list[Asked]:
    scale = _scale(stages, has)
    if scale * min(stage.n_tokens for stage in stages) < 1:
        raise RequestError("when_short: nothing is left after shrinking: a source that is asked for has no documents")
    return [
        Asked(of.name, int(of.n_tokens * scale), of.shares, of.before, int(of.transition * scale)) for of in stages
    ]


def _filled(stages: Sequence[Asked], has: Sequence[Has], manifest: MixtureManifest) -> list[Asked]:
    """The stages, one after another, with what is missing taken from their other sources in proportion; a stage that
    is changed has no transition."""
    left, found = np.array([float(there.tokens_max) for there in has]), list[Asked]()
    for stage in stages:
        taken = _poured(stage.demand, left, stage, manifest)
        left -= taken
        shares = normal(taken)
        is_met = np.allclose(taken, stage.demand, atol=1)
        found.append(stage if is_met else Asked(stage.name, stage.n_tokens, shares, shares, 0))
    return found


def _poured(demand: Shares, left: Shares, stage: Asked, manifest: MixtureManifest) -> Shares:
    """Tokens per source: as asked for, at most what is left, the rest over those that have more."""
    taken, missing = np.minimum(demand, left), float(stage.n_tokens)
    while (missing := stage.n_tokens - float(taken.sum())) > 0.5:
        free = np.where(taken < left - 0.5, demand, 0)
        if not free.sum():
            raise RequestError(
                f"stages: {stage.name}: {missing:,.0f} tokens are missing, and none of its sources has more: "
                + ", ".join(s.name for s, of in zip(manifest.sources, demand, strict=True) if of)
            )
        taken = np.minimum(taken + missing * free / free.sum(), left)
    return taken
