"""A sweep of t: what a merge would come to at other places between its two models, each measured and thrown away."""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manifests.engine import Progress
from manifests.schema_merge import MergeRule
from training.jobs import Cell, Table
from training.merging.charts import loss_chart, pareto_chart
from training.merging.merge import merge, with_t
from training.pages.charts import pareto
from training.summary_models import Measures

Measure = Callable[[str, Path], Measures]
"""What a model comes to on each set of `validation`, by what it is called and its folder."""
FOLDER = "sweep"


@dataclass(frozen=True)
class Swept:
    """What a model of a sweep came to."""

    name: str
    """`t=0.3`, or what a parent is called."""
    t: float
    measures: Measures

    def loss(self, name: str) -> float:
        """On a set."""
        return self.measures[name]["loss"]


def sweep(
    rule: MergeRule,
    values: Sequence[float],
    folders: Mapping[str, Path],
    folder: Path,
    measure: Measure,
    *,
    seed: int,
    threads: int | None,
    progress: Progress,
) -> list[Swept]:
    """Merge at each t, measure, and remove what was made; both parents are measured as they are.

    Args:
        rule: of two models.
        values: of t, from 0 to 1.
        folders: of each model, by what the rule calls it.
        folder: where merged models lie for a while.
        measure: what a model comes to.
        seed: of the merge.
        threads: of the merge.
        progress: is told of each t.
    """
    first, second = (item.model for item in rule.models)
    swept = [Swept(first, 0.0, measure(first, folders[first]))]
    for number, t in enumerate(between := sorted({t for t in values if 0 < t < 1})):
        progress("sweep", number, len(between), f"t={t:g}")
        made = folder / f"t-{t:g}"
        try:
            merge(with_t(rule, t), folders, made, seed=seed, threads=threads, replaces=True)
            swept.append(Swept(f"t={t:g}", t, measure(f"t={t:g}", made)))
        finally:
            shutil.rmtree(made, ignore_errors=True)
    progress("sweep", 1, 1)
    swept.append(Swept(second, 1.0, measure(second, folders[second])))
    shutil.rmtree(folder, ignore_errors=True)
    return swept


def two_sets(swept: Sequence[Swept]) -> tuple[str, str] | None:
    """The sets that are traded against each other: of Korean and English, by their names; else the first two.

    None where fewer than two were measured by their loss.
    """
    names = loss_sets(swept)
    korean, english = (next((n for n in names if _is_of(n, words)), None) for words in (_KOREAN, _ENGLISH))
    if korean and english and korean != english:
        return korean, english
    return (names[0], names[1]) if len(names) > 1 else None


_KOREAN, _ENGLISH = ("ko", "kor", "korean"), ("en", "eng", "english")


def _is_of(name: str, words: Sequence[str]) -> bool:
    return any(part in words for part in re.split(r"[^a-z]+", name.lower()))


def loss_sets(swept: Sequence[Swept]) -> list[str]:
    """Sets on which all models have a loss."""
    return [name for name in swept[0].measures if all("loss" in model.measures.get(name, {}) for model in swept)]


def sweep_table(swept: Sequence[Swept]) -> Table:
    """What each t came to on each set, and which of them no other beats on both languages."""
    losses = loss_sets(swept)
    others = [
        name for name in swept[0].measures if all("accuracy" in model.measures.get(name, {}) for model in swept)
    ]
    pair = two_sets(swept)
    front = _front(swept, pair)
    rows: list[list[Cell]] = [
        [
            model.name,
            *(round(model.loss(name), 5) for name in losses),
            *(round(model.measures[name]["accuracy"], 4) for name in others),
            *(["front" if model in front else ""] if pair else []),
        ]
        for model in swept
    ]
    columns = ["model", *(f"loss on {name}" for name in losses), *(f"accuracy on {name}" for name in others)]
    return Table(
        title="Sweep of t", columns=[*columns, *(["Pareto"] if pair else [])], rows=rows, note=in_words(swept, pair)
    )


def in_words(swept: Sequence[Swept], pair: tuple[str, str] | None) -> str:
    """What the sweep says."""
    losses = loss_sets(swept)
    said = []
    for name in losses:
        best = min(swept, key=lambda model: model.loss(name))
        parents = min(swept[0].loss(name), swept[-1].loss(name))
        worst = max((model for model in swept[1:-1]), key=lambda model: model.loss(name), default=None)
        said.append(f"On {name}, {best.name} is best ({best.loss(name):.4f}; the better parent {parents:.4f}).")
        if worst and worst.loss(name) > max(swept[0].loss(name), swept[-1].loss(name)):
            said.append(
                f"{worst.name} is worse there than both parents ({worst.loss(name):.4f}): between them the loss has "
                "a ridge, as it has between models that were trained apart."
            )
    if pair:
        names = ", ".join(model.name for model in _front(swept, pair))
        said.append(f"On {pair[0]} and {pair[1]} together, no model beats {names}.")
    return " ".join(said)


def sweep_charts(swept: Sequence[Swept]) -> dict[str, str]:
    """The front of two languages, or the loss of one set over t."""
    pair = two_sets(swept)
    if pair:
        points = [(model.name, model.loss(pair[0]), model.loss(pair[1])) for model in swept]
        return {f"What t trades: loss on {pair[0]} against {pair[1]}": pareto_chart(points, *pair)}
    return {
        f"Loss on {name} over t": loss_chart([(model.t, model.loss(name)) for model in swept], name)
        for name in loss_sets(swept)
    }


def _front(swept: Sequence[Swept], pair: tuple[str, str] | None) -> list[Swept]:
    if not pair:
        return []
    points = pareto([(model.loss(pair[0]), model.loss(pair[1])) for model in swept])
    return [model for model in swept if (model.loss(pair[0]), model.loss(pair[1])) in points]
