"""What must be known of the whole corpus before its documents are judged: later scores, and shares as numbers.

Rules come in stages. The first asks for what was measured; what passes it is scored by the models that come after
rules, whose rules are asked next, and so on. A top share becomes a number once all rules before it have been asked.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa

from curation.dedup import survivors
from curation.dedup.exchange import write_rows
from curation.rules import CheckedRule, columns_needed, score_stages, settled
from curation.score_tables import KEY, TABLE, ScoreTable, Settled, join_scores, later_columns, score_table
from curation.scorers import score_columns
from curation.top import F64, TopShare, top_share
from curation.verdicts import judged
from curation.write import DecideTask
from manifests.engine import Engine, map_shards
from manifests.errors import RequestError, RunError
from manifests.schema import CorpusManifest, Rule
from manifests.store import Folder, KeyRange

Progress = Callable[..., None]
"""Called with (step, ranges done, ranges in all, a note)."""

VALUES = pa.schema([("value", pa.float64())])
N_NAMED = 5


def is_unsettled(manifest: CorpusManifest) -> bool:
    """Whether something is to be found out first."""
    has_shares = any(isinstance(rule, Rule) and rule.top for rule in manifest.rules)
    return has_shares or bool(manifest.measure.scored_after_rules)


def settle(tasks: Sequence[DecideTask], engine: Engine | int, progress: Progress) -> tuple[list[DecideTask], Settled]:
    """Score what passes, stage by stage, and turn shares into numbers.

    Returns the tasks with rules and tables by which documents can be judged.

    Raises:
        RequestError: documents would have to be scored whose texts were not stored; or a model is not there.
    """
    tasks, manifest = list(tasks), tasks[0].manifest
    later = manifest.measure.scored_after_rules
    stages = score_stages(later, tasks[0].rules)
    n_scored, thresholds = dict[str, int](), dict[str, float | None]()
    for stage in range(1 + max(stages.values(), default=0)):
        tables = [score_table(score, manifest) for score in later if stages[score.name] == stage]
        if tables:
            n_scored |= _score_passing(tasks, stage, tables, engine, progress)
            tasks = [replace(task, scores=(*task.scores, *tables)) for task in tasks]
        for number, rule in enumerate(tasks[0].rules):
            if rule.top and rule.stage == stage:
                thresholds[rule.name] = _threshold(tasks, number, engine, progress)
                tasks = _with_threshold(tasks, number, thresholds[rule.name])
    names = {table.score.name: table.name for table in tasks[0].scores}
    return tasks, Settled(names, n_scored, thresholds)


def _passing(task: DecideTask, keys: KeyRange, rules: list[CheckedRule], more: set[str]) -> pl.DataFrame:
    """The documents of a range of ids that pass these rules: what they read, and `more` columns."""
    run, dedup = Folder(task.run), task.manifest.dedup
    wanted = {"id", "row_hash", "text_digest", "verdict", *more, *columns_needed(rules)}
    columns = sorted(wanted - survivors.GROUP_COLUMNS - later_columns(task.manifest))
    rows = (run / "measured").read_range("id", keys, columns)
    rows = survivors.join_groups(rows, run, dedup, keys, task.compared)
    rows = join_scores(rows, run, task.scores, keys)
    return judged(rows, rules).filter(pl.col("verdict") == "kept")


# scores


@dataclass(frozen=True)
class ScoreTask:
    """A range of ids whose passing documents are to be scored; pickles to a worker."""

    decide: DecideTask
    stage: int
    tables: tuple[ScoreTable, ...]
    token: str
    """Of this decision: in the name of each file that it adds."""

    def __str__(self) -> str:
        return str(self.decide)


def _score_passing(
    tasks: Sequence[DecideTask], stage: int, tables: Sequence[ScoreTable], engine: Engine | int, progress: Progress
) -> dict[str, int]:
    """Score the documents that pass all rules of earlier stages; how many this decision has had scored, by name."""
    run, token = Folder(tasks[0].run), _token(Folder(tasks[0].staging))
    work = [ScoreTask(task, stage, tuple(tables), token) for task in tasks]
    names = ", ".join(table.score.name for table in tables)
    n_scored, lacking = 0, list[str]()
    progress("score", 0, len(work), names)
    for done, (_, part) in enumerate(map_shards(score_range, work, engine), 1):
        n_scored, lacking = n_scored + part.n_scored, lacking + part.lacking
        progress("score", done, len(work), f"{names}: {n_scored:,} documents")
    if lacking:
        raise RequestError(
            f"{run.path} was measured with `store: columns`: {len(lacking):,} documents would have to be scored by "
            f"{names} whose text is gone (first: {', '.join(sorted(lacking)[:N_NAMED])}); nothing was written. Let "
            "no more through than the run did, by the same models, or curate again"
        )
    return {table.score.name: table.n_added(run, token) for table in tables}


def _token(staging: Folder) -> str:
    """A name for this decision, which one that was killed and goes on keeps."""
    if not staging.exists("scoring.json"):
        staging.write_json("scoring.json", {"token": uuid.uuid4().hex[:12]})
    token: str = staging.read_json("scoring.json")["token"]
    return token


@dataclass(frozen=True)
class _Scored:
    """What became of a range of ids."""

    n_scored: int
    """Documents, by whichever model."""
    lacking: list[str]
    """Ids of documents whose texts are gone."""


def score_range(task: ScoreTask) -> _Scored:
    """Score what a range of ids lets through and no decision has scored."""
    _check_models(task)
    parts = [_score_slice(task, keys) for keys in task.decide.keys.split(task.decide.n_slices)]
    return _Scored(sum(part.n_scored for part in parts), [name for part in parts for name in part.lacking])


def _score_slice(task: ScoreTask, keys: KeyRange) -> _Scored:
    run = Folder(task.decide.run)
    rules = [rule for rule in task.decide.rules if rule.stage < task.stage]
    passing = _passing(task.decide, keys, rules, set()).select(KEY).unique()
    wanted = [passing.join(table.read(run, keys), on=KEY, how="anti") for table in task.tables]
    ids = pl.concat([rows["id"] for rows in wanted]).unique().sort()
    if ids.is_empty() or task.decide.texts_in:
        return _Scored(0, ids.to_list())
    texts = _texts(run, keys, ids)
    if not task.decide.manifest.measure.language:
        texts = texts.drop("language")
    for table, rows in zip(task.tables, wanted, strict=True):
        if rows.height:
            scored = _scored(table, rows.join(texts, on=KEY, how="inner"))
            write_rows(table.folder(run), table.part(keys, task.token), scored, TABLE)
    return _Scored(len(ids), [])


def _check_models(task: ScoreTask) -> None:
    """Refuse to put the scores of another model into a table, on a machine where another lies at the path."""
    for table in task.tables:
        if score_table(table.score, task.decide.manifest) != table:
            raise RunError(f"{table.score.model}: is not the model that this decision began with; decide again")


def _texts(run: Folder, keys: KeyRange, ids: pl.Series) -> pl.DataFrame:
    """Texts of these documents, with their languages."""
    low, high = keys.bounds
    rows = (run / "measured").scan().filter((pl.col("id") >= low) & (pl.col("id") < high))
    rows = rows.filter(pl.col("id").is_in(ids.implode())).select(*KEY, "language", "text")
    return rows.collect(engine="streaming").unique(KEY)


def _scored(table: ScoreTable, rows: pl.DataFrame) -> pl.DataFrame:
    """What a model says of documents, as rows of its table; texts that are equal are judged once."""
    texts = rows.unique("text_digest").sort("text_digest")
    languages = texts["language"].to_arrow().cast(pa.string()) if "language" in texts.columns else None
    found = score_columns([table.score], texts["text"].to_arrow().cast(pa.large_string()), languages)
    score, int_score = (pl.Series(pl.from_arrow(found[column])) for column in table.score.columns)
    texts = texts.select("text_digest", score=score, int_score=int_score)
    return rows.select(KEY).join(texts, on="text_digest", how="left").sort(KEY)


# shares


def _threshold(tasks: Sequence[DecideTask], number: int, engine: Engine | int, progress: Progress) -> float | None:
    """The number that the share of one rule comes down to."""
    staging, rule = Folder(tasks[0].staging), tasks[0].rules[number]
    note = f"{rule.name}.json"
    assert rule.top
    if not (staging / "top").exists(note):
        for done, _ in enumerate(map_shards(partial(write_values, number=number), tasks, engine), 1):
            progress("top", done, len(tasks), rule.name)
        found = top_share(lambda: _values(staging / "top" / rule.name), rule.top.frac)
        (staging / "top").write_json(note, found.__dict__)
    return TopShare(**(staging / "top").read_json(note)).threshold


def write_values(task: DecideTask, number: int) -> None:
    """Write the scores of a range of ids of which a rule keeps a share: of what comes as far as that rule."""
    rule = task.rules[number]
    assert rule.top
    before = [
        other
        for place, other in enumerate(task.rules)
        if other.stage < rule.stage or (other.stage == rule.stage and place < number)
    ]
    score = _dotted(rule.top.score).cast(pl.Float64).alias("value")
    parts = []
    for keys in task.keys.split(task.n_slices):
        rows = _passing(task, keys, before, columns_needed([rule]))
        rows = rows if rule.when is None else rows.filter(rule.when.expr)
        parts.append(rows.select(score).filter(pl.col("value").is_not_null() & pl.col("value").is_not_nan()))
    folder = Folder(task.staging) / "top" / rule.name
    write_rows(folder, f"part-{task.keys.index:05d}.parquet", pl.concat(parts), VALUES, plain=True)


def _values(folder: Folder) -> Iterator[F64]:
    for name in folder.names(".parquet"):
        yield np.ascontiguousarray(folder.scan([name]).select("value").collect()["value"].to_numpy())


def _dotted(column: str) -> pl.Expr:
    name, _, field = column.partition(".")
    return pl.col(name).struct.field(field) if field else pl.col(name)


def _with_threshold(tasks: Sequence[DecideTask], number: int, threshold: float | None) -> list[DecideTask]:
    """The tasks with a number in the place of one rule's share."""
    manifest, rule = tasks[0].manifest, tasks[0].rules[number]
    manifest = settled(manifest, {rule.name: threshold})
    return [replace(task, manifest=manifest) for task in tasks]
