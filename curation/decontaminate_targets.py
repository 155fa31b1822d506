"""What decontamination looks for, and how sure it is of what it found: one score per stretch of a document.

    score = contained ** (1 + 6 x numbers missing) x min(1, (weight + answer) / ENOUGH) [x STATEMENT_SHARE]

`contained` is the part of the item's weight that was found. The fewer of its numbers are there, the closer its words
have to be: an item whose numbers were changed has all of its words, another problem of the same template has not. A
short item has little weight altogether; its answer standing near makes up for the rest. A question that is found as a
statement is most likely the text that it was made from.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from curation.benchmarks import Item
from curation.kernels.contamination import PARTICLES, WIDE

ENOUGH = 20.0
"""Weight, in units of rare text beyond the first n-gram, from which a match needs no answer beside it."""

NUMBERS_POWER = 6.0

STATEMENT_SHARE = 0.65

QUESTION_MARK_CHARS = 40
"""How far after its words the mark of a question is looked for."""

ANSWER_CHARS = 200
"""How far from an item its answer is looked for."""

ANSWER_UNITS_MAX = 12
"""What an answer counts at most: it makes up for shortness and stands for nothing on its own."""


@dataclass(frozen=True)
class Judgement:
    """How sure it is that a stretch of a document holds a target."""

    score: float
    contained_frac: float
    numbers_frac: float | None
    """Of the target's numbers; None where it has fewer than two."""
    answer_near: bool


@dataclass(frozen=True)
class Target:
    """A text to find: the question of an item, or its choices."""

    item: Item
    part: str
    text: str
    numbers: Counter[str]
    answer: str
    """Folded, with its digits; empty where the text itself holds it, since then it proves nothing."""

    @property
    def answer_units(self) -> int:
        """What the answer adds to the weight."""
        return min(sum(2 if ord(char) >= WIDE else 1 for char in self.answer), ANSWER_UNITS_MAX)

    @property
    def answer_reach(self) -> int:
        """Characters on each side in which the answer must begin and end."""
        return ANSWER_CHARS + 2 * len(self.answer)

    def judge(self, weight: float, whole: float, found: str, before: str, after: str) -> Judgement:
        """The score of a stretch of a document.

        Args:
            weight: of the target's n-grams that it holds.
            whole: weight of all of them.
            found: its text.
            before: what stands before it, as far as `answer_reach`.
            after: what stands after it.
        """
        contained = min(weight / whole, 1.0)
        near = self.answer != "" and (self.answer in fold(before) or self.answer in fold(after))
        score = min(1.0, (weight + near * self.answer_units) / ENOUGH)
        n_numbers, numbers_frac = self.numbers.total(), None
        if n_numbers > 1:
            numbers_frac = (self.numbers & numbers_of(found)).total() / n_numbers
        score *= contained ** (1 + NUMBERS_POWER * (0 if numbers_frac is None else 1 - numbers_frac))
        if self.is_question and not self.tail(after):
            score *= STATEMENT_SHARE
        return Judgement(score, contained, numbers_frac, near)

    @property
    def is_question(self) -> bool:
        """Whether it ends in a question mark."""
        return self.text.rstrip().endswith("?")

    def tail(self, after: str) -> str:
        """What stands between the words that were found and the mark of their question, with the mark."""
        before, mark, _ = after[:QUESTION_MARK_CHARS].partition("?")
        return before + mark if self.is_question and mark else ""


def targets_of(item: Item) -> Iterator[Target]:
    """The question of an item and, where it has some, its choices together, in the normal form of all texts."""
    from curation.normalize import normalize  # brings ftfy, which a decision without benchmarks does not need

    for part, text in (("question", item.question), ("choices", "\n".join(item.choices))):
        if text.strip():
            text, answer = normalize(text), fold(normalize(item.answer))
            yield Target(item, part, text, numbers_of(text), "" if answer in fold(text) else answer)


def fold(text: str) -> str:
    """Letters and digits of a text in lower case, without those that particles alternate between."""
    return "".join(char for char in text.lower() if char.isalnum() and char not in PARTICLES)


def numbers_of(text: str) -> Counter[str]:
    """How often each number stands in a text, as written but for commas."""
    return Counter(number.replace(",", "").rstrip(".") for number in re.findall(r"[0-9][0-9,.]*", text))
