"""`onggi mix --search`: weights of a mixture's sources, found by small models.

RegMix (2407.01492): many small models, each on random weights; a regression from weights to losses; the losses of
very many mixtures foretold; the mean of the best, and on from there. And a check, since a regression always names
some best: models of that mixture, of the sources as they are, and of equal parts are trained as well.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from curation.mixture.survey import MixJob, Surveyed, survey
from manifests.code import version
from manifests.engine import Progress, open_engine, silent
from manifests.errors import RequestError
from manifests.record import now
from manifests.store import Folder
from training.searching.best import Best, Predictor, along, best_mixture
from training.searching.budget import budget_of, caps_of, epochs_of, fits_tokens, in_steps, without_tokens
from training.searching.choosing import Chosen, choose
from training.searching.corpus import Corpus, holding_out, read_corpus
from training.searching.draws import draw_weights
from training.searching.proxies import Asked, Proxies
from training.searching.proxy import new_proxy
from training.searching.regressions import F64
from training.searching.report import render
from training.searching.results import (
    Check,
    Course,
    ProxyResult,
    RegressionScore,
    SearchResults,
    SourceWeight,
    TargetResult,
)
from training.searching.words import in_words

SEARCH, RESULTS, REPORT, WEIGHTS = "search", "results.json", "report.html", "weights.yaml"
NATURAL, UNIFORM, BEST = "natural", "uniform", "best"
PLACES = 41
"""Points of a curve along a weight."""


@dataclass(frozen=True)
class Found:
    """The regressions of a search, and what they say."""

    weights: F64
    """Of the models, (models, sources)."""
    chosen: tuple[Chosen, ...]
    counts: F64
    """How much each target counts."""
    best: Best
    unlimited: F64

    def predict(self, mixtures: F64) -> F64:
        """Logarithms of losses (targets, mixtures)."""
        everyone = np.arange(len(self.weights))
        return Predictor(self.weights, self.chosen, mixtures).predict(everyone)


def search(job: MixJob, progress: Progress = silent) -> SearchResults:
    """Find weights for a mixture; writes `search/` in its folder. A search that was killed goes on.

    Args:
        job: of the mixture; its workers are processes that tokenise, and then train.
        progress: is told how far it is.

    Raises:
        RequestError: there is one source, nothing is held out, or a target has no text.
        RunError: a training diverged, or a process died.
    """
    _check(job)
    started = time.perf_counter()
    if not job.manifest.search.targets:
        job = replace(job, manifest=holding_out(job.manifest))
    with open_engine(job.workers) as engine:
        engine.share(Folder(job.output), [slices[0].path for slices in job.slices if slices])
        surveyed = survey(job, engine, progress)
    corpus, shares = read_corpus(job, surveyed), natural_shares(surveyed)
    settings = job.manifest.search
    folder = Folder(job.output) / SEARCH
    proxies = Proxies(folder, corpus, settings.model, settings.seed, job.workers.n_workers)
    drawn = draw_weights(shares, settings.proxies, settings.concentration, settings.seed)
    asked = [Asked(str(number), tuple(weights)) for number, weights in enumerate(drawn.tolist())]
    equal = np.full(len(shares), 1 / len(shares))
    plain = [Asked(NATURAL, tuple(shares.tolist())), Asked(UNIFORM, tuple(equal.tolist()))]
    trained = proxies.train([*asked, *plain], "train", progress)
    found = find(job, surveyed, corpus, trained[: len(asked)], shares)
    progress("check", 0, 1)
    checked = proxies.train([Asked(BEST, tuple(found.best.weights.tolist()))], "check", progress)
    results = _results(job, surveyed, corpus, found, trained[: len(asked)], [*checked, *trained[len(asked) :]])
    results = results.model_copy(
        update={"n_resumed": proxies.n_resumed, "seconds": time.perf_counter() - started, "words": in_words(results)}
    )
    folder.write_bytes(WEIGHTS, weights_yaml(results.weights).encode())
    folder.write_bytes(REPORT, render(results, job.manifest).encode())
    folder.write_bytes(RESULTS, results.model_dump_json(indent=1).encode())
    return results


def _check(job: MixJob) -> None:
    """What can be told before any work.

    Raises:
        RequestError: says what is wrong.
    """
    if len(job.manifest.sources) < 2:
        raise RequestError("sources: there is only one; a search weighs two or more against each other")
    if job.workers.scheduler:
        raise RequestError("--search trains its models on this machine: give --workers instead of --scheduler")
    if empty := [of.name for of, slices in zip(job.manifest.sources, job.slices, strict=True) if not slices]:
        raise RequestError(f"sources: {empty[0]}: has no documents; leave it out")


def natural_shares(surveyed: Surveyed) -> F64:
    """The sources' shares of the tokens that there are."""
    n_tokens = np.array([there.n_epoch_tokens for there in surveyed.has], np.float64)
    return np.asarray(n_tokens / n_tokens.sum())


