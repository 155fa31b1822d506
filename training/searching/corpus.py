"""What a search trains and measures on: ids of the sources and of what is held out, from the mixture's own store.

Ids are numbered anew, by how they rank among those that occur, so that small models carry no vocabulary of which they
see next to nothing: of 128,256 tokens a few thousand documents hold some ten thousand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xxhash
from numpy.typing import NDArray

from curation.mixture.assemble import gather
from curation.mixture.order import Ordered, Pieces
from curation.mixture.plan import SPAN, Block
from curation.mixture.survey import MixJob, Surveyed
from curation.mixture.token_store import read_parts, token_type
from manifests.errors import RequestError
from manifests.schema_mixture import MixtureManifest, Validation
from manifests.store import Folder
from training.searching.targets import Text, texts_of

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

HELD_FRAC = 0.01
"""Share of the documents of each source that is held out where the manifest holds out nothing."""
TARGET_TOKENS = 1 << 15
"""Tokens per target that every model is measured on, at most, where the manifest does not say how many documents."""


@dataclass(frozen=True)
class Measured:
    """A target as ids."""

    name: str
    weight: float
    ids: I32
    """Documents one after another, each with its end; before the first one stands an end, which is foretold from
    nothing."""
    n_bytes: int
    """Of the texts."""
    n_documents: int
    n_all_documents: int
    """That there are; those that are not among `n_documents` were left out to save time."""


@dataclass(frozen=True)
class Corpus:
    """All that models are trained and measured on."""

    sources: tuple[str, ...]
    rows: tuple[I32, ...]
    """Of each source (rows, sequence length): its documents one after another, in the order of the mixture."""
    targets: tuple[Measured, ...]
    n_ids: int
    """Different ids: the vocabulary of the models."""

    @cached_property
    def digest(self) -> str:
        """XXH3-128 of all of it."""
        state = xxhash.xxh3_128()
        for name, rows in zip(self.sources, self.rows, strict=True):
            state.update(f"{name}\0{rows.shape}".encode() + rows.tobytes())
        for target in self.targets:
            state.update(f"{target.name}\0{target.n_bytes}".encode() + target.ids.tobytes())
        return state.hexdigest()

    @property
    def sequence_length(self) -> int:
        """Tokens per row."""
        return int(self.rows[0].shape[1])


def holding_out(manifest: MixtureManifest) -> MixtureManifest:
    """The same manifest, in which something is held out, where targets do not say what to measure on."""
    if manifest.validation and manifest.validation.frac:
        return manifest
    return manifest.model_copy(update={"validation": Validation(frac=HELD_FRAC)})


def read_corpus(job: MixJob, surveyed: Surveyed) -> Corpus:
    """Read what models need of the sources and of the targets.

    Args:
        job: of the mixture, which holds something out (`holding_out`).
        surveyed: what its sources have.

    Raises:
        RequestError: a source has no row of tokens, or a target no text; names it.
    """
    settings = job.manifest.search.model
    texts = texts_of(job) if job.manifest.search.targets else _held_texts(job, surveyed)
    read = np.unique(np.concatenate([surveyed.held.contents, *(text.contents for text in texts)]))
    flat = [_source_ids(job, surveyed, replace(of, held=read), settings.tokens) for of in surveyed.ordered]
    for source, ids in zip(job.manifest.sources, flat, strict=True):
        if len(ids) < settings.sequence_length:
            raise RequestError(
                f"sources: {source.name}: has {len(ids):,} tokens beside what is held out; a search needs at least "
                f"one row of {settings.sequence_length} (search.model.sequence_length) of each source"
            )
    known = np.unique(np.concatenate([*flat, *(text.ids for text in texts), np.array([job.tokenizer.eod_id])]))
    return Corpus(
        sources=tuple(source.name for source in job.manifest.sources),
        rows=tuple(_in_rows(_renumbered(ids, known), settings.sequence_length) for ids in flat),
        targets=tuple(_measured(text, known, job.tokenizer.eod_id) for text in texts),
        n_ids=len(known),
    )


def _source_ids(job: MixJob, surveyed: Surveyed, ordered: Ordered, n_tokens: int) -> I64:
    """The first tokens of a source, in the order of the mixture's first epoch: as many as a model is trained on."""
    found, n_found = list[Pieces](), 0
    for lot in ordered.lots(0):
        if n_found >= n_tokens:
            break
        pieces = ordered.pieces(0, lot)
        ends = np.cumsum(pieces["length"], dtype=np.int64)
        pieces = pieces[: int(np.searchsorted(ends, n_tokens - n_found)) + 1]
        found.append(pieces)
        n_found += int(pieces["length"].sum(dtype=np.int64))
    return _ids_of(job, surveyed, found)[:n_tokens]


