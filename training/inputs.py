"""What a training reads, by digests: a stage is done again exactly where something that it reads has changed.

Files are hashed once and remembered by size and time of their last change, since weights are large.
"""

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import fsspec
import orjson
import xxhash

from classifiers.rows import input_files
from curation.mixture.record import read_mixture
from manifests.errors import RequestError
from manifests.schema_distillation import Distill
from manifests.schema_embedding import Contrast, Mntp
from manifests.schema_surgery import Prune, Upscale
from manifests.schema_training import TrainingStage
from manifests.schema_training_preferences import Dpo, OnlineDpo, Reward
from manifests.schema_training_stages import Cpt, Sft
from manifests.store import Folder, resolve
from training.encoders.foretold import check_texts

LOGPROBS = "logprobs"
"""Folder of such a run with its teacher's tokens and their probabilities."""
TABLES = ("messages", "preference")
"""Folders of a run of `onggi synth` that stages read."""
TSV = (".tsv", ".tsv.gz")
"""How relevance is written in BEIR's files."""
MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.tiktoken", "merges.txt", "vocab.txt")
HASHED_AT_ONCE = 1 << 22


class Digests:
    """Digests of files and folders, remembered in a JSON file."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, list[int | str]] = _read(memory)

    def keep(self) -> None:
        """Write what is remembered; where that cannot be, files are read once more."""
        with contextlib.suppress(OSError):  # a full disk, or another command that writes the same
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            partial = self._memory.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
            partial.write_bytes(orjson.dumps(self._known))
            partial.rename(self._memory)

    def of_file(self, path: str) -> str:
        """XXH3 of a file's bytes."""
        if "://" in path:
            return self._hashed(path)
        there = Path(path).stat()
        size, time_ns, digest = self._known.get(path, [0, 0, ""])
        if (size, time_ns) != (there.st_size, there.st_mtime_ns):
            digest = self._hashed(path)
            self._known[path] = [there.st_size, there.st_mtime_ns, digest]
        return str(digest)

    def of_model(self, folder: str) -> str:
        """Of a model's weights, configuration and tokenizer.

        Raises:
            RequestError: there is no model in the folder.
        """
        if not Path(folder, "config.json").is_file():
            raise RequestError(f"{folder}: is no model: there is no config.json")
        files = sorted({path for pattern in MODEL_FILES for path in Path(folder).glob(pattern)})
        return joined(f"{path.name}:{self.of_file(str(path))}" for path in files)

    def of_rows(self, path: str) -> str:
        """Of the Parquet and JSONL files of a path; their names and order do not count, their content does."""
        return joined(sorted(self.of_file(file) for file in row_files(path)))

    def of_table(self, path: str) -> str:
        """Of a file that is no Parquet and no JSONL.

        Raises:
            RequestError: it is not there.
        """
        try:
            return self.of_file(path)
        except FileNotFoundError:
            raise RequestError(f"{path}: there is no such file or folder") from None

    def _hashed(self, path: str) -> str:
        digest = xxhash.xxh3_128()
        with fsspec.open(path, "rb") as file:
            while chunk := file.read(HASHED_AT_ONCE):
                digest.update(chunk)
        return digest.hexdigest()


def _read(memory: Path) -> dict[str, list[int | str]]:
    """What is remembered; nothing where it is not there, or damaged."""
    try:
        found = orjson.loads(memory.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def row_files(path: str) -> list[str]:
    """The files with rows of a path: a file, a folder, a glob, or the folder of a run of `onggi synth`.

    Raises:
        RequestError: there are none.
    """
    if Path(path, "run.json").is_file():
        tables = [f"{path}/{name}" for name in TABLES if Path(path, name).is_dir()]
        return [file for table in tables for file in input_files(table)]
    return input_files(path)


def stage_data(stage: TrainingStage, base: str, digests: Digests) -> Iterator[tuple[str, str]]:
    """The data that a stage reads, by path, and its digest.

    Raises:
        RequestError: something is not there; the message names the stage.
    """
    try:
        for mixture in mixture_paths(stage):
            path = resolve(mixture, base)
            yield path, read_mixture(Folder(path)).fingerprint
        paths = (
            [item.path for item in stage.data] if isinstance(stage, Sft | Reward | Dpo | Distill | Contrast) else []
        )
        paths += [stage.contrastive.student] if isinstance(stage, Distill) and stage.contrastive else []
        if isinstance(stage, Distill) and stage.logprobs:
            path = resolve(stage.logprobs, base)
            yield path, joined(digests.of_file(file) for file in input_files(f"{path}/{LOGPROBS}"))
        paths += [stage.prompts] if isinstance(stage, OnlineDpo) else []
        paths += [stage.best_of_n.prompts] if isinstance(stage, Reward) and stage.best_of_n else []
        paths += measured_texts(stage)
        for path in (resolve(path, base) for path in paths):
            yield path, digests.of_table(path) if path.endswith(TSV) else digests.of_rows(path)
        if isinstance(stage, Sft | Distill) and stage.template and Path(resolve(stage.template, base)).is_file():
            path = resolve(stage.template, base)
            yield path, digests.of_file(path)
        if isinstance(stage, Contrast):
            check_texts(stage, base)
    except RequestError as error:
        raise RequestError(f"stage {stage.name}: {error}") from None


def mixture_paths(stage: TrainingStage) -> list[str]:
    """Paths of the token mixtures that a stage reads."""
    if isinstance(stage, Cpt):
        return [use.path for use in [*stage.mixture, *([stage.replay] if stage.replay else [])]]
    if isinstance(stage, Upscale):
        return [stage.influence.mixture.path] if stage.influence and stage.influence.mixture else []
    if isinstance(stage, Prune):
        uses = [stage.calibration and stage.calibration.mixture, stage.search and stage.search.trial.mixture]
        return [use.path for use in uses if use]
    return [use.path for use in stage.mixture] if isinstance(stage, Distill | Mntp) else []


def measured_texts(stage: TrainingStage) -> list[str]:
    """Paths of the texts by which a stage measures a model: to choose its layers or channels, or as an encoder."""
    if isinstance(stage, Upscale):
        return [stage.influence.text] if stage.influence and stage.influence.text else []
    if isinstance(stage, Prune):
        return [stage.calibration.text] if stage.calibration and stage.calibration.text else []
    if isinstance(stage, Contrast):
        return [path for item in stage.retrieval for path in (item.queries, item.corpus, item.qrels)]
    return []


def joined(parts: Iterable[str]) -> str:
    """The digest of digests."""
    return xxhash.xxh3_128_hexdigest("\n".join(parts).encode())
