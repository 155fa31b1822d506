"""What tasks make of seeds: samples, and why some of them are not kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from synth.final_answers.json_answers import parse
from synth.teachers.answers import Request

Role = Literal["teacher", "judge", "reward"]
MessageRole = Literal["system", "user", "assistant", "tool"]

Form = Literal["messages", "preference", "text"]
"""The table that a sample belongs to, as TRL reads it: `messages` (and `tools`); `prompt`, `chosen`, `rejected`;
`text`."""


@dataclass(frozen=True)
class Item:
    """A seed: what samples are made of."""

    id: str
    """Of a document of a curated run its id, so that what came of it can be found when it is taken down."""
    text: str
    """The question, instruction or document."""
    language: str | None = None
    """BCP 47."""
    source: str = ""
    license: str | None = None
    input: str = ""
    answer: str | None = None
    choices: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    """Of a programming task: assertions."""
    tools: tuple[str, ...] = ()
    """JSON of function definitions."""
    quality: str | None = None
    number: int = 0
    """Its place among the items of a run, from 0; what is drawn at random for it may depend on that."""
    parents: tuple[str, ...] = ()
    """Ids of the seeds that it was made from, where it is none itself."""


@dataclass(frozen=True)
class Call:
    """A call of a function."""

    name: str
    arguments: str
    """JSON object."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: MessageRole
    content: str
    calls: tuple[Call, ...] = ()
    name: str | None = None
    """Of a `tool` message: the function that returned it."""

    @property
    def words(self) -> str:
        """What it says, and below it the functions that it calls."""
        calls = [f"{call.name} {call.arguments}" for call in self.calls]
        return "\n".join([self.content, *calls] if self.content else calls)


@dataclass(frozen=True)
class Ask:
    """A request, whom it is for, and the prompt that it was made with."""

    role: Role
    request: Request
    template: str = ""
    """Name of the prompt, as `reasoning/solve_ko`."""
    template_digest: str = ""


@dataclass(frozen=True)
class Rejection:
    """Why a sample is not kept."""

    stage: str
    """The task, or a gate: `verify`, `language`, `near`, ..."""
    reason: str
    """What it found, as one word or two joined by _."""
    value: float | None = None
    """What was measured, where it is a number."""
    threshold: float | None = None
    detail: str = ""
    """In words: the text that gave it away, the id of the other duplicate."""


@dataclass(frozen=True)
class Sample:
    """One sample, kept so far or rejected by its task."""

    item: Item
    form: Form
    language: str
    """Of the answer: `ko` or `en`."""
    prompt: tuple[Message, ...] = ()
    """All before the answer; empty for `text`."""
    answer: tuple[Message, ...] = ()
    """What a student learns to say: the messages after the prompt; of a preference pair the chosen ones."""
    worse: tuple[Message, ...] = ()
    """Of a preference pair: the rejected ones."""
    text: str = ""
    """Of `text`: all of it."""
    tools: tuple[str, ...] = ()
    """JSON of the functions that are offered."""
    variety: str = ""
    """Within the task: the style, the turn type."""
    made_by: tuple[Ask, ...] = ()
    """What was asked for it, the request that wrote the answer first."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What is known of it: `pass_frac`, `score`, `round_trip`, ..."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """`difficulty`, `outcome`, ..."""
    is_translated: bool = False
    parents: tuple[str, ...] = ()
    """Ids of further seeds that it was made from, as those shown in the prompt."""
    rejection: Rejection | None = None

    @property
    def prompt_text(self) -> str:
        """The words of the prompt, without system prompts."""
        return "\n".join(message.content for message in self.prompt if message.role != "system")

    @property
    def answer_text(self) -> str:
        """The words of the answer."""
        return self.text if self.form == "text" else "\n".join(message.words for message in self.answer)


def as_json(message: Message) -> dict[str, Any]:
    """A message as TRL and chat templates read it: arguments of calls are objects, which templates write as JSON."""
    value: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        value["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": _object(call.arguments)}}
            for call in message.calls
        ]
    return value | ({"name": message.name} if message.name else {})


def _object(arguments: str) -> Any:
    """The text itself where it is no JSON, as in a sample that is rejected for it.

    Numbers past 64 bits become floats: `datasets` cannot read longer ones.
    """
    try:
        parse(arguments)
        value = orjson.loads(arguments)
        orjson.dumps(value)  # which may be nested too deep
    except (ValueError, TypeError):
        return arguments
    return value
