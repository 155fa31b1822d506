"""Files of a corpus written again without documents, or with tombstones for them."""

from collections import Counter

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from curation.removal.rows import ROW_TABLES, Doomed, buried
from curation.removal.tables import Rewritten, file_schema, rewrite, row_groups
from manifests.store import Folder


def write_without(run: Folder, table: str, name: str, doomed: Doomed) -> Rewritten:
    """Write a file of a run again without documents, or with tombstones for them."""
    path, folder = f"{table}/{name}", run / table
    if table in ROW_TABLES:
        ids = pa.array(doomed.ids, pa.string())
        extra = _part_note(folder, name, ids) if table == "measured" else None
        return rewrite(run, path, lambda rows: buried(rows, ids), extra)
    return rewrite(run, path, doomed.without(file_schema(folder, name)))


def _part_note(folder: Folder, name: str, ids: pa.Array) -> dict[str, str]:
    """What a measured part says of itself, with the counts as they will be."""
    note = orjson.loads(folder.parquet_extra(name, "measured")["part"])
    early, text_bytes = Counter[str](), 0
    for rows in row_groups(folder, name, ["id", "verdict", "n_text_bytes"]):
        gone = pc.is_in(rows["id"], value_set=ids)
        early.update(pc.if_else(gone, "dropped", rows["verdict"]).drop_null().to_pylist())
        text_bytes += pc.sum(rows.filter(pc.invert(gone))["n_text_bytes"]).as_py() or 0
    note["counts"] |= {"n_early": dict(early), "text_bytes": text_bytes}
    return {"part": orjson.dumps(note).decode()}
