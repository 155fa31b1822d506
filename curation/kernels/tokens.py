"""Moving tokens about: those of documents into another order, and spans into sequences."""

import numpy as np
from numpy.typing import NDArray

from curation.kernels import at, kernel

Tokens = NDArray[np.generic]
Numbers = NDArray[np.int64]


@kernel()
def place(buffer: Tokens, froms: Numbers, lengths: Numbers, tos: Numbers, out: Tokens) -> None:
    """Copy buffer[froms[i]:froms[i] + lengths[i]] to out[tos[i]:]."""
    for i in range(froms.shape[0]):
        start, to = froms[at(i)], tos[at(i)]
        for j in range(lengths[at(i)]):
            out[at(to + j)] = buffer[at(start + j)]
