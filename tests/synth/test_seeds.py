"""Seeds from files."""

import gzip
import unicodedata
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.errors import OnggiError, RequestError
from manifests.schema_synthesis import Seeds
from synth.samples import Item
from synth.seeds import SeedCounts, read_seeds, seed_files


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def read(tmp_path: Path, counts: SeedCounts | None = None, **fields: Any) -> list[Item]:
    return list(read_seeds([Seeds.model_validate({"path": "seeds.jsonl", **fields})], str(tmp_path), counts))


def test_a_row_becomes_an_item(tmp_path: Path) -> None:
    row = {
        "q": " 사과가 3개 있습니다. 몇 개입니까? ",
        "more": "표",
        "a": "풀이\n#### 3",
        "o": ["1", "3"],
        "t": "assert f(1) == 2",
        "f": [{"name": "g", "parameters": {"type": "object"}}],
        "n": 7,
        "lang": "ko",
        "lic": "MIT",
        "bucket": "low",
    }
    lines(tmp_path / "seeds.jsonl", [row])
    (item,) = read(
        tmp_path,
        text="q",
        input="more",
        answer="a",
        answer_after="####",
        choices="o",
        tests="t",
        tools="f",
        id="n",
        language="lang",
        license="lic",
        quality="bucket",
    )
    tool = orjson.dumps(row["f"][0]).decode()  # type: ignore[index]
    assert item == Item(
        "7",
        "사과가 3개 있습니다. 몇 개입니까?",
        "ko",
        "seeds",
        "MIT",
        "표",
        "3",
        ("1", "3"),
        ("assert f(1) == 2",),
        (tool,),
        "low",
    )


def test_columns_of_tools_stay_apart(tmp_path: Path) -> None:
    """Rows of one file have functions with other parameters: none gets those of another."""
    tools = [[{"name": "a", "parameters": {"x": 1}}], '[{"name": "b", "parameters": {"y": 2}}]', {"name": "c"}]
    lines(tmp_path / "seeds.jsonl", [{"text": f"t{n}", "tools": tool} for n, tool in enumerate(tools[:2])])
    assert [item.tools for item in read(tmp_path, tools="tools", set={"language": "en"})] == [
        ('{"name":"a","parameters":{"x":1}}',),
        ('{"name":"b","parameters":{"y":2}}',),
    ]
    lines(tmp_path / "seeds.jsonl", [{"text": "t", "tools": tools[2]}])
    with pytest.raises(RequestError, match=r"seeds.jsonl:1: `tools` \(seeds.tools\): found dict; expected a list"):
        read(tmp_path, tools="tools")


def test_parquet_and_jsonl_give_the_same_items(tmp_path: Path) -> None:
    rows = [{"text": f"Question number {n}?", "answer": str(n), "choices": ["a", "b"]} for n in range(5)]
    lines(tmp_path / "seeds.jsonl", rows)
    (tmp_path / "seeds.jsonl.gz").write_bytes(gzip.compress((tmp_path / "seeds.jsonl").read_bytes()))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "seeds.parquet")
    found = [
        read(tmp_path, path=name, answer="answer", choices="choices", set={"source": "s"})
        for name in ("seeds.jsonl", "seeds.jsonl.gz", "seeds.parquet")
    ]
    assert found[0] == found[1] == found[2]
    assert [item.number for item in found[0]] == [0, 1, 2, 3, 4]
    assert {item.language for item in found[0]} == {"en"}


def test_languages_are_identified(tmp_path: Path) -> None:
    lines(
        tmp_path / "seeds.jsonl", [{"text": "오늘 서울의 날씨는 어떻습니까?"}, {"text": "What is the weather like?"}]
    )
    assert [item.language for item in read(tmp_path)] == ["ko", "en"]


def test_blank_and_repeated_rows_are_counted(tmp_path: Path) -> None:
    lines(
        tmp_path / "seeds.jsonl", [{"text": "a b"}, {"text": " \n"}, {"text": None}, {"text": "a b"}, {"text": "c"}]
    )
    counts = SeedCounts()
    assert [item.text for item in read(tmp_path, counts, set={"language": "en"})] == ["a b", "c"]
    assert (counts.n_items, counts.n_blank, counts.n_repeated) == (2, 2, 1)
    assert counts.by_source == {"seeds": 2}


def test_a_row_that_two_files_have_is_taken_from_the_first(tmp_path: Path) -> None:
    """Where no column names rows, their content does, whatever the files are called and under which licence."""
    both = {"text": "What is an onggi?"}
    lines(tmp_path / "one.jsonl", [both])
    lines(tmp_path / "two.jsonl", [{"text": "Why does it breathe?"}, both])
    counts = SeedCounts()
    first, other = (Seeds(path=f"{name}.jsonl", set={"license": name}) for name in ("one", "two"))
    found = list(read_seeds([first, other], str(tmp_path), counts))
    assert [(item.source, item.license, item.number) for item in found] == [("one", "one", 0), ("two", "two", 1)]
    assert (counts.n_items, counts.n_repeated) == (2, 1)