def find(job: MixJob, surveyed: Surveyed, corpus: Corpus, trained: Sequence[ProxyResult], shares: F64) -> Found:
    """Fit regressions to the models, and find the best mixture, of those that the budget allows.

    Args:
        job: of the mixture.
        surveyed: what its sources have.
        corpus: its targets.
        trained: the models.
        shares: of the sources as they are.
    """
    settings = job.manifest.search
    weights = np.array([result.weights for result in trained])
    values = np.log([[result.losses[target.name] for result in trained] for target in corpus.targets])
    counts = np.array([target.weight for target in corpus.targets])
    counts = counts / counts.sum()
    chosen = tuple(choose(weights, of, settings.seed) for of in values)
    candidates = draw_weights(shares, settings.candidates, settings.concentration, settings.seed + 1)
    best = best_mixture(weights, chosen, counts, candidates, settings.seed)
    unlimited, caps = best.weights, caps_of(surveyed.has, budget_of(job.manifest))
    if (unlimited > caps).any():
        best = best_mixture(weights, chosen, counts, candidates, settings.seed, caps)
    weights_found = in_steps(best.weights, caps)
    low, high = np.minimum(best.low, weights_found), np.maximum(best.high, weights_found)
    best = replace(best, weights=weights_found, low=low, high=high)
    return Found(weights, chosen, counts, best, unlimited)


def weights_yaml(weights: dict[str, float]) -> str:
    """The mixture as a stage of a manifest has it."""
    return "weights:\n" + "".join(f"  {name}: {weight:.4f}\n" for name, weight in weights.items())


# results


def _results(
    job: MixJob,
    surveyed: Surveyed,
    corpus: Corpus,
    found: Found,
    trained: Sequence[ProxyResult],
    checked: Sequence[ProxyResult],
) -> SearchResults:
    settings, everything = job.manifest.search, [*trained, *checked]
    model = new_proxy(corpus.n_ids, settings.model, settings.seed)
    return SearchResults(
        name=job.manifest.name,
        onggi_version=version(),
        created=now(),
        seed=settings.seed,
        n_proxies=len(trained),
        n_resumed=0,
        n_ids=corpus.n_ids,
        n_parameters=sum(weight.numel() for weight in model.parameters()),
        n_proxy_tokens=trained[0].n_tokens,
        tokens_per_second=sum(of.n_tokens for of in everything) / sum(of.seconds for of in everything),
        seconds=0.0,
        sources=_sources(job, surveyed, found, proxy_epochs(corpus, everything)),
        targets=[_target(corpus, found, number) for number in range(len(corpus.targets))],
        checks=[_check_of(corpus, found, result) for result in checked],
        courses=[_course(corpus, found, number) for number in range(len(corpus.sources))],
        budget_tokens=budget_of(job.manifest),
        without_tokens=without_tokens(job.manifest),
        fits_tokens=fits_tokens(found.best.weights, surveyed.has),
        words=[],
    )


def proxy_epochs(corpus: Corpus, results: Sequence[ProxyResult]) -> F64:
    """(sources): how often a model went through what there is of each source, at most."""
    asked = np.array([result.weights for result in results]) * results[0].n_tokens / corpus.sequence_length
    return np.asarray(asked.max(0) / np.array([len(rows) for rows in corpus.rows]))


def _sources(job: MixJob, surveyed: Surveyed, found: Found, gone_through: F64) -> list[SourceWeight]:
    budget, shares = budget_of(job.manifest), natural_shares(surveyed)
    return [
        SourceWeight(
            name=source.name,
            category=source.category,
            natural=float(shares[number]),
            weight=float(found.best.weights[number]),
            low=float(found.best.low[number]),
            high=float(found.best.high[number]),
            unlimited=float(found.unlimited[number]),
            optimum=float(found.best.optimum[number]),
            n_tokens=has.n_epoch_tokens,
            epochs_max=has.epochs_max,
            epochs=epochs_of(float(found.best.weights[number]), has, budget),
            epochs_unlimited=epochs_of(float(found.unlimited[number]), has, budget),
            seen_low=float(found.weights[:, number].min()),
            seen_high=float(found.weights[:, number].max()),
            proxy_epochs=float(gone_through[number]),
        )
        for number, (source, has) in enumerate(zip(job.manifest.sources, surveyed.has, strict=True))
    ]


def _target(corpus: Corpus, found: Found, number: int) -> TargetResult:
    target, chosen = corpus.targets[number], found.chosen[number]
    return TargetResult(
        name=target.name,
        weight=float(found.counts[number]),
        n_documents=target.n_documents,
        n_all_documents=target.n_all_documents,
        n_bytes=target.n_bytes,
        regression=chosen.score.name,
        scores=[RegressionScore(name=of.name, rmse=of.rmse, r2=of.r2, spearman=of.spearman) for of in chosen.scores],
        real=np.exp(chosen.values).tolist(),
        foretold=np.exp(chosen.score.predicted).tolist(),
    )


def _check_of(corpus: Corpus, found: Found, result: ProxyResult) -> Check:
    logs, names = found.predict(np.array([result.weights]))[:, 0], [target.name for target in corpus.targets]
    real = np.log([result.losses[name] for name in names])
    low, high = (found.best.losses_low, found.best.losses_high) if result.name == BEST else ((), ())
    return Check(
        name=result.name,
        weights=result.weights,
        predicted=dict(zip(names, np.exp(logs).tolist(), strict=True)),
        low=dict(zip(names, np.exp(low).tolist(), strict=False)),
        high=dict(zip(names, np.exp(high).tolist(), strict=False)),
        real=result.losses,
        predicted_mean=float(np.exp(found.counts @ logs)),
        real_mean=float(np.exp(found.counts @ real)),
    )


def _course(corpus: Corpus, found: Found, number: int) -> Course:
    most = max(float(found.weights[:, number].max()), float(found.best.weights[number]))
    places = np.linspace(0, most, PLACES)
    mixtures = along(found.best.weights, number, places)
    predicted = np.exp(found.counts @ found.predict(mixtures))
    return Course(source=corpus.sources[number], weights=places.tolist(), predicted=predicted.tolist())
