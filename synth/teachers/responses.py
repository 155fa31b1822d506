"""What servers send, read as answers: nothing is taken for an answer that is not what was asked for."""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from manifests.errors import RequestError
from synth.teachers.answers import Answer, Request
from synth.teachers.tokens import Tokens

SHOWN_CHARS = 200

_DATED = re.compile(r"[-@:](\d{4}-\d\d-\d\d|\d{8}|\d{4})")
"""What comes after a model's name in the name of its version, as in gpt-4o-2024-08-06."""

_TOKEN_ID = re.compile(r"token_id:(\d+)")

MISSING = (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError)


class MalformedError(Exception):
    """What came is no answer, and another try may bring one."""


def parsed(content: bytes) -> dict[str, Any]:
    """The JSON object in a response.

    Raises:
        MalformedError: it is none.
    """
    try:
        value = orjson.loads(content)
    except ValueError as error:
        raise MalformedError(f"is no JSON ({error}): {content[:SHOWN_CHARS].decode('utf-8', 'replace')}") from error
    if not isinstance(value, dict):
        raise MalformedError(f"is no JSON object: {content[:SHOWN_CHARS].decode('utf-8', 'replace')}")
    return value


def is_of_model(answered: Any, asked: str) -> bool:
    """Whether a model's name in a response is the one that was asked for, or the dated version that it stands for.

    None, where a server does not say, contradicts nothing.
    """
    if answered is None or answered == asked:
        return True
    return isinstance(answered, str) and answered.startswith(asked) and bool(_DATED.fullmatch(answered[len(asked) :]))


def aliases(models: dict[str, Any], asked: str) -> set[str]:
    """Further names of a model that was asked for, by the server's list of models: those with the same weights."""
    entries = [entry for entry in models.get("data") or [] if isinstance(entry, dict)]
    roots = {entry.get("root") for entry in entries if entry.get("id") == asked} - {None, ""}
    return {str(entry.get("id")) for entry in entries if entry.get("root") in roots} | {str(root) for root in roots}


def answer_of(request: Request, value: dict[str, Any], tokenizer: str | None, top: int) -> Answer:
    """The answer in a response.

    Args:
        request: what was asked.
        value: the response.
        tokenizer: its digest, where tokens were asked for.
        top: how many of the likeliest tokens were asked for.

    Raises:
        MalformedError: it has not the form of an answer.
        RequestError: tokens were asked for and did not come, or a model that scores gives several scores.
    """
    try:
        if request.kind == "reward":
            return _scored(value)
        choice, usage = value["choices"][0], value.get("usage") or {}
        message = {"content": choice["text"]} if request.kind == "text" else choice["message"]
        reasoning = message.get("reasoning") or message.get("reasoning_content")
        return Answer(
            text=_text(message.get("content")),
            finish_reason=choice.get("finish_reason") or "",
            refusal=message.get("refusal") or None,
            reasoning=reasoning or None,
            n_prompt_tokens=int(usage.get("prompt_tokens") or 0),
            n_output_tokens=int(usage.get("completion_tokens") or 0),
            tokens=_tokens(request, value, choice, tokenizer, top) if tokenizer else None,
        )
    except MISSING as error:
        raise MalformedError(f"has not the form of an answer ({error!r})") from error


def _text(content: Any) -> str:
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}")
    return content or ""


def _scored(value: dict[str, Any]) -> Answer:
    """What vLLM's /classify says of one text."""
    (entry,) = value["data"]
    probs, usage = entry["probs"], value.get("usage") or {}
    if len(probs) != 1:
        raise RequestError(
            f"the reward model gives {len(probs)} scores and not one: it is a classifier of {len(probs)} classes"
        )
    return Answer("", "stop", n_prompt_tokens=int(usage.get("prompt_tokens") or 0), score=float(probs[0]))


def _tokens(request: Request, value: dict[str, Any], choice: dict[str, Any], tokenizer: str, top: int) -> Tokens:
    import numpy as np

    from synth.teachers.token_arrays import TokenArrays, pack

    prompt_ids: Any = choice.get("prompt_token_ids") if request.kind == "text" else value.get("prompt_token_ids")
    output_ids: Any = choice.get("token_ids")
    found: Any = choice.get("logprobs")
    wanted = {"prompt_token_ids": prompt_ids, "token_ids": output_ids, "logprobs": found}
    if missing := [name for name, there in wanted.items() if there is None]:
        raise _ignored(f"the answer has no {', '.join(missing)}")
    steps = _text_steps(found) if request.kind == "text" else _chat_steps(found)
    if [token for token, _, _ in steps] != output_ids:
        raise _ignored(f"it has logprobs of {len(steps)} tokens, which are not its {len(output_ids)} token_ids")
    tops = [sorted(likeliest, key=lambda pair: (-pair[1], pair[0]))[:top] for _, _, likeliest in steps]
    if few := [len(some) for some in tops if len(some) < top]:
        raise _ignored(f"it has {few[0]} of {top} top_logprobs")
    shape = (len(steps), top)
    arrays = TokenArrays(
        np.array(prompt_ids, "<i4"),
        np.array(output_ids, "<i4"),
        np.array([logprob for _, logprob, _ in steps], "<f4"),
        np.array([[token for token, _ in some] for some in tops], "<i4").reshape(shape),
        np.array([[logprob for _, logprob in some] for some in tops], "<f4").reshape(shape),
    )
    return pack(arrays, tokenizer)


Step = tuple[int, float, Sequence[tuple[int, float]]]
"""A token, its logprob, and the likeliest tokens with theirs."""


def _chat_steps(found: dict[str, Any]) -> list[Step]:
    return [
        (
            _token_id(step["token"]),
            float(step["logprob"]),
            [(_token_id(other["token"]), float(other["logprob"])) for other in step.get("top_logprobs") or []],
        )
        for step in found["content"] or []
    ]


def _text_steps(found: dict[str, Any]) -> list[Step]:
    return [
        (
            _token_id(token),
            float(logprob),
            [(_token_id(name), float(other)) for name, other in (likeliest or {}).items()],
        )
        for token, logprob, likeliest in zip(
            found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True
        )
    ]


def _token_id(token: str) -> int:
    found = _TOKEN_ID.fullmatch(token)
    if not found:
        raise _ignored(f"a token is {token!r} and not its id (return_tokens_as_token_ids)")
    return int(found[1])


def _ignored(what: str) -> RequestError:
    return RequestError(
        f"teacher.logprobs: the server answers and ignores what was asked for: {what}; vLLM's server gives it, or "
        "leave logprobs out"
    )
