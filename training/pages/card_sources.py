"""What a training read and under which licences, as far as the records of its inputs tell."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from manifests.record import RECORD
from manifests.schema_distillation import Distill
from manifests.schema_embedding import Contrast
from manifests.schema_training import TrainingManifest, TrainingStage
from manifests.schema_training_preferences import Dpo, OnlineDpo, Reward
from manifests.schema_training_stages import Sft
from manifests.store import Folder, resolve
from training.inputs import measured_texts, mixture_paths

FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


@dataclass(frozen=True)
class DataUsed:
    """An input of a stage."""

    stage: str
    path: str
    """As the manifest has it."""
    what: str
    """In a few words, as `mixture kanana-stage2` or `files`."""
    licenses: Mapping[str, int] = field(default_factory=dict)
    """Documents by licence, where a record tells; empty where none does."""
    says: str = ""
    """The licence that the manifest of synthetic data gives."""


def data_used(manifest: TrainingManifest, base: str) -> list[DataUsed]:
    """The data of all stages, each path once per stage.

    Args:
        manifest: of the training.
        base: the manifest's folder.
    """
    return [_used(stage.name, path, base) for stage in manifest.stages for path in dict.fromkeys(_paths(stage))]


def _paths(stage: TrainingStage) -> Iterator[str]:
    yield from mixture_paths(stage)
    if isinstance(stage, Sft | Reward | Dpo | Distill | Contrast):
        yield from (entry.path for entry in stage.data)
    if isinstance(stage, Reward) and stage.best_of_n:
        yield stage.best_of_n.prompts
    if isinstance(stage, OnlineDpo):
        yield stage.prompts
    if isinstance(stage, Distill):
        yield from (path for path in (stage.logprobs, stage.contrastive and stage.contrastive.student) if path)
    yield from measured_texts(stage)


def _used(stage: str, path: str, base: str) -> DataUsed:
    found = _record(resolve(path, base))
    kind, name = found.get("kind"), found.get("name")
    if not isinstance(kind, str):
        return DataUsed(stage, path, "files")
    given = (found.get("manifest") or {}).get("license")
    said = given if kind == "synthesis" and isinstance(given, str) else ""
    counts = _of_sources(found) if kind == "mixture" else _counts(found)
    what = {"synthesis": "synthetic data"}.get(kind, kind)
    return DataUsed(stage, path, f"{what} {name}", counts, said)


def _of_sources(record: Mapping[str, Any]) -> dict[str, int]:
    """Licences of the corpora that a mixture was made of; files have no record."""
    counts = Counter[str]()
    for source in (record.get("manifest") or {}).get("sources") or ():
        if source.get("run"):
            counts.update(_counts(_record(resolve(source["run"], str(record.get("manifest_base", ""))))))
    return dict(counts)


def _counts(record: Mapping[str, Any]) -> dict[str, int]:
    found = record.get("licenses")
    return {str(name): int(count) for name, count in found.items()} if isinstance(found, dict) else {}


def _record(folder: str) -> Mapping[str, Any]:
    """The record of a run; nothing where the path is none."""
    try:
        found = Folder(folder).read_json(RECORD)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def model_license(folder: str) -> str | None:
    """The licence that the card of a model names in its front matter; None where it names none."""
    path = Path(folder, "README.md")
    if "://" in folder or not path.is_file():
        return None
    front = FRONT.match(path.read_text("utf-8", "replace"))
    if not front:
        return None
    try:
        found = yaml.safe_load(front[1])
    except yaml.YAMLError:
        return None
    given = found.get("license") if isinstance(found, dict) else None
    named = found.get("license_name") if isinstance(found, dict) else None
    chosen = named if given == "other" and named else given
    return chosen if isinstance(chosen, str) else None
