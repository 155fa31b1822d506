"""Checkpoints of any tensors, for tests of merges, and what a folder holds."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from training.safetensors_files import read_header

Arrays = dict[str, np.ndarray[Any, Any]]
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 6,
    "hidden_size": 4,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 128,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "dtype": "float32",
    "eos_token_id": 1,
}
N_BYTES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8", "I64": "<i8"}


def arrays_of(seed: int, rows: int = 6, head: bool = True) -> Arrays:
    """A tiny language model's tensors, in float32."""
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (rows, 4)}
    for n in range(2):
        shapes |= {
            f"model.layers.{n}.self_attn.q_proj.weight": (4, 4),
            f"model.layers.{n}.mlp.up_proj.weight": (8, 4),
            f"model.layers.{n}.input_layernorm.weight": (4,),
        }
    shapes |= {"model.norm.weight": (4,)} | ({"lm_head.weight": (rows, 4)} if head else {})
    return {name: random.normal(scale=0.5, size=shape).astype(np.float32) for name, shape in shapes.items()}


def save(path: Path, arrays: Arrays, dtype: str = "F32") -> None:
    """Write a safetensors file; integers stay what they are, and floats are rounded to the nearest."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    contents, at = [], 0
    for name, array in arrays.items():
        kind = "I64" if array.dtype.kind == "i" else dtype
        content = (stored_bf16(array) if kind == "BF16" else array.astype(N_BYTES[kind])).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(content)]}
        contents.append(content)
        at += len(content)
    written = orjson.dumps(header)
    path.write_bytes(len(written).to_bytes(8, "little") + written + b"".join(contents))


def stored_bf16(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def model(folder: Path, arrays: Arrays, dtype: str = "F32", tokens: list[str] | None = None, **config: Any) -> Path:
    """A checkpoint; with `tokens`, a tokenizer of these."""
    folder.mkdir(parents=True)
    save(folder / "model.safetensors", arrays, dtype)
    (folder / "config.json").write_bytes(orjson.dumps(CONFIG | config))
    if tokens is not None:
        tokenizer(folder, {token: row for row, token in enumerate(tokens)})
    return folder


def tokenizer(
    folder: Path,
    vocab: dict[str, int],
    added: dict[str, int] | None = None,
    merges: list[Any] | None = None,
    **more: Any,
) -> None:
    """A tokenizer.json of BPE."""
    content = {
        "model": {"type": "BPE", "vocab": vocab, "merges": merges or []},
        "added_tokens": [{"id": row, "content": token, "special": True} for token, row in (added or {}).items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        **more,
    }
    (folder / "tokenizer.json").write_bytes(orjson.dumps(content))


def read(folder: Path) -> Arrays:
    """All tensors of a checkpoint, floats as float32."""
    found: Arrays = {}
    for path in sorted(folder.glob("*.safetensors")):
        for tensor in read_header(path)[0]:
            content = path.read_bytes()[tensor.begin : tensor.begin + tensor.n_bytes]
            numbers = np.frombuffer(content, N_BYTES[tensor.dtype])
            if tensor.dtype == "BF16":
                numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
            is_float = tensor.dtype != "I64"
            found[tensor.name] = numbers.astype(np.float32 if is_float else np.int64).reshape(tensor.shape)
    return found


def config(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads((folder / "config.json").read_bytes())
    return value
