"""Questions and answers on documents, with reflection between two gates, and bad answers as rejected ones.

Document -> questions -> answers -> first gate -> the teacher criticises its answer and writes it anew -> second gate;
what passes is a sample, and with a deliberately flawed answer beside it a preference pair. Source: Kanana (arXiv
2502.18934), Fig. 6, with its gates at 9 and 10 of 10. Some questions are such that the document does not answer them,
and the right answer says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from manifests.schema_synthesis import GroundedQa as Options
from synth.prompts import Prompt
from synth.samples import Ask, Item, Message, Rejection, Sample
from synth.tasks.grams import squeezed
from synth.tasks.judging import SCHEMA, Score, read_score
from synth.tasks.passages import cut
from synth.tasks.task import Read, Setting, Steps, Task, UnfitError, draw, json_of, rejected, text_of
from synth.teachers.answers import Answer

T = TypeVar("T")

UNANSWERABLE_PERCENT = 15
"""Of the questions."""

MIN_MARGIN = 3
"""How much lower than the good answer a flawed one must be scored to make a pair."""

N_LAYOUTS = 4
"""Ways in which `grounded_qa/layout` puts document and question into a user's turn."""

FLAWS = ("unsupported", "contradiction", "incomplete", "off_topic")


@dataclass(frozen=True)
class Document:
    """What is asked about."""

    item: Item
    language: str
    text: str


@dataclass(frozen=True)
class Draft:
    """A question and what there is of its answer."""

    question: str
    is_answerable: bool
    answer: str = ""
    critique: str = ""
    asks: tuple[Ask, ...] = ()
    """The one that wrote the answer first."""
    numbers: Mapping[str, float] = field(default_factory=dict)


