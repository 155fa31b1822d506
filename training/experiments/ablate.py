"""`onggi ablate`: arms that differ in what is asked about, each with all seeds, compared with the baseline."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from manifests.code import version
from manifests.engine import Progress, silent
from manifests.errors import RunError
from manifests.record import RECORD, write_record
from manifests.schema_experiments import AblationManifest
from manifests.store import Folder
from training.checkpoints import full_disk
from training.environment import environment
from training.experiments.also_read import also_read
from training.experiments.chain import Chain, Chains, Run, Shared, named_in, point_of
from training.experiments.checks import planned
from training.experiments.outcome import manifest_of, outcome
from training.experiments.record import read_experiment, record_of
from training.experiments.results import Results
from training.experiments.run import Ran, run_all
from training.experiments.summary_models import SUMMARY, ExperimentSummary, StepRun
from training.experiments.tables import arm_rows, not_measured, notes_of
from training.experiments.templates import Experiment
from training.inputs import Digests
from training.launch import alone, n_gpus
from training.stage_plan import DIGESTS
from training.whole_files import write

REPORT, TABLE = "report.html", "results"
"""The page; and all figures, as Parquet and CSV."""


def ablate(
    manifest: AblationManifest,
    base: str,
    output: str | None = None,
    progress: Progress = silent,
    n_jobs: int = 1,
    n_processes: int | None = None,
    named: str = "",
) -> tuple[ExperimentSummary, str]:
    """Run what is not done of an ablation; what it came to, and its folder.

    A run that fails does not end the others: it stands in `failed`, and the experiment has no record until all are
    done and measured as was asked.

    Args:
        manifest: of the ablation.
        base: its folder, where relative paths start.
        output: instead of the manifest's.
        progress: is told of runs.
        n_jobs: runs at once.
        n_processes: of each training; None is one per GPU, or one.
        named: the manifest's file, for errors.

    Raises:
        RequestError: the manifest of a step is wrong in some arm, or something is not there. Nothing was run.
    """
    chains = planned(manifest, base, output, named)
    with working_in(chains.output, manifest):
        done = run_experiment(manifest, chains, progress, n_jobs, n_processes)
        columns = done.results.columns(manifest.measures)
        rows = arm_rows(manifest, chains.arms, done.results, columns)
        summary = done.summary(manifest)
        tables = {"columns": columns, "arms": rows, "baseline": chains.arms[0].name}
        tables["notes"] = [*summary.notes, *_same_as_baseline(manifest, chains)]
        summary = summary.model_copy(update=tables)
        finish(summary, chains.output, base, n_jobs)
    return summary, str(chains.output)


@contextmanager
def working_in(folder: Path, experiment: Experiment) -> Iterator[None]:
    """Hold the folder of an experiment while the block runs, so that no second command works in it.

    Raises:
        RequestError: another one does.
    """
    command = f"onggi {'ablate' if isinstance(experiment, AblationManifest) else 'ladder'}"
    with full_disk(folder, experiment.name), alone(folder, command):
        yield


@dataclass(frozen=True)
class Done:
    """An experiment of which all that could be run was run."""

    chains: Chains
    ran: Ran
    results: Results
    seconds: float

    @property
    def folder(self) -> Path:
        """Of the experiment."""
        return self.chains.output

    def summary(self, manifest: Experiment) -> ExperimentSummary:
        """What it came to, without its tables."""
        digests = Digests(self.folder / DIGESTS)
        runs = [_step_run(shared, self, digests) for shared in self.chains.runs if not self._is_lost(shared.run)]
        digests.keep()
        return ExperimentSummary(
            kind=manifest.kind,
            name=manifest.name,
            title=manifest.title,
            about=manifest.about,
            seeds=manifest.seeds,
            confidence=manifest.confidence,
            columns=[],
            points=self.results.points,
            runs=runs,
            failed=list(self.ran.failed.values()),
            notes=notes_of(self.results.points),
            not_measured=not_measured(manifest, self.results),
            seconds=self.seconds,
            manifest=manifest.model_dump(mode="json"),
            environment={"onggi": version(), **environment(max(1, n_gpus()))},
        )

    def _is_lost(self, run: Run) -> bool:
        return str(run.folder) in self.ran.failed


def run_experiment(
    experiment: Experiment, chains: Chains, progress: Progress, n_jobs: int, n_processes: int | None
) -> Done:
    """Run what is not done, and read what it came to."""
    began = time.monotonic()
    (chains.output / RECORD).unlink(missing_ok=True)
    ran = run_all(chains.runs, chains.output, progress, n_jobs, n_processes)
    results = _results(experiment, chains, ran)
    return Done(chains, ran, results, time.monotonic() - began)


def _same_as_baseline(manifest: AblationManifest, chains: Chains) -> Iterator[str]:
    """Arms of which nothing is other than in the baseline, as where `set` names the value that is there."""
    judged = dict[str, list[tuple[Path, str]]]()
    for chain in chains.chains:
        step, stage = point_of(chain.of(manifest))
        judged.setdefault(chain.arm_name, []).append((chain.runs[step].folder, stage))
    first = chains.arms[0].name
    for name, of in judged.items():
        if name != first and of == judged[first]:
            yield f"{name}: its runs are those of {first}, so nothing is compared: what it sets changes nothing"


def _results(manifest: Experiment, chains: Chains, ran: Ran) -> Results:
    """The points of all runs that are finished."""
    results = Results()
    for chain in chains.chains:
        for of in _points_of(manifest, chain):
            if str(chain.runs[point_of(of)[0]].folder) not in ran.failed:
                results.add(chain, of, chains.output)
    return results


def _points_of(manifest: Experiment, chain: Chain) -> list[str]:
    """What is looked at of an arm, or of a ladder."""
    if isinstance(manifest, AblationManifest):
        return [chain.of(manifest)]
    named = [point for rung in manifest.rungs for point in (rung.against, rung.of) if point is not None]
    return list(dict.fromkeys(named))


def _step_run(shared: Shared, done: Done, digests: Digests) -> StepRun:
    run = shared.run
    made = outcome(run)
    return StepRun(
        step=run.step,
        kind=run.kind,
        folder=named_in(run.folder, done.folder),
        fingerprint=run.fingerprint,
        manifest=manifest_of(run).model_dump(mode="json", exclude_defaults=True),
        base=run.base,
        arms=shared.arms,
        seeds=shared.seeds,
        inputs=made.inputs | dict(also_read(run, digests)),
        outputs=made.outputs,
        counts=made.counts,
        seconds=made.seconds,
        is_reused=str(run.folder) in done.ran.reused,
    )


def finish(summary: ExperimentSummary, folder: Path, base: str, n_jobs: int) -> None:
    """Write figures, page, and last the record, which says that nothing is missing."""
    write(folder / SUMMARY, summary.model_dump_json(indent=1))
    _write_table(summary, folder)
    write_page(folder, summary)
    if not summary.failed and not summary.not_measured:
        write_record(Folder(str(folder)), record_of(summary, base, n_jobs, folder))


def write_page(folder: Path, summary: ExperimentSummary) -> str:
    """Write the page of an experiment; its path."""
    from training.experiments.page import render  # and all that draws

    write(folder / REPORT, render(summary))
    return str(folder / REPORT)


def write_experiment_report(folder: Folder) -> str:
    """Write the page of an experiment again, also of one of which runs failed; its path.

    Raises:
        RequestError: the folder holds none.
    """
    return write_page(Path(folder.path), read_experiment(folder))


def _write_table(summary: ExperimentSummary, folder: Path) -> None:
    """All figures of all points, a line each, for the user's own tools."""
    rows = [
        (point.arm, point.seed, point.of, name, value, point.n_tokens, point.flops_total, point.fingerprint)
        for point in summary.points
        for name, value in point.figures.items()
    ]
    names = ("arm", "seed", "of", "measure", "value", "n_tokens", "flops_total", "fingerprint")
    types = (pl.String, pl.Int64, pl.String, pl.String, pl.Float64, pl.Int64, pl.Float64, pl.String)
    table = pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")
    for suffix in ("parquet", "csv"):
        partial = folder / f"{TABLE}.{suffix}.partial"
        table.write_parquet(partial) if suffix == "parquet" else table.write_csv(partial)
        partial.rename(folder / f"{TABLE}.{suffix}")


def check_complete(summary: ExperimentSummary, folder: str) -> None:
    """That nothing is missing.

    Raises:
        RunError: runs failed, or nothing has a measure that was asked for; says which, and why.
    """
    lost = [one for one in summary.failed if not one.is_left_out]
    if not lost and summary.not_measured:
        raise RunError("\n".join([*summary.not_measured, f"all runs are finished, and kept in {folder}"]))
    if not lost:
        return
    lines = [f"{_who(one.arms, one.seeds)}{one.step}: {one.why}" for one in lost]
    left = len(summary.failed) - len(lost)
    more = [f"{left} runs that read them were left out"] if left else []
    raise RunError(
        "\n".join(
            [
                *lines,
                *more,
                *summary.not_measured,
                f"what was finished is kept in {folder}; the same command tries again",
            ]
        )
    )


def _who(arms: Sequence[str], seeds: Sequence[int]) -> str:
    seed = f"seed {', '.join(map(str, seeds))}" if seeds else ""
    return "".join(f"{part}: " for part in (", ".join(arms), seed) if part)
