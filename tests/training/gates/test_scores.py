"""Gates of benchmarks and hidden sentences: they pass at their limit, fail past it, and judge nothing unmeasured."""

from typing import Any

import pytest

from tests.training.gates.test_judge import gate_of
from training.evaluating.results import Evaluated, GridCell, Score
from training.gates.facts import Facts
from training.gates.judge import judge
from training.measuring.jobs import Measured


def measured(value: float, name: str = "mmlu", **more: Any) -> Measured:
    scores = {"acc": Score(value=value, low=value - 0.02, high=value + 0.02, n=100, **more)}
    return Measured(evaluated={name: Evaluated(name=name, kind="benchmark", main="acc", scores=scores)})


def facts(of: Measured, before: Measured | None = None, kind: str = "cpt") -> Facts:
    return Facts(kind=kind, of=of, models={"before": before} if before else {})


FALL = gate_of("score", of="mmlu", max_fall=0.05)


@pytest.mark.parametrize(("after", "passed"), [(0.60, True), (0.599, False), (0.7, True)])
def test_a_benchmark_may_fall_by_so_much(after: float, passed: bool) -> None:
    verdict = judge(FALL, facts(measured(after), measured(0.65)))
    assert verdict.passed == passed
    assert verdict.found.startswith(f"mmlu acc: 0.65 -> {after:.4g} (a fall of")
    assert "at 95%" in verdict.found
    assert ("too Korean" in verdict.advice) == (not passed)
    assert verdict.figures["fall"] == pytest.approx(0.65 - after)


def test_less_may_be_better() -> None:
    gate = gate_of("score", of="mmlu", max_fall=0.1)
    before = measured(2.0, more_is_better=False)
    assert judge(gate, facts(measured(2.1, more_is_better=False), before)).passed
    assert not judge(gate, facts(measured(2.2, more_is_better=False), before)).passed


def test_a_least_value_needs_no_other_model() -> None:
    gate = gate_of("score", of="mmlu", min=0.5)
    assert judge(gate, facts(measured(0.5))).passed
    failed = judge(gate, facts(measured(0.49)))
    assert not failed.passed and "0.49 (at least 0.5)" in failed.found


def test_both_limits_count() -> None:
    gate = gate_of("score", of="mmlu", min=0.5, max_fall=0.3)
    assert not judge(gate, facts(measured(0.45), measured(0.5))).passed
    assert not judge(gate, facts(measured(0.55), measured(0.9))).passed
    assert judge(gate, facts(measured(0.55), measured(0.8))).passed


def test_what_was_not_measured_does_not_pass() -> None:
    failed = Measured(evaluated={"mmlu": Evaluated(name="mmlu", kind="benchmark", why="the hub is out of reach")})
    for of, before in ((failed, measured(0.5)), (measured(0.5), failed), (Measured(), measured(0.5))):
        verdict = judge(FALL, facts(of, before))
        assert not verdict.passed and verdict.found.startswith("mmlu: cannot be judged:")
    assert "out of reach" in judge(FALL, facts(failed, measured(0.5))).found
    assert not judge(FALL, facts(measured(float("nan")), measured(0.5))).passed
    other = gate_of("score", of="mmlu", score="f1", min=0.5)
    assert "no score `f1`; it has acc" in judge(other, facts(measured(0.5))).found


def grid(**found: float) -> Measured:
    cells = [
        GridCell(language=name[:2], length=int(name[2:]), depth=depth, n=5, score=score)
        for name, score in found.items()
        for depth in (0.0, 1.0)
    ]
    return Measured(evaluated={"needle": Evaluated(name="needle", kind="needle", main="found", cells=cells)})


def test_each_length_and_language_must_hold() -> None:
    of = grid(ko1024=1.0, ko8192=0.6, en1024=1.0, en8192=0.9)
    verdict = judge(gate_of("needle", min=0.8), facts(of))
    assert not verdict.passed
    assert verdict.found == "needle: 60.0% found at 8,192 tokens, ko (at least 80.0% at each length)"
    assert "RoPE" in verdict.advice
    assert judge(gate_of("needle", min=0.8, languages=["en"]), facts(of)).passed
    assert judge(gate_of("needle", min=0.8, lengths=[1024]), facts(of)).passed
    assert not judge(gate_of("needle", min=0.8, lengths=[2048]), facts(of)).passed
    assert not judge(gate_of("needle", min=0.8), facts(Measured())).passed


def test_a_length_without_a_figure_is_not_passed_over() -> None:
    of = grid(ko1024=1.0, ko8192=float("nan"))
    verdict = judge(gate_of("needle", min=0.8), facts(of))
    assert not verdict.passed and "no figure of `needle` at 8,192 tokens" in verdict.found
    assert judge(gate_of("needle", min=0.8, lengths=[1024]), facts(of)).passed
    verdict = judge(gate_of("needle", min=0.8, lengths=[1024, 2048]), facts(of))
    assert not verdict.passed and "at 2,048 tokens" in verdict.found
