"""Which columns of a stage's curve the page draws, under which title, and which of them share a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.jobs import Cell
from training.pages.charts import Chart, Line, curve

Rows = Sequence[Mapping[str, Cell]]


@dataclass(frozen=True)
class Group:
    """Columns that share a chart: of each the names that trainers give it, what it is called, and its colour."""

    title: str
    columns: tuple[tuple[tuple[str, ...], str, str], ...]
    low: float | None = None
    high: float | None = None
    level: float | None = None
    """What chance alone gives."""


def _one(
    title: str, *names: str, low: float | None = None, high: float | None = None, level: float | None = None
) -> Group:
    return Group(title, ((names, "", "kept"),), low, high, level)


LEARNING_RATE = "learning rate"
CHOSEN_COLOR, REJECTED_COLOR = "kept", "dropped"


def _sides(title: str, chosen: str, rejected: str) -> Group:
    """Of pairs, both answers in one chart."""
    return Group(title, (((chosen,), "chosen", CHOSEN_COLOR), ((rejected,), "rejected", REJECTED_COLOR)))


FIRST = (
    _one("loss", "loss"),
    _one(LEARNING_RATE, "learning_rate", low=0),
    _one("accuracy of preferences", "rewards/accuracies", "accuracy", low=0, high=1, level=0.5),
    _one("own answer nearest in its batch", "nearest_frac", low=0, high=1),
    _one("margin of rewards", "rewards/margins", "margin"),
    _sides("implicit rewards", "rewards/chosen", "rewards/rejected"),
    Group(
        "rewards of a batch",
        (
            (("max_reward",), "highest", "failed"),
            (("mean_reward",), "mean", "kept"),
            (("min_reward",), "lowest", "dropped"),
        ),
    ),
    _one("reward of drawn answers", "reward_mean", "reward", "objective/scores"),
    _one("length of drawn answers, tokens", "answer_length", "length", "completions/mean_length"),
    _one("divergence from the reference", "kl", "objective/kl"),
)
"""What is shown without being asked for: it says what became of the stage."""
MORE = (
    _one("norm of the gradient", "grad_norm", low=0),
    _one("z-loss", "z_loss"),
    _one("log of the sum of the softmax", "lse"),
    _one("accuracy of the next token", "mean_token_accuracy"),
    _one("entropy", "entropy"),
    _sides("rewards of both answers", "reward_chosen", "reward_rejected"),
    _sides("length of both answers, tokens", "lengths/chosen", "lengths/rejected"),
    _sides("log-probability of both answers", "logps/chosen", "logps/rejected"),
    _sides("mean logit of both answers", "logits/chosen", "logits/rejected"),
    _one("share of answers that end", "ended_frac", low=0, high=1),
    _one("tokens per second", "tokens_per_s", low=0),
)
N_SHOWN = 3
"""Charts that are shown at least: a row of the page."""
NO_CURVES = frozenset(
    {"step", "epoch", "num_tokens", "num_input_tokens_seen", "total_flos", "tokens", "trained_tokens", "prompts"}
    | {"pairs", "ties", "identical", "answers", "answer_tokens"}
)
"""Columns that only count."""


@dataclass(frozen=True)
class Drawn:
    """A chart to be drawn, and what it shows."""

    title: str
    chart: Chart
    is_first: bool


def curves(rows: Rows) -> list[Drawn]:
    """Charts of all numbers of a curve, those that say most first.

    Args:
        rows: lines of `curve.jsonl`; a line may lack a column.
    """
    used, drawn = set(NO_CURVES), list[Drawn]()
    for group in (*FIRST, *MORE):
        lines = list[Line]()
        for names, label, color in group.columns:
            used |= set(names)
            points = next((found for name in names if (found := points_of(rows, name))), [])
            lines += curve(points, color, label, group.title != LEARNING_RATE) if points else []
        if lines:
            levels = [] if group.level is None else [(group.level, "")]
            chart = Chart(lines, "step", levels=levels, low=group.low, high=group.high)
            drawn.append(Drawn(group.title, chart, group in FIRST or len(drawn) < N_SHOWN))
    others = dict.fromkeys(name for row in rows for name in row if name not in used)
    for name in others:
        if points := points_of(rows, name):
            drawn.append(Drawn(name.replace("_", " "), Chart(curve(points), "step"), is_first=False))
    return drawn


def points_of(rows: Rows, name: str) -> list[tuple[float, float]]:
    """(step, value) of a column where a line has it; lines without a step count from 1."""
    found = []
    for number, row in enumerate(rows, 1):
        value, step = row.get(name), row.get("step", number)
        if isinstance(value, int | float) and isinstance(step, int | float):
            found.append((float(step), float(value)))
    return found
