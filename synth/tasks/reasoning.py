"""Reasoning traces: several samples of each question, kept where their final answer is verified.

Samples are asked for once and all at once: one that was cut off or refused counts as such in the pass rate, since
asking again until it ends would make questions look easier than they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from manifests.errors import RequestError
from manifests.schema_synthesis import AnswerKind
from manifests.schema_synthesis import Reasoning as Settings
from synth.final_answers.expected import Expected, Kind
from synth.majority import difficulty, majority, pass_frac
from synth.samples import Ask, Item, Message, Rejection, Sample
from synth.tasks.answers_expected import Known, known_of
from synth.tasks.code_verdicts import verify_programs
from synth.tasks.distinct import JACCARD_MAX, choose
from synth.tasks.harder import harder
from synth.tasks.task import DETAIL_CHARS, Setting, Steps, Task, UnfitError, rejected
from synth.tasks.thoughts import Trace, trace_of, why_not_mixed
from synth.teachers.answers import Answer
from synth.verify import Case, Verdict, verify_all

AGREE_MIN = 2
"""Samples that make a majority at least: one agrees with itself, whatever it says."""


@dataclass(frozen=True)
class _Attempt:
    """One sample of a question."""

    ask: Ask
    trace: Trace
    verdict: Verdict
    rejection: Rejection | None = None
    """Where there is no trace in the answer."""


@dataclass(frozen=True)
class _Judged:
    """All samples of a question."""

    known: Known
    attempts: Sequence[_Attempt]
    majority_share: float | None = None
    """Where there is no known answer."""
    is_decided: bool = True
    """Whether there is an answer to compare with: a known one, or that of a majority."""

    @property
    def pass_frac(self) -> float:
        return pass_frac([attempt.verdict for attempt in self.attempts])


class Reasoning(Task):
    """Traces that end in the right answer."""

    def __init__(self, setting: Setting) -> None:
        """Nothing is asked yet."""
        super().__init__(setting)
        assert isinstance(setting.manifest.task, Settings)
        self.settings = setting.manifest.task

    def language(self, item: Item) -> str:
        """Language-mixed thoughts go with Korean answers."""
        return "ko" if self.settings.think == "mixed" else super().language(item)

    def run(self, item: Item) -> Steps[list[Sample]]:
        """The traces of a question, and of harder ones that are made of it."""
        samples = yield from self._solve(item, self.settings.answer)
        if not self.settings.evolve or item.choices or item.tests:
            return samples
        variants, unfit = yield from harder(self, item, self.settings.evolve)
        for variant in variants:
            samples += yield from self._solve(variant, "math")
        return [*samples, *unfit]

    def _solve(self, item: Item, kind: AnswerKind) -> Steps[list[Sample]]:
        """Ask for all samples of a question, verify them, and keep some of those that are right."""
        language = self.language(item)
        try:
            known = known_of(item, kind)
        except RequestError as error:  # nothing is asked
            return [rejected(item, language, "verify", "bad_gold", str(error))]
        values = {"question": known.question, "think": self.settings.think}
        prompt = self.setting.prompts(f"reasoning/{known.kind}", language, **values)
        asks = [self.ask(prompt, number=number) for number in range(self.settings.samples)]
        answers = yield asks
        judged = self._judged(known, asks, answers, may_be_text=kind in ("auto", "none"))
        reasons = self._reasons(judged)
        return [
            self._sample(item, language, judged, attempt, reason)
            for attempt, reason in zip(judged.attempts, reasons, strict=True)
        ]

    # Verification.

    def _judged(self, known: Known, asks: Sequence[Ask], answers: Sequence[Answer], *, may_be_text: bool) -> _Judged:
        attempts = [self._attempt(ask, answer) for ask, answer in zip(asks, answers, strict=True)]
        texts = ["" if attempt.rejection else attempt.trace.text for attempt in attempts]
        if known.tests:
            sandbox, limit_s = self.setting.sandbox(), self.settings.code_timeout_s
            return _decided(known, attempts, verify_programs(texts, known.tests, sandbox, limit_s))
        if known.expected is None:
            return self._by_majority(known, attempts, texts, may_be_text=may_be_text)
        cases = [Case(text, known.expected) for text in texts]
        return _decided(known, attempts, list(verify_all(cases, self.setting.math)))

    def _attempt(self, ask: Ask, answer: Answer) -> _Attempt:
        try:
            trace = trace_of(answer, self.settings.think != "plain")
        except UnfitError as error:
            verdict = Verdict("cut" if error.reason == "cut" else "form", None, str(error))
            rejection = Rejection("verify", error.reason, detail=error.detail)
            return _Attempt(ask, Trace("", answer.text), verdict, rejection)
        return _Attempt(ask, trace, Verdict("form", None, ""))

    def _by_majority(
        self, known: Known, attempts: Sequence[_Attempt], texts: Sequence[str], *, may_be_text: bool
    ) -> _Judged:
        """Samples that could not be read count in the share, and for no answer."""
        kinds: list[Kind] = [known.kind]  # type: ignore[list-item] # code has tests
        if known.kind == "math" and may_be_text:
            kinds.append("text")
        for kind in kinds:
            found = majority(texts, kind, known.options, self.setting.math)
            if found.classes:
                break
        is_enough = found.answer is not None and dict(found.classes)[found.answer] >= AGREE_MIN
        if found.answer is None or not is_enough or found.share < self.settings.majority:
            return _Judged(known, attempts, found.share, is_decided=False)
        cases = [Case(text, Expected(kind, found.answer, options=known.options)) for text in texts]
        verdicts = list(verify_all(cases, self.setting.math))
        return replace(_decided(known, attempts, verdicts), majority_share=found.share)

    # What is kept.

    def _reasons(self, judged: _Judged) -> list[Rejection | None]:
        """Why each sample is not kept."""
        reasons = [self._reason(judged, attempt) for attempt in judged.attempts]
        places = [place for place, reason in enumerate(reasons) if reason is None]
        chosen = choose([judged.attempts[place].trace.text for place in places], self.settings.keep)
        for at, place in enumerate(places):
            if same := chosen.duplicates.get(at):
                what = f"of sample {places[same.place]} of the question"
                reasons[place] = Rejection("verify", "duplicate", same.jaccard, JACCARD_MAX, what)
            elif at not in chosen.kept:
                reasons[place] = Rejection("verify", "surplus", len(places), self.settings.keep)
        return reasons

    def _reason(self, judged: _Judged, attempt: _Attempt) -> Rejection | None:
        if attempt.rejection:
            return attempt.rejection
        if not judged.is_decided:
            return Rejection("verify", "no_majority", judged.majority_share, self.settings.majority)
        outcome, found, why = attempt.verdict.outcome, attempt.verdict.found, attempt.verdict.why
        if outcome != "right":
            reason = "wrong_majority" if outcome == "wrong" and judged.majority_share is not None else outcome
            return Rejection("verify", reason, detail=f"{found}: {why}"[:DETAIL_CHARS] if found else why)
        if self.settings.think == "mixed" and (not_mixed := why_not_mixed(attempt.trace)):
            return Rejection("verify", "not_mixed", detail=not_mixed)
        return self._out_of_range(judged.pass_frac)

    def _out_of_range(self, frac: float) -> Rejection | None:
        least, most = self.settings.pass_frac
        if frac < least:
            return Rejection("verify", "too_hard", frac, least)
        return Rejection("verify", "too_easy", frac, most) if frac > most else None

    def _sample(
        self, item: Item, language: str, judged: _Judged, attempt: _Attempt, rejection: Rejection | None
    ) -> Sample:
        numbers = {"n_samples": float(len(judged.attempts))}
        tags = {"found": attempt.verdict.found or ""}
        if judged.is_decided:
            n_right = sum(one.verdict.outcome == "right" for one in judged.attempts)
            numbers |= {"n_right": float(n_right), "pass_frac": judged.pass_frac}
            tags |= {"outcome": attempt.verdict.outcome, "difficulty": difficulty(judged.pass_frac)}
        if judged.majority_share is not None:
            numbers["majority_share"] = judged.majority_share
        if judged.known.expected:
            tags["gold"] = judged.known.expected.gold
        return Sample(
            item,
            "messages",
            language,
            prompt=(Message("user", judged.known.question),),
            answer=(Message("assistant", attempt.trace.text),),
            variety=judged.known.kind,
            made_by=(attempt.ask,),
            numbers=numbers,
            tags=tags,
            rejection=rejection,
        )


def _decided(known: Known, attempts: Sequence[_Attempt], verdicts: Sequence[Verdict]) -> _Judged:
    """With the verdicts on those that hold a trace."""
    decided = [
        attempt if attempt.rejection else replace(attempt, verdict=verdict)
        for attempt, verdict in zip(attempts, verdicts, strict=True)
    ]
    return _Judged(known, decided)
