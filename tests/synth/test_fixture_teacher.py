"""What the task alone makes of a teacher that is partly right, by the labels that its samples were made with."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.final_answers.math_workers import MathWorkers
from synth.samples import Item, Sample
from synth.tasks.reasoning import Reasoning
from tests.synth.fixture_teacher import N_QUESTIONS, N_SAMPLES, PERCENT, FixtureTeacher
from tests.synth.scripted import manifest, play, seed_of, setting

TASK = {"kind": "reasoning", "samples": N_SAMPLES, "keep": N_SAMPLES}


@pytest.fixture(scope="module")
def teacher(shared_data: Path) -> FixtureTeacher:
    return FixtureTeacher(shared_data)


@pytest.fixture(scope="module")
def outcomes(teacher: FixtureTeacher) -> Iterator[dict[tuple[str, int], Sample]]:
    with MathWorkers() as math:
        task = Reasoning(setting(manifest(TASK), math))
        found: dict[tuple[str, int], Sample] = {}
        for one in teacher.questions.values():
            item = Item(one.id, one.text, one.language, answer=one.gold)
            played = play(task, item, lambda ask: teacher.say(ask.request.messages, seed_of(ask)))
            found |= {(one.id, number): sample for number, sample in enumerate(played.samples)}
        yield found


@pytest.mark.parametrize("language", ["en", "ko"])
def test_proportions_are_as_said(teacher: FixtureTeacher, language: str) -> None:
    ids = {one.id for one in teacher.questions.values() if one.language == language and not one.is_benchmark}
    counts = Counter(said.label for key, said in teacher.said.items() if key[0] in ids)
    assert len({one.text for one in teacher.questions.values() if one.language == language}) == N_QUESTIONS
    for label, percent in PERCENT.items():
        assert counts[label] == pytest.approx(percent / 100 * counts.total(), abs=0.01 * counts.total()), label


@pytest.mark.parametrize("language", ["en", "ko"])
def test_what_verification_alone_decides_is_decided_right(
    teacher: FixtureTeacher, outcomes: dict[tuple[str, int], Sample], language: str
) -> None:
    reasons: dict[str, Counter[str]] = {label: Counter() for label in PERCENT}
    for key, said in teacher.said.items():
        if teacher.questions[key[0]].language == language:
            rejection = outcomes[key].rejection
            reasons[said.label][rejection.reason if rejection else "kept"] += 1
    assert reasons["right"]["kept"] >= 0.98 * reasons["right"].total(), reasons
    assert set(reasons["wrong"]) <= {"wrong", "form"}
    assert set(reasons["unreadable"]) == {"form"}
    assert set(reasons["cut"]) <= {"cut", "form"}
    assert set(reasons["unusual"]) == {"kept", "form"}
    assert reasons["unusual"]["kept"] >= 0.7 * reasons["unusual"].total(), reasons
    assert reasons["wrong"]["wrong"] >= 0.7 * reasons["wrong"].total(), reasons
    assert reasons["duplicate"]["duplicate"] >= 5, reasons
    assert set(reasons["duplicate"]) == {"kept", "duplicate"}  # those of other questions are for a gate


@pytest.mark.parametrize("language", ["en", "ko"])
def test_scores_count_each_trace_and_its_copies_once(teacher: FixtureTeacher, language: str) -> None:
    keys = [key for key in teacher.said if teacher.questions[key[0]].language == language]
    said = teacher.said
    best = teacher.score(language, {key: None if said[key].label in ("right", "unusual") else "x" for key in keys})
    assert (best.precision, best.recall) == (1.0, 1.0)
    copied = {one.copy_of for one in said.values() if one.copy_of}
    chosen = {key for key in keys if said[key].label in ("right", "unusual", "duplicate") and key not in copied}
    twice = teacher.score(language, {key: None if key in chosen else "x" for key in keys})
    assert twice.recall == 1.0
    everything = teacher.score(language, dict.fromkeys(keys))
    assert everything.recall == 1.0
    assert everything.precision < 0.65
    assert teacher.score(language, dict.fromkeys(keys, "x")).recall == 0.0
