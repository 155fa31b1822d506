"""Pairs of answers of which one is preferred, read, checked and turned into token ids.

A row has `chosen` and `rejected`, and the `prompt` that both answer; without one, both are whole conversations with a
common beginning. TRL cuts pairs that are too long, and trains on pairs of equal answers; here they are left out, and
counted. What is held out is whole prompts: no answer to one of them is trained on.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import xxhash
from numpy.typing import NDArray

from manifests.errors import RequestError
from manifests.schema_training_preferences import PairData
from training.chat.messages import messages_of, prompt_of, says_something, tools_of
from training.chat.rendering import Answer, Message, Prompt, as_messages, ids_of, rendered, rendered_prompt
from training.chat.rows import BadRow, Left, Row, content_hash, parsed, source_of

COLUMNS = ("prompt", "chosen", "rejected", "tools")
PAIRS_AT_ONCE = 512
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Pair:
    """A prompt and two answers to it."""

    prompt: Prompt
    chosen: Answer
    rejected: Answer
    tools: tuple[Any, ...]
    margin: float
    """By how much the chosen one is better, in units of reward; 0 where nobody asked."""
    domain: str
    place: str
    """File and row."""


@dataclass(frozen=True)
class PairIds:
    """The same as token ids: prompt and answer one after the other are what the model reads."""

    prompt: I32
    chosen: I32
    rejected: I32
    margin: float
    domain: str
    prompt_hash: int

    @property
    def n_tokens(self) -> int:
        """Of both sequences together."""
        return 2 * len(self.prompt) + len(self.chosen) + len(self.rejected)


@dataclass
class PairSet:
    """What is trained on, and what is held out."""

    trained: list[PairIds]
    held_out: list[PairIds]
    n_shortened_prompts: int = 0
    """Pairs whose prompt, rendered alone, ends in other tokens than before its answers; the answers have those."""


def read_pairs(
    data: Sequence[PairData],
    base: str,
    tokenizer: Any,
    left: Left,
    *,
    max_length: int,
    held_out: float = 0.0,
    seed: int = 0,
    margin: bool = False,
) -> PairSet:
    """All pairs of a manifest, as token ids, in the order of the files.

    Args:
        data: entries of the manifest.
        base: where relative paths start.
        tokenizer: of the model; its chat template renders messages.
        left: rows that are left out are counted here.
        max_length: most tokens of a prompt with its answer.
        held_out: share of each domain's pairs that is not trained on.
        seed: of which those are.
        margin: whether rows must have `margin`.

    Raises:
        RequestError: there is no file, no row of one is any good, or nothing is left to train on.
        RunError: a line is no JSON object.
    """
    found = PairSet([], [])
    for number, entry in enumerate(data):
        pairs = _read(entry, base, f"data[{number}]", left, margin)
        for some in _some_at_once(pairs, PAIRS_AT_ONCE):
            found.trained += _tokenised(some, tokenizer, max_length, left, found)
    if not found.trained:
        faults = "; ".join(left.examples.values()) or "the files are empty"
        raise RequestError(f"data: no pair is left to train on: {faults}")
    found.trained, found.held_out = split(found.trained, held_out, seed)
    if not found.trained:
        raise RequestError(f"held_out: {held_out} leaves no pair to train on: prompts are held out whole")
    return found


def _read(entry: PairData, base: str, at: str, left: Left, margin: bool) -> Iterable[Pair]:
    source = source_of(entry.path, base, at, where=entry.where, limit=entry.limit, table="preference")
    columns = (*COLUMNS, "margin") if margin else COLUMNS

    def parse(row: Row) -> Pair:
        return _pair(row, entry.domain, margin)

    return (pair for _, pair in parsed(source, columns, parse, left))


def _some_at_once(pairs: Iterable[Pair], count: int) -> Iterable[list[Pair]]:
    some: list[Pair] = []
    for pair in pairs:
        some.append(pair)
        if len(some) == count:
            yield some
            some = []
    if some:
        yield some


# A row


def _pair(row: Row, domain: str, margin: bool) -> Pair:
    values = row.values
    chosen, rejected = (_answer(values[name], name) for name in ("chosen", "rejected"))
    prompt: Prompt
    if values["prompt"] is None:
        prompt, chosen, rejected = _common_beginning(chosen, rejected)
    else:
        prompt = prompt_of(values["prompt"])
        chosen, rejected = (_behind(prompt, one, name) for one, name in ((chosen, "chosen"), (rejected, "rejected")))
    for name, answer in (("chosen", chosen), ("rejected", rejected)):
        if not says_something(answer):
            raise BadRow("empty_answer", f"`{name}`: is empty")
        if not isinstance(answer, str) and (answer[0]["role"], answer[-1]["role"]) != ("assistant", "assistant"):
            roles = ", ".join(message["role"] for message in answer)
            raise BadRow("bad_answer", f"`{name}`: found the roles {roles}; expected the assistant's, first and last")
    if as_messages(chosen, "assistant") == as_messages(rejected, "assistant"):
        raise BadRow("equal_answers", "`chosen` and `rejected` are equal")
    return Pair(
        prompt, chosen, rejected, tools_of(values["tools"]), _margin(row) if margin else 0.0, domain, row.place
    )


def _answer(value: Any, field: str) -> Answer:
    return value if isinstance(value, str) else messages_of(value, field)


def _common_beginning(chosen: Answer, rejected: Answer) -> tuple[list[Message], list[Message], list[Message]]:
    """The prompt that two conversations begin with, and what follows it in each."""
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise BadRow("no_prompt", "`prompt`: is missing; only conversations may hold it in `chosen` and `rejected`")
    same = takewhile(lambda both: both[0] == both[1], zip(chosen, rejected, strict=False))
    n_common = len(list(same))
    if n_common == len(chosen) == len(rejected):
        raise BadRow("equal_answers", "`chosen` and `rejected` are equal")
    if not n_common or chosen[n_common - 1]["role"] == "assistant":
        raise BadRow("no_prompt", "`prompt`: is missing, and `chosen` and `rejected` begin with no common prompt")
    return list(chosen[:n_common]), list(chosen[n_common:]), list(rejected[n_common:])


def _behind(prompt: Prompt, answer: Answer, field: str) -> Answer:
    """An answer without the prompt, where it is a whole conversation."""
    if isinstance(answer, str) or answer[0]["role"] == "assistant":
        return answer
    asked = as_messages(prompt, "user")
    if list(answer[: len(asked)]) != asked:
        raise BadRow("bad_answer", f"`{field}`: begins with another prompt than `prompt`")
    return answer[len(asked) :] or ""


def _margin(row: Row) -> float:
    value = row.values["margin"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise BadRow("bad_margin", f"`margin`: found {value!r}; expected a number")
    return float(value)


# Token ids


def _tokenised(
    pairs: Sequence[Pair], tokenizer: Any, max_length: int, left: Left, found: PairSet
) -> Iterable[PairIds]:
    kept, texts = list[Pair](), list[str]()
    for pair in pairs:
        try:
            texts += _texts(tokenizer, pair)
        except RequestError as error:
            left.count("template", example=f"{pair.place}: {error}")
            continue
        kept.append(pair)
    ids = ids_of(tokenizer, texts)
    for pair, three in zip(kept, zip(ids[::3], ids[1::3], ids[2::3], strict=True), strict=True):
        prompt, *answered = three
        if fault := _unfit(answered, max_length):
            left.count(fault[0], example=f"{pair.place}: {fault[1]}")
            continue
        n_prompt = min(_n_common(prompt, one) for one in answered)
        n_prompt = min(n_prompt, *(len(one) - 1 for one in answered))
        found.n_shortened_prompts += n_prompt < len(prompt)
        chosen, rejected = (np.array(one, np.int32) for one in answered)
        yield PairIds(
            prompt=chosen[:n_prompt],
            chosen=chosen[n_prompt:],
            rejected=rejected[n_prompt:],
            margin=pair.margin,
            domain=pair.domain,
            prompt_hash=content_hash(pair.prompt),
        )


def _texts(tokenizer: Any, pair: Pair) -> list[str]:
    return [
        rendered_prompt(tokenizer, pair.prompt, pair.tools),
        rendered(tokenizer, pair.prompt, pair.chosen, pair.tools),
        rendered(tokenizer, pair.prompt, pair.rejected, pair.tools),
    ]


def _unfit(answered: Sequence[Sequence[int]], max_length: int) -> tuple[str, str] | None:
    """Why tokens cannot be trained on, in a word and in a sentence."""
    if (longest := max(map(len, answered))) > max_length:
        return "too_long", f"{longest:,} tokens, and `max_length` is {max_length:,}"
    if answered[0] == answered[1]:
        return "equal_answers", "`chosen` and `rejected` are equal as tokens"
    return None


def _n_common(first: Sequence[int], second: Sequence[int]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


# What is held out


class Asked(Protocol):
    """What answers a prompt."""

    @property
    def prompt_hash(self) -> int:
        """Of the prompt's content."""

    @property
    def domain(self) -> str:
        """What it counts as."""


