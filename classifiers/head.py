"""Training a regression head on an encoder: FineWeb-Edu's recipe (arXiv 2406.17557, 3.3), for any encoder.

The encoder is frozen, so every text goes through it once, or trained along. What comes out is a folder that
`Scorer` reads and that needs nothing outside it. On a CPU the same texts and labels give the same bytes.
"""

import math
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from classifiers.cards import CARD, HeadCard, write_card
from classifiers.encoder import (
    TEXTS_AT_ONCE,
    Device,
    LoadedEncoder,
    Vectors,
    check_installed,
    encoder_files,
    find_encoder,
    has_text,
    load_encoder,
)
from classifiers.scorer import MAX_SCORE, MIN_SCORE
from manifests.errors import RequestError, RunError

GRADIENT_NORM_MAX = 1.0
"""As transformers' Trainer clips, with which FineWeb-Edu trained."""

Numbers = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]
Step = Callable[[npt.NDArray[np.int64]], float]
"""Leaves the gradient of the mean squared error of some documents, and gives the sum of their squared errors."""


@dataclass(frozen=True)
class HeadSettings:
    """How a head is trained; the defaults are FineWeb-Edu's, whose 420,000 documents make 33,000 steps of 20 epochs.

    Few documents want more epochs. (FineWeb-Edu trains BERT's pooler too, a layer between vector and head, and keeps
    the best of its checkpoints.)
    """

    lr: float = 3e-4
    """Of the head; it falls to 0 in equal steps."""
    epochs: int = 20
    batch_docs: int = 256
    """Documents per step."""
    max_tokens: int = 512
    """How much of a text is seen, from its beginning; never more than the model takes."""
    frozen: bool = True
    """Whether the encoder stays as it is."""
    encoder_lr: float = 2e-5
    """Of the encoder, where it is trained along."""
    weight_decay: float = 0.0
    """Of AdamW, for matrices; of a frozen encoder the vectors are scaled to variance 1 while the head is trained."""
    warmup_frac: float = 0.0
    """Share of the steps in which the rate rises."""
    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    """How tokens become one vector; `auto`: as `1_Pooling/config.json` of the encoder says, else `mean`."""
    prefix: str = ""
    """What the encoder wants before each text, as `query: ` for E5."""
    batch_tokens: int = 16_384
    """Tokens that the encoder sees at once; a step takes as many turns as it needs."""
    seed: int = 0
    device: Device = "auto"


@dataclass(frozen=True)
class HeadTraining:
    """What became of a training."""

    n_docs: int
    n_steps: int
    device: str
    losses: tuple[float, ...]
    """Mean squared error of each epoch, as seen on the way."""


def train_head(
    texts: pa.LargeStringArray,
    labels: npt.ArrayLike,
    encoder: str | Path,
    folder: str | Path,
    settings: HeadSettings = HeadSettings(),
    progress: Progress = lambda step, done, total: None,
) -> HeadTraining:
    """Train a head and write its folder, whole; a classifier that lies there is replaced.

    Args:
        texts: of n documents, none of them null or blank.
        labels: n numbers from 0 to 5.
        encoder: folder of a sequence encoder of transformers or sentence-transformers, with safetensors.
        folder: to make.
        settings: of the training.
        progress: is told (`embed` or `train`, texts or steps done, in all).

    Raises:
        RequestError: a text or a label that cannot be learned from, an encoder that cannot be read, something else
            in the place of the folder, or torch is not installed.
        RunError: the loss is no number any more.
    """
    check_installed("training a head", "train")
    numbers, folder = _checked(texts, labels), Path(folder)
    if folder.exists() and not (folder / CARD).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"{folder}: is there already and holds no {CARD}; a head is not written over it")
    found = find_encoder(
        encoder, "encoder", settings.pooling, settings.max_tokens, settings.prefix, settings.batch_tokens
    )
    loaded = load_encoder(found, "encoder", settings.device)
    train = _train_on_vectors if settings.frozen else _train_all
    weight, bias, losses = train(loaded, texts, numbers, settings, progress)
    _write(folder, loaded, weight, bias, settings.frozen)
    n_steps = settings.epochs * math.ceil(len(texts) / settings.batch_docs)
    return HeadTraining(len(texts), n_steps, loaded.model.device.type, tuple(losses))


