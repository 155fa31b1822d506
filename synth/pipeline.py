"""`onggi synth`: from seeds and a teacher to samples, past gates, into tables, a report and a card.

The only state between runs is the answers of teachers, which are kept by what was asked. A run that was killed, or
whose task, gates or code changed, is run again over them: it asks for what it has no answer to, and for nothing else.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson
import xxhash

from manifests import schema_synthesis as schema
from manifests.code import code_digest, version
from manifests.engine import PeakMemory, Progress, Stopwatch, silent
from manifests.errors import RequestError
from manifests.record import RECORD, write_record
from manifests.store import Folder, resolve
from synth.card import dataset_card
from synth.drafts import Drafts, DraftWriter
from synth.drive import drive
from synth.final_answers.math_workers import MathWorkers
from synth.gates.choose import gates_of
from synth.gates.gate import Verdict
from synth.inputs import input_digests
from synth.panel import Panel
from synth.prompts import Prompts
from synth.record import SynthesisRecord, read_synthesis, record_of
from synth.report import render
from synth.samples import Item, Role
from synth.sandboxes.sandbox import choose_sandbox
from synth.seeds import SeedCounts, read_seeds, seed_files
from synth.shares import STAGE as SHARE
from synth.shares import check_runs, over_the_share
from synth.summary import summarize
from synth.summary_models import SynthesisSummary
from synth.tables import Written, equal_samples, write_tables
from synth.tasks.choose import task_class
from synth.tasks.task import Setting, Task
from synth.teacher import Usage
from synth.token_table import write_logprobs

DRAFTS, SUMMARY, REPORT, CARD = "drafts", "summary.json", "report.html", "README.md"
OURS = ("messages", "preference", "text", "rejected", "logprobs", SUMMARY, REPORT, CARD)
"""What a run writes beside its record and the answers."""

CODE = (
    *("synth/**/*.py", "synth/**/*.jsonl", "synth/**/*.yaml", "synth/prompts/**/*"),
    *("classifiers/language.py", "classifiers/rows.py", "classifiers/scripts.py"),
    *("curation/*.py", "curation/dedup/*.py", "curation/kernels/*.py"),
)
"""What samples depend on beside the manifest, its seeds, and answers."""

HOW = ("url", "replay", "api_key", "concurrency", "timeout_s", "retries", "answers", "price_input", "price_output")
"""Of a teacher: how, how fast and at what price it is reached; its answers do not depend on that."""

PROGRESS_SAMPLES = 100


@dataclass(frozen=True)
class Made:
    """What a run made."""

    drafts: Drafts
    written: list[Written]
    summary: SynthesisSummary
    usage: dict[Role, Usage]
    counts: SeedCounts
    n_items: int
    """What was worked on: seeds, parts of them, or a task's own."""


def synthesize(
    manifest: schema.SynthesisManifest, base: str, output: str | None = None, progress: Progress = silent
) -> tuple[SynthesisRecord, str]:
    """Run a manifest; a killed run goes on, a finished one is not made again.

    Returns:
        Its record, and the folder of the run.

    Raises:
        RequestError: the manifest asks for what is not there.
        RunError: the teacher cannot be asked any more; what was answered is kept.
    """
    folder = run_folder(manifest, base, output)
    run, job, watch = Folder(folder), Job(manifest, base, folder, progress), Stopwatch()
    check_own(run)
    fingerprint = job.fingerprint
    if record := _finished(run, fingerprint):
        return record, folder
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"output: {folder}: cannot be made: {error.strerror}") from error
    with _alone(folder):
        run.remove(RECORD)
        with PeakMemory() as memory:
            made = job.run(run, watch)
        record = record_of(manifest, base, fingerprint, job.inputs, made, watch.seconds, memory.peak_bytes)
        run.write_bytes(SUMMARY, made.summary.model_dump_json().encode())
        write_synthesis_report(run, record)
        write_record(run, record)
        run.remove(DRAFTS)
    return record, folder


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """A lock on the folder of a run, which goes with this process: two that write there would mix their files.

    Raises:
        RequestError: another process has it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RequestError(f"{folder}: another process is at work on this run; wait for it") from error
        yield
    finally:
        os.close(descriptor)


def run_folder(manifest: schema.SynthesisManifest, base: str, output: str | None = None) -> str:
    """Where a run is made.

    Raises:
        RequestError: that is not on this machine.
    """
    folder = resolve(output or manifest.output.path, base)
    if "://" in folder:
        raise RequestError(f"{folder}: synthetic data is made on local disk; name a path in `output`")
    return folder


def write_synthesis_report(run: Folder, record: SynthesisRecord) -> str:
    """Write the report of a run and its card; returns the report's path."""
    summary = read_summary(run)
    manifest = schema.SynthesisManifest.model_validate(record.manifest)
    run.write_bytes(REPORT, render(summary, record.model_dump(mode="json")).encode())
    run.write_bytes(CARD, dataset_card(summary, manifest, record.created, version()).encode())
    return run.url(REPORT)


