"""The gate `refusal`: no refusals, no talk of being a language model, no left-over frames, no marks of a template.

What is looked for stands in `phrases.yaml`. It must not take a text about language models for one by them: phrases
count only where somebody would say them, and not in quotation marks.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

import yaml

from manifests.schema_synthesis import RefusalGate
from synth.gates.gate import BatchGate, Passed, Verdict
from synth.gates.prose import parted, prose, spoken
from synth.samples import Rejection, Sample
from synth.tasks.grams import unspaced

SHOWN_CHARS = 80
"""Of what gave an answer away."""

_PLACES = {"start": r"\A[\s*_#>-]*(?:{})", "sentence": r"(?:\A|[.!?…\n])[\s*_#>-]*(?:{})", "anywhere": r"(?:{})"}

_QUOTED = re.compile(
    r'“[^”\n]{1,600}”|"[^"\n]{1,600}"|‘[^’\n]{1,600}’|「[^」\n]{1,600}」|『[^』\n]{1,600}』'
    r"|(?<![A-Za-z0-9가-힣])'[^'\n]{1,600}'(?![A-Za-z0-9])"
)
_LINE_ENDS, _SPACES = re.compile(r"\s*\n\s*"), re.compile(r"[^\S\n]+")


class Refusal(BatchGate):
    """Looks for phrases."""

    name = "refusal"

    def __init__(self, settings: RefusalGate) -> None:
        self._further = {unspaced(phrase): phrase for phrase in settings.phrases if phrase.strip()}

    def judge_batch(self, batch: Sequence[Sample]) -> Iterable[Verdict]:
        """The verdicts of some samples."""
        return [self._verdict(spoken(sample)) for sample in batch]

    def _verdict(self, text: str) -> Verdict:
        if self._further:
            folded = unspaced(text)
            if said := next((phrase for key, phrase in self._further.items() if key in folded), None):
                return Rejection(self.name, "phrase", detail=said)
        _, answer = parted(text)
        bare = _QUOTED.sub("…", _SPACES.sub(" ", _LINE_ENDS.sub("\n", prose(answer).strip())))
        for reason, pattern in _phrases():
            if found := pattern.search(bare):
                return Rejection(self.name, reason, detail=found[0].strip()[:SHOWN_CHARS])
        return Passed()


@cache
def _phrases() -> list[tuple[str, re.Pattern[str]]]:
    """(reason, pattern) in the order in which they are tried."""
    written = yaml.safe_load((files(__package__) / "phrases.yaml").read_text("utf-8"))
    return [
        (reason, re.compile(_PLACES[place].format("|".join(patterns)), re.IGNORECASE | re.MULTILINE))
        for reason, places in written.items()
        for place, patterns in places.items()
    ]
