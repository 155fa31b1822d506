"""What goes of each table of a corpus: rows of documents; of tables that count every record, all but who it was."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

STAGE = REASON = "removed"
"""How the ledger says that a document was taken down."""

ROW_TABLES = ("measured", "ledger")
"""Tables with a row per record: rows become tombstones there, elsewhere they go."""

KEPT = frozenset({"id", "copy", "row_hash", "source", "file", "offset", "n_bytes"})
"""What is left of a record: which one it was, where its input has it, and how large it was. Its key and its URL go,
as either may name a person; so do all measures."""

_VERDICT: dict[str, Any] = {"verdict": "dropped", "stage": STAGE, "reason": REASON}


def buried(rows: pa.Table, ids: pa.Array) -> pa.Table:
    """Measured or ledger rows where those of these ids are tombstones; the same table where there are none."""
    gone = pc.is_in(rows["id"], value_set=ids)
    if not pc.any(gone).as_py():
        return rows
    columns = [
        rows[field.name] if field.name in KEPT else pc.if_else(gone, _left(field), rows[field.name])
        for field in rows.schema
    ]
    return pa.table(columns, schema=rows.schema)


def _left(field: pa.Field) -> pa.Scalar:
    """What a column of a tombstone holds."""
    empty = None if field.nullable else "" if pa.types.is_string(field.type) else 0
    return pa.scalar(_VERDICT.get(field.name, empty), field.type)


@dataclass(frozen=True)
class Doomed:
    """Documents that go, as the tables of a run name them."""

    ids: Collection[str]
    digests: Collection[str] = field(default=())
    """Of their texts, where no other document has these."""
    rows: Collection[int] = field(default=())
    """Their places in a measured part."""

    def column(self, schema: pa.Schema) -> tuple[str, pa.Array] | None:
        """The column by which a table tells its documents, and its values of those that go; None: it tells none."""
        names = {field.name: field.type for field in schema}
        if _is_text(names.get("id")):
            return "id", pa.array(self.ids, pa.string())
        if names.get("doc") == pa.uint64():
            return "doc", _first_64_bits(self.ids)
        if {"row", "first_byte"} <= names.keys():
            return "row", pa.array(self.rows, names["row"])
        if _is_text(names.get("text_digest")):
            return "text_digest", pa.array(self.digests, pa.string())
        if names.get("text") == pa.uint64():
            return "text", _first_64_bits(self.digests)
        return None

    def without(self, schema: pa.Schema) -> Callable[[pa.Table], pa.Table]:
        """What takes the documents out of rows of such a table."""
        found = self.column(schema)
        if found is None:
            return lambda rows: rows
        name, values = found
        return lambda rows: rows.filter(pc.invert(pc.is_in(rows[name], value_set=values)))


def _is_text(kind: pa.DataType | None) -> bool:
    return kind is not None and (pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _first_64_bits(names: Collection[str]) -> pa.Array:
    return pa.array([int(name[:16], 16) for name in names], pa.uint64())
