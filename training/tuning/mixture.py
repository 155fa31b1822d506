"""Which examples are trained on, and which are held out: domains, and their shares of a mixture.

Held out are whole prompts, so that no answer to one of them is trained on. Which ones is told by their hashes, and so
is the same in every run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.schema_training_stages import ChatData, Sft
from training.tuning.examples import Examples

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Mixture:
    """Numbers of examples, ascending."""

    domains: tuple[str, ...]
    """In the order of the manifest."""
    trained: dict[str, I64]
    """By domain."""
    held_out: dict[str, I64]
    """By domain; empty where nothing is held out."""
    n_over_weight: int
    """Examples that are left out so that the others have their shares."""

    def without(self, domain: str | None) -> I64:
        """All that is trained on, or all but a domain."""
        return np.sort(np.concatenate([some for name, some in self.trained.items() if name != domain]))


def mixture_of(stage: Sft, examples: Examples, seed: int) -> Mixture:
    """Share out the examples of a stage.

    Args:
        stage: with its entries of data.
        examples: all of them.
        seed: of what is drawn where an entry has more than its share.
    """
    names = [data.domain for data in stage.data]
    domains = tuple(dict.fromkeys(names))
    of = np.array([domains.index(name) for name in names])[examples.entry]
    members = {name: np.flatnonzero(of == number) for number, name in enumerate(domains)}
    prompts = [_held_out(numbers, examples.prompt_hash, stage.held_out) for numbers in members.values()]
    is_held_out = np.isin(examples.prompt_hash, np.concatenate(prompts))  # in whichever domain a prompt stands
    held_out = {name: numbers[is_held_out[numbers]] for name, numbers in members.items()}
    rest = np.flatnonzero(~is_held_out)
    taken = _by_weight(stage.data, examples.entry, rest, seed)
    trained = {name: taken[of[taken] == number] for number, name in enumerate(domains)}
    return Mixture(domains, trained, held_out, len(rest) - len(taken))


def _held_out(members: I64, prompt_hash: NDArray[np.uint64], share: float) -> NDArray[np.uint64]:
    """Hashes of prompts with about a share of some examples: the lowest, at least one and never all of them."""
    if not share:
        return prompt_hash[:0]
    hashes = prompt_hash[members]
    prompts, counts = np.unique(hashes, return_counts=True)
    n_prompts = int(np.searchsorted(np.cumsum(counts), share * len(members), side="right"))
    n_prompts = min(max(1, n_prompts), len(prompts) - 1)
    return prompts[:n_prompts]


def _by_weight(data: Sequence[ChatData], entry: NDArray[np.int32], rest: I64, seed: int) -> I64:
    """As many of the rest as have the shares that were asked for, none of them twice."""
    if data[0].weight is None:
        return rest
    weights = np.array([one.weight for one in data], np.float64)
    there = np.bincount(entry[rest], minlength=len(data))
    n_all = np.min(there / (weights / weights.sum()))
    wanted = np.minimum(there, np.round(n_all * weights / weights.sum()).astype(np.int64))
    random = np.random.default_rng([seed, 1])
    parts = [
        random.choice(rest[entry[rest] == number], n_wanted, replace=False) for number, n_wanted in enumerate(wanted)
    ]
    return np.sort(np.concatenate(parts))
