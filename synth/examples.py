"""A few samples of a run to look at: chance picks them, the same ones at every run, and their texts are shortened."""

import heapq
from collections.abc import Sequence
from math import isfinite

from synth.samples import Message, Sample
from synth.summary_models import Example
from synth.tables import id_of
from synth.tasks.task import draw

TEXT_CHARS = 900
"""Of each text of an example: longer ones lose their middle."""


class Chosen:
    """A few samples of many: those whose ids draw the lowest numbers, each once, whatever the order."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[tuple[int, str, Example]] = []

    def offer(self, sample: Sample, task: str) -> None:
        """Take it in if it is drawn."""
        name = id_of(sample, task)
        rank = -draw("example", name)
        if len(self._heap) == self._count and rank <= self._heap[0][0]:
            return
        if any(name == other for _, other, _ in self._heap):
            return
        push = heapq.heappush if len(self._heap) < self._count else heapq.heapreplace
        push(self._heap, (rank, name, _example(sample, name)))

    def examples(self) -> tuple[Example, ...]:
        """In the order in which they were drawn."""
        return tuple(example for _, _, example in sorted(self._heap, key=lambda entry: -entry[0]))


def _example(sample: Sample, name: str) -> Example:
    why = sample.rejection
    return Example(
        id=name,
        item=sample.item.id,
        form=sample.form,
        language=sample.language,
        variety=sample.variety,
        prompt=shortened(_dialogue(sample.prompt) or (sample.item.text if sample.form == "text" else "")),
        answer=shortened(sample.text if sample.form == "text" else _dialogue(sample.answer)),
        worse=shortened(_dialogue(sample.worse)),
        numbers={name: value for name, value in sample.numbers.items() if isfinite(value)},
        tags={name: shortened(value, TEXT_CHARS // 9) for name, value in sample.tags.items()},
        value=why.value if why and why.value is not None and isfinite(why.value) else None,
        threshold=why.threshold if why and why.threshold is not None and isfinite(why.threshold) else None,
        detail=shortened(why.detail, TEXT_CHARS // 2) if why else "",
    )


def _dialogue(messages: Sequence[Message]) -> str:
    """The words of messages; where there are several, each after who says it."""
    texts = [
        "\n".join([*([m.content] if m.content else []), *(f"{call.name}({call.arguments})" for call in m.calls)])
        for m in messages
    ]
    if len(messages) == 1:
        return texts[0]
    return "\n\n".join(f"{m.role}: {text}" for m, text in zip(messages, texts, strict=True))


def shortened(text: str, n_chars: int = TEXT_CHARS) -> str:
    """The text without its middle, where it is longer."""
    if len(text) <= n_chars:
        return text
    head = n_chars * 2 // 3
    return f"{text[:head]} […] {text[-(n_chars - head) :]}"
