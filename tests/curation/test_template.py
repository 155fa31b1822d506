import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.template import MissingFieldError, compile_template, look_up, parse_path, paths
from manifests.errors import RequestError
from manifests.schema import Input
from tests.curation.reading import check_cursors, read_all

SHAREGPT = {
    "id": "1",
    "conversations": [{"from": "human", "value": "옹기란?"}, {"from": "gpt", "value": "그릇이다."}],
}
CHAT = {
    "parts": [{"each": "conversations", "parts": ["{from}: {value}"], "separator": "\n"}],
    "values": {"from": {"human": "사용자", "gpt": "도우미"}},
}
OPENAI = {
    "messages": [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello", "tool_calls": None},
    ]
}
ALPACA = {"instruction": "Add.", "input": "", "output": "3"}
KORQUAD = {
    "title": "옹기",
    "paragraphs": [
        {
            "context": "옹기는 그릇이다.",
            "qas": [
                {"question": "무엇인가?", "answers": [{"text": "그릇", "answer_start": 4}]},
                {"question": "답이 없나?", "answers": []},
            ],
        },
        {"context": "흙으로 빚는다.", "qas": []},
    ],
}
STACK = {
    "Title": "How?",
    "Body": "<p>Use <code>a &lt; b</code>.</p>",
    "answers": [{"Body": "<p>Yes</p>", "Score": 3}],
}


def made(template: Any, row: dict[str, Any]) -> str:
    item = Input.model_validate({"source": "s", "path": "p", "template": template})
    assert item.template
    return compile_template(item.template, "s")(row)


def test_a_template_is_a_text_with_fields() -> None:
    assert made("질문: {question}\n답변: {answers[0].text}", KORQUAD["paragraphs"][0]["qas"][0]) == (  # type: ignore[index]
        "질문: 무엇인가?\n답변: 그릇"
    )
    assert made("{{{a}}} {n} {ok}", {"a": "x", "n": 1.5, "ok": True}) == "{x} 1.5 true"
    assert made("{a.b}", {"a.b": "as it stands", "a": {"b": "nested"}}) == "as it stands"


def test_chats_are_gone_through_turn_by_turn() -> None:
    assert made(CHAT, SHAREGPT) == "사용자: 옹기란?\n도우미: 그릇이다."
    said = {"each": "messages", "parts": ["{role}: {content}"], "only": {"role": ["user", "assistant"]}}
    assert made([said], OPENAI) == "user: Hi\n\nassistant: Hello"


def test_a_part_whose_field_is_missing_is_left_out_or_the_record_fails() -> None:
    parts = ["{instruction}", "{input}", "{output}"]
    assert made({"parts": parts, "missing": "skip"}, ALPACA) == "Add.\n3"
    with pytest.raises(MissingFieldError, match=r"^input$"):
        made({"parts": parts}, ALPACA)


def test_lists_lie_in_lists() -> None:
    each = {"each": "qas", "parts": ["Q: {question}", "A: {answers[0].text}"], "separator": "\n"}
    template = {
        "parts": ["# {title}", {"each": "paragraphs", "parts": ["{context}", each]}],
        "missing": "skip",
    }
    wanted = "# 옹기\n옹기는 그릇이다.\nQ: 무엇인가?\nA: 그릇\nQ: 답이 없나?\n\n흙으로 빚는다."
    assert made(template, KORQUAD) == wanted
    with pytest.raises(MissingFieldError, match=r"^paragraphs\[0\]\.qas\[1\]\.answers\[0\]\.text$"):
        made({**template, "missing": "fail"}, KORQUAD)


def test_fields_of_html_give_their_text() -> None:
    template = {"parts": ["{Title}", "{Body}", {"each": "answers", "parts": ["{Score}: {Body}"]}], "html": ["Body"]}
    assert made(template, STACK) == "How?\nUse a < b.\n3: Yes"


@pytest.mark.parametrize("text", ["{a", "a}", "{a[}", "{}", "{a..b}", "{a[x]}", "{a b[0}"])
def test_a_template_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"source .s.|^s: template"):
        made(text, {"a": "x"})


