"""What all tasks share: how a seed becomes samples by asking, and how answers are read, whatever they are.

A task is a coroutine per seed: it yields what it asks, is resumed with the answers, and returns samples. It keeps
nothing between seeds, so a run that was killed goes on by running it again over the answers that are kept.
"""

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
import xxhash

from manifests.schema_synthesis import SynthesisManifest
from manifests.schema_teacher import Sampling
from synth.final_answers.json_answers import find
from synth.final_answers.json_schema_check import misfit
from synth.final_answers.math_workers import MathWorkers
from synth.prompts import Prompt, Prompts
from synth.samples import Ask, Item, Rejection, Role, Sample
from synth.sandboxes.sandbox import Sandbox
from synth.teacher import request_of
from synth.teachers.answers import Answer

T = TypeVar("T")
Steps = Generator[Sequence[Ask], Sequence[Answer], T]
"""Yields questions that may be asked at once, gets their answers in order, and returns. Where a question has no
answer, because the server is gone, the coroutine is closed, the seed rejected as `no_answer`."""

ATTEMPTS_MAX = 20
DETAIL_CHARS = 200
REFUSED_REQUEST = "refused_request"
"""How an answer ended where there is none, since the server will not have the request, and `refusal` says why."""


class UnfitError(Exception):
    """An answer has not the form that was asked for."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        """`cut`, `refused`, `refused_request`, `empty`, `not_json`, `schema`, or one of the task's own."""
        self.detail = detail[:DETAIL_CHARS]


@dataclass(frozen=True)
class Read(Generic[T]):
    """An answer that was read, and what was asked for it."""

    value: T
    ask: Ask
    answer: Answer


@dataclass(frozen=True)
class Setting:
    """What the tasks of a run work with."""

    manifest: SynthesisManifest
    base: str
    """Where relative paths of the manifest start."""
    prompts: Prompts
    math: MathWorkers
    sandbox: Callable[[], Sandbox]
    """Chosen when code is run first.

    Raises RequestError: none works here, and the manifest does not say `sandbox: unsafe`.
    """
    seeds: Sequence[Item] = ()
    """All seeds, for tasks whose `needs_all_seeds` is true."""

    def sampling(self, role: Role) -> Sampling:
        """How a role draws its answers."""
        manifest = self.manifest
        if role == "judge":
            return manifest.judge.sampling if manifest.judge else manifest.judge_sampling
        return manifest.teacher.sampling if role == "teacher" or manifest.reward is None else manifest.reward.sampling


