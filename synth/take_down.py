"""What a run of synthetic data holds of rows that are taken down, beside the rows: answers, tokens, examples."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.removal.synthetic import Gone
from curation.removal.tables import rewrite
from manifests.record import RECORD
from manifests.schema_synthesis import SynthesisManifest
from manifests.store import Folder
from synth.pipeline import SUMMARY, write_synthesis_report
from synth.record import KIND, read_synthesis
from synth.summary_models import Example, SynthesisSummary
from synth.teacher import answers_path
from synth.teachers.answers import AnswerStore
from synth.token_table import NAME as TOKENS


def forget(run: Folder, gone: Gone, dry_run: bool) -> dict[str, int]:
    """Remove what a run holds of these rows; see `curation.removal.synthetic.Forget`.

    Returns:
        `answers`, `tokens` and `examples` that go; nothing for a folder that is no finished run of `onggi synth`.
    """
    if not run.exists(RECORD) or run.read_json(RECORD).get("kind") != KIND:
        return {}
    return {
        "answers": _answers(run, gone, dry_run),
        "tokens": _tokens(run, gone, dry_run),
        "examples": _examples(run, gone, dry_run),
    }


def _answers(run: Folder, gone: Gone, dry_run: bool) -> int:
    record, keys, n = read_synthesis(run), sorted(gone.requests), 0
    manifest = SynthesisManifest.model_validate(record.manifest)
    roles = {"": manifest.teacher, "/judge": manifest.judge, "/reward": manifest.reward}
    for place, settings in roles.items():
        path = answers_path(settings, record.manifest_base, f"{run.path}{place}") if settings else ""
        if path and Path(path).exists():
            with AnswerStore(path) as store:
                n += len(store.get(keys)) if dry_run else store.remove(keys)
    return n


def _tokens(run: Folder, gone: Gone, dry_run: bool) -> int:
    ids, n = pa.array(sorted(gone.ids), pa.string()), 0
    for name in (run / TOKENS).names(".parquet"):
        with run.fs.open((run / TOKENS).file(name), "rb") as file:
            found = pc.sum(pc.is_in(pq.read_table(file, columns=["id"])["id"], ids)).as_py() or 0
        n += found
        if found and not dry_run:
            rewrite(run, f"{TOKENS}/{name}", lambda rows: rows.filter(pc.invert(pc.is_in(rows["id"], ids))))
    return n


def _examples(run: Folder, gone: Gone, dry_run: bool) -> int:
    summary = SynthesisSummary.model_validate(run.read_json(SUMMARY))
    stages = tuple(
        stage.model_copy(
            update={
                "reasons": tuple(
                    reason.model_copy(update={"examples": _others(reason.examples, gone)}) for reason in stage.reasons
                )
            }
        )
        for stage in summary.stages
    )
    left = summary.model_copy(update={"kept": _others(summary.kept, gone), "stages": stages})
    n = _n_examples(summary) - _n_examples(left)
    if n and not dry_run:
        run.write_bytes(SUMMARY, left.model_dump_json().encode())
        write_synthesis_report(run, read_synthesis(run))
    return n


def _others(examples: tuple[Example, ...], gone: Gone) -> tuple[Example, ...]:
    return tuple(example for example in examples if example.id not in gone.ids)


def _n_examples(summary: SynthesisSummary) -> int:
    return len(summary.kept) + sum(len(reason.examples) for stage in summary.stages for reason in stage.reasons)
