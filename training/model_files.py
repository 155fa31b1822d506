"""A checkpoint as it lies in a folder: its configuration, where its tensors lie, and what lies beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from manifests.errors import RequestError
from training.embeddings import EMBEDDING, INDEX, OUTPUT
from training.safetensors_files import Tensor, read_header

CONFIG = "config.json"
SINGLE = "model.safetensors"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
OTHERS = ("*.gguf", "*.h5", "*.msgpack", "*.onnx")
RESAVE = "load it where you trust it and save it anew: `AutoModelForCausalLM.from_pretrained(A).save_pretrained(B)`"


@dataclass(frozen=True)
class Checkpoint:
    """A model's folder, of which only headers were read."""

    name: str
    """What it is called: in a manifest, on the command line."""
    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    """By name, in the order in which they lie."""

    @cached_property
    def n_bytes(self) -> int:
        """Of all tensors."""
        return sum(tensor.n_bytes for tensor in self.tensors.values())

    @cached_property
    def input_embedding(self) -> Tensor:
        """The tensor with a row for each token that is read.

        Raises:
            RequestError: no tensor is named like one.
        """
        for tensor in self.tensors.values():
            if EMBEDDING.search(tensor.name) and not OUTPUT.search(tensor.name) and len(tensor.shape) == 2:
                return tensor
        raise RequestError(
            f"{self.name}: no tensor is named like a language model's embeddings (embed_tokens.weight, wte.weight, "
            f"word_embeddings.weight); found {', '.join(list(self.tensors)[:5])}"
        )

    @cached_property
    def head(self) -> Tensor | None:
        """The output embeddings, where they are stored."""
        return next((tensor for name, tensor in self.tensors.items() if OUTPUT.search(name)), None)

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object beside the weights; empty where there is none.

        Raises:
            RequestError: it is none.
        """
        return read_object(self.path / name) if (self.path / name).is_file() else {}


def open_checkpoint(name: str, folder: Path) -> Checkpoint:
    """The checkpoint in a folder.

    Args:
        name: what it is called in messages.
        folder: config.json, and safetensors in one file or in several with an index.

    Raises:
        RequestError: there is no such folder, or none of a whole model in safetensors; says what to do.
    """
    if not folder.is_dir():
        hint = "" if folder.exists() else "; a model is a folder on this machine, so download it first"
        raise RequestError(f"{name}: {folder} is {'no' if folder.exists() else 'not there: expected a'} folder{hint}")
    if not (folder / CONFIG).is_file():
        if (folder / "adapter_config.json").is_file():
            raise RequestError(
                f"{name}: {folder} holds an adapter (LoRA) and no model; merge it into its base first: "
                "`PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(B)`"
            )
        raise RequestError(f"{name}: {folder} has no {CONFIG}, so it is no model")
    config = read_object(folder / CONFIG)
    if "quantization_config" in config:
        raise RequestError(f"{name}: its weights are quantized ({CONFIG}: quantization_config); merge the originals")
    if not config.get("model_type") and not config.get("architectures"):
        raise RequestError(
            f"{folder / CONFIG}: names neither `model_type` nor `architectures`, so its architecture is unknown"
        )
    tensors = [tensor for file in weight_files(name, folder) for tensor in read_header(file)[0]]
    if not tensors:
        raise RequestError(f"{name}: {folder} has no tensors")
    return Checkpoint(name, folder, config, {tensor.name: tensor for tensor in tensors})


def weight_files(name: str, folder: Path) -> list[Path]:
    """The safetensors files of a model, in the order of their names.

    Raises:
        RequestError: there are none, or they are not whole.
    """
    index = folder / INDEX
    if index.is_file():
        weight_map = read_object(index).get("weight_map")
        names = sorted(set(weight_map.values())) if isinstance(weight_map, dict) else []
        absent = [file for file in names if Path(str(file)).name != file or not (folder / file).is_file()]
        if absent or not names:
            found = f"names {absent[0]}, which is not there" if absent else "has no weight_map"
            raise RequestError(f"{index}: {found}; download the model again")
        return [folder / file for file in names]
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return files
    if files:
        raise RequestError(f"{name}: {folder} has {len(files)} .safetensors files and no {INDEX} that orders them")
    raise RequestError(_no_weights(name, folder))


def _no_weights(name: str, folder: Path) -> str:
    pickled = [
        path.name for pattern in PICKLED for path in sorted(folder.glob(pattern)) if "training" not in path.name
    ]
    if pickled:
        return (
            f"{name}: {folder} has its weights in {pickled[0]}, a pickle, which can run code when it is opened "
            f"and is never opened here; {RESAVE}"
        )
    others = [path.name for pattern in OTHERS for path in sorted(folder.glob(pattern))]
    found = f"its weights are in {others[0]}; {RESAVE}" if others else "no weights (*.safetensors) are there"
    return f"{name}: {folder}: {found}"


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RequestError: there is none.
    """
    try:
        value = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(value, dict):
        raise RequestError(f"{path}: expected a JSON object")
    return value


def write_object(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, indented."""
    path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
