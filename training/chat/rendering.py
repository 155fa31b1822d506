"""Prompts and answers as the token ids that a model reads: by its chat template, or as plain text where it has none.

Everything that shows a model a prompt or an answered prompt renders it here: preference pairs, reward models, what is
drawn. A prompt that is a text is the user's one turn, and an answer that is a text the assistant's; where the
tokenizer has no chat template, prompt and answer are read one after the other, and the end-of-sequence token last.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from manifests.errors import RequestError

Message = Mapping[str, Any]
"""`role`, `content`, and `tool_calls` or `name` where it has them."""
Prompt = str | Sequence[Message]
Answer = str | Sequence[Message]
MARK = "ㅁㅏㅂㅅㅏ"
"""What no template writes by itself."""


def as_messages(text: str | Sequence[Message], role: str) -> list[Message]:
    """Messages as they are; a text as the one message of a role."""
    return [{"role": role, "content": text}] if isinstance(text, str) else list(text)


def as_text(prompt: Prompt) -> str:
    """A prompt as people read it: its turns, with their roles where there are several."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return str(prompt[0].get("content") or "")
    return "\n\n".join(f"{message['role']}: {message.get('content') or ''}" for message in prompt)


def prompt_ids(tokenizer: Any, prompt: Prompt, tools: Sequence[Any] | None = None) -> list[int]:
    """A prompt up to where the assistant's answer begins.

    Raises:
        RequestError: the chat template refuses it, or there is none and the prompt is messages.
    """
    return ids_of(tokenizer, [rendered_prompt(tokenizer, prompt, tools)])[0]


def answered_ids(tokenizer: Any, prompt: Prompt, answer: Answer, tools: Sequence[Any] | None = None) -> list[int]:
    """A prompt and its answer, whole, as the assistant's turn ends it.

    Raises:
        RequestError: as of `prompt_ids`.
    """
    return ids_of(tokenizer, [rendered(tokenizer, prompt, answer, tools)])[0]


def ids_of(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of what was rendered; templates write the special tokens themselves."""
    if not texts:
        return []
    found: list[list[int]] = tokenizer(list(texts), add_special_tokens=tokenizer.chat_template is None)["input_ids"]
    return found


def rendered_prompt(tokenizer: Any, prompt: Prompt, tools: Sequence[Any] | None = None) -> str:
    """The text of `prompt_ids`."""
    if tokenizer.chat_template is None:
        return _plain(prompt)
    return _by_template(tokenizer, as_messages(prompt, "user"), tools, add_generation_prompt=True)


def rendered(tokenizer: Any, prompt: Prompt, answer: Answer, tools: Sequence[Any] | None = None) -> str:
    """The text of `answered_ids`."""
    if tokenizer.chat_template is None:
        text, end = _plain(prompt) + _plain(answer), tokenizer.eos_token or ""
        return text if end and text.endswith(end) else text + end
    messages = [*as_messages(prompt, "user"), *as_messages(answer, "assistant")]
    return _by_template(tokenizer, messages, tools, add_generation_prompt=False)


def _plain(text: str | Sequence[Message]) -> str:
    if not isinstance(text, str):
        raise RequestError(
            "messages need a chat template, and the tokenizer has none: begin with a stage `sft` with `template: "
            "chatml`, or give prompts and answers as texts"
        )
    return text


def _by_template(
    tokenizer: Any, messages: Sequence[Message], tools: Sequence[Any] | None, add_generation_prompt: bool
) -> str:
    try:
        return str(
            tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                tools=list(tools) if tools else None,
                add_generation_prompt=add_generation_prompt,
                tokenize=False,
            )
        )
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        roles = ", ".join(str(message.get("role")) for message in messages)
        raise RequestError(f"the chat template refuses messages of the roles {roles}: {error}") from error


def end_ids(tokenizer: Any, generation_config: Any = None) -> list[int]:
    """Tokens at which an answer ends, ascending: of the tokenizer, the generation config and the chat template."""
    of_config = getattr(generation_config, "eos_token_id", None)
    found = {tokenizer.eos_token_id, _end_of_turn(tokenizer)}
    found.update(of_config if isinstance(of_config, list | tuple) else [of_config])
    return sorted(int(one) for one in found if one is not None)


def _end_of_turn(tokenizer: Any) -> int | None:
    """The special token that the template writes behind what the assistant says, if it is one."""
    if tokenizer.chat_template is None:
        return None
    messages = [{"role": "user", "content": "."}, {"role": "assistant", "content": MARK}]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except (TemplateError, TypeError, ValueError, KeyError):
        return None
    _, mark, rest = text.rpartition(MARK)
    ids = tokenizer(rest.lstrip(), add_special_tokens=False)["input_ids"] if mark and rest.strip() else []
    is_special = ids and (ids[0] in tokenizer.all_special_ids or ids[0] in tokenizer.added_tokens_decoder)
    return int(ids[0]) if is_special else None
