"""A model's embeddings for a tokenizer that was extended: a new token starts as the mean of what it was before.

That is the mean of the old embeddings of the tokens that the old tokenizer splits it into, in the input and in the
output embeddings alike. All other numbers of the checkpoint are copied bit by bit.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from manifests.errors import RequestError
from training.safetensors_files import DTYPES, Tensor, read_header, to_float, to_stored, write_file

EMBEDDING = re.compile(
    r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|lm_head|embed_out)\.(?:weight|bias)$"
    r"|^output\.weight$"
)
"""What models call their input and output embeddings."""
OUTPUT = re.compile(r"(?:lm_head|embed_out|^output)\.weight$")
INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "extension.json",
    "added_tokens.json",
)
TOKENS_AT_ONCE = 1024
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack")
"""Endings of weights; others than safetensors would be those of the old vocabulary, and are left out."""


@dataclass(frozen=True)
class Resized:
    """What became of a checkpoint."""

    tensors: list[str]
    """The embeddings that were changed."""
    old_rows: int
    new_rows: int
    n_new_tokens: int
    is_tied: bool
    """Whether the output embeddings are the input embeddings."""


@dataclass(frozen=True)
class _Extension:
    base_vocab_size: int
    parts: list[npt.NDArray[np.int64]]
    """Old ids of each new token, whose ids follow on base_vocab_size."""

    @property
    def vocab_size(self) -> int:
        return self.base_vocab_size + len(self.parts)


def resize_embeddings(model: Path, tokenizer: Path, folder: Path, multiple: int = 1) -> Resized:
    """Write the model with embeddings for the new tokens of a tokenizer, and with that tokenizer.

    Args:
        model: folder of a checkpoint: config.json and safetensors, in one file or in several with an index.
        tokenizer: folder that `onggi tokenizer extend` wrote for this model's tokenizer.
        folder: where the new checkpoint goes.
        multiple: the number of rows is made a multiple of this; rows that no token has are zeros.

    Raises:
        RequestError: one of the folders does not hold what it should, they do not belong together, or the new folder
            holds a model already.
    """
    if (folder / "config.json").exists():
        raise RequestError(f"{folder}: there is a model already; name another folder")
    extension, config = _extension(tokenizer), _json(model / "config.json")
    headers = {path: read_header(path) for path in _weight_files(model)}
    embeddings = _embeddings(model, [tensor for tensors, _ in headers.values() for tensor in tensors], extension)
    old_rows = embeddings[0].shape[0]
    n_rows = -(-max(old_rows, extension.vocab_size) // multiple) * multiple

    folder.mkdir(parents=True, exist_ok=True)
    total_bytes = 0
    for path, (tensors, metadata) in headers.items():
        changed = {tensor.name: _resized(tensor, extension, n_rows) for tensor in embeddings if tensor.file == path}
        total_bytes += write_file(folder / path.name, tensors, changed, metadata)
    _copy_beside(model, tokenizer, folder)
    _write_index(model, folder, total_bytes)
    _write_json(folder / "config.json", _with_vocab_size(config, old_rows, n_rows))
    is_tied = not any(OUTPUT.search(tensor.name) for tensor in embeddings)
    names = [tensor.name for tensor in embeddings]
    return Resized(names, old_rows, n_rows, len(extension.parts), is_tied)


def _extension(tokenizer: Path) -> _Extension:
    """What new tokens are made of.

    Raises:
        RequestError: the folder holds no such thing, or one whose ids do not follow on the old ones.
    """
    path = tokenizer / "extension.json"
    if not path.is_file():
        raise RequestError(f"{tokenizer}: no extension.json is there; name what `onggi tokenizer extend` wrote")
    value = _json(path)
    try:
        base, tokens = int(value["base_vocab_size"]), value["tokens"]
        ids = [int(token["id"]) for token in tokens]
        parts = [np.asarray(token["parts"], np.int64) for token in tokens]
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {error!r}") from error
    if ids != list(range(base, base + len(ids))):
        raise RequestError(f"{path}: ids of new tokens do not follow on {base - 1}, the last old one")
    if any(not len(part) or part.min() < 0 or part.max() >= base for part in parts):
        raise RequestError(f"{path}: a new token is made of ids that are none of the {base:,} old ones")
    return _Extension(base, parts)


def _weight_files(model: Path) -> list[Path]:
    index = model / INDEX
    if index.is_file():
        names = sorted(set(_json(index).get("weight_map", {}).values()))
        if absent := [name for name in names if Path(name).name != name or not (model / name).is_file()]:
            raise RequestError(f"{index}: names {absent[0]}, which is not there")
        return [model / name for name in names]
    files = sorted(model.glob("*.safetensors"))
    if len(files) != 1:
        raise RequestError(
            f"{model}: expected one .safetensors file or a {INDEX}; found {len(files)} .safetensors files"
        )
    return files


def _embeddings(model: Path, tensors: list[Tensor], extension: _Extension) -> list[Tensor]:
    """The tensors that have a row for each token, the input embeddings first.

    Raises:
        RequestError: there are none, they are of different lengths, no floats, or too short for the old tokenizer.
    """
    found = [tensor for tensor in tensors if EMBEDDING.search(tensor.name)]
    found.sort(key=lambda tensor: (len(tensor.shape) != 2, bool(OUTPUT.search(tensor.name)), tensor.name))
    if not found or len(found[0].shape) != 2:
        raise RequestError(f"{model}: no tensor is named like embeddings, as embed_tokens.weight or lm_head.weight")
    for tensor in found:
        if tensor.shape[0] != found[0].shape[0]:
            raise RequestError(
                f"{model}: {tensor.name} has {tensor.shape[0]:,} rows, {found[0].name} {found[0].shape[0]:,}"
            )
        if tensor.dtype not in DTYPES:
            raise RequestError(f"{model}: {tensor.name} is {tensor.dtype}; expected one of {', '.join(DTYPES)}")
    if found[0].shape[0] < extension.base_vocab_size:
        raise RequestError(
            f"{model}: {found[0].name} has {found[0].shape[0]:,} rows, and the tokenizer that was extended has "
            f"{extension.base_vocab_size:,} tokens: they do not belong together"
        )
    return found


def _resized(tensor: Tensor, extension: _Extension, n_rows: int) -> npt.NDArray[Any]:
    """The embeddings with new rows, shape (n_rows, width) or (n_rows,); rows that no token has keep what they had."""
    old = tensor.rows(0, tensor.shape[0])
    new = np.zeros((n_rows, old.shape[1]), old.dtype)
    new[: len(old)] = old
    for start in range(0, len(extension.parts), TOKENS_AT_ONCE):
        parts = extension.parts[start : start + TOKENS_AT_ONCE]
        counts = np.array([len(ids) for ids in parts], np.int64)
        sums = np.add.reduceat(to_float(old[np.concatenate(parts)], tensor.dtype), np.cumsum(counts) - counts, axis=0)
        first = extension.base_vocab_size + start
        new[first : first + len(parts)] = to_stored(sums / counts[:, None], tensor.dtype)
    return new.reshape((n_rows, *tensor.shape[1:]))


def _with_vocab_size(config: dict[str, Any], old_rows: int, n_rows: int) -> dict[str, Any]:
    """The configuration with the new number of rows wherever it had the old one."""
    changed = {
        name: _with_vocab_size(value, old_rows, n_rows) if isinstance(value, dict) else value
        for name, value in config.items()
    }
    return changed | ({"vocab_size": n_rows} if config.get("vocab_size") == old_rows else {})


def _copy_beside(model: Path, tokenizer: Path, folder: Path) -> None:
    """All that is no weight: the model's, and the new tokenizer in place of the old."""
    for path in sorted(model.iterdir()):
        if path.is_file() and not path.name.endswith((*WEIGHTS, "config.json", ".index.json")):
            shutil.copyfile(path, folder / path.name)
    if (model / "generation_config.json").is_file():
        shutil.copyfile(model / "generation_config.json", folder / "generation_config.json")
    for name in TOKENIZER_FILES:
        if (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, folder / name)


def _write_index(model: Path, folder: Path, total_bytes: int) -> None:
    if (model / INDEX).is_file():
        index = _json(model / INDEX)
        index["metadata"] = {**index.get("metadata", {}), "total_size": total_bytes}
        index["metadata"].pop("total_parameters", None)
        _write_json(folder / INDEX, index)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise RequestError(f"{path}: cannot be read: {said}") from error
    if not isinstance(value, dict):
        raise RequestError(f"{path}: expected a JSON object")
    return value


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
