"""What the terminal says of a step beside its bar: its number, the loss, and what the kind of stage is watched by."""

from collections.abc import Mapping

from training.jobs import Cell

SHOWN: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("loss",), "loss", ".4f"),
    (("rewards/margins", "margin"), "margin", ".3f"),
    (("rewards/accuracies", "accuracy"), "right", ".0%"),
    (("nearest_frac",), "nearest", ".0%"),
    (("reward_mean", "reward"), "reward", ".3f"),
    (("answer_length", "length"), "length", ".0f"),
    (("phi",), "phi", ".2f"),
    (("learning_rate",), "lr", ".1e"),
    (("tokens_per_s",), "tok/s", ",.0f"),
)
"""Names that trainers give a figure, what it is called here, and how it is written."""


def curve_note(line: Mapping[str, Cell], n_steps: int | None = None) -> str:
    """A line of the curve in a few words: `120/500 · loss 2.3141 · lr 1.2e-05`; what a line lacks is left out.

    Args:
        line: as of `curve.jsonl`.
        n_steps: of the whole stage.
    """
    step = line.get("step")
    said = [f"{step:,}/{n_steps:,}"] if isinstance(step, int) and n_steps else []
    for names, called, form in SHOWN:
        value = next((line[name] for name in names if isinstance(line.get(name), int | float)), None)
        if value is not None:
            said.append(f"{called} {value:{form}}")
    return " · ".join(said)
