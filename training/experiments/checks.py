"""What can be wrong with an experiment before any of it is run: all of it is told at once, for all arms."""

from collections.abc import Iterator, Sequence

from manifests.errors import RequestError
from manifests.schema_evaluation import EvaluationManifest
from manifests.schema_experiments import LadderManifest, Rung
from manifests.schema_training import TrainingManifest
from training.experiments.chain import Chain, Chains, Run, Shared, plan_chains, point_of
from training.experiments.outcome import is_done
from training.experiments.results import COUNTS, FIGURES
from training.experiments.run import said_of
from training.experiments.step_kinds import problems_of
from training.experiments.templates import TOKENIZER, Experiment

ANSWERS = "answers"
"""What measures of answers to `prompts` begin with."""


def planned(experiment: Experiment, base: str, output: str | None = None, named: str = "") -> Chains:
    """The runs of an experiment, checked as far as that can be done before any work; see `plan_chains`.

    Raises:
        RequestError: something is wrong; a line per mistake.
    """
    named = named or experiment.name
    chains = plan_chains(experiment, base, output, named)
    mistakes = dict.fromkeys(_wrong_measures(experiment, chains, named))
    for shared in _first_seeds(chains.runs):
        mistakes |= dict.fromkeys(f"{named}: {said_of(shared)}: {problem}" for problem in _problems(shared.run))
    if mistakes:
        raise RequestError("\n".join(mistakes))
    return chains


def _first_seeds(runs: Sequence[Shared]) -> Iterator[Shared]:
    """Runs that are not done, of each arm and step those of one seed: the others read the same."""
    seen = set[tuple[str, tuple[str, ...]]]()
    for shared in runs:
        key = (shared.run.step, tuple(shared.arms))
        if key not in seen and not is_done(shared.run):
            seen.add(key)
            yield shared


def _problems(run: Run) -> list[str]:
    """What is not there, but for what earlier runs will make."""
    to_come = [str(read.folder) for read in run.reads.values()]
    found = problems_of(run.manifest(), run.base, run.folder)
    return [problem for problem in found if not any(folder in problem for folder in to_come)]


def _wrong_measures(experiment: Experiment, chains: Chains, named: str) -> Iterator[str]:
    """Measures that nothing of what arms are judged by can have, or one of the sides of a rung cannot."""
    if isinstance(experiment, LadderManifest):
        for rung in experiment.rungs:
            yield from _wrong_of_rung(rung, chains.chains[0], f"{named}: rungs.{rung.name}")
        return
    if not experiment.measures:
        return
    runs = {
        str(run.folder): run for run in (chain.runs[point_of(chain.of(experiment))[0]] for chain in chains.chains)
    }
    sets = list(dict.fromkeys(name for run in runs.values() for name in _sets(run)))
    for number, measure in enumerate(experiment.measures):
        if said := _cannot_be(measure, sets):
            yield f"{named}: measures[{number}]: {said}"


def _wrong_of_rung(rung: Rung, chain: Chain, at: str) -> Iterator[str]:
    sides = [_sets(chain.runs[point_of(of)[0]]) for of in (rung.of, rung.against) if of is not None]
    sets = [name for name in dict.fromkeys(sides[0]) if all(name in others for others in sides)]
    asked = {f"measures[{number}]": measure for number, measure in enumerate(rung.measures)}
    asked |= {f"expect.{measure}": measure for measure in rung.expect if measure not in rung.measures}
    for field, measure in asked.items():
        if said := _cannot_be(measure, sets):
            yield f"{at}.{field}: {said}"


def _cannot_be(measure: str, sets: Sequence[str]) -> str:
    """What is wrong with a measure that begins with none of these; empty of another."""
    if any(measure.startswith(f"{name}.") for name in sets):
        return ""
    return f"found {measure!r}; valid: {', '.join(f'{name}.…' for name in sets)}"


def _sets(run: Run) -> list[str]:
    """What the measures of a run begin with."""
    manifest, found = run.manifest(), [COUNTS]
    if isinstance(manifest, TrainingManifest):
        found = [item.name for item in manifest.validation] + [ANSWERS] * (manifest.prompts is not None)
        found += manifest.evaluation.names() if manifest.evaluation else []
        return [*found, FIGURES, COUNTS]
    if isinstance(manifest, EvaluationManifest):
        names = [*(item.name for item in manifest.validation), *manifest.names()]
        models = [model.name for model in manifest.models]
        found = names if len(models) == 1 else [f"{model}.{name}" for model in models for name in names]
    if run.kind == TOKENIZER:
        found += ["ko", "en"]
    return [*found, COUNTS]
