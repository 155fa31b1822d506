"""The tokens of an answer as arrays: apart from `tokens`, as who asks loads no NumPy before it needs it."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from synth.teachers.tokens import Tokens


@dataclass(frozen=True)
class TokenArrays:
    """n = tokens of the answer, k = likeliest tokens that were asked for at each place."""

    prompt_ids: npt.NDArray[np.int32]
    output_ids: npt.NDArray[np.int32]
    """(n): with the token that ended the answer, where one did."""
    logprobs: npt.NDArray[np.float32]
    """(n): natural logarithms of the probabilities of `output_ids`."""
    top_ids: npt.NDArray[np.int32]
    """(n, k): the likeliest first. The token of the answer itself may stand in the k-th's place, though it is less
    likely: the server counts it in."""
    top_logprobs: npt.NDArray[np.float32]
    """(n, k)."""


def pack(arrays: TokenArrays, tokenizer: str) -> Tokens:
    """Arrays as they are kept.

    Args:
        arrays: of one answer.
        tokenizer: digest of the tokenizer that the ids are of.
    """
    parts = [arrays.prompt_ids, arrays.output_ids, arrays.logprobs, arrays.top_ids, arrays.top_logprobs]
    content = b"".join(part.astype(part.dtype.newbyteorder("<"), order="C").tobytes() for part in parts)
    packed = base64.b64encode(zstandard.compress(content)).decode()
    n, k = arrays.top_ids.shape
    return Tokens(packed, len(arrays.prompt_ids), n, k, tokenizer)


def unpack(tokens: Tokens) -> TokenArrays:
    """The arrays that were kept."""
    n, k = tokens.n_output, tokens.top
    content, start, arrays = zstandard.decompress(base64.b64decode(tokens.packed)), 0, []
    shapes: list[tuple[Any, tuple[int, ...]]] = [("<i4", (tokens.n_prompt,)), ("<i4", (n,)), ("<f4", (n,))]
    for kind, shape in [*shapes, ("<i4", (n, k)), ("<f4", (n, k))]:
        size = int(np.prod(shape))
        arrays.append(np.frombuffer(content, kind, size, start).reshape(shape))
        start += 4 * size
    return TokenArrays(*arrays)
