"""`curate` and `decide`: the stages in their order, from a manifest to a complete run."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Thread

import orjson
import polars as pl
import pyarrow as pa
import xxhash

from curation import benchmarks, charts, pii_redact
from curation.addresses.columns import addresses_digest, lists_gone, recorded_lists, resolved_lists
from curation.addresses.hosts import check_installed as check_addresses
from curation.addresses.hosts import suffixes_version
from curation.card import dataset_card
from curation.datatrove_bridge import check_steps
from curation.decide import DECIDE_CODE, decide
from curation.decontaminate import items_digest
from curation.dedup.earlier import state_of
from curation.dedup.embeddings import Encoder, check_installed
from curation.dedup.near_summary import found_counts
from curation.dedup.signatures import Banding, sign
from curation.pii_redact import redactor
from curation.read import Split, plan_splits
from curation.removal.notes import removals
from curation.removal.standing import bury_again
from curation.report import render
from curation.rules import expand, override
from curation.score_tables import score_table
from curation.scorers import model_digests, model_path, resolved_model
from curation.shards import (
    MeasureTask,
    PartCounts,
    drop_texts,
    forget_measurer,
    has_texts,
    kept_measurer,
    measure_split,
    measured_counts,
)
from curation.summary import Summary
from curation.verdicts import checked_rules
from curation.write import Decided
from manifests.code import code_digest, version
from manifests.contracts import records_schema
from manifests.digest import row_hashes
from manifests.engine import HERE, Engine, PeakMemory, Progress, Stopwatch, Workers, open_engine, silent
from manifests.errors import RequestError, RunError
from manifests.record import (
    PREVIOUS,
    RECORD,
    Entry,
    ListRecord,
    RunRecord,
    measured_folder,
    now,
    read_record,
    set_aside,
    write_record,
)
from manifests.schema import CorpusManifest, Input
from manifests.store import Folder, resolve

REPORT = "report.html"
SUMMARY = "summary.json"
CARD = "README.md"

WARM_UP_PAGE = "<html><body><h1>옹기</h1><p>Onggi breathes. 옹기는 숨을 쉰다.</p></body></html>".encode()


@dataclass(frozen=True)
class Job:
    """A manifest with what it needs to run: where its paths start, where its output goes, its splits."""

    manifest: CorpusManifest
    base: str
    output: str
    workers: Workers = HERE
    sample_frac: float = 1.0
    splits: list[tuple[Input, Split]] = field(default_factory=list)

    @property
    def first_files(self) -> list[str]:
        """The first file of each input: what a worker that sees the inputs sees."""
        own = [split for _, split in self.splits if split.format != "crawl" or "://" not in split.path]
        first = {split.source: split for split in reversed(own)}
        return [f"{split.path}/{split.files[0]}" if split.files else split.path for split in first.values()]

    @property
    def n_workers(self) -> int:
        """Processes on this machine."""
        return self.workers.n_workers

    @cached_property
    def tasks(self) -> list[MeasureTask]:
        """The measuring pass, a task per split."""
        return [MeasureTask(self.output, split, item, self.manifest, self.sample_frac) for item, split in self.splits]


def split_sizes(splits: Sequence[Split]) -> list[float]:
    """Bytes of its file, as stored, that each split reads, whatever it counts in; all splits of a file are given."""
    units: Counter[tuple[str, str]] = Counter()
    for split in splits:
        units[split.path, split.file_digest] += split.end - split.start
    return [
        split.file_bytes * (split.end - split.start) / max(units[split.path, split.file_digest], 1)
        for split in splits
    ]


def prepare(
    manifest: CorpusManifest,
    base: str,
    output: str | None = None,
    workers: Workers = HERE,
    thresholds: Sequence[str] = (),
) -> Job:
    """Check everything that can be checked before any work, and cut the inputs into splits.

    Args:
        manifest: as written.
        base: where its relative paths start.
        output: folder to write to instead of the manifest's.
        workers: where its shards are to execute.
        thresholds: RULE=NUMBER assignments, see `rules.override`.

    Raises:
        RequestError: an input or a model does not exist, a ruleset or predicate is wrong.
    """
    manifest = resolved(manifest, base)
    manifest = manifest.model_copy(update={"rules": override(manifest.rules, thresholds, base)})
    check_steps(manifest.measure.datatrove)
    checked_rules(manifest, base)
    model_digests(manifest.measure.scores)
    addresses_digest(manifest.measure)
    if manifest.dedup.url:
        check_addresses("dedup.url")
    items_digest(manifest.decontaminate, base)
    redactor(manifest, base)
    if manifest.dedup.semantic:
        check_installed()
        Encoder.of(manifest.dedup.semantic)
    folder = resolve(output or manifest.output.path, base)
    _check_against(manifest, folder)
    twice = [item for number, item in enumerate(manifest.inputs) if item in manifest.inputs[:number]]
    if twice:
        raise RequestError(f"inputs: source {twice[0].source!r}, path {twice[0].path!r} is listed twice")
    splits = [
        (item, split)
        for item in manifest.inputs
        for split in plan_splits(item, base, manifest.limits.shard_bytes, leave_out=folder)
    ]
    return Job(manifest, base, folder, workers, 1.0, splits)


def resolved(manifest: CorpusManifest, base: str) -> CorpusManifest:
    """The manifest with its rulesets written out and its paths but for inputs absolute: what the record states."""
    measure, language = manifest.measure, manifest.measure.language
    if language and language.model != "lid176":
        language = language.model_copy(update={"model": resolve(language.model, base)})
        measure = measure.model_copy(update={"language": language})
    if measure.scores:
        scores = [score.model_copy(update={"model": resolved_model(score.model, base)}) for score in measure.scores]
        measure = measure.model_copy(update={"scores": scores})
    if measure.blocklists:
        measure = measure.model_copy(update={"blocklists": resolved_lists(measure.blocklists, base)})
    dedup = manifest.dedup.model_copy(update={"against": [resolve(path, base) for path in manifest.dedup.against]})
    if semantic := dedup.semantic:
        semantic = semantic.model_copy(update={"model": resolve(semantic.model, base)})
        dedup = dedup.model_copy(update={"semantic": semantic})
    found = {
        "inputs": [_with_licenses(item, base) for item in manifest.inputs],
        "rules": expand(manifest.rules, base),
        "measure": measure,
        "dedup": dedup,
        "decontaminate": manifest.decontaminate and benchmarks.resolved(manifest.decontaminate, base),
        "redact": manifest.redact and pii_redact.resolved(manifest.redact, base),
    }
    return manifest.model_copy(update=found)


def _with_licenses(item: Input, base: str) -> Input:
    """An input whose list of licences lies at an absolute path."""
    if not item.latex.licenses:
        return item
    latex = item.latex.model_copy(update={"licenses": resolve(item.latex.licenses, base)})
    return item.model_copy(update={"latex": latex})


def sampled(job: Job, frac: float) -> Job:
    """The job on the `frac` of records whose content digest comes first, beside its real output."""
    return replace(job, sample_frac=frac, output=f"{job.output}-sample")


def curate(job: Job, progress: Progress = silent) -> RunRecord:
    """Run a corpus manifest: measure, decide, write, report. A finished run is not done again; a killed one goes on.

    Raises:
        RunError: records were lost or invented (the counts of a shard do not add up), or a worker died.
    """
    run, fingerprint = Folder(job.output), _fingerprint(job)
    _check_own(run)
    if record := _finished(run, fingerprint):
        if job.manifest.store == "columns":
            drop_texts(run)  # a kill may have come between the record and this
        return record
    run.remove(RECORD)
    run.remove(PREVIOUS)
    lists = recorded_lists(job.manifest.measure)  # as they are now: they may change while it runs
    watch = Stopwatch()
    with PeakMemory() as memory:
        with watch("prepare"):
            progress("prepare", 0, 1, "compiling kernels, once on this machine")
            warm_up(job.manifest)
            if job.workers != HERE:
                forget_measurer()
            progress("prepare", 1, 1)
        with open_engine(job.workers) as engine:
            engine.share(run, [*job.first_files, *_model_files(job)])
            with watch("measure"):
                shards = _measure(job, run, engine, progress)
            with watch("decide"):
                decided = _decide(job, run, run, fingerprint, shards, None, engine, progress)
    record = _finish(job, run, fingerprint, shards, decided, watch, memory.peak_bytes, engine.n_workers, lists=lists)
    if job.manifest.store == "columns":
        drop_texts(run)
    return record


def decide_again(
    run: Folder, manifest: CorpusManifest, output: str, workers: Workers = HERE, progress: Progress = silent
) -> RunRecord:
    """New decisions over the measured columns of a complete run.

    Args:
        run: the run whose measurements are used.
        manifest: as the run's, but for rules, dedup and output; already resolved.
        output: folder of the new run; that of the old one replaces its decisions.
        workers: where its ranges are to execute.
        progress: is told how far it is.

    Raises:
        RequestError: documents would be kept whose text was not stored (`store: columns`); nothing is written.
        RunError: the counts do not add up.
    """
    loading = Thread(target=_load_decisions)
    loading.start()
    try:
        return _decide_again(run, manifest, output, workers, progress)
    finally:
        loading.join()


def _decide_again(
    run: Folder, manifest: CorpusManifest, output: str, workers: Workers, progress: Progress
) -> RunRecord:
    old = read_record(run, interrupted=True)
    lists_gone(run.path, old.blocklists, manifest.measure)
    _check_own(Folder(output))
    _check_against(manifest, output)
    measured = measured_folder(run, old)
    if manifest.store == "columns":
        drop_texts(measured)  # a kill may have come before this was done
    texts_in = None if has_texts(measured) else run / "documents"
    checked_rules(manifest, old.manifest_base, has_texts=texts_in is None)
    before = CorpusManifest.model_validate(old.manifest).redact
    texts_redacted = texts_in is not None and before is not None and before.mode != "none"
    if texts_redacted and before != manifest.redact:
        raise RequestError(
            f"{run.path} was measured with `store: columns`: its only texts are masked as `redact` said then, and "
            "cannot be masked in another way; leave `redact` as it was, or curate again"
        )
    if texts_redacted and (manifest.dedup.lines or manifest.dedup.spans):
        raise RequestError(
            f"{run.path} was measured with `store: columns`: its only texts are masked, and what repeats in the "
            "measured ones cannot be told from these; leave `dedup.lines` and `dedup.spans` out, or curate again"
        )
    job = Job(manifest, old.manifest_base, output, workers, old.sample_frac)
    shards = measured_counts(measured)
    new, fingerprint = Folder(output), _fingerprint(job, old.fingerprint)
    watch = Stopwatch()
    with PeakMemory() as memory, open_engine(workers) as engine:
        engine.share(new, [measured.url("measured"), *_model_files(job)])
        with watch("decide"):
            decided = _decide(
                job,
                measured,
                new,
                fingerprint,
                shards,
                texts_in,
                engine,
                progress,
                texts_redacted=texts_redacted,
            )
    old = old.model_copy(update={"measured_in": measured.path})
    return _finish(job, new, fingerprint, shards, decided, watch, memory.peak_bytes, engine.n_workers, old)


def changed_manifest(
    run: Folder, manifest: CorpusManifest | None, base: str, thresholds: Sequence[str]
) -> CorpusManifest:
    """The resolved manifest for new decisions over a run: the run's own or another, with other thresholds.

    Raises:
        RequestError: what was measured is not what the other manifest asks for; it names the fields that differ.
    """
    record = read_record(run, interrupted=True)
    old = CorpusManifest.model_validate(record.manifest)
    new = resolved(manifest, base) if manifest else old
    before, after = ({**of.__dict__, "measure": of.measure.in_pass} for of in (old, new))
    differs = [name for name in ("inputs", "measure", "store") if before[name] != after[name]]
    if differs:
        raise RequestError(
            f"{run.path} was measured with other settings of {', '.join(differs)}: `onggi decide` changes rules, "
            "scores `after: rules`, dedup, redact and output only; for the rest run `onggi curate`"
        )
    return new.model_copy(update={"rules": override(new.rules, thresholds, base)})


def _check_against(manifest: CorpusManifest, output: str) -> None:
    """Refuse a run against itself, and one against what is no complete run.

    Raises:
        RequestError: names the folder.
    """
    if output in manifest.dedup.against:
        raise RequestError(f"dedup.against: {output} is this run's own folder, whose documents would all be dropped")
    state_of(manifest.dedup.against)


def _check_own(run: Folder) -> None:
    """Refuse a folder in which a run would replace what no run wrote.

    Raises:
        RequestError: names what is there.
    """
    if run.fs.isfile(run.root):
        raise RequestError(f"{run.path} is a file; a run needs a folder")
    theirs = [name for name in ("documents", "ledger", CARD, REPORT, SUMMARY) if run.exists(name)]
    is_run = any(run.exists(name) for name in (RECORD, PREVIOUS, "measured")) or run.folders("staging-")
    if theirs and not is_run and not {"documents", "ledger"}.issubset(theirs):  # a killed `decide` leaves both
        raise RequestError(
            f"{run.path} holds {', '.join(theirs)}, which a run would replace, and no run; give another folder, or "
            "remove them"
        )


def _finished(run: Folder, fingerprint: str) -> RunRecord | None:
    """The record of a run that is complete and for just this; one that cannot be read is as good as none."""
    try:
        record = read_record(run)
    except RequestError:
        return None
    return record if record.fingerprint == fingerprint else None


def _fingerprint(job: Job, measured: str = "") -> str:
    """What a run's results depend on: the measured parts, the decisions, and the code of both."""
    depends = [
        measured,
        [task.fingerprint for task in job.tasks],
        job.manifest.model_dump(),
        state_of(job.manifest.dedup.against),
        items_digest(job.manifest.decontaminate, job.base),
        Encoder.of(semantic).fingerprint if (semantic := job.manifest.dedup.semantic) else "",
        masks.key_digest if (masks := redactor(job.manifest, job.base)) else "",
        suffixes_version() if job.manifest.dedup.url and not job.manifest.measure.urls else "",
        [score_table(score, job.manifest).name for score in job.manifest.measure.scored_after_rules],
        code_digest(*DECIDE_CODE),
    ]
    return xxhash.xxh3_64_hexdigest(orjson.dumps(depends, option=orjson.OPT_SORT_KEYS))


