"""What gates share: they judge the samples of a run in their order, one verdict per sample."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from synth.samples import Item, Rejection, Role, Sample
from synth.teacher import Failure
from synth.teachers.answers import Answer, Request

T = TypeVar("T")

Seeds = Callable[[], Iterator[Item]]
"""Gives the seeds of a run anew, always in the same order."""


class Drafts(Protocol):
    """The samples that are still in. They lie on disk, and may be gone through several times."""

    def __iter__(self) -> Iterator[Sequence[Sample]]:
        """Batches of some thousands, always in the same order."""

    def __len__(self) -> int:
        """How many samples there are."""


class Panel(Protocol):
    """Who answers: the teacher, the judge and the reward model of a run; `synth.panel` is one."""

    def ask(self, role: Role, pairs: Iterable[tuple[T, Request]], /) -> Iterator[tuple[T, Answer | Failure]]:
        """Ask, and give the answers as they come, in any order, each with what stood beside its request."""


@dataclass(frozen=True)
class Passed:
    """A sample may stay."""

    value: float | None = None
    """What was measured, where it is a number."""


Verdict = Passed | Rejection


class Gate(Protocol):
    """A gate that is ready to judge; it was made with all that it needs, or not at all."""

    name: str
    """Stage of its rejections: the name that the manifest calls it by."""

    def judge(self, drafts: Drafts) -> Iterator[Verdict]:
        """The verdicts, one per sample, in order."""


class BatchGate:
    """A gate that judges every sample by itself."""

    name: str

    def judge(self, drafts: Drafts) -> Iterator[Verdict]:
        """The verdicts, one per sample, in order."""
        for batch in drafts:
            yield from self.judge_batch(batch)

    def judge_batch(self, batch: Sequence[Sample]) -> Iterable[Verdict]:
        """The verdicts of some samples."""
        raise NotImplementedError
