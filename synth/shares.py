"""How much of what is trained on may be translated: what is over it is taken out, whichever gates it has passed."""

from collections.abc import Iterator

from manifests.schema_synthesis import SynthesisManifest, Translate
from manifests.store import Folder, resolve
from synth.drafts import Drafts
from synth.record import read_synthesis
from synth.samples import Rejection
from synth.tables import id_of, read_table
from synth.tasks.translate import over_share

STAGE = "share"


def over_the_share(manifest: SynthesisManifest, base: str, drafts: Drafts) -> Iterator[Rejection | None]:
    """A verdict per sample that is in: translated ones beyond `task.max_share` are out.

    The share is of characters of answers, of this run and of those in `mix_with` together.

    Raises:
        RequestError: one of those is no finished run.
    """
    task = manifest.task
    assert isinstance(task, Translate)
    n_plain, n_translated = _sizes_of(task.mix_with, base)
    sizes = [
        (id_of(sample, task.kind), len(sample.answer_text), sample.is_translated)
        for batch in drafts
        for sample in batch
    ]
    n_plain += sum(size for _, size, is_translated in sizes if not is_translated)
    spent = n_translated * (1 - task.max_share) / task.max_share if task.max_share else 0  # by what is there already
    surplus = over_share(
        ((name, size) for name, size, is_translated in sizes if is_translated),
        max(0, int(n_plain - spent)),
        task.max_share,
        manifest.seed,
    )
    for name, _, _ in sizes:
        yield Rejection(STAGE, "surplus", threshold=task.max_share) if name in surplus else None


def check_runs(manifest: SynthesisManifest, base: str) -> bool:
    """Whether there is a share to be kept; before anything is asked.

    Raises:
        RequestError: a folder of `mix_with` is no finished run.
    """
    task = manifest.task
    if not isinstance(task, Translate):
        return False
    for name in task.mix_with:
        read_synthesis(Folder(resolve(name, base)))
    return bool(task.mix_with)


def _sizes_of(runs: list[str], base: str) -> tuple[int, int]:
    """Characters of answers in runs: not translated, translated."""
    sizes = {False: 0, True: 0}
    for name in runs:
        run = Folder(resolve(name, base))
        for form in ("messages", "preference", "text"):
            for row in read_table(run, form):
                sizes[row["is_translated"]] += row["n_chars"]
    return sizes[False], sizes[True]