def _model_files(job: Job) -> list[str]:
    """The models that a manifest names by path, which every worker must see."""
    return [path for score in job.manifest.measure.scores if (path := model_path(score.model)) == score.model]


def _measure(job: Job, run: Folder, engine: Engine, progress: Progress) -> dict[str, PartCounts]:
    """Measure all splits; returns the counts of each shard. Parts of other manifests or inputs are removed."""
    tasks = {task.fingerprint: task for task in job.tasks}
    sizes = dict(
        zip((t.fingerprint for t in job.tasks), split_sizes([split for _, split in job.splits]), strict=True)
    )
    for table in ("measured", "keys"):  # rows first: a part without keys must not count as whole
        for name in (run / table).names(".parquet"):
            if name.rsplit("-", 1)[0] not in tasks:
                (run / table).remove(name)
    total, done, n_read, content_bytes, started = sum(sizes.values()), 0.0, 0, 0, time.perf_counter()
    progress("measure", 0, total)
    for task, counts in engine.map(measure_split, list(tasks.values())):
        done, n_read = done + sizes[task.fingerprint], n_read + counts.n_read
        content_bytes += counts.content_bytes
        mb_s = content_bytes / 1e6 / (time.perf_counter() - started)
        progress("measure", done, total, f"{n_read:,} records, {mb_s:.1f} MB/s")
    bury_again(run)
    shards = measured_counts(run)
    if (n_there := _sum(shards).n_read) != n_read:
        raise RunError(f"{run.path}: {n_read:,} records were measured, {n_there:,} are there: parts were removed")
    return shards


