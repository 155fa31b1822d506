"""Instruction backtranslation (Li et al. 2024, Humpback): people have written the answers; what was asked is missing.

The instruction is found for a document, the document is tidied into an answer to it, and the teacher scores the pair.
"""

import re
from typing import Any

from manifests.schema_synthesis import Backtranslation as Settings
from synth.samples import Item, Message, Rejection, Sample
from synth.scores import score_schema
from synth.tasks.grounding import new_numbers
from synth.tasks.instructions import unfit_instruction
from synth.tasks.passages import cut
from synth.tasks.task import DETAIL_CHARS, Read, Steps, Task, UnfitError, json_of, text_of
from synth.teachers.answers import Answer

INSTRUCTION: dict[str, Any] = {
    "type": "object",
    "properties": {"instruction": {"type": "string", "minLength": 1}},
    "required": ["instruction"],
    "additionalProperties": False,
}
SCORE = score_schema(1, 5)

_POINTS_TO_IT = re.compile(
    r"(?<![가-힣])(?:위|이|윗|다음|주어진|제시된|해당)\s?(?:글|본문|문서|기사|지문)"
    r"(?=[은는이가을를의에과와로도만]|처럼|[^가-힣]|$)|(?<![가-힣])본문"
    r"|\b(?:this|(?:the )?(?:above|given|following|provided)) (?:text|document|article|passage|post)\b"
    r"|\b(?:text|document|article|passage|post) above\b|\baccording to the (?:text|document|article|passage|post)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\s*(?:\*\*)?(\d{1,2})[.)]", re.MULTILINE)


class Backtranslation(Task):
    """A document makes one sample."""

    @property
    def settings(self) -> Settings:
        """Of the manifest."""
        task = self.setting.manifest.task
        assert isinstance(task, Settings)
        return task

    def run(self, item: Item) -> Steps[list[Sample]]:
        """One sample, rejected as `score` where the teacher thinks little of it.

        Raises UnfitError: see the steps.
        """
        language, document = self.language(item), cut(item.text, self.settings.max_chars)
        asked = yield from self._instruction(language, document)
        answered = yield from self._answer(language, document, asked.value)
        scored = yield from self._score(language, asked.value, answered.value)
        score, least = scored.value["score"], self.settings.min_score
        reason = scored.value["reason"][:DETAIL_CHARS]
        return [
            Sample(
                item,
                "messages",
                language,
                (Message("user", asked.value),),
                (Message("assistant", answered.value),),
                made_by=(answered.ask, asked.ask, scored.ask),
                numbers={"score": float(score)},
                rejection=Rejection("task", "score", score, least, reason) if score < least else None,
            )
        ]

    def _instruction(self, language: str, document: str) -> Steps[Read[str]]:
        """What the document would answer.

        Raises UnfitError: it is `empty`, `too_long`, of another `language`, or speaks of the document that its writer
        has not seen (`points_to_document`).
        """
        prompt = self.setting.prompts("backtranslation/instruct", language, document=document)

        def read(answer: Answer) -> str:
            text = str(json_of(answer, INSTRUCTION)["instruction"]).strip()
            if why := unfit_instruction(text, language):
                raise UnfitError(*why)
            if _POINTS_TO_IT.search(text):
                raise UnfitError("points_to_document", text)
            return text

        return (yield from self.one(prompt, read, schema=INSTRUCTION))

    def _answer(self, language: str, document: str, instruction: str) -> Steps[Read[str]]:
        """The document as an answer.

        Raises UnfitError: it speaks of the document (`points_to_document`) or has numbers that the document has not
        (`ungrounded`).
        """
        prompt = self.setting.prompts("backtranslation/tidy", language, document=document, instruction=instruction)

        def read(answer: Answer) -> str:
            text = text_of(answer)
            if found := _POINTS_TO_IT.search(text):
                raise UnfitError("points_to_document", f"{found[0]}: {text}")
            n_listed = max((int(match[1]) for match in _NUMBERED.finditer(text)), default=0)
            if new := new_numbers(text, f"{document}\n{instruction}", n_listed):
                raise UnfitError("ungrounded", f"{float(min(new)):g} is not in the document: {text}")
            return text

        return (yield from self.one(prompt, read))

    def _score(self, language: str, instruction: str, answer: str) -> Steps[Read[dict[str, Any]]]:
        """By the teacher itself, which draws as a judge does."""
        prompt = self.setting.prompts("backtranslation/score", language, instruction=instruction, answer=answer)
        sampling = self.setting.manifest.judge_sampling
        return (yield from self.one(prompt, lambda said: json_of(said, SCORE), schema=SCORE, sampling=sampling))
