"""Questions are read in the columns of each benchmark, and what is wrong with a row is said with its place."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from tests.training.judging.judged_rows import LOGICKOR, MT_BENCH, WILDBENCH, judged_of, save
from training.judging.questions import _split, read_questions


def test_mt_bench_as_published(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    found = read_questions(judged_of("mt-bench"), str(tmp_path))
    assert [question.id for question in found] == ["81", "111", "101", "141"]
    assert found[0].turns == ("Write a haiku about a jar.", "Now make it rhyme.")
    assert (found[0].references, found[1].references, found[2].references) == ((), ("42", "21"), ("Bo", ""))
    assert found[1].groups == ("math",)


def test_logickor_as_published_from_parquet_too(tmp_path: Path) -> None:
    save(tmp_path, LOGICKOR)
    pl.DataFrame(LOGICKOR).write_parquet(tmp_path / "questions.parquet")
    found = read_questions(judged_of("logickor"), str(tmp_path))
    assert found == read_questions(judged_of("logickor", data="questions.parquet"), str(tmp_path))
    assert [question.references for question in found] == [("7", "49"), (), ()]
    assert found[2].turns == ("‘않 되’를 고쳐 줘.", "왜 그래?")


def test_wildbench_as_published(tmp_path: Path) -> None:
    save(tmp_path, WILDBENCH)
    bees, code, limerick = read_questions(judged_of("wildbench"), str(tmp_path))
    assert bees.turns == ("Plan my spring.",)
    assert bees.history == (("user", "I keep bees."), ("assistant", "Lovely!"))
    assert bees.groups == ("Planning & Reasoning", "Information/Advice seeking")
    assert bees.checklist == ("Does it name months?", "Is swarming treated?")
    assert (code.groups, code.history) == (("Coding & Debugging",), ())
    assert limerick.groups == ("Creative Tasks",)


def test_a_limit_takes_always_the_same_ones(tmp_path: Path) -> None:
    rows = [{"id": n, "category": "writing", "turns": [f"question {n}", "more"]} for n in range(40)]
    save(tmp_path, rows)
    few, more = (read_questions(judged_of("mt-bench", limit=n), str(tmp_path)) for n in (5, 9))
    assert len(few) == 5
    assert {one.id for one in few} < {one.id for one in more}
    save(tmp_path, rows[::-1])
    assert {one.id for one in read_questions(judged_of("mt-bench", limit=5), str(tmp_path))} == {o.id for o in few}


@given(st.text("가나ㄱab🙂\u0301 \n", max_size=30))
def test_turns_in_one_text_are_told_apart_only_where_there_is_no_doubt(text: str) -> None:
    turns, is_joined = _split(text)
    assert "\n".join(turns) == text.strip()
    assert len(turns) == (2 if text.strip().replace("\n\n", "").count("\n") == 1 and len(turns) == 2 else 1)
    assert not is_joined or len(turns) == 1


def test_turns_in_one_text(tmp_path: Path) -> None:
    texts = ["하나?\n둘?", "지문이다.\n\n질문은?\n다음 질문은?", "a\nb\nc", "only one"]
    save(tmp_path, [{"id": n, "question": text, "reference": ["x", "y"]} for n, text in enumerate(texts[:3])])
    plain, passage, unclear = read_questions(judged_of("logickor"), str(tmp_path))
    assert plain.turns == ("하나?", "둘?")
    assert passage.turns == ("지문이다.\n\n질문은?", "다음 질문은?")
    assert (unclear.turns, unclear.is_joined, unclear.references) == (("a\nb\nc",), True, ("x\n\ny",))
    assert _split(texts[3]) == (("only one",), False)


@pytest.mark.parametrize(
    ("form", "change", "message"),
    [
        ("mt-bench", {"turns": None}, r"questions\.jsonl:1: `turns`: is missing; expected a list of texts"),
        ("mt-bench", {"turns": ["a", 3]}, "`turns`: expected a list of texts"),
        ("mt-bench", {"turns": ["a", " "]}, "`turns`: found a blank turn"),
        ("mt-bench", {"turns": []}, "`turns`: found a blank turn, or none"),
        ("mt-bench", {"question_id": None}, "`id`: found None; expected a text or a whole number"),
        ("mt-bench", {"question_id": 1.5}, "`question_id`: found 1.5"),
        ("mt-bench", {"category": 3}, "`category`: found int; expected text"),
        ("mt-bench", {"reference": ["a", "b", "c"]}, "`reference`: holds 3 for 2 turns"),
        ("mt-bench", {"reference": 42}, "`reference`: expected a list with a text or null for each turn"),
        ("wildbench", {"conversation_input": "hi"}, "`conversation_input`: expected a list of messages"),
        ("wildbench", {"conversation_input": [{"role": "bot", "content": "x"}]}, "number 0: `role`: found 'bot'"),
        ("wildbench", {"conversation_input": [{"role": "user", "content": ""}]}, "`content`: expected text"),
        ("wildbench", {"conversation_input": [{"role": "assistant", "content": "x"}]}, "ends with 'assistant'"),
        ("wildbench", {"primary_tag": "Cooking"}, "found 'Cooking'; valid: Information seeking"),
        ("wildbench", {"checklist": "one"}, "`checklist`: expected a list of texts"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, form: str, change: dict[str, Any], message: str
) -> None:
    row = (WILDBENCH if form == "wildbench" else MT_BENCH)[0] | change
    save(tmp_path, [row])
    with pytest.raises(RequestError, match=message):
        read_questions(judged_of(form), str(tmp_path))


def test_files_that_are_no_questions(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"judged\.mt-bench\.data: .*no such file"):
        read_questions(judged_of("mt-bench"), str(tmp_path))
    (tmp_path / "questions.jsonl").write_text("")
    with pytest.raises(RequestError, match=r"judged\.mt-bench\.data: questions\.jsonl: holds no question"):
        read_questions(judged_of("mt-bench"), str(tmp_path))
    (tmp_path / "questions.jsonl").write_text("no json\n")
    with pytest.raises(RequestError, match=r"judged\.mt-bench\.data: .*:1: is no JSON"):
        read_questions(judged_of("mt-bench"), str(tmp_path))
    save(tmp_path, [MT_BENCH[0], MT_BENCH[0]])
    with pytest.raises(RequestError, match=r"questions\.jsonl:2: `id`: '81' is there twice"):
        read_questions(judged_of("mt-bench"), str(tmp_path))


@pytest.mark.parametrize(("form", "name", "n"), [("logickor", "logickor", 42), ("mt-bench", "mt_bench", 80)])
def test_the_shared_files(shared_data: Path, form: str, name: str, n: int) -> None:
    path = shared_data / "benchmarks" / f"{name}.jsonl"
    found = read_questions(judged_of(form, data=str(path)), "/")
    texts = [orjson.loads(line)["question"].strip() for line in path.read_bytes().splitlines()]
    assert len(found) == n
    assert ["\n".join(question.turns) for question in found] == texts
    assert sum(len(question.turns) == 2 for question in found) > 0.7 * n
    assert all(question.is_joined for question in found if len(question.turns) == 1)
