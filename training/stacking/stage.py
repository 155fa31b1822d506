"""The stage `upscale`: a deeper model of a model's own layers, and a table of whose they are."""

from pathlib import Path

from manifests.engine import Progress
from manifests.schema_surgery import Upscale
from training.jobs import Job, Made
from training.stacking.charts import influence_chart
from training.stacking.report import StackReport, tables_of
from training.stacking.upscale import upscale


def run(job: Job, progress: Progress) -> Made:
    """Stack the layers of the job's model.

    Raises:
        RequestError: it has no such layers.
        RunError: the disk is full.
    """
    stage = job.stage
    assert isinstance(stage, Upscale)
    model = Path(job.models["model"])
    job.path.mkdir(parents=True, exist_ok=True)
    report = upscale(
        stage,
        model,
        job.model_path,
        job.manifest_base,
        name=next((name for name, folder in job.models.items() if name != "model" and Path(folder) == model), None),
        threads=job.threads,
        progress=progress,
        replaces=True,
    )
    return made_of(report)


def made_of(report: StackReport) -> Made:
    """A deeper model as the page shows it."""
    charts = {}
    if report.influences is not None:
        twice = [layer for layer in range(report.n_layers_before) if report.layers.count(layer) > 1]
        charts = {"Block influence of each layer": influence_chart(report.influences, twice, "layers there twice")}
    return Made(
        counts={
            "layers_before": report.n_layers_before,
            "layers": report.n_layers,
            "parameters_before": report.n_parameters_before,
            "parameters": report.n_parameters,
        },
        tables=tables_of(report),
        charts=charts,
    )
