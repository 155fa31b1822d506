"""What stands before a user's words in a model's chat template, and what behind them.

A template is a Jinja program from the folder of a tokenizer. It runs in Jinja's sandbox, with what such templates may
call (transformers: utils/chat_template_utils.py) and nothing else.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import orjson
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from manifests.errors import RequestError

MARKER = "onggi-marker-6b1f0c"
"""Stands for the user's words while a template is rendered."""
TODAY = datetime(2025, 1, 1)
"""What templates take for today: they write the date into the prompt, and every run has to write the same."""


@dataclass(frozen=True)
class Turn:
    """A user's turn in a chat template."""

    before: str
    """From the start of the conversation to the user's words."""
    end: str
    """What ends them, as <|im_end|>."""


class ChatTemplate:
    """The chat template in the folder of a tokenizer."""

    def __init__(self, folder: str) -> None:
        """Read it.

        Raises:
            RequestError: the folder has no chat template, or it is no Jinja; names the file.
        """
        self._name, source, self._tokens = _read(Path(folder))
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals |= {"raise_exception": _raise, "strftime_now": TODAY.strftime}
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise RequestError(f"{self._name}: is no chat template: {error}") from error

    def turn(self, system: str = "") -> Turn:
        """The first turn of a user.

        Args:
            system: the system prompt; without it, what the template itself says.

        Raises:
            RequestError: the template does not render, or changes what users say.
        """
        system_turn = [{"role": "system", "content": system}] if system else []
        messages = [*system_turn, {"role": "user", "content": MARKER}]
        before, after = self._around(messages, False)
        if not after.strip():
            _, after = self._around(messages, True)
        return Turn(before, after.strip().split("\n")[0].strip())

    def _around(self, messages: list[dict[str, str]], is_answer_next: bool) -> tuple[str, str]:
        try:
            text = self._template.render(messages=messages, add_generation_prompt=is_answer_next, **self._tokens)
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
            hint = (
                "; where it takes no system prompt, say `system: {ko: [''], en: ['']}`" if len(messages) > 1 else ""
            )
            raise RequestError(f"{self._name}: the chat template does not render: {error}{hint}") from error
        if text.count(MARKER) != 1:
            raise RequestError(f"{self._name}: the chat template has {text.count(MARKER)} places for a user's words")
        before, _, after = text.partition(MARKER)
        return before, after


def _read(folder: Path) -> tuple[str, str, dict[str, str]]:
    """The file and source of the template, and the special tokens that it may name."""
    config = folder / "tokenizer_config.json"
    alone = folder / "chat_template.jinja"
    try:
        value = orjson.loads(config.read_bytes()) if config.is_file() else {}
        value = value if isinstance(value, dict) else {}
        tokens = {
            key: token.get("content", "") if isinstance(token, dict) else str(token)
            for key, token in value.items()
            if key.endswith("_token") and isinstance(token, str | dict)
        }
        if alone.is_file():
            return str(alone), alone.read_text("utf-8"), tokens
        source = value.get("chat_template")
        if isinstance(source, list):
            source = {one["name"]: one["template"] for one in source}.get("default")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{config}: cannot be read: {error}") from error
    if not isinstance(source, str):
        raise RequestError(
            f"task.tokenizer: {folder}: has no chat template, neither in {config.name} nor {alone.name}"
        )
    return str(config), source, tokens


class _Generation(Extension):
    """{% generation %}...{% endgeneration %}, which marks what assistants say."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Its content, as it is."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
