"""Samples as gates get them, and what gates say of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from synth.gates.gate import Gate, Verdict
from synth.samples import Item, Message, Rejection, Sample


@dataclass(frozen=True)
class Held:
    """Samples in memory, in batches of two."""

    samples: Sequence[Sample]

    def __iter__(self) -> Iterator[Sequence[Sample]]:
        return (self.samples[start : start + 2] for start in range(0, len(self.samples), 2))

    def __len__(self) -> int:
        return len(self.samples)


def said(
    answer: str, prompt: str = "질문입니다.", language: str = "ko", seed: str | None = None, id: str = "0"
) -> Sample:
    """A sample whose seed is its prompt, unless it has another."""
    item = Item(id, prompt if seed is None else seed, language, number=int(id) if id.isdecimal() else 0)
    return Sample(
        item, "messages", language, prompt=(Message("user", prompt),), answer=(Message("assistant", answer),)
    )


def document(text: str, language: str = "ko", id: str = "0") -> Sample:
    return Sample(Item(id, "원문", language), "text", language, text=text)


def verdicts(gate: Gate, *samples: Sample) -> list[Verdict]:
    found = list(gate.judge(Held(samples)))
    assert len(found) == len(samples)
    return found


def reasons(gate: Gate, *samples: Sample) -> list[str]:
    """The reasons of rejections; empty for what passed."""
    found = verdicts(gate, *samples)
    assert all(verdict.stage == gate.name for verdict in found if isinstance(verdict, Rejection))
    return [verdict.reason if isinstance(verdict, Rejection) else "" for verdict in found]
