"""What a run of synthetic data came to: the funnel, what it cost, and how kept and rejected samples differ.

It is made in one pass over the samples; what is remembered is counts, and the few examples that are shown.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from classifiers.summary import Spent
from curation.summary_models import EDGES, Distribution, Scale
from manifests.schema_synthesis import SynthesisManifest
from synth.drafts import Draft
from synth.examples import Chosen
from synth.samples import Role, Sample
from synth.summary_models import Difficulty, Figure, Prompt, Reason, Split, Stage, SynthesisSummary, Table
from synth.tables import Written, makers_of
from synth.teacher import Usage

N_KEPT = 12
N_PER_REASON = 4
"""Examples."""


def summarize(
    drafts: Iterable[Draft],
    manifest: SynthesisManifest,
    *,
    gates: Sequence[str],
    n_seeds: int,
    n_items: int,
    usage: Mapping[Role, Usage],
    written: Sequence[Written],
) -> SynthesisSummary:
    """What a run came to.

    Args:
        drafts: all samples, those of one item together.
        manifest: of the run.
        gates: their names, in order; other stages are the task's, and come before.
        n_seeds: seeds that were read.
        n_items: what was worked on.
        usage: what was asked of each role, and what it took.
        written: the tables.
    """
    counts = _Counts(manifest.task.kind)
    for draft in drafts:
        counts.add(draft)
    return SynthesisSummary(
        name=manifest.name,
        task=manifest.task.kind,
        n_seeds=n_seeds,
        n_items=n_items,
        n_asked=sum(one.n_requests for one in usage.values()),
        n_answered=sum(one.n_requests - one.n_failed for one in usage.values()),
        n_samples=counts.n_samples,
        n_kept=counts.n_kept,
        stages=counts.stages(gates),
        spent=_spent(manifest, usage),
        tables=tuple(
            Table(name=t.name, n_rows=t.n_rows, size_bytes=sum(f.size_bytes for f in t.files), digest=t.digest)
            for t in written
        ),
        **{name: _splits(found) for name, found in counts.splits.items()},
        translated=_split("translated", counts.translated),
        lengths={name: counts.lengths[name].distribution for name in sorted(counts.lengths)},
        pass_fracs=counts.pass_fracs.distribution if counts.pass_fracs.n else None,
        difficulties=counts.difficulties(),
        numbers=tuple(counts.numbers[name].figure(name) for name in sorted(counts.numbers)),
        prompts=counts.prompts_found(),
        kept=counts.kept_examples.examples(),
    )


def _spent(manifest: SynthesisManifest, usage: Mapping[Role, Usage]) -> dict[str, Spent]:
    settings = {"teacher": manifest.teacher, "judge": manifest.judge, "reward": manifest.reward}
    makers = makers_of(manifest)
    return {
        role: Spent(
            model=makers[role].model,
            n_requests=found.n_requests,
            n_kept=found.n_kept,
            n_paid=found.n_paid,
            n_failed=found.n_failed,
            n_retries=found.n_retries,
            n_prompt_tokens=found.n_prompt_tokens,
            n_output_tokens=found.n_output_tokens,
            cost=found.cost(settings[role] or manifest.teacher),
        )
        for role, found in usage.items()
    }


Pair = tuple[int, int, int]
"""Samples that are kept, those that are not, and characters of the kept ones' answers."""


