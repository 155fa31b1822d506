"""What the sources have for the weights that a search finds: budgets, caps, and how often each is gone through."""

from collections.abc import Sequence

import numpy as np

from curation.mixture.shares import Has
from manifests.schema_mixture import MixtureManifest
from training.searching.regressions import F64


def budget_of(manifest: MixtureManifest) -> int | None:
    """Tokens of all stages, of the mixture, or of all sources where each says its own; None where the manifest takes
    what there is."""
    if budget := sum(stage.tokens for stage in manifest.stages) or manifest.tokens:
        return budget
    asked = [source.tokens for source in manifest.sources]
    return None if None in asked else sum(n for n in asked if n)


def without_tokens(manifest: MixtureManifest) -> list[str]:
    """Sources that say no `tokens` while others do and nothing else is a budget: those of the others are none."""
    if budget_of(manifest) is not None or all(source.tokens is None for source in manifest.sources):
        return []
    return [source.name for source in manifest.sources if source.tokens is None]


def caps_of(has: Sequence[Has], budget: int | None) -> F64:
    """The largest weight of each source, by its tokens and `epochs_max`; 1 where there is no budget."""
    if budget is None:
        return np.ones(len(has))
    return np.minimum(1.0, np.array([there.tokens_max for there in has]) / budget)


def capped(weights: F64, caps: F64) -> F64:
    """Mixtures (n, sources) in which no source has more than its cap; what one cannot take goes to those that have
    more, as they share. Where all caps together are less than 1, in proportion to the caps.
    """
    if caps.sum() <= 1:
        return np.broadcast_to(caps / caps.sum(), weights.shape).copy()
    found = weights.copy()
    for _ in range(weights.shape[1]):
        over = np.maximum(found - caps, 0).sum(1, keepdims=True)
        found = np.minimum(found, caps)
        room = np.where(found < caps, np.maximum(found, 1e-12), 0)
        if not (over > 1e-12).any():
            break
        found = found + over * room / np.maximum(room.sum(1, keepdims=True), 1e-300)
    found = np.minimum(found, caps)
    left = 1 - found.sum(1, keepdims=True)
    space = caps - found
    return np.asarray(found + left * space / np.maximum(space.sum(1, keepdims=True), 1e-300))


def fits_tokens(weights: F64, has: Sequence[Has]) -> int:
    """The most tokens of a mixture that the sources have."""
    pairs = zip(has, weights.tolist(), strict=True)
    return int(min(there.tokens_max / weight for there, weight in pairs if weight > 0))


def epochs_of(weight: float, has: Has, budget: int | None) -> float | None:
    """How often a source is gone through."""
    if budget is None or not has.n_epoch_tokens:
        return None
    return weight * budget / has.n_epoch_tokens


def in_steps(weights: F64, caps: F64, n_steps: int = 10_000) -> F64:
    """A mixture in whole steps, as a person would write it; it still adds up to 1, and no cap is passed."""
    exact = weights * n_steps
    counts = np.floor(exact + 1e-9)
    free = np.flatnonzero(counts + 1 <= caps * n_steps + 1e-9)
    order = free[np.argsort(counts[free] - exact[free], kind="stable")]
    n_left = round(n_steps - float(counts.sum()))
    if len(order) < n_left:
        return weights
    counts[order[:n_left]] += 1
    return np.asarray(counts / n_steps)
