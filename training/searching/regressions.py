"""Regressions from the weights of a mixture to the logarithm of a loss; NumPy suffices.

Four are kernel ridge regressions, so that what is left out of one, and the loss of many mixtures, come in closed
form (Rasmussen and Williams 2006, chapters 2 and 5):

- `linear` in the weights, as RegMix's simplest (2407.01492),
- `quadratic` in them: sources that help or hinder one another,
- `logarithmic`: in log(weight + 1%), by which the first percents of a source count most,
- `smooth`: a Gaussian process over the roots of the weights (their Euclidean distance is Hellinger's) on a line.

`exponential` is the law of "Data Mixing Laws" (2403.16952): loss = c + exp(t . weights).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

OFFSET = 0.01
CONSTANT = 100.0
"""Variance of the level beside that of the losses, which is 1 there: next to no penalty on the mean."""
NOISES = tuple(float(value) for value in 10.0 ** np.arange(-5, 1.1, 0.5))
LENGTHS = (0.25, 0.5, 1.0, 2.0)
"""Of the smooth kernel: roots of two mixtures that share no source are 1.4 apart."""
FLOORS = (0.0, 0.6, 0.9, 0.97)
"""Of the exponential law: its constant as a share of the lowest loss, to begin with."""
LAW_STEPS = 25


class Fit(Protocol):
    """A fitted regression."""

    def predict(self, weights: F64) -> F64:
        """Logarithms of the losses (n) of mixtures (n, sources)."""
        ...


class Family(Protocol):
    """A kind of regression."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def tuned(self, weights: F64, values: F64) -> "Family":
        """The same with what it leaves open settled by the values that single mixtures have without them."""
        ...

    def fit(self, weights: F64, values: F64) -> Fit:
        """Fitted to mixtures (n, sources) and the logarithms of their losses (n)."""
        ...


Kernel = Callable[[F64, F64], F64]


def _linear(a: F64, b: F64) -> F64:
    return np.asarray(a.shape[1] * (a - 1 / a.shape[1]) @ (b - 1 / b.shape[1]).T)


def _quadratic(a: F64, b: F64) -> F64:
    return np.asarray((_linear(a, b) + 1) ** 2)


def _logarithmic(a: F64, b: F64) -> F64:
    logs = [np.log(side + OFFSET) - np.log(1 / side.shape[1] + OFFSET) for side in (a, b)]
    return np.asarray(logs[0] @ logs[1].T / a.shape[1])


def _smooth(length: float) -> Kernel:
    def kernel(a: F64, b: F64) -> F64:
        squares = 2 - 2 * np.sqrt(a) @ np.sqrt(b).T
        return np.asarray(np.exp(-np.maximum(squares, 0) / (2 * length**2)) + _linear(a, b))

    return kernel


@dataclass(frozen=True)
class KernelRidge:
    """Ridge regression by a kernel; values are brought to mean 0 and variance 1 first."""

    name: str
    kernels: tuple[Kernel, ...]
    """Of which `tuned` takes one."""
    noise: float = 0.01
    """Variance of what the mixture does not explain, beside that of the losses."""

    def tuned(self, weights: F64, values: F64) -> "KernelRidge":
        """With the kernel and the noise whose leave-one-out errors are least."""
        scaled, _, _ = _scaled(values)
        options = []
        for kernel in self.kernels:
            roots, vectors = np.linalg.eigh(kernel(weights, weights) + CONSTANT)
            errors = [_left_out_error(roots, vectors, scaled, noise) for noise in NOISES]
            options += [(error, kernel, noise) for error, noise in zip(errors, NOISES, strict=True)]
        _, kernel, noise = min(options, key=lambda option: option[0])
        return KernelRidge(self.name, (kernel,), noise)

    def fit(self, weights: F64, values: F64) -> "KernelFit":
        """See Family."""
        scaled, mean, spread = _scaled(values)
        gram = self.kernels[0](weights, weights) + CONSTANT + self.noise * np.eye(len(weights))
        alpha = np.asarray(np.linalg.solve(gram, scaled), np.float64)
        return KernelFit(self.kernels[0], weights, alpha, mean, spread)