class _Counts:
    """What is counted on the way."""

    def __init__(self, task: str) -> None:
        self.task = task
        self.n_samples = self.n_kept = 0
        self.reasons: dict[tuple[str, str], int] = {}
        self.rejected_examples: dict[tuple[str, str], Chosen] = {}
        self.kept_examples = Chosen(N_KEPT)
        self.splits: dict[str, dict[str, Pair]] = {
            name: {} for name in ("forms", "languages", "varieties", "sources", "licenses")
        }
        self.translated: Pair = (0, 0, 0)
        self.lengths: dict[str, _Bins] = {}
        self.numbers: dict[str, _Spread] = {}
        self.prompts: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.pass_fracs = _Bins("fraction")
        self._difficulties: dict[str, tuple[int, int, float]] = {}
        self._item: tuple[str, float, str, bool] | None = None

    def add(self, draft: Draft) -> None:
        """Count a sample."""
        sample, is_kept = draft.sample, draft.is_kept
        n_chars = len(sample.answer_text)
        self.n_samples += 1
        self.n_kept += is_kept
        values = (sample.form, sample.language, sample.variety, sample.item.source, sample.item.license or "")
        for found, value in zip(self.splits.values(), values, strict=True):
            found[value] = _plus(found.get(value, (0, 0, 0)), is_kept, n_chars)
        if sample.is_translated:
            self.translated = _plus(self.translated, is_kept, n_chars)
        if n_chars:
            self.lengths.setdefault(sample.language, _Bins("count")).add(n_chars, is_kept)
        self._add_prompts(sample, is_kept)
        self._add_item(sample, is_kept)
        if is_kept:
            for name, number in sample.numbers.items():
                self.numbers.setdefault(name, _Spread()).add(number)
        self._add_example(sample)

    def _add_prompts(self, sample: Sample, is_kept: bool) -> None:
        for key in dict.fromkeys((ask.template, ask.template_digest, ask.role) for ask in sample.made_by):
            n_samples, n_kept = self.prompts.get(key, (0, 0))
            self.prompts[key] = n_samples + 1, n_kept + is_kept

    def _add_item(self, sample: Sample, is_kept: bool) -> None:
        """Of a question: its pass rate, and whether any sample of it is kept. They come one after another."""
        name, frac = sample.item.id, sample.numbers.get("pass_frac")
        if self._item and self._item[0] != name:
            self._end_item()
        if frac is not None:
            was_kept = self._item is not None and self._item[3]
            self._item = name, frac, sample.tags.get("difficulty", ""), is_kept or was_kept

    def _end_item(self) -> None:
        if self._item:
            _, frac, difficulty, is_kept = self._item
            self.pass_fracs.add(frac, is_kept)
            n, n_kept, total = self._difficulties.get(difficulty, (0, 0, 0.0))
            self._difficulties[difficulty] = n + 1, n_kept + is_kept, total + frac
        self._item = None

    def _add_example(self, sample: Sample) -> None:
        chosen = self.kept_examples
        if why := sample.rejection:
            key = why.stage, why.reason
            self.reasons[key] = self.reasons.get(key, 0) + 1
            chosen = self.rejected_examples.setdefault(key, Chosen(N_PER_REASON))
        chosen.offer(sample, self.task)

    def stages(self, gates: Sequence[str]) -> tuple[Stage, ...]:
        """Those of the task by their names, then the gates, each with what reached it."""
        of_task = sorted({stage for stage, _ in self.reasons} - set(gates))
        stages, n_in = list[Stage](), self.n_samples
        for name in (*of_task, *dict.fromkeys(gates)):
            counts = {reason: n for (stage, reason), n in self.reasons.items() if stage == name}
            reasons = tuple(
                Reason(reason=r, n_samples=counts[r], examples=self.rejected_examples[name, r].examples())
                for r in sorted(counts, key=lambda r: (-counts[r], r))
            )
            stages.append(Stage(name=name, is_gate=name in gates, n_in=n_in, reasons=reasons))
            n_in = stages[-1].n_out
        return tuple(stages)

    def difficulties(self) -> tuple[Difficulty, ...]:
        """The easiest first."""
        self._end_item()
        found = [
            Difficulty(name=name, n_items=n, n_items_kept=n_kept, mean_pass_frac=total / n)
            for name, (n, n_kept, total) in self._difficulties.items()
            if name
        ]
        return tuple(sorted(found, key=lambda of: (-of.mean_pass_frac, of.name)))

    def prompts_found(self) -> tuple[Prompt, ...]:
        """By name."""
        return tuple(
            Prompt(template=template, digest=digest, role=role, n_samples=n, n_kept=n_kept)
            for (template, digest, role), (n, n_kept) in sorted(self.prompts.items())
        )


def _plus(pair: Pair, is_kept: bool, n_chars: int) -> Pair:
    return pair[0] + is_kept, pair[1] + (not is_kept), pair[2] + is_kept * n_chars


def _splits(found: Mapping[str, Pair]) -> tuple[Split, ...]:
    """The largest first."""
    return tuple(_split(name, found[name]) for name in sorted(found, key=lambda name: (-sum(found[name][:2]), name)))


def _split(name: str, pair: Pair) -> Split:
    return Split(name=name, n_kept=pair[0], n_rejected=pair[1], kept_chars=pair[2])


class _Bins:
    """Kept and rejected samples by a number."""

    def __init__(self, scale: Scale) -> None:
        self.scale, self._edges = scale, EDGES[scale].tolist()
        self.n, self._kept, self._rejected = 0, Counter[int](), Counter[int]()

    def add(self, value: float, is_kept: bool) -> None:
        """Count one."""
        (self._kept if is_kept else self._rejected)[max(bisect_right(self._edges, value) - 1, 0)] += 1
        self.n += 1

    @property
    def distribution(self) -> Distribution:
        """As reports draw it."""
        kept, dropped = (tuple(counts[k] for k in range(len(self._edges))) for counts in (self._kept, self._rejected))
        return Distribution(scale=self.scale, kept=kept, dropped=dropped, n_missing=0)


class _Spread:
    """Least, most and mean."""

    def __init__(self) -> None:
        self.n, self.total, self.low, self.high = 0, 0.0, float("inf"), float("-inf")

    def add(self, value: float) -> None:
        """Count one; what is not finite is left out."""
        if isfinite(value):
            self.n, self.total = self.n + 1, self.total + value
            self.low, self.high = min(self.low, value), max(self.high, value)

    def figure(self, name: str) -> Figure:
        """As the summary has it."""
        if not self.n:
            return Figure(name=name, n_samples=0, mean=0.0, low=0.0, high=0.0)
        return Figure(name=name, n_samples=self.n, mean=self.total / self.n, low=self.low, high=self.high)
