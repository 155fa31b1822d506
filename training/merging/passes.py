"""The methods of a merge over tensors that are read part by part: the passes that each needs, and what follows."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from manifests.schema_merge import MergeRule
from training.merging.arithmetic import (
    Cut,
    Floats,
    Products,
    added,
    agreed,
    arc,
    divided,
    drawn,
    lower_counts,
    magnitude_of,
    n_kept,
    nth_largest,
    products,
    upper_counts,
    weighted,
)
from training.merging.inputs import Inputs

Found = TypeVar("Found")
IN_FLIGHT = 8
"""Parts per thread whose results wait for their turn."""
KEPT_BYTES = 16 << 20
"""More than a part needs; glibc follows up to 32 MiB."""
Part = tuple[int, int]


@dataclass(frozen=True)
class Values:
    """What the rule says at one tensor."""

    t: float
    weights: Sequence[float]
    densities: Sequence[float]


@dataclass(frozen=True)
class Made:
    """How a tensor is made: its numbers in a part, and what is told of it."""

    part: Callable[[int, int], Floats]
    path: str
    weights: Sequence[float]
    products: Products | None = None


class Threads:
    """Runs a function over parts in several threads; results come in the order of the parts, whatever the number."""

    def __init__(self, n_threads: int) -> None:
        keep_freed_memory()
        self._pool = ThreadPoolExecutor(n_threads)
        self._n_waiting = n_threads * IN_FLIGHT

    def __enter__(self) -> "Threads":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def over(self, work: Callable[[int, int], Found], parts: Iterable[Part]) -> Iterator[Found]:
        """The results for all parts; an error of one is raised here."""
        waiting: deque[Future[Found]] = deque()
        for start, end in parts:
            waiting.append(self._pool.submit(work, start, end))
            if len(waiting) >= self._n_waiting:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def keep_freed_memory() -> None:
    """Let the C library keep what parts needed for the next ones, instead of asking the system for it each time.

    glibc learns from what is freed: after one block of this size smaller ones come from its heap, and their pages are
    not mapped anew, which took more than half of the time of a merge. The block itself is never touched.
    """
    np.empty(KEPT_BYTES, np.uint8)


def made_of(rule: MergeRule, inputs: Inputs, values: Values, threads: Threads, key: str) -> Made:
    """How a tensor of floats is made; passes over its parts are done here.

    Args:
        rule: the method.
        inputs: the tensor in each model.
        values: of the rule at this tensor.
        threads: where parts are worked on.
        key: of what is drawn: seed and tensor.
    """
    if rule.method in ("slerp", "linear"):
        return _between(rule, inputs, values, threads)
    if rule.method == "task_arithmetic":
        return _summed(rule, inputs, values, lambda changes, start: changes)
    if rule.method == "ties":
        return _trimmed(rule, inputs, values, threads)
    return _drawn(rule, inputs, values, key)


def _between(rule: MergeRule, inputs: Inputs, values: Values, threads: Threads) -> Made:
    weights, found, path = list(values.weights), None, rule.method
    if rule.method == "linear" and rule.normalizes:
        weights = divided(weights)
    if len(inputs.tensors) == 2:
        found = sum(threads.over(lambda a, b: _products(inputs, a, b), inputs.ranges()), Products())
        if not found.n_different and (rule.method == "slerp" or math.isclose(sum(weights), 1)):
            return Made(lambda a, b: inputs.parts(a, b)[0], "same", weights, found)
    if rule.method == "slerp":
        assert found
        chosen = arc(found, values.t)
        weights, path = list(chosen.weights), chosen.path
    return Made(lambda a, b: _mean(inputs, weights, a, b), path, weights, found)


def _products(inputs: Inputs, start: int, end: int) -> Products:
    """The sums of a part, without rows that only one of the models has."""
    first, second = inputs.parts(start, end)
    absent = inputs.lacking(start, end)
    return products(first, second) if absent is None else products(first[~absent], second[~absent])


def _mean(inputs: Inputs, weights: Sequence[float], start: int, end: int) -> Floats:
    parts = inputs.parts(start, end)
    absent = inputs.lacking(start, end)
    total = weighted(parts, weights)
    return total if absent is None else np.where(absent, parts[0], total)


# Changes from a base


def _changes(inputs: Inputs, start: int, end: int) -> tuple[Floats, list[Floats]]:
    *parts, base = inputs.parts(start, end)
    return base, [numbers - base for numbers in parts]


def _summed(
    rule: MergeRule, inputs: Inputs, values: Values, kept: Callable[[list[Floats], int], list[Floats]]
) -> Made:
    weights = divided(values.weights) if rule.normalizes else list(values.weights)

    def part(start: int, end: int) -> Floats:
        base, changes = _changes(inputs, start, end)
        return added(base, weighted(kept(changes, start), weights), rule.scale)

    return Made(part, rule.method, weights)


def _elected(
    rule: MergeRule, inputs: Inputs, values: Values, kept: Callable[[list[Floats], int], list[Floats]]
) -> Made:
    def part(start: int, end: int) -> Floats:
        base, changes = _changes(inputs, start, end)
        return added(base, agreed(kept(changes, start), values.weights, rule.normalizes), rule.scale)

    return Made(part, rule.method, values.weights)


def _drawn(rule: MergeRule, inputs: Inputs, values: Values, key: str) -> Made:
    def kept(changes: list[Floats], start: int) -> list[Floats]:
        return [
            drawn(change, density, f"{key}:{place}:{start}")
            for place, (change, density) in enumerate(zip(changes, values.densities, strict=True))
        ]

    return (_elected if rule.method == "dare_ties" else _summed)(rule, inputs, values, kept)


def _trimmed(rule: MergeRule, inputs: Inputs, values: Values, threads: Threads) -> Made:
    """TIES: the magnitude at which each model's changes are cut is found exactly, by counting bits in two passes."""
    wanted = [n_kept(density, inputs.n_numbers) for density in values.densities]
    cuts, n_before = _cuts(inputs, wanted, threads)

    def kept(changes: list[Floats], start: int) -> list[Floats]:
        before = n_before.get(start, [0] * len(changes))
        return [cut.kept(change, n) for cut, change, n in zip(cuts, changes, before, strict=True)]

    return _elected(rule, inputs, values, kept)


