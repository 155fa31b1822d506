"""Functions that dialogues are about: those of seeds, or Onggi's own; and which others are offered beside one."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import orjson

from manifests.errors import RequestError
from synth.final_answers import json_answers
from synth.final_answers.json_schema_check import check_schema
from synth.samples import Item
from synth.tasks.grams import grams, jaccard
from synth.tasks.task import draw

GRAM_CHARS = 3


@dataclass(frozen=True)
class Function:
    """A function, its parameters as JSON Schema."""

    name: str
    description: str
    tool: str
    """JSON, as chat templates read it: {"type": "function", "function": {...}}."""
    seed: Item | None = None
    """Where it is from; None of Onggi's own."""

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        return parameters_of(self.tool)


def parameters_of(tool: str) -> dict[str, Any]:
    """The schema of the arguments of a function, from its JSON."""
    (schema,) = json_answers.tools_of(orjson.loads(tool)).values()
    return schema


def name_of(tool: str) -> str:
    """The name of a function, from its JSON."""
    return str(orjson.loads(tool)["function"]["name"])


def own_functions(language: str) -> list[Function]:
    """Functions of daily life and business in Korea, described in Korean (`ko`) or English (`en`)."""
    lines = files("synth").joinpath("tasks", "functions.jsonl").read_text("utf-8").splitlines()
    return [_function(_in(orjson.loads(line), language)) for line in lines]


def _in(value: Any, language: str) -> Any:
    """A definition with the descriptions of one language."""
    if isinstance(value, dict):
        if value.keys() == {"ko", "en"}:
            return value[language]
        return {key: _in(one, language) for key, one in value.items()}
    return [_in(one, language) for one in value] if isinstance(value, list) else value


def seed_functions(seeds: Iterable[Item]) -> list[Function]:
    """The functions of all seeds; of several that have one name, the first.

    Raises:
        RequestError: one is no function, or its parameters are no JSON Schema; names the seed.
    """
    found: dict[str, Function] = {}
    for seed in seeds:
        for tool in seed.tools:
            for function in _read(tool, seed):
                found.setdefault(function.name, function)
    return list(found.values())


def _read(tool: str, seed: Item) -> list[Function]:
    try:
        value = json_answers.parse(tool)
        values = value if isinstance(value, list) else [value]
        functions = [_function(one.get("function", one), seed) for one in values]
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise RequestError(
            f"seed {seed.id} ({seed.source}): tools: {error}; expected functions as JSON, with name, description "
            f"and parameters: {tool[:120]}"
        ) from error
    for function in functions:
        check_schema(function.parameters, f"seed {seed.id} ({seed.source}): parameters of {function.name}")
    return functions


def _function(value: dict[str, Any], seed: Item | None = None) -> Function:
    named = {"name": value["name"], "description": value.get("description") or ""}
    ((_, parameters),) = json_answers.tools_of(value).items()
    if not all(isinstance(text, str) for text in named.values()):
        raise ValueError("name and description are texts")
    tool = {"type": "function", "function": {**named, "parameters": parameters}}
    return Function(**named, tool=orjson.dumps(tool).decode(), seed=seed)


# Which others are offered.


def others(function: Function, pool: Sequence[Function], n: int, is_close: bool, *chance: object) -> list[Function]:
    """Functions beside one, none of them itself.

    Args:
        function: the one.
        pool: all there are; more than n.
        n: how many.
        is_close: those whose names and descriptions are most like its own, instead of any.
        chance: what the draw depends on.
    """
    left = [other for other in pool if other.name != function.name]
    if is_close:
        left.sort(key=lambda other: (-_likeness(function, other), other.name))
    else:
        left.sort(key=lambda other: (draw(*chance, other.name), other.name))
    return left[:n]


def _likeness(left: Function, right: Function) -> float:
    """Jaccard similarity of the character trigrams of names and descriptions."""
    return jaccard(*(_grams(f"{one.name} {one.description}") for one in (left, right)))


@functools.lru_cache(maxsize=65_536)
def _grams(text: str) -> frozenset[str]:
    return grams(text, GRAM_CHARS)
