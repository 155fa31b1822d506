"""Gates pass up to their limit and fail past it, say what they found, and never pass what they cannot judge."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from manifests.schema_training import TrainingStage
from manifests.schema_training_gates import TrainingGate
from training.gates.facts import Facts
from training.gates.judge import judge, models_needed, parents_of
from training.jobs import Made
from training.measuring.jobs import Measured
from training.summary_models import Answer

GATES: TypeAdapter[TrainingGate] = TypeAdapter(TrainingGate)


def gate_of(gate: str, **fields: Any) -> TrainingGate:
    return GATES.validate_python({"gate": gate} | fields)


def loss_of(loss: float, n_tokens: int = 1000, units: Sequence[float] = (), **more: float) -> Measured:
    figures = {"loss": loss, "n_tokens": n_tokens, "n_bytes": 3000.0, "bits_per_byte": loss / 2} | more
    return Measured(measures={"en": figures}, units={"en": list(units)})


def accuracy_of(accuracy: float, units: Sequence[float] = ()) -> Measured:
    return Measured(measures={"mmlu": {"accuracy": accuracy}}, units={"mmlu": list(units)})


def answers_of(lengths: Sequence[int], rewards: Sequence[float | None], ended: bool = True) -> Measured:
    answers = [
        Answer(prompt=str(i), answer="...", n_tokens=length, ended=ended, reward=reward)
        for i, (length, reward) in enumerate(zip(lengths, rewards, strict=True))
    ]
    return Measured(answers=answers, measures={"answers": {"mean_length": sum(lengths) / len(lengths)}})


def facts(of: Measured, before: Measured, kind: str = "cpt", **more: Any) -> Facts:
    return Facts(kind=kind, of=of, models={"before": before}, **more)


# Losses

LOSS = gate_of("validation_loss", set="en", max_rise=0.02)


@pytest.mark.parametrize(
    ("now", "passed", "found"),
    [
        (2.04, True, "en: loss 2.000 -> 2.040 (+2.0%; at most +2.0%)"),
        (2.0401, False, "en: loss 2.000 -> 2.040 (+2.005%; at most +2.000%)"),
        (2.076, False, "en: loss 2.000 -> 2.076 (+3.8%; at most +2.0%)"),
        (1.9, True, "en: loss 2.000 -> 1.900 (-5.0%; at most +2.0%)"),
    ],
)
def test_validation_loss(now: float, passed: bool, found: str) -> None:
    verdict = judge(LOSS, facts(loss_of(now), loss_of(2.0)))
    assert (verdict.passed, verdict.found) == (passed, found)
    assert (verdict.advice == "") == passed
    assert verdict.figures["rise"] == pytest.approx(now / 2 - 1)


def test_a_loss_that_has_to_fall() -> None:
    gate = gate_of("validation_loss", set="en", max_rise=-0.05, against="base")
    models = {"base": loss_of(2.0), "before": loss_of(9.0)}
    held = judge(gate, Facts(kind="cpt", of=loss_of(1.9), models=models))
    assert (held.passed, held.found) == (True, "en: loss 2.000 -> 1.900 (-5.0% against base; at most -5.0%)")
    assert not judge(gate, Facts(kind="cpt", of=loss_of(1.91), models=models)).passed


@pytest.mark.parametrize("limit", [0.1, 0.3, 0.7, 0.001])
@pytest.mark.parametrize("before", [0.1, 1.1, 2.3, 7.7, 11.3])
def test_the_limit_itself_passes_whatever_rounding_makes_of_it(before: float, limit: float) -> None:
    gate = gate_of("validation_loss", set="en", max_rise=limit)
    assert judge(gate, facts(loss_of(before * (1 + limit)), loss_of(before))).passed
    assert not judge(gate, facts(loss_of(before * (1 + limit) * 1.00001), loss_of(before))).passed


def test_what_may_be_chance_says_so() -> None:
    before = loss_of(2.0, units=[90.0, 110.0, 100.0])
    slight = judge(LOSS, facts(loss_of(2.01, units=[96.5, 104.0, 101.0]), before))
    assert slight.found == "en: loss 2.000 -> 2.010 (+0.5%, within its standard error of 3.6%; at most +2.0%)"
    near = judge(LOSS, facts(loss_of(2.05, units=[93.5, 111.0, 103.0]), before))
    assert near.found == (
        "en: loss 2.000 -> 2.050 (+2.5%, 0.9% standard error reaches across the limit; at most +2.0%)"
    )
    sure = judge(LOSS, facts(loss_of(2.2, units=[99.0, 121.0, 110.0]), before))
    assert sure.found == "en: loss 2.000 -> 2.200 (+10.0%; at most +2.0%)"


def test_other_tokens_are_compared_by_the_byte() -> None:
    of = loss_of(3.0, n_tokens=700, bits_per_byte=1.01)
    verdict = judge(LOSS, facts(of, loss_of(2.0, bits_per_byte=1.0)))
    assert verdict.passed
    assert verdict.found == "en: bits per byte (other tokens) 1.000 -> 1.010 (+1.0%; at most +2.0%)"


def test_parents() -> None:
    gate = gate_of("validation_loss", set="en", max_rise=0.0, against="parents")
    parents = {"ko": loss_of(2.5), "instruct": loss_of(2.0)}
    between = judge(gate, Facts(kind="merge", of=loss_of(2.4), parents=parents))
    assert between.passed
    assert between.found == "en: loss 2.500 -> 2.400 (-4.0% against ko of 2 parents; at most +0.0%)"
    spike = judge(gate, Facts(kind="merge", of=loss_of(2.6), parents=parents))
    assert not spike.passed
    assert "cosines" in spike.advice
    assert "`t` nearer" in spike.advice


# Accuracies

ACCURACY = gate_of("accuracy", set="mmlu", max_fall="5%")


@pytest.mark.parametrize(
    ("now", "passed", "found"),
    [
        (0.6, True, "mmlu: accuracy 65.0% -> 60.0% (-5.0 points; at most -5.0)"),
        (0.599, False, "mmlu: accuracy 65.0% -> 59.9% (-5.1 points; at most -5.0)"),
        (0.7, True, "mmlu: accuracy 65.0% -> 70.0% (+5.0 points; at most -5.0)"),
    ],
)
def test_accuracy(now: float, passed: bool, found: str) -> None:
    verdict = judge(ACCURACY, facts(accuracy_of(now), accuracy_of(0.65)))
    assert (verdict.passed, verdict.found) == (passed, found)


def test_accuracy_of_few_questions() -> None:
    before, now = accuracy_of(0.75, [1, 1, 1, 0]), accuracy_of(0.5, [1, 1, 0, 0])
    verdict = judge(ACCURACY, facts(now, before))
    assert not verdict.passed
    found = "mmlu: accuracy 75.0% -> 50.0% (-25.0 points, within its standard error of 25.0; at most -5.0)"
    assert verdict.found == found
    assert verdict.advice.startswith("A fall of over 5 points in English MMLU")


# Answers

LENGTH = gate_of("length_bias", max_growth=0.2)


@pytest.mark.parametrize(
    ("growth", "rise", "passed", "found"),
    [
        (
            1.2,
            0.25,
            True,
            "120.0 tokens (+20.0%; at most +20.0% where reward rises), reward 1.000 -> 1.250 (+0.250)",
        ),
        (
            1.3,
            0.25,
            False,
            "130.0 tokens (+30.0%; at most +20.0% where reward rises), reward 1.000 -> 1.250 (+0.250)",
        ),
        (
            1.7,
            0.0,
            True,
            "170.0 tokens (+70.0%; at most +20.0% where reward rises), reward 1.000 -> 1.000 (+0.000)",
        ),
        (
            1.7,
            -0.5,
            True,
            "170.0 tokens (+70.0%; at most +20.0% where reward rises), reward 1.000 -> 0.500 (-0.500)",
        ),
    ],
)
def test_length_bias(growth: float, rise: float, passed: bool, found: str) -> None:
    now = answers_of([round(90 * growth), round(110 * growth)], [1.0 + rise] * 2)
    verdict = judge(LENGTH, facts(now, answers_of([90, 110], [1.0, 1.0]), "online_dpo"))
    assert (verdict.passed, verdict.found) == (passed, f"answers: mean length 100.0 -> {found}")
    assert ("refresh_reference" in verdict.advice) == (not passed)


def test_length_bias_in_one_sentence() -> None:
    verdict = judge(
        LENGTH, facts(answers_of([150, 150], [1.0, 3.0], ended=False), answers_of([100, 100], [1.0, 1.0]))
    )
    assert verdict.found == (
        "answers: mean length 100.0 -> 150.0 tokens (+50.0%; at most +20.0% where reward rises), "
        "reward 1.000 -> 2.000 (+1.000, within its standard error of 1.000); 2 of 2 answers were cut at "
        "`max_new_tokens`"
    )


@pytest.mark.parametrize(
    ("rewards", "fields", "passed", "found"),
    [
        ([3.0, 4.0], {"max_distance": 0.5}, False, "distance 1.00 (at most 0.50"),
        ([1.0, 9.0], {"max_distance": 0.5}, True, "distance 0.50 (at most 0.50"),
        ([1.0, 9.0], {"max_distance": 0.49}, False, "distance 0.50 (at most 0.49"),
        ([1.0, 9.0], {"min_mean_rise": 3.5}, True, "(+3.500"),
        ([1.0, 9.0], {"min_mean_rise": 3.6}, False, "(+3.500"),
    ],
)
def test_reward_drift(rewards: list[float], fields: dict[str, float], passed: bool, found: str) -> None:
    before, now = answers_of([9, 9], [1.0, 2.0]), answers_of([9, 9], rewards)
    verdict = judge(gate_of("reward_drift", **fields), facts(now, before, "dpo"))
    assert verdict.passed == passed
    assert found in verdict.found


def test_reward_drift_in_one_sentence() -> None:
    before, now = answers_of([9] * 4, [1.0, 2.0, 3.0, 4.0]), answers_of([9] * 4, [2.0, 3.0, 4.0, 5.0])
    verdict = judge(gate_of("reward_drift", min_mean_rise=1.5), facts(now, before))
    assert verdict.found == (
        "rewards: Kolmogorov-Smirnov distance 0.25 (at most 0.50; chance gives 0.96 once in 20, so this may be "
        "chance), mean 2.500 -> 3.500 (+1.000; at least +1.500)"
    )
    assert not verdict.passed
    assert verdict.advice.startswith("The policy has left what the reward model was trained on")


# Reward models


@pytest.mark.parametrize(
    ("accuracy", "passed", "found"),
    [
        (
            0.9,
            True,
            "90.0% on 200 held-out pairs (at least 90.0%; 95%: 85.1% to 93.4%; the limit lies within that)",
        ),
        (
            0.895,
            False,
            "89.5% on 200 held-out pairs (at least 90.0%; 95%: 84.5% to 93.0%; the limit lies within that)",
        ),
        (1.0, True, "100.0% on 200 held-out pairs (at least 90.0%; 95%: 98.1% to 100.0%)"),
    ],
)
def test_reward_accuracy(accuracy: float, passed: bool, found: str) -> None:
    made = Made(figures={"accuracy": accuracy}, counts={"held_out_pairs": 200})
    verdict = judge(gate_of("reward_accuracy", min=0.9), Facts(kind="reward", of=Measured(), made=made))
    assert (verdict.passed, verdict.found) == (passed, f"accuracy {found}")


# The student's capacity

PLATEAU = gate_of("plateau", set="en", teacher="teacher", max_gap=0.1)


def curve_of(first: float, per_step: float, n: int = 40) -> list[dict[str, Any]]:
    return [{"step": step, "loss": first + per_step * step} for step in range(1, n + 1)]


def plateau(of: float, per_step: float, **more: Any) -> Facts:
    curve = more.pop("curve", curve_of(2.0, per_step))
    return Facts(kind="cpt", of=loss_of(of), models={"teacher": loss_of(2.0)}, curve=curve)


def test_plateau() -> None:
    flat = judge(PLATEAU, plateau(2.3, 0.0))
    assert not flat.passed
    assert flat.found == (
        "en: in the last 25% of the steps the loss of training fell by 0.0% of 2.000 (flat below 1.0%); loss on the "
        "set 2.300, the teacher's 2.000 (+15.0%; at most +10.0%)"
    )
    assert "capacity" in flat.advice
    assert judge(PLATEAU, plateau(2.2, 0.0)).passed  # at the limit of the gap
    assert judge(PLATEAU, plateau(2.3, -0.01)).passed  # it still falls


def test_the_limit_of_flatness() -> None:
    def falls(share: float) -> list[dict[str, Any]]:
        return [{"step": step, "loss": 2.0 * (1 - share * (step - 31) / 9)} for step in range(1, 41)]

    assert judge(PLATEAU, plateau(2.3, 0.0, curve=falls(0.01))).passed
    assert not judge(PLATEAU, plateau(2.3, 0.0, curve=falls(0.0099))).passed


def test_steps_that_were_logged_twice_count_once() -> None:
    again = curve_of(2.0, 0.0)[:35] + [{"step": step, "loss": 2.0} for step in range(30, 41)]
    assert judge(PLATEAU, plateau(2.3, 0.0, curve=again)).figures == judge(PLATEAU, plateau(2.3, 0.0)).figures


# What cannot be judged

NAN = float("nan")
THEIRS, OURS = "the model that it is compared with", "the stage's model"


@pytest.mark.parametrize(
    ("gate", "known", "why"),
    [
        (
            LOSS,
            Facts(kind="cpt", of=loss_of(2)),
            "en: cannot be judged: `before`, which it is compared with, was not measured",
        ),
        (LOSS, facts(Measured(), loss_of(2)), f"en: cannot be judged: {OURS} has no measure `en.n_tokens`"),
        (LOSS, facts(loss_of(NAN), loss_of(2)), f"en: cannot be judged: {OURS}: `en.loss` is nan"),
        (LOSS, facts(loss_of(2), loss_of(NAN)), f"en: cannot be judged: {THEIRS}: `en.loss` is nan"),
        (LOSS, facts(loss_of(2), loss_of(0)), f"en: cannot be judged: `en.loss` of {THEIRS} is 0.000"),
        (
            LOSS,
            facts(Measured(not_measured={"en": "other ids"}), loss_of(2)),
            f"en: cannot be judged: {OURS} could not be measured: other ids",
        ),
        (
            LOSS,
            facts(loss_of(2, units=[1.0]), loss_of(2, units=[1.0, 2.0])),
            f"en: cannot be judged: `en` had 2 documents or questions for {THEIRS} and 1 for {OURS}: measure both on "
            "the same",
        ),
        (
            gate_of("validation_loss", set="en", max_rise=0, against="parents"),
            Facts(kind="merge", of=loss_of(2)),
            "en: cannot be judged: no model that was merged was measured",
        ),
        (
            gate_of("validation_loss", set="en", max_rise=0, against="parents"),
            Facts(kind="merge", of=loss_of(2), parents={"ko": loss_of(NAN)}),
            f"en: cannot be judged: against ko: {THEIRS}: `en.loss` is nan",
        ),
        (
            ACCURACY,
            facts(Measured(), accuracy_of(1)),
            f"mmlu: cannot be judged: {OURS} has no measure `mmlu.accuracy`",
        ),
        (LENGTH, facts(Measured(), answers_of([1], [1.0])), f"cannot be judged: {OURS} gave no answers"),
        (
            LENGTH,
            facts(answers_of([1, 2], [1.0, None]), answers_of([1, 2], [1.0, 2.0])),
            "cannot be judged: 1 of 2 answers have no reward that is a number",
        ),
        (
            gate_of("reward_drift"),
            facts(answers_of([1, 2], [1.0, NAN]), answers_of([1, 2], [1.0, 2.0])),
            "cannot be judged: 1 of 2 answers have no reward that is a number",
        ),
        (
            LENGTH,
            facts(answers_of([1, 2], [1.0, 2.0]), answers_of([1], [1.0])),
            f"cannot be judged: {THEIRS} answered other prompts",
        ),
        (
            LENGTH,
            facts(answers_of([1], [1.0]), answers_of([0], [0.0])),
            f"cannot be judged: the answers of {THEIRS} are empty",
        ),
        (
            gate_of("reward_accuracy", min=0.5),
            Facts(kind="reward", of=Measured()),
            "cannot be judged: no accuracy on held-out pairs was measured; set `held_out` above 0",
        ),
        (
            gate_of("reward_accuracy", min=0.5),
            Facts(kind="reward", of=Measured(), made=Made(figures={"accuracy": NAN})),
            "cannot be judged: the accuracy on held-out pairs is nan",
        ),
        (PLATEAU, Facts(kind="cpt", of=loss_of(2)), "en: cannot be judged: the teacher, `teacher`, was not measured"),
        (
            PLATEAU,
            plateau(2.3, 0.0, curve=curve_of(2.0, 0.0, n=8)),
            "en: cannot be judged: the curve has 2 steps in its last 25%; a line through them needs 3",
        ),
        (
            PLATEAU,
            plateau(2.3, 0.0, curve=[*curve_of(2.0, 0.0), {"step": 41, "loss": NAN}]),
            "en: cannot be judged: the loss of training is nan at step 41",
        ),
        (
            PLATEAU,
            plateau(2.3, 0.0, curve=[]),
            "en: cannot be judged: the curve has 0 steps in its last 25%; a line through them needs 3",
        ),
    ],
)
def test_what_cannot_be_judged_does_not_pass(gate: TrainingGate, known: Facts, why: str) -> None:
    verdict = judge(gate, known)
    assert not verdict.passed
    assert verdict.found == why


# A worse figure never passes where a better one failed

FIGURES = st.floats(0.01, 100)
RISES = st.floats(-0.9, 2)


@given(FIGURES, FIGURES, FIGURES, RISES)
def test_losses_are_monotone(before: float, one: float, other: float, limit: float) -> None:
    gate = gate_of("validation_loss", set="en", max_rise=limit)
    better, worse = sorted((one, other))
    assert (
        judge(gate, facts(loss_of(better), loss_of(before))).passed
        or not judge(gate, facts(loss_of(worse), loss_of(before))).passed
    )


@given(*[st.floats(0, 1)] * 4)
def test_accuracies_are_monotone(before: float, one: float, other: float, limit: float) -> None:
    gate = gate_of("accuracy", set="mmlu", max_fall=limit)
    worse, better = sorted((one, other))
    assert (
        judge(gate, facts(accuracy_of(better), accuracy_of(before))).passed
        or not judge(gate, facts(accuracy_of(worse), accuracy_of(before))).passed
    )


@given(st.lists(st.integers(1, 50), min_size=3, max_size=3), st.integers(0, 60), st.floats(-2, 2), st.floats(0, 2))
def test_lengths_are_monotone(lengths: list[int], more: int, rise: float, limit: float) -> None:
    gate, before = gate_of("length_bias", max_growth=limit), answers_of([20] * 3, [1.0] * 3)
    shorter = judge(gate, facts(answers_of(lengths, [1.0 + rise] * 3), before))
    longer = judge(gate, facts(answers_of([lengths[0] + more, *lengths[1:]], [1.0 + rise] * 3), before))
    assert shorter.passed or not longer.passed


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(0, 3), st.floats(0, 1))
def test_drift_is_monotone(rewards: list[float], shift: float, limit: float) -> None:
    """Rewards that all rise are further from what they were than those that rise by half of that."""
    gate, before = gate_of("reward_drift", max_distance=limit), answers_of([9] * 4, rewards)
    near = judge(gate, facts(answers_of([9] * 4, [reward + shift / 2 for reward in rewards]), before))
    far = judge(gate, facts(answers_of([9] * 4, [reward + shift for reward in rewards]), before))
    assert near.passed or not far.passed


@given(FIGURES, FIGURES, st.floats(-0.01, 0.01), st.floats(-0.01, 0.01))
def test_plateaus_are_monotone(one: float, other: float, fall: float, other_fall: float) -> None:
    small, large = sorted((one, other))
    assert judge(PLATEAU, plateau(small, 0.0)).passed or not judge(PLATEAU, plateau(large, 0.0)).passed
    falling, flatter = sorted((fall, other_fall))
    assert judge(PLATEAU, plateau(large, falling)).passed or not judge(PLATEAU, plateau(large, flatter)).passed


@given(st.lists(st.tuples(FIGURES, FIGURES), min_size=2, max_size=4), FIGURES, RISES)
def test_parents_are_the_worst_of_them(pairs: list[tuple[float, float]], now: float, limit: float) -> None:
    gate = gate_of("validation_loss", set="en", max_rise=limit, against="parents")
    parents = {str(i): loss_of(loss) for i, (loss, _) in enumerate(pairs)}
    worst = gate_of("validation_loss", set="en", max_rise=limit)
    expected = judge(worst, facts(loss_of(now), loss_of(max(loss for loss, _ in pairs))))
    assert judge(gate, Facts(kind="merge", of=loss_of(now), parents=parents)).passed == expected.passed


def test_gates_are_judged_without_torch() -> None:
    modules = "training.gates.judge, training.measuring.jobs, training.measuring.validation_sets"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


# Which models are needed


def test_models_that_gates_need() -> None:
    stage = TypeAdapter(TrainingStage).validate_python(
        {
            "kind": "merge",
            "name": "merged",
            "rule": {"models": ["a", "b"]},
            "gates": [
                {"gate": "validation_loss", "set": "en", "max_rise": 0, "against": "parents"},
                {"gate": "accuracy", "set": "mmlu", "max_fall": 0, "against": "base"},
                {"gate": "length_bias", "max_growth": 0, "against": "a"},
                {"gate": "reward_drift", "against": "a"},
                {"gate": "plateau", "set": "en", "teacher": "./large"},
            ],
        }
    )
    assert models_needed(stage) == ["base", "a", "./large"]
    assert parents_of(stage) == ["a", "b"]


def test_what_changes_are_counted_from_is_no_parent() -> None:
    rule = {"method": "ties", "models": ["a", "b"], "base": "base"}
    stage = TypeAdapter(TrainingStage).validate_python({"kind": "merge", "name": "merged", "rule": rule})
    assert parents_of(stage) == ["a", "b"]
