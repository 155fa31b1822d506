"""Answers in JSON and calls of functions."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from synth.final_answers import json_answers
from synth.final_answers.expected import Expected
from synth.final_answers.json_answers import same
from synth.verify import verify

pytest.importorskip("jsonschema")

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "default": 1},
                "unit": {"enum": ["c", "f"]},
            },
            "required": ["city"],
        },
    },
}
TIME = {"name": "get_time", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}}
TOOLS = json.dumps([WEATHER, TIME])
SEOUL = {"name": "get_weather", "arguments": {"city": "서울"}}


def outcome(said: object, gold: object = SEOUL, schema: str = TOOLS) -> str:
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return verify(text, Expected("calls", json.dumps(gold) if gold else "", schema=schema)).outcome


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"city": "서울"}, "right"),
        ({"city": "서울", "days": 1}, "right"),  # the default
        ({"city": "서울", "days": 1.0}, "right"),  # an integer, as JSON Schema has it
        ({"city": "서울", "days": 2}, "wrong"),
        ({"city": "서울", "days": "1"}, "wrong"),
        ({"city": "서울", "days": True}, "wrong"),
        ({"city": "서울", "unit": "k"}, "wrong"),
        ({"city": "서울", "country": "KR"}, "wrong"),
        ({"city": "부산"}, "wrong"),
        ({}, "wrong"),
    ],
)
def test_arguments(arguments: dict[str, object], expected: str) -> None:
    assert outcome({"name": "get_weather", "arguments": arguments}) == expected


def test_texts_are_equal_in_nfc() -> None:
    decomposed = unicodedata.normalize("NFD", "서울")
    assert decomposed != "서울"
    assert outcome({"name": "get_weather", "arguments": {"city": decomposed}}) == "right"


def test_forms_of_calls() -> None:
    arguments = json.dumps(SEOUL["arguments"])
    assert (
        outcome([{"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}])
        == "right"
    )
    assert outcome(f"<tool_call>\n{json.dumps(SEOUL)}\n</tool_call>") == "right"
    assert outcome(f"네, 확인하겠습니다.\n```json\n{json.dumps(SEOUL)}\n```") == "right"
    assert outcome({"name": "get_weather", "arguments": "{"}) == "form"
    assert outcome({"city": "서울"}) == "form"
    assert outcome("날씨를 모릅니다.") == "form"
    assert outcome('<tool_call>{"name": "get_weather", "argum') == "cut"


def test_calls_come_in_any_order_and_number() -> None:
    busan = {"name": "get_weather", "arguments": {"city": "부산"}}
    assert outcome([busan, SEOUL], [SEOUL, busan]) == "right"
    assert outcome([SEOUL], [SEOUL, busan]) == "wrong"
    assert outcome([SEOUL, SEOUL], [SEOUL]) == "wrong"
    tags = "".join(f"<tool_call>{json.dumps(call)}</tool_call>" for call in (busan, SEOUL))
    assert outcome(tags, [SEOUL, busan]) == "right"


def test_without_a_gold_answer_the_schema_decides() -> None:
    assert outcome(SEOUL, None) == "right"
    assert outcome({"name": "get_moon", "arguments": {}}, None) == "wrong"


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"a": NaN}', "{'a': 1}", '{"a": 1} {"b": 2}', "[" * 100_000])
def test_what_is_no_json(text: str) -> None:
    assert verify(text, Expected("json", '{"a": 1}')).outcome in ("form", "cut")


def test_what_is_expected_is_checked_first() -> None:
    for kind, gold, schema in (
        ("json", "{", ""),
        ("json", "", ""),
        ("json", "", '{"type": "nothing"}'),
        ("calls", '{"city": 1}', ""),
        ("calls", "[]", '[{"parameters": {}}]'),
    ):
        with pytest.raises(RequestError):
            Expected(kind, gold, schema=schema)  # type: ignore[arg-type]


def test_nothing_is_fetched() -> None:
    schema = json.dumps({"$ref": "http://127.0.0.1:1/schema.json"})
    with pytest.raises(RequestError, match="nothing is fetched"):
        verify("{}", Expected("json", "", schema=schema))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text("가a ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("가a", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(values, values)
def test_same_is_an_equality(left: object, right: object) -> None:
    assert same(left, left)
    assert same(left, right) == same(right, left)
    assert same(left, json_answers.parse(json.dumps(left)))
    if same(left, right):
        assert left == right


def test_kinds_are_not_confused() -> None:
    assert same(1, 1.0)
    for left, right in ((1, True), (0, False), (0, None), (1, "1"), ([], {}), ([1, 2], [2, 1])):
        assert not same(left, right)
