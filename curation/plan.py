"""`onggi plan`: what a manifest will read, keep in memory, write and take, step by step.

A few MB of the inputs are measured and decided for real, twice: half of them and all. The second run tells what each
step takes; the first bears what is paid once (kernels, libraries), and tells what grows faster than the sample does:
how many texts have a near-duplicate or a repeated line, and how many are left once duplicates are gone.
"""

import math
import tempfile
from dataclasses import dataclass, field

from curation.decontaminate import INDEX
from curation.pipeline import Job, warm_up
from curation.plan_memory import Memory
from curation.plan_sample import Amounts, Decision, InputSample, decide_sample, half_of, take_sample
from curation.plan_watch import StepWatch
from curation.read_code import load_licenses
from manifests.engine import resident_bytes
from manifests.errors import RequestError
from manifests.store import Folder, ranges_for

REPORT_BYTES = 3_000_000
"""Of report, summary, card and record."""

GROWING = {
    "near": ("near/members", "near/nodes"),
    "lines": ("repeated_lines", "line_hashes"),
    "paragraphs": ("repeated_paragraphs", "paragraph_hashes"),
    "spans": ("repeats/candidates", "fingerprints"),
}
"""What grows faster than the sample: (rows that were found in other documents too, rows they are a share of)."""

TABLES_OF = {
    **{f"near/{name}": "near" for name in ("pairs", "edges", "members", "sets", "labels", "clusters", "near")},
    **dict.fromkeys(("near", "exact", "staging/passing", "staging/losers"), "near"),
    "repeated_lines": "lines",
    "repeated_paragraphs": "paragraphs",
    **dict.fromkeys(("repeats/candidates", "repeats/contexts", "repeated_spans"), "spans"),
    **dict.fromkeys(("staging/places", "staging/repeats"), "spans"),
}
STEPS_OF = {
    **dict.fromkeys(("components", "place pairs", "compare", "dedup"), "near"),
    "repeated lines": "lines",
    "repeated paragraphs": "paragraphs",
    **dict.fromkeys(("candidates", "contexts", "repeated spans"), "spans"),
}
PER_ROW = (
    *("keys", "exact", "near", "near/nodes", "near/bands", "signatures", "ledger", "staging/ledger"),
    *("url_keys", "url_groups", "staging/url_passing", "staging/url_losers"),
)
"""Tables and steps that follow the number of records; all others follow their text."""
PER_ROW_STEPS = (
    *("number texts", "join bands", "components", "place pairs", "group", "dedup"),
    *("url_keys", "group URLs"),
)


@dataclass(frozen=True)
class InputEstimate:
    """One input: its files, and what a sample says of all of it."""

    source: str
    path: str
    format: str
    n_files: int
    n_splits: int
    size_bytes: int
    n_records: int
    content_bytes: int
    text_bytes: int
    n_sampled: int = 0
    """Records of its own that were measured."""
    failed: dict[str, int] = field(default_factory=dict)
    """Of these, those that failed, by reason; most of them first."""

    @property
    def complaint(self) -> str | None:
        """What to say of an input of which more than half of what was sampled failed."""
        n_failed = sum(self.failed.values())
        if 2 * n_failed <= self.n_sampled:
            return None
        reasons = list(self.failed)
        counted = reasons if len(reasons) == 1 else [f"{reason} ({self.failed[reason]:,})" for reason in reasons[:3]]
        of = f"{n_failed:,} of {self.n_sampled:,} sampled records of source {self.source}"
        return f"{of} fail: {', '.join(counted)}"


@dataclass(frozen=True)
class StepEstimate:
    """One step of the run, in the order in which they come."""

    step: str
    seconds: float
    ram_bytes: int
    """Resident at its peak, all processes together."""
    written_bytes: int
    """What is on disk after it and was not before."""
    disk_bytes: int
    """All of the run that is on disk when it ends, before what it worked with is removed."""


@dataclass(frozen=True)
class Share:
    """A share in the whole corpus that a sample cannot show: what it may be."""

    low: float
    """As in the sample: all that are alike lie near each other."""
    expected: float
    """Grown on as it grew from half of the sample to all of it."""
    high: float
    """As many times more as the sample goes into the corpus: those that are alike lie anywhere (birthdays)."""