class GroundedQa(Task):
    """See `manifests.schema_synthesis.GroundedQa`."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        assert isinstance(setting.manifest.task, Options)
        self.options = setting.manifest.task

    def run(self, item: Item) -> Steps[list[Sample]]:
        """Samples of the questions that came through, pairs of them, and what fell out on the way."""
        document = Document(item, self.language(item), cut(item.text, self.options.max_chars))
        lost: list[Sample] = []
        drafts = yield from self._questions(document, lost)
        drafts = yield from self._written(document, drafts, "answer", lost)
        drafts = yield from self._gated(document, drafts, "first", self.options.first_gate, lost)
        drafts = yield from self._written(document, drafts, "critique", lost)
        drafts = yield from self._written(document, drafts, "refine", lost)
        drafts = yield from self._gated(document, drafts, "second", self.options.second_gate, lost)
        kept = [self._sample(document, draft) for draft in drafts]
        if self.options.pairs and drafts:
            kept += yield from self._pairs(document, drafts)
        return [*kept, *lost]

    # Questions.

    def _questions(self, document: Document, lost: list[Sample]) -> Steps[list[Draft]]:
        """Different questions, of which some are not answered by the document."""
        drafts: list[Draft] = []
        draws = [self._draw(document, "unanswerable", n) % 100 for n in range(self.options.per_document)]
        n_unanswerable = sum(drawn < UNANSWERABLE_PERCENT for drawn in draws)
        kinds = ((True, len(draws) - n_unanswerable, "questions"), (False, n_unanswerable, "unanswerable"))
        for is_answerable, count, name in kinds:
            if count == 0:
                continue
            prompt = self._prompt(name, document, count=count, questions=[draft.question for draft in drafts])
            try:
                read = yield from self.one(prompt, _questions_of(count), schema=questions_schema(count))
            except UnfitError as error:
                lost.append(rejected(document.item, document.language, "questions", error.reason, error.detail))
                continue
            for question in read.value:
                draft = Draft(question, is_answerable, asks=(read.ask,))
                if squeezed(question) in {squeezed(other.question) for other in drafts}:
                    lost.append(self._lost(document, draft, "questions", "repeated"))
                else:
                    drafts.append(draft)
        return drafts

    # Answers.

    def _written(
        self,
        document: Document,
        drafts: Sequence[Draft],
        name: Literal["answer", "critique", "refine"],
        lost: list[Sample],
    ) -> Steps[list[Draft]]:
        """Drafts with their answer or its critique."""
        prompts = [self._prompt(name, document, draft) for draft in drafts]
        found = yield from self.each(prompts, text_of)
        part = "critique" if name == "critique" else "answer"
        return [
            replace(draft, **{part: read.value, "asks": (read.ask, *draft.asks)})  # type: ignore[arg-type]
            for draft, read in self._with(document, drafts, found, name, lost)
        ]

    def _gated(
        self, document: Document, drafts: Sequence[Draft], name: str, threshold: int, lost: list[Sample]
    ) -> Steps[list[Draft]]:
        """Drafts whose answer the judge scores so high."""
        stage, passed = f"{name}_gate", []
        found = yield from self._scores(document, drafts)
        for draft, read in self._with(document, drafts, found, stage, lost):
            score, numbers = read.value, {**draft.numbers, f"{name}_score": float(read.value.value)}
            scored = replace(draft, asks=(*draft.asks, read.ask), numbers=numbers)
            if score.value >= threshold:
                passed.append(scored)
            else:
                low = Rejection(stage, "low_score", score.value, threshold, score.reason)
                lost.append(replace(self._sample(document, scored), rejection=low))
        return passed

    def _scores(self, document: Document, drafts: Sequence[Draft]) -> Steps[list[Read[Score] | UnfitError]]:
        prompts = [self._prompt("judge", document, draft) for draft in drafts]
        return (yield from self.each(prompts, read_score, role="judge", schema=SCHEMA))

    # Pairs.

    def _pairs(self, document: Document, drafts: Sequence[Draft]) -> Steps[list[Sample]]:
        """Each answer against a flawed one, kept and rejected."""
        lost: list[Sample] = []
        prompts = [self._prompt("flawed", document, draft, flaw=self._flaw(document, draft)) for draft in drafts]
        found = yield from self.each(prompts, text_of)
        written = list(self._with(document, drafts, found, "pair", lost, form="preference"))
        flawed = [replace(draft, answer=read.value, asks=(read.ask,)) for draft, read in written]
        scores = yield from self._scores(document, flawed)
        pairs = [
            self._pair(document, good, bad, score)
            for (good, _), bad, score in zip(written, flawed, scores, strict=True)
        ]
        return [*pairs, *lost]

    def _flaw(self, document: Document, draft: Draft) -> str:
        """What is wrong with the bad answer. Where the document has no answer, any is unsupported."""
        return FLAWS[self._draw(document, "flaw", draft.question) % len(FLAWS)] if draft.is_answerable else FLAWS[0]

    def _pair(self, document: Document, good: Draft, bad: Draft, score: Read[Score] | UnfitError) -> Sample:
        sample = replace(
            self._sample(document, good),
            form="preference",
            worse=(Message("assistant", bad.answer),),
            variety=self._flaw(document, good),
            made_by=(*good.asks, *bad.asks),
        )
        if isinstance(score, UnfitError):
            return replace(sample, rejection=Rejection("pair", score.reason, detail=score.detail))
        margin = good.numbers["second_score"] - score.value.value
        numbers = {**good.numbers, "rejected_score": float(score.value.value), "margin": margin}
        sample = replace(sample, made_by=(*sample.made_by, score.ask), numbers=numbers)
        if squeezed(good.answer) == squeezed(bad.answer):
            return replace(sample, rejection=Rejection("pair", "same"))
        if margin < MIN_MARGIN:
            return replace(sample, rejection=Rejection("pair", "no_margin", margin, MIN_MARGIN, score.value.reason))
        return sample

    # Samples.

    def _sample(self, document: Document, draft: Draft) -> Sample:
        n_layout = self._draw(document, "layout", draft.question) % N_LAYOUTS
        layout = self._prompt("layout", document, draft, layout=n_layout)
        return Sample(
            document.item,
            "messages",
            document.language,
            prompt=tuple(Message(role, text) for role, text in layout.messages),
            answer=(Message("assistant", draft.answer),) if draft.answer else (),
            variety="answerable" if draft.is_answerable else "unanswerable",
            made_by=draft.asks,
            numbers=draft.numbers,
        )

    def _lost(self, document: Document, draft: Draft, stage: str, reason: str, detail: str = "") -> Sample:
        return replace(self._sample(document, draft), rejection=Rejection(stage, reason, detail=detail))

    def _with(
        self,
        document: Document,
        drafts: Sequence[Draft],
        found: Sequence[Read[T] | UnfitError],
        stage: str,
        lost: list[Sample],
        form: Literal["messages", "preference"] = "messages",
    ) -> list[tuple[Draft, Read[T]]]:
        """Drafts with what was read for them; where nothing was, they are lost."""
        pairs = []
        for draft, read in zip(drafts, found, strict=True):
            if isinstance(read, UnfitError):
                sample = self._lost(document, draft, stage, read.reason, read.detail)
                lost.append(replace(sample, form=form))
            else:
                pairs.append((draft, read))
        return pairs

    def _prompt(self, name: str, document: Document, draft: Draft | None = None, **values: Any) -> Prompt:
        if draft is not None:
            values |= {"question": draft.question, "answer": draft.answer, "critique": draft.critique}
            values["is_answerable"] = draft.is_answerable
        return self.setting.prompts(f"grounded_qa/{name}", document.language, document=document.text, **values)

    def _draw(self, document: Document, *parts: object) -> int:
        return draw(self.setting.manifest.seed, "grounded_qa", document.item.id, *parts)


def questions_schema(count: int) -> dict[str, Any]:
    """Of an answer with so many questions at most."""
    question = {"type": "string", "minLength": 4, "maxLength": 400}
    questions = {"type": "array", "items": question, "minItems": 1, "maxItems": count}
    return {
        "type": "object",
        "properties": {"questions": questions},
        "required": ["questions"],
        "additionalProperties": False,
    }


def _questions_of(count: int) -> Any:
    def read(answer: Answer) -> list[str]:
        questions = [question.strip() for question in json_of(answer, questions_schema(count))["questions"]]
        if not all(questions):
            raise UnfitError("empty", "a question without words")
        return questions

    return read
