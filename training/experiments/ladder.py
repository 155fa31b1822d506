"""`onggi ladder`: all that the reports do, once, small; a row per rung, with what it brought."""

from manifests.engine import Progress, silent
from manifests.schema_experiments import LadderManifest
from training.experiments.ablate import finish, run_experiment, working_in
from training.experiments.checks import planned
from training.experiments.summary_models import ExperimentSummary
from training.experiments.tables import rung_rows


def climb(
    manifest: LadderManifest,
    base: str,
    output: str | None = None,
    progress: Progress = silent,
    n_jobs: int = 1,
    n_processes: int | None = None,
    named: str = "",
) -> tuple[ExperimentSummary, str]:
    """Run what is not done of a ladder; what it came to, and its folder. See `ablate.ablate`.

    Raises:
        RequestError: the manifest of a step is wrong, or something is not there. Nothing was run.
    """
    chains = planned(manifest, base, output, named)
    with working_in(chains.output, manifest):
        done = run_experiment(manifest, chains, progress, n_jobs, n_processes)
        rungs = rung_rows(manifest, done.results)
        names = dict.fromkeys(name for rung in rungs for name in rung.figures)
        columns = done.results.columns(list(names))
        summary = done.summary(manifest).model_copy(update={"columns": columns, "rungs": rungs})
        finish(summary, chains.output, base, n_jobs)
    return summary, str(chains.output)