def warm_up(manifest: CorpusManifest) -> None:
    """Measure one page: kernels are compiled, so that workers find them in the cache, and models are loaded."""
    schema = records_schema(manifest.metadata_names)
    page = {
        **dict.fromkeys(schema.names),
        "source": "s",
        "key": "",
        "kind": "html",
        "utf8": False,
        "file": "",
        "offset": 0,
        "content": WARM_UP_PAGE,
        "content_digest": bytes(16),
        "n_bytes": len(WARM_UP_PAGE),
    }
    measurer = kept_measurer(manifest)
    measurer.measure(pa.RecordBatch.from_pylist([page], schema=schema))
    measurer.watch.seconds.clear()
    if manifest.dedup.near:
        text = pa.array(["옹기는 숨을 쉰다"], pa.large_string())
        sign(text, Banding.of(manifest.dedup.near))
    _load_digest()
    pl.LazyFrame({"id": ["a"]}).collect(engine="streaming")  # starts the threads of Polars


def _load_digest() -> None:
    """Load the kernels of digests, that of lists too, which only the ledger has."""
    row_hashes(pa.table({"id": ["a"], "failed_rules": [["a"]]}))


def _load_decisions() -> None:
    """Load what a decision needs late and what is slow to load."""
    _load_digest()
    charts.warm_up()


