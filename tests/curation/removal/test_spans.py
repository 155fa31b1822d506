"""Spans of some documents are cut out, and those of all others stay as they were."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from curation.mixture.token_rows import tokens_digest
from curation.removal.spans import without_documents
from curation.removal.token_ledger import reduced
from manifests.contracts import conform, tokens_schema
from manifests.digest import TableDigest
from manifests.errors import RunError
from tests.curation.removal.token_mixtures import PAD, Piece, id_of, ledger_of, pack, pieces_of, spans_of, table_of

LENGTH = 16


@st.composite
def _sequences(draw: st.DrawFn) -> list[list[Piece]]:
    sizes = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=25))
    pieces = [piece for n, size in sizes for piece in pieces_of(id_of(n), f"s{n % 2}", size, LENGTH)]
    return pack(pieces, LENGTH)


@given(_sequences(), st.sets(st.integers(0, 9)), st.integers(0, 5))
def test_other_documents_stay_as_they_were(sequences: list[list[Piece]], gone: set[int], first: int) -> None:
    whole = table_of(sequences, LENGTH, "main")
    table = whole.slice(min(first, len(whole)))
    names = {id_of(n) for n in gone}
    raw = pa.array([bytes.fromhex(name) for name in sorted(names)], pa.binary(16))
    after, changed, cut = without_documents(table, raw, PAD)
    assert spans_of(after) == [span for span in spans_of(table) if span[0] not in names]
    assert sorted(zip((name.hex() for name in cut["id"]), cut["offset"], cut["n_tokens"], strict=True)) == sorted(
        (span[0], span[2], len(span[4])) for span in spans_of(table) if span[0] in names
    )
    assert after["sequence"].equals(table["sequence"])
    assert after.schema == table.schema
    conform(after, tokens_schema(LENGTH), "tokens")
    touched = changed["sequence"].to_pylist()
    unchanged = pa.array([n for n, row in enumerate(table["sequence"].to_pylist()) if row not in touched], pa.int64())
    assert after.take(unchanged).equals(table.take(unchanged))
    again, nothing, _ = without_documents(after, raw, PAD)
    assert again.equals(after)
    assert len(nothing) == 0


@given(_sequences(), st.sets(st.integers(0, 9)))
def test_the_ledger_is_that_of_what_is_left(sequences: list[list[Piece]], gone: set[int]) -> None:
    table = table_of([*sequences, [Piece(id_of(99), "s0", 0, (1,))]], LENGTH, "main")
    raw = pa.array([bytes.fromhex(id_of(n)) for n in sorted(gone)], pa.binary(16))
    after, _, cut = without_documents(table, raw, PAD)
    keys, counts = ["stage", "source", "half"], ["n_documents", "n_spans", "n_tokens"]
    found, wanted = (_by_half(ledger) for ledger in (reduced(ledger_of(table), cut), ledger_of(after)))
    left = found.filter(pl.col("n_spans") > 0)
    assert left.select(keys + counts).equals(wanted.select(keys + counts))
    assert found.filter(pl.col("n_spans") == 0).select(pl.sum_horizontal(counts)).to_series().sum() == 0


def _by_half(ledger: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(ledger))
    half = pl.col("id_from").bin.encode("hex").str.slice(0, 1).is_in(list("89abcdef")).cast(pl.Int64)
    return frame.with_columns(half=half).sort("stage", "source", "half")


def test_two_passes_through_a_source() -> None:
    once = [piece for n in range(6) for piece in pieces_of(id_of(n), "s", 10, LENGTH)]
    table = table_of(pack([*once, *once[:3]], LENGTH), LENGTH, "main")
    ledger = ledger_of(table).to_pylist()
    split = []
    for row, n_first in zip(ledger, _n_in_first_pass(once), strict=True):
        n_second = row["n_spans"] - n_first
        for epoch, n in enumerate((n_first, n_second)):
            split.append(row | {"epoch": epoch, "n_documents": n, "n_spans": n, "n_tokens": 10 * n})
    raw = pa.array([bytes.fromhex(piece.id) for piece in once], pa.binary(16))
    _, _, cut = without_documents(table, raw, PAD)
    after = reduced(pa.Table.from_pylist(split, schema=ledger_of(table).schema), cut)
    assert pl.DataFrame(pl.from_arrow(after)).select(pl.sum("n_spans", "n_tokens", "n_documents")).row(0) == (0, 0, 0)


def _n_in_first_pass(pieces: list[Piece]) -> list[int]:
    halves = [int(piece.id[0], 16) >> 3 for piece in pieces]
    return [halves.count(half) for half in sorted(set(halves))]


def test_a_span_that_no_row_counts() -> None:
    table = table_of(pack(pieces_of(id_of(1), "s", 5, LENGTH), LENGTH), LENGTH, "main")
    _, _, cut = without_documents(table, table["document_ids"].combine_chunks().flatten(), PAD)
    with pytest.raises(RunError, match=f"no row counts document {id_of(1)} in sequence 0"):
        reduced(ledger_of(table).slice(0, 0), cut)


def test_a_digest_does_not_depend_on_how_rows_lie() -> None:
    pieces = [piece for n in range(20) for piece in pieces_of(id_of(n), "s", 9, LENGTH)]
    table = table_of(pack(pieces, LENGTH), LENGTH, "main")
    flat = np.asarray(table["input_ids"].combine_chunks().flatten()).reshape(len(table), LENGTH)
    as_bytes = pa.array([xxhash.xxh3_128_digest(row.astype("<u4").tobytes()) for row in flat], pa.binary(16))
    at = table.schema.get_field_index("input_ids")
    wanted = TableDigest.of(table.set_column(at, "input_ids", as_bytes))
    assert tokens_digest(table) == wanted
    assert tokens_digest(pa.concat_tables([table.slice(3), table.slice(0, 3)])) == wanted
    assert (
        tokens_digest(table.slice(2, 3)) + tokens_digest(pa.concat_tables([table.slice(0, 2), table.slice(5)]))
        == wanted
    )
    assert tokens_digest(table.slice(0, 0)).n_rows == 0
