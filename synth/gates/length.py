"""The gate `length`: answers are neither too short nor too long."""

from collections.abc import Iterable, Sequence

from manifests.schema_synthesis import LengthGate
from synth.gates.gate import BatchGate, Passed, Verdict
from synth.samples import Rejection, Sample


class Length(BatchGate):
    """Counts the characters of answers, calls of functions included."""

    name = "length"

    def __init__(self, settings: LengthGate) -> None:
        self._settings = settings

    def judge_batch(self, batch: Sequence[Sample]) -> Iterable[Verdict]:
        """The verdicts of some samples."""
        return [self._verdict(len(sample.answer_text.strip())) for sample in batch]

    def _verdict(self, n_chars: int) -> Verdict:
        shortest, longest = self._settings.min_chars, self._settings.max_chars
        if n_chars < shortest:
            return Rejection(self.name, "too_short", n_chars, shortest)
        if n_chars > longest:
            return Rejection(self.name, "too_long", n_chars, longest)
        return Passed(n_chars)
