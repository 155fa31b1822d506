"""What an evaluation came to, and its record."""

import xxhash
from pydantic import BaseModel

from manifests.code import version
from manifests.errors import RequestError
from manifests.record import RECORD, Entry, RunRecord, now
from manifests.schema_evaluation import EvaluationManifest
from manifests.store import Folder
from training.evaluating.results import ModelResults

KIND = "evaluation"


class EvaluationSummary(BaseModel):
    """All models and what they came to, as the page shows it: `summary.json`."""

    name: str
    compare_with: str
    """The model that the others are compared with."""
    models: list[ModelResults]

    def of(self, name: str) -> ModelResults:
        """A model by its name."""
        return next(model for model in self.models if model.name == name)


class EvaluationRecord(RunRecord):
    """Which models were evaluated, by what, and what came of it."""

    models: dict[str, str]
    """Digest of each model's weights, configuration and tokenizer."""
    results: dict[str, dict[str, float | None]]
    """Main score of each result, by model; null where it could not be measured."""


def record_of(
    manifest: EvaluationManifest,
    base: str,
    summary: EvaluationSummary,
    digests: dict[str, str],
    seconds: dict[str, float],
    peak_bytes: int,
    data: list[Entry],
    outputs: list[Entry],
) -> EvaluationRecord:
    """The record of an evaluation that is done."""
    results = {
        model.name: {result.name: result.score.value if result.score else None for result in model.results}
        for model in summary.models
    }
    said = manifest.model_dump_json() + "".join(digests.values()) + "".join(entry.digest for entry in data)
    return EvaluationRecord(
        name=manifest.name,
        kind=KIND,
        fingerprint=xxhash.xxh3_128_hexdigest(said.encode()),
        onggi_version=version(),
        created=now(),
        manifest=manifest.model_dump(mode="json"),
        manifest_base=base,
        measured_in="",
        inputs=[
            *(
                Entry(path=model.folder, size_bytes=0, digest=digests[model.name], source=model.name)
                for model in summary.models
            ),
            *data,
        ],
        outputs=outputs,
        counts={model.name: sum(len(result.units) for result in model.results) for model in summary.models},
        skipped={},
        licenses={},
        shards={},
        digests={},
        timings=seconds,
        throughput={},
        peak_memory_bytes=peak_bytes,
        n_workers=1,
        models=digests,
        results=results,
    )


def read_evaluation(folder: Folder) -> EvaluationRecord:
    """The record of a finished evaluation.

    Raises:
        RequestError: there is none, or it is of another kind.
    """
    if not folder.exists(RECORD):
        raise RequestError(f"{folder.path}: holds no finished run of `onggi eval` (no {RECORD})")
    value = folder.read_json(RECORD)
    if value.get("kind") != KIND:
        raise RequestError(f"{folder.path}: is a run of `kind: {value.get('kind')}`; expected one of `kind: {KIND}`")
    try:
        return EvaluationRecord.model_validate(value)
    except ValueError as error:
        raise RequestError(f"{folder.url(RECORD)}: not a record that this version of Onggi reads: {error}") from None