def read_summary(run: Folder) -> SynthesisSummary:
    """What a finished run came to."""
    return SynthesisSummary.model_validate(run.read_json(SUMMARY))


def check_own(run: Folder) -> None:
    """Refuse a folder in which a run would replace what no run wrote, and what is none.

    Raises:
        RequestError: names what is there.
    """
    if Path(run.path).is_file():
        raise RequestError(f"output: {run.path}: is a file; name a folder")
    has_drafts = run.exists(DRAFTS)
    if has_drafts and not all(name.startswith("lot-") for name in (run / DRAFTS).names()):
        raise RequestError(
            f"{run.path}/{DRAFTS}: a run has its drafts there, and it holds other files; give another folder"
        )
    if run.exists(RECORD):
        read_synthesis(run)
        return
    theirs = [name for name in OURS if run.exists(name)]
    if theirs and not run.exists("answers.sqlite") and not has_drafts:
        raise RequestError(
            f"{run.path} holds {', '.join(theirs)}, which a run would replace, and no run; give another folder, or "
            "remove them"
        )


def check_items(n_items: int, counts: SeedCounts) -> None:
    """Refuse to make something of nothing.

    Raises:
        RequestError: there is nothing to work on.
    """
    if not n_items:
        blank = f" ({counts.n_blank:,} rows have none)" if counts.n_blank else ""
        raise RequestError(f"seeds: no row is left to work on: look at seeds.where, and at seeds.text{blank}")


def _finished(run: Folder, fingerprint: str) -> SynthesisRecord | None:
    """The record of this very run, if it is there and nothing in it is open."""
    if not run.exists(RECORD):
        return None
    record = read_synthesis(run)
    return record if record.fingerprint == fingerprint and not record.n_unanswered else None


