"""What the figures of a search say, in words."""

from training.searching.results import Check, SearchResults, SourceWeight

WEAK = 0.5
"""R2 below which a regression tells little."""
STEP = 1e-4
"""In which weights are written."""


def in_words(results: SearchResults) -> list[str]:
    """Sentences: what the mixture gains, whether the check agrees, what cannot be told, and what there is too little
    of."""
    return [
        *_gains(results),
        *_agreement(results),
        *_weak(results),
        *_edges(results),
        *_beyond(results),
        *_repeated(results),
        *_unsure(results),
        *_budget(results),
    ]


def check_named(results: SearchResults, name: str) -> Check:
    """One of the models that were trained to check."""
    return next(check for check in results.checks if check.name == name)


def _gains(results: SearchResults) -> list[str]:
    best, said = check_named(results, "best"), []
    for name, what in (("natural", "the sources as they are"), ("uniform", "equal parts")):
        other = check_named(results, name)
        gain, foretold = (1 - best.real_mean / other.real_mean), (1 - best.predicted_mean / other.predicted_mean)
        verdict = "lower" if gain > 0 else "higher"
        said.append(
            f"A model of the best mixture has {abs(gain):.1%} {verdict} loss than one of {what} "
            f"({best.real_mean:.4f} against {other.real_mean:.4f} bits per byte); foretold were {foretold:+.1%}."
        )
    return said


def _agreement(results: SearchResults) -> list[str]:
    best = check_named(results, "best")
    outside = [name for name, loss in best.real.items() if not best.low[name] <= loss <= best.high[name]]
    if not outside:
        return ["Its loss lies within the interval that was foretold, for all targets."]
    return [
        f"Its loss on {name} is {best.real[name]:.4f} bits per byte, beside the {best.low[name]:.4f} to "
        f"{best.high[name]:.4f} that were foretold: the regression errs there; more `proxies` may help."
        for name in outside
    ]


def _weak(results: SearchResults) -> list[str]:
    said = []
    for target in results.targets:
        score = next(score for score in target.scores if score.name == target.regression)
        if score.r2 < WEAK:
            said.append(
                f"{target.name}: the weights explain {max(score.r2, 0):.0%} of the losses' variance only (R2 "
                f"{score.r2:.2f}): what is found for it is next to a guess; take more `proxies`, or more `tokens` of "
                "each."
            )
    return said


def _edges(results: SearchResults) -> list[str]:
    """That the best lies where a mixture has nothing of a source, or more than any model had."""
    more = [of for of in results.sources if of.optimum > of.weight + STEP and of.weight > of.seen_high - STEP]
    said = [
        f"{of.name}: the best that the regressions foretell has {of.optimum:.1%}, beyond what any model was trained "
        f"on; it gets {of.weight:.1%}, the most that one had."
        for of in more
    ]
    if without := [of.name for of in results.sources if of.optimum == 0]:
        said.append(f"The best lies at an edge: it goes without {', '.join(without)}.")
    return said


def _beyond(results: SearchResults) -> list[str]:
    """Sources of which the mixture has more than any that a regression was fitted to."""
    return [
        f"{of.name}: {of.weight:.1%} is more than any model was trained on ({of.seen_high:.1%} at most), so only the "
        "check speaks for it."
        for of in results.sources
        if of.weight > of.seen_high + STEP
    ]


def _repeated(results: SearchResults) -> list[str]:
    """Sources that models saw again and again, so that their losses tell of that as well."""
    return [
        f"{of.name}: small models went through it up to {of.proxy_epochs:.1f} times, so what is foretold of large "
        "weights of it is that of repeated text; fewer `search.model.tokens` repeat less."
        for of in results.sources
        if of.proxy_epochs > 1.05
    ]


def _unsure(results: SearchResults) -> list[str]:
    """Sources whose weight is not told apart from what they have by nature."""
    unsure = [of.name for of in results.sources if of.low <= of.natural <= of.high]
    if not unsure:
        return []
    return [f"Not told apart from their share as it is, by the intervals: {', '.join(unsure)}."]


def _budget(results: SearchResults) -> list[str]:
    budget = results.budget_tokens
    if budget is None:
        said = [f"Of this mixture the sources have {results.fits_tokens:,} tokens (with their `epochs_max`)."]
        if results.without_tokens:
            said.append(
                f"`tokens` of sources are no budget here, since {', '.join(results.without_tokens)} has none; give "
                "the mixture `tokens`."
            )
        return said
    said = [_too_little(of, budget) for of in results.sources if _is_short(of)]
    if results.fits_tokens < 0.999 * budget:
        said.append(
            f"Of this mixture the sources have {results.fits_tokens:,} tokens, less than the manifest's {budget:,}: "
            "no weights reach it; raise `epochs_max` or lower the budget."
        )
    return said


def _is_short(of: SourceWeight) -> bool:
    return of.epochs_unlimited is not None and of.epochs_unlimited > of.epochs_max * 1.0001


def _too_little(of: SourceWeight, budget: int) -> str:
    return (
        f"{of.name}: the best weight would be {of.unlimited:.1%}, but of {budget:,} tokens that is "
        f"{of.epochs_unlimited:.2f} times through its {of.n_tokens:,}, and `epochs_max` is {of.epochs_max:g}; it "
        f"gets {of.weight:.1%}, the best of the mixtures that can be had."
    )
