"""Embeddings: the derived table from which documents of like meaning are found.

Any sentence encoder does, by the folder that sentence-transformers or transformers wrote. Its weights are read from
safetensors only, code that lies beside them is never run, and nothing is fetched.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import xxhash

from curation.derive import Derived
from manifests.code import code_digest
from manifests.errors import RequestError, RunError
from manifests.schema import SemanticDedup

FIELD = "dedup.semantic.model"
TEXTS_AT_ONCE = 4096
"""Texts whose tokens are held at once."""

CHARS_PER_TOKEN_MAX = 32
"""Of a text so many characters per token of `max_tokens` are looked at, so that a long one is not tokenised whole."""

TOKENS_STEP = 16
"""Texts are padded to a multiple of this, and only with texts of that length: what a text's embedding is does not
depend on the length of those beside it."""

MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*/config.json")
_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean",  # of the same direction
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")
_READ_MODULES = {"Transformer", "Pooling", "Normalize"}


@dataclass(frozen=True)
class Encoder:
    """A sentence encoder and how texts are given to it; pickles to a worker, which loads the model once."""

    path: str
    digest: str
    """Of the model's files."""
    n_dims: int
    pooling: str
    max_tokens: int
    prefix: str
    batch_tokens: int

    @staticmethod
    def of(settings: SemanticDedup) -> "Encoder":
        """The encoder that a manifest names; its path is absolute.

        Raises:
            RequestError: there is no such folder, it holds no safetensors, or it needs what is not read here.
        """
        folder = Path(settings.model)
        if not (folder / "config.json").is_file():
            raise RequestError(
                f"{FIELD}: {folder} is not a folder with a `config.json`; give the folder of a sentence encoder"
            )
        if not any((folder / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json")):
            raise RequestError(
                f"{FIELD}: {folder} has no `model.safetensors`; pickled weights are not read, since they can run "
                "code: load the model where you trust it, and save_pretrained() writes safetensors"
            )
        _check_modules(folder)
        pooling = settings.pooling if settings.pooling != "auto" else _pooling(folder)
        return Encoder(
            str(folder),
            model_digest(settings),
            _width(folder),
            pooling,
            min(settings.max_tokens, _max_tokens(folder) or settings.max_tokens),
            settings.prefix,
            settings.batch_tokens,
        )

    @property
    def fingerprint(self) -> str:
        """Changes when an embedding of the same text would."""
        settings = f"{self.digest} {self.pooling} {self.max_tokens} {self.prefix}"
        return xxhash.xxh3_64_hexdigest(f"{settings} {code_digest('curation/dedup/embeddings.py')}".encode())

    @property
    def schema(self) -> pa.Schema:
        """Of the table `embeddings`: one row per different text, ordered by its digest; vectors are of length 1."""
        return pa.schema(
            [
                pa.field("text_digest", pa.string(), nullable=False),
                pa.field("embedding", pa.list_(pa.float16(), self.n_dims), nullable=False),
            ]
        )

    @property
    def derived(self) -> Derived:
        """The table `embeddings` of a run."""
        return Derived("embeddings", self.fingerprint, ["text_digest", "text"], self.schema, _EmbeddingsOf(self))


@dataclass(frozen=True)
class _EmbeddingsOf:
    encoder: Encoder

    def __call__(self, part: pa.Table) -> pa.Table:
        rows = pl.DataFrame(pl.from_arrow(part)).filter(pl.col("text").str.contains(r"\S"))
        rows = rows.unique("text_digest").sort("text_digest")
        vectors = embed(rows["text"], self.encoder)
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.encoder.n_dims)
        return pa.table([rows["text_digest"].to_arrow().cast(pa.string()), column], schema=self.encoder.schema)


def check_installed() -> None:
    """Refuse to start without torch and transformers.

    Raises:
        RequestError: tells how to install them.
    """
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        raise RequestError(f"dedup.semantic: {' and '.join(missing)} not installed: pip install 'onggi[semantic]'")


def embed(texts: pl.Series, encoder: Encoder) -> npt.NDArray[np.float16]:
    """The embeddings (n, n_dims) of n texts, each of length 1; of a text the first `max_tokens` tokens count.

    Raises:
        RequestError: the model cannot be loaded.
        RunError: the model gives numbers that are none.
    """
    if not len(texts):
        return np.empty((0, encoder.n_dims), np.float16)
    tokenizer, model = _load(encoder.path, encoder.digest)
    n_tokens_max = min(
        encoder.max_tokens,
        tokenizer.model_max_length,
        getattr(model.config, "max_position_embeddings", None) or encoder.max_tokens,
    )
    found = np.empty((len(texts), encoder.n_dims), np.float16)
    heads = texts.str.slice(0, encoder.max_tokens * CHARS_PER_TOKEN_MAX)
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        stretch = [encoder.prefix + text for text in heads.slice(start, TEXTS_AT_ONCE)]
        tokens = tokenizer(stretch, truncation=True, max_length=n_tokens_max)["input_ids"]
        for rows, n_padded in batches([len(ids) for ids in tokens], n_tokens_max, encoder.batch_tokens):
            pad = tokenizer.pad_token_id or 0
            found[start + rows] = _encode(model, [tokens[row] for row in rows], n_padded, pad, encoder.pooling)
    if not np.isfinite(found).all():
        raise RunError(f"{encoder.path}: the model gives embeddings that are not finite numbers")
    return found


def batches(lengths: list[int], n_max: int, batch_tokens: int) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    """(rows, padded length) of texts that are encoded together; all of one padded length, in the order of rows."""
    padded = np.minimum(-(-np.maximum(lengths, 1) // TOKENS_STEP) * TOKENS_STEP, n_max)
    for n_padded in np.unique(padded).tolist():
        rows = np.flatnonzero(padded == n_padded)
        size = max(1, batch_tokens // n_padded)
        yield from ((rows[start : start + size], n_padded) for start in range(0, len(rows), size))


def _encode(model: Any, tokens: list[list[int]], n_padded: int, pad: int, pooling: str) -> npt.NDArray[np.float16]:
    """Run the model on texts of one padded length."""
    import torch

    lengths = torch.tensor([len(ids) for ids in tokens], device=model.device)
    ids = torch.tensor([ids + [pad] * (n_padded - len(ids)) for ids in tokens], device=model.device)
    mask = torch.arange(n_padded, device=model.device)[None, :] < lengths[:, None]
    with torch.inference_mode():
        states = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
        if pooling == "mean":
            pooled = (states * mask[:, :, None]).sum(1)
        else:
            at = torch.zeros_like(lengths) if pooling == "cls" else (lengths - 1).clamp(min=0)
            pooled = states[torch.arange(len(tokens), device=model.device), at]
        normal = torch.nn.functional.normalize(pooled, dim=1)
    vectors: npt.NDArray[np.float16] = normal.cpu().numpy().astype(np.float16)
    return vectors


@lru_cache(1)
def _load(path: str, digest: str) -> tuple[Any, Any]:
    """The tokenizer and the model of a folder, once per process; on a GPU where torch sees one."""
    check_installed()
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **local)
        model, loaded = AutoModel.from_pretrained(
            path, **local, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (ImportError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise RequestError(f"{FIELD}: {path} cannot be loaded by transformers: {error}") from error
    missing = sorted(name for name in loaded["missing_keys"] if "pooler" not in name)  # which pooling does not use
    if missing:
        raise RequestError(
            f"{FIELD}: the weights in {path} lack {len(missing)} tensors (first: {missing[0]}), which would be random"
        )
    return tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def model_digest(settings: SemanticDedup) -> str:
    """Digest of the files that embeddings depend on; a file is read again only when it changed."""
    folder = Path(settings.model)
    files = sorted({file for pattern in MODEL_FILES for file in folder.glob(pattern) if file.is_file()})
    stats = [(file.relative_to(folder).as_posix(), file.stat()) for file in files]
    return _digest(str(folder), tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


@lru_cache(8)
def _digest(folder: str, files: tuple[tuple[str, int, int], ...]) -> str:
    state = xxhash.xxh3_128()
    for name, size, _ in files:
        state.update(f"{name}\0{size}\0".encode())
        with (Path(folder) / name).open("rb") as file:
            while block := file.read(1 << 22):
                state.update(block)
    return state.hexdigest()


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise RequestError(f"{FIELD}: {path} is not JSON: {error}") from error


def _check_modules(folder: Path) -> None:
    """Refuse a sentence encoder that has more steps than those taken here."""
    modules = _json(folder / "modules.json") if (folder / "modules.json").is_file() else []
    kinds = {str(module["type"]).rsplit(".", 1)[-1] for module in modules}
    if more := sorted(kinds - _READ_MODULES):
        raise RequestError(
            f"{FIELD}: {folder} has the step {', '.join(more)} after its transformer, which is not supported; "
            f"there may be {', '.join(sorted(_READ_MODULES))}"
        )


def _pooling(folder: Path) -> str:
    """As `1_Pooling/config.json` of sentence-transformers says; mean where there is none."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    config = _json(path)
    asked = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
    asked = asked or [f"pooling_mode_{config.get('pooling_mode', 'mean')}"]
    known = _POOLINGS | {"pooling_mode_mean": "mean", "pooling_mode_cls": "cls"}
    if len(asked) != 1 or asked[0] not in known:
        raise RequestError(
            f"{path}: pools by {', '.join(asked)}; supported is one of {', '.join(_POOLINGS)}, or give "
            "`dedup.semantic.pooling`"
        )
    return known[asked[0]]


def _max_tokens(folder: Path) -> int | None:
    """Tokens that sentence-transformers gives this model: often fewer than it has positions for."""
    path = folder / "sentence_bert_config.json"
    found = _json(path).get("max_seq_length") if path.is_file() else None
    return int(found) if found else None


def _width(folder: Path) -> int:
    config = _json(folder / "config.json")
    found = [int(config[name]) for name in _WIDTHS if config.get(name)]
    if not found:
        raise RequestError(f"{folder / 'config.json'}: names no width of the model ({', '.join(_WIDTHS)})")
    return found[0]
