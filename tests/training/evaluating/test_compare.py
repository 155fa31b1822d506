"""Differences between two models: paired where the questions are the same ones, and as sure as a bootstrap finds."""

import random

import pytest

from training.evaluating.compare import difference
from training.evaluating.results import Evaluated, Score


def result(units: list[float], value: float | None = None, **more: object) -> Evaluated:
    score = sum(units) / len(units) if value is None else value
    scores = {"acc": Score(value=score, n=len(units), more_is_better=bool(more.pop("more_is_better", True)))}
    return Evaluated(name="kmmlu", kind="benchmark", main="acc", scores=scores, units=units)


def test_it_is_paired() -> None:
    """Two models that differ in 20 of 400 questions, all one way: far surer than either score."""
    draw = random.Random(0)
    ours = [float(draw.random() < 0.5) for _ in range(400)]
    wrong = [place for place, one in enumerate(ours) if one][:20]
    theirs = [0.0 if place in wrong else one for place, one in enumerate(ours)]
    found = difference(result(ours), result(theirs))
    assert found is not None and found.value == pytest.approx(0.05)
    assert found.is_sure and found.is_better
    assert found.low is not None and found.high is not None
    assert (found.low, found.high) == pytest.approx(bootstrapped(ours, theirs), abs=0.004)


def bootstrapped(ours: list[float], theirs: list[float], times: int = 4000) -> tuple[float, float]:
    draw, steps = random.Random(1), [a - b for a, b in zip(ours, theirs, strict=True)]
    means = sorted(sum(draw.choices(steps, k=len(steps))) / len(steps) for _ in range(times))
    return means[int(0.025 * times)], means[int(0.975 * times)]


def test_equal_models_do_not_differ() -> None:
    units = [1.0, 0.0, 1.0]
    found = difference(result(units), result(units))
    assert found is not None and (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert not found.is_sure


def test_less_may_be_better() -> None:
    found = difference(result([2.0, 2.1], more_is_better=False), result([2.5, 2.7], more_is_better=False))
    assert found is not None and found.value < 0 and found.is_better


def test_a_score_that_is_no_mean_of_its_units_has_no_interval() -> None:
    """As where subjects weigh alike."""
    found = difference(result([1.0, 0.0, 0.0], value=0.5), result([1.0, 1.0, 0.0], value=0.4))
    assert found is not None and found.value == pytest.approx(0.1)
    assert found.low is None and not found.is_sure


@pytest.mark.parametrize("units", [[1.0], [1.0, 0.0]])
def test_other_questions_have_no_interval(units: list[float]) -> None:
    found = difference(result([1.0, 0.0, 1.0]), result(units))
    assert found is not None and found.low is None


def test_what_was_not_measured_is_not_compared() -> None:
    failed = Evaluated(name="kmmlu", kind="benchmark", why="no data")
    other = Evaluated(name="kmmlu", kind="benchmark", main="f1", scores={"f1": Score(value=1.0)})
    nan = result([1.0], value=float("nan"))
    for one in (None, failed, other, nan):
        assert difference(result([1.0, 0.0]), one) is None
        assert difference(one, result([1.0, 0.0])) is None


def test_questions_that_could_not_be_judged_are_left_out_of_the_pairs() -> None:
    nan = float("nan")
    ours, theirs = result([9.0, 8.0, 7.0, nan], value=8.0), result([6.0, nan, 5.0, 4.0], value=5.0)
    found = difference(ours, theirs)
    assert found is not None and found.value == 3.0
    assert found.low == pytest.approx(3 - 1.96 * 0.5, abs=0.01)  # of the two questions that both were judged on


def test_rows_that_count_by_their_instructions_have_an_interval() -> None:
    """IFEval: the main score is over prompts and over instructions."""
    from training.benchmarks.ifeval import aggregate, units

    draw = random.Random(3)
    docs = [{"instruction_id_list": ["x"] * draw.randint(1, 3)} for _ in range(40)]

    def evaluated(share: float) -> Evaluated:
        rows = []
        for doc in docs:
            followed = [draw.random() < share for _ in doc["instruction_id_list"]]
            rows.append({"prompt_strict": float(all(followed)), "inst_strict": sum(followed) / len(followed)})
            rows[-1] |= {"prompt_loose": 0.0, "inst_loose": 0.0}
        return result(units(docs, rows), value=aggregate(docs, rows)["ifeval"])

    found = difference(evaluated(0.9), evaluated(0.2))
    assert found is not None and found.is_sure and found.is_better
