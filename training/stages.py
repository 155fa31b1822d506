"""`onggi train`: stages in their order, each in a process of its own; measured, judged by its gates, and shown.

Done stages are kept by their fingerprint: another run of the same manifest goes on behind them, and one whose
settings changed makes a folder of its own beside them, so nothing that took days is overwritten.
"""

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from manifests.engine import PeakMemory, Progress, silent
from manifests.errors import RequestError, RunError
from manifests.record import write_record
from manifests.schema_evaluation import EvaluatedModel
from manifests.schema_surgery import Init, NewModel
from manifests.schema_training import BASE, MAKES_ENCODER, MAKES_POLICY, WITHOUT_TRAINING, Merge, TrainingManifest
from manifests.schema_training_gates import LengthBiasGate, RewardDriftGate, ScoreGate
from manifests.store import Folder, resolve
from training.checkpoints import full_disk, read_curve
from training.environment import environment
from training.evaluating.ask import Setting, ask, check_data
from training.evaluating.chat_models import has_template
from training.evaluating.item_files import file_name
from training.evaluating.results import ModelResults
from training.flops import Training, count_parameters
from training.gates.facts import Facts
from training.gates.judge import judge, models_needed, parents_of
from training.jobs import CHECKPOINTS, CURVE, Cell, Job, Made
from training.launch import alone, n_gpus, run, waiting
from training.measuring.jobs import Measured, MeasureJob, MeasuresResult
from training.new_models import write_plan
from training.pages.card import model_card
from training.pages.report import render
from training.record import RECORD, TrainingRecord, record_of
from training.reporters import check_reporters
from training.stage_plan import DONE, MEASURES, Plan, PlannedStage, plan_stages
from training.summary_models import SUMMARY, StageSummary, TrainingSummary, Verdict
from training.whole_files import write

REPORT, CARD = "report.html", "README.md"
HISTORY = "history.json"
EVALUATIONS = "evaluations"
"""Folder of what models came to by benchmarks."""


def train(
    manifest: TrainingManifest,
    base: str,
    output: str | None = None,
    progress: Progress = silent,
    n_processes: int | None = None,
    store: Path | None = None,
    stops: bool = True,
) -> tuple[TrainingRecord, str]:
    """Run the stages of a manifest that are not done; the record of all, and the folder of the run.

    Args:
        manifest: of the training.
        base: the manifest's folder.
        output: instead of the manifest's.
        progress: is told of steps.
        n_processes: that train together; None is one per GPU, or one.
        store: folder in which stages and measures are kept; trainings that share one, also at the same time, do what
            they have in common once. None is the output.
        stops: whether a gate that fails ends the run. Else it is noted, and the next stage starts: an experiment is
            to tell what comes of it.

    Raises:
        RequestError: the manifest asks for what is not there or does not fit; names the stage. Or more processes are
            asked for than there are GPUs.
        RunError: a stage failed, or a gate; what was finished is kept.
    """
    check_reporters(manifest.report_to)
    if n_processes and 0 < n_gpus() < n_processes:
        raise RequestError(
            f"--processes {n_processes}: there are {n_gpus()} GPUs, and each process takes one; without any "
            "(`CUDA_VISIBLE_DEVICES=`) processes train on the CPU"
        )
    plan = plan_stages(manifest, base, output, store)
    if manifest.evaluation is not None:
        check_data(manifest.evaluation, plan.base, "evaluation.")
    with full_disk(plan.output, manifest.name), alone(plan.output):
        training = _Training(plan, progress, n_processes or max(1, n_gpus()), stops)
        (plan.output / RECORD).unlink(missing_ok=True)
        training.run()
        return training.finish(), str(plan.output)


