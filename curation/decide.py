"""Decisions over measured columns: which documents are kept, which dropped, by what, and why.

The corpus is gone through in ranges of ids. Each range is read, judged and written apart from all others; only the
members of duplicate groups are exchanged between ranges, as narrow rows. Nothing here reads the web again.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import polars as pl

from curation.decontaminate import find_contamination
from curation.dedup import repeats, spans, survivors, urls
from curation.rules import columns_needed
from curation.score_tables import Settled, join_scores, later_columns
from curation.settle import is_unsettled, settle
from curation.shards import ROW_BYTES
from curation.verdicts import judged
from curation.write import Decided, DecideTask, judged_rows, place_spans, total, write_range
from manifests.engine import Engine, map_shards
from manifests.schema import CorpusManifest
from manifests.store import Folder, KeyRange, ranges_for

SLICE_BYTES = 96 << 20
"""Text, with ROW_BYTES for each row, that is held at once while a range of ids is written."""

DECIDE_CODE = (
    "curation/decide.py",
    "curation/decontaminate*.py",
    "curation/edits.py",
    "curation/pii_redact.py",
    "curation/pii_rows.py",
    "curation/dedup/*.py",
    "curation/predicates.py",
    "curation/rules.py",
    "curation/score_tables.py",
    "curation/settle.py",
    "curation/summary*.py",
    "curation/top.py",
    "curation/addresses/*.py",
    "curation/verdicts.py",
    "curation/write.py",
    "manifests/contracts.py",
    "manifests/digest.py",
    "manifests/store.py",
)
"""The code that decisions depend on."""

IDENTITY = ["id", "row_hash", "source", "key", "text_digest", "verdict"]


def decide(
    run: Folder,
    staging: Folder,
    manifest: CorpusManifest,
    base: str,
    n_rows: int,
    text_bytes: int,
    engine: Engine | int = 1,
    texts_in: Folder | None = None,
    texts_redacted: bool = False,
    progress: Callable[..., None] = lambda step, done, total, note="": None,
) -> Decided:
    """Judge all measured documents of `run` and write `documents` and `ledger` into `staging`.

    Args:
        run: the folder with the tables `measured` and `keys`.
        staging: where to write; ranges that are whole there already are not written again.
        manifest: rules, dedup and output settings; its rulesets are already expanded.
        base: where relative paths in the manifest start.
        n_rows: measured rows.
        text_bytes: bytes of normalised text in all measured rows; decides how many files there are.
        engine: where to judge and write, or a number of processes.
        texts_in: `documents` to take texts from, where the measured parts hold none.
        texts_redacted: those texts are masked already, as the manifest says.
        progress: called with (step, ranges done, ranges in all), and sometimes a note.
    """
    n_members = survivors.find_groups(run, manifest.dedup, n_rows, engine, progress)
    n_same_url = urls.find_groups(run, manifest, n_rows, engine, progress) if manifest.dedup.url else 0
    ranges = ranges_for(text_bytes, manifest.output.shard_bytes)
    n_slices = max(1, len(ranges_for(text_bytes + ROW_BYTES * n_rows, SLICE_BYTES)) // len(ranges))
    texts = texts_in.path if texts_in else None
    repeated = repeats.find(run, manifest.dedup, engine, progress)
    if manifest.decontaminate:
        find_contamination(run, manifest.decontaminate, base, text_bytes, engine, progress)
    has_groups = n_members > 0
    tasks = [
        DecideTask(
            run.path, staging.path, manifest, base, keys, n_slices, has_groups, texts, texts_redacted, repeated
        )
        for keys in ranges
    ]
    settled = Settled()
    if is_unsettled(manifest):
        tasks, settled = settle(tasks, engine, progress)
    rows = judged_rows(tasks[0], tasks[0].keys) if len(tasks) == n_slices == 1 and _is_here(engine) else None
    if n_same_url:
        if not staging.exists("url_losers/done.json"):
            staging.remove("url_passing")
            for done, _ in enumerate(map_shards(partial(_judge_same_url, whole=rows), tasks, engine), 1):
                progress("dedup", done, len(tasks))
            urls.choose_survivors(staging, n_same_url)
        rows = rows if rows is None else urls.drop_losers(rows, staging, tasks[0].keys)
    if n_members and not staging.exists("losers/done.json"):
        staging.remove("passing")
        for done, _ in enumerate(map_shards(partial(_judge_members, whole=rows), tasks, engine), 1):
            progress("dedup", done, len(tasks))
        vectors = run / "semantic/vectors" if manifest.dedup.semantic else None
        n_losers = survivors.choose_survivors(staging / "passing", staging / "losers", n_members, vectors)
        (staging / "losers").write_json("done.json", {"n_losers": n_losers})
    if manifest.dedup.spans and not staging.exists("repeats/done.json"):
        for done, _ in enumerate(map_shards(place_spans, tasks, engine), 1):
            progress("dedup", done, len(tasks))
        spans.choose_firsts(staging / "places", staging / "repeats", manifest.dedup.spans.min_chars, engine)
        (staging / "repeats").write_json("done.json", {})
    parts: dict[int, Decided] = {}
    for task, part in map_shards(partial(write_range, rows=rows), tasks, engine):
        parts[task.keys.index] = part
        progress("write", len(parts), len(tasks))
    return replace(total([parts[index] for index in sorted(parts)]), settled=settled)


def _is_here(engine: Engine | int) -> bool:
    """Whether shards execute in this process, so that rows which fit into memory need not be read twice."""
    return engine == 1 or type(engine) is Engine


def _judge_same_url(task: DecideTask, whole: pl.DataFrame | None) -> None:
    """Write those documents in a range of ids that share their URL with others and pass the rules."""
    run, dedup, staging = Folder(task.run), task.manifest.dedup, Folder(task.staging)
    assert dedup.url
    if whole is not None:
        urls.write_passing(run, staging, task.keys, whole, dedup.url)
        return
    for keys in task.keys.split(task.n_slices):
        rows = _judged_narrow(task, keys, urls.columns_needed(dedup.url), partial(urls.members_in, run, keys))
        urls.write_passing(run, staging, keys, rows, dedup.url)


def _judge_members(task: DecideTask, whole: pl.DataFrame | None) -> None:
    """Write those members of duplicate groups in a range of ids that pass the rules.

    `whole` are the `judged_rows` of the whole range, where they are at hand.
    """
    slices = (_judged_members(task, keys) for keys in task.keys.split(task.n_slices)) if whole is None else [whole]
    kept = (pl.col("verdict") == "kept") & pl.col("group").is_not_null()
    rank = survivors.rank(task.manifest.dedup).alias("rank")
    passing = [frame.filter(kept).with_columns(rank).select(survivors.PASSING.names) for frame in slices]
    name = f"part-{task.keys.index:05d}.parquet"
    survivors.write_passing(Folder(task.staging) / "passing", name, pl.concat(passing))


def _judged_members(task: DecideTask, keys: KeyRange) -> pl.DataFrame:
    """The members of duplicate groups in a range, with their verdicts by the rules; narrow rows."""
    columns = {*IDENTITY, *survivors.rank_columns(task.manifest.dedup)}
    return _judged_narrow(task, keys, columns, lambda rows: rows.filter(pl.col("group").is_not_null())["id"])


def _judged_narrow(
    task: DecideTask, keys: KeyRange, columns: set[str], ids_of: Callable[[pl.DataFrame], pl.Series]
) -> pl.DataFrame:
    """Some documents of a range with their verdicts by the rules; of the measured columns these and what rules read.

    `ids_of` says which, given the rows with their groups.
    """
    run, dedup = Folder(task.run), task.manifest.dedup
    wanted = {*IDENTITY, *columns, *columns_needed(task.rules)}
    stored = sorted(wanted - survivors.GROUP_COLUMNS - later_columns(task.manifest))
    rows = (run / "measured").read_range("id", keys, stored)
    rows = survivors.join_groups(rows, run, dedup, keys, task.compared)
    rows = rows.filter(pl.col("id").is_in(ids_of(rows).implode()))  # copies of an id are numbered together
    rows = join_scores(rows, run, task.scores, keys)
    rows = survivors.drop_held(judged(rows, task.rules), run, dedup, keys)
    return urls.drop_losers(rows, Folder(task.staging), keys)