@dataclass(frozen=True)
class Estimate:
    """What a run will take; everything but `size_bytes` is extrapolated from `sampled_bytes` of content."""

    inputs: list[InputEstimate]
    steps: list[StepEstimate]
    sampled_bytes: int
    measure_mb_s: float
    """Of content, one worker."""
    kept_bytes: int
    """On disk once the run is complete."""
    disk_high_bytes: int
    """On disk at the peak, were shares at their highest."""
    shares: dict[str, Share]
    """Of texts that are in a candidate pair (`near`), and of what repeats."""

    @property
    def n_records(self) -> int:
        """Records in all inputs."""
        return sum(item.n_records for item in self.inputs)

    @property
    def size_bytes(self) -> int:
        """Size of all input files."""
        return sum(item.size_bytes for item in self.inputs)

    @property
    def seconds(self) -> float:
        """From start to report."""
        return sum(step.seconds for step in self.steps)

    @property
    def ram_bytes(self) -> int:
        """Peak of all processes together."""
        return max(step.ram_bytes for step in self.steps)

    @property
    def disk_bytes(self) -> int:
        """Peak of all that is on disk."""
        return max(step.disk_bytes for step in self.steps)


@dataclass(frozen=True)
class _Scale:
    """How often the sample goes into the corpus, by records and by text, and what grows beyond that."""

    rows: float
    text: float
    measured: float
    alone_frac: float
    """Of the texts that stand for themselves in the sample, the share that does so in the corpus."""
    shares: dict[str, Share]
    n_files: float
    """By how much the number of the output's files grows."""

    def table(self, name: str, high: bool = False) -> float:
        """By how much a table grows."""
        name = name.removeprefix("staging/") if name in ("staging/documents", "staging/ledger") else name
        if name == "":
            return 1.0
        if name == "staging/notes":
            return self.n_files
        if name == INDEX:
            return min(1.0, self.text)
        if name == "measured":
            return self.measured
        linear = self.rows if name in PER_ROW else self.text
        if name == "documents":
            return linear * (1.0 if high else self.alone_frac)
        return linear * self.growth(TABLES_OF.get(name), high)

    def step(self, name: str) -> float:
        """By how much a step's time grows."""
        if name == "benchmark index":
            return min(1.0, self.text)
        linear = self.rows if name in PER_ROW_STEPS else self.text
        return linear * self.growth(STEPS_OF.get(name))

    def growth(self, what: str | None, high: bool = False) -> float:
        """By how much a share grows."""
        share = self.shares.get(what or "")
        return (share.high if high else share.expected) / share.low if share and share.low else 1.0


def estimate(job: Job) -> Estimate:
    """Run a few MB of each input and extrapolate to all of it; the manifest's output is not touched."""
    with tempfile.TemporaryDirectory(prefix="onggi-plan-") as folder:
        half, run = Folder(f"{folder}/half"), Folder(f"{folder}/all")
        with StepWatch(run) as watch:
            warm_up(job.manifest)
            for item in job.manifest.inputs:
                load_licenses(item)
            watch("prepare", 1, 1)
        base_bytes = resident_bytes()
        samples = take_sample(job, run)
        if not (run / "measured").names(".parquet"):
            raise RequestError(
                f"{job.manifest.name}: its inputs hold no record, so there is nothing to estimate from"
            )
        half_of(run, half)
        first, second = decide_sample(job, half), decide_sample(job, run)
    return _extrapolated(job, samples, first, second, watch.steps["prepare"].seconds, base_bytes)


def _extrapolated(
    job: Job, samples: list[InputSample], first: Decision, second: Decision, prepare_s: float, base_bytes: int
) -> Estimate:
    inputs = [_input(sample) for sample in samples]
    scale = _scale(job, inputs, samples, first, second)
    sampled_bytes = round(sum(sample.taken.content_bytes for sample in samples))
    measure_s = sum(sample.taken.seconds for sample in samples)
    steps = _steps(job, inputs, samples, second, scale, base_bytes)
    once_s = sum(took.seconds for took in first.steps.values())
    again_s = sum(took.seconds for took in second.steps.values()) * first.n_rows / max(second.n_rows, 1)
    prepare = StepEstimate("prepare", prepare_s + max(0.0, once_s - again_s), base_bytes, 0, 0)
    last = second.steps["write"].tables
    kept = {name: size for name, size in last.items() if _is_kept(name)}
    kept_bytes = sum(size * scale.table(name) for name, size in kept.items()) + REPORT_BYTES
    high_bytes = max(
        sum(size * scale.table(name, high=True) for name, size in took.tables.items())
        for took in second.steps.values()
    )
    if job.manifest.store == "columns":
        kept_bytes -= second.text_column_bytes * scale.measured
    return Estimate(
        inputs,
        [prepare, *steps],
        sampled_bytes,
        sampled_bytes / 1e6 / max(measure_s, 1e-9),
        round(kept_bytes),
        round(high_bytes),
        scale.shares,
    )


