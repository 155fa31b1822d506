"""The models of a search: those that are there are kept, the others trained, here or in processes beside each
other.

Each is a line of `proxies.jsonl` as soon as it is done, with a key of all that it depends on: a search that was
killed goes on with what it has, one with more `proxies` trains the new ones only, and other texts train all anew.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import orjson
import xxhash

from manifests.code import code_digest
from manifests.engine import Progress
from manifests.errors import RunError
from manifests.schema_mixture import Proxy
from manifests.store import Folder
from training.searching.corpus import Corpus
from training.searching.proxy import train_proxy
from training.searching.results import ProxyResult

PROXIES = "proxies.jsonl"
CODE = (
    "training/optimizers.py",
    "training/pretraining/head_loss.py",
    "training/pretraining/token_loss.py",
    "training/schedules.py",
    "training/searching/proxy.py",
)
"""What the loss of a model depends on beside its data."""
LAST_FRAC = 0.1


@dataclass(frozen=True)
class Asked:
    """A model that a search asks for."""

    name: str
    weights: tuple[float, ...]


class Proxies:
    """The models of a search in its folder."""

    def __init__(self, folder: Folder, corpus: Corpus, settings: Proxy, seed: int, n_workers: int) -> None:
        self._folder, self._corpus, self._settings, self._seed = folder, corpus, settings, seed
        self._n_workers = n_workers
        self._code = code_digest(*CODE)
        self._known = {result.key: result for result in _read(folder)}
        self.n_resumed = 0
        """Of those that were asked for, models that were there."""

    def train(self, asked: Sequence[Asked], step: str, progress: Progress) -> list[ProxyResult]:
        """The models, in their order.

        Raises:
            RunError: a training diverged, or a process died.
        """
        keys = [self._key(one) for one in asked]
        there = sum(key in self._known for key in keys)
        self.n_resumed += there
        progress(step, there, len(asked))
        to_do = {key: one for key, one in zip(keys, asked, strict=True) if key not in self._known}
        for n_done, (key, result) in enumerate(self._trained(to_do), there + 1):
            self._known[key] = result
            self._write()
            progress(step, n_done, len(asked))
        return [self._known[key].model_copy(update={"name": one.name}) for key, one in zip(keys, asked, strict=True)]

    def _key(self, one: Asked) -> str:
        depends = [self._corpus.digest, self._settings.model_dump(mode="json"), self._seed, one.weights, self._code]
        return xxhash.xxh3_128_hexdigest(orjson.dumps(depends, option=orjson.OPT_SORT_KEYS))

    def _trained(self, to_do: dict[str, Asked]) -> Iterator[tuple[str, ProxyResult]]:
        """Results as they come."""
        if self._n_workers == 1 or len(to_do) < 2:
            for key, one in to_do.items():
                yield key, _train(self._corpus, self._settings, self._seed, key, one)
            return
        context, given = multiprocessing.get_context("spawn"), (self._corpus, self._settings, self._seed)
        with ProcessPoolExecutor(min(self._n_workers, len(to_do)), context, _begin, given) as pool:
            futures = {pool.submit(_work, key, one): key for key, one in to_do.items()}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except BrokenProcessPool as error:
                raise RunError(
                    "a process that trained models died, perhaps for want of memory; run the same command again to "
                    "go on, with fewer --workers"
                ) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _write(self) -> None:
        lines = [result.model_dump_json().encode() + b"\n" for result in self._known.values()]
        self._folder.write_bytes(PROXIES, b"".join(lines))


def _read(folder: Folder) -> list[ProxyResult]:
    """The models that are there; a line that is none is left out, and its model trained again."""
    found = []
    for line in folder.read_bytes(PROXIES).splitlines() if folder.exists(PROXIES) else []:
        try:
            found.append(ProxyResult.model_validate_json(line))
        except ValueError:
            continue
    return found


def _train(corpus: Corpus, settings: Proxy, seed: int, key: str, one: Asked) -> ProxyResult:
    try:
        trained = train_proxy(corpus, one.weights, settings, seed)
    except ValueError as error:
        raise RunError(f"search: model {one.name}: {error}") from error
    n_last = max(1, round(LAST_FRAC * len(trained.curve)))
    return ProxyResult(
        name=one.name,
        key=key,
        weights=list(one.weights),
        losses=trained.losses,
        final_loss=float(np.mean(trained.curve[-n_last:])),
        n_tokens=trained.n_tokens,
        seconds=trained.seconds,
    )


_given: tuple[Corpus, Proxy, int]
"""What a process trains with; it is told once."""


def _begin(corpus: Corpus, settings: Proxy, seed: int) -> None:
    global _given
    _given = (corpus, settings, seed)


def _work(key: str, one: Asked) -> ProxyResult:
    return _train(*_given, key, one)
