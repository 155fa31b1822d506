"""Self-Instruct (Wang et al. 2023): a few instructions are shown, new ones asked for, and answered one by one."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from manifests.errors import RequestError
from manifests.schema_synthesis import SelfInstruct as Settings
from synth.samples import Ask, Item, Message, Sample
from synth.tasks.chat import chat_prompt, opening
from synth.tasks.instructions import copied_from, unfit_instruction
from synth.tasks.task import Read, Setting, Steps, Task, UnfitError, draw, json_of, rejected, text_of


class SelfInstruct(Task):
    """An item is a request for new instructions; each of them makes a sample."""

    needs_all_seeds = True

    def __init__(self, setting: Setting) -> None:
        """Raises RequestError: there are fewer seeds than are to be shown."""
        super().__init__(setting)
        if len(setting.seeds) < self.settings.shown:
            raise RequestError(f"task.shown is {self.settings.shown}, and there are {len(setting.seeds)} seeds")
        self._alike: dict[str | None, list[int]] = {}
        for at, seed in enumerate(setting.seeds):
            self._alike.setdefault(seed.language, []).append(at)

    @property
    def settings(self) -> Settings:
        """Of the manifest."""
        task = self.setting.manifest.task
        assert isinstance(task, Settings)
        return task

    def items(self, seeds: Iterable[Item]) -> Iterator[Item]:
        """As many as the manifest counts: an item shows the seeds that are its parents; the first lends it language,
        source and licence, and the others are of its language as far as there are enough."""
        for number in range(self.settings.count):
            shown = self._shown(number)
            first = shown[0]
            name = f"{draw(self.setting.manifest.seed, 'self_instruct', number):016x}"
            text = "\n\n".join(opening(seed).content for seed in shown)
            yield Item(
                name,
                text,
                first.language,
                first.source,
                first.license if all(seed.license == first.license for seed in shown) else None,
                number=number,
                parents=tuple(seed.id for seed in shown),
            )

    def _shown(self, number: int) -> list[Item]:
        seed, seeds = self.setting.manifest.seed, self.setting.seeds
        first = draw(seed, "first", number) % len(seeds)
        alike = self._alike[seeds[first].language]
        pool = alike if len(alike) >= self.settings.shown else range(len(seeds))
        places, n_drawn = {first: None}, 0
        while len(places) < self.settings.shown:
            places[pool[draw(seed, "shown", number, n_drawn) % len(pool)]] = None
            n_drawn += 1
        return [seeds[at] for at in places]

    def run(self, item: Item) -> Steps[list[Sample]]:
        """A sample for each new instruction.

        Raises UnfitError: no instructions can be had.
        """
        language, shown = self.language(item), self._seeds_of(item)
        proposed = yield from self._propose(item, language, shown)
        kept, samples = self._sorted(item, language, shown, proposed)
        samples += yield from self._answered(item, language, kept, proposed.ask)
        return samples

    def _seeds_of(self, item: Item) -> list[str]:
        return [opening(seed).content for seed in self._shown(item.number)]

    def _propose(self, item: Item, language: str, shown: list[str]) -> Steps[Read[list[str]]]:
        n = self.settings.per_request
        prompt = self.setting.prompts("self_instruct/propose", language, examples=shown, n=n)
        texts = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": n}
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {"instructions": texts},
            "required": ["instructions"],
            "additionalProperties": False,
        }
        return (
            yield from self.one(
                prompt,
                lambda answer: [text.strip() for text in json_of(answer, schema)["instructions"]],
                schema=schema,
                numbers=[item.number],
            )
        )

    def _sorted(
        self, item: Item, language: str, shown: Sequence[str], proposed: Read[list[str]]
    ) -> tuple[list[str], list[Sample]]:
        """Instructions to be answered, and samples of those that are not."""
        kept: list[str] = []
        bad: list[Sample] = []
        for text in proposed.value:
            if why := _unfit(text, language, shown, kept, item.parents):
                fields: dict[str, Any] = {"prompt": (Message("user", text),), "made_by": (proposed.ask,)}
                bad.append(rejected(item, language, "task", *why, parents=item.parents, **fields))
            else:
                kept.append(text)
        return kept, bad

    def _answered(self, item: Item, language: str, texts: list[str], ask: Ask) -> Steps[list[Sample]]:
        prompts = [chat_prompt(self.setting.prompts, language, [Message("user", text)]) for text in texts]
        answers = yield from self.each(prompts, text_of)
        samples = []
        for text, answer in zip(texts, answers, strict=True):
            prompt = (Message("user", text),)
            if isinstance(answer, UnfitError):
                fields: dict[str, Any] = {"prompt": prompt, "made_by": (ask,), "parents": item.parents}
                samples.append(rejected(item, language, "task", answer.reason, answer.detail, **fields))
                continue
            said, made_by = (Message("assistant", answer.value),), (answer.ask, ask)
            sample = Sample(item, "messages", language, prompt, said, made_by=made_by, parents=item.parents)
            samples.append(sample)
        return samples


def _unfit(
    text: str, language: str, shown: Sequence[str], kept: Sequence[str], parents: Sequence[str]
) -> tuple[str, str] | None:
    if why := unfit_instruction(text, language):
        return why
    if (at := copied_from(text, shown)) is not None:
        return "copied", f"of seed {parents[at]}: {text}"
    if (at := copied_from(text, kept)) is not None:
        return "duplicate", f"of: {kept[at]}"
    return None
