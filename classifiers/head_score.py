"""Scores of a regression head on an encoder."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from classifiers.cards import CARD, HeadCard
from classifiers.encoder import check_installed, find_encoder, has_text, load_encoder
from manifests.code import code_digest
from manifests.errors import RequestError

BATCH_TOKENS = 16_384
"""That the encoder sees at once."""
CODE = ("classifiers/encoder.py", "classifiers/head_score.py")


class HeadScore:
    """An encoder and what its vectors are multiplied with; on a GPU where torch sees one."""

    is_ordinal = True

    def __init__(self, folder: Path, card: HeadCard) -> None:
        """Load the model of a folder.

        Raises:
            RequestError: torch is not installed, or the encoder or the head cannot be read.
        """
        check_installed(str(folder / CARD), "train")
        found = find_encoder(
            folder / card.encoder, str(folder / CARD), card.pooling, card.max_tokens, card.prefix, BATCH_TOKENS
        )
        self._weight, self._bias = read_head(folder / card.head, found.n_dims)
        self._encoder = load_encoder(found, str(folder / CARD))
        files = f"{found.digest} {xxhash.xxh3_128_hexdigest((folder / card.head).read_bytes())}"
        self.digest = xxhash.xxh3_128_hexdigest(f"{files} {code_digest(*CODE)}".encode())

    def score(self, texts: pa.LargeStringArray) -> pa.Array:
        """float64 of n texts, as the regression gives it; null where there is nothing but white space.

        Raises:
            RunError: the encoder gives numbers that are none.
        """
        known = has_text(texts)
        scores = self._encoder.vectors(texts.filter(known)) @ self._weight + self._bias
        is_known = known.to_numpy(zero_copy_only=False)
        values = np.zeros(len(texts))
        values[is_known] = scores
        return pa.array(values, mask=~is_known)


def read_head(path: Path, n_dims: int) -> tuple[npt.NDArray[np.float64], float]:
    """The weights (n_dims,) and the bias of a head.

    Raises:
        RequestError: the file cannot be read, or holds other tensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes != {"weight": (1, n_dims), "bias": (1,)}:
        raise RequestError(f"{path}: holds {shapes}; the encoder takes weight (1, {n_dims}) and bias (1,)")
    weight, bias = tensors["weight"][0].astype(np.float64), float(tensors["bias"][0])
    if not np.isfinite([*weight, bias]).all():
        raise RequestError(f"{path}: holds numbers that are not finite")
    return weight, bias
