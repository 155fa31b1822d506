"""Benchmark items from files, and what is said where they are not there."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from curation.benchmarks import Item, load_items, task_names
from manifests.errors import RequestError
from manifests.schema import BenchmarkFile

ROWS: dict[str, list[dict[str, Any]]] = {
    "HAERAE-HUB/KMMLU/data/Law-test.csv": [
        {"question": "법?", "answer": 2, "A": "가", "B": "나", "C": "다", "D": "라", "Category": "Law"}
    ],
    "skt/kobest_v1/boolq/test-00000-of-00001.parquet": [{"paragraph": "글", "question": "맞나?", "label": 1}],
    "skt/kobest_v1/copa/test-00000-of-00001.parquet": [
        {"premise": "비", "question": "결과", "alternative_1": "우산", "alternative_2": "모자", "label": 0}
    ],
    "skt/kobest_v1/hellaswag/test-00000-of-00001.parquet": [
        {"context": "문", "ending_1": "ㄱ", "ending_2": "ㄴ", "ending_3": "ㄷ", "ending_4": "ㄹ", "label": 3}
    ],
    "skt/kobest_v1/sentineg/test-00000-of-00001.parquet": [{"sentence": "좋다", "label": 1}],
    "skt/kobest_v1/wic/test-00000-of-00001.parquet": [
        {"word": "배", "context_1": "배가 아프다", "context_2": "배를 탄다", "label": 0}
    ],
    "HAE_RAE_BENCH/data/history-test.parquet": [{"query": "조선은? (A) 하나 (B) 둘", "answer": "(A)"}],
    "click/click-train.jsonl": [
        {"id": "KIIP_1", "paragraph": "", "question": "명절은?", "choices": ["설", "눈"], "answer": "설"}
    ],
    "KorMedMCQA/doctor/test-00000-of-00001.parquet": [
        {"question": "약?", "A": "1번", "B": "2번", "C": "3번", "D": "4번", "E": "5번", "answer": 5}
    ],
    "cais/mmlu/all/test-00000-of-00001.parquet": [{"question": "Why?", "choices": ["a", "b", "c", "d"], "answer": 0}],
    "openai/gsm8k/main/test-00000-of-00001.parquet": [{"question": "How many?", "answer": "1 + 1 = 2\n#### 2"}],
    "openai_humaneval/openai_humaneval/test-00000-of-00001.parquet": [
        {"task_id": "HumanEval/0", "prompt": "def f():", "canonical_solution": "    return 1", "test": "assert f()"}
    ],
    "mbpp/full/test-00000-of-00001.parquet": [{"task_id": 11, "text": "Write f.", "code": "def f(): ..."}],
}
"""As the datasets are published, with one row, under each of the names that are looked for."""

OTHERS = ["HAERAE-HUB/KMMLU/data/Law-dev.csv", "openai/gsm8k/socratic/test-00000-of-00001.parquet"]

WANTED = {
    "kmmlu": [Item("kmmlu", "data/Law-test/0", "법?", ("가", "나", "다", "라"), "나")],
    "kobest": [
        Item("kobest", "boolq/test/0", "맞나?"),
        Item("kobest", "copa/test/0", "비", ("우산", "모자"), "우산"),
        Item("kobest", "hellaswag/test/0", "문", ("ㄱ", "ㄴ", "ㄷ", "ㄹ"), "ㄹ"),
        Item("kobest", "sentineg/test/0", "좋다"),
        Item("kobest", "wic/test/0", "배가 아프다\n배를 탄다"),
    ],
    "haerae": [Item("haerae", "data/history-test/0", "조선은? (A) 하나 (B) 둘")],
    "click": [Item("click", "KIIP_1", "명절은?", ("설", "눈"), "설")],
    "kormedmcqa": [Item("kormedmcqa", "doctor/test/0", "약?", ("1번", "2번", "3번", "4번", "5번"), "5번")],
    "mmlu": [Item("mmlu", "all/test/0", "Why?", ("a", "b", "c", "d"), "a")],
    "gsm8k": [Item("gsm8k", "main/test/0", "How many?", (), "2")],
    "humaneval": [Item("humaneval", "HumanEval/0", "def f():", (), "return 1")],
    "mbpp": [Item("mbpp", "11", "Write f.", (), "def f(): ...")],
}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    elif path.suffix == ".csv":
        pl.DataFrame(rows).write_csv(path)
    else:
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)) + b"\n\n")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for name, rows in ROWS.items():
        write(tmp_path / name, rows)
    for name in OTHERS:
        write(tmp_path / name, [{"question": "other", "answer": "other"}])
    return tmp_path


@pytest.mark.parametrize("name", WANTED)
def test_reads_published_datasets(data_dir: Path, name: str) -> None:
    assert load_items([name], str(data_dir), "/") == WANTED[name]


def test_a_task_s_own_file_comes_first(data_dir: Path) -> None:
    write(data_dir / "gsm8k.jsonl", [{"id": "mine", "question": "Q?", "answer": "a #### 7"}])
    assert load_items(["gsm8k"], str(data_dir), "/") == [Item("gsm8k", "mine", "Q?", (), "7")]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "parquet", "csv"])
def test_reads_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"quiz.{suffix}"
    rows: list[dict[str, Any]] = [
        {"question": "하나?", "answer": "1"},
        {"question": "둘?", "answer": None},
        {"question": " ", "answer": "x"},
    ]
    write(tmp_path / "quiz.jsonl" if suffix == "jsonl.gz" else path, rows)
    if suffix == "jsonl.gz":
        path.write_bytes(gzip.compress((tmp_path / "quiz.jsonl").read_bytes()))
    assert load_items([f"quiz.{suffix}"], None, str(tmp_path)) == [
        Item("quiz", "quiz/0", "하나?", (), "1"),
        Item("quiz", "quiz/1", "둘?", (), ""),
    ]


def test_columns_can_be_named(tmp_path: Path) -> None:
    write(tmp_path / "nli.jsonl", [{"p": "전제", "h": "가설", "o": ["참", "거짓"], "gold": "b", "n": 3}])
    entry = BenchmarkFile(path="nli.jsonl", name="my-nli", question=["p", "h"], choices="o", answer="gold", id="n")
    assert load_items([entry], None, str(tmp_path)) == [Item("my-nli", "3", "전제\n가설", ("참", "거짓"), "거짓")]


MISTAKES = {
    "unknown name": ("kmlu", "did you mean 'kmmlu'?"),
    "neither name nor file": ("quiz.txt", "valid: a file"),
    "missing file": ("nowhere.jsonl", "nowhere.jsonl: there is no such file"),
    "missing column": ("columns.jsonl", "row 0 has no column 'question'; it has a, b"),
    "empty": ("empty.jsonl", "holds no item"),
    "not JSON": ("broken.jsonl", "broken.jsonl:2: is not JSON"),
    "not an object": ("list.jsonl", "list.jsonl:1: expected an object"),
    "not Parquet": ("broken.parquet", "broken.parquet: cannot be read"),
    "no files of a named one": ("mmlu", "files of the split 'test' and subset 'all'"),
}


@pytest.mark.parametrize(("entry", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_say_what_is_wrong(tmp_path: Path, entry: str, message: str) -> None:
    write(tmp_path / "columns.jsonl", [{"a": 1, "b": 2}])
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    (tmp_path / "broken.jsonl").write_bytes(b'{"question": "a"}\n{"question": \n')
    (tmp_path / "list.jsonl").write_bytes(b"[1]\n")
    (tmp_path / "broken.parquet").write_bytes(b"no")
    with pytest.raises(RequestError) as error:
        load_items([entry], str(tmp_path), str(tmp_path))
    assert message in str(error.value)


def test_a_name_needs_a_folder() -> None:
    with pytest.raises(RequestError, match=r"set `decontaminate\.data_dir`"):
        load_items(["click"], None, "/")


def test_no_file_twice(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"question": "a"}])
    with pytest.raises(RequestError, match="named twice"):
        load_items(["a.jsonl", "./a.jsonl"], None, str(tmp_path))


def test_the_benchmarks_of_the_reports_have_names() -> None:
    named = {"kmmlu", "kobest", "haerae", "click", "kormedmcqa", "mmlu", "gsm8k", "humaneval", "mbpp"}
    assert named <= set(task_names())
