"""The tables of an experiment in words, for a terminal."""

from training.experiments.statistics import is_sure, n_known
from training.experiments.summary_models import ArmRow, Expectation, ExperimentSummary, Interval, RungRow
from training.pages.values import amount


def table_of(summary: ExperimentSummary) -> tuple[list[str], list[tuple[str, ...]]]:
    """Header and rows: a row per arm, or per rung and measure."""
    if summary.kind == "ladder":
        header = ["rung", "measure", "before", "after", "difference", "expected", "FLOPs"]
        return header, [row for rung in summary.rungs for row in _of_rung(rung)]
    names = [column.name for column in summary.columns]
    return ["arm", *names, "tokens", "FLOPs"], [_of_arm(arm, names) for arm in summary.arms]


def _of_arm(arm: ArmRow, names: list[str]) -> tuple[str, ...]:
    cells = []
    for name in names:
        found, difference = arm.figures.get(name), arm.differences.get(name)
        lines = [mean_of(found)] if found else ["-"]
        lines += [f"{difference_of(difference)}"] if difference else []
        cells.append("\n".join(lines))
    name = f"{arm.name}\n(baseline)" if arm.is_baseline else arm.name
    return (name, *cells, amount(arm.n_tokens) if arm.n_tokens else "", _flops(arm.flops_total))


def _of_rung(rung: RungRow) -> list[tuple[str, ...]]:
    """A line per measure; the name of the rung stands before the first."""
    expected = {one.measure: one for one in rung.expectations}
    rows = list[tuple[str, ...]]()
    for name in dict.fromkeys([*rung.figures, *expected]):
        found, before, difference = rung.figures.get(name), rung.before.get(name), rung.differences.get(name)
        rows.append(
            (
                rung.name if not rows else "",
                name,
                mean_of(before) if before else "",
                mean_of(found) if found else "",
                difference_of(difference) if difference else "",
                _expected(expected[name]) if name in expected else "",
                _flops(rung.flops_total) if not rows else "",
            )
        )
    return rows or [(rung.name, "", "", "", "", "nothing was measured", _flops(rung.flops_total))]


def _expected(asked: Expectation) -> str:
    if not asked.n_seeds:
        return f"{asked.expected}: not measured"
    sure = f", {'surely' if asked.is_sure else 'not surely'}" if asked.n_seeds > 1 else ""
    return f"{asked.expected}: {asked.holds_in} of {asked.n_seeds} seeds{sure}"


def mean_of(found: Interval) -> str:
    """A mean, and half of the width of its interval where there is one."""
    half = (found.high - found.low) / 2
    return f"{_number(found.mean)} ± {_number(half)}" if n_known(found) > 1 else _number(found.mean)


def difference_of(found: Interval) -> str:
    """What differs, with its sign; `*` where the interval does not hold 0, and says something."""
    half, sign = (found.high - found.low) / 2, "+" if found.mean >= 0 else "-"
    if n_known(found) < 2:
        return f"{sign}{_number(abs(found.mean))}"
    mark = " *" if is_sure(found) else ""
    return f"{sign}{_number(abs(found.mean))} ± {_number(half)}{mark}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"


def _flops(flops: float) -> str:
    return f"{flops:.1e}".replace("e+", "e") if flops else ""
