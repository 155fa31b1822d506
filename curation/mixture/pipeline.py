"""`onggi mix`: from a manifest to packed sequences, their ledger, their record and their report."""

import posixpath
import re
from collections.abc import Iterator, Sequence

import orjson
import xxhash

from curation.mixture.assemble import Shard, ShardTask, shard_bounds, write_shard
from curation.mixture.layout import WORK, Layout, lay_out
from curation.mixture.ledger import VALIDATION
from curation.mixture.record import MixtureRecord, SourceRecord, StageRecord, TokenizerRecord
from curation.mixture.summarize import summarize
from curation.mixture.summary import MixtureSummary
from curation.mixture.survey import STORE, MixJob, Surveyed, survey
from curation.mixture.token_store import token_type
from curation.removal.notes import removals
from manifests.code import code_digest, version
from manifests.contracts import TOKEN_LEDGER, conform
from manifests.digest import TableDigest
from manifests.engine import Engine, PeakMemory, Progress, Stopwatch, map_shards, open_engine, silent
from manifests.errors import RequestError, RunError
from manifests.record import PREVIOUS, RECORD, Entry, now, set_aside, write_record
from manifests.store import Folder

TOKENS, LEDGER, SUMMARY, REPORT = "tokens", "ledger", "summary.json", "report.html"
LEDGER_ROWS = 1 << 16
SHARD_CODE = (
    "curation/kernels/tokens.py",
    "curation/mixture/assemble.py",
    "curation/mixture/token_rows.py",
    "manifests/contracts.py",
    "manifests/digest.py",
)
"""What a file of sequences depends on beside its plan."""


def mix(job: MixJob, progress: Progress = silent) -> MixtureRecord:
    """Run a mixture manifest. A finished mixture is not made again; a killed one goes on.

    Raises:
        RequestError: sources have too little, or the output folder holds something else.
        RunError: tokens were lost (the counts do not add up), or a worker died.
    """
    run = Folder(job.output)
    _check_own(run)
    if record := _finished(run, job):
        run.remove(WORK)
        return record
    watch = Stopwatch()
    with PeakMemory() as memory, open_engine(job.workers) as engine:
        engine.share(run, [slices[0].path for slices in job.slices if slices])
        with watch("tokenise"):
            surveyed = survey(job, engine, progress)
        with watch("plan"):
            layout = lay_out(job, surveyed, progress)
        set_aside(run)  # not before: what cannot be had takes nothing from the mixture that is there
        with watch("write"):
            written = {
                table: _write(job, surveyed, layout, table, engine, progress) for table in (TOKENS, VALIDATION)
            }
            ledger = _write_ledger(run, layout)
    _check_counts(layout, written, surveyed)
    record = _record(job, surveyed, layout, written, ledger)
    record = record.model_copy(
        update={"timings": watch.seconds, "peak_memory_bytes": memory.peak_bytes, "n_workers": engine.n_workers}
    )
    with watch("report"):
        summary = summarize(job, surveyed, layout, record)
        run.write_bytes(SUMMARY, summary.model_dump_json().encode())
        write_mixture_report(run, record)
    write_record(run, record)
    run.remove(WORK)
    _sweep(run, (TOKENS, VALIDATION, LEDGER, STORE))
    return record


def _sweep(run: Folder, names: Sequence[str]) -> None:
    """Remove from folders of the mixture what processes that were killed did not write to its end."""
    for name in names:
        for path in run.fs.find(run.file(name)) if run.exists(name) else []:
            if re.fullmatch(r"\..+\.[0-9a-f]{8}", posixpath.basename(path)):
                run.fs.rm(path)


def write_mixture_report(run: Folder, record: MixtureRecord) -> str:
    """Write the report of a mixture; returns its path."""
    from curation.mixture.report import render  # and all that draws

    summary = MixtureSummary.model_validate(run.read_json(SUMMARY))
    run.write_bytes(REPORT, render(summary, record.model_dump(mode="json")).encode())
    return run.url(REPORT)


def _check_own(run: Folder) -> None:
    """Refuse a folder in which a mixture would replace what no mixture wrote.

    Raises:
        RequestError: names what is there.
    """
    work = run / WORK
    if strangers := [name for name in work.names() + work.folders() if not re.fullmatch("[0-9a-f]{32}", name)]:
        raise RequestError(
            f"{work.path} holds {strangers[0]}; a mixture would remove that folder: give another one for the mixture"
        )
    if record := next((name for name in (RECORD, PREVIOUS) if run.exists(name)), None):
        kind = run.read_json(record).get("kind")
        if kind != "mixture":
            raise RequestError(f"{run.path} holds a run of `kind: {kind}`; give another folder for the mixture")
        return
    theirs = [name for name in (TOKENS, VALIDATION, LEDGER, SUMMARY, REPORT) if run.exists(name)]
    if theirs and not run.exists(WORK):
        raise RequestError(
            f"{run.path} holds {', '.join(theirs)}, which a mixture would replace, and no mixture; give another "
            "folder, or remove them"
        )


