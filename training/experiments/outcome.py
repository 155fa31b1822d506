"""What a run of a step came to, by its record; and whether it is there, and as it would be made now."""

import glob
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from re import Match
from typing import Any

import orjson
import xxhash
from pydantic import BaseModel, Field

from manifests.code import version
from manifests.errors import RequestError, RunError
from manifests.load import Manifest
from manifests.record import RECORD
from manifests.schema_experiments import NewTokenizer
from manifests.schema_training import BASE
from manifests.store import resolve
from training.experiments.chain import Run
from training.experiments.step_kinds import LEARNED
from training.experiments.templates import TOKENIZER, replaced, validated
from training.summary_models import SUMMARY, TrainingSummary
from training.whole_files import write

STAMP = "step.json"
"""Beside a finished run: what it was made of."""
FILES_MAX = 100_000
"""Files of a folder that are looked at."""
PATH_CHARS_MAX = 4096


class Outcome(BaseModel):
    """What a run made."""

    inputs: dict[str, str] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    seconds: float = 0.0


def outcome(run: Run) -> Outcome:
    """What a finished run made.

    Raises:
        RunError: it is not finished.
    """
    record = _record(run)
    if run.kind == TOKENIZER:
        counts = {"vocab_size": record["vocab_size"]}
        counts |= {f"{name}_bytes": n for name, n in record["text_bytes"].items()}
        digest = xxhash.xxh3_128_hexdigest((run.folder / "tokenizer.json").read_bytes())
        return Outcome(outputs={TOKENIZER: digest}, counts=counts, seconds=record["seconds"])
    outputs = {entry["path"]: entry["digest"] for entry in record["outputs"] if entry["digest"]}
    return Outcome(
        inputs={entry["path"]: entry["digest"] for entry in record["inputs"]},
        outputs=record["stages"] if run.kind == "training" else record["digests"] or outputs,
        counts=record["counts"],
        seconds=sum(record["timings"].values()),
    )


def _record(run: Run) -> dict[str, Any]:
    path = run.folder / (LEARNED if run.kind == TOKENIZER else RECORD)
    if not path.is_file():
        raise RunError(f"{run.folder}: is not finished (no {path.name})")
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def model_folder(training: Path, stage: str) -> str:
    """The folder of the model that a stage of a finished training made, or of what the training began with.

    Raises:
        RunError: the training is not finished, or has no such stage.
    """
    if not (training / RECORD).is_file():
        raise RunError(f"{training}: is not finished (no {RECORD})")
    if stage == BASE:
        return TrainingSummary.model_validate_json((training / SUMMARY).read_bytes()).stages[0].folder
    models: dict[str, str] = orjson.loads((training / RECORD).read_bytes())["models"]
    if stage not in models:
        raise RunError(f"{training}: has no stage {stage}; there are {', '.join(models)}")
    return os.path.normpath(f"{training}/{models[stage]}")


def manifest_of(run: Run) -> Manifest | NewTokenizer:
    """A run's manifest when all that it reads is there."""

    def made(found: Match[str]) -> str:
        folder = run.reads[found["step"]].folder
        at = model_folder(folder, found["stage"]) if found["stage"] else str(folder)
        return f"{at}{found['path'] or ''}"

    return validated(run.kind, replaced(run.tree, made))


# Whether a run is as it would be made now


def is_done(run: Run) -> bool:
    """Whether a run is finished, and nothing that it names has changed since: then there is no need to ask it."""
    try:
        record = _record(run)
        stamp = orjson.loads((run.folder / STAMP).read_bytes())
        return bool(stamp == stamp_of(run)) and (run.kind != "training" or _has_models(run, record))
    except (OSError, ValueError, RequestError, RunError):
        return False


def _has_models(run: Run, record: Mapping[str, Any]) -> bool:
    """Whether the models of a training are there: they lie in folders that it shares with others."""
    return all(Path(model_folder(run.folder, name), "config.json").is_file() for name in (BASE, *record["models"]))


def set_stamp(run: Run, stamp: Mapping[str, Any]) -> None:
    """Note what a finished run was made of: `stamp_of` it before it began.

    Raises:
        RunError: it is not finished.
    """
    _record(run)
    write(run.folder / STAMP, orjson.dumps(stamp).decode())


def stamp_of(run: Run) -> dict[str, Any]:
    """What a run is made of as things are now; all that it reads of other runs is there.

    It is looked at before the run begins, so that a file which changes meanwhile is seen by the next command.
    """
    manifest = manifest_of(run)
    return {
        "fingerprint": run.fingerprint,
        "version": version(),
        "reads": {path: seen for path in _paths(manifest, run) if (seen := _seen(path)) is not None},
    }


def _paths(manifest: Manifest | NewTokenizer, run: Run) -> list[str]:
    """Every text of a manifest that may name something on this machine."""
    found = dict[str, None]()
    for text in _texts(manifest.model_dump(mode="json", exclude={"name", "output"})):
        if text and len(text) < PATH_CHARS_MAX and "\n" not in text:
            found[resolve(text, run.base)] = None
    return [path for path in found if not run.folder.is_relative_to(path)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _seen(path: str) -> str | None:
    """Size and time of a file, or of the files of a folder or a glob; None where there is nothing.

    Of a run its record is looked at, which is written last. What lies elsewhere cannot be seen so, and is taken as it
    is: commands look at it when they run.
    """
    try:
        if "://" in path:
            return None
        if glob.has_magic(path):
            return _of_files(sorted(glob.glob(path, recursive=True)))  # noqa: PTH207  # may be absolute
        at = Path(path)
        if at.is_file():
            return _of_files([path])
        if at.is_dir():
            record = at / RECORD
            return _of_files([str(record)] if record.is_file() else sorted(map(str, at.rglob("*"))))
    except (OSError, ValueError):
        return None
    return None


def _of_files(paths: list[str]) -> str | None:
    if not paths:
        return None
    digest = xxhash.xxh3_128()
    for path in paths[:FILES_MAX]:
        if Path(path).is_file():
            there = Path(path).stat()
            digest.update(f"{path}\t{there.st_size}\t{there.st_mtime_ns}\n".encode())
    return digest.hexdigest()
