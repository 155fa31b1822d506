"""What is held out of the training: documents chosen by a hash of their text, so that none is trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.mixture.catalogue import Catalogue, Catalogued, read_documents
from curation.mixture.order import PIECE, Ordered, Pieces, Place, cut, is_held, mix, numbered
from manifests.schema_mixture import Validation
from manifests.store import Folder

U64 = NDArray[np.uint64]

DOCUMENTS_AT_ONCE = 1 << 16
SALT = np.uint64(0x56414C4944415445)
"""Not that of any order: the same documents are held out whatever the seed of the mixture."""


@dataclass(frozen=True)
class HeldOut:
    """What is held out."""

    contents: U64
    """Sorted hashes of the texts."""
    pieces: dict[str, Pieces]
    """Of each category, the documents in pieces; of equal texts in a category one."""


NOTHING = HeldOut(np.zeros(0, np.uint64), {})


def hold_out(sources: Sequence[tuple[str, Ordered]], validation: Validation | None, sequence_length: int) -> HeldOut:
    """Choose what is held out.

    Args:
        sources: (category, source) of all.
        validation: how much.
        sequence_length: tokens per sequence, to cut the documents by.
    """
    if validation is None or validation.frac == 0:
        return NOTHING
    found = dict[str, list[tuple[Catalogued, NDArray[np.int64], int]]]()
    for category, ordered in sources:
        found.setdefault(category, []).extend(_candidates(ordered, validation.frac))
    pieces = {name: _chosen(parts, validation.tokens_max, sequence_length) for name, parts in found.items() if parts}
    if not pieces:
        return NOTHING
    contents = [chosen[1] for chosen in pieces.values()]
    return HeldOut(np.unique(np.concatenate(contents)), {name: chosen[0] for name, chosen in pieces.items()})


def _candidates(ordered: Ordered, frac: float) -> Iterator[tuple[Catalogued, NDArray[np.int64], int]]:
    """Documents of a source whose texts have hashes below the share, their parts, and the source's number."""
    limit = np.uint64(min(int(frac * 2.0**64), 2**64 - 1))
    for first_part, catalogue in zip(ordered.first_parts, ordered.catalogues, strict=True):
        for documents in all_documents(Folder(ordered.store), catalogue):
            chosen = documents[(mix(documents["content"] + SALT) < limit) & (documents["repeat"] > 0)]
            yield chosen, chosen["part"].astype(np.int64) + first_part, ordered.number


def _chosen(
    found: Sequence[tuple[Catalogued, NDArray[np.int64], int]], tokens_max: int | None, sequence_length: int
) -> tuple[Pieces, U64]:
    """The documents of a category in pieces, no more than so many tokens, and the hashes of their texts."""
    documents = np.concatenate([part[0] for part in found])
    parts = np.concatenate([part[1] for part in found])
    numbers = np.concatenate([np.full(len(part[0]), part[2]) for part in found])
    hashes = mix(documents["content"] + SALT)
    order = np.lexsort((documents["copy"], documents["id_low"], documents["id_high"], hashes))
    _, firsts = np.unique(hashes[order], return_index=True)  # of equal texts the first
    order = order[firsts]
    if tokens_max is not None:
        order = order[np.cumsum(documents["n_tokens"][order], dtype=np.int64) <= tokens_max]
    documents, parts, numbers, hashes = documents[order], parts[order], numbers[order], hashes[order]
    pieces = [
        cut(
            numbered(documents[of]),
            parts[of],
            hashes[of],
            np.zeros(int(of.sum()), np.uint64),
            sequence_length,
            Place(int(number)),
        )
        for number in np.unique(numbers)
        for of in [numbers == number]
    ]
    return np.concatenate([np.zeros(0, PIECE), *pieces]), documents["content"]


def held_totals(ordered: Ordered, contents: U64) -> tuple[int, int]:
    """(tokens, documents) that an epoch of a source loses to what is held out."""
    n_tokens = n_documents = 0
    for catalogue in ordered.catalogues if len(contents) else ():
        for documents in all_documents(Folder(ordered.store), catalogue):
            out = documents[is_held(documents["content"], contents)]
            n_tokens += int((out["n_tokens"].astype(np.int64) * out["repeat"]).sum())
            n_documents += int(out["repeat"].sum(dtype=np.int64))
    return n_tokens, n_documents


def all_documents(folder: Folder, catalogue: Catalogue) -> Iterator[Catalogued]:
    """The documents of a catalogue in bounded batches."""
    for start in range(0, catalogue.n_documents, DOCUMENTS_AT_ONCE):
        yield read_documents(folder, catalogue.name, start, min(start + DOCUMENTS_AT_ONCE, catalogue.n_documents))
