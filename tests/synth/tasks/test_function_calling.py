"""Dialogues with functions, of each turn type; and what the teacher does wrong."""

from collections import Counter
from typing import Any

import orjson
import pytest

from manifests.errors import RequestError
from synth.final_answers.json_schema_check import misfit
from synth.final_answers.math_workers import MathWorkers
from synth.samples import Ask, Call, Item
from synth.tasks.function_calling import FunctionCalling
from synth.tasks.functions import name_of, own_functions, parameters_of
from tests.synth.scripted import Played, manifest, play, setting

TAXI = {
    "name": "call_taxi",
    "description": "택시를 부른다.",
    "parameters": {
        "type": "object",
        "properties": {
            "pickup": {"type": "string"},
            "people": {"type": "integer", "minimum": 1, "maximum": 6},
            "grade": {"type": "string", "enum": ["standard", "van"]},
        },
        "required": ["pickup", "people"],
        "additionalProperties": False,
    },
}
LIGHTS = {
    "name": "control_lights",
    "description": "조명을 켜고 끈다.",
    "parameters": {"type": "object", "properties": {}},
}
SEED = Item(
    "s1", "functions", "ko", "mine", "MIT", tools=(orjson.dumps(TAXI).decode(), orjson.dumps(LIGHTS).decode())
)
SAID = "강남역으로 택시 한 대 불러 줘. 3명이야."
ARGUMENTS = {"pickup": "강남역", "people": 3}
CALLS = {"turn": "call", "calls": [{"name": "call_taxi", "arguments": ARGUMENTS}], "missing": [], "message": ""}
RESULT = {"taxi": "12가 3456", "arrives_in_minutes": 7}
SCRIPT: dict[str, Any] = {
    "request": {"arguments": ARGUMENTS, "utterance": SAID},
    "answer": CALLS,
    "result": RESULT,
    "complete": "택시를 불렀습니다. 12가 3456 차량이 7분 뒤에 도착합니다.",
}


def task(turn: str, **fields: Any) -> FunctionCalling:
    value = {"kind": "function_calling", "turns": {turn: 1.0}, "tools": ["1_exact"], "attempts": 2, "per_function": 1}
    return FunctionCalling(setting(manifest(value | fields)))


def taxi(turn: str, script: dict[str, Any], number: int = 0) -> Played:
    made = task(turn, per_function=4)
    item = [item for item in made.items([SEED]) if item.text.startswith("call_taxi")][number]

    def say(ask: Ask) -> Any:
        return (SCRIPT | script)[ask.template.removeprefix("function_calling/").removesuffix("_ko")]

    return play(made, item, say)


def test_call() -> None:
    played = taxi("call", {})
    (sample,) = played.kept
    assert [message.role for message in sample.prompt] == ["system", "user"]
    assert sample.prompt[0].content.startswith("오늘은 202")
    (answer,) = sample.answer
    assert answer.calls == (Call("call_taxi", '{"pickup":"강남역","people":3}'),)
    assert [orjson.loads(tool) for tool in sample.tools] == [{"type": "function", "function": TAXI}]
    assert (sample.variety, sample.tags, sample.item.parents, sample.item.license) == (
        "call",
        {"offered": "1_exact"},
        ("s1",),
        "MIT",
    )
    assert [ask.template for ask in sample.made_by] == ["function_calling/answer_ko", "function_calling/request_ko"]
    assert SAID not in played.asks[0].request.messages[-1][1]
    assert "강남역" not in played.asks[1].request.messages[0][1]


def test_completion() -> None:
    (sample,) = taxi("completion", {}).kept
    assert [message.role for message in sample.prompt] == ["system", "user", "assistant", "tool"]
    assert (sample.prompt[3].name, orjson.loads(sample.prompt[3].content)) == ("call_taxi", RESULT)
    assert sample.answer[0].content == SCRIPT["complete"]
    assert len(sample.made_by) == 4


def asking(missing: str, message: str = "몇 분이 타시나요?") -> dict[str, Any]:
    return {"turn": "ask", "calls": [], "missing": [missing], "message": message}


def slot(script: dict[str, Any]) -> Played:
    """Of the dialogue in which the number of people is missing."""
    script = {"request": {"arguments": {"pickup": "강남역"}, "utterance": "강남역으로 택시 불러 줘."}} | script
    for number in range(4):
        played = taxi("slot", {"answer": asking("people")} | script, number)
        if '"people"만 빼고' in played.asks[0].request.messages[-1][1]:
            return played
    raise AssertionError


def test_slot() -> None:
    (sample,) = slot({}).kept
    assert sample.answer[0].content == "몇 분이 타시나요?"
    assert not sample.answer[0].calls


UNABLE = {"turn": "unable", "calls": [], "missing": [], "message": "죄송하지만 택시는 불러 드릴 수 없습니다."}


def test_relevance() -> None:
    played = taxi("relevance", {"request": {"utterance": SAID}, "answer": UNABLE})
    (sample,) = played.kept
    assert [name_of(tool) for tool in sample.tools] == ["control_lights"]
    assert "조명을 켜고 끈다." in played.asks[0].request.messages[-1][1]
    assert sample.answer[0].content == UNABLE["message"]


