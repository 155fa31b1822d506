"""Rows of benchmarks: where they come from, what they must hold, and which are taken."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from manifests.schema_evaluation import Benchmark
from tests.training import tiny
from tests.training.evaluating.questions import choice_rows, gsm8k, kmmlu, sum_rows
from training.benchmarks.task import Task
from training.chat.rows import content_hash
from training.evaluating.local_data import Question, check_enough, chosen, examples_of, questions_of

ROWS = choice_rows(9)


def asked(path: Path | str, base: Path, task: Task | None = None, **more: Any) -> list[Question]:
    return questions_of(task or kmmlu(), Benchmark(name="kmmlu", data=str(path), **more), str(base))


def lines(rows: Sequence[Any]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_files_of_all_kinds_give_the_same_rows(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pl.DataFrame(ROWS).write_parquet(tmp_path / name)
    else:
        pack = {"gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}.get(name.rpartition(".")[2], bytes)
        (tmp_path / name).write_bytes(pack(lines(ROWS)))
    found = asked(name, tmp_path)
    assert [dict(row.doc) for row in found] == ROWS, "with columns that the benchmark does not name"
    assert found[2].place == f"{tmp_path}/{name}:3"


def test_folders_and_globs_are_read_in_order(tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "data/b.jsonl", ROWS[4:])
    tiny.write_jsonl(tmp_path / "data/a.jsonl", ROWS[:4])
    assert [row.doc for row in asked("data", tmp_path)] == ROWS
    assert [row.doc for row in asked("data/a*.jsonl", tmp_path)] == ROWS[:4]
    with pytest.raises(RequestError, match=r"benchmarks.kmmlu.data: .*no file is called like that"):
        asked("data/c*.jsonl", tmp_path)


def test_what_rows_lack_is_named(tmp_path: Path) -> None:
    lacking = {name: value for name, value in ROWS[1].items() if name != "C"}
    tiny.write_jsonl(tmp_path / "a.jsonl", [ROWS[0], lacking])
    with pytest.raises(
        RequestError,
        match=r"benchmarks.kmmlu: .*a.jsonl:2: `C` is not there; found: question, A, .*valid for `kmmlu`: the "
        r"columns `question`, `A`, `B`, `C`, `D`, `answer`, as in the dataset `HAERAE-HUB/KMMLU`",
    ):
        asked("a.jsonl", tmp_path)
    tiny.write_jsonl(tmp_path / "a.jsonl", [ROWS[0] | {"question": None}])
    with pytest.raises(RequestError, match=r"a.jsonl:1: `question` is null"):
        asked("a.jsonl", tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": 5}, r"a.jsonl:1: the right choice is 4; expected a place from 0 to 3"),
        ({"answer": "B"}, r"a.jsonl:1: cannot be asked: TypeError"),
        ({"question": 3}, r"a.jsonl:1: cannot be asked: AttributeError"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    tiny.write_jsonl(tmp_path / "a.jsonl", [ROWS[0] | change])
    with pytest.raises(RequestError, match=said):
        asked("a.jsonl", tmp_path)


def test_choices_that_are_none(tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(RequestError, match=r"found the choices \['A'\]; expected two texts or more"):
        asked("a.jsonl", tmp_path, kmmlu(choices=lambda doc: ["A"]))


def test_damaged_and_empty_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS[:1]) + b"{")
    with pytest.raises(RequestError, match=r"benchmarks.kmmlu.data: .*a.jsonl:2: is no JSON"):
        asked("a.jsonl", tmp_path)
    (tmp_path / "a.jsonl").write_bytes(b"\n")
    with pytest.raises(RequestError, match=r"holds no row; valid for `kmmlu`"):
        asked("a.jsonl", tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(RequestError, match=r"benchmarks\.kmmlu\.data: "):
        asked("a.parquet", tmp_path)


# A limit


@given(st.lists(st.text(max_size=8), min_size=1, max_size=30, unique=True), st.integers(1, 30), st.randoms())
def test_a_limit_depends_on_contents_alone(texts: list[str], limit: int, random: Any) -> None:
    """The rows that are taken are the same in any order, and stand as the file has them."""
    rows = [Question({"question": text}, "") for text in texts]
    taken = chosen(rows, limit)
    assert len(taken) == min(limit, len(rows))
    places = [rows.index(row) for row in taken]
    assert places == sorted(places)
    bound = max(content_hash(row.doc) for row in taken)
    assert all(content_hash(row.doc) > bound for row in rows if row not in taken)
    mixed = list(rows)
    random.shuffle(mixed)
    assert {row.doc["question"] for row in chosen(mixed, limit)} == {row.doc["question"] for row in taken}


def test_a_question_has_a_name() -> None:
    assert Question({"task_id": "HumanEval/0", "prompt": ""}, "").id == "HumanEval/0"
    assert Question({"id": 0, "task_id": 4}, "").id == "0"
    bare = Question({"question": "무엇"}, "a:1").id
    assert bare == Question({"question": "무엇"}, "b:2").id != Question({"question": "무엇?"}, "a:1").id


# Examples


def test_where_examples_come_from(tmp_path: Path) -> None:
    tiny.write_jsonl(tmp_path / "dev.jsonl", ROWS[:3])
    own = ({"question": "Q", "answer": "A"},)
    task = gsm8k(examples=own)
    bare = Benchmark(name="gsm8k")
    assert examples_of(task, bare, str(tmp_path), 0) == []
    assert [row.doc for row in examples_of(task, bare, str(tmp_path), 1)] == list(own)
    named = Benchmark(name="kmmlu", examples="dev.jsonl")
    assert [row.doc for row in examples_of(kmmlu(), named, str(tmp_path), 2)] == ROWS[:3]
    with pytest.raises(
        RequestError, match=r"benchmarks.gsm8k: 2 shots, and the benchmark has no examples of its own"
    ):
        examples_of(gsm8k(example_split=None), bare, str(tmp_path), 2)
    tiny.write_jsonl(tmp_path / "dev.jsonl", sum_rows(2))
    with pytest.raises(RequestError, match=r"dev.jsonl:1: `A` is not there"):
        examples_of(kmmlu(), named, str(tmp_path), 2)


def test_a_question_is_no_example_of_its_own_whatever_its_id(tmp_path: Path) -> None:
    rows = [Question(row, f"a:{n}") for n, row in enumerate(ROWS)]
    again = [Question({**row, "id": "another"}, f"b:{n}") for n, row in enumerate(ROWS)]
    benchmark = Benchmark(name="kmmlu")
    check_enough(kmmlu(), benchmark, rows, again, 8)
    with pytest.raises(RequestError, match=r"a:0: 9 shots, and there are 8 examples beside the question itself"):
        check_enough(kmmlu(), benchmark, rows, again, 9)


# The hub


def test_the_hub_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(*names: Any, **more: Any) -> Any:
        raise ConnectionError("Couldn't reach 'openai/gsm8k' on the Hub\nand more")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(RequestError) as error:
        questions_of(gsm8k(), Benchmark(name="math", task="gsm8k"), str(tmp_path))
    assert str(error.value) == (
        "benchmarks.math: split `test` of the dataset `openai/gsm8k` cannot be had: Couldn't reach 'openai/gsm8k' on "
        "the Hub. Where the hub cannot be reached, name `data`: Parquet or JSONL with the columns "
        "`question`, `answer`"
    )
    with pytest.raises(RequestError, match=r"split `train` .* name `examples`"):
        examples_of(gsm8k(), Benchmark(name="gsm8k"), str(tmp_path), 5)


def test_a_dataset_as_the_hub_has_it(tmp_path: Path) -> None:
    """A folder in a dataset's layout, which `datasets` reads as the hub's: two subjects, each a configuration."""
    for name, rows in (("law", ROWS[:4]), ("history", ROWS[4:])):
        (tmp_path / "kmmlu" / name).mkdir(parents=True)
        pl.DataFrame(rows).write_parquet(tmp_path / "kmmlu" / name / "test-00000.parquet")
    (tmp_path / "kmmlu/README.md").write_text(
        "---\nconfigs:\n"
        "- config_name: law\n  data_files:\n  - {split: test, path: law/test-*}\n"
        "- config_name: history\n  data_files:\n  - {split: test, path: history/test-*}\n---\n"
    )
    both = {"configurations": ("law", "history"), "configuration_column": "subset"}
    task = kmmlu(hub=(str(tmp_path / "kmmlu"), None), **both)
    found = [dict(row.doc) for row in questions_of(task, Benchmark(name="kmmlu"), "/")]
    assert [row.pop("subset") for row in found] == ["law"] * 4 + ["history"] * 5
    assert found == ROWS
    task = kmmlu(hub=(str(tmp_path / "kmmlu"), "law"))
    assert [dict(row.doc) for row in questions_of(task, Benchmark(name="kmmlu"), "/")] == ROWS[:4]
