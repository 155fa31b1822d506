"""Moving tokens about: those of documents into another order, and spans into sequences."""

import numpy as np
from numpy.typing import NDArray

from curation.kernels import at, kernel

Tokens = NDArray[np.generic]
Numbers = NDArray[np.int64]


@kernel()
def reorder(ids: Tokens, starts: Numbers, order: Numbers, bos: int, eod: int, out: Tokens) -> int:
    """Documents ids[starts[i]:starts[i + 1]] one after another in the given order, `bos` (none where negative) before
    and `eod` after each; returns how many tokens were written to `out`."""
    n_written = 0
    for i in range(order.shape[0]):
        document = order[at(i)]
        if bos >= 0:
            out[at(n_written)] = bos
            n_written += 1
        for j in range(starts[at(document)], starts[at(document + 1)]):
            out[at(n_written)] = ids[at(j)]
            n_written += 1
        out[at(n_written)] = eod
        n_written += 1
    return n_written


@kernel()
def place(buffer: Tokens, froms: Numbers, lengths: Numbers, tos: Numbers, out: Tokens) -> None:
    """Copy buffer[froms[i]:froms[i] + lengths[i]] to out[tos[i]:]."""
    for i in range(froms.shape[0]):
        start, to = froms[at(i)], tos[at(i)]
        for j in range(lengths[at(i)]):
            out[at(to + j)] = buffer[at(start + j)]
