"""Gates that judge losses and accuracies on `validation` sets, against another model's on the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from manifests.schema_training_gates import AccuracyGate, LossGate, PlateauGate
from training.gates.facts import CannotJudgeError, Facts, Found, both, excess, same_units
from training.gates.words import limited, percent, points, share, unsure
from training.jobs import Cell
from training.measuring.jobs import Measured
from training.measuring.uncertainty import mean_error, ratio_error, slope

POINTS_MIN = 3
"""Steps that a line through a curve needs at least, to have an error."""


@dataclass(frozen=True)
class _Rise:
    """From another model's loss to the stage's."""

    before: float
    now: float
    unit: str
    rise: float
    """As a share."""
    error: float
    """Standard error of the rise, over documents."""


def loss_found(gate: LossGate, of: Measured, other: Measured, to: str) -> Found:
    """The rise of a loss; `to` says what it is compared with."""
    risen = _rise(gate.set, of, other)
    shown, limit = limited(risen.rise, gate.max_rise, percent)
    doubt = unsure(risen.rise, gate.max_rise, risen.error, f"{risen.error:.1%}")
    said = f"{gate.set}: {risen.unit} {risen.before:.3f} -> {risen.now:.3f} ({shown}{doubt}{to}; at most {limit})"
    figures = {"before": risen.before, "now": risen.now, "rise": risen.rise, "rise_se": risen.error}
    return Found(excess(risen.rise, gate.max_rise), said, figures | {"max_rise": gate.max_rise})


def _rise(name: str, of: Measured, other: Measured) -> _Rise:
    """Per byte where the models' tokens differ, since losses per token then say nothing of each other."""
    n_before, n_now = both(of, other, name, "n_tokens")
    before_units, units = same_units(of, other, name)
    figure, unit = ("loss", "loss") if n_before == n_now else ("bits_per_byte", "bits per byte (other tokens)")
    before, now = both(of, other, name, figure)
    if before <= 0:
        raise CannotJudgeError(f"`{name}.{figure}` of the model that it is compared with is {before:.3f}")
    return _Rise(before, now, unit, now / before - 1, ratio_error(units, before_units))


def accuracy_found(gate: AccuracyGate, of: Measured, other: Measured, to: str) -> Found:
    """The fall of an accuracy; `to` says what it is compared with."""
    before, now = both(of, other, gate.set, "accuracy")
    before_units, units = same_units(of, other, gate.set)
    fall, error = before - now, mean_error([b - a for a, b in zip(units, before_units, strict=True)])
    shown, limit = limited(-fall, -gate.max_fall, points)
    doubt = unsure(fall, gate.max_fall, error, f"{100 * error:.1f}")
    said = f"{gate.set}: accuracy {before:.1%} -> {now:.1%} ({shown} points{doubt}{to}; at most {limit})"
    figures = {"before": before, "now": now, "fall": fall, "fall_se": error, "max_fall": gate.max_fall}
    return Found(excess(fall, gate.max_fall), said, figures)


def plateau_found(gate: PlateauGate, facts: Facts) -> Found:
    """A curve that is flat while the teacher is still better: neither alone says that the student is full."""
    if gate.teacher not in facts.models:
        raise CannotJudgeError(f"the teacher, `{gate.teacher}`, was not measured")
    gap = _rise(gate.set, facts.of, facts.models[gate.teacher])
    start, fall, fall_error = _fall(facts.curve, gate.last)
    shown, flat = limited(fall, gate.min_fall, share)
    gap_shown, limit = limited(gap.rise, gate.max_gap, percent)
    said = (
        f"{gate.set}: in the last {gate.last:.0%} of the steps the loss of training fell by {shown} of {start:.3f}"
        f"{unsure(fall, gate.min_fall, fall_error, f'{fall_error:.1%}')} (flat below {flat}); {gap.unit} on the set "
        f"{gap.now:.3f}, the teacher's {gap.before:.3f} ({gap_shown}"
        f"{unsure(gap.rise, gate.max_gap, gap.error, f'{gap.error:.1%}')}; at most {limit})"
    )
    figures = {"fall": fall, "fall_se": fall_error, "min_fall": gate.min_fall}
    figures |= {"gap": gap.rise, "gap_se": gap.error, "max_gap": gate.max_gap}
    is_flat = excess(gate.min_fall, fall) > 0
    return Found(excess(gap.rise, gate.max_gap) if is_flat else -inf, said, figures)


def _fall(curve: Sequence[Mapping[str, Cell]], last: float) -> tuple[float, float, float]:
    """Of the last steps, by a least-squares line: the loss at their start, its fall as a share, the fall's error."""
    of_steps = {
        step: loss  # a step that was logged again after a resumption counts once
        for step, loss in ((line.get("step"), line.get("loss")) for line in curve)
        if isinstance(step, int) and isinstance(loss, int | float)
    }
    if bad := [step for step, loss in of_steps.items() if not isfinite(loss)]:
        raise CannotJudgeError(f"the loss of training is {of_steps[bad[0]]} at step {bad[0]:,}")
    end = max(of_steps, default=0)
    chosen = sorted(step for step in of_steps if step > end * (1 - last))
    if len(chosen) < POINTS_MIN:
        raise CannotJudgeError(
            f"the curve has {len(chosen)} steps in its last {last:.0%}; a line through them needs {POINTS_MIN}"
        )
    start, rise, error = slope(chosen, [of_steps[step] for step in chosen])
    if start <= 0:
        raise CannotJudgeError(f"the loss of training is {start:.3f}, of which no share can be told")
    return start, -rise / start, error / start
