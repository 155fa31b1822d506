"""Magpie (Xu et al. 2024): a model that has learnt to chat writes what users ask, where their words would stand.

It is given its own chat template up to the place where the user's words begin, as raw text, and goes on with it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import orjson
import xxhash

from manifests.errors import RequestError
from manifests.schema_synthesis import Magpie as Settings
from manifests.store import resolve
from synth.prompts import Prompt
from synth.samples import Ask, Item, Message, Sample
from synth.tasks.chat import chat_prompt
from synth.tasks.chat_template import ChatTemplate, Turn
from synth.tasks.instructions import unfit_instruction
from synth.tasks.task import ATTEMPTS_MAX, Setting, Steps, Task, UnfitError, draw, rejected, text_of
from synth.teacher import request_of

_TEMPLATE_TOKEN = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?s>|<(?:start|end)_of_turn>|\[/?(?:INST|SYS)\]|<</?SYS>>")
_ABOUT_USERS = re.compile(r"(?:the user|users)\b|사용자(?:가|는|들은|께서는)", re.IGNORECASE)
"""How what small models say of users begins, in place of what users say."""
_AS_IT_IS = {"skip_special_tokens": False, "add_special_tokens": False}
"""For vLLM: tokens of the template are seen, so that they end a turn, and none is put before it a second time."""


class Magpie(Task):
    """An item is an instruction that is to be written, and answered."""

    def __init__(self, setting: Setting) -> None:
        """Raises RequestError: the tokenizer has no chat template that fits, or system prompts have no place."""
        super().__init__(setting)
        if self.settings.template is not None and self.settings.system:
            raise RequestError("task.system: `template` has no place for it; name `tokenizer`")
        self._systems = {language: self._systems_in(language) for language in ("ko", "en")}
        self._turns = self._read_turns()

    @property
    def settings(self) -> Settings:
        """Of the manifest."""
        task = self.setting.manifest.task
        assert isinstance(task, Settings)
        return task

    def _systems_in(self, language: str) -> list[str]:
        own = {key: texts for key, texts in self.settings.system.items() if texts}
        if language in own:
            return own[language]
        said = self.setting.prompts("magpie/systems", language).messages[-1][1]
        return [text.strip() for text in re.split(r"\n\s*\n", said)]

    def _read_turns(self) -> dict[str, Turn]:
        """The user's turn under each system prompt."""
        given, end = self.settings.template, "".join(self.settings.stop[:1])
        if given is not None:
            return {text: Turn(given, end) for texts in self._systems.values() for text in texts}
        template = ChatTemplate(resolve(self.settings.tokenizer or "", self.setting.base))
        languages = [self.settings.language] if self.settings.language else self.settings.languages
        turns = {text: template.turn(text) for language in languages for text in self._systems[language]}
        if not self.settings.stop and not all(turn.end for turn in turns.values()):
            raise RequestError("task.stop: the chat template does not say what ends a user's turn; name it here")
        return turns

    def items(self, seeds: Iterable[Item]) -> Iterator[Item]:
        """As many as the manifest counts, of its languages in turn."""
        languages = [self.settings.language] if self.settings.language else self.settings.languages
        for number in range(self.settings.count):
            name = f"{draw(self.setting.manifest.seed, 'magpie', number):016x}"
            yield Item(name, "", languages[number % len(languages)], number=number)

    def run(self, item: Item) -> Steps[list[Sample]]:
        """One sample.

        Raises UnfitError: the answer cannot be had.
        """
        language = self.language(item)
        ask = self._ask_for_instruction(item, language)
        (said,) = yield [ask]
        try:
            instruction = _cleaned(text_of(said), language)
        except UnfitError as error:
            return [rejected(item, language, "task", error.reason, error.detail, made_by=(ask,))]
        item = replace(item, text=instruction)
        prompt = chat_prompt(self.setting.prompts, language, [Message("user", instruction)])
        answer = yield from self.one(prompt, text_of)
        conversation = (Message("user", instruction),), (Message("assistant", answer.value),)
        return [Sample(item, "messages", language, *conversation, made_by=(answer.ask, ask))]

    def _ask_for_instruction(self, item: Item, language: str) -> Ask:
        """A raw prompt, drawn with a seed of the item's own; never greedily, for all would ask the same."""
        turn, prompt = self._turn(item, language)
        attempt = (item.number + 1) * ATTEMPTS_MAX
        chat = request_of([("user", turn.before)], self.setting.sampling("teacher"), None, attempt)
        stop = self.settings.stop or ([turn.end] if turn.end else [])
        fields = orjson.loads(chat.sampling) | _AS_IT_IS | ({"stop": stop} if stop else {})
        sampling = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()
        return Ask("teacher", replace(chat, sampling=sampling, kind="text"), prompt.template, prompt.digest)

    def _turn(self, item: Item, language: str) -> tuple[Turn, Prompt]:
        systems = self._systems[language]
        n_languages = 1 if self.settings.language else len(self.settings.languages)
        turn = self._turns[systems[item.number // n_languages % len(systems)]]
        digest = xxhash.xxh3_64_hexdigest(turn.before.encode())
        return turn, Prompt((("user", turn.before),), "magpie/template", digest)


def _cleaned(text: str, language: str) -> str:
    """An instruction.

    Raises UnfitError: it holds tokens of a template, speaks of users as others do, is too short or too long, or in
    another language.
    """
    if token := _TEMPLATE_TOKEN.search(text):
        raise UnfitError("template_tokens", f"{token[0]}: {text}")
    if _ABOUT_USERS.match(text):
        raise UnfitError("about_users", text)
    if why := unfit_instruction(text, language):
        raise UnfitError(*why)
    return text
