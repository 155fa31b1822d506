"""What each step holds in memory, from the bounds that the code gives itself; factors were measured on whole runs."""

from dataclasses import dataclass

from curation.decide import SLICE_BYTES
from curation.dedup.candidates import BAND_ROWS_PER_RANGE, TEXTS_PER_RANGE
from curation.dedup.components import UNION_FIND_NODES_MAX
from curation.dedup.lines import ROWS_PER_RANGE as LINES_PER_RANGE
from curation.dedup.signatures import Banding
from curation.dedup.spans import CONTEXT_BYTES_PER_RANGE
from curation.dedup.spans import ROWS_PER_RANGE as RUNS_PER_RANGE
from curation.dedup.verify import SHINGLES_PER_RANGE
from curation.shards import ROW_BYTES
from manifests.schema import CorpusManifest
from manifests.store import ranges_for

PART_FACTOR = 4.0
"""Held per byte of a measured part: rows as read, as measured, ordered and encoded."""
SLICE_FACTOR = 6.0
"""Held per byte of a slice of the output: read, judged, masked, summarized and encoded."""
ROW_FACTOR = 3.0
"""Copies of narrow rows while they are joined and ordered."""
HASH_ROW_BYTES = 240.0
"""Held per row of hashes of lines that is counted."""
RUN_ROW_BYTES = 900.0
"""Held per fingerprint of windows that is looked up."""
CONTEXT_FACTOR = 140.0
"""Held per byte of text that is compared with others, window by window."""


@dataclass(frozen=True)
class Memory:
    """The size of a corpus, as far as steps hold any of it."""

    manifest: CorpusManifest
    n_splits: int
    n_records: int
    content_bytes: int
    text_bytes: int

    @property
    def part_bytes(self) -> float:
        """Content and columns of one measured part, at most."""
        whole = self.content_bytes + ROW_BYTES * self.n_records
        return min(float(self.manifest.limits.shard_bytes), whole)

    def held_bytes(self, step: str) -> float:
        """What one process holds of the corpus in a step."""
        near = self.manifest.dedup.near
        n_bands = Banding.of(near).n_bands if near else 0
        slices = self.text_bytes + ROW_BYTES * self.n_records
        held = {
            "number texts": ROW_FACTOR * (8 * n_bands + 100) * min(self.n_records, TEXTS_PER_RANGE),
            "join bands": ROW_FACTOR * 16 * min(self.n_records, BAND_ROWS_PER_RANGE),
            "components": 5.0 * min(self.n_records, UNION_FIND_NODES_MAX),
            "compare": ROW_FACTOR * 4 * min(self.text_bytes, SHINGLES_PER_RANGE),
            "repeated spans": CONTEXT_FACTOR * min(self.text_bytes / 3, CONTEXT_BYTES_PER_RANGE),
            "repeated lines": HASH_ROW_BYTES * min(self.text_bytes / 40, LINES_PER_RANGE),
            "candidates": RUN_ROW_BYTES * min(self.text_bytes / 80, RUNS_PER_RANGE),
            "score": SLICE_FACTOR * min(slices, SLICE_BYTES),
            "write": SLICE_FACTOR * min(slices, SLICE_BYTES),
        }
        return held.get(step, PART_FACTOR * self.part_bytes)

    def peak_bytes(self, step: str, base_bytes: int, n_workers: int) -> int:
        """Resident memory of all processes; `base_bytes` is one that has loaded kernels and models."""
        n_processes = max(1, min(n_workers, self.n_tasks(step)))
        own = 0 if n_workers == 1 else base_bytes * (1 + n_workers - n_processes)
        return round(own + n_processes * (base_bytes + self.held_bytes(step)))

    def n_tasks(self, step: str) -> int:
        """Tasks of a step, about: no more workers than these are busy."""
        if step == "components":
            return 1
        if step == "measure":
            return self.n_splits
        if step == "join bands":
            near = self.manifest.dedup.near
            return len(ranges_for(self.n_records, BAND_ROWS_PER_RANGE)) * (Banding.of(near).n_bands if near else 0)
        if step in ("number texts", "place pairs", "group"):
            return len(ranges_for(self.n_records, TEXTS_PER_RANGE))
        if step in ("dedup", "score", "top", "write"):
            return len(ranges_for(self.text_bytes, self.manifest.output.shard_bytes))
        return max(1, round((self.content_bytes + ROW_BYTES * self.n_records) / self.part_bytes))
