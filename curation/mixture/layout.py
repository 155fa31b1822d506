"""What stands in which sequence: decided for the whole mixture, and written block by block to its work folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from curation.mixture.assemble import write_block
from curation.mixture.ledger import VALIDATION, Ledger
from curation.mixture.packing import ENGLISH, KOREAN, OTHER
from curation.mixture.plan import Block, held_out_blocks, stage_blocks
from curation.mixture.shares import Asked
from curation.mixture.survey import MixJob, Surveyed
from manifests.engine import Progress, silent
from manifests.store import Folder

WORK = "work"


@dataclass(frozen=True)
class Layout:
    """Blocks on disk, and what they come to."""

    folder: str
    stages: list[Asked]
    n_tokens: list[int]
    """Of each block."""
    n_sequences: list[int]
    stage_of: list[str]
    """Name of each block's stage."""
    keys: list[str]
    """Digest of each block."""
    ledger: Ledger

    def numbers(self, *, validation: bool) -> list[int]:
        """The blocks of the training, or of what is held out."""
        return [number for number, stage in enumerate(self.stage_of) if (stage == VALIDATION) is validation]


def lay_out(job: MixJob, surveyed: Surveyed, progress: Progress = silent) -> Layout:
    """Decide what stands in which sequence, and write it block by block to the work folder."""
    manifest = job.manifest
    folder = Folder(f"{job.output}/{WORK}/{job.fingerprint}")
    names, categories = [of.name for of in manifest.sources], [of.category for of in manifest.sources]
    layout = Layout(folder.path, surveyed.asked(manifest), [], [], [], [], Ledger(names, categories))
    n_all = sum(stage.n_tokens for stage in layout.stages)
    part_hashes, name_hashes = _hashes(surveyed.parts), _hashes(names)
    progress("plan", 0, n_all)
    for block in _blocks(job, surveyed, layout.stages):
        number = len(layout.keys)
        write_block(folder, number, block)
        layout.keys.append(_key(block, part_hashes, name_hashes))
        layout.n_tokens.append(int(block.n_tokens.sum()))
        layout.n_sequences.append(len(block.n_tokens))
        layout.stage_of.append(block.stage)
        layout.ledger.add(block)
        progress("plan", min(n_all, sum(layout.n_tokens)), n_all)
    folder.write_json("stages.json", layout.stage_of)
    return layout


def _blocks(job: MixJob, surveyed: Surveyed, stages: Sequence[Asked]) -> Iterator[Block]:
    """The blocks of all stages, then those of what is held out."""
    takers, first, length = surveyed.takers(), 0, job.manifest.sequence_length
    categories = [source.category for source in job.manifest.sources]
    groups = _languages(surveyed) if job.manifest.packing.cross_lingual else None
    for stage in stages:
        for block in stage_blocks(stage, takers, job.manifest.packing, length, first, groups, categories):
            first += len(block.n_tokens)
            yield block
    first = 0
    for pieces in surveyed.held.pieces.values():
        for block in held_out_blocks(pieces, VALIDATION, length, first):
            first += len(block.n_tokens)
            yield block


def _languages(surveyed: Surveyed) -> NDArray[np.int8]:
    """Of each source, the language of most of its tokens, for packing across languages."""
    found = []
    for available in surveyed.available:
        top = max(available.by_language.items(), key=lambda item: item[1].n_tokens, default=("", None))[0]
        found.append({"ko": KOREAN, "en": ENGLISH}.get(top.split("-")[0], OTHER))
    return np.array(found, np.int8)


def _hashes(names: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([xxhash.xxh3_64_intdigest(name.encode()) for name in names], np.uint64)


def _key(block: Block, part_hashes: NDArray[np.uint64], name_hashes: NDArray[np.uint64]) -> str:
    """Digest of what a block holds, whatever numbers its parts and sources have."""
    state, spans = xxhash.xxh3_128(), block.spans
    state.update(part_hashes[spans["part"]].tobytes())
    state.update(name_hashes[spans["source"]].tobytes())
    for field in ("id_high", "id_low", "copy", "start", "offset", "length", "sequence"):
        state.update(np.ascontiguousarray(spans[field]).tobytes())
    for array in (block.n_tokens, block.cross):
        state.update(array.tobytes())
    state.update(block.stage.encode())
    return state.hexdigest()
