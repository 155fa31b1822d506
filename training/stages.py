"""`onggi train`: stages in their order, each in a process of its own; measured, judged by its gates, and shown.

Done stages are kept by their fingerprint: another run of the same manifest goes on behind them, and one whose settings
changed makes a folder of its own beside them, so nothing that took days is overwritten.
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from manifests.engine import PeakMemory, Progress, silent
from manifests.errors import RunError
from manifests.schema_training import BASE, MAKES_POLICY, Merge, TrainingManifest
from training.checkpoints import read_curve
from training.flops import parameter_counts, training_flops
from training.gates import Facts, judge
from training.jobs import CHECKPOINTS, CURVE, Made
from training.launch import alone, n_gpus, run
from training.measure_jobs import Measured, MeasureJob, MeasuresResult
from training.record import RECORD, TrainingRecord, record_of
from training.report import render
from training.stage_plan import Plan, PlannedStage, plan_stages
from training.summary_models import StageSummary, TrainingSummary, Verdict

SUMMARY, REPORT, CARD = "summary.json", "report.html", "README.md"
MEASURES, HISTORY = "measures", "history.json"


def train(
    manifest: TrainingManifest,
    base: str,
    output: str | None = None,
    progress: Progress = silent,
    n_processes: int | None = None,
) -> tuple[TrainingRecord, str]:
    """Run the stages of a manifest that are not done; the record of all, and the folder of the run.

    Args:
        manifest: of the training.
        base: the manifest's folder.
        output: instead of the manifest's.
        progress: is told of steps.
        n_processes: that train together; None is one per GPU, or one.

    Raises:
        RequestError: the manifest asks for what is not there or does not fit; names the stage.
        RunError: a stage failed, or a gate; what was finished is kept.
    """
    plan = plan_stages(manifest, base, output)
    with alone(plan.output):
        training = _Training(plan, progress, n_processes or max(1, n_gpus()))
        (plan.output / RECORD).unlink(missing_ok=True)
        training.run()
        return training.finish(), str(plan.output)


@dataclass
class _Training:
    """The stages so far."""

    plan: Plan
    progress: Progress
    n_processes: int
    measured: dict[str, Measured] = field(default_factory=dict)
    summaries: list[StageSummary] = field(default_factory=list)

    def run(self) -> None:
        """All stages; the page is written anew after each."""
        self._measure([BASE])
        self.summaries.append(self._base())
        self._show()
        for planned in self.plan.stages:
            if not planned.is_done:
                self._train(planned)
            self._tidy(planned)
            self._measure(self._to_measure(planned))
            summary = self._summary(planned)
            self.summaries.append(summary)
            self._refresh()
            failed = [verdict for verdict in summary.gates if not verdict.passed]
            self._show(stopped_at=planned.name if failed else "")
            if failed:
                raise RunError(_stopped(planned, failed, self.plan.output))

    def _train(self, planned: PlannedStage) -> None:
        """Run a stage; what it took so far is kept beside it, over kills."""
        planned.folder.mkdir(parents=True, exist_ok=True)
        history = read_history(planned.folder)
        history = history | {"n_started": history["n_started"] + 1}
        _write_history(planned.folder, history)
        began, memory = time.monotonic(), PeakMemory()
        n_processes = 1 if isinstance(planned.stage, Merge) else self.n_processes
        try:
            with memory:
                run(self.plan.job(planned), planned.folder, n_processes, self.progress)
        finally:
            history["seconds"] += time.monotonic() - began
            history["peak_bytes"] = max(history["peak_bytes"], memory.peak_bytes)
            _write_history(planned.folder, history)

    def _tidy(self, planned: PlannedStage) -> None:
        """Remove what only a killed run would have needed."""
        shutil.rmtree(planned.folder / CHECKPOINTS, ignore_errors=True)

    # Measures

    @property
    def _reward(self) -> str | None:
        """The model that scores answers: the manifest's, or that of the last reward stage so far."""
        manifest = self.plan.manifest
        done = [planned for planned in self.plan.stages if planned.stage.kind == "reward" and planned.is_done]
        if manifest.reward is None:
            return str(done[-1].model_path) if done else None
        stages = {planned.name: planned for planned in self.plan.stages}
        if manifest.reward not in stages:
            return self.plan.folder_of(manifest.reward)
        planned = stages[manifest.reward]
        return str(planned.model_path) if planned.is_done else None

    def _to_measure(self, planned: PlannedStage) -> list[str]:
        """What has to be measured after a stage: its model, what it is compared with, and all where rewards are new."""
        if planned.stage.kind == "reward":
            return [BASE, *(item.name for item in self.plan.stages if item.is_done and _makes_policy(item))]
        teachers = [gate.teacher for gate in planned.stage.gates if gate.gate == "plateau"]
        parents = planned.starts_from if isinstance(planned.stage, Merge) else []
        return list(dict.fromkeys([*parents, *teachers, planned.name]))

    def _measure(self, names: list[str]) -> None:
        manifest = self.plan.manifest
        if not manifest.validation and manifest.prompts is None:
            return
        job = MeasureJob(
            models={name: self.plan.folder_of(name) for name in names},
            validations=tuple(manifest.validation),
            prompts=manifest.prompts,
            reward=self._reward if manifest.prompts else None,
            manifest_base=self.plan.base,
            cache=str(self.plan.output / MEASURES),
            seed=manifest.seed,
            threads=manifest.threads,
        )
        found = run(job, self.plan.output / MEASURES, 1, self.progress)
        self.measured.update(MeasuresResult.model_validate_json(found).models)

    # What came of it

    def _base(self) -> StageSummary:
        found = self.measured.get(BASE, Measured())
        counts = parameter_counts(self.plan.base_model)
        return StageSummary(
            name=BASE,
            kind=BASE,
            folder=self.plan.base_model,
            n_parameters=counts.total,
            measures=found.measures,
            answers=self._shown(found),
        )

    def _summary(self, planned: PlannedStage) -> StageSummary:
        made = Made.model_validate_json((planned.folder / "made.json").read_bytes())
        found = self.measured.get(planned.name, Measured()) if _makes_policy(planned) else Measured()
        history = read_history(planned.folder)
        counts = parameter_counts(str(planned.model_path))
        curve = read_curve(planned.folder / CURVE)
        return StageSummary(
            name=planned.name,
            kind=planned.stage.kind,
            folder=str(planned.folder),
            starts_from=planned.starts_from,
            n_parameters=counts.total,
            n_trained_parameters=made.counts.get("trained_parameters", counts.total),
            seconds=history["seconds"],
            n_resumed=max(0, int(history["n_started"]) - 1),
            peak_bytes=int(history["peak_bytes"]),
            made=made,
            flops=training_flops(counts.total, made.counts.get("tokens", 0)),
            curve=curve,
            measures=found.measures,
            answers=self._shown(found),
            gates=[judge(gate, self._facts(planned, made, curve, gate)) for gate in planned.stage.gates],
        )
