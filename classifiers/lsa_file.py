"""The file of an LSA classifier: arrays and settings in the safetensors format, which holds nothing to execute.

The same model gives the same bytes: names are sorted, and nothing of the machine or the day is written.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from classifiers.text_tokens import SHAPE
from classifiers.token_hashes import Hashes

FORMAT, VERSION = "onggi-lsa", "1"
DTYPES = {"U64": np.uint64, "I8": np.int8, "U8": np.uint8, "F32": np.float32}


@dataclass(frozen=True)
class LsaModel:
    """V tokens of k dimensions, c categories, d dense features, m landmarks of k + d dimensions."""

    tokens: Hashes
    """(V,), rising."""
    vectors: npt.NDArray[np.int8]
    """(V, k)."""
    scales: npt.NDArray[np.float32]
    """(V,): what a vector is multiplied by; its token's idf is in it."""
    lexicon: Hashes
    """(n,), rising."""
    categories: npt.NDArray[np.uint8]
    """(n,): of the entries of the lexicon."""
    means: npt.NDArray[np.float32]
    """(d,): of the dense features."""
    factors: npt.NDArray[np.float32]
    """(d,): 1 / standard deviation; 0 where a feature never varied."""
    landmarks: npt.NDArray[np.int8]
    """(m, k + d): times `steps`, points in the space of the kernel."""
    steps: npt.NDArray[np.float32]
    """(k + d,)."""
    weights: npt.NDArray[np.float32]
    """(m,): of the landmarks."""
    bends: npt.NDArray[np.float32]
    """(2, n): predictions, rising, and the scores they stand for; lines between."""
    base: float
    """Added to every prediction."""
    lsa_width: float
    """The kernel is (1 + (lsa_width |Δe|² + dense_width |Δz|² / d) / 4)^-4, e the vector, z the dense features."""
    dense_width: float
    window_chars: int
    n_windows: int
    """Of a text longer than a window: the score is the mean over so many, spread over it."""


_ARRAYS = {
    "tokens": "U64", "vectors": "I8", "scales": "F32", "lexicon": "U64", "categories": "U8", "means": "F32",
    "factors": "F32", "landmarks": "I8", "steps": "F32", "weights": "F32", "bends": "F32",
}  # fmt: skip


def write_lsa(path: Path, model: LsaModel) -> None:
    """Write a model."""
    values = asdict(model)
    header: dict[str, Any] = {"__metadata__": {"format": FORMAT, "version": VERSION, "shape": " ".join(SHAPE)}}
    header["__metadata__"] |= {name: repr(value) for name, value in values.items() if name not in _ARRAYS}
    blocks, n_bytes = [], 0
    for name in sorted(_ARRAYS):
        block = np.ascontiguousarray(values[name]).tobytes()
        header[name] = {
            "dtype": _ARRAYS[name],
            "shape": list(values[name].shape),
            "data_offsets": [n_bytes, n_bytes + len(block)],
        }
        blocks.append(block)
        n_bytes += len(block)
    head = orjson.dumps(header, option=orjson.OPT_SORT_KEYS)
    head += b" " * (-len(head) % 8)
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(blocks))


def read_lsa(content: bytes) -> LsaModel:
    """The model in the bytes of a file.

    Raises:
        ValueError: they hold none; says what is wrong.
    """
    n_head = int.from_bytes(content[:8], "little")
    try:
        header = orjson.loads(content[8 : 8 + n_head])
        about = header.pop("__metadata__")
        arrays: dict[str, Any] = {
            name: _array(content[8 + n_head :], header[name], dtype) for name, dtype in _ARRAYS.items()
        }
        numbers: dict[str, Any] = {
            field.name: _number(field.name, about[field.name])
            for field in fields(LsaModel)
            if field.name not in _ARRAYS
        }
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no file of an LSA classifier ({error})") from error
    if (about.get("format"), about.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"it says {about.get('format')} {about.get('version')}; this Onggi reads {FORMAT} {VERSION}")
    if about.get("shape") != " ".join(SHAPE):
        raise ValueError("it counts other things of a text than this Onggi does; train it again")
    return _checked(LsaModel(**arrays, **numbers))


def _array(content: bytes, entry: dict[str, Any], dtype: str) -> npt.NDArray[Any]:
    if entry["dtype"] != dtype:
        raise ValueError(f"an array is of {entry['dtype']}; expected {dtype}")
    start, end = entry["data_offsets"]
    return np.frombuffer(content[start:end], DTYPES[dtype]).reshape(entry["shape"])


def _number(name: str, text: str) -> float | int:
    return int(text) if name in ("window_chars", "n_windows") else float(text)


def _checked(model: LsaModel) -> LsaModel:
    """Kernels read arrays without looking at their bounds, so shapes are looked at here."""
    n_tokens, k = model.vectors.shape
    d, n_landmarks = len(model.means), len(model.landmarks)
    fits = (
        model.tokens.shape == model.scales.shape == (n_tokens,)
        and model.lexicon.shape == model.categories.shape
        and model.factors.shape == (d,)
        and model.landmarks.shape == (n_landmarks, k + d)
        and model.steps.shape == (k + d,)
        and model.weights.shape == (n_landmarks,)
        and model.bends.ndim == 2
        and model.bends.shape[0] == 2
        and model.bends.shape[1] >= 2
        and model.window_chars >= 1
        and model.n_windows >= 1
    )
    if not fits:
        raise ValueError("its arrays do not fit each other")
    return model
