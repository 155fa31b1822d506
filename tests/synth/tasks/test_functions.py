"""Functions, their own language, and which are offered beside one."""

import re

import orjson
import pytest

from manifests.errors import RequestError
from synth.final_answers.json_schema_check import check_schema, misfit
from synth.samples import Item
from synth.tasks.functions import name_of, others, own_functions, parameters_of, seed_functions

HANGUL = re.compile("[가-힣]")


@pytest.mark.parametrize("language", ["ko", "en"])
def test_own_functions(language: str) -> None:
    functions = own_functions(language)
    assert len(functions) >= 40
    assert len({function.name for function in functions}) == len(functions)
    for function in functions:
        schema = function.parameters
        check_schema(schema, function.name)
        assert schema["required"], function.name
        assert set(schema["required"]) <= schema["properties"].keys()
        assert misfit(schema, {"no": "such"}), function.name
        texts = [function.description, *(one["description"] for one in schema["properties"].values())]
        assert all(bool(HANGUL.search(text)) == (language == "ko") for text in texts), function.name
        for one in schema["properties"].values():
            if "default" in one:
                assert misfit(one, one["default"]) is None


def test_both_languages_are_of_the_same_functions() -> None:
    for korean, english in zip(own_functions("ko"), own_functions("en"), strict=True):
        assert korean.name == english.name
        assert bare(korean.parameters) == bare(english.parameters)


def bare(value: object) -> object:
    return (
        {key: bare(one) for key, one in value.items() if key != "description"} if isinstance(value, dict) else value
    )


def test_close_ones_are_alike_and_random_ones_are_drawn() -> None:
    pool = own_functions("ko")
    by_name = {function.name: function for function in pool}
    weather = by_name["get_current_weather"]
    close = [other.name for other in others(weather, pool, 3, True)]
    assert "get_weather_forecast" in close
    assert weather.name not in close
    near = [other.name for other in others(by_name["search_trains"], pool, 3, True)]
    assert "book_train_ticket" in near or "search_flights" in near
    drawn = {tuple(other.name for other in others(weather, pool, 7, False, 0, "x", number)) for number in range(20)}
    assert len(drawn) == 20
    assert others(weather, pool, 7, False, 1) == others(weather, pool[::-1], 7, False, 1)
    assert all(weather.name not in names for names in drawn)


def test_functions_of_seeds() -> None:
    plain = {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    }
    wrapped = {"type": "function", "function": {"name": "g"}}
    seeds = [
        Item("1", "", tools=(orjson.dumps(plain).decode(), orjson.dumps([wrapped]).decode())),
        Item("2", "", tools=(orjson.dumps(plain | {"description": "other"}).decode(),)),
    ]
    functions = seed_functions(seeds)
    assert [(one.name, one.description, one.seed and one.seed.id) for one in functions] == [
        ("f", "d", "1"),
        ("g", "", "1"),
    ]
    assert name_of(functions[1].tool) == "g"
    assert parameters_of(functions[1].tool) == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("tool", "wrong"),
    [
        ("{", "expected functions as JSON"),
        ("3", "expected functions"),
        ('{"description": "x"}', "expected functions"),
        ('{"name": 3}', "expected functions"),
        ('{"name": "f", "name": "g"}', "key twice"),
        ('{"name": "f", "parameters": {"type": "objekt"}}', "parameters of f: is no JSON Schema"),
    ],
)
def test_no_functions(tool: str, wrong: str) -> None:
    with pytest.raises(RequestError, match=wrong) as raised:
        seed_functions([Item("s7", "", source="a.jsonl", tools=(tool,))])
    assert "s7 (a.jsonl)" in str(raised.value)
