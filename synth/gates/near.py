"""The gate `near`: no near-duplicates within the set, and none of the seeds comes back.

A sample is rejected where one before it that stays is nearly the same. What is compared:

- `prompt`: prompts, so that one sample stays per question.
- `answer`: answers, whatever was asked.
- `both`: prompt and answer together, of samples whose prompts differ. Samples of one prompt are compared by their
  answers alone: several traces of a question are alike in their long prompt, and are no duplicates for that.

Samples of different forms are not compared: a preference pair has the prompt and the chosen answer of another sample.
With the seeds are compared answers, and prompts that were written; a prompt that holds its own seed was not. Where
answers are made of the text of their seeds by design, they are not compared.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from manifests.schema_synthesis import NearGate
from synth.gates.gate import Drafts, Passed, Seeds, Verdict
from synth.gates.similar import Hashes, Nodes, Similar, digest, normalised, similar
from synth.samples import Rejection, Sample

SEEDS_AT_ONCE = 2000


class Near:
    """Finds near-duplicates by MinHash, and keeps the first."""

    name = "near"

    def __init__(self, settings: NearGate, seeds: Seeds, answers_are_seeds: bool = False) -> None:
        """Make the gate.

        Args:
            settings: of the manifest.
            seeds: gives all seeds anew.
            answers_are_seeds: whether answers are made of the text of their seeds by design.
        """
        self._settings = settings
        self._seeds = seeds
        self._answers_are_seeds = answers_are_seeds

    def judge(self, drafts: Drafts) -> Iterator[Verdict]:
        """The verdicts, one per sample, in order."""
        found = self._seed_copies(drafts) if self._settings.seeds else {}
        lost = _lost(len(drafts), self._pairs(drafts), set(found))
        wanted, names = {other for other, _ in lost.values()}, dict[int, str]()
        for number, sample in enumerate(sample for batch in drafts for sample in batch):
            if number in wanted:
                names[number] = _name(sample)
            if number in found:
                yield Rejection(self.name, "seed_copy", found[number][1], self._settings.jaccard, found[number][0])
            elif number in lost:
                other, value = lost[number]
                yield Rejection(self.name, "near_duplicate", value, self._settings.jaccard, names[other])
            else:
                yield Passed()

    def _pairs(self, drafts: Drafts) -> list[Similar]:
        """What is alike within the set."""
        jaccard, of = self._settings.jaccard, self._settings.of
        forms = _keys(drafts, lambda sample: digest(sample.form))
        if of != "both":
            what = _prompt if of == "prompt" else _answer
            return [similar(_each(drafts, what), jaccard, _all, forms)]
        prompts = _keys(drafts, lambda sample: digest(sample.prompt_text))
        return [
            similar(_each(drafts, _answer), jaccard, _all, prompts ^ (forms << np.uint64(1))),
            similar(_each(drafts, _both), jaccard, lambda left, right: prompts[left] != prompts[right], forms),
        ]

    def _seed_copies(self, drafts: Drafts) -> dict[int, tuple[str, float]]:
        """By the number of a sample the id of the seed that it is a copy of, and how similar it is."""
        n_seeds = sum(1 for _ in self._seeds())

        def texts() -> Iterator[Sequence[str]]:
            seeds = self._seeds()
            while some := list(islice(seeds, SEEDS_AT_ONCE)):
                yield [f"{seed.text}\n{seed.input}".strip() for seed in some]
            for batch in drafts:
                yield [text for sample in batch for text in self._of_sample(sample)]

        found = similar(texts, self._settings.jaccard, lambda left, right: (left < n_seeds) & (right >= n_seeds))
        copies: dict[int, tuple[int, float]] = {}
        later = np.union1d(found.right, np.flatnonzero(found.first != np.arange(len(found.first))))
        for text in later[later >= n_seeds].tolist():
            first = int(found.first[text])
            near = [(first, 1.0)] if first < n_seeds else list(found.before(first))
            if near:
                best = max(near, key=lambda pair: pair[1])
                sample = (text - n_seeds) // 2
                copies[sample] = max(copies.get(sample, best), best, key=lambda pair: pair[1])
        wanted = {seed for seed, _ in copies.values()}
        ids = {number: seed.id for number, seed in enumerate(self._seeds()) if number in wanted}
        return {sample: (ids[seed], value) for sample, (seed, value) in copies.items()}

    def _of_sample(self, sample: Sample) -> tuple[str, str]:
        """(prompt, answer) as far as they are compared with the seeds."""
        of = self._settings.of
        prompt = sample.prompt_text if of != "answer" and _is_written(sample) else ""
        return prompt, "" if of == "prompt" or self._answers_are_seeds else sample.answer_text


def _is_written(sample: Sample) -> bool:
    """Whether the prompt is another text than the seed."""
    seed = normalised(sample.item.text)
    return not seed or seed not in normalised(sample.prompt_text)


def _each(drafts: Drafts, what: Callable[[Sample], str]) -> Callable[[], Iterator[Sequence[str]]]:
    return lambda: ([what(sample) for sample in batch] for batch in drafts)


def _prompt(sample: Sample) -> str:
    return sample.prompt_text if sample.prompt else sample.text


def _answer(sample: Sample) -> str:
    return sample.answer_text


def _both(sample: Sample) -> str:
    return f"{sample.prompt_text}\n{sample.answer_text}"


def _keys(drafts: Drafts, key: Callable[[Sample], int]) -> Hashes:
    """A number for each sample."""
    return np.fromiter((key(sample) for batch in drafts for sample in batch), np.uint64, len(drafts))


def _all(left: Nodes, right: Nodes) -> npt.NDArray[np.bool_]:
    return np.ones(len(left), np.bool_)


def _lost(n_samples: int, found: list[Similar], copies: set[int]) -> dict[int, tuple[int, float]]:
    """By the number of a sample the earlier one that stays instead of it, and how similar they are.

    Copies of seeds stand for nobody: they do not stay.
    """
    numbers = np.arange(n_samples)
    involved = [pairs.right for pairs in found] + [np.flatnonzero(pairs.first != numbers) for pairs in found]
    lost: dict[int, tuple[int, float]] = {}
    for sample in np.unique(np.concatenate(involved)).tolist():
        for pairs in found:
            first = int(pairs.first[sample])
            if first != sample:
                if first in lost:
                    lost[sample] = lost[first]
                elif first not in copies:
                    lost[sample] = (first, 1.0)
            else:
                near = (pair for pair in pairs.before(sample) if pair[0] not in lost and pair[0] not in copies)
                if pair := next(near, None):
                    lost[sample] = pair
            if sample in lost:
                break
    return lost


def _name(sample: Sample) -> str:
    """What a sample is known by: its item, and the place of that among all."""
    return f"{sample.item.id}/{sample.item.number}"
