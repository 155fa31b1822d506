"""The stage `merge`: two or more models of a training become one, with a report of how far apart they are."""

from pathlib import Path

from manifests.engine import Progress
from manifests.schema_merge import MergeRule
from manifests.schema_training import Merge
from training.jobs import Job, Made
from training.merging.charts import angle_chart
from training.merging.merge import merge
from training.merging.report import MergeReport, tables_of
from training.merging.sweep import FOLDER, Measure, sweep, sweep_charts, sweep_table
from training.summary_models import Measures


def run(job: Job, progress: Progress, measure: Measure | None = None) -> Made:
    """Merge, and where the stage has a `sweep` measure other values of t.

    Args:
        job: of a merge.
        progress: is told of bytes and of values of t.
        measure: what a model comes to on the job's `validation`; by default `training.measuring.measures`.

    Raises:
        RequestError: the models do not fit together.
        RunError: the disk is full.
    """
    stage = job.stage
    assert isinstance(stage, Merge)
    folders = {name: Path(job.models[name]) for name in names_of(stage.rule)}
    job.path.mkdir(parents=True, exist_ok=True)
    report = merge(
        stage.rule,
        folders,
        job.model_path,
        seed=job.seed,
        threads=job.threads,
        progress=progress,
        replaces=True,
    )
    made = made_of(report)
    if not stage.sweep:
        return made
    swept = sweep(
        stage.rule,
        stage.sweep,
        folders,
        job.path / FOLDER,
        measure or _measured(job, progress),
        seed=job.seed,
        threads=job.threads,
        progress=progress,
    )
    return made.model_copy(
        update={"tables": [sweep_table(swept), *made.tables], "charts": {**sweep_charts(swept), **made.charts}}
    )


def names_of(rule: MergeRule) -> list[str]:
    """What a rule calls the models that it reads."""
    return [item.model for item in rule.models] + ([rule.base] if rule.base is not None else [])


def made_of(report: MergeReport) -> Made:
    """A merge as the page shows it."""
    angles = [record for record in report.tensors if record.angle is not None]
    figures = {f"{path}_share": report.share(path) for path in report.paths}
    if angles:
        figures |= {
            "angle_min": min(record.angle or 0.0 for record in angles),
            "angle_max": max(record.angle or 0.0 for record in angles),
        }
    return Made(
        counts={"tensors": len(report.tensors), "parameters": report.n_parameters},
        figures=figures,
        tables=tables_of(report),
        charts={"Angle between both models": angle_chart(report.tensors)} if angles else {},
    )


def _measured(job: Job, progress: Progress) -> Measure:
    """Measures of the job's `validation`, kept beside those of the training."""
    from training.measuring.jobs import MeasureJob
    from training.measuring.measures import measure

    def of(name: str, folder: Path) -> Measures:
        asked = MeasureJob(
            models={name: str(folder)},
            validations=job.validation,
            manifest_base=job.manifest_base,
            cache=job.measures or str(job.path / "measures"),
            seed=job.seed,
            threads=job.threads,
        )
        measures: Measures = measure(asked, progress).models[name].measures
        return measures

    return of
