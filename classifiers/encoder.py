"""Encoders: models that make one vector of a text, by the folder that transformers or sentence-transformers wrote.

Its weights are read from safetensors only, code that lies beside them is never run, and nothing is fetched.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from manifests.errors import RequestError, RunError

TEXTS_AT_ONCE = 4096
"""Texts whose tokens are held at once."""

CHARS_PER_TOKEN_MAX = 32
"""Of a text so many characters per token of `max_tokens` are looked at, so that a long one is not tokenised whole."""

TOKENS_STEP = 16
"""Texts are padded to a multiple of this, and only with texts of that length: what a text's vector is does not depend
on the length of those beside it."""

MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*/config.json")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")

Device = Literal["auto", "cpu", "cuda"]
Vectors = npt.NDArray[np.float32]
Tokens = Sequence[npt.NDArray[np.int32]]
"""Ids of the tokens of each text."""

_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean",  # of the same direction
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")
_READ_MODULES = {"Transformer", "Pooling", "Normalize"}


def check_installed(what: str, extra: str) -> None:
    """Refuse to start without torch and transformers.

    Args:
        what: needs them.
        extra: of Onggi, which brings them.

    Raises:
        RequestError: tells how to install them.
    """
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        raise RequestError(f"{what}: {' and '.join(missing)} not installed: pip install 'onggi[{extra}]'")


@dataclass(frozen=True)
class SentenceEncoder:
    """An encoder on disk and how texts are given to it; pickles to a worker."""

    path: str
    digest: str
    """Of the model's files."""
    n_dims: int
    pooling: str
    max_tokens: int
    prefix: str
    batch_tokens: int


