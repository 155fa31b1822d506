"""Conversations of several turns that begin with a seed: the teacher answers, and plays the user, too."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from manifests.schema_synthesis import MultiTurn as Options
from synth.samples import Ask, Item, Message, Rejection, Sample
from synth.tasks.chat import chat_prompt, opening
from synth.tasks.grams import squeezed
from synth.tasks.task import Read, Setting, Steps, Task, UnfitError, draw, text_of
from synth.tasks.user_turns import user_turn
from synth.teachers.answers import Answer

FOLLOW_UPS = ("deeper", "correction", "example", "format", "related")
"""What a user does next: asks for more, has something mended, wants an example or another form, or goes on to what is
close by."""


@dataclass
class Conversation:
    """As far as it has come: the user's turns, each with its answer."""

    item: Item
    language: str
    messages: list[Message] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    follow_ups: list[str] = field(default_factory=list)

    @property
    def n_turns(self) -> int:
        """Of the user."""
        return len(self.messages) // 2


class MultiTurn(Task):
    """See `manifests.schema_synthesis.MultiTurn`."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        assert isinstance(setting.manifest.task, Options)
        self.options = setting.manifest.task

    def run(self, item: Item) -> Steps[list[Sample]]:
        """One conversation.

        A turn that is no good ends it; it is kept where it is long enough by then.
        """
        fewest, most = self.options.turns
        n_wanted = fewest + self._draw(item, "turns") % (most - fewest + 1)
        order = sorted(FOLLOW_UPS, key=lambda kind: self._draw(item, kind))
        so_far = Conversation(item, self.language(item))
        ended: Rejection | None = None
        while so_far.n_turns < n_wanted and ended is None:
            ended = yield from self._turn(so_far, order[(so_far.n_turns - 1) % len(order)])
        return [self._sample(so_far, ended)]

    def _turn(self, so_far: Conversation, follow_up: str) -> Steps[Rejection | None]:
        """Adds a turn of the user and its answer, or says why there is none."""
        stage, asks = "user_turn", []
        try:
            user = opening(so_far.item)
            if so_far.messages:
                read = yield from self._user(so_far, follow_up)
                user = Message("user", read.value)
                asks.append(read.ask)
            stage = "answer"
            answer = yield from self._answer(so_far, user)
        except UnfitError as error:
            return Rejection(stage, error.reason, so_far.n_turns, self.options.turns[0], error.detail)
        if so_far.messages:
            so_far.follow_ups.append(follow_up)
        so_far.messages += [user, Message("assistant", answer.value)]
        so_far.asks[:0] = [answer.ask, *asks]
        return None

    def _user(self, so_far: Conversation, follow_up: str) -> Steps[Read[str]]:
        turns = [(message.role, message.content) for message in so_far.messages]
        prompt = self.setting.prompts("multi_turn/user", so_far.language, turns=turns, follow_up=follow_up)
        return (yield from self.one(prompt, lambda said: user_turn(said, so_far.messages, so_far.language)))

    def _answer(self, so_far: Conversation, user: Message) -> Steps[Read[str]]:
        messages = [*so_far.messages, user]
        prompt = chat_prompt(self.setting.prompts, so_far.language, messages)
        return (yield from self.one(prompt, lambda said: _new_answer(said, messages)))

    def _sample(self, so_far: Conversation, ended: Rejection | None) -> Sample:
        messages = so_far.messages or [opening(so_far.item)]
        n_before = len(messages) - 1 if so_far.messages else 1
        tags = {"follow_ups": ",".join(so_far.follow_ups), "ended": ended.reason if ended else "as_drawn"}
        return Sample(
            so_far.item,
            "messages",
            so_far.language,
            prompt=tuple(messages[:n_before]),
            answer=tuple(messages[n_before:]),
            variety=f"{so_far.n_turns}_turns",
            made_by=tuple(so_far.asks),
            numbers={"n_turns": float(so_far.n_turns)},
            tags=tags,
            rejection=ended if so_far.n_turns < self.options.turns[0] else None,
        )

    def _draw(self, item: Item, *parts: object) -> int:
        return draw(self.setting.manifest.seed, "multi_turn", item.id, *parts)


def _new_answer(answer: Answer, messages: Sequence[Message]) -> str:
    text = text_of(answer)
    if any(message.role == "assistant" and squeezed(message.content) == squeezed(text) for message in messages):
        raise UnfitError("repeats", text)
    return text
