"""The best way to spend a number of weights, by a short distillation of each candidate (Kanana 2.3.3, table 16).

All candidates are pruned by the same importance, which is measured once, and distilled from the same teacher on the
same sequences in the same order. What has the lowest loss on held-out text is pruned once more: what the stage makes
has the pruned weights, not those of its trial, since the trial's learning rate has come to its end, and the stage
`distill` that follows begins anew, as Kanana's did.

A candidate's folder has `tried.json` once it is done, so a search that was killed goes on with the others.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from manifests.engine import Progress
from manifests.schema_distillation import Distill
from manifests.schema_surgery import Prune, Search
from training.distilling import distill
from training.jobs import Cell, Job, Made, Table
from training.model_files import CONFIG, open_checkpoint, read_object
from training.pages.charts import Chart, Line, line_chart
from training.pruning.candidates import AXES, Candidate, Grid, check_held_out, grid_of
from training.pruning.importance import Scores
from training.pruning.ranking import Kept, choose
from training.pruning.report import Pruned, made_of
from training.pruning.slicing import prune
from training.pruning.stage import SCORES, scores_of
from training.whole_files import write

FOLDER, TRIED = "search", "tried.json"
WARMUP_FRAC = 0.1
"""Of a trial's steps. Kanana takes 100 steps of a whole distillation, more than a trial may have."""


class Tried(BaseModel):
    """What came of a candidate."""

    name: str
    n_parameters: int
    loss_before: float
    """Nats per held-out token, right after pruning."""
    loss: float
    """The same after the trial; what counts."""
    divergence: float
    """Of the teacher's distribution from the candidate's, nats per held-out token."""
    teacher_loss: float
    n_tokens: int = 0
    """That it read in its trial."""


def run_search(job: Job, progress: Progress) -> Made:
    """Try the candidates of a stage `prune` and make the best one.

    Raises:
        RequestError: no candidate has about the number of weights, or data and models do not go together.
        RunError: the loss of a trial is no number, or the disk is full; candidates that are done are kept.
    """
    if job.threads:
        torch.set_num_threads(job.threads)
    work = _Work(job, progress)
    tried = [work.tried(number, candidate) for number, candidate in enumerate(work.grid.near)]
    best = min(range(len(tried)), key=lambda number: (tried[number].loss, number))
    pruned = work.make(work.grid.near[best])
    made = made_of(pruned)
    figures = {"search_loss": tried[best].loss, "search_teacher_loss": tried[best].teacher_loss}
    return made.model_copy(
        update={
            "counts": {"candidates": len(tried), "trial_tokens": sum(one.n_tokens for one in tried), **made.counts},
            "figures": {**figures, **made.figures},
            "tables": [search_table(work.search, work.grid, tried, best), *made.tables],
            "charts": {"Candidates": search_chart(tried, best), **made.charts},
        }
    )