def _checked(texts: pa.LargeStringArray, labels: npt.ArrayLike) -> Numbers:
    numbers = np.asarray(labels, np.float64)
    if numbers.shape != (len(texts),):
        raise RequestError(f"{len(texts):,} texts have labels of shape {numbers.shape}; expected one each")
    if not len(texts):
        raise RequestError("there are no texts; a head needs some to learn from")
    wrong = np.flatnonzero(~((numbers >= MIN_SCORE) & (numbers <= MAX_SCORE)))
    if len(wrong):
        raise RequestError(
            f"the label of text {wrong[0]} is {numbers[wrong[0]]}; labels are numbers from {MIN_SCORE} to {MAX_SCORE}"
        )
    blank = np.flatnonzero(~has_text(texts).to_numpy(zero_copy_only=False))
    if len(blank):
        raise RequestError(f"text {blank[0]} is null or blank: such a text has no score, so leave it out")
    return numbers


def _train_on_vectors(
    loaded: LoadedEncoder, texts: pa.LargeStringArray, labels: Numbers, settings: HeadSettings, progress: Progress
) -> tuple[Numbers, float, list[float]]:
    """The weight, the bias and the losses of a head on vectors that are computed once."""
    vectors = loaded.vectors(texts, lambda n_done: progress("embed", n_done, len(texts)))
    return fit_on_vectors(vectors, labels, settings, progress)


def fit_on_vectors(
    vectors: Vectors, labels: Numbers, settings: HeadSettings, progress: Progress = lambda step, done, total: None
) -> tuple[Numbers, float, list[float]]:
    """The weight (n_dims,), the bias and the loss of each epoch of a head, trained on the CPU.

    Args:
        vectors: shape (n, n_dims); they are scaled in place. On vectors of mean 0 and variance 1 one rate fits every
            encoder; the weight that is given back is for vectors as they were.
        labels: shape (n,).
        settings: of the training.
        progress: is told (`train`, steps done, in all).
    """
    import torch

    mean, spread = vectors.mean(0, np.float64), vectors.std(0, np.float64)
    spread[spread <= 1e-6 * spread.max()] = 1.0  # some encoders have dimensions that say nothing
    vectors -= mean.astype(np.float32)
    vectors /= spread.astype(np.float32)
    inputs, wanted = torch.from_numpy(vectors), torch.from_numpy(labels.astype(np.float32))
    head = _new_head(vectors.shape[1], float(labels.mean()), "cpu")

    def step(rows: npt.NDArray[np.int64]) -> float:
        squared = (head(inputs[rows])[:, 0] - wanted[rows]).square()
        squared.mean().backward()
        return float(squared.detach().sum())

    losses = _descend(_groups(head.parameters(), settings.lr, settings), step, len(labels), settings, progress)
    weight, bias = _numbers(head)
    weight = weight / spread
    return weight, bias - float(weight @ mean), losses


def _train_all(
    loaded: LoadedEncoder, texts: pa.LargeStringArray, labels: Numbers, settings: HeadSettings, progress: Progress
) -> tuple[Numbers, float, list[float]]:
    """The weight, the bias and the losses of a head whose encoder, `loaded.model`, is trained along."""
    import torch

    device = loaded.model.device
    tokens = [
        ids
        for start in range(0, len(texts), TEXTS_AT_ONCE)
        for ids in loaded.tokens(texts.slice(start, TEXTS_AT_ONCE))
    ]
    wanted = torch.from_numpy(labels.astype(np.float32)).to(device)
    head = _new_head(loaded.encoder.n_dims, float(labels.mean()), device)

    def step(rows: npt.NDArray[np.int64]) -> float:
        mine, total = [tokens[row] for row in rows], 0.0
        for part, n_padded in loaded.batches(mine):
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                vectors = loaded.pooled([mine[row] for row in part], n_padded)
            squared = (head(vectors)[:, 0] - wanted[rows[part]]).square().sum()
            (squared / len(rows)).backward()
            total += float(squared.detach())
        return total

    groups = _groups(loaded.model.parameters(), settings.encoder_lr, settings)
    groups += _groups(head.parameters(), settings.lr, settings)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)  # of dropout
        loaded.model.train()
        losses = _descend(groups, step, len(labels), settings, progress)
        loaded.model.eval()
    return *_numbers(head), losses


