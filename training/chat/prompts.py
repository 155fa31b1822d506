"""Prompts that answers are drawn for: rows with `prompt` (a text or messages) or `messages`, and gold answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.chat.messages import messages_of, prompt_of, tools_of
from training.chat.rendering import Message, Prompt
from training.chat.rows import BadRow, Left, Row, parsed, source_of

COLUMNS = ("prompt", "messages", "answer", "tools")


@dataclass(frozen=True)
class Asked:
    """A prompt."""

    prompt: Prompt
    answer: str | None
    """The gold answer, where the row has one."""
    tools: tuple[Any, ...]
    place: str
    """Its file and number."""


def read_prompts(
    path: str, base: str, at: str, left: Left, *, limit: int | None = None, needs_answer: bool = False
) -> list[Asked]:
    """The prompts of a file, folder or glob, in their order.

    Args:
        path: relative ones start at `base`.
        base: the manifest's folder.
        at: the entry of the manifest, as errors call it.
        left: rows that are left out are counted here.
        limit: how many are taken, always the same ones.
        needs_answer: whether a row without `answer` is a bad one.

    Raises:
        RequestError: there is no such file, or no row of one is any good.
        RunError: a line is no JSON object.
    """

    def parse(row: Row) -> Asked:
        return _asked(row, needs_answer)

    source = source_of(path, base, at, limit=limit)
    return [asked for _, asked in parsed(source, COLUMNS, parse, left)]


def _asked(row: Row, needs_answer: bool) -> Asked:
    answer = row.values["answer"]
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        answer = str(answer)
    if needs_answer and (not isinstance(answer, str) or not answer.strip()):
        raise BadRow("no_answer", "`answer`: is missing; expected the gold answer as text")
    prompt = row.values["prompt"]
    found = _asked_in(messages_of(row.values["messages"], "messages")) if prompt is None else prompt_of(prompt)
    return Asked(found, answer if isinstance(answer, str) else None, tools_of(row.values["tools"]), row.place)


def _asked_in(messages: Sequence[Message]) -> Sequence[Message]:
    """A conversation up to what its last answer answers."""
    while messages and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    if not messages:
        raise BadRow("bad_prompt", "`messages`: the assistant alone speaks; expected what it answers")
    return messages
