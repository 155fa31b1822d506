"""What a run reads beside its seeds and answers, by digests: a finished run is made again where any of it changed."""

from collections.abc import Iterator
from pathlib import Path

import xxhash

from manifests import schema_synthesis as schema
from manifests.store import Folder, resolve
from synth.record import read_synthesis


def input_digests(manifest: schema.SynthesisManifest, base: str) -> list[str]:
    """Digests of prompts, chat template, what gates compare with, runs to be mixed with, and tokenizers.

    Raises:
        RequestError: one of these is not there, or not what it should be.
    """
    return [
        *_of_task(manifest.task, base),
        *(_of_gate(gate, base) for gate in manifest.gates),
        *_of_tokens(manifest, base),
    ]


def _of_task(task: schema.Task, base: str) -> Iterator[str]:
    folders = [task.prompts, task.tokenizer if isinstance(task, schema.Magpie) else None]
    for folder in folders:
        yield _of_templates(Path(resolve(folder, base))) if folder else ""
    for run in task.mix_with if isinstance(task, schema.Translate) else ():
        yield repr(sorted(read_synthesis(Folder(resolve(run, base))).digests.items()))


def _of_templates(folder: Path) -> str:
    digest = xxhash.xxh3_64()
    for path in sorted([*folder.rglob("*.jinja"), *folder.glob("tokenizer_config.json")]):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _of_gate(gate: schema.Gate, base: str) -> str:
    """Of what the manifest names; loaded here, so that a run needs no more than its gates do."""
    if isinstance(gate, schema.DecontaminateGate):
        from curation.benchmarks import load_items

        return xxhash.xxh3_64_hexdigest(repr(load_items(gate.against, gate.data_dir, base)).encode())
    if isinstance(gate, schema.ScoreGate) and gate.model is not None:
        from synth.gates.score import ClassifierScore

        return ClassifierScore(gate, base).fingerprint
    if isinstance(gate, schema.DiversityGate):
        from classifiers.encoder import encoder_digest

        return encoder_digest(Path(resolve(gate.encoder, base)))
    return ""


def _of_tokens(manifest: schema.SynthesisManifest, base: str) -> Iterator[str]:
    from synth.teachers.tokens import tokenizer_digest

    for settings in (manifest.teacher, manifest.judge):
        if settings and settings.logprobs:
            yield tokenizer_digest(resolve(settings.logprobs.tokenizer, base))
