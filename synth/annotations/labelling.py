"""Teachers as the annotators of a classifier's loop: labels of candidates, what they cost, and how far two agree."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from types import TracebackType
from typing import Self

import polars as pl
import xxhash

from classifiers.rounds import Labelling
from classifiers.summary import Agreed, Spent
from manifests.schema_classifier import ClassifierManifest
from synth.annotations.agreement import agreement
from synth.annotations.annotate import Annotation, Document, annotate
from synth.teacher import Teacher

Progress = Callable[[str, int, int, str], None]


class TeacherLabels:
    """Labels by the teacher of a manifest: what the loop calls for each round's candidates."""

    def __init__(self, manifest: ClassifierManifest, base: str, folder: str, progress: Progress) -> None:
        """Open the answers.

        Args:
            manifest: with a `teacher`, and perhaps a second one.
            base: where its relative paths start.
            folder: of the run, on local disk.
            progress: called with (step, documents done, all, note).

        Raises:
            RequestError: see `Teacher`.
        """
        assert manifest.teacher
        self._manifest, self._progress = manifest, progress
        with ExitStack() as unless_it_fails:
            self._teacher = unless_it_fails.enter_context(Teacher(manifest.teacher, base, folder))
            second = manifest.second_teacher
            self._other = unless_it_fails.enter_context(Teacher(second, base, f"{folder}/second")) if second else None
            self._stack = unless_it_fails.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def __call__(self, documents: pl.DataFrame) -> list[Labelling]:
        """Labels of documents with the columns of `classifiers.examples.DOCUMENT`."""
        asked = [Document(*row) for row in documents.select("digest", "text", "language").iter_rows()]
        found, second = self._ask(self._teacher, asked), dict[str, int]()
        if self._other:
            second = self._ask(self._other, [document for document in asked if self._is_second(document)]).scores
        return [
            Labelling(label.id, label.score, label.outcome, label.reason, second.get(label.id))
            for label in found.labels
        ]

    def _ask(self, teacher: Teacher, documents: Sequence[Document]) -> Annotation:
        return annotate(documents, teacher, self._manifest.max_chars, progress=self._progress)

    def _is_second(self, document: Document) -> bool:
        """Whether the second annotator labels a document: by its text, so that another run asks the same."""
        return xxhash.xxh3_64_intdigest(document.id.encode()) < self._manifest.second_frac * 2**64

    @property
    def spent(self) -> list[Spent]:
        """What was asked of each teacher so far, by this process."""
        return [
            Spent(model=teacher.settings.model, cost=teacher.usage.cost(teacher.settings), **asdict(teacher.usage))
            for teacher in (self._teacher, *([self._other] if self._other else []))
        ]


def agreement_of(labelled: pl.DataFrame) -> Agreed | None:
    """How far the second annotator agrees with the first; None where none was asked.

    Args:
        labelled: candidates with `digest`, `source`, `label` and `second`.
    """
    first, second = (
        {digest: round(label) for digest, label in labelled.select("digest", name).drop_nulls().iter_rows()}
        for name in ("label", "second")
    )
    found = agreement(first, second, dict(labelled.select("digest", "source").iter_rows()))
    return Agreed.model_validate(asdict(found)) if found else None
