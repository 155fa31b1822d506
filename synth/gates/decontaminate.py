"""The gate `decontaminate`: no benchmark items, in prompts or answers; a score means what it means for a corpus."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from curation.benchmarks import load_items
from curation.decontaminate import REASON
from curation.decontaminate_index import ContaminationIndex
from manifests.schema_synthesis import DecontaminateGate
from synth.gates.gate import Drafts, Passed, Verdict
from synth.samples import Rejection, Sample
from synth.tasks.task import draw

SAMPLE_ITEMS = 10_000
"""Items by whose samples the n-grams of benchmarks are weighed."""

SAMPLE_ITEMS_MIN = 1000
"""Fewer say nothing of what is common: what stands in one of ten may still be the benchmark's."""


class Decontaminate:
    """Looks for the items of benchmarks in the texts of samples."""

    name = "decontaminate"

    def __init__(self, settings: DecontaminateGate, base: str) -> None:
        """Read the benchmarks.

        Raises:
            RequestError: one cannot be read, or holds nothing.
        """
        self._settings = settings
        self._items = load_items(settings.against, settings.data_dir, base)

    def judge(self, drafts: Drafts) -> Iterator[Verdict]:
        """The verdicts, one per sample, in order."""
        index = ContaminationIndex.build(self._items, _sampled(drafts))
        for batch in drafts:
            yield from self._verdicts(index, batch)

    def _verdicts(self, index: ContaminationIndex, batch: Sequence[Sample]) -> list[Verdict]:
        hits = index.find(pa.array([text_of(sample) for sample in batch], pa.large_string()))
        verdicts: list[Verdict] = [Passed() for _ in batch]
        surest = hits.sort_by([("score", "ascending"), ("benchmark", "descending"), ("item", "descending")])
        for hit in surest.select(["row", "score", "benchmark", "item"]).to_pylist():
            row, score, least = hit["row"], hit["score"], self._settings.score
            if score >= least:
                detail = f"{hit['benchmark']}:{hit['item']}"
                verdicts[row] = Rejection(self.name, REASON, score, least, detail)
            else:
                verdicts[row] = Passed(score)
        return verdicts


def text_of(sample: Sample) -> str:
    """All that a student sees or learns: prompt, answer and, of a pair, the worse one; an item's answer may stand
    behind its question."""
    worse = [message.content for message in sample.worse]
    return "\n".join([*(message.content for message in sample.prompt), sample.answer_text, *worse])


def _sampled(drafts: Drafts) -> pa.LargeStringArray | None:
    """Texts by which common n-grams are known: one per item, since samples of one item repeat its words."""
    keys = {sample.item.id: draw("decontaminate", sample.item.id) for batch in drafts for sample in batch}
    if len(keys) < SAMPLE_ITEMS_MIN:
        return None
    highest = np.sort(np.fromiter(keys.values(), np.uint64, len(keys)))[:SAMPLE_ITEMS][-1]
    chosen = {id_ for id_, key in keys.items() if key <= highest}
    texts = []
    for batch in drafts:
        for sample in batch:
            if sample.item.id in chosen:
                chosen.remove(sample.item.id)
                texts.append(text_of(sample))
    return pa.array(texts, pa.large_string())
