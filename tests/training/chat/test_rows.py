"""Rows of training data: every form of file alike, bad ones counted by reason, samples that are always the same."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from manifests.contracts import versioned
from manifests.contracts_synthetic import Columns, synthetic_schema
from manifests.errors import RequestError, RunError
from tests.training import tiny
from training.chat.rows import BadRow, Left, Row, Source, data_files, parsed, read_rows, source_of

COLUMNS = ("messages", "tools")
ROWS = [
    {**row, "language": ("ko", "en")[i % 2], "score": None if i == 3 else i / 10, "source": {"kind": f"k{i % 3}"}}
    for i, row in enumerate(tiny.chats(12))
]


def source(path: Path, **more: Any) -> Source:
    return source_of(str(path), "/", "data[0]", **more)


def numbers(found: Source, left: Left | None = None) -> list[int]:
    return [row.number for row in read_rows(found, COLUMNS, left or Left())]


def test_all_forms_of_files_give_the_same_rows(tmp_path: Path) -> None:
    lines = b"".join(orjson.dumps(row) + b"\n" for row in ROWS)
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.jsonl.zst").write_bytes(zstandard.compress(lines))
    pl.DataFrame(ROWS).write_parquet(tmp_path / "d.parquet")
    (tmp_path / "README.md").write_text("not data")
    rows = list(read_rows(source(tmp_path), COLUMNS, Left()))
    assert [Path(row.file).name for row in rows[::12]] == ["a.jsonl", "b.jsonl.gz", "c.jsonl.zst", "d.parquet"]
    assert [row.number for row in rows] == list(range(1, 13)) * 4
    assert [row.values for row in rows] == [{"messages": row["messages"], "tools": None} for row in ROWS] * 4
    assert len(list(read_rows(source(tmp_path / "*.jsonl*"), COLUMNS, Left()))) == 36


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_where_leaves_out_what_it_is_not_true_for(tmp_path: Path, ending: str) -> None:
    path, left = tmp_path / f"rows.{ending}", Left()
    if ending == "jsonl":
        tiny.write_jsonl(path, ROWS)
    else:
        pl.DataFrame(ROWS).write_parquet(path)
    where = "score >= 0.2 and language = 'ko' and source.kind <> 'k1'"
    assert numbers(source(path, where=where), left) == [3, 7, 9]
    assert left.counts == {"where": 9}
    assert numbers(source(path, where="score is null")) == [4]
    with pytest.raises(RequestError, match=r"data\[0\].where: .*unknown column scor; did you mean score"):
        numbers(source(path, where="scor > 1"))
    with pytest.raises(RequestError, match=r"data\[0\].where: predicate `score >`: not SQL"):
        numbers(source(path, where="score >"))


def test_where_names_columns_that_later_lines_lack(tmp_path: Path) -> None:
    rows = [{"messages": [], "n": 1}] * 2 + [{"messages": []}] * 5000 + [{"messages": [], "n": 2}]
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", rows)
    assert numbers(source(path, where="n >= 2")) == [5003]
    late = tiny.write_jsonl(
        tmp_path / "late.jsonl", [{"messages": [], "n": None}] * 5000 + [{"messages": [], "n": 2}]
    )
    assert numbers(source(late, where="n >= 2")) == [5001]


def test_a_limit_takes_the_same_rows_wherever_they_stand(tmp_path: Path) -> None:
    path, left = tiny.write_jsonl(tmp_path / "rows.jsonl", ROWS), Left()
    chosen = [row.values["messages"] for row in read_rows(source(path, limit=5), COLUMNS, left)]
    assert left.counts == {"limit": 7}
    assert chosen == [row["messages"] for row in ROWS if row["messages"] in chosen]  # in the order of the file
    assert chosen != [row["messages"] for row in ROWS[:5]]
    turned = tiny.write_jsonl(tmp_path / "turned.jsonl", ROWS[::-1])
    assert [row.values["messages"] for row in read_rows(source(turned, limit=5), COLUMNS, Left())] == chosen[::-1]
    fewer = [row.values["messages"] for row in read_rows(source(path, limit=3), COLUMNS, Left())]
    assert all(messages in chosen for messages in fewer)
    assert len(numbers(source(path, limit=50))) == 12


def test_equal_rows_are_taken_as_often_as_the_limit_says(tmp_path: Path) -> None:
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"messages": []}] * 10)
    assert numbers(source(path, limit=4)) == [1, 2, 3, 4]


def parse(row: Row) -> str:
    if not isinstance(row.values["messages"], str):
        raise BadRow("not_text", f"`messages`: found {row.values['messages']!r}; expected text")
    return str(row.values["messages"])


def test_bad_rows_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    path = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"messages": value} for value in ("a", 1, "b", 2)])
    left = Left()
    assert [made for _, made in parsed(source(path), COLUMNS, parse, left)] == ["a", "b"]
    assert left.counts == {"not_text": 2}
    assert left.examples == {"not_text": f"{path}:2: `messages`: found 1; expected text"}


def test_a_file_of_which_no_row_is_any_good_is_an_error(tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "a.jsonl", [{"messages": 1}, {"messages": 2}])
    tiny.write_jsonl(tmp_path / "b.jsonl", [{"messages": "a"}])
    said = rf"data\[0\]: no row of the file can be used; the first: {tmp_path}/a.jsonl:1: `messages`: found 1"
    with pytest.raises(RequestError, match=said):
        list(parsed(source(tmp_path), COLUMNS, parse, Left()))
    tiny.write_jsonl(tmp_path / "a.jsonl", [{"messages": "a"}])
    tiny.write_jsonl(tmp_path / "b.jsonl", [{"messages": 1}])
    with pytest.raises(RequestError, match=r"b\.jsonl:1"):
        list(parsed(source(tmp_path), COLUMNS, parse, Left()))


def test_wrong_paths_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"data\[0\].path: .*nothing: there is no such file or folder"):
        numbers(source(tmp_path / "nothing"))
    other = tiny.write_jsonl(tmp_path / "other.jsonl", [{"text": "a", "id": 1}])
    with pytest.raises(RequestError, match=r"data\[0\]: .*has no column `messages` or `tools`; found: id, text"):
        numbers(source(other))
    (tmp_path / "broken.jsonl").write_bytes(b'{"messages": []}\n{"messages": [\n')
    with pytest.raises(RunError, match=r"broken\.jsonl:2: is no JSON"):
        numbers(source(tmp_path / "broken.jsonl"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RequestError, match=r"broken\.parquet: is no Parquet file"):
        numbers(source(tmp_path / "broken.parquet"))


def run_of_synth(folder: Path, kind: str = "synthesis") -> list[dict[str, Any]]:
    """A run's folder with a table of one conversation that calls a function."""
    messages = [
        {"role": "user", "content": "서울 날씨는?"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {}}}]},
        {"role": "tool", "content": "맑음", "name": "weather"},
        {"role": "assistant", "content": "맑습니다."},
    ]
    schema = synthetic_schema("messages", Columns(has_tools=True))
    row: dict[str, Any] = {field.name: None for field in schema}
    row |= dict.fromkeys(("id", "language", "task", "variety", "source"), "") | {"n_chars": 0}
    row |= {"is_translated": False, "provenance": {}, "tools": orjson.dumps([{"name": "weather"}]).decode()}
    stored = pa.array([[orjson.dumps(message).decode() for message in messages]], pa.list_(pa.string()))
    arrays = [
        stored.cast(field.type) if field.name == "messages" else pa.array([row[field.name]], field.type)
        for field in schema
    ]
    (folder / "messages").mkdir(parents=True)
    table = pa.Table.from_arrays(arrays, schema=versioned(schema, "messages"))
    pq.write_table(table, folder / "messages" / "part-00000.parquet")
    mappings = ("manifest", "counts", "skipped", "licenses", "shards", "digests", "timings", "throughput", "usage")
    texts = ("fingerprint", "onggi_version", "created", "manifest_base", "measured_in")
    record: dict[str, Any] = {key: {} for key in (*mappings, "cost", "rejected")} | dict.fromkeys(texts, "")
    record |= {"name": "run", "kind": kind, "inputs": [], "outputs": []}
    record |= dict.fromkeys(("n_unanswered", "n_workers", "peak_memory_bytes"), 0)
    (folder / "run.json").write_bytes(orjson.dumps(record))
    return messages


def test_a_run_of_synth_is_read_by_its_table(tmp_path: Path) -> None:
    messages = run_of_synth(tmp_path / "run")
    found = list(read_rows(source(tmp_path / "run"), COLUMNS, Left()))
    assert [row.values["messages"] for row in found] == [messages]
    assert found[0].values["tools"] == '[{"name":"weather"}]'
    assert data_files(source(tmp_path / "run")) == [str(tmp_path / "run/messages/part-00000.parquet")]
    with pytest.raises(RequestError, match="the run has no 'preference'; it has messages"):
        numbers(source(tmp_path / "run", table="preference"))
    run_of_synth(tmp_path / "other", kind="corpus")
    with pytest.raises(RequestError, match="is a run of `kind: corpus`"):
        numbers(source(tmp_path / "other"))
