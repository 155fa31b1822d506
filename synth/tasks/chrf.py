"""chrF: how alike two texts are, by the character n-grams that they share."""

from collections import Counter

ORDER = 6
"""Longest n-grams, in characters."""
BETA = 2
"""How many times as much recall weighs as precision."""


def chrf(said: str, wanted: str) -> float:
    """The character n-gram F-score, from 0 to 1, as sacreBLEU 2 reckons it for one sentence (times 100).

    Spaces are left out; precision and recall are means over the orders that both texts are long enough for:
    (1 + beta²) P R / (beta² P + R). (Popović 2015, chrF: character n-gram F-score for automatic MT evaluation.)
    """
    left, right = "".join(said.split()), "".join(wanted.split())
    orders = range(1, min(ORDER, len(left), len(right)) + 1)
    if not orders:
        return 0.0
    precision = recall = 0.0
    for order in orders:
        ours, theirs = _grams(left, order), _grams(right, order)
        n_shared = (ours & theirs).total()
        precision += n_shared / ours.total()
        recall += n_shared / theirs.total()
    precision, recall = precision / len(orders), recall / len(orders)
    below = BETA**2 * precision + recall
    return (1 + BETA**2) * precision * recall / below if below else 0.0


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
