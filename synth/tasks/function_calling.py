"""Dialogues with functions: the call, the answer from what it returned, the missing argument, the lack of a function.

The four turn types and five tool settings are those of FunctionChat-Bench (Lee et al. 2024). The teacher makes up a
request with the arguments that it means; then it is asked as the assistant, who sees the request alone, and what it
does must be what the turn type wants. A call is kept where it fits the schema of its function, where all its values
were said, and where it equals the one that was meant: two answers that know nothing of each other agree.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import orjson

from manifests.errors import RequestError
from manifests.schema_synthesis import FunctionCalling as Settings
from synth.final_answers import json_answers
from synth.final_answers.json_schema_check import misfit, needs_a_limit
from synth.final_answers.math_workers import Job
from synth.samples import Ask, Call, Item, Message, Sample
from synth.tasks.function_scenes import Requested, Scene, answer_schema, asks, dumped, filled, request_schema
from synth.tasks.functions import Function, name_of, others, own_functions, seed_functions
from synth.tasks.grounding import new_numbers, ungrounded
from synth.tasks.task import Read, Steps, Task, UnfitError, draw, json_of, text_of
from synth.teachers.answers import Answer

GOLDEN, SILVER = (math.sqrt(5) - 1) / 2, math.sqrt(2) - 1
"""Multiples of each, without their whole part, are spread evenly, however few there are: turn types and tool settings
have their shares among any number of dialogues, and among those of each function."""
FIRST_DAY, N_DAYS = date(2025, 1, 1), 730
"""Dialogues take place on one of these days."""


class FunctionCalling(Task):
    """Dialogues about the functions of seeds, or Onggi's own; an item is a function, and those offered with it."""

    @property
    def settings(self) -> Settings:
        """Of the manifest."""
        task = self.setting.manifest.task
        assert isinstance(task, Settings)
        return task

    # Of what dialogues are made.

    def items(self, seeds: Iterable[Item]) -> Iterator[Item]:
        """Each function so often as the manifest says; `tools` are the one that is wanted, then those offered.

        Raises:
            RequestError: seeds are named and have no functions, or there are fewer than are to be offered.
        """
        pool = self._pool(seeds)
        number = 0
        for _ in range(self.settings.per_function):
            for function in pool:
                yield self._item(function, pool, number)
                number += 1

    def _pool(self, seeds: Iterable[Item]) -> list[Function]:
        if not self.setting.manifest.seeds:
            pool = own_functions(self.settings.language or "ko")
        elif not (pool := seed_functions(seeds)):
            raise RequestError(
                "seeds: none has functions; `tools` names their column. Without seeds Onggi's own serve"
            )
        most = max(int(setting.partition("_")[0]) for setting in self.settings.tools)
        if len(pool) <= most:
            raise RequestError(f"task.tools: {most} of {most + 1} functions are to be offered; found {len(pool)}")
        return pool

    def _item(self, function: Function, pool: list[Function], number: int) -> Item:
        seed, setting = self.setting.manifest.seed, self._tools(number)
        n, _, how = setting.partition("_")
        is_relevance = self._turn(number) == "relevance"
        beside = others(function, pool, int(n) - (not is_relevance), how == "close", seed, "others", number)
        offered = [*beside, *([] if is_relevance else [function])]
        offered.sort(key=lambda one: (draw(seed, "order", number, one.name), one.name))
        tools = (function.tool, *(one.tool for one in offered))
        name, text = f"{function.name}-{number}", f"{function.name}: {function.description}"
        if function.seed is None:
            language = self.settings.language or "ko"
            return Item(name, text, language, "onggi", "Apache-2.0", tools=tools, number=number)
        mine = replace(function.seed, id=name, text=text, tools=tools, number=number, input="", answer=None)
        return replace(mine, parents=(function.seed.id,))

    def _turn(self, number: int) -> str:
        """The turn type of a dialogue, by its number."""
        place, types = number * GOLDEN % 1, list(self.settings.turns.items())
        for name, share in types:
            if place < share:
                return name
            place -= share
        return max(types, key=lambda one: one[1])[0]  # shares add up to a little less than one

    def _tools(self, number: int) -> str:
        return self.settings.tools[int(number * SILVER % 1 * len(self.settings.tools))]

    # The dialogue.

    def run(self, item: Item) -> Steps[list[Sample]]:
        """One dialogue.

        Raises UnfitError: see the steps.
        """
        scene = self._scene(item)
        requested = yield from self._request(scene)
        answered = yield from self._answer(scene, requested.value)
        call = self._decided(scene, requested.value, answered.value)
        system = self.setting.prompts("function_calling/system", scene.language, today=scene.day).messages[-1][1]
        prompt: tuple[Message, ...] = (Message("system", system), Message("user", requested.value.utterance))
        if call is None:
            said = Message("assistant", str(answered.value["message"]).strip())
            return [self._sample(scene, prompt, said, (answered.ask, requested.ask))]
        called = Message("assistant", "", (call,))
        if scene.turn == "call":
            return [self._sample(scene, prompt, called, (answered.ask, requested.ask))]
        result = yield from self._result(scene, call)
        final = yield from self._complete(scene, requested.value, call, result.value)
        prompt = (*prompt, called, Message("tool", result.value, name=call.name))
        made_by = (final.ask, result.ask, answered.ask, requested.ask)
        return [self._sample(scene, prompt, Message("assistant", final.value), made_by)]

    def _scene(self, item: Item) -> Scene:
        """Raises UnfitError: an argument is to be missing, and none is required."""
        seed, turn = self.setting.manifest.seed, self._turn(item.number)
        today = FIRST_DAY + timedelta(draw(seed, "today", item.id) % N_DAYS)
        scene = Scene(item, self.language(item), turn, today, item.tools[0], item.tools[1:])
        if turn != "slot":
            return scene
        required = sorted(scene.parameters.get("required", []))
        if not required:
            raise UnfitError("no_required_argument", name_of(scene.target))
        return replace(scene, missing=required[draw(seed, "missing", item.id) % len(required)])

    def _sample(self, scene: Scene, prompt: tuple[Message, ...], said: Message, made_by: tuple[Ask, ...]) -> Sample:
        return Sample(
            scene.item,
            "messages",
            scene.language,
            prompt,
            (said,),
            tools=scene.offered,
            variety=scene.turn,
            made_by=made_by,
            tags={"offered": self._tools(scene.item.number)},
        )

    # Its steps.

    def _request(self, scene: Scene) -> Steps[Read[Requested]]:
        """What the user says.

        Raises UnfitError: the arguments do not fit (`arguments`), were not said (`ungrounded`), or the one that is to
        be missing was said (`slot_filled`).
        """
        prompt = self.setting.prompts(
            "function_calling/request",
            scene.language,
            today=scene.day,
            turn=scene.turn,
            function=scene.target,
            missing=scene.missing,
            offered=[_line(tool) for tool in scene.offered],
            voice=draw(self.setting.manifest.seed, "voice", scene.item.id),
        )
        schema = request_schema(scene)

        def read(answer: Answer) -> Requested:
            said = json_of(answer, schema)
            requested = Requested(said["utterance"].strip(), said.get("arguments", {}))
            if scene.turn != "relevance":
                self._check(scene, requested.arguments, requested.utterance)
            if scene.turn == "slot" and (why := filled(scene, requested)):
                raise UnfitError("slot_filled", why)
            return requested

        return (yield from self.one(prompt, read, schema=schema, numbers=[scene.item.number]))

    def _check(self, scene: Scene, arguments: dict[str, Any], said: str) -> None:
        """Raises UnfitError: arguments do not fit the schema of their function, or were not said."""
        schema = scene.parameters
        if scene.missing:
            needed = [name for name in schema["required"] if name != scene.missing]
            schema = {**schema, "required": needed}
        name = name_of(scene.target)
        unfit = json_answers.unfit_call(json_answers.Call(name, arguments), {name: schema})
        if wrong := unfit or self._misfit(scene, schema, arguments):
            raise UnfitError("arguments", wrong)
        if wrong := ungrounded(arguments, schema, said, scene.today):
            raise UnfitError("ungrounded", f"{wrong}: {said}")

    def _misfit(self, scene: Scene, schema: dict[str, Any], arguments: dict[str, Any]) -> str | None:
        """As `misfit`; patterns of others may take for ever, so they are searched by a process that has a limit."""
        if not (scene.item.parents and needs_a_limit(schema)):
            return misfit(schema, arguments)
        job = Job("fits", orjson.dumps(schema).decode(), orjson.dumps(arguments).decode())
        (reply,) = self.setting.math.ask([job])
        return None if reply.is_so else reply.why or "cannot be checked"

    def _answer(self, scene: Scene, requested: Requested) -> Steps[Read[dict[str, Any]]]:
        """What the assistant does, who knows nothing but what was said."""
        prompt = self.setting.prompts(
            "function_calling/answer",
            scene.language,
            today=scene.day,
            tools=scene.offered,
            utterance=requested.utterance,
        )
        schema = answer_schema(scene)
        return (yield from self.one(prompt, lambda answer: json_of(answer, schema), schema=schema))

    def _decided(self, scene: Scene, requested: Requested, said: dict[str, Any]) -> Call | None:
        """The call, or None where there has to be none. It is not asked again: whether a request is clear shows at
        the first answer, not at the one of many that happens to fit.

        Raises UnfitError: it is not what the turn type wants.
        """
        wanted = {"slot": "ask", "relevance": "unable"}.get(scene.turn, "call")
        if said["turn"] != wanted or bool(said["calls"]) != (wanted == "call"):
            raise UnfitError("wrong_turn", f"{said['turn']} with {len(said['calls'])} calls, in place of {wanted}")
        if wanted == "call":
            return self._call(scene, requested, said["calls"])
        if not said["message"].strip():
            raise UnfitError("empty", "the assistant says nothing")
        if wanted == "ask" and said["missing"] != [scene.missing]:
            raise UnfitError("asks_for_another", f"{said['missing']} in place of {scene.missing}")
        if wanted == "ask" and not asks(said["message"]):
            raise UnfitError("asks_nothing", said["message"])
        return None

    def _call(self, scene: Scene, requested: Requested, calls: list[dict[str, Any]]) -> Call:
        name, first = name_of(scene.target), calls[0]
        if len(calls) > 1 or first["name"] != name:
            raise UnfitError("wrong_function", f"{[one['name'] for one in calls]} in place of {name}")
        self._check(scene, first["arguments"], requested.utterance)
        meant, made = (json_answers.Call(name, one) for one in (requested.arguments, first["arguments"]))
        if not json_answers.same_calls([meant], [made], {name: scene.parameters}):
            raise UnfitError("disagrees", f"{dumped(first['arguments'])} in place of {dumped(requested.arguments)}")
        return Call(name, dumped(first["arguments"]))

    def _result(self, scene: Scene, call: Call) -> Steps[Read[str]]:
        """What the function returns, as JSON."""
        prompt = self.setting.prompts(
            "function_calling/result",
            scene.language,
            today=scene.day,
            function=scene.target,
            arguments=call.arguments,
        )
        schema = {"type": "object", "minProperties": 1}
        return (yield from self.one(prompt, lambda answer: dumped(json_of(answer, schema)), schema=schema))

    def _complete(self, scene: Scene, requested: Requested, call: Call, result: str) -> Steps[Read[str]]:
        """The answer from the result.

        Raises UnfitError: it has numbers that nothing has (`ungrounded`).
        """
        prompt = self.setting.prompts(
            "function_calling/complete",
            scene.language,
            today=scene.day,
            utterance=requested.utterance,
            called=call.name,
            arguments=call.arguments,
            result=result,
        )
        sources = "\n".join([scene.day, requested.utterance, call.arguments, result])
        n_listed = _longest_list(orjson.loads(result))

        def read(answer: Answer) -> str:
            text = text_of(answer)
            if new := new_numbers(text, sources, n_listed):
                raise UnfitError("ungrounded", f"{float(min(new)):g} is not in the result: {text}")
            return text

        return (yield from self.one(prompt, read))


def _line(tool: str) -> str:
    function = orjson.loads(tool)["function"]
    return f"{function['name']}: {function['description']}"


def _longest_list(value: Any) -> int:
    if isinstance(value, dict):
        return max(map(_longest_list, value.values()), default=0)
    return max(len(value), *map(_longest_list, value), 0) if isinstance(value, list) else 0
