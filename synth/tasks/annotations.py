"""Labels of documents: how educational each is. Asked for as the classifier's loop asks, so answers are shared."""

from functools import cache

import xxhash

from manifests.errors import RequestError
from manifests.schema_synthesis import Annotations as Settings
from synth.annotations.annotate import Document, Label, prompt, read_label, rubric
from synth.samples import Ask, Item, Rejection, Sample
from synth.tasks.task import DETAIL_CHARS, Setting, Steps, Task

REASONS = {"truncated": "cut", "refused": "refused", "unparsable": "unparsable"}
"""Why there is no label, by the outcome."""


class Annotations(Task):
    """Texts with their label."""

    def __init__(self, setting: Setting) -> None:
        """Nothing is asked yet.

        Raises:
            RequestError: the manifest has prompts of its own.
        """
        super().__init__(setting)
        assert isinstance(setting.manifest.task, Settings)
        self.settings = setting.manifest.task
        if self.settings.prompts is not None:
            raise RequestError(
                "task.prompts: labels are given by one rubric, synth/prompts/edu_ko.txt and edu_en.txt"
            )

    def run(self, item: Item) -> Steps[list[Sample]]:
        """Ask for the label of a document, again while an answer holds none, as `annotate` does."""
        language, sampling = self.language(item), self.setting.sampling("teacher")
        document = Document(item.id, item.text, language)
        for attempt in range(self.settings.attempts):
            request = prompt(document, self.settings.max_chars, sampling, attempt)
            ask = Ask("teacher", request, f"edu_{language}", _digest(language))
            (answer,) = yield [ask]
            label = read_label(item.id, answer, attempt + 1)
            if label.outcome in ("labelled", "refused"):
                break
            if label.outcome == "truncated":
                sampling = sampling.model_copy(update={"max_tokens": 2 * sampling.max_tokens})
        return [self._sample(item, language, ask, label)]

    def _sample(self, item: Item, language: str, ask: Ask, label: Label) -> Sample:
        """What is labelled is what the teacher saw."""
        is_labelled = label.score is not None
        why = Rejection("label", REASONS.get(label.outcome, label.outcome), detail=label.reason[:DETAIL_CHARS])
        return Sample(
            item,
            "text",
            language,
            text=item.text[: self.settings.max_chars],
            made_by=(ask,),
            numbers={} if label.score is None else {"score": float(label.score)},
            tags={"reason": label.reason} if is_labelled else {},
            rejection=None if is_labelled else why,
        )


@cache
def _digest(language: str) -> str:
    return xxhash.xxh3_64_hexdigest(rubric(language).encode())
