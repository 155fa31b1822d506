"""Gates that judge answers and their rewards, and reward models."""

from collections.abc import Sequence
from math import inf, isfinite

from manifests.schema_training_gates import ANSWERS, LengthBiasGate, RewardAccuracyGate, RewardDriftGate
from training.gates.facts import OURS, THEIRS, CannotJudgeError, Found, excess
from training.gates.words import limited, number, percent, share, signed, unsure
from training.jobs import Made
from training.measuring.jobs import Measured
from training.measuring.uncertainty import ks_by_chance, ks_distance, mean, mean_error, ratio_error, wilson
from training.summary_models import Answer


def length_bias_found(gate: LengthBiasGate, of: Measured, other: Measured, to: str) -> Found:
    """The growth of answers, which counts where the mean reward rises by however little: what nobody pays is no bias.

    `to` says what the model is compared with.
    """
    theirs, ours = _answers(of, other)
    paid_before, paid = _rewards(theirs), _rewards(ours)
    lengths_before, lengths = _lengths(theirs), _lengths(ours)
    before, now = mean(lengths_before), mean(lengths)
    if before <= 0:
        raise CannotJudgeError(f"the answers of {THEIRS} are empty")
    growth, error = now / before - 1, ratio_error(lengths, lengths_before)
    rise, rise_error = mean(paid) - mean(paid_before), _rise_error(paid_before, paid)
    shown, limit = limited(growth, gate.max_growth, percent)
    said = (
        f"answers: mean length {before:.1f} -> {now:.1f} tokens ({shown}"
        f"{unsure(growth, gate.max_growth, error, f'{error:.1%}')}{to}; at most {limit} where reward rises), "
        f"reward {mean(paid_before):.3f} -> {mean(paid):.3f} ({rise:+z.3f}"
        f"{unsure(rise, 0.0, rise_error, f'{rise_error:.3f}')}){_cut(ours)}"
    )
    figures = {"before": before, "now": now, "growth": growth, "growth_se": error, "max_growth": gate.max_growth}
    figures |= {"reward_rise": rise, "reward_rise_se": rise_error}
    return Found(excess(growth, gate.max_growth) if rise > 0 else -inf, said, figures)


def reward_drift_found(gate: RewardDriftGate, of: Measured, other: Measured, to: str) -> Found:
    """How far the rewards of a model's answers lie from another's, and whether their mean rose."""
    theirs, ours = _answers(of, other)
    before, now = _rewards(theirs), _rewards(ours)
    distance, chance = ks_distance(before, now), ks_by_chance(len(before), len(now))
    rise, error = mean(now) - mean(before), _rise_error(before, now)
    shown, limit = limited(distance, gate.max_distance, number)
    past, risen, least = excess(distance, gate.max_distance), f"{rise:+z.3f}", ""
    if gate.min_mean_rise is not None:
        past = max(past, excess(gate.min_mean_rise, rise))
        risen, wanted = limited(rise, gate.min_mean_rise, signed)
        least = f"; at least {wanted}"
    said = (
        f"rewards: Kolmogorov-Smirnov distance {shown}{to} (at most {limit}; chance gives {chance:.2f} once in 20"
        f"{', so this may be chance' if distance <= chance else ''}), mean {mean(before):.3f} -> {mean(now):.3f} "
        f"({risen}{unsure(rise, gate.min_mean_rise or 0.0, error, f'{error:.3f}')}{least})"
    )
    figures = {"distance": distance, "max_distance": gate.max_distance, "by_chance": chance}
    figures |= {"before": mean(before), "now": mean(now), "rise": rise, "rise_se": error}
    return Found(past, said, figures)


def reward_accuracy_found(gate: RewardAccuracyGate, made: Made) -> Found:
    """How well a reward model tells held-out pairs apart."""
    accuracy, n = made.figures.get("accuracy"), made.counts.get("held_out_pairs", 0)
    if accuracy is None:
        raise CannotJudgeError("no accuracy on held-out pairs was measured; set `held_out` above 0")
    if not isfinite(accuracy):
        raise CannotJudgeError(f"the accuracy on held-out pairs is {accuracy}")
    shown, limit = limited(accuracy, gate.min, share)
    low, high = wilson(accuracy * n, n) if n else (0.0, 1.0)
    doubt = "; the limit lies within that" if low < gate.min < high and n else ""
    of = f" on {n:,} held-out pairs" if n else ""
    interval = f"; 95%: {low:.1%} to {high:.1%}{doubt}" if n else ""
    said = f"accuracy {shown}{of} (at least {limit}{interval})"
    figures = {"accuracy": accuracy, "low": low, "high": high, "n": float(n), "min": gate.min}
    return Found(excess(gate.min, accuracy), said, figures)


def _answers(of: Measured, other: Measured) -> tuple[Sequence[Answer], Sequence[Answer]]:
    """Answers of the other model and of the stage's, to the same prompts."""
    for measured, whose in ((other, THEIRS), (of, OURS)):
        if ANSWERS in measured.not_measured:
            raise CannotJudgeError(f"{whose} could not be measured: {measured.not_measured[ANSWERS]}")
        if not measured.answers:
            raise CannotJudgeError(f"{whose} gave no answers")
    if [answer.prompt for answer in of.answers] != [answer.prompt for answer in other.answers]:
        raise CannotJudgeError(f"{THEIRS} answered other prompts")
    return other.answers, of.answers


def _lengths(answers: Sequence[Answer]) -> list[float]:
    return [float(answer.n_tokens) for answer in answers]


def _rewards(answers: Sequence[Answer]) -> list[float]:
    found = [answer.reward for answer in answers if answer.reward is not None and isfinite(answer.reward)]
    if len(found) < len(answers):
        raise CannotJudgeError(
            f"{len(answers) - len(found)} of {len(answers)} answers have no reward that is a number"
        )
    return found


def _rise_error(before: Sequence[float], now: Sequence[float]) -> float:
    """Standard error of the rise of a mean, of the same prompts."""
    return mean_error([b - a for a, b in zip(before, now, strict=True)])


def _cut(answers: Sequence[Answer]) -> str:
    """What hides growth: answers that did not end by themselves have the greatest length that is allowed."""
    n_cut = sum(not answer.ended for answer in answers)
    return f"; {n_cut} of {len(answers)} answers were cut at `max_new_tokens`" if 2 * n_cut > len(answers) else ""