def _new_head(n_dims: int, mean_label: float, device: Any) -> Any:
    """A head that says the mean label of everything."""
    import torch

    head = torch.nn.Linear(n_dims, 1, device=device)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.constant_(head.bias, mean_label)
    return head


def _numbers(head: Any) -> tuple[Numbers, float]:
    weight: Numbers = head.weight[0].detach().cpu().numpy().astype(np.float64)
    return weight, float(head.bias.detach()[0])


def _groups(parameters: Iterable[Any], lr: float, settings: HeadSettings) -> list[dict[str, Any]]:
    """Parameters for AdamW: matrices decay, biases and norms do not."""
    given = list(parameters)
    matrices, others = [one for one in given if one.ndim > 1], [one for one in given if one.ndim <= 1]
    return [
        {"params": matrices, "lr": lr, "weight_decay": settings.weight_decay},
        {"params": others, "lr": lr, "weight_decay": 0.0},
    ]


def _descend(
    groups: list[dict[str, Any]], step: Step, n_docs: int, settings: HeadSettings, progress: Progress
) -> list[float]:
    """Train by AdamW (Loshchilov and Hutter 2019); the rate rises, then falls to 0, both in equal steps."""
    import torch

    n_steps = settings.epochs * math.ceil(n_docs / settings.batch_docs)
    n_warmup = math.ceil(settings.warmup_frac * n_steps)
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: lr_share(done, n_warmup, n_steps))
    parameters = [one for group in groups for one in group["params"]]
    rng, losses, n_done = np.random.default_rng(settings.seed), list[float](), 0
    for epoch in range(1, settings.epochs + 1):
        order, total = rng.permutation(n_docs), 0.0
        for start in range(0, n_docs, settings.batch_docs):
            total += step(order[start : start + settings.batch_docs])
            torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM_MAX)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            progress("train", n_done := n_done + 1, n_steps)
        losses.append(total / n_docs)
        if not math.isfinite(losses[-1]):
            raise RunError(f"the loss of epoch {epoch} is {losses[-1]}; a lower lr than {settings.lr} may help")
    return losses


def lr_share(done: int, n_warmup: int, n_steps: int) -> float:
    """Share of the learning rate after so many steps."""
    if done < n_warmup:
        return (done + 1) / (n_warmup + 1)
    return (n_steps - done) / max(n_steps - n_warmup, 1)


def _write(folder: Path, loaded: LoadedEncoder, weight: Numbers, bias: float, frozen: bool) -> None:
    """Lay out the folder beside its place, then rename it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".head-", dir=folder.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        _lay_out(made, loaded, weight, bias, frozen)
        if folder.exists():
            folder.rename(Path(temporary) / "replaced")
        made.rename(folder)


def _lay_out(made: Path, loaded: LoadedEncoder, weight: Numbers, bias: float, frozen: bool) -> None:
    from safetensors.numpy import save_file

    encoder = loaded.encoder
    card = HeadCard(pooling=encoder.pooling, max_tokens=encoder.max_tokens, prefix=encoder.prefix)
    source, target = Path(encoder.path), made / card.encoder
    for file in encoder_files(source):
        if frozen or not ({".safetensors", ".index"} & set(file.suffixes)):
            path = target / file.relative_to(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, path)
    if not frozen:
        loaded.model.save_pretrained(target)
    tensors = {"weight": weight[None].astype(np.float32), "bias": np.array([bias], np.float32)}
    save_file(tensors, made / card.head, {"format": "pt"})
    write_card(made, card)
