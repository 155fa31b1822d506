"""The definitions of papers.md 3.2 once more, in float64 and NumPy, a row at a time: the oracle of divergences."""

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float64]


def softmax(logits: Row) -> Row:
    with np.errstate(under="ignore"):
        shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def kl(first: Row, second: Row) -> float:
    """Of probabilities; what the first cannot say adds nothing."""
    said = first > 0
    return float(np.sum(first[said] * (np.log(first[said]) - np.log(second[said]))))


def divergence(kind: str, student: Row, teacher: Row, skew: float, temperature: float = 1.0) -> float:
    q, p = softmax(student / temperature), softmax(teacher / temperature)
    found = {
        "forward_kl": lambda: kl(p, q),
        "reverse_kl": lambda: kl(q, p),
        "js": lambda: skew * kl(q, (1 - skew) * p + skew * q) + (1 - skew) * kl(p, (1 - skew) * p + skew * q),
        "skew_kl": lambda: kl(p, skew * p + (1 - skew) * q),
        "skew_reverse_kl": lambda: kl(q, (1 - skew) * p + skew * q),
        "symmetric_kl": lambda: (1 - skew) * kl(p, q) + skew * kl(q, p),
        "total_variation": lambda: float(0.5 * np.abs(p - q).sum()),
    }[kind]()
    return found * temperature**2