def _cuts(inputs: Inputs, wanted: Sequence[int], threads: Threads) -> tuple[list[Cut], dict[int, list[int]]]:
    """The cut of each model's changes, and how many of its very magnitude are in the parts before each."""
    if all(n in (0, inputs.n_numbers) for n in wanted):
        return [Cut() if n else Cut(math.inf, 0) for n in wanted], {}
    models = range(len(wanted))
    upper = _counted(inputs, threads, [upper_counts] * len(wanted))
    found = [nth_largest(upper[model], max(wanted[model], 1)) for model in models]
    lower = _counted(inputs, threads, [_of_upper(found[model][0]) for model in models])
    cuts = []
    for model in models:
        low, n_between = nth_largest(lower[model], max(wanted[model], 1) - found[model][1])
        n_equal = wanted[model] - found[model][1] - n_between
        cuts.append(Cut(magnitude_of(found[model][0], low), n_equal) if wanted[model] else Cut(math.inf, 0))
    return cuts, _equal_before(inputs, threads, cuts)


def _of_upper(upper: int) -> Callable[[Floats], npt.NDArray[np.int64]]:
    return lambda change: lower_counts(change, upper)


def _counted(inputs: Inputs, threads: Threads, counts: Sequence[Callable[[Floats], npt.NDArray[np.int64]]]) -> Any:
    """Counts over all parts, per model."""

    def count(start: int, end: int) -> list[npt.NDArray[np.int64]]:
        return [of(change) for of, change in zip(counts, _changes(inputs, start, end)[1], strict=True)]

    total: Any = None
    for found in threads.over(count, inputs.ranges()):
        total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
    return total


def _equal_before(inputs: Inputs, threads: Threads, cuts: Sequence[Cut]) -> dict[int, list[int]]:
    def count(start: int, end: int) -> list[int]:
        changes = _changes(inputs, start, end)[1]
        return [
            int(np.count_nonzero(np.abs(change) == np.float32(cut.magnitude)))
            for cut, change in zip(cuts, changes, strict=True)
        ]

    before, so_far = {}, [0] * len(cuts)
    for (start, _), found in zip(inputs.ranges(), threads.over(count, inputs.ranges()), strict=True):
        before[start] = so_far
        so_far = [a + b for a, b in zip(so_far, found, strict=True)]
    return before