def test_a_limit_is_a_sample_that_stays(tmp_path: Path) -> None:
    rows = [{"id": f"q{n}", "text": f"text {n}"} for n in range(500)]
    lines(tmp_path / "seeds.jsonl", rows)
    some = [item.id for item in read(tmp_path, id="id", limit=50, set={"language": "en"})]
    lines(tmp_path / "seeds.jsonl", rows[::-1])
    assert sorted(some) == sorted(item.id for item in read(tmp_path, id="id", limit=50, set={"language": "en"}))
    more = [item.id for item in read(tmp_path, id="id", limit=60, set={"language": "en"})]
    assert len(some) == 50 and set(some) < set(more)
    assert max(int(name[1:]) for name in some) > 400  # not the first ones


def test_jamo_become_syllables(tmp_path: Path) -> None:
    names = {
        "text": "옹기가 뭔가요?",
        "more": "그릇 이야기",
        "a": "그릇",
        "o": ["그릇", "솥"],
        "t": ["assert f('ㅋㅋ')"],
    }
    apart = orjson.loads(unicodedata.normalize("NFD", orjson.dumps(names).decode()))
    assert apart["text"] != names["text"]
    lines(tmp_path / "seeds.jsonl", [apart])
    (item,) = read(tmp_path, input="more", answer="a", choices="o", tests="t", set={"language": "ko"})
    assert (item.text, item.input, item.answer) == (names["text"], names["more"], names["a"])
    assert (item.choices, item.tests) == (("그릇", "솥"), ("assert f('ㅋㅋ')",))


def test_where(tmp_path: Path) -> None:
    lines(tmp_path / "seeds.jsonl", [{"text": "a", "n": 1}, {"text": "b", "n": 2}, {"text": "c", "n": None}])
    assert [item.text for item in read(tmp_path, where="n >= 2")] == ["b"]
    assert len(read(tmp_path, where="1 = 1")) == 3
    assert read(tmp_path, where="NULL") == []
    with pytest.raises(RequestError, match=r"seeds\.where: n >="):
        read(tmp_path, where="n >=")
    with pytest.raises(RequestError, match=r"has no column `m` \(seeds.where\); found: n, text"):
        read(tmp_path, where="m > 1")
    with pytest.raises(RequestError, match=r"seeds.where: n: is Int64; expected what is true or false"):
        read(tmp_path, where="n")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": "body"}, r"has no column `body` \(seeds\.text\); found: n, text, title"),
        ({"where": "m > 1"}, r"has no column `m` \(seeds\.where\); found: n, text, title"),
    ],
)
@pytest.mark.parametrize("name", ["seeds.parquet", "seeds.jsonl"])
def test_a_column_that_is_not_there_is_said_with_all_that_are(
    tmp_path: Path, name: str, fields: dict[str, str], said: str
) -> None:
    rows = [{"text": "a", "title": "b", "n": 1}]
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    else:
        lines(tmp_path / name, rows)
    with pytest.raises(RequestError, match=said):
        read(tmp_path, path=name, **fields)


@pytest.mark.parametrize(
    ("rows", "fields", "said"),
    [
        ([{"body": "a"}], {}, r"has no column `text` \(seeds.text\); found: body"),
        ([{"text": ["a"]}], {}, r"seeds.jsonl:1: `text` \(seeds.text\): found list; expected text"),
        (
            [{"text": "a", "x": "b"}],
            {"answer": "x", "answer_after": "####"},
            r":1: `x` \(seeds.answer\): nothing follows",
        ),
        ([{"text": "a", "i": "1"}, {"text": "b", "i": "1"}], {"id": "i"}, "two seeds that differ have the id '1'"),
        ([{"text": "a"}], {"path": "none.jsonl"}, "there is no such file"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, rows: list[dict[str, Any]], fields: dict[str, Any], said: str
) -> None:
    lines(tmp_path / "seeds.jsonl", rows)
    with pytest.raises(OnggiError, match=said):
        read(tmp_path, **fields)


def test_files_are_known_by_their_bytes(tmp_path: Path) -> None:
    lines(tmp_path / "seeds.jsonl", [{"text": "a"}])
    entry = Seeds(path="seeds.jsonl")
    (before,) = seed_files([entry], str(tmp_path))
    assert (before.size_bytes, len(before.digest)) == (13, 32)
    lines(tmp_path / "seeds.jsonl", [{"text": "b"}])
    assert seed_files([entry], str(tmp_path))[0].digest != before.digest