@dataclass(frozen=True)
class KernelFit:
    """A fitted kernel ridge regression."""

    kernel: Kernel
    weights: F64
    alpha: F64
    mean: float
    spread: float

    def predict(self, weights: F64) -> F64:
        """See Fit."""
        return self.of_kernel(self.kernel(weights, self.weights))

    def of_kernel(self, kernel: F64) -> F64:
        """The same from the kernel between the mixtures and those of the fit."""
        return np.asarray(self.mean + self.spread * (kernel @ self.alpha + CONSTANT * self.alpha.sum()))


def _left_out_error(roots: F64, vectors: F64, values: F64, noise: float) -> float:
    """Mean square of leave-one-out errors, alpha_i / (K^-1)_ii, from the kernel's eigenvalues and eigenvectors."""
    shrunk = vectors / (np.maximum(roots, 0) + noise)
    return float(np.mean((shrunk @ (vectors.T @ values) / (shrunk * vectors).sum(1)) ** 2))


def _scaled(values: F64) -> tuple[F64, float, float]:
    mean, spread = float(values.mean()), float(values.std()) or 1.0
    return (values - mean) / spread, mean, spread


@dataclass(frozen=True)
class ExponentialLaw:
    """loss = c + exp(t . weights), fitted to the logarithms of the losses by least squares."""

    name: str = "exponential"

    def tuned(self, weights: F64, values: F64) -> "ExponentialLaw":
        """See Family; there is nothing to settle."""
        return self

    def fit(self, weights: F64, values: F64) -> "LawFit":
        """Of several beginnings the best, improved by Levenberg and Marquardt's method."""
        beginnings = [_beginning(weights, values, floor) for floor in FLOORS]
        return min((_improved(fit, weights, values) for fit in beginnings), key=lambda f: _error(f, weights, values))


@dataclass(frozen=True)
class LawFit:
    """A fitted exponential law."""

    log_floor: float
    """Logarithm of c."""
    slopes: F64
    """t."""

    def predict(self, weights: F64) -> F64:
        """See Fit."""
        return np.logaddexp(self.log_floor, weights @ self.slopes)


def _beginning(weights: F64, values: F64, floor: float) -> LawFit:
    least = float(np.exp(values.min()))
    above = np.log(np.exp(values) - floor * least + 1e-3 * least)
    slopes, *_ = np.linalg.lstsq(
        np.vstack([weights, 0.05 * np.eye(weights.shape[1])]),
        np.concatenate([above, np.full(weights.shape[1], 0.05 * above.mean())]),
    )
    return LawFit(float(np.log(max(floor, 1e-3) * least)), slopes)


def _improved(fit: LawFit, weights: F64, values: F64) -> LawFit:
    damping, error = 1e-2, _error(fit, weights, values)
    for _ in range(LAW_STEPS):
        predicted = fit.predict(weights)
        of_rest = np.exp(np.minimum(weights @ fit.slopes - predicted, 0))[:, None]
        slope = np.hstack([1 - of_rest, of_rest * weights])
        normal = slope.T @ slope
        step = np.linalg.solve(
            normal + damping * (np.diag(np.diag(normal)) + 1e-9 * np.eye(len(normal))), slope.T @ (values - predicted)
        )
        candidate = LawFit(fit.log_floor + float(step[0]), fit.slopes + step[1:])
        if (found := _error(candidate, weights, values)) < error:
            if error - found < 1e-10 * error:
                return candidate
            fit, error, damping = candidate, found, damping / 4
        elif damping > 1e8:
            return fit
        else:
            damping *= 8
    return fit


def _error(fit: LawFit, weights: F64, values: F64) -> float:
    found = float(np.mean((fit.predict(weights) - values) ** 2))
    return found if np.isfinite(found) else np.inf


FAMILIES: tuple[Family, ...] = (
    KernelRidge("linear", (_linear,)),
    ExponentialLaw(),
    KernelRidge("logarithmic", (_logarithmic,)),
    KernelRidge("quadratic", (_quadratic,)),
    KernelRidge("smooth", tuple(_smooth(length) for length in LENGTHS)),
)
"""The simplest first."""
