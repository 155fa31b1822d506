"""From spans to rows: each token where it should be, each row as the contract has it, each file known by its plan."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from curation.mixture import assemble
from curation.mixture.assemble import ShardTask, gather, read_block, shard_bounds, write_block, write_shard
from curation.mixture.ledger import VALIDATION, Ledger
from curation.mixture.plan import SPAN, Block
from curation.mixture.token_rows import token_rows, tokens_digest
from curation.mixture.token_store import ids_file
from manifests.contracts import TOKEN_LEDGER, check_version, conform, tokens_schema
from manifests.digest import TableDigest
from manifests.errors import RunError
from manifests.store import Folder

LENGTH, PAD = 16, 7
NAMES = ("first", "second")


def made_up(seed: int, first_sequence: int = 100, n_sequences: int = 20, n_part: int = 5000) -> Block:
    """A block of spans from anywhere in two parts."""
    drawn, spans = np.random.default_rng(seed), []
    n_tokens = drawn.integers(1, LENGTH + 1, n_sequences)
    for sequence, n in enumerate(n_tokens.tolist()):
        bounds = [0, *np.unique(drawn.integers(1, n + 1, 3)).tolist()]
        bounds = sorted({*bounds, n})
        for start, end in pairwise(bounds):
            span = np.zeros((), SPAN)
            span["sequence"], span["length"] = first_sequence + sequence, end - start
            span["part"], span["source"] = drawn.integers(0, 2, 2)
            span["start"] = drawn.integers(0, n_part - LENGTH)
            span["offset"], span["copy"] = drawn.integers(0, 3) * LENGTH, drawn.integers(0, 4)
            span["id_high"], span["id_low"] = drawn.integers(0, 2**64, 2, np.uint64)
            span["lot"], span["epoch"] = drawn.integers(0, 3), drawn.integers(0, 2)
            spans.append(span)
    return Block("s", first_sequence, n_tokens, drawn.random(n_sequences) < 0.5, np.array(spans, SPAN))


def store(folder: Path, dtype: str = "<u2") -> list[Any]:
    """Two parts of random ids."""
    top = 2 ** (8 * np.dtype(dtype).itemsize) - 1
    parts = [np.random.default_rng(number).integers(0, top, 5000).astype(dtype) for number in range(2)]
    for number, part in enumerate(parts):
        path = folder / ids_file(f"key/{number}", np.dtype(dtype))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part.tobytes())
    return parts


def by_hand(block: Block, parts: list[Any]) -> Any:
    rows = []
    for sequence in range(len(block.n_tokens)):
        of = block.spans[block.spans["sequence"] == block.first_sequence + sequence]
        ids = [parts[span["part"]][int(span["start"]) : int(span["start"]) + int(span["length"])] for span in of]
        joined = np.concatenate(ids).astype(np.uint32)
        rows.append(np.concatenate([joined, np.full(LENGTH - len(joined), PAD, np.uint32)]))
    return np.array(rows)


def gathered(block: Block, folder: Path, dtype: str = "<u2") -> Any:
    parts = ("key/0", "key/1")
    return gather(block, store=str(folder), parts=parts, dtype=dtype, sequence_length=LENGTH, pad_id=PAD)


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
@pytest.mark.parametrize("gap_tokens", [0, 50, 1 << 14])
def test_gathering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, gap_tokens: int) -> None:
    monkeypatch.setattr(assemble, "GAP_TOKENS", gap_tokens)
    parts = store(tmp_path, dtype)
    for seed in range(5):
        block = made_up(seed)
        assert (gathered(block, tmp_path, dtype) == by_hand(block, parts)).all()


def test_a_part_that_is_cut_off(tmp_path: Path) -> None:
    store(tmp_path)
    path = tmp_path / "key/1.u16"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RunError, match=r"key/1\.u16: is cut off"):
        gathered(made_up(0), tmp_path)


def test_a_block_is_read_as_it_was_written(tmp_path: Path) -> None:
    block, folder = made_up(3), Folder(str(tmp_path))
    write_block(folder, 12, block)
    again = read_block(folder, 12, "s")
    assert (again.stage, again.first_sequence) == ("s", 100)
    for name in ("n_tokens", "cross", "spans"):
        assert (getattr(again, name) == getattr(block, name)).all()


def rows_of(block: Block, ids: Any) -> pa.Table:
    return token_rows(block, ids, NAMES, slice(0, len(ids)))


def test_rows_hold_the_contract(tmp_path: Path) -> None:
    store(tmp_path)
    block = made_up(1)
    ids = gathered(block, tmp_path)
    table = rows_of(block, ids)
    conform(table, tokens_schema(LENGTH), "tokens")
    table.validate(full=True)
    for number, row in enumerate(table.to_pylist()):
        of = block.spans[block.spans["sequence"] == 100 + number]
        assert row["sequence"] == 100 + number
        assert row["input_ids"] == ids[number].tolist()
        assert (row["n_tokens"], row["cross_document"]) == (block.n_tokens[number], block.cross[number])
        assert np.diff([*row["document_starts"], row["n_tokens"]]).tolist() == of["length"].tolist()
        assert row["document_ids"] == [
            int(span["id_high"]).to_bytes(8, "big") + int(span["id_low"]).to_bytes(8, "big") for span in of
        ]
        assert row["document_copies"] == of["copy"].tolist()
        assert row["document_offsets"] == of["offset"].tolist()
        assert row["source_of_span"] == [NAMES[source] for source in of["source"]]


def test_digests_of_rows_add_up(tmp_path: Path) -> None:
    store(tmp_path)
    block = made_up(2)
    ids = gathered(block, tmp_path)
    table, total = rows_of(block, ids), TableDigest()
    for number, row in enumerate(table.to_pylist()):
        fields = [field for field in table.schema if field.name != "input_ids"]
        one = pa.Table.from_pylist([{field.name: row[field.name] for field in fields}], pa.schema(fields))
        raw = pa.array([xxhash.xxh3_128_digest(ids[number].astype("<u4").tobytes())], pa.binary(16))
        total += TableDigest.of(one.append_column("input_ids", raw))
    assert tokens_digest(table) == total
    parts = [token_rows(block, ids[part], NAMES, part) for part in (slice(0, 7), slice(7, 20))]
    assert tokens_digest(parts[0]) + tokens_digest(parts[1]) == total
    assert pa.concat_tables(parts).combine_chunks().equals(table.combine_chunks())
    changed = ids.copy()
    changed[3, 0] += 1
    assert tokens_digest(rows_of(block, changed)) != total


@pytest.fixture
def task(tmp_path: Path) -> ShardTask:
    store(tmp_path / "store")
    plan = Folder(str(tmp_path / "work"))
    for number in range(3):
        write_block(plan, number, made_up(number, 20 * number))
    plan.write_json("stages.json", ["s", "s", "t"])
    return ShardTask(
        plan=plan.path,
        blocks=(0, 1, 2),
        store=str(tmp_path / "store"),
        parts=("key/0", "key/1"),
        dtype="<u2",
        sequence_length=LENGTH,
        pad_id=PAD,
        sources=NAMES,
        output=str(tmp_path / "tokens"),
        name="part-00000.parquet",
        key="plan",
        extra=(("onggi.tokenizer", "abc"),),
    )


def test_a_file_of_sequences(task: ShardTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "ROW_GROUP_TOKENS", 5 * LENGTH)
    shard = write_shard(task)
    path = tmp_path / "tokens/part-00000.parquet"
    schema = pq.read_schema(path)
    check_version(schema, "tokens", str(path))
    assert schema.metadata[b"onggi.tokenizer"] == b"abc"
    table = pq.read_table(path)
    conform(table, tokens_schema(LENGTH), "tokens")
    assert table["sequence"].to_pylist() == list(range(60))
    assert table["stage"].to_pylist() == ["s"] * 40 + ["t"] * 20
    assert pq.read_metadata(path).num_row_groups == 12
    assert (shard.n_rows, shard.size_bytes, shard.was_there) == (60, path.stat().st_size, False)
    assert shard.digest == tokens_digest(table)


def test_a_file_of_the_same_plan_stays(task: ShardTask, tmp_path: Path) -> None:
    first, path = write_shard(task), tmp_path / "tokens/part-00000.parquet"
    before = path.stat().st_mtime_ns
    again = write_shard(task)
    assert again == replace(first, was_there=True)
    assert path.stat().st_mtime_ns == before
    assert not write_shard(replace(task, key="other")).was_there
    assert path.stat().st_mtime_ns != before


@given(st.lists(st.integers(0, 1000)), st.integers(1, 5000))
def test_files_of_about_a_size(n_tokens: list[int], shard_bytes: int) -> None:
    groups = shard_bounds(n_tokens, shard_bytes)
    assert [number for group in groups for number in group] == list(range(len(n_tokens)))
    assert all(len(group) == 1 or sum(4 * n_tokens[number] for number in group) <= shard_bytes for group in groups)


def test_a_ledger_counts_what_blocks_hold() -> None:
    blocks = [made_up(0), replace(made_up(1, 120), stage="t"), replace(made_up(2, 0), stage=VALIDATION)]
    ledger = Ledger(NAMES, ("c", "d"))
    for block in blocks:
        ledger.add(block)
    table = conform(ledger.table(), TOKEN_LEDGER, "token_ledger")
    spans = [(block.stage, span) for block in blocks for span in block.spans]
    for row in table.to_pylist():
        category = {"first": "c", "second": "d"}[row["source"]]
        assert row["category"] == category
    for stage in ("s", "t", VALIDATION):
        for number, name in enumerate(NAMES):
            of = [span for named, span in spans if named == stage and span["source"] == number]
            rows = [row for row in table.to_pylist() if (row["stage"], row["source"]) == (stage, name)]
            for what, wanted in (
                ("n_tokens", sum(int(span["length"]) for span in of)),
                ("n_spans", len(of)),
                ("n_documents", sum(span["offset"] == 0 for span in of)),
            ):
                assert sum(row[what] for row in rows) == wanted == ledger.sums(what).get((stage, number), 0)  # type: ignore[arg-type]
            for epoch, lot in {(int(span["epoch"]), int(span["lot"])) for span in of}:
                mine = [span for span in of if (span["epoch"], span["lot"]) == (epoch, lot)]
                ids = [
                    int(span["id_high"]).to_bytes(8, "big") + int(span["id_low"]).to_bytes(8, "big") for span in mine
                ]
                sequences = [int(span["sequence"]) for span in mine]
                assert any(
                    row["epoch"] == epoch
                    and (row["id_from"], row["id_to"]) == (min(ids), max(ids))
                    and (row["first_sequence"], row["last_sequence"]) == (min(sequences), max(sequences))
                    and row["n_spans"] == len(mine)
                    for row in rows
                ), (epoch, lot)
