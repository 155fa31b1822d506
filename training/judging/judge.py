"""Judges the answers of models: by scores from 1 to 10, or held against another model's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from manifests.engine import Progress, silent
from manifests.errors import RequestError, RunError
from manifests.schema_evaluation import Judged
from synth.teacher import Teacher
from training.evaluating.jobs import Transcript
from training.evaluating.results import Evaluated, Item
from training.judging.grading import graded
from training.judging.pairwise import compared
from training.judging.questions import Question, read_questions


def judge(
    judged: Judged,
    transcripts: Mapping[str, Sequence[Transcript]],
    base: str,
    folder: str,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, tuple[Evaluated, list[Item]]]:
    """What each model comes to, and an item for each turn of each question.

    Every answer of the judge is kept in `folder/answers.sqlite`, or where `judge.answers` says, before anything is
    done with it: a run that was killed goes on where it was, and none is paid twice.

    Args:
        judged: of the manifest.
        transcripts: what each model answered (`answer.answer_questions`), by its name.
        base: where relative paths start.
        folder: where answers are kept; one process at a time.
        seed: of the bootstrap. How the judge draws is in `judge.sampling`.
        progress: is told how many verdicts there are, of how many.

    Raises:
        RequestError: questions or settings of the judge are wrong, answers are to other questions, a model's are
            missing, or recorded answers do not have this.
        RunError: the judge is gone; what it answered is kept, and the same run goes on.
    """
    if not transcripts:
        return {}
    questions = read_questions(judged, base)
    for model, said in transcripts.items():
        _check_same(judged, questions, model, said)

    def told(n_done: int, n_all: int) -> None:
        progress(f"{judged.name}: {judged.judge.model} judges", n_done, n_all)

    by = graded if judged.pairwise is None else compared
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with Teacher(judged.judge, base, folder) as teacher:
            return by(teacher, judged, questions, transcripts, seed, told)
    except (RequestError, RunError) as error:
        at = f"judged.{judged.name}"
        raise (error if str(error).startswith(at) else type(error)(f"{at}.judge: {error}")) from error


def _check_same(judged: Judged, questions: Sequence[Question], model: str, said: Sequence[Transcript]) -> None:
    """Answers are to these questions: the file may have changed since."""
    for place in range(max(len(questions), len(said))):
        asked = questions[place] if place < len(questions) else None
        found = said[place] if place < len(said) else None
        if (
            asked is None
            or found is None
            or asked.id != found.id
            or asked.turns != tuple(turn.asked for turn in found.turns)
        ):
            name = (asked.id if asked else None, found.id if found else None)
            raise RequestError(
                f"judged.{judged.name}.data: {judged.data}: {model} answered other questions than it holds now "
                f"(number {place + 1}: {name[0]!r} there, {name[1]!r} answered); have it answer again"
            )