def _sum(shards: dict[str, PartCounts]) -> PartCounts:
    total = PartCounts()
    for counts in shards.values():
        total.add(counts)
    return total


def _decide(
    job: Job,
    measured: Folder,
    new: Folder,
    fingerprint: str,
    shards: dict[str, PartCounts],
    texts_in: Folder | None,
    engine: Engine,
    progress: Progress,
    *,
    texts_redacted: bool = False,
) -> Decided:
    """Decide into a folder aside, check that it adds up, then put `documents` and `ledger` in their place."""
    counts = _sum(shards)
    name = f"staging-{fingerprint}"
    for stale in new.folders("staging-"):
        if stale != name:
            new.remove(stale)
    staging = new / name
    try:
        decided = decide(
            measured,
            staging,
            job.manifest,
            job.base,
            counts.n_read,
            counts.text_bytes,
            engine,
            texts_in,
            texts_redacted,
            progress,
        )
    except RequestError:
        new.remove(name)
        raise
    if decided.unrestorable:
        new.remove(name)
        raise RequestError(
            f"{measured.path} was measured with `store: columns`: {len(decided.unrestorable):,} documents would be "
            f"kept whose text is gone (first: {', '.join(decided.unrestorable[:5])}); nothing was written. Keep no "
            "more than the run kept, or curate again"
        )
    check_counts(shards, decided)
    set_aside(new)
    for table in ("documents", "ledger"):
        new.move_in(staging / table, table)
    new.remove(name)
    return decided


