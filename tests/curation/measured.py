"""Measured runs made by hand, for what is found over all measured texts."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import xxhash

from manifests.store import Folder, KeyRange

ALL = KeyRange()


def document_frame(texts: Sequence[str], language: str | None = None) -> pl.DataFrame:
    """Documents whose ids are in the order of the texts."""
    ids = [f"{number * (2**32 // len(texts)):08x}{number:024x}" for number in range(len(texts))]
    columns = {"id": ids, "copy": 0, "text": texts, "language": [language] * len(texts)}
    schema = {"id": pl.String, "copy": pl.Int32, "text": pl.String, "language": pl.String}
    digests = pl.Series("text_digest", [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts], pl.String)
    return pl.DataFrame(columns, schema).with_columns(digests)


def measured_run(folder: Path, frame: pl.DataFrame, n_parts: int = 2) -> Folder:
    """A run with the documents of the frame, dealt out to n_parts measured parts."""
    run = Folder(str(folder))
    schema = pa.schema([("id", pa.string()), ("text_digest", pa.string()), ("text", pa.large_string())])
    for part in range(n_parts):
        rows = frame.gather_every(n_parts, part).select(schema.names).to_arrow().cast(schema)
        name, note = f"{part:016x}-00000.parquet", {"part": '{"has_text": true}'}
        with (run / "measured").table_writer(name, schema, "measured", note) as writer:
            writer.write(rows)
    return run