@dataclass
class _Training:
    """The stages so far."""

    plan: Plan
    progress: Progress
    n_processes: int
    stops: bool = True
    """Whether a gate that fails ends the run."""
    measured: dict[str, Measured] = field(default_factory=dict)
    rewarded_by: dict[str, str] = field(default_factory=dict)
    """Which reward model scored a model's answers when it was measured; empty where there was none yet."""
    evaluated: dict[str, ModelResults] = field(default_factory=dict)
    """What models came to by the manifest's `evaluation`."""
    summaries: list[StageSummary] = field(default_factory=list)

    def run(self) -> None:
        """All stages; the page is written anew after each."""
        self._make_base()
        done = [name for planned in self.plan.stages if planned.is_done for name in self._to_measure(planned)]
        self._measure(list(dict.fromkeys([BASE, *done])), self._reward(self.plan.stages))
        self._evaluate([BASE, *(name for item in self.plan.stages if item.is_done for name in self._judged_by(item))])
        self.summaries.append(self._base())
        self._show()
        for planned in self.plan.stages:
            with waiting(planned.folder, self.progress):
                if not planned.is_done:
                    self._train(planned)
                self._tidy(planned)
            self._measure(self._to_measure(planned), self._reward_for(planned))
            self._evaluate(self._judged_by(planned))
            summary = self._summary(planned)
            self.summaries.append(summary)
            self._refresh()
            failed = [verdict for verdict in summary.gates if not verdict.passed and self.stops]
            self._show(stopped_at=planned.name if failed else "")
            if failed:
                raise RunError(_stopped(planned, failed, self.plan.output))

    def _make_base(self) -> None:
        """Draw the weights of a base that is new."""
        new, folder = self.plan.manifest.base, Path(self.plan.base_model).parent
        if not isinstance(new, NewModel):
            return
        with waiting(folder, self.progress):
            if (folder / DONE).is_file():
                return
            planned = write_plan(new, Path(resolve(new.tokenizer, self.plan.base)), folder)
            job = Job(
                stage=Init(kind="init", name=BASE),
                folder=str(folder),
                manifest_base=self.plan.base,
                models={"model": str(planned)},
                seed=self.plan.manifest.seed,
                threads=self.plan.manifest.threads,
            )
            run(job, folder, 1, self.progress)

    def _train(self, planned: PlannedStage) -> None:
        """Run a stage; what it took so far is kept beside it, over kills."""
        planned.folder.mkdir(parents=True, exist_ok=True)
        history = read_history(planned.folder)
        history = history.model_copy(update={"n_started": history.n_started + 1})
        write(planned.folder / HISTORY, history.model_dump_json())
        began, memory = time.monotonic(), PeakMemory()
        n_processes = 1 if planned.stage.kind in WITHOUT_TRAINING else self.n_processes
        try:
            with memory:
                run(self.plan.job(planned), planned.folder, n_processes, self.progress)
        finally:
            seconds, peak_bytes = (
                history.seconds + time.monotonic() - began,
                max(history.peak_bytes, memory.peak_bytes),
            )
            done = history.model_copy(update={"seconds": seconds, "peak_bytes": peak_bytes})
            with contextlib.suppress(OSError):  # on a full disk, of which the process has told
                write(planned.folder / HISTORY, done.model_dump_json())

    def _tidy(self, planned: PlannedStage) -> None:
        """Remove what only a killed run would have needed."""
        shutil.rmtree(planned.folder / CHECKPOINTS, ignore_errors=True)

    # Measures

    def _reward(self, stages: Sequence[PlannedStage]) -> str | None:
        """The model that scores answers: the manifest's, or that of the last reward stage of these that is done."""
        manifest = self.plan.manifest
        if manifest.prompts is None:
            return None
        made = {planned.name: planned for planned in stages if planned.stage.kind == "reward" and planned.is_done}
        if manifest.reward is None:
            return str(list(made.values())[-1].model_path) if made else None
        if manifest.reward in made:
            return str(made[manifest.reward].model_path)
        is_to_come = manifest.reward in [planned.name for planned in self.plan.stages]
        return None if is_to_come else self.plan.folder_of(manifest.reward)

    def _reward_for(self, planned: PlannedStage) -> str | None:
        """The same for a stage: where gates judge rewards, none that a later stage made, also when it is there."""
        is_judged = any(isinstance(gate, LengthBiasGate | RewardDriftGate) for gate in planned.stage.gates)
        stages = self.plan.stages
        return self._reward(stages[: stages.index(planned)] if is_judged else stages)

    def _to_measure(self, planned: PlannedStage) -> list[str]:
        """What is measured after a stage: its model, what it is compared with, and all where rewards are new."""
        if planned.stage.kind in MAKES_ENCODER:  # which has no next token; its stage has measured what it is for
            return []
        if planned.stage.kind == "reward":  # what was made before it gets its rewards now
            return [BASE, *(item.name for item in self.plan.stages if item.is_done and _makes_policy(item))]
        others = [name for name in models_needed(planned.stage) if name != "before"]
        parents = planned.starts_from if isinstance(planned.stage, Merge) else planned.starts_from[:1]
        return list(dict.fromkeys([*parents, *others, planned.name]))

    def _measure(self, names: list[str], reward: str | None) -> None:
        """Measure models, in one process; those that are known already, with the same rewards, are left out."""
        manifest = self.plan.manifest
        names = [name for name in names if self.rewarded_by.get(name, "none") != (reward or "")]
        if not names or (not manifest.validation and manifest.prompts is None):
            return
        job = MeasureJob(
            models={name: self.plan.folder_of(name) for name in names},
            validations=tuple(manifest.validation),
            prompts=manifest.prompts,
            reward=reward,
            manifest_base=self.plan.base,
            cache=str(self.plan.store / MEASURES),
            seed=manifest.seed,
            threads=manifest.threads,
        )
        found = run(job, self.plan.output / MEASURES, 1, self.progress)
        self.measured.update(MeasuresResult.model_validate_json(found).models)
        self.rewarded_by.update(dict.fromkeys(names, reward or ""))
        self._attach()

    def _judged_by(self, planned: PlannedStage) -> list[str]:
        """Models whose benchmarks a stage is judged by: what its gates compare with, and its own."""
        if not _makes_policy(planned):
            return []
        named = [
            gate.against for gate in planned.stage.gates if isinstance(gate, ScoreGate) and gate.max_fall is not None
        ]
        before = planned.starts_from[:1] if "before" in named else []
        parents = parents_of(planned.stage) if "parents" in named else []
        others = [name for name in named if name not in ("before", "parents")]
        return list(dict.fromkeys([*before, *parents, *others, planned.name]))

    def _evaluate(self, names: Sequence[str]) -> None:
        """Evaluate models that were not yet; what one came to before is read from the cache."""
        asked = self.plan.manifest.evaluation
        new = [name for name in dict.fromkeys(names) if name not in self.evaluated]
        if asked is None or not new:
            return
        setting = Setting(
            output=self.plan.output,
            work=self.plan.output / EVALUATIONS,
            cache=self.plan.store / EVALUATIONS,
            base=self.plan.base,
            seed=self.plan.manifest.seed,
            threads=self.plan.manifest.threads,
        )
        folders = {name: self.plan.folder_of(name) for name in new}
        models = [
            EvaluatedModel.model_construct(name=file_name(name), path=folder, chat=has_template(folder))
            for name, folder in folders.items()
        ]
        found = ask(asked, models, setting, self.progress)
        self.evaluated |= {name: found[file_name(name)] for name in new}
        self._attach()

    def _attach(self) -> None:
        """Put what models came to beside their other measures."""
        for name, results in self.evaluated.items():
            measured = self.measured.setdefault(name, Measured())
            measured.evaluated = {result.name: result for result in results.results}

    # What came of it

    def _base(self) -> StageSummary:
        return self._summed_up(BASE, BASE, self.plan.base_model, Path(self.plan.base_model))

    def _summary(self, planned: PlannedStage) -> StageSummary:
        """A stage that is done, with what its gates found."""
        made = Made.model_validate_json((planned.folder / DONE).read_bytes())
        history = read_history(planned.folder)
        stage = self._summed_up(planned.name, planned.stage.kind, str(planned.folder), planned.model_path)
        n_tokens = 0 if planned.stage.kind in WITHOUT_TRAINING else made.counts.get("tokens", 0)
        filled = stage.model_copy(
            update={
                "starts_from": planned.starts_from,
                "n_trained_parameters": made.counts.get("trained_parameters", stage.n_parameters),
                "seconds": history.seconds,
                "n_resumed": max(0, history.n_started - 1),
                "peak_bytes": history.peak_bytes,
                "made": made,
                "flops": Training(stage.n_parameters, n_tokens).flops,
                "curve": read_curve(planned.folder / CURVE),
            }
        )
        facts = self._facts(planned, made, filled.curve)
        gates = [judge(gate, facts) for gate in planned.stage.gates]
        return filled.model_copy(update={"gates": gates})

    def _summed_up(self, name: str, kind: str, folder: str, model: Path) -> StageSummary:
        """A model, with what was measured of it."""
        found = self.measured.get(name, Measured())
        prompts = self.plan.manifest.prompts
        return StageSummary(
            name=name,
            kind=kind,
            folder=folder,
            n_parameters=count_parameters(model),
            measures=found.measures,
            answers=found.answers[: prompts.shown] if prompts else [],
            evaluated=list(found.evaluated.values()),
        )

    def _facts(self, planned: PlannedStage, made: Made, curve: Sequence[Mapping[str, Cell]]) -> Facts:
        """What the gates of a stage are judged by."""
        before = planned.starts_from[0]
        models = {
            name: self.measured[before if name == "before" else name]
            for name in models_needed(planned.stage)
            if (before if name == "before" else name) in self.measured
        }
        return Facts(
            kind=planned.stage.kind,
            of=self.measured.get(planned.name, Measured()),
            models=models,
            parents={name: self.measured[name] for name in parents_of(planned.stage) if name in self.measured},
            curve=curve,
            made=made,
        )

    def _refresh(self) -> None:
        """Measures that came later: rewards of the stages before the reward model."""
        self.summaries = [
            summary.model_copy(update={"measures": found.measures, "answers": found.answers[: len(summary.answers)]})
            if (found := self.measured.get(summary.name))
            else summary
            for summary in self.summaries
        ]

    def _show(self, stopped_at: str = "") -> TrainingSummary:
        """Write what is known so far, for programs and for people."""
        summary = TrainingSummary(name=self.plan.manifest.name, stages=self.summaries, stopped_at=stopped_at)
        write(self.plan.output / SUMMARY, summary.model_dump_json(indent=1))
        self._write_page(summary, {"manifest": self.plan.manifest.model_dump(mode="json")})
        return summary

    def _write_page(self, summary: TrainingSummary, record: Mapping[str, Any]) -> None:
        around = {
            "folder": str(self.plan.output),
            "environment": environment(self.n_processes, self.plan.manifest.threads),
        }
        write(self.plan.output / REPORT, render(summary, {**record, **around}))

    def finish(self) -> TrainingRecord:
        """Write page, card and, last, the record."""
        summary = self._show()
        record = record_of(self.plan, summary, max(stage.peak_bytes for stage in self.summaries), self.n_processes)
        self._write_page(summary, record.model_dump(mode="json"))
        write(self.plan.output / CARD, model_card(summary, record))
        write_record(Folder(str(self.plan.output)), record)
        return record


class History(BaseModel):
    """What a stage took, over all times that it was started."""

    n_started: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0


def read_history(folder: Path) -> History:
    """What a stage took so far."""
    path = folder / HISTORY
    return History.model_validate_json(path.read_bytes()) if path.is_file() else History()


def _makes_policy(planned: PlannedStage) -> bool:
    return planned.stage.kind in MAKES_POLICY


def _stopped(planned: PlannedStage, failed: list[Verdict], output: Path) -> str:
    """Why a run was stopped, and what may be done."""
    lines = [
        f"{planned.name}: a gate failed, so the next stage was not started; its model is kept in {planned.folder}"
    ]
    for verdict in failed:
        lines.append(f"  {verdict.gate}: {verdict.found}")
        lines += [f"    {verdict.advice}"] if verdict.advice else []
    return "\n".join([*lines, f"  figures and curves: {output / REPORT}"])