def test_nothing_in_a_template_is_executed() -> None:
    row = {"a": "{b}", "b": "secret", "__class__": "plain"}
    assert made("{a} {__class__}", row) == "{b} plain"
    with pytest.raises(MissingFieldError):
        made("{a.__class__}", row)


def test_ids_do_not_change_with_the_template(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps(SHAREGPT, ensure_ascii=False) + '\n{"id": "2"}\n', "utf-8")
    [first, failed], _ = read_all(path, template=CHAT, key="id")
    [other, _], _ = read_all(path, template={**CHAT, "values": {}}, key="id")
    assert first["content"].decode() == "사용자: 옹기란?\n도우미: 그릇이다."
    assert (first["key"], first["content_digest"]) == ("1", other["content_digest"])
    assert first["content"] != other["content"]
    assert (failed["reason"], failed["detail"]) == ("missing_field", "no 'conversations'; the record has id")


def test_parquet_gives_the_same_texts(tmp_path: Path) -> None:
    rows = [{**SHAREGPT, "id": str(i)} for i in range(10)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=3)
    lines, _ = read_all(tmp_path / "a.jsonl", template=CHAT, key="id")
    columns, _ = read_all(tmp_path / "a.parquet", template=CHAT, key="id")
    assert [(row["key"], row["content"]) for row in lines] == [(row["key"], row["content"]) for row in columns]
    assert check_cursors(tmp_path / "a.parquet", 1, template=CHAT, key="id") >= 4


def test_columns_that_a_parquet_file_lacks_are_named_before_any_work(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["?"]}), tmp_path / "a.parquet")
    with pytest.raises(RequestError, match="maps the column 'answer'; the file has question"):
        read_all(tmp_path / "a.parquet", template="{question} {answer}")


def test_formats_without_columns_take_no_template(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(RequestError, match="template cannot be mapped"):
        read_all(tmp_path, template="{a}")


def test_paths_are_the_fields_of_the_record() -> None:
    item = Input.model_validate(
        {"source": "s", "path": "p", "template": ["{a.b} {c[0].x} {{d}}", {"each": "e.f", "parts": ["{g}"]}]}
    )
    assert item.template
    assert paths(item.template) == ["a.b", "c", "e.f"]


@pytest.mark.parametrize("name", ["values", "html"])
def test_settings_of_fields_that_the_template_does_not_have_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match=rf"template.{name}: zz: no such field in the template; it has: a"):
        made({"parts": ["{a}"], name: {"zz": {}} if name == "values" else ["zz"]}, {"a": "x"})


def test_a_list_of_which_nothing_is_chosen_is_missing() -> None:
    chat = {"each": "messages", "parts": ["{content}"], "only": {"role": ["tool"]}}
    with pytest.raises(MissingFieldError, match="messages with role"):
        made(["Q:", chat], OPENAI)


def test_parquet_has_dates_bytes_and_names_with_dots(tmp_path: Path) -> None:
    row = {"meta.title": "제목", "d": datetime(2024, 1, 2, 3), "b": "옹기".encode(), "l": [date(2024, 1, 2)]}
    broken = row | {"b": b"\xff"}
    pq.write_table(pa.Table.from_pylist([row, broken]), tmp_path / "a.parquet")
    [first, second], _ = read_all(tmp_path / "a.parquet", template="{meta.title} {d} {b} {l}")
    assert first["content"].decode() == '제목 2024-01-02T03:00:00 옹기 ["2024-01-02"]'
    assert second["reason"] == "invalid_utf8"


NAMES = st.text("ab가_ ", min_size=1, max_size=3)
VALUES = st.recursive(
    st.none() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)
)


@given(VALUES, st.lists(NAMES | st.integers(-2, 2), min_size=1, max_size=3))
def test_looking_up_finds_what_python_would(value: Any, steps: list[str | int]) -> None:
    wanted = value
    try:
        for step in steps:
            wanted = wanted[step] if isinstance(wanted, dict | list) else None
    except (KeyError, IndexError, TypeError):
        wanted = None
    assert look_up(value, tuple(steps)) == wanted


def test_paths_have_names_and_places() -> None:
    assert parse_path("a[0][-1].b c", "s") == ("a", 0, -1, "b c")
    assert parse_path(".", "s") == ()
