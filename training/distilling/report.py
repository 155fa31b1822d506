"""What came of a distillation, in figures: what held-out tokens say, and where a student that is full differs.

DNA 1.0 takes a flat loss with a gap to the teacher for a lack of capacity. Where that is so, hidden states of both
models are compared layer by layer, which shows where the student goes its own way.
"""

from collections.abc import Mapping, Sequence

from manifests.schema_training_gates import PlateauGate
from training.distilling.held_out import HeldOut
from training.distilling.opening import Opened
from training.jobs import Cell, Made, Table
from training.measuring.uncertainty import slope

LAST = float(PlateauGate.model_fields["last"].default)
MIN_FALL = float(PlateauGate.model_fields["min_fall"].default)
POINTS_MIN = 3
Line = Mapping[str, Cell]
OF_CURVE = ("divergence", "phi", "student_frac", "beta")


def made_of(
    opened: Opened,
    before: HeldOut,
    after: HeldOut,
    curve: Sequence[Line],
    counts: Mapping[str, int],
    tables: Sequence[Table],
) -> Made:
    """What the stage tells.

    Args:
        opened: its data.
        before: held-out sums of the model that the stage goes on from.
        after: of the one that it made.
        curve: all lines.
        counts: what was counted in training.
        tables: of the diagnosis.
    """
    figures = {"loss_first": _number(curve[0]["loss"]), "loss_last": _number(curve[-1]["loss"])}
    for name in OF_CURVE:
        if name in curve[-1]:
            figures |= {f"{name}_first": _number(curve[0][name]), f"{name}_last": _number(curve[-1][name])}
    if after.n_tokens:
        figures |= held_out_figures(before, after)
    return Made(
        counts=opened.counts | dict(counts),
        figures=figures,
        left_out=opened.left_out,
        tables=[*([held_out_table(before, after)] if after.n_tokens else []), *opened.tables, *tables],
    )


def _number(value: Cell) -> float:
    return float(value or 0)


def held_out_figures(before: HeldOut, after: HeldOut) -> dict[str, float]:
    """Means per held-out token, before and after."""
    return {
        "held_out_divergence_before": before.mean("divergence"),
        "held_out_divergence": after.mean("divergence"),
        "held_out_loss_before": before.mean("student"),
        "held_out_loss": after.mean("student"),
        "held_out_teacher_loss": after.mean("teacher"),
        "held_out_agreement_before": before.mean("agreed"),
        "held_out_agreement": after.mean("agreed"),
    }


def held_out_table(before: HeldOut, after: HeldOut) -> Table:
    """The same for the page."""
    rows: list[list[Cell]] = [
        [name, *(round(one.mean(field), 5) for field in ("divergence", "student", "teacher", "agreed"))]
        for name, one in (("before", before), ("after", after))
    ]
    return Table(
        title="Held-out tokens",
        columns=["student", "divergence", "loss", "teacher's loss", "same likeliest token"],
        rows=rows,
        note=f"Means of {after.n_tokens:,} tokens that were not trained on: nats per token (the divergence is that "
        "of `loss`), and the share of tokens where both models find the same one the likeliest.",
    )


def is_flat(curve: Sequence[Line]) -> bool:
    """Whether the loss of training falls no more.

    By less than 1% over the last quarter of the steps, along a straight line through them: as a gate `plateau` says.
    """
    of_steps = {int(line["step"] or 0): _number(line["loss"]) for line in curve if line.get("loss") is not None}
    chosen = sorted(step for step in of_steps if step > max(of_steps) * (1 - LAST))
    if len(chosen) < POINTS_MIN:
        return False
    start, rise, _ = slope(chosen, [of_steps[step] for step in chosen])
    return -rise < MIN_FALL * start
