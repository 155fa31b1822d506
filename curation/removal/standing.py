"""Removals stand: what is measured again, since an input, a setting or the code changed, is removed again."""

import polars as pl

from curation.removal.corpus_plan import doomed_in, n_doomed, parts_of
from curation.removal.files import write_without
from curation.removal.matching import address
from curation.removal.rows import STAGE, Doomed
from curation.removal.tables import tables_in
from curation.removal.tombstones import FOLDER, standing_matcher
from manifests.store import Folder


def bury_again(run: Folder) -> int:
    """Put tombstones in measured parts for what was removed from a run before; returns for how many documents.

    Documents are known by their ids, and where addresses or domains were asked for by these, so that a page that was
    fetched again does not come back.
    """
    if not (run / FOLDER).names(".json"):
        return 0
    matcher, ids, measured = standing_matcher(run), set[str](), run / "measured"
    for name in measured.names(".parquet"):
        rows = measured.scan([name]).filter(pl.col("stage").ne_missing(STAGE)).select("id", address())
        ids |= set(matcher.find(rows.collect())["id"])
    if not ids:
        return 0
    parts, digests = parts_of(run, ids)
    doomed = Doomed(sorted(ids), digests)
    paths = [path for path in tables_in(run) if path.rpartition("/")[2] in parts]
    for path in sorted(paths, key=lambda path: (path.startswith("measured/"), path)):  # rows last, as they tell
        mine = doomed_in(path, sorted(ids), digests, parts)
        if mine and n_doomed(run, path, doomed, parts):
            table, _, name = path.rpartition("/")
            write_without(run, table, name, mine)
    return len(ids)