def calling(**arguments: Any) -> dict[str, Any]:
    return CALLS | {"calls": [{"name": "call_taxi", "arguments": ARGUMENTS | arguments}]}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"request": {"arguments": {"pickup": "강남역"}, "utterance": SAID}}, "arguments"),
        ({"request": {"arguments": ARGUMENTS | {"people": 9}, "utterance": SAID}}, "arguments"),
        ({"request": {"arguments": ARGUMENTS | {"tip": 1}, "utterance": SAID}}, "arguments"),
        ({"request": {"arguments": ARGUMENTS, "utterance": "역으로 3명"}}, "ungrounded"),
        ({"request": {"utterance": SAID}}, "schema"),
        ({"answer": "call_taxi(3)"}, "not_json"),
        ({"answer": calling(people="3")}, "arguments"),
        ({"answer": calling(pickup="역삼역")}, "ungrounded"),
        ({"answer": calling(grade="van")}, "disagrees"),
        ({"answer": CALLS | {"calls": CALLS["calls"] * 2}}, "wrong_function"),
        ({"answer": CALLS | {"calls": [{"name": "control_lights", "arguments": {}}]}}, "schema"),
        ({"answer": asking("people")}, "wrong_turn"),
        ({"answer": CALLS | {"calls": []}}, "wrong_turn"),
    ],
)
def test_calls_that_are_not_kept(script: dict[str, Any], reason: str) -> None:
    assert taxi("call", script).reasons == [f"task:{reason}"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"answer": CALLS}, "wrong_turn"),
        ({"answer": asking("people") | {"calls": CALLS["calls"]}}, "wrong_turn"),
        ({"answer": asking("pickup")}, "asks_for_another"),
        ({"answer": asking("people", "알겠습니다.")}, "asks_nothing"),
        ({"answer": asking("people", " ")}, "empty"),
        ({"request": {"arguments": {"pickup": "강남역"}, "utterance": "강남역으로 4명 탈 택시."}}, "slot_filled"),
        ({"request": SCRIPT["request"]}, "slot_filled"),
        ({"request": {"arguments": {}, "utterance": "택시 불러 줘."}}, "arguments"),
    ],
)
def test_slots_that_are_not_kept(script: dict[str, Any], reason: str) -> None:
    assert slot(script).reasons == [f"task:{reason}"]


def test_others_that_are_not_kept() -> None:
    light = CALLS | {"calls": [{"name": "control_lights", "arguments": {}}]}
    assert taxi("relevance", {"request": {"utterance": SAID}, "answer": light}).reasons == ["task:wrong_turn"]
    assert taxi("completion", {"complete": "20분 뒤에 도착합니다."}).reasons == ["task:ungrounded"]
    assert taxi("completion", {"result": "{}"}).reasons == ["task:schema"]
    assert taxi("completion", {"result": "없음"}).reasons == ["task:not_json"]


def test_nothing_is_missing_where_nothing_is_required() -> None:
    made = task("slot")
    item = next(item for item in made.items([SEED]) if item.text.startswith("control_lights"))
    assert play(made, item, lambda _: "").reasons == ["task:no_required_argument"]


def test_patterns_of_seeds_have_a_limit() -> None:
    """(a+)+$ takes for ever on aaa...!; it is searched by a process that is killed."""
    properties = {"code": {"type": "string", "pattern": "^(a+)+$"}}
    tool = {"name": "f", "parameters": {"type": "object", "properties": properties, "required": ["code"]}}
    seed = Item("s", "", "ko", tools=(orjson.dumps([tool, LIGHTS]).decode(),))
    code = "a" * 40 + "!"
    said = {"arguments": {"code": code}, "utterance": code}
    asked = {"kind": "function_calling", "turns": {"call": 1.0}, "tools": ["1_exact"], "attempts": 1}
    with MathWorkers(limit_s=1.0) as workers:
        made = FunctionCalling(setting(manifest(asked), workers))
        assert play(made, next(iter(made.items([seed]))), lambda _: said).reasons == ["task:arguments"]


# The set as a whole.


def own(**fields: Any) -> FunctionCalling:
    return FunctionCalling(setting(manifest({"kind": "function_calling"} | fields, seeds=[])))


def test_shares_and_settings_are_spread_evenly() -> None:
    made = own(per_function=10)
    items = list(made.items([]))
    n = len(items)
    assert n == 10 * len(own_functions("ko"))
    assert [item.number for item in items] == list(range(n))
    assert len({item.id for item in items}) == n
    turns = Counter(made._turn(item.number) for item in items)
    for turn, share in {"call": 0.4, "completion": 0.3, "slot": 0.15, "relevance": 0.15}.items():
        assert abs(turns[turn] / n - share) < 0.01
    by_function = Counter((item.text, made._tools(item.number)) for item in items)
    assert set(by_function.values()) <= {1, 2, 3}
    assert list(own(per_function=10).items([])) == items


def test_what_is_offered() -> None:
    made = own(per_function=5)
    places = Counter()
    for item in made.items([]):
        target, *offered = item.tools
        n = int(made._tools(item.number)[0])
        assert len(offered) == len(set(offered)) == n
        assert (target in offered) == (made._turn(item.number) != "relevance")
        if n == 8 and target in offered:
            places[offered.index(target)] += 1
    assert len(places) == 8


def test_english() -> None:
    made = own(language="en", turns={"call": 1.0})
    item = next(iter(made.items([])))
    schema = parameters_of(item.tools[0])
    arguments = {"location": "Busan"}
    assert misfit(schema, arguments) is None
    answer = {
        "turn": "call",
        "calls": [{"name": "get_current_weather", "arguments": arguments}],
        "missing": [],
        "message": "",
    }
    said = {"request": {"arguments": arguments, "utterance": "How is the weather in Busan?"}, "answer": answer}
    (sample,) = play(made, item, lambda ask: said[ask.template.split("/")[1].removesuffix("_en")]).kept
    assert sample.language == "en"
    assert sample.prompt[0].content.startswith("Today is ")


def test_too_few_functions() -> None:
    with pytest.raises(RequestError, match="none has functions"):
        list(task("call").items([Item("1", "no functions")]))
    with pytest.raises(RequestError, match="found 2"):
        list(task("call", tools=["4_close"]).items([SEED]))
