"""Tables of scores that came after rules: beside the measured parts of a run, one per model.

A row is found by its document's id and text, so that whatever changes around them, a text that a model has scored is
not scored again. A table only grows: each decision adds files with what it lets in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
import polars as pl
import pyarrow as pa
import xxhash

from curation.scorers import scorer
from curation.shards import model_digest
from manifests.schema import CorpusManifest, Score
from manifests.store import Folder, KeyRange

SCORES = "scores"
"""Folder of the tables."""

KEY = ["id", "text_digest"]

TABLE = pa.schema(
    [("id", pa.string()), ("text_digest", pa.string()), ("score", pa.float64()), ("int_score", pa.int64())]
)
"""Ordered by id; `score` is null where the model found nothing to judge by."""


@dataclass(frozen=True)
class ScoreTable:
    """The table of one score; pickles to a worker."""

    score: Score
    name: str
    """Folder: NAME, and what its scores depend on."""

    def folder(self, run: Folder) -> Folder:
        """Where it lies."""
        return run / SCORES / self.name

    def part(self, keys: KeyRange, token: str) -> str:
        """The file that a decision adds for a range of ids."""
        return f"part-{keys.index:07d}-of-{keys.count:07d}-{token}.parquet"

    def n_added(self, run: Folder, token: str) -> int:
        """Rows in the files that a decision has added."""
        folder = self.folder(run)
        names = folder.names(f"-{token}.parquet")
        return sum(folder.parquet_metadata(name).num_rows for name in names)

    def read(self, run: Folder, keys: KeyRange) -> pl.DataFrame:
        """Its rows in a range of ids: KEY and the columns of the score."""
        folder = self.folder(run)
        there = [name for name in folder.names(".parquet") if _overlaps(name, keys)]
        empty = pl.DataFrame(schema=pl.Schema(TABLE))
        rows = folder.read_range("id", keys, TABLE.names, there) if there else empty
        names = dict(zip(("score", "int_score"), self.score.columns, strict=True))
        return rows.unique(KEY).rename(names)  # two decisions at once may have scored the same text


def _overlaps(part: str, keys: KeyRange) -> bool:
    """Whether a file may hold rows of a range of ids, by its name."""
    _, index, _, count, _ = part.split("-")
    (low, high), (first, end) = KeyRange(int(index), int(count)).bounds, keys.bounds
    return low < end and first < high


@dataclass(frozen=True)
class Settled:
    """What was found out over the whole corpus before its documents were judged."""

    tables: dict[str, str] = field(default_factory=dict)
    """The folder of each score's table, by the name of the score."""
    n_scored: dict[str, int] = field(default_factory=dict)
    """Documents that this decision has had scored."""
    thresholds: dict[str, float | None] = field(default_factory=dict)
    """What each top share came down to, by the name of its rule."""


def later_columns(manifest: CorpusManifest) -> set[str]:
    """The columns that are not measured, but joined from tables of scores."""
    return {column for score in manifest.measure.scored_after_rules for column in score.columns}


def score_table(score: Score, manifest: CorpusManifest) -> ScoreTable:
    """The table of a score, whether or not it is there already.

    Raises:
        RequestError: the model is not there, or cannot be read.
    """
    model, language = scorer(score), manifest.measure.language
    judged_by = [language.model_dump(), model_digest(language.model)] if model.by_language and language else []
    depends = orjson.dumps([model.fingerprint, judged_by])
    return ScoreTable(score, f"{score.name}-{xxhash.xxh3_64_hexdigest(depends)}")


def recorded_tables(manifest: CorpusManifest, folders: Mapping[str, str]) -> list[ScoreTable]:
    """The tables that a run was decided with; `folders` are those of its record, by the name of the score."""
    return [ScoreTable(score, folders[score.name]) for score in manifest.measure.scored_after_rules]


def join_scores(frame: pl.DataFrame, run: Folder, tables: Sequence[ScoreTable], keys: KeyRange) -> pl.DataFrame:
    """Measured rows of a range of ids with the columns of these tables, null where nothing was scored."""
    for table in tables:
        frame = frame.join(table.read(run, keys), on=KEY, how="left", maintain_order="left")
    return frame