def _ids_of(job: MixJob, surveyed: Surveyed, found: Sequence[Pieces]) -> I64:
    """The ids of pieces, one after another."""
    n_pieces = sum(map(len, found))
    spans = np.zeros(n_pieces, SPAN)
    if not n_pieces:
        return np.zeros(0, np.int64)
    pieces = np.concatenate(found)
    for name in pieces.dtype.names or ():
        spans[name] = pieces[name]
    n_tokens = int(spans["length"].sum(dtype=np.int64))
    block = Block("search", 0, np.array([n_tokens]), np.zeros(1, np.bool_), spans)
    dtype = token_type(job.tokenizer.vocab_size).str
    ids = gather(
        block, store=job.store, parts=surveyed.parts, dtype=dtype, sequence_length=n_tokens, pad_id=0
    )  # one long row
    return np.asarray(ids[0], np.int64)


def _held_texts(job: MixJob, surveyed: Surveyed) -> list[Text]:
    """What is held out of each category.

    Raises:
        RequestError: nothing is, of one.
    """
    found = []
    for name in dict.fromkeys(source.category for source in job.manifest.sources):
        pieces = surveyed.held.pieces.get(name)
        if pieces is None or not len(pieces):
            frac = job.manifest.validation.frac if job.manifest.validation else HELD_FRAC
            raise RequestError(
                f"validation.frac: {frac:g} of the documents holds out none of category {name!r}; give a larger "
                "share, or name files as `search.targets`"
            )
        found.append(_held_text(job, surveyed, name, pieces))
    return found


def _held_text(job: MixJob, surveyed: Surveyed, name: str, pieces: Pieces) -> Text:
    """The held-out documents of a category whose hashes are lowest; a document's pieces stand together."""
    firsts = np.flatnonzero(pieces["offset"] == 0)
    n_pieces = np.diff(firsts, append=len(pieces))
    n_tokens = np.add.reduceat(pieces["length"].astype(np.int64), firsts)
    order = np.argsort(pieces["key"][firsts], kind="stable")  # at random; they lie source by source
    n_chosen = max(1, int(np.searchsorted(np.cumsum(n_tokens[order]), TARGET_TOKENS, "right")))
    order = order[:n_chosen]
    chosen = np.concatenate([pieces[firsts[of] : firsts[of] + n_pieces[of]] for of in order.tolist()])
    n_bytes = _bytes_of(job, surveyed, pieces[firsts[order]])
    return Text(name, 1.0, _ids_of(job, surveyed, [chosen]), n_bytes, n_chosen, len(firsts))


def _bytes_of(job: MixJob, surveyed: Surveyed, firsts: Pieces) -> int:
    """Bytes of the texts whose first pieces these are, as the store counted them."""
    store, n_bytes = Folder(job.store), 0
    for number in np.unique(firsts["part"]).tolist():
        name = surveyed.parts[number]
        (part,) = [part for part in read_parts(store, name.partition("/")[0]) if part.name == name]
        stored = part.documents[part.documents["n_tokens"] > 0]
        order = np.argsort(stored["start"])
        starts = firsts["start"][firsts["part"] == number]
        n_bytes += int(stored["n_bytes"][order[np.searchsorted(stored["start"][order], starts)]].sum(dtype=np.int64))
    return n_bytes


def _renumbered(ids: I64, known: I64) -> I32:
    return np.searchsorted(known, ids).astype(np.int32)


def _in_rows(ids: I32, length: int) -> I32:
    return ids[: len(ids) // length * length].reshape(-1, length)


def _measured(text: Text, known: I64, eod_id: int) -> Measured:
    ids = _renumbered(np.concatenate([[eod_id], text.ids]), known)
    return Measured(text.name, text.weight, ids, text.n_bytes, text.n_documents, text.n_all_documents)
