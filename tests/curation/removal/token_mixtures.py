"""Mixtures made by hand: documents packed one after another, with the ledger that counts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash

from curation.mixture.token_rows import tokens_digest
from curation.removal.tables import digest_of_table
from manifests.contracts import TOKEN_LEDGER, tokens_schema
from manifests.store import Folder, to_arrow

PAD = 0


@dataclass(frozen=True)
class Piece:
    """A document, or a part of one, as it is to be packed."""

    id: str
    source: str
    offset: int
    ids: tuple[int, ...]
    copy: int = 0


def pieces_of(id_: str, source: str, n_tokens: int, length: int) -> list[Piece]:
    """A document of so many tokens, which follow from its id, cut in pieces of at most `length`."""
    draw = np.random.default_rng(int(id_[:8], 16))
    ids = draw.integers(1, 2**31, n_tokens).tolist()
    return [Piece(id_, source, at, tuple(ids[at : at + length])) for at in range(0, n_tokens, length)]


def pack(pieces: Sequence[Piece], length: int) -> list[list[Piece]]:
    """Sequences of pieces in their order; one that does not fit begins the next sequence."""
    sequences, n_left = list[list[Piece]](), 0
    for piece in pieces:
        if len(piece.ids) > n_left:
            sequences.append([])
            n_left = length
        sequences[-1].append(piece)
        n_left -= len(piece.ids)
    return sequences


def table_of(sequences: Sequence[Sequence[Piece]], length: int, stage: str, first: int = 0) -> pa.Table:
    """The rows of these sequences."""
    columns: dict[str, list[Any]] = {name: [] for name in tokens_schema(length).names}
    for number, pieces in enumerate(sequences, first):
        ids = [token for piece in pieces for token in piece.ids]
        ends = np.cumsum([len(piece.ids) for piece in pieces]).tolist()
        row = {
            "sequence": number,
            "stage": stage,
            "input_ids": ids + [PAD] * (length - len(ids)),
            "n_tokens": len(ids),
            "cross_document": False,
            "document_starts": [0, *ends[:-1]] if pieces else [],
            "document_ids": [bytes.fromhex(piece.id) for piece in pieces],
            "document_copies": [piece.copy for piece in pieces],
            "document_offsets": [piece.offset for piece in pieces],
            "source_of_span": [piece.source for piece in pieces],
        }
        for name, value in row.items():
            columns[name].append(value)
    return pa.table(columns, schema=tokens_schema(length))


def spans_of(table: pa.Table) -> list[tuple[str, int, int, str, tuple[int, ...]]]:
    """(id, copy, offset, source, ids) of every span, in order."""
    found = []
    for row in table.to_pylist():
        starts = [*row["document_starts"], row["n_tokens"]]
        assert all(token == PAD for token in row["input_ids"][row["n_tokens"] :])
        names = zip(
            row["document_ids"], row["document_copies"], row["document_offsets"], row["source_of_span"], strict=True
        )
        for number, (name, copy, offset, source) in enumerate(names):
            ids = tuple(row["input_ids"][starts[number] : starts[number + 1]])
            found.append((name.hex(), copy, offset, source, ids))
    return found


def ledger_of(table: pa.Table) -> pa.Table:
    """The ledger of some sequences, with a row per source and half of all ids."""
    rows = []
    for row in table.to_pylist():
        starts = [*row["document_starts"], row["n_tokens"]]
        for number, name in enumerate(row["document_ids"]):
            rows.append(
                {
                    "stage": row["stage"],
                    "source": row["source_of_span"][number],
                    "id": name,
                    "half": name[0] >> 7,
                    "begins": row["document_offsets"][number] == 0,
                    "n_tokens": starts[number + 1] - starts[number],
                    "sequence": row["sequence"],
                }
            )
    kinds = ["stage", "source", "half"]
    frame = pl.DataFrame(rows, schema_overrides={"id": pl.Binary}, infer_schema_length=None)
    counted = frame.group_by(kinds).agg(
        category=pl.col("source").first(),
        epoch=pl.lit(0, pl.Int32),
        id_from=pl.col("id").min(),
        id_to=pl.col("id").max(),
        n_documents=pl.col("begins").sum().cast(pl.Int64),
        n_spans=pl.len().cast(pl.Int64),
        n_tokens=pl.col("n_tokens").sum(),
        first_sequence=pl.col("sequence").min(),
        last_sequence=pl.col("sequence").max(),
    )
    return to_arrow(counted.sort(kinds), TOKEN_LEDGER)


def write_mixture(
    folder: Path,
    training: Sequence[Piece],
    held_out: Sequence[Piece],
    sources: Sequence[dict[str, Any]],
    length: int = 32,
    rows_per_file: int = 5,
) -> Folder:
    """A whole mixture, as `onggi mix` lays it out, but for its store."""
    run = Folder(str(folder))
    tables = {"tokens": (training, "main"), "validation": (held_out, "validation")}
    ledgers = []
    for name, (pieces, stage) in tables.items():
        sequences = pack(pieces, length)
        for number, first in enumerate(range(0, len(sequences), rows_per_file)):
            rows = table_of(sequences[first : first + rows_per_file], length, stage, first)
            with (run / name).table_writer(f"part-{number:05d}.parquet", rows.schema, "tokens") as writer:
                writer.write(rows, row_group_rows=2)
        ledgers.append(ledger_of(table_of(sequences, length, stage)))
    for number, ledger in enumerate(ledgers):
        with (run / "ledger").table_writer(f"part-{number:05d}.parquet", TOKEN_LEDGER, "token_ledger") as writer:
            writer.write(ledger)
    run.write_json(
        "summary.json", {"samples": [{"id": piece.id, "text": f"text of {piece.id}"} for piece in training]}
    )
    run.write_json(
        "run.json",
        {
            "kind": "mixture",
            "name": "small",
            "manifest": {"sources": list(sources), "output": {"path": str(folder), "store": None}},
            "manifest_base": str(folder.parent),
            "tokenizer": {"pad_id": PAD},
            "outputs": [{"path": name, "size_bytes": 1, "rows": 1} for name in ("tokens", "validation", "ledger")],
            "digests": {
                "tokens": digest_of_table(run / "tokens", digest=tokens_digest).hex,
                "validation": digest_of_table(run / "validation", digest=tokens_digest).hex,
                "token_ledger": digest_of_table(run / "ledger").hex,
            },
        },
    )
    return run


def id_of(number: int) -> str:
    """Ids that are spread, for documents by number."""
    return xxhash.xxh3_128_hexdigest(str(number).encode())