def find_encoder(
    folder: str | Path, field: str, pooling: str, max_tokens: int, prefix: str, batch_tokens: int
) -> SentenceEncoder:
    """The encoder of a folder.

    Args:
        folder: its path is kept as it is.
        field: how errors call it, as `dedup.semantic.model`.
        pooling: `mean`, `cls`, `last`, or `auto`: as the model says.
        max_tokens: of a text; never more than the model takes.
        prefix: stands before each text.
        batch_tokens: that the model sees at once.

    Raises:
        RequestError: there is no such folder, it holds no safetensors, or it needs what is not read here.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise RequestError(
            f"{field}: {folder} is not a folder with a `config.json`; give the folder of a sentence encoder"
        )
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise RequestError(
            f"{field}: {folder} has no `model.safetensors`; pickled weights are not read, since they can run "
            "code: load the model where you trust it, and save_pretrained() writes safetensors"
        )
    _check_modules(folder, field)
    return SentenceEncoder(
        str(folder),
        encoder_digest(folder),
        _width(folder, field),
        pooling if pooling != "auto" else _pooling(folder, field),
        min(max_tokens, _max_tokens(folder, field) or max_tokens),
        prefix,
        batch_tokens,
    )


def encoder_files(folder: Path) -> list[Path]:
    """The files that vectors depend on, by name."""
    return sorted({file for pattern in MODEL_FILES for file in folder.glob(pattern) if file.is_file()})


def encoder_digest(folder: Path) -> str:
    """Digest of the files that vectors depend on; a file is read again only when it changed."""
    stats = [(file.relative_to(folder).as_posix(), file.stat()) for file in encoder_files(folder)]
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


def has_text(texts: pa.LargeStringArray) -> pa.BooleanArray:
    """Of n texts: whether there is anything but white space, which a null has not."""
    return pc.fill_null(pc.greater(pc.binary_length(pc.utf8_trim_whitespace(texts)), 0), False)


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in memory."""

    encoder: SentenceEncoder
    tokenizer: Any
    model: Any
    n_tokens_max: int
    """Of a text: what is asked for, what the tokenizer gives and what the model has positions for."""

    def vectors(self, texts: pa.LargeStringArray, progress: Callable[[int], None] = lambda n_texts: None) -> Vectors:
        """The vectors (n, n_dims) of n texts, none of them null; the first tokens of each count.

        Args:
            texts: shape (n,).
            progress: is told how many texts are done.

        Raises:
            RunError: the model gives numbers that are none.
        """
        import torch

        found = np.empty((len(texts), self.encoder.n_dims), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            tokens = self.tokens(texts.slice(start, TEXTS_AT_ONCE))
            n_done = start
            for rows, n_padded in self.batches(tokens):
                with torch.inference_mode():
                    found[start + rows] = self.pooled([tokens[row] for row in rows], n_padded).cpu().numpy()
                n_done += len(rows)
                progress(n_done)
        if not np.isfinite(found).all():
            raise RunError(f"{self.encoder.path}: the model gives vectors that are not finite numbers")
        return found

    def tokens(self, texts: pa.LargeStringArray) -> Tokens:
        """The tokens of each text, cut to what the model takes."""
        heads = pc.utf8_slice_codeunits(texts, 0, self.encoder.max_tokens * CHARS_PER_TOKEN_MAX).to_pylist()
        if not heads:
            return []
        given = [self.encoder.prefix + head for head in heads]
        ids = self.tokenizer(given, truncation=True, max_length=self.n_tokens_max)["input_ids"]
        return [np.array(found, np.int32) for found in ids]

    def batches(self, tokens: Tokens) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
        """(rows, padded length) of texts that go through the model together."""
        return batches([len(ids) for ids in tokens], self.n_tokens_max, self.encoder.batch_tokens)

    def pooled(self, tokens: Tokens, n_padded: int) -> Any:
        """The vectors of texts of one padded length: a tensor (n, n_dims) of float32 on the model's device."""
        import torch

        device = self.model.device
        ids = np.full((len(tokens), n_padded), self.tokenizer.pad_token_id or 0, np.int64)
        for row, mine in enumerate(tokens):
            ids[row, : len(mine)] = mine
        lengths = torch.tensor([len(mine) for mine in tokens], device=device)
        mask = torch.arange(n_padded, device=device)[None, :] < lengths[:, None]
        given = {"input_ids": torch.from_numpy(ids).to(device), "attention_mask": mask.long()}
        states = self.model(**given).last_hidden_state.float()
        if self.encoder.pooling == "mean":
            return (states * mask[:, :, None]).sum(1) / lengths.clamp(min=1)[:, None]
        at = torch.zeros_like(lengths) if self.encoder.pooling == "cls" else (lengths - 1).clamp(min=0)
        return states[torch.arange(len(tokens), device=device), at]


def batches(lengths: list[int], n_max: int, batch_tokens: int) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    """(rows, padded length) of texts that are encoded together; all of one padded length, in the order of rows."""
    padded = np.minimum(-(-np.maximum(lengths, 1) // TOKENS_STEP) * TOKENS_STEP, n_max)
    for n_padded in np.unique(padded).tolist():
        rows = np.flatnonzero(padded == n_padded)
        size = max(1, batch_tokens // n_padded)
        yield from ((rows[start : start + size], n_padded) for start in range(0, len(rows), size))


def load_encoder(encoder: SentenceEncoder, field: str, device: Device = "auto") -> LoadedEncoder:
    """Load the tokenizer and the model, ready to encode; `auto`: on a GPU where torch sees one.

    Raises:
        RequestError: transformers cannot load it, its weights are not all there, or there is no GPU.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    if device == "cuda" and not torch.cuda.is_available():
        raise RequestError(f"{field}: asks for the device cuda, and torch sees no GPU; give auto or cpu")
    logging.disable_progress_bar()
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(encoder.path, **local)
        model, loaded = AutoModel.from_pretrained(
            encoder.path, **local, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (ImportError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise RequestError(f"{field}: {encoder.path} cannot be loaded by transformers: {error}") from error
    missing = sorted(name for name in loaded["missing_keys"] if "pooler" not in name)  # which pooling does not use
    if missing:
        raise RequestError(
            f"{field}: the weights in {encoder.path} lack {len(missing)} tensors (first: {missing[0]}), which would "
            "be random"
        )
    if getattr(model.config, "is_encoder_decoder", False):
        raise RequestError(f"{field}: {encoder.path} holds an encoder with a decoder; give an encoder alone")
    n_positions = getattr(model.config, "max_position_embeddings", None) or encoder.max_tokens
    n_tokens_max = min(encoder.max_tokens, tokenizer.model_max_length, n_positions)
    where = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    return LoadedEncoder(encoder, tokenizer, model.to(where).eval(), n_tokens_max)


def _json(path: Path, field: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise RequestError(f"{field}: {path} is not JSON: {error}") from error


def _check_modules(folder: Path, field: str) -> None:
    """Refuse a sentence encoder that has more steps than those taken here."""
    modules = _json(folder / "modules.json", field) if (folder / "modules.json").is_file() else []
    kinds = {str(module["type"]).rsplit(".", 1)[-1] for module in modules}
    if more := sorted(kinds - _READ_MODULES):
        raise RequestError(
            f"{field}: {folder} has the step {', '.join(more)} after its transformer, which is not supported; "
            f"there may be {', '.join(sorted(_READ_MODULES))}"
        )


def _pooling(folder: Path, field: str) -> str:
    """As `1_Pooling/config.json` of sentence-transformers says; mean where there is none."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    config = _json(path, field)
    asked = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
    asked = asked or [f"pooling_mode_{config.get('pooling_mode', 'mean')}"]
    known = _POOLINGS | {"pooling_mode_mean": "mean", "pooling_mode_cls": "cls"}
    if len(asked) != 1 or asked[0] not in known:
        setting = field.removesuffix("model") + "pooling" if field.endswith(".model") else "pooling"
        raise RequestError(
            f"{path}: pools by {', '.join(asked)}; supported is one of {', '.join(_POOLINGS)}, or give `{setting}`"
        )
    return known[asked[0]]


def _max_tokens(folder: Path, field: str) -> int | None:
    """Tokens that sentence-transformers gives this model: often fewer than it has positions for."""
    path = folder / "sentence_bert_config.json"
    found = _json(path, field).get("max_seq_length") if path.is_file() else None
    return int(found) if found else None


def _width(folder: Path, field: str) -> int:
    config = _json(folder / "config.json", field)
    found = [int(config[name]) for name in _WIDTHS if config.get(name)]
    if not found:
        raise RequestError(f"{folder / 'config.json'}: names no width of the model ({', '.join(_WIDTHS)})")
    return found[0]