def check_counts(shards: dict[str, PartCounts], decided: Decided) -> None:
    """Per shard, read = kept + dropped + failed.

    Raises:
        RunError: names the shards where it does not hold.
    """
    wrong = [
        f"{shard}: read {counts.n_read}, in the ledger {decided.by_shard.get(shard, 0)}"
        for shard, counts in shards.items()
        if counts.n_read != decided.by_shard.get(shard, 0)
    ]
    if wrong:
        raise RunError("records were lost or invented: " + "; ".join(wrong[:10]))


def _finish(
    job: Job,
    run: Folder,
    fingerprint: str,
    shards: dict[str, PartCounts],
    decided: Decided,
    watch: Stopwatch,
    peak_bytes: int,
    n_workers: int,
    old: RunRecord | None = None,
    lists: dict[str, ListRecord] | None = None,
) -> RunRecord:
    """Write summary, card and report, and the record last."""
    counts, measured = _sum(shards), Folder(old.measured_in) if old else run
    record = RunRecord(
        name=job.manifest.name,
        kind="corpus",
        fingerprint=fingerprint,
        onggi_version=version(),
        created=now(),
        manifest=job.manifest.model_dump(mode="json"),
        manifest_base=job.base,
        measured_in=measured.path,
        inputs=old.inputs if old else _inputs(job),
        outputs=[_output(run, "documents", decided.n_kept), _output(run, "ledger", decided.n_read)],
        counts={
            "read": decided.n_read,
            "kept": decided.n_kept,
            "dropped": decided.n_dropped,
            "failed": decided.n_failed,
            "content_bytes": counts.content_bytes,
            "text_bytes": counts.text_bytes,
            "kept_text_bytes": decided.text_bytes,
            **{f"scored.{name}": n_scored for name, n_scored in decided.settled.n_scored.items()},
        },
        skipped=dict(counts.skipped),
        licenses=decided.licenses,
        pii={item.kind: item.counts for item in decided.summary.pii},
        benchmarks={item.benchmark: item.counts for item in decided.summary.benchmarks},
        blocklists=old.blocklists if old else lists or {},
        near=found_counts(measured, "near") if job.manifest.dedup.near else {},
        semantic=found_counts(measured, "semantic") if job.manifest.dedup.semantic else {},
        scores=decided.settled.tables,
        thresholds=decided.settled.thresholds,
        shards={shard: {"read": part.n_read, **part.n_early} for shard, part in shards.items()},
        digests={"documents": decided.documents.hex, "ledger": decided.ledger.hex},
        timings={**watch.seconds, **{f"measure.{name}": seconds for name, seconds in counts.seconds.items()}},
        throughput=_throughput(counts, watch),
        peak_memory_bytes=peak_bytes,
        n_workers=n_workers,
        sample_frac=job.sample_frac,
        removed=removals(run),
    )
    run.write_bytes(SUMMARY, decided.summary.model_dump_json().encode())
    run.write_bytes(CARD, dataset_card(record, decided.summary).encode())
    write_report(run, record, decided.summary)
    write_record(run, record)
    return record


def write_report(run: Folder, record: RunRecord, summary: Summary) -> str:
    """Write the report of a run; returns its path."""
    run.write_bytes(REPORT, render(summary, {**record.model_dump(mode="json"), "folder": run.path}).encode())
    return run.url(REPORT)


def _throughput(counts: PartCounts, watch: Stopwatch) -> dict[str, float]:
    """MB of content and of text per second of each stage that ran."""
    seconds = {name: watch.seconds[name] for name in ("measure", "decide") if watch.seconds.get(name)}
    rates = {f"{name}.text_mb_s": counts.text_bytes / 1e6 / took for name, took in seconds.items()}
    if "measure" in seconds:
        rates["measure.content_mb_s"] = counts.content_bytes / 1e6 / seconds["measure"]
    return rates


def _inputs(job: Job) -> list[Entry]:
    files = {(split.source, split.path, split.file_digest): split for _, split in job.splits}
    return [
        Entry(path=split.path, size_bytes=split.file_bytes, digest=split.file_digest, source=split.source)
        for split in files.values()
    ]


def _output(run: Folder, table: str, rows: int) -> Entry:
    folder = run / table
    return Entry(path=table, size_bytes=sum(folder.size_bytes(name) for name in folder.names(".parquet")), rows=rows)
