"""The reference that a policy is held to: of the same vocabulary, asked once, and what it said kept beside the stage.

What the reference says of a pair never changes, so it is computed once, before the first step, and the reference then
leaves memory. It is asked in the batches of the first epoch: policy and reference see the same padding there, and the
first loss is that of a difference of exactly 0, in bfloat16 too. A run that is resumed reads what was said.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from manifests.errors import RequestError, RunError
from training.preferences.pairs import PairIds

REFERENCE = "reference.safetensors"
Said = Mapping[str, torch.Tensor]
"""`chosen` and `rejected` of a set, as `train.chosen`: sums of log-probabilities, (pairs,), float32."""


def check_same_vocabulary(tokenizer: Any, other: Any, folder: str, what: str = "reference") -> None:
    """That token ids mean the same to two models.

    Raises:
        RequestError: they do not; names a token.
    """
    mine, theirs = tokenizer.get_vocab(), other.get_vocab()
    differ = sorted(token for token in {*mine, *theirs} if mine.get(token) != theirs.get(token))
    if differ:
        token = differ[0]
        raise RequestError(
            f"{what}: {folder} has another vocabulary than the model that is trained: {len(differ):,} tokens differ, "
            f"as {token!r} ({theirs.get(token, 'none')} there, {mine.get(token, 'none')} here). Log-probabilities of "
            "the same ids are compared: name a model of the same tokenizer, or leave it out"
        )


def digest_of(sets: Sequence[Sequence[PairIds]], *settings: object) -> str:
    """Of the pairs, in their order, and what else the reference's answers depend on."""
    digest = xxhash.xxh3_128(repr(settings).encode())
    for pairs in sets:
        for pair in pairs:
            for ids in (pair.prompt, pair.chosen, pair.rejected):
                digest.update(len(ids).to_bytes(8, "little") + ids.tobytes())
        digest.update(b"\0")
    return digest.hexdigest()


def read_said(folder: Path, digest: str) -> dict[str, torch.Tensor]:
    """What the reference said of these pairs before; nothing where it was not asked, or of others."""
    path = folder / REFERENCE
    if not path.is_file():
        return {}
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("digest") == digest:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        pass
    return {}


def write_said(folder: Path, digest: str, said: Said) -> None:
    """Keep it, whole or not at all."""
    partial = folder / f"{REFERENCE}.partial"
    save_file({name: one.contiguous() for name, one in said.items()}, partial, metadata={"digest": digest})
    partial.rename(folder / REFERENCE)


def check_finite(said: Said, folder: str) -> None:
    """That the reference's log-probabilities are numbers.

    Raises:
        RunError: they are not.
    """
    for name, values in said.items():
        if not bool(torch.isfinite(values).all()):
            number = int(np.flatnonzero(~torch.isfinite(values).numpy())[0])
            raise RunError(
                f"the log-probability of pair {number} ({name}) under {folder} is {float(values[number])}: its "
                "weights are damaged, or the stage before it diverged; look at that stage's loss"
            )
