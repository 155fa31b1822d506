"""What a mixture is made of, as the declarations of other trainers: OLMo-core, Megatron, Hugging Face datasets.

They mix for themselves, from the sources; shares are those that the mixture came to, from its ledger. Each stage is a
file. What these formats cannot say (predicates, `repeat`, gradual transitions, packing) is in the mixture only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import yaml

from curation.mixture.record import MixtureRecord
from curation.mixture.sequences import Stretch
from manifests.errors import RequestError
from manifests.schema_mixture import MixtureManifest, Source
from manifests.store import Folder

FILE_KINDS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".ndjson": "json"}
"""Builders of Hugging Face datasets, by how a file's name ends (apart from .gz and .zst)."""


@dataclass(frozen=True)
class Part:
    """A source in a stage."""

    source: Source
    n_tokens: int
    n_documents: int
    """That begin in this stage."""
    token_frac: float
    """Share of the stage's tokens."""
    n_passes: int
    """How many passes through the source hold as much, rounded up."""


def parts_of(mixture: MixtureRecord, folder: Folder, stage: str) -> list[Part]:
    """The sources of a stage, in the order of the manifest, with what was taken of them by the ledger.

    Raises:
        RequestError: nothing was taken in this stage.
    """
    manifest = MixtureManifest.model_validate(mixture.manifest)
    ledger = (folder / "ledger").scan().filter(pl.col("stage") == stage)
    sums = ledger.group_by("source").agg(pl.col("n_tokens").sum(), pl.col("n_documents").sum()).collect()
    taken = {source: (n_tokens, n_documents) for source, n_tokens, n_documents in sums.iter_rows()}
    total = sum(n_tokens for n_tokens, _ in taken.values())
    if not total:
        raise RequestError(f"{folder.path}: stage {stage!r} holds no tokens")
    one_pass = {source.name: source.n_tokens for source in mixture.sources}
    return [
        Part(
            source, n_tokens, n_documents, n_tokens / total, -(-n_tokens // max(one_pass.get(source.name, total), 1))
        )
        for source in manifest.sources
        for n_tokens, n_documents in [taken.get(source.name, (0, 0))]
        if n_tokens
    ]


def write_olmo_core(
    mixture: MixtureRecord, folder: Folder, stages: Sequence[Stretch], out: Folder, paths: str | None
) -> None:
    """Write STAGE.yaml, which `SourceMixtureList.from_yaml` reads; `paths` are arrays of ids per source.

    `target_ratio` are shares of tokens and sum to 1. `epochs_max` above 1 becomes `max_repetition_ratio`, below 1
    `max_source_fraction`. Format: `olmo_core/data/source_mixture.py`.
    """
    template = _template(paths, "{source}/*.npy")
    for stage in stages:
        sources, n_tokens = list[dict[str, object]](), 0
        for part in parts_of(mixture, folder, stage.stage):
            n_tokens += part.n_tokens
            sources.append(
                {
                    "source_name": part.source.name,
                    "target_ratio": part.token_frac,
                    "paths": [template.replace("{source}", part.source.name)],
                    "max_repetition_ratio": max(1.0, part.source.epochs_max),
                    "max_source_fraction": min(1.0, part.source.epochs_max),
                }
            )
        note = (
            f"# {mixture.name}, stage {stage.stage}: requested_tokens={n_tokens}, fingerprint {mixture.fingerprint}\n"
        )
        text = yaml.safe_dump({"sources": sources}, sort_keys=False, allow_unicode=True)
        out.write_bytes(f"{stage.stage}.yaml", (note + text).encode())


def write_megatron_blend(
    mixture: MixtureRecord, folder: Folder, stages: Sequence[Stretch], out: Folder, paths: str | None
) -> None:
    """Write STAGE.txt for `--data-args-path`: weights and prefixes by turns; weights are shares of tokens.

    Format: `get_blend_from_list` in `megatron/core/datasets/utils.py`, which splits the file at white space.

    Raises:
        RequestError: a prefix holds white space.
    """
    template = _template(paths, "{source}")
    for stage in stages:
        words = list[str]()
        for part in parts_of(mixture, folder, stage.stage):
            prefix = template.replace("{source}", part.source.name)
            if len(prefix.split()) != 1:
                raise RequestError(f"--paths {template}: a blend is split at white space; name a path without any")
            words += [f"{part.token_frac:.12g}", prefix]
        out.write_bytes(f"{stage.stage}.txt", (" ".join(words) + "\n").encode())


def write_interleave(
    mixture: MixtureRecord, folder: Folder, stages: Sequence[Stretch], out: Folder, paths: str | None
) -> None:
    """Write STAGE.json: what `load_dataset` and `interleave_datasets` are to be called with.

    `interleave_datasets` draws documents, not tokens: a probability is a source's share of the documents taken. Each
    source is repeated so often that it does not end before `n_documents` are drawn in all, which is where to stop.
    """
    manifest = MixtureManifest.model_validate(mixture.manifest)
    for stage in stages:
        parts = parts_of(mixture, folder, stage.stage)
        n_documents = sum(part.n_documents for part in parts)
        if not n_documents:
            raise RequestError(f"stage {stage.stage!r}: no document begins in it; the documents have no shares")
        sources = [
            {
                "name": part.source.name,
                "category": part.source.category,
                **_data_files(part.source, mixture, paths),
                "repeat": part.n_passes,
                "text": part.source.text,
                "where": part.source.where,
                "token_frac": part.token_frac,
            }
            for part in parts
        ]
        spec = {
            "stage": stage.stage,
            "fingerprint": mixture.fingerprint,
            "sources": sources,
            "probabilities": [part.n_documents / n_documents for part in parts],
            "seed": manifest.seed,
            "stopping_strategy": "all_exhausted",
            "n_documents": n_documents,
        }
        out.write_json(f"{stage.stage}.json", spec)


def _template(paths: str | None, default: str) -> str:
    """Where a consumer finds a source.

    Raises:
        RequestError: every source would be found in the same place.
    """
    if paths is not None and "{source}" not in paths:
        raise RequestError(f"--paths {paths}: write {{source}} where the name of the source stands")
    return paths or default


def _data_files(source: Source, mixture: MixtureRecord, paths: str | None) -> dict[str, object]:
    """Builder and files of a source: those that were read, unless `paths` says where they are.

    Raises:
        RequestError: by their names they are of no known format, or of two.
    """
    files = [entry.path for entry in mixture.inputs if entry.source == source.name]
    if paths is not None:
        files = [_template(paths, "").replace("{source}", source.name)]
    kinds = {_kind(name) for name in files}
    if len(kinds) != 1 or None in kinds:
        raise RequestError(
            f"sources: {source.name}: {', '.join(files[:3])}: not all Parquet or all JSON Lines by their names; "
            "`datasets` needs one format per source: convert them and say where they are by --paths"
        )
    return {"format": kinds.pop(), "data_files": files}


def _kind(name: str) -> str | None:
    """The builder that reads a file."""
    plain = name.removesuffix(".gz").removesuffix(".zst")
    return next((kind for end, kind in FILE_KINDS.items() if plain.endswith(end)), None)
