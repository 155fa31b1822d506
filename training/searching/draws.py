"""Random weights of sources that fill their simplex evenly: Dirichlet draws at Sobol points."""

import numpy as np
import torch
from numpy.typing import NDArray

F64 = NDArray[np.float64]

SOFTENED = 0.5
"""Power of the sources' shares that draws lie around, as RegMix's (2407.01492, its `TEMP`): with the shares as they
are, a source of 1% would hardly ever be seen."""
LEAST = 0.25
"""No source's mean is less than so much of an equal share."""
STRENGTHS = (0.3, 3.0)
"""Between these, times `concentration`, lie the concentrations of single draws: RegMix takes 0.1 to 5."""


def centre(shares: F64) -> F64:
    """What draws lie around: the sources' shares, those of small ones raised.

    Args:
        shares: (sources), of the tokens that there are; they add up to 1.
    """
    softened = shares**SOFTENED
    found = np.maximum(softened / softened.sum(), LEAST / len(shares))
    return np.asarray(found / found.sum())


def draw_weights(shares: F64, n: int, concentration: float, seed: int) -> F64:
    """n mixtures, shape (n, sources); rows add up to 1. The first k of them are the same for any n.

    Each is of a Dirichlet distribution around `centre`, whose parameters add up to `concentration` times the number
    of sources times a strength of its own: some draws are near the centre, others nearly of one source. Points are
    scrambled Sobol's, through the inverse distribution function of the gamma variables that a Dirichlet is made of.

    Args:
        shares: (sources), of the tokens that there are.
        n: how many.
        concentration: of the manifest.
        seed: of the scrambling.
    """
    n_sources = len(shares)
    points = torch.quasirandom.SobolEngine(n_sources + 1, scramble=True, seed=seed).draw(n, dtype=torch.float64)
    uniform = np.clip(points.numpy(), 1e-12, 1 - 1e-12)
    low, high = np.log(STRENGTHS)
    strengths = np.exp(low + (high - low) * uniform[:, -1])
    alphas = strengths[:, None] * concentration * n_sources * centre(shares)
    logs = log_gamma_quantiles(uniform[:, :-1], alphas)
    exact = np.exp(logs - logs.max(1, keepdims=True))
    return np.asarray(exact / exact.sum(1, keepdims=True))


def log_gamma_quantiles(uniform: F64, alphas: F64) -> F64:
    """Logarithms of the values below which gamma variables of shape `alphas` lie with probability `uniform`.

    By bisection on the logarithm, since small shapes have values that no float holds; below exp(-30) the distribution
    function is x^a / (a Gamma(a)) to the last bit.
    """
    u, a = torch.from_numpy(uniform), torch.from_numpy(alphas)
    tail = (torch.log(u) + torch.lgamma(a + 1)) / a
    low, high = torch.full_like(u, -30.0), torch.log(a + 20 * torch.sqrt(a) + 50)
    for _ in range(44):
        middle = (low + high) / 2
        below = torch.special.gammainc(a, torch.exp(middle)) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return np.asarray(torch.where(tail < -30, tail, (low + high) / 2).numpy())