class Task(ABC):
    """A task of a manifest."""

    needs_all_seeds = False
    """Whether `setting.seeds` is filled: what shows several seeds in a prompt."""

    def __init__(self, setting: Setting) -> None:
        """Raises RequestError: something that the task needs is not there."""
        self.setting = setting

    def items(self, seeds: Iterable[Item]) -> Iterator[Item]:
        """What is worked on: the seeds, parts of them, or items of the task's own."""
        yield from seeds

    @abstractmethod
    def run(self, item: Item) -> Steps[list[Sample]]:
        """The samples of an item, kept and rejected.

        Raises UnfitError: an answer that all else stands on cannot be had; the item is rejected with its reason.
        """

    # To ask.

    def language(self, item: Item) -> str:
        """What is written in: as the manifest says, else as the item is, else English."""
        return self.setting.manifest.task.language or ("ko" if item.language == "ko" else "en")

    def ask(
        self,
        prompt: Prompt,
        *,
        role: Role = "teacher",
        schema: dict[str, Any] | None = None,
        number: int = 0,
        attempt: int = 0,
        sampling: Sampling | None = None,
    ) -> Ask:
        """A question.

        Args:
            prompt: what is asked.
            role: whom.
            schema: JSON Schema of the answer.
            number: tells apart several samples of the same prompt; each has a seed of its own.
            attempt: tells apart tries at the same sample.
            sampling: instead of that of the role.
        """
        drawn = sampling or self.setting.sampling(role)
        request = request_of(prompt.messages, drawn, schema, number * ATTEMPTS_MAX + attempt)
        return Ask(role, request, prompt.template, prompt.digest)

    def one(self, prompt: Prompt, read: Callable[[Answer], T], **how: Any) -> Steps[Read[T]]:
        """Ask until an answer can be read; see `each`.

        Raises UnfitError: none can.
        """
        (found,) = yield from self.each([prompt], read, **how)
        if isinstance(found, UnfitError):
            raise found
        return found

    def each(
        self,
        prompts: Sequence[Prompt],
        read: Callable[[Answer], T],
        *,
        role: Role = "teacher",
        schema: dict[str, Any] | None = None,
        sampling: Sampling | None = None,
        numbers: Sequence[int] | None = None,
    ) -> Steps[list[Read[T] | UnfitError]]:
        """Ask several things at once, each again, with another seed, while its answer cannot be read.

        Args:
            prompts: what is asked; equal ones need different `numbers`.
            read: makes something of an answer, and raises UnfitError where it cannot. Use `text_of` or `json_of` in
                it: they refuse what was cut off.
            role: who is asked.
            schema: JSON Schema of the answers.
            sampling: instead of that of the role. One that was cut off gets twice the room at the next attempt.
            numbers: as in `ask`, one per prompt; 0 for all where it is not given.

        Returns:
            For each prompt what was read, or why nothing was.
        """
        drawn = sampling or self.setting.sampling(role)
        samplings, numbers = [drawn] * len(prompts), numbers or [0] * len(prompts)
        found: dict[int, Read[T] | UnfitError] = {}
        open_ = list(range(len(prompts)))
        for attempt in range(self.setting.manifest.task.attempts):
            asks = [
                self.ask(
                    prompts[place],
                    role=role,
                    schema=schema,
                    number=numbers[place],
                    attempt=attempt,
                    sampling=samplings[place],
                )
                for place in open_
            ]
            if not asks:
                break
            answers = yield asks
            still = []
            for place, ask, answer in zip(open_, asks, answers, strict=True):
                try:
                    found[place] = Read(read(answer), ask, answer)
                except UnfitError as error:
                    if error.reason == REFUSED_REQUEST:
                        found.setdefault(place, error)  # not what was cut off before, and has no more room
                        continue
                    found[place] = error
                    still.append(place)
                    if error.reason == "cut":
                        more = {"max_tokens": 2 * samplings[place].max_tokens}
                        samplings[place] = samplings[place].model_copy(update=more)
            open_ = still
        return [found[place] for place in range(len(prompts))]


def text_of(answer: Answer) -> str:
    """The text of an answer, in NFC: some models write the jamo of a syllable one by one.

    Raises UnfitError: it was cut off, refused, or is empty.
    """
    if answer.finish_reason == REFUSED_REQUEST:
        raise UnfitError(REFUSED_REQUEST, answer.refusal or "")
    if answer.refusal or answer.finish_reason == "content_filter":
        raise UnfitError("refused", answer.refusal or "content_filter")
    if answer.finish_reason != "stop":
        raise UnfitError("cut", f"ended by {answer.finish_reason or 'nothing'} after {answer.n_output_tokens} tokens")
    if not answer.text.strip():
        raise UnfitError("empty")
    return unicodedata.normalize("NFC", answer.text.strip())


def json_of(answer: Answer, schema: dict[str, Any]) -> Any:
    """The JSON of an answer, which fits its schema: servers answer 200 and ignore it.

    Raises UnfitError: see `text_of`; it is no JSON, or such as nobody else reads (half a surrogate pair, integers
    past 64 bits, numbers past a float, nesting of hundreds of levels), or does not fit.
    """
    text = text_of(answer)
    found = find(text)
    if found.text is None:
        raise UnfitError("not_json", f"{found.why}: {text}" if found.why else text)
    if not _is_portable(found.value):
        raise UnfitError("not_json", f"holds what cannot be written as JSON again: {text}")
    if wrong := misfit(schema, found.value):
        raise UnfitError("schema", wrong)
    return found.value


def _is_portable(value: Any) -> bool:
    """Whether it can be written and comes back the same: prompts, keys of answers and tables are made of it."""
    try:
        return bool(orjson.loads(orjson.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def draw(*parts: object) -> int:
    """A number from 0 to 2^64 - 1 that depends on nothing but these: chance that another run repeats."""
    return xxhash.xxh3_64_intdigest("\0".join(map(str, parts)).encode())


def rejected(item: Item, language: str, stage: str, reason: str, detail: str = "", **fields: Any) -> Sample:
    """A sample that is not one."""
    form = fields.pop("form", "messages")
    return Sample(item, form, language, rejection=Rejection(stage, reason, detail=detail[:DETAIL_CHARS]), **fields)
