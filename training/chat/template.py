"""A chat template: how it writes a conversation, and which characters of that the assistant says.

It runs in the sandboxed environment of transformers, whose `apply_chat_template` it agrees with. What it adds:

- Text of the data that reads like a control token (`<|im_end|>` in what a user pasted) is known as text, so that it
  cannot end a turn or begin one.
- A template without `{% generation %}` is rendered turn by turn: where each turn is a continuation of what was there
  before, the assistant's characters are the difference; where it is not, the template is refused.
- Today is always the same day.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, TemplateError, nodes
from transformers.utils import chat_template_utils
from transformers.utils.chat_template_utils import _cached_compile_jinja_template, _render_with_assistant_indices

from manifests.errors import RequestError
from manifests.store import resolve
from training.chat.conversations import Conversation
from training.chat.messages import Message
from training.chat.rows import BadRow

FOLDER = Path(__file__).parent.parent / "templates"
SHIPPED = tuple(sorted(path.stem for path in FOLDER.glob("*.jinja")))
TODAY = datetime(2024, 7, 26)
"""What templates take for today. It is the day that Llama 3.2's writes where it is not told another."""
GENERATION = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")
CONTROL_TOKEN = re.compile(r"<\|[^<>|\s]{1,60}\|>|<(?:start|end)_of_turn>")
"""What control tokens look like in the text of a template."""
PRIVATE = [chr(code) for code in range(0xE000, 0xF8FF)]
"""Characters that mean nothing; two that a conversation does not have mark what is text in it."""
ERRORS = (TemplateError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What a template may raise."""
_ALIASED = getattr(chat_template_utils, "_alias_reasoning_fields", list)
"""Messages with their reasoning under every name that templates call it by, since transformers 5.2x."""
Span = tuple[int, int]


@dataclass(frozen=True)
class Rendered:
    """A conversation as a template writes it; spans are (first character, the one after the last)."""

    text: str
    learnt: tuple[Span, ...]
    """What the assistant says, with what ends its turn."""
    as_text: tuple[Span, ...] = ()
    """What reads like a control token and is none."""
    end: str = ""
    """The control token that ends the assistant's last turn."""


def template_source(name: str | None, tokenizer: Any, base: str) -> tuple[str, str]:
    """(what it is called, source) of a template.

    Args:
        name: `chatml` or another that Onggi ships, or a Jinja file; None is the tokenizer's own.
        tokenizer: of the model.
        base: where relative paths start.

    Raises:
        RequestError: there is none.
    """
    shipped = ", ".join(f"`{known}`" for known in SHIPPED)
    if name is None:
        if not tokenizer.chat_template:
            raise RequestError(f"template: the model has no chat template; name one: {shipped}, or a Jinja file")
        return "the model's own chat template", tokenizer.get_chat_template()
    path = FOLDER / f"{name}.jinja" if name in SHIPPED else Path(resolve(name, base))
    try:
        return f"template {name}", path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise RequestError(f"template: {path}: {said}; expected {shipped}, or a Jinja file") from error


def control_tokens_of(source: str) -> list[str]:
    """The control tokens that a template writes, as far as they can be told from its text, in the text's order.

    Raises:
        TemplateError: it is no Jinja.
    """
    found = set(CONTROL_TOKEN.findall(_literals(_cached_compile_jinja_template(source).environment, source)))
    return sorted(found, key=lambda token: (source.find(token), token))


def _literals(environment: Environment, source: str) -> str:
    """What a template writes as it stands in it: its text and its constants, comments left out."""
    tree = environment.parse(source)
    texts = [node.data for node in tree.find_all(nodes.TemplateData)]
    texts += [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    return "\0".join(texts)


class Template:
    """A chat template with the tokenizer that it is for."""

    def __init__(self, name: str, source: str, tokenizer: Any) -> None:
        """Compile it.

        Raises:
            RequestError: it is no Jinja.
        """
        self.name, self.source = name, source
        try:
            self._compiled = _cached_compile_jinja_template(source)
            literals = _literals(self._compiled.environment, source)
        except TemplateError as error:
            raise RequestError(f"{name}: is no Jinja: {error}") from error
        self._compiled.environment.globals["strftime_now"] = TODAY.strftime
        self._names = dict(tokenizer.special_tokens_map)
        self.has_markers = GENERATION.search(source) is not None
        added = list(tokenizer.added_tokens_decoder.values())
        special = [token.content for token in added if token.special]
        written = [token.content for token in added if token.content in literals and not token.content.isspace()]
        self.control_tokens = tuple(dict.fromkeys([*special, *written]))
        self._of_assistants, self._of_others = _any_of(special), _any_of(self.control_tokens)

    def write(self, conversation: Conversation) -> Rendered:
        """A conversation, written out.

        Raises:
            BadRow: the template refuses it, or loses which of its text is text.
            RequestError: what the assistant says cannot be told from the rest, or does not end with a control token.
        """
        marks = self._marks(conversation)
        marked = conversation if marks is None else self._marked(conversation, *marks)
        text, learnt = self._rendered(marked) if self.has_markers else self._by_turns(marked)
        rendered = Rendered(text, learnt) if marks is None else _unmarked(text, learnt, *marks)
        if marks is not None:
            self._check_text_stays_text(conversation, rendered)
        return replace(rendered, end=self._end(rendered))

    # With markers

    def _rendered(self, conversation: Conversation) -> tuple[str, tuple[Span, ...]]:
        """(text, spans between `generation` and `endgeneration`), of the turns that are learnt from."""
        text, found = self._render(conversation.messages, conversation.tools)
        said = [message["role"] == "assistant" for message in conversation.messages]
        n_context = sum(said[: conversation.n_context])
        if n_context and len(found) != sum(said):
            raise RequestError(
                f"{self.name}: marks {len(found)} parts with {{% generation %}} where the assistant has {sum(said)} "
                "turns, so those of `prompt` cannot be told from those of `completion`; mark one part for each turn"
            )
        return text, tuple(found[n_context:])

    def _render(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], asks: bool = False
    ) -> tuple[str, list[Span]]:
        try:
            text, spans = _render_with_assistant_indices(
                compiled_template=self._compiled,
                messages=_ALIASED(list(messages)),
                tools=list(tools) or None,
                documents=None,
                add_generation_prompt=asks,
                **self._names,
            )
        except ERRORS as error:
            raise BadRow("template_refuses", f"{self.name}: {error}") from error
        return text, [(start, end) for start, end in spans if end > start]

    # Without markers

    def _by_turns(self, conversation: Conversation) -> tuple[str, tuple[Span, ...]]:
        """(text, what each turn of the assistant adds to what asks for it, up to the last control token)."""
        messages, tools = conversation.messages, conversation.tools
        text, _ = self._render(messages, tools)
        spans = list[Span]()
        for number in range(conversation.n_context, len(messages)):
            if messages[number]["role"] != "assistant":
                continue
            asked, _ = self._render(messages[:number], tools, asks=True)
            answered, _ = self._render(messages[: number + 1], tools)
            end = self._last_control_token(answered, len(asked))
            if not answered.startswith(asked) or end is None or text[:end] != answered[:end]:
                raise RequestError(self._cannot_tell(number))
            spans.append((len(asked), end))
        return text, tuple(spans)

    def _last_control_token(self, text: str, start: int) -> int | None:
        """Where the last control token after a place ends."""
        found = [match.end() for match in self._of_others.finditer(text, start)]
        return found[-1] if found else None

    def _cannot_tell(self, number: int) -> str:
        known = " or ".join(f"`{name}`" for name in SHIPPED)
        return (
            f"{self.name}: turn {number + 1} is written otherwise where other turns follow it, or ends with no "
            "control token, so which tokens are the assistant's cannot be told. In a copy of it (`template: FILE`), "
            "put {% generation %} and {% endgeneration %} around what the assistant says and what ends its turn; or "
            f"take {known}"
        )

    # What reads like a control token

    def _marks(self, conversation: Conversation) -> tuple[str, str] | None:
        """Two characters that the conversation does not have; None where nothing reads like a control token."""
        texts = list(_texts([*conversation.messages, *conversation.tools]))
        if not any(self._of_others.search(text) for text in texts):
            return None
        there = set[str]().union(*texts)
        free = (character for character in PRIVATE if character not in there)
        return next(free), next(free)

    def _marked(self, conversation: Conversation, before: str, after: str) -> Conversation:
        return self._replaced(conversation, f"{before}\\g<0>{after}")

    def _replaced(self, conversation: Conversation, by: str) -> Conversation:
        """With something else in place of what reads like a control token; of assistants only of special tokens, as
        others (`<think>`, `<tool_call>`) are theirs to say."""
        messages = [
            _replace(message, self._of_assistants if message["role"] == "assistant" else self._of_others, by)
            for message in conversation.messages
        ]
        tools = _replace(list(conversation.tools), self._of_others, by)
        return Conversation(tuple(messages), tuple(tools), conversation.n_context)

    def _check_text_stays_text(self, conversation: Conversation, rendered: Rendered) -> None:
        """Count control tokens in a rendering of the same turns without any text that reads like one."""
        bare = self._replaced(conversation, "x")
        own, _ = self._render(bare.messages, bare.tools)
        others = [part for part, is_text in parts_of(rendered.text, rendered.as_text) if not is_text]
        if sum(len(self._of_others.findall(part)) for part in others) != len(self._of_others.findall(own)):
            raise BadRow("control_tokens", f"{self.name}: text that reads like a control token would become one")

    def _end(self, rendered: Rendered) -> str:
        """The control token at the end of the last turn that is learnt; each of them has to end with one."""
        end = ""
        for start, until in rendered.learnt:
            said = rendered.text[start:until].rstrip()
            end = max((token for token in self.control_tokens if said.endswith(token)), key=len, default="")
            if not end or any(first < start + len(said) <= last for first, last in rendered.as_text):
                raise RequestError(
                    f"{self.name}: a turn of the assistant ends with {said[-20:]!r}, which is no control token, so "
                    "the model would not learn where to stop; put what ends the turn before {% endgeneration %}"
                )
        return end


def parts_of(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, bool]]:
    """A text in parts: (what lies outside of all spans, False) and (what is in one, True), none of them empty."""
    at = 0
    for start, end in spans:
        if start > at:
            yield text[at:start], False
        if end > start:
            yield text[start:end], True
        at = end
    if at < len(text):
        yield text[at:], False