AskedT = TypeVar("AskedT", bound=Asked)


def split(pairs: Sequence[AskedT], share: float, seed: int) -> tuple[list[AskedT], list[AskedT]]:
    """Pairs that are trained on, and those that are held out: of each domain at least that share, by whole prompts.

    Which prompts those are depends on the seed and on the prompts themselves, not on their order. One prompt of a
    domain at least is not chosen for it.
    """
    held: set[int] = set()
    for domain in dict.fromkeys(pair.domain for pair in pairs) if share else ():
        counts = Counter(pair.prompt_hash for pair in pairs if pair.domain == domain)
        n_held = sum(counts[prompt] for prompt in held)
        for prompt in sorted(counts, key=lambda one: xxhash.xxh3_64_intdigest(f"{seed} {one}".encode()))[:-1]:
            if n_held >= share * counts.total():
                break
            if prompt not in held:
                held.add(prompt)
                n_held += counts[prompt]
    return (
        [pair for pair in pairs if pair.prompt_hash not in held],
        [pair for pair in pairs if pair.prompt_hash in held],
    )


def columns_of(pairs: Sequence[PairIds]) -> dict[str, list[Any]]:
    """The pairs as TRL's trainer of DPO takes them: `prompt_ids`, `chosen_ids`, `rejected_ids`."""
    return cast(
        dict[str, list[Any]],
        {f"{name}_ids": [getattr(pair, name) for pair in pairs] for name in ("prompt", "chosen", "rejected")},
    )
