"""The table `logprobs`: the teacher's tokens, with their probabilities, of the samples that were kept."""

import itertools
from collections.abc import Iterator

import pyarrow as pa

from manifests.contracts import conform
from manifests.contracts_synthetic import LOGPROBS
from manifests.digest import TableDigest
from manifests.record import Entry
from manifests.schema_synthesis import SynthesisManifest
from manifests.store import Folder
from synth.drafts import Drafts
from synth.panel import Panel
from synth.tables import Written, id_of, key_of, makers_of
from synth.teachers.token_arrays import unpack
from synth.teachers.tokens import Tokens

NAME = "logprobs"
SAMPLES_AT_ONCE = 200
"""An answer of a thousand tokens with twenty of the likeliest takes 170 kB."""


def write_logprobs(run: Folder, drafts: Drafts, manifest: SynthesisManifest, panel: Panel) -> Written | None:
    """Write the tokens of the answers that samples begin with; None where the manifest does not ask for them.

    A sample whose words are not the teacher's own, as one put together from several answers, has the tokens of the
    first answer that went into it.
    """
    run.remove(NAME)
    if manifest.teacher.logprobs is None:
        return None
    folder, digest, n_rows = run / NAME, TableDigest(), 0
    keys = _keys(drafts, manifest)
    with folder.table_writer("part-00000.parquet", LOGPROBS, NAME) as writer:
        while some := list(itertools.islice(keys, SAMPLES_AT_ONCE)):
            found = panel.answers("teacher", [key for _, key in some])
            rows = [_row(name, key, tokens) for name, key in some if key in found and (tokens := found[key].tokens)]
            table = conform(pa.Table.from_pylist(rows, schema=LOGPROBS), LOGPROBS, NAME)
            digest += TableDigest.of(table)
            writer.write(table)
            n_rows += len(rows)
    entry = Entry(path=f"{NAME}/part-00000.parquet", size_bytes=folder.size_bytes("part-00000.parquet"), rows=n_rows)
    return Written(NAME, n_rows, digest.hex, (entry,))


def _keys(drafts: Drafts, manifest: SynthesisManifest) -> Iterator[tuple[str, str]]:
    """(id of the sample, key of its answer) of the samples that are kept and that the teacher wrote."""
    makers = makers_of(manifest)
    for draft in drafts.all():
        first = draft.sample.made_by[:1]
        if draft.is_kept and first and first[0].role == "teacher":
            yield id_of(draft.sample, manifest.task.kind), key_of(first[0], makers)


def _row(name: str, key: str, tokens: Tokens) -> dict[str, object]:
    arrays = unpack(tokens)
    return {
        "id": name,
        "request": key,
        "tokenizer": tokens.tokenizer,
        "prompt_ids": arrays.prompt_ids,
        "output_ids": arrays.output_ids,
        "logprobs": arrays.logprobs,
        "top": tokens.top,
        "top_ids": arrays.top_ids.ravel(),
        "top_logprobs": arrays.top_logprobs.ravel(),
    }
