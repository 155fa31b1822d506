"""The gate `score`: a score that is high enough, of a classifier, the judge or the reward model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite

import numpy as np
import pyarrow as pa

from classifiers.scorer import Scorer, find_model
from manifests.errors import RequestError
from manifests.schema_synthesis import ScoreGate
from manifests.schema_teacher import Sampling
from manifests.store import resolve
from synth.gates.gate import BatchGate, Drafts, Panel, Passed, Verdict
from synth.gates.prose import parted, spoken
from synth.prompts import Prompts
from synth.samples import Rejection, Role, Sample
from synth.tasks.judging import judge_ask, read_score
from synth.tasks.task import DETAIL_CHARS, UnfitError
from synth.teacher import Failure
from synth.teachers.answers import Answer, Request

Asks = Callable[[Sample, int], Request]
"""The request that has a sample scored; the number counts tries."""
Reads = Callable[[Answer], float]
"""The score in an answer. Raises UnfitError: there is none."""


class ClassifierScore(BatchGate):
    """Scores what a sample teaches, without its thoughts, by a classifier."""

    name = "score"

    def __init__(self, settings: ScoreGate, base: str) -> None:
        """Load the classifier.

        Raises:
            RequestError: there is none, or it cannot be read.
        """
        assert settings.model is not None
        try:
            self._scorer = Scorer(find_model(resolve(settings.model, base), settings.model))
        except RequestError as error:
            raise RequestError(f"gates.score.model: {error}") from error
        self.fingerprint = self._scorer.fingerprint
        """Changes when scores may."""
        self._least = settings.min

    def judge_batch(self, batch: Sequence[Sample]) -> Iterable[Verdict]:
        """The verdicts of some samples."""
        texts = pa.array([parted(spoken(sample))[1].strip() for sample in batch], pa.large_string())
        languages = pa.array([sample.language for sample in batch], pa.string())
        for score in self._scorer.score(texts, languages).score.to_pylist():
            if score is None:
                yield Rejection(self.name, "no_score", threshold=self._least, detail="nothing to judge by")
            else:
                yield _verdict(score, self._least)


class AskedScore:
    """Scores prompt and answer by asking a judge or a reward model."""

    name = "score"

    def __init__(self, least: float, panel: Panel, role: Role, ask: Asks, read: Reads, attempts: int) -> None:
        """Make the gate.

        Args:
            least: score that is kept.
            panel: has the role.
            role: who scores.
            ask: makes the request.
            read: reads its answer.
            attempts: how often a sample is asked about whose answer cannot be read.
        """
        self._least = least
        self._panel = panel
        self._role = role
        self._ask = ask
        self._read = read
        self._attempts = attempts

    def judge(self, drafts: Drafts) -> Iterator[Verdict]:
        """The verdicts, one per sample, in order; answers come in any order, so scores are held until all are in."""
        scores, unread = np.full(len(drafts), np.nan), dict[int, UnfitError]()
        failed: dict[int, Failure] = {}
        for attempt in range(self._attempts):
            asked = self._requests(drafts, attempt, set(unread) if attempt else None)
            unread = {}
            for number, answer in self._panel.ask(self._role, asked):
                if isinstance(answer, Failure):
                    failed[number] = answer
                    continue
                try:
                    scores[number] = self._read(answer)
                except UnfitError as error:
                    unread[number] = error
            if not unread:
                break
        for number, score in enumerate(scores.tolist()):
            if number in failed:
                yield self._unanswered(failed[number])
            elif number in unread:
                yield Rejection(self.name, "no_score", None, self._least, str(unread[number])[:DETAIL_CHARS])
            else:
                yield _verdict(score, self._least)

    def _unanswered(self, failure: Failure) -> Rejection:
        """As `synth.drive` has it. It is not asked again with another seed: another run asks for this very answer."""
        reason = "refused_request" if failure.is_rejected else "no_answer"
        return Rejection(self.name, reason, None, self._least, failure.message[:DETAIL_CHARS])

    def _requests(self, drafts: Drafts, attempt: int, only: set[int] | None) -> Iterator[tuple[int, Request]]:
        samples = (sample for batch in drafts for sample in batch)
        for number, sample in enumerate(samples):
            if only is None or number in only:
                yield number, self._ask(sample, attempt)


def _verdict(score: float, least: float) -> Verdict:
    return Passed(score) if score >= least else Rejection("score", "low_score", score, least)


def reward_request(sample: Sample, attempt: int) -> Request:
    """The request that has a reward model score a conversation; it depends on nothing but that."""
    said = [*sample.prompt, *sample.answer]
    messages = [(message.role, message.words) for message in said] if said else [("user", sample.text)]
    return Request(tuple(messages), "{}", kind="reward")


def read_reward(answer: Answer) -> float:
    """The score of a reward model.

    Raises:
        UnfitError: there is none.
    """
    if answer.score is None or not isfinite(answer.score):
        raise UnfitError("no_score", answer.text)
    return answer.score


def judge_request(prompts: Prompts, sampling: Sampling) -> Asks:
    """Makes the requests that have a judge score an answer after its thoughts."""

    def asks(sample: Sample, attempt: int) -> Request:
        answer = parted(sample.answer_text)[1].strip()
        return judge_ask(prompts, sampling, sample.language, sample.prompt, answer, sample.tools, attempt).request

    return asks


def read_judge(answer: Answer) -> float:
    """The score of a judge.

    Raises:
        UnfitError: its answer has not the form that was asked for.
    """
    return float(read_score(answer).value)