def _input(sample: InputSample) -> InputEstimate:
    files = {split.path for split in sample.splits}
    return InputEstimate(
        sample.item.source,
        sample.item.path or (sample.item.crawl.id if sample.item.crawl else ""),
        "+".join(sorted(sample.formats)),
        sum(len(split.files) for split in sample.splits) or len(files),
        len(sample.splits),
        sample.size_bytes,
        round(sample.whole.n_records),
        round(sample.whole.content_bytes),
        round(sample.whole.text_bytes),
        0 if sample.item.crawl else round(sample.taken.n_records),  # pages that stand in for a crawl's say nothing
        dict(sample.failed.most_common()),
    )


def _scale(
    job: Job, inputs: list[InputEstimate], samples: list[InputSample], first: Decision, second: Decision
) -> _Scale:
    rows = sum(item.n_records for item in inputs) / max(second.n_rows, 1)
    text_bytes = sum(item.text_bytes for item in inputs)
    taken, all_of_it = (sum(of.measured_bytes for of in amounts) for amounts in _amounts(samples))
    shares = {}
    for what, (part, whole) in GROWING.items():
        now, before = (_share(decision, part, whole) for decision in (second, first))
        if now is not None:
            shares[what] = grown(before or 0.0, now, second.n_rows / max(first.n_rows, 1), rows, second.n_rows)
    alone = [decision.kept / max(decision.passed, 1) for decision in (first, second)]
    exponent = _exponent(alone[1], alone[0], second.n_rows / max(first.n_rows, 1))
    n_files = len(ranges_for(text_bytes, job.manifest.output.shard_bytes))
    return _Scale(
        rows,
        text_bytes / max(second.text_bytes, 1),
        all_of_it / max(taken, 1.0),
        rows**-exponent if rows > 1 else 1.0,
        shares,
        n_files / len(ranges_for(second.text_bytes, job.manifest.output.shard_bytes)),
    )


def _amounts(samples: list[InputSample]) -> tuple[list[Amounts], list[Amounts]]:
    return [sample.taken for sample in samples], [sample.whole for sample in samples]


def _share(decision: Decision, part: str, whole: str) -> float | None:
    """The share by the most that was there of both tables; None where nothing was looked for."""
    most = {name: max(took.tables.get(name, 0) for took in decision.steps.values()) for name in (part, whole)}
    return min(1.0, most[part] / most[whole]) if most[whole] else None


def grown(before: float, now: float, times: float, further: float, n_rows: int) -> Share:
    """A share in a corpus `further` times as large as a sample, which is `times` as large as its half.

    Args:
        before: the share in the half.
        now: the share in the sample.
        times: how often the half goes into the sample.
        further: how often the sample goes into the corpus.
        n_rows: of the sample. Where it shows none there may still be three in so many (the rule of three).
    """
    further = max(further, 1.0)
    high = min(1.0, max(now, 3 / max(n_rows, 1)) * further) if further > 1 else now
    return Share(now, min(1.0, now * further ** _exponent(before, now, times)), max(now, high))


def _exponent(before: float, now: float, times: float) -> float:
    """The power, 0 to 1, with which something grew while its sample became `times` as large."""
    if now <= 0 or times <= 1:
        return 0.0
    return min(1.0, max(0.0, math.log(now / before) / math.log(times))) if before > 0 else 1.0


def _is_kept(table: str) -> bool:
    """Whether a table is there when the run is complete; what `near-*` and `staging-*` hold goes."""
    return (
        table in ("staging/documents", "staging/ledger", "near/clusters")
        or table.startswith("scores/")
        or "/" not in table
    )


def _steps(
    job: Job,
    inputs: list[InputEstimate],
    samples: list[InputSample],
    decision: Decision,
    scale: _Scale,
    base_bytes: int,
) -> list[StepEstimate]:
    """Measuring and all steps of deciding."""
    seconds = {"measure": sum(sample.whole.seconds for sample in samples)}
    seconds |= {name: took.seconds * scale.step(name) for name, took in decision.steps.items()}
    start = {
        name: size
        for name, size in next(iter(decision.steps.values())).tables.items()
        if name in ("measured", "keys")
    }
    tables = {"measure": start} | {name: took.tables for name, took in decision.steps.items()}
    sizes = {step: {name: size * scale.table(name) for name, size in of.items()} for step, of in tables.items()}
    totals = (sum(getattr(item, name) for item in inputs) for name in ("n_records", "content_bytes", "text_bytes"))
    memory = Memory(job.manifest, len(job.splits), *totals)
    before: dict[str, float] = {}
    steps = []
    for step, of in sizes.items():
        written = sum(max(0.0, size - before.get(name, 0.0)) for name, size in of.items())
        n_processes = max(1, min(job.n_workers, memory.n_tasks(step)))
        steps.append(
            StepEstimate(
                step,
                seconds[step] / n_processes,
                memory.peak_bytes(step, base_bytes, job.n_workers),
                round(written),
                round(sum(of.values())),
            )
        )
        before = of
    return steps
