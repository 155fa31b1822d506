"""Scores of all rows of a benchmark together: a mean of subjects' means, and a macro F1."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from training.benchmarks.task import Aggregate, Doc

CHOSEN = "chosen"
"""Beside the scores of `choices`: the place of the likeliest choice, from 0."""


def over_groups(score: str, group: Callable[[Doc], str]) -> Aggregate:
    """`SCORE_macro`: the mean of the groups' means, each group counting the same however many rows it has."""

    def aggregate(rows: Sequence[Doc], scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
        found = dict[str, list[float]]()
        for row, of_row in zip(rows, scores, strict=True):
            if score in of_row:
                found.setdefault(group(row), []).append(of_row[score])
        return {f"{score}_macro": fmean(map(fmean, found.values()))} if found else {}

    return aggregate


def f1_of(right: Callable[[Doc], int], n_choices: int) -> Aggregate:
    """`f1`: the macro F1 of the places that were chosen, as KoBEST is scored.

    Of two choices the place follows from the accuracy; of more there is no F1 where scores do not hold `chosen`.
    """

    def aggregate(rows: Sequence[Doc], scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
        golds, chosen = list[int](), list[int]()
        for row, of_row in zip(rows, scores, strict=True):
            gold = right(row)
            if CHOSEN in of_row:
                chosen.append(round(of_row[CHOSEN]))
            elif n_choices == 2 and of_row.get("acc") in (0.0, 1.0):
                chosen.append(gold if of_row["acc"] else 1 - gold)
            else:
                return {}
            golds.append(gold)
        return {"f1": macro_f1(golds, chosen)} if golds else {}

    return aggregate


def macro_f1(golds: Sequence[int], chosen: Sequence[int]) -> float:
    """Mean over all classes that are right or were chosen somewhere of 2 TP / (2 TP + FP + FN) (scikit-learn's)."""
    found = list[float]()
    for label in sorted({*golds, *chosen}):
        n_gold, n_chosen = golds.count(label), chosen.count(label)
        n_both = sum(gold == label == one for gold, one in zip(golds, chosen, strict=True))
        found.append(2 * n_both / (n_gold + n_chosen))
    return fmean(found)