def _finished(run: Folder, job: MixJob) -> MixtureRecord | None:
    """The record of this very mixture, if it is there."""
    if not run.exists(RECORD):
        return None
    try:
        record = MixtureRecord.model_validate(run.read_json(RECORD))
    except ValueError:
        return None
    there = record.manifest.get("output", {}).get("shard_bytes") == job.manifest.output.shard_bytes
    return record if record.fingerprint == job.fingerprint and there else None


def _write(
    job: MixJob, surveyed: Surveyed, layout: Layout, table: str, engine: Engine, progress: Progress
) -> list[Shard]:
    """Write the files of the training, or of what is held out; those of the same content stay."""
    tasks = list(_shard_tasks(job, surveyed, layout, table))
    output, names = Folder(f"{job.output}/{table}"), {task.name for task in tasks}
    for name in output.names(".parquet"):
        if name not in names:
            output.remove(name)
    if not tasks:
        output.remove("")
    sizes = {task: sum(layout.n_tokens[number] for number in task.blocks) for task in tasks}
    found, n_done, n_all = dict[ShardTask, Shard](), 0, sum(sizes.values())
    progress(f"write {table}", 0, n_all)
    for task, shard in map_shards(write_shard, tasks, engine):
        found[task] = shard
        n_done += sizes[task]
        progress(f"write {table}", n_done, n_all)
    return [found[task] for task in tasks]


def _shard_tasks(job: MixJob, surveyed: Surveyed, layout: Layout, table: str) -> Iterator[ShardTask]:
    numbers = layout.numbers(validation=table == VALIDATION)
    tokenizer, length = job.tokenizer, job.manifest.sequence_length
    extra = {
        "onggi.tokenizer": tokenizer.digest,
        "onggi.sequence_length": str(length),
    }
    code = code_digest(*SHARD_CODE)
    bounds = shard_bounds([layout.n_tokens[number] for number in numbers], job.manifest.output.shard_bytes)
    for shard, group in enumerate(bounds):
        blocks = tuple(numbers[at] for at in group)
        depends = [[layout.keys[number] for number in blocks], tokenizer.digest, tokenizer.pad_id, length, code]
        yield ShardTask(
            plan=layout.folder,
            blocks=blocks,
            store=job.store,
            parts=surveyed.parts,
            dtype=token_type(tokenizer.vocab_size).str,
            sequence_length=length,
            pad_id=tokenizer.pad_id,
            sources=tuple(source.name for source in job.manifest.sources),
            output=f"{job.output}/{table}",
            name=f"part-{shard:05d}.parquet",
            key=xxhash.xxh3_128_hexdigest(orjson.dumps(depends)),
            extra=tuple(extra.items()),
        )


def _write_ledger(run: Folder, layout: Layout) -> Entry:
    table = conform(layout.ledger.table(), TOKEN_LEDGER, "token_ledger")
    folder, name = run / LEDGER, "part-00000.parquet"
    with folder.table_writer(name, TOKEN_LEDGER, "token_ledger") as writer:
        writer.write(table, row_group_rows=LEDGER_ROWS)
    size_bytes, digest = int(folder.fs.size(folder.file(name))), TableDigest.of(table).hex
    return Entry(path=LEDGER, size_bytes=size_bytes, digest=digest, rows=table.num_rows)


def _check_counts(layout: Layout, written: dict[str, list[Shard]], surveyed: Surveyed) -> None:
    """That no sequence was lost.

    Raises:
        RunError: the counts do not add up.
    """
    for table, shards in written.items():
        wanted = sum(layout.n_sequences[number] for number in layout.numbers(validation=table == VALIDATION))
        if (n_rows := sum(shard.n_rows for shard in shards)) != wanted:
            raise RunError(f"{table}: {n_rows:,} sequences were written, {wanted:,} were planned")
    by_ledger = sum(layout.ledger.sums("n_tokens").values())
    if by_ledger != sum(layout.n_tokens):
        raise RunError(f"the ledger has {by_ledger:,} tokens, the sequences {sum(layout.n_tokens):,}")