class _Work:
    """A search: what is pruned, by which importance, and to what."""

    def __init__(self, job: Job, progress: Progress) -> None:
        stage = job.stage
        assert isinstance(stage, Prune) and stage.search is not None
        self.job, self.stage, self.search, self.progress = job, stage, stage.search, progress
        self.model = Path(job.models["model"])
        self.teacher = job.models[stage.teacher] if stage.teacher else str(self.model)
        source = open_checkpoint(str(self.model), self.model)
        self.grid = grid_of(source.config, self.search, stage.cut_max, ties=stage.tie_embeddings)
        check_held_out(self.search, job.manifest_base)
        job.path.mkdir(parents=True, exist_ok=True)
        self.scores = self._scores()

    def _scores(self) -> Scores:
        stage, keep = self.stage, self.job.path / SCORES
        assert stage.calibration is not None
        return scores_of(self.model, stage.calibration, stage.importance, self.job.manifest_base, keep, self.progress)

    def kept(self, candidate: Candidate) -> Kept:
        """What stays of the model in a candidate."""
        return choose(self.scores, read_object(self.model / CONFIG), candidate.sizes, self.stage.importance)

    def make(self, candidate: Candidate) -> Pruned:
        """Prune the model to the best candidate."""
        kept, ties = self.kept(candidate), self.stage.tie_embeddings
        report = prune(
            self.model, kept, self.job.model_path, tie_embeddings=ties, progress=self.progress, replaces=True
        )
        return Pruned(report, self.scores, kept, [])

    def tried(self, number: int, candidate: Candidate) -> Tried:
        """Try a candidate; what came of it is read where it was tried before. Its weights are not kept."""
        folder = self.job.path / FOLDER / candidate.name
        if not (folder / TRIED).is_file():
            found = self._try(candidate, folder, f"candidate {number + 1} of {len(self.grid.near)}")
            write(folder / TRIED, found.model_dump_json())
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        return Tried.model_validate_json((folder / TRIED).read_bytes())

    def _try(self, candidate: Candidate, folder: Path, told: str) -> Tried:
        pruned = folder / "pruned"
        folder.mkdir(parents=True, exist_ok=True)
        if not pruned.is_dir():
            prune(self.model, self.kept(candidate), pruned, tie_embeddings=self.stage.tie_embeddings, replaces=True)

        def progress(step: str, done: float, total: float, note: str = "") -> None:
            self.progress(told, done, total, f"{candidate.name} {note}".rstrip())

        made = distill.run(trial_job(self.job, self.search, str(pruned), self.teacher, folder), progress)
        return Tried(
            name=candidate.name,
            n_parameters=candidate.n_parameters,
            loss_before=made.figures["held_out_loss_before"],
            loss=made.figures["held_out_loss"],
            divergence=made.figures["held_out_divergence"],
            teacher_loss=made.figures["held_out_teacher_loss"],
            n_tokens=made.counts["tokens"],
        )


def trial_job(job: Job, search: Search, model: str, teacher: str, folder: Path) -> Job:
    """The short distillation of a candidate, as a job: forward KL of final logits, cosine.

    Args:
        job: of the search; all trials have its seed, and so the same sequences in the same order.
        search: of the manifest.
        model: folder of the candidate.
        teacher: folder of the teacher.
        folder: where it works.
    """
    trial = search.trial
    settings: dict[str, Any] = {
        "kind": "distill",
        "name": job.stage.name,
        "teacher": "teacher",
        "mixture": [trial.mixture.model_dump()],
        "loss": "forward_kl",
        "schedule": {"kind": "cosine", "warmup": WARMUP_FRAC},
        **{name: getattr(trial, name) for name in ("steps", "batch", "micro_batch", "learning_rate")},
    }
    return Job(
        stage=Distill.model_validate(settings),
        folder=str(folder),
        manifest_base=job.manifest_base,
        models={"model": model, "teacher": teacher},
        seed=job.seed,
        threads=job.threads,
    )


def search_table(search: Search, grid: Grid, tried: Sequence[Tried], best: int) -> Table:
    """All candidates, as Kanana's table 16 has them."""
    counted = "weights beside embeddings" if search.without_embeddings else "weights"
    rows: list[list[Cell]] = [
        [
            *(getattr(candidate.sizes, axis) for axis in AXES),
            one.n_parameters,
            round(one.loss_before, 5),
            round(one.loss, 5),
            round(one.divergence, 5),
            "made" if number == best else "",
        ]
        for number, (candidate, one) in enumerate(zip(grid.near, tried, strict=True))
    ]
    return Table(
        title="Search",
        columns=["hidden size", "width of MLPs", "heads", counted, "loss, pruned", "loss", "divergence", ""],
        rows=rows,
        note=f"Nats per held-out token after {search.trial.steps:,} steps of distillation each; the teacher has "
        f"{tried[best].teacher_loss:.5f}. What has the lowest loss is made, with the weights that pruning left it. "
        f"Of the grid {grid.n_far:,} more have too many weights or too few, and {grid.n_too_small:,} cut more than "
        "`cut_max`.",
    )


def search_chart(tried: Sequence[Tried], best: int) -> str:
    """Loss by weights; SVG."""
    points = [(one.n_parameters / 1e6, one.loss) for one in tried]
    others = [number for number in range(len(tried)) if number != best]
    lines = [
        Line([points[k] for k in chosen], label, color, width=0, has_dots=True, names=[tried[k].name for k in chosen])
        for chosen, label, color in ((others, "tried", "dropped"), ([best], "made", "kept"))
    ]
    return line_chart(Chart(lines, x_title="million weights", y_title="loss"))
