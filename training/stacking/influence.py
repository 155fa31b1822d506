"""How much each layer changes what goes through it: block influence (ShortGPT, arXiv 2403.03853, equation 1).

    BI_l = 1 - mean over tokens of cos(x_l, x_{l+1})

where x_l goes into layer l and x_{l+1} comes out of it. A model is read forwards only, in float32; cosines and their
sums are float64, so that the figures do not depend on how rows are put into batches but for rounding.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from manifests.engine import Progress, silent
from manifests.errors import RequestError
from manifests.schema_training_gates import Validation
from manifests.schema_training_stages import MixtureUse
from manifests.store import resolve
from training.measuring.log_likelihood import TOKENS_AT_ONCE
from training.measuring.mixture_ids import why_other_ids
from training.measuring.open_model import OpenModel
from training.measuring.validation_sets import documents_of
from training.token_dataset import TokenDataset

LENGTH = 2048
"""Tokens of a text that are read, where nothing else is said."""
Ids = tuple[int, ...]


class Asked(Protocol):
    """What a model is read on: `Influence` and `Calibration` of the manifests."""

    @property
    def text(self) -> str | None: ...  # noqa: D102
    @property
    def mixture(self) -> MixtureUse | None: ...  # noqa: D102
    @property
    def samples(self) -> int: ...  # noqa: D102
    @property
    def length(self) -> int | None: ...  # noqa: D102


def influence(
    model: Path, asked: Asked, base: str, *, at: str = "influence", progress: Progress = silent
) -> list[float]:
    """Block influence of each layer of a model.

    Args:
        model: its folder.
        asked: the texts or the mixture that it is read on.
        base: where relative paths start.
        at: the field of the manifest, for messages.
        progress: is told of tokens.

    Returns:
        One number per layer, from 0 (out comes what came in, but for its length) to 2.

    Raises:
        RequestError: there is nothing to read, or it is of another tokenizer; or the model cannot be read.
    """
    opened = OpenModel(str(model), precision="float32")
    rows = rows_of(opened, asked, base, at)
    total = sum(map(len, rows))
    return block_influence(opened.model, rows, told=lambda done: progress("influence", done, total))


def rows_of(opened: OpenModel, asked: Asked, base: str, at: str) -> list[Ids]:
    """What a model reads: ids of each text, or of each document of a mixture's sequences.

    Texts are those with the lowest hashes, from their beginnings, after what the model's texts begin with; sequences
    are whole, and evenly spread in the mixture's order. Documents of one do not see each other, so each is a row.

    Raises:
        RequestError: there is none, or the mixture is of another tokenizer.
    """
    if asked.mixture is not None:
        return _documents(opened, asked.mixture, asked.samples, base, f"{at}.mixture")
    settings = Validation(name="texts", text=asked.text, limit=asked.samples)
    try:
        texts = documents_of(settings, base).texts
    except RequestError as error:
        raise RequestError(str(error).replace("validation.texts", at, 1)) from None
    window = opened.window(asked.length or LENGTH)
    return [(*opened.prefix, *opened.ids(text))[:window] for text in texts]


def _documents(opened: OpenModel, use: MixtureUse, samples: int, base: str, at: str) -> list[Ids]:
    try:
        dataset = TokenDataset(resolve(use.path, base), stage=use.stage)
    except RequestError as error:
        raise RequestError(f"{at}: {error}") from None
    n_read = min(samples, len(dataset))
    rows = [row for place in range(n_read) for row in _stretches(dataset[place * len(dataset) // n_read])]
    ids = {number for row in rows for number in row}
    if why := why_other_ids(opened.folder, opened.tokenizer, dataset.record, ids):
        raise RequestError(f"{at}: {use.path}: {why}")
    return rows


def _stretches(item: dict[str, Any]) -> list[Ids]:
    """Ids that see each other, without padding."""
    n_tokens = int(item["n_tokens"])
    bounds = [*(int(end) for end in item["cu_seqlens"] if end < n_tokens), n_tokens]
    return [tuple(item["input_ids"][start:end].tolist()) for start, end in pairwise(bounds)]


def block_influence(
    model: Any, rows: Sequence[Ids], tokens_at_once: int | None = None, told: Callable[[int], None] | None = None
) -> list[float]:
    """Block influence of each layer over all tokens of rows.

    Args:
        model: a causal language model of transformers, on its device.
        rows: ids that it reads, in any order.
        tokens_at_once: of a batch, padding included; a longer row is a batch of its own.
        told: is told how many tokens are done, after each batch.

    Raises:
        RequestError: layers cannot be found, or a layer puts out what is no number.
    """
    decoder, layers = decoder_layers(model)
    at_once = tokens_at_once or TOKENS_AT_ONCE["cpu" if model.device.type == "cpu" else "cuda"]
    ordered = sorted((row for row in rows if row), key=lambda row: (-len(row), row))  # the longest fails at once
    cosines, start, n_done = torch.zeros(len(layers), dtype=torch.float64), 0, 0
    if not ordered:
        raise RequestError("influence: there are no tokens to read")
    with torch.inference_mode():
        while start < len(ordered):
            batch = ordered[start : start + max(1, at_once // len(ordered[start]))]
            cosines += _cosines(decoder, layers, batch, model.device)
            start, n_done = start + len(batch), n_done + sum(map(len, batch))
            if told is not None:
                told(n_done)
    found: list[float] = (1 - cosines / n_done).tolist()
    if wrong := [place for place, value in enumerate(found) if value != value]:
        raise RequestError(
            f"influence: layer {wrong[0]} puts out what is no number; a training of the model went wrong"
        )
    return found


def decoder_layers(model: Any) -> tuple[nn.Module, nn.ModuleList]:
    """The part of a model that embeds ids and sends them through its layers, and these.

    Raises:
        RequestError: none is found.
    """
    embeddings = model.get_input_embeddings()
    owner = next((part for part in model.modules() if any(child is embeddings for child in part.children())), None)
    for name in ("layers", "h", "blocks"):
        if isinstance(layers := getattr(owner, name, None), nn.ModuleList):
            assert owner is not None
            return owner, layers
    raise RequestError(f"{type(model).__name__}: no layers are found beside its embeddings, so none can be compared")


def _cosines(decoder: nn.Module, layers: nn.ModuleList, rows: Sequence[Ids], device: Any) -> Tensor:
    """Sums over the tokens of rows of the cosine of what goes into each layer and comes out: float64 (layers)."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
    is_real = (torch.arange(ids.shape[1]) < lengths[:, None]).to(device)
    sums = torch.zeros(len(layers), dtype=torch.float64)

    def watch(place: int) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            before = args[0] if args else named["hidden_states"]
            after = output[0] if isinstance(output, tuple) else output
            both = (hidden[is_real].double() for hidden in (before, after))
            sums[place] += nn.functional.cosine_similarity(*both, dim=-1).sum().cpu()

        return hook

    # Rows are padded behind their ends, and what is read depends on nothing after it, so no mask is needed.
    handles = [layer.register_forward_hook(watch(n), with_kwargs=True) for n, layer in enumerate(layers)]
    try:
        decoder(input_ids=ids.to(device), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return sums


def ranked(influences: Sequence[float], first: Literal["least", "most"]) -> list[int]:
    """Layers in the order of their influence; of equal ones the first comes first."""
    sign = 1 if first == "least" else -1
    return sorted(range(len(influences)), key=lambda layer: (sign * influences[layer], layer))