def _record(
    job: MixJob, surveyed: Surveyed, layout: Layout, written: dict[str, list[Shard]], ledger: Entry
) -> MixtureRecord:
    tables = [
        Entry(
            path=table,
            size_bytes=sum(shard.size_bytes for shard in shards),
            digest=sum((shard.digest for shard in shards), TableDigest()).hex,
            rows=sum(shard.n_rows for shard in shards),
        )
        for table, shards in written.items()
    ]
    outputs = [*tables, ledger]
    stages = _stages(job, layout)
    n_tokens, n_sequences = (sum(getattr(stage, name) for stage in stages) for name in ("n_tokens", "n_sequences"))
    return MixtureRecord(
        name=job.manifest.name,
        kind="mixture",
        fingerprint=job.fingerprint,
        onggi_version=version(),
        created=now(),
        manifest=job.manifest.model_dump(mode="json", exclude={"search"}),  # no token depends on it
        manifest_base=job.base,
        measured_in="",
        inputs=[
            Entry(path=piece.path, size_bytes=piece.file_bytes, digest=piece.file_digest, source=source.name)
            for source, slices in zip(job.manifest.sources, job.slices, strict=True)
            for piece in {piece.path: piece for piece in slices}.values()
        ],
        outputs=outputs,
        counts={
            "tokens": n_tokens,
            "sequences": n_sequences,
            "padding": n_sequences * job.manifest.sequence_length - n_tokens,
            "tokenised_bytes": sum(of.tokenised_bytes for of in surveyed.available),
            "shards_written": sum(not shard.was_there for shards in written.values() for shard in shards),
        },
        skipped={},
        licenses={},
        shards={},
        digests={"tokens": tables[0].digest, "validation": tables[1].digest, "token_ledger": ledger.digest},
        timings={},
        throughput={},
        peak_memory_bytes=0,
        n_workers=1,
        sequence_length=job.manifest.sequence_length,
        tokenizer=_tokenizer(job, surveyed),
        stages=stages,
        sources=_sources(job, surveyed, layout),
        validation=_validation(job, surveyed),
        store=job.store if job.manifest.output.store else "",
        removed=removals(Folder(job.output)),
    )


def _tokenizer(job: MixJob, surveyed: Surveyed) -> TokenizerRecord:
    used = job.tokenizer.with_engine("gigatoken" if surveyed.engine == "gigatoken" else "library")
    return TokenizerRecord(
        path=job.manifest.tokenizer.path,
        digest=used.digest,
        vocab_size=used.vocab_size,
        eod_id=used.eod_id,
        bos_id=used.bos_id,
        pad_id=used.pad_id,
        engine=used.engine_name,
        engine_version=used.engine_version,
        checked=surveyed.checks,
    )


def _stages(job: MixJob, layout: Layout) -> list[StageRecord]:
    found, first, taken = list[StageRecord](), 0, layout.ledger.sums("n_tokens")
    names = [source.name for source in job.manifest.sources]
    for stage in layout.stages:
        numbers = [number for number, name in enumerate(layout.stage_of) if name == stage.name]
        n_tokens = sum(layout.n_tokens[number] for number in numbers)
        n_sequences = sum(layout.n_sequences[number] for number in numbers)
        shares = (stage.demand / stage.n_tokens).tolist()
        found.append(
            StageRecord(
                name=stage.name,
                first_sequence=first,
                n_sequences=n_sequences,
                n_tokens=n_tokens,
                asked_tokens=stage.n_tokens,
                overshoot=n_tokens - stage.n_tokens,
                transition=stage.transition,
                shares=dict(zip(names, shares, strict=True)),
                taken={name: taken.get((stage.name, number), 0) for number, name in enumerate(names)},
            )
        )
        first += n_sequences
    return found


def _sources(job: MixJob, surveyed: Surveyed, layout: Layout) -> list[SourceRecord]:
    taken, found = layout.ledger.sums("n_tokens"), list[SourceRecord]()
    for number, source in enumerate(job.manifest.sources):
        has, available = surveyed.has[number], surveyed.available[number]
        n_taken = sum(n for (stage, of), n in taken.items() if of == number and stage != VALIDATION)
        found.append(
            SourceRecord(
                name=source.name,
                category=source.category,
                n_documents=available.n_epoch_documents - surveyed.n_held_documents[number],
                n_tokens=has.n_epoch_tokens,
                n_bytes=available.total.n_bytes,
                taken_tokens=n_taken,
                epochs=n_taken / has.n_epoch_tokens if has.n_epoch_tokens else 0.0,
                left_out=dict(available.left_out),
                held_out_documents=surveyed.n_held_documents[number],
            )
        )
    return found


def _validation(job: MixJob, surveyed: Surveyed) -> dict[str, dict[str, int]]:
    return {
        category: {"documents": int((pieces["offset"] == 0).sum()), "tokens": int(pieces["length"].sum())}
        for category, pieces in surveyed.held.pieces.items()
    }
