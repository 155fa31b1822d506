"""The gate `diversity`: no prompt that means nearly the same as one before it, by the embeddings of an encoder.

Samples of one prompt share its verdict: which of them stay is for other gates to say.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from classifiers.encoder import check_installed, find_encoder
from curation.dedup.embeddings import Encoder, embed
from manifests.schema import SemanticDedup
from manifests.schema_synthesis import DiversityGate
from manifests.store import resolve
from synth.gates.gate import Drafts, Passed, Verdict
from synth.samples import Rejection, Sample

FIELD = "gates.diversity.encoder"

BLOCK = 1024
"""Prompts that are compared with those kept in one product of matrices."""

Vectors = npt.NDArray[np.floating]


class Diversity:
    """Keeps, in order, prompts that are far enough from all that were kept before; compares exactly."""

    name = "diversity"

    def __init__(self, settings: DiversityGate, base: str) -> None:
        """Find the encoder.

        Raises:
            RequestError: there is none, or torch is not installed.
        """
        check_installed("gates.diversity", "semantic")
        how = SemanticDedup(model=settings.encoder, prefix=settings.prefix)
        path = resolve(settings.encoder, base)
        found = find_encoder(path, FIELD, how.pooling, how.max_tokens, how.prefix, how.batch_tokens)
        self._settings = settings
        self._encoder = Encoder(**asdict(found))

    def judge(self, drafts: Drafts) -> Iterator[Verdict]:
        """The verdicts, one per sample, in order."""
        yield from judge_vectors(
            drafts, self._settings.max_cosine, lambda texts: embed(pl.Series(texts, dtype=pl.String), self._encoder)
        )


def judge_vectors(drafts: Drafts, max_cosine: float, embed: Callable[[list[str]], Vectors]) -> Iterator[Verdict]:
    """The verdicts of samples by the vectors of their prompts.

    Args:
        drafts: samples, in order.
        max_cosine: from which on two prompts mean the same.
        embed: makes of n texts n vectors of length 1; shape (n, dimensions).
    """
    kept, verdicts = Kept(), dict[int, Verdict]()
    for batch in drafts:
        new = {key: sample for sample in reversed(batch) if (key := _key(sample)) not in verdicts}
        new = dict(reversed(new.items()))
        if new:
            ids = [sample.item.id for sample in new.values()]
            nearest = kept.add(embed([_prompt(sample) for sample in new.values()]), ids, max_cosine)
            verdicts |= {key: _verdict(*found, max_cosine) for key, found in zip(new, nearest, strict=True)}
        yield from (verdicts[_key(sample)] for sample in batch)


@dataclass
class Kept:
    """Vectors that are far enough from each other, in the order in which they came, with their names."""

    blocks: list[npt.NDArray[np.float16]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, vectors: Vectors, names: Sequence[str], max_cosine: float) -> list[tuple[float, str]]:
        """Keep of some vectors those whose cosine with each one kept before stays below `max_cosine`.

        Returns:
            For each (highest cosine with one kept before it, the name of that); (-1, "") where there is none.
        """
        found = list[tuple[float, str]]()
        for start in range(0, len(vectors), BLOCK):
            found += self._add(
                vectors[start : start + BLOCK].astype(np.float32), names[start : start + BLOCK], max_cosine
            )
        return found

    def _add(self, rows: npt.NDArray[np.float32], names: Sequence[str], max_cosine: float) -> list[tuple[float, str]]:
        cosines, places = self._nearest(rows)
        among = rows @ rows.T
        chosen, found = list[int](), list[tuple[float, str]]()
        for row in range(len(rows)):
            best = (float(cosines[row]), self.names[places[row]] if self.blocks else "")
            if chosen and (cosine := float(among[row, chosen].max())) > best[0]:
                best = (cosine, names[chosen[int(among[row, chosen].argmax())]])
            found.append(best)
            if best[0] < max_cosine:
                chosen.append(row)
        self.blocks.append(rows[chosen].astype(np.float16))
        self.names += [names[row] for row in chosen]
        return found

    def _nearest(self, rows: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """(cosine, place) of the nearest one kept, of each row."""
        cosines, places, n_before = np.full(len(rows), -1, np.float32), np.zeros(len(rows), np.int64), 0
        for block in self.blocks:
            products = rows @ block.astype(np.float32).T
            if products.shape[1]:
                nearest = products.argmax(axis=1)
                highest = products[np.arange(len(rows)), nearest]
                places = np.where(highest > cosines, n_before + nearest, places)
                cosines = np.maximum(cosines, highest)
            n_before += len(block)
        return cosines, places


def _verdict(cosine: float, other: str, max_cosine: float) -> Verdict:
    if cosine >= max_cosine:
        return Rejection(Diversity.name, "same_meaning", cosine, max_cosine, other)
    return Passed(cosine if other else None)


def _key(sample: Sample) -> int:
    return xxhash.xxh3_64_intdigest(_prompt(sample).encode())


def _prompt(sample: Sample) -> str:
    return sample.text if sample.form == "text" else sample.prompt_text