def _any_of(tokens: Sequence[str]) -> re.Pattern[str]:
    """Any of these, the longest first; nothing where there are none."""
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)")


def _texts(value: Any) -> Iterator[str]:
    """All texts in something that JSON can say, keys of mappings included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from (key, *_texts(one))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _replace(value: Any, pattern: re.Pattern[str], by: str) -> Any:
    """The same with another text for each match."""
    if isinstance(value, str):
        return pattern.sub(by, value)
    if isinstance(value, Mapping):
        return {_replace(key, pattern, by): _replace(one, pattern, by) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(one, pattern, by) for one in value]
    return value


def _unmarked(text: str, learnt: Sequence[Span], before: str, after: str) -> Rendered:
    """A rendering without the marks; what stood between two of them is text."""
    n_marks_before = [0]
    for character in text:
        n_marks_before.append(n_marks_before[-1] + (character in (before, after)))
    found = re.finditer(f"{before}([^{before}{after}]*){after}", text)
    as_text = [(at.start(1) - n_marks_before[at.start(1)], at.end(1) - n_marks_before[at.end(1)]) for at in found]
    moved = [(start - n_marks_before[start], end - n_marks_before[end]) for start, end in learnt]
    return Rendered(text.replace(before, "").replace(after, ""), tuple(moved), tuple(as_text))