class Job:
    """A manifest with its seeds."""

    def __init__(self, manifest: schema.SynthesisManifest, base: str, folder: str, progress: Progress) -> None:
        self.manifest, self.base, self.folder, self.progress = manifest, base, folder, progress
        self.inputs = seed_files(manifest.seeds, base)

    @property
    def fingerprint(self) -> str:
        """Changes with all that the result depends on; not with how teachers are reached.

        Raises:
            RequestError: what a gate or the task needs is not there.
        """
        asked = self.manifest.model_dump(mode="json")
        for role in ("teacher", "judge", "reward"):
            asked[role] = {name: value for name, value in (asked[role] or {}).items() if name not in HOW}
        asked["output"].pop("path")
        inputs = [(entry.digest, entry.size_bytes) for entry in self.inputs]
        parts = [asked, inputs, input_digests(self.manifest, self.base), code_digest(*CODE)]
        return xxhash.xxh3_64_hexdigest(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))

    def seeds(self, counts: SeedCounts | None = None) -> Iterator[Item]:
        """All seeds, anew."""
        return read_seeds(self.manifest.seeds, self.base, counts)

    def run(self, run: Folder, watch: Stopwatch) -> Made:
        """Everything up to the tables."""
        has_share = check_runs(self.manifest, self.base)
        with Panel(self.manifest, self.base, self.folder) as panel, MathWorkers() as math:
            counts = SeedCounts()
            task = self.task(math, counts)
            gates = gates_of(self.manifest, self.base, panel, self.seeds)
            n_items = sum(1 for _ in task.items(self.seeds(None if task.needs_all_seeds else counts)))
            check_items(n_items, counts)
            with watch("ask"):
                drafts = self._ask(task, panel, run, n_items)
            with watch("gates"):
                for settings, gate in zip(self.manifest.gates, gates, strict=True):
                    verdicts = self._shown(gate.name, len(drafts), gate.judge(drafts))
                    drafts.settle(gate.name, verdicts, _threshold(settings))
                drafts.settle("duplicate", equal_samples(drafts, self.manifest.task.kind))
                if has_share:
                    drafts.settle(SHARE, over_the_share(self.manifest, self.base, drafts))
            with watch("write"):
                tokens = write_logprobs(run, drafts, self.manifest, panel)
                written = [*write_tables(run, drafts, self.manifest), *([tokens] if tokens else [])]
            usage = panel.usage
        with watch("summarize"):
            summary = summarize(
                drafts.all(),
                self.manifest,
                gates=[*(gate.name for gate in gates), "duplicate", *([SHARE] if has_share else [])],
                n_seeds=counts.n_items,
                n_items=n_items,
                usage=usage,
                written=written,
            )
        return Made(drafts, written, summary, usage, counts, n_items)

    def task(self, math: MathWorkers, counts: SeedCounts) -> Task:
        """The task, ready to work."""
        manifest = self.manifest
        chosen, prompts = task_class(manifest.task.kind), manifest.task.prompts
        setting = Setting(
            manifest,
            self.base,
            Prompts(resolve(prompts, self.base) if prompts else None),
            math,
            cache(lambda: choose_sandbox(manifest.sandbox)),
            tuple(self.seeds(counts)) if chosen.needs_all_seeds else (),
        )
        return chosen(setting)

    def _ask(self, task: Task, panel: Panel, run: Folder, n_items: int) -> Drafts:
        """Run the task over all items."""
        self.progress("ask", 0, n_items)
        start = time.monotonic()
        with DraftWriter(run / DRAFTS) as writer:
            for number, (_, samples) in enumerate(drive(task, task.items(self.seeds()), panel), 1):
                for sample in samples:
                    writer.add(sample)
                self.progress("ask", number, n_items, _note(panel.usage, self.manifest, time.monotonic() - start))
        return writer.drafts()

    def _shown(self, name: str, n: int, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        """Verdicts as they are, with progress, where there is anything to judge."""
        if n:
            self.progress(name, 0, n)
        for number, verdict in enumerate(verdicts, 1):
            yield verdict
            if number % PROGRESS_SAMPLES == 0 or number == n:
                self.progress(name, number, n)


def _threshold(gate: schema.Gate) -> float | None:
    """What a gate compares its one number with."""
    match gate:
        case schema.NearGate():
            return gate.jaccard
        case schema.DecontaminateGate():
            return gate.score
        case schema.ScoreGate():
            return gate.min
        case schema.DiversityGate():
            return gate.max_cosine
    return None


def _note(usage: Mapping[Role, Usage], manifest: schema.SynthesisManifest, seconds: float) -> str:
    """What was asked so far, how fast it is answered, and what it cost, where the manifest has prices."""
    of = usage.values()
    n_kept, n_tokens, n_failed = (sum(getattr(one, name) for one in of) for name in _NOTED)
    cost = sum(one.cost(settings) for role, one in usage.items() if (settings := getattr(manifest, role)))
    return ", ".join(
        [
            f"{sum(one.n_paid for one in of):,} asked",
            *([f"{n_kept:,} known"] if n_kept else []),
            *([f"{n_failed:,} failed"] if n_failed else []),
            *([f"{n_tokens / max(seconds, 1e-3):,.0f} tokens/s"] if n_tokens else []),
            *([f"{cost:,.2f} spent"] if cost >= CENT else []),
        ]
    )


CENT = 0.01
_NOTED = ("n_kept", "n_output_tokens", "n_failed")
