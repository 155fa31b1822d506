"""What the tests of HumanEval+ and MBPP+ take of NumPy, for a sandbox that has nothing but Python.

They compare floats with `np.allclose` and ask whether something is an `np.ndarray`. The text of this module stands
before such tests, as the module `numpy` of their process; it is never there for the program.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

float32 = float64 = float


class ndarray:
    """Nothing is one: what a program returns arrives as plain data."""


def isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether |a - b| <= atol + rtol * |b|, as NumPy defines it; infinities are close to themselves only.

    Raises:
        TypeError: one of them is no number.
    """
    if a == b:
        return True
    if a != a or b != b:
        return equal_nan and a != a and b != b
    infinite = float("inf")
    if abs(a) == infinite or abs(b) == infinite:
        return False
    return bool(abs(a - b) <= atol + rtol * abs(b))


def allclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all are close: numbers, and lists or tuples of such; a number is compared with each of a list.

    Raises:
        ValueError: lists of different lengths, of which neither has one element.
        TypeError: one of what is compared is no number.
    """
    one, other = isinstance(a, list | tuple), isinstance(b, list | tuple)
    if not one and not other:
        return isclose(a, b, rtol, atol, equal_nan)
    n = max(len(part) for part, is_list in ((a, one), (b, other)) if is_list)
    if (one and len(a) == 0) or (other and len(b) == 0):
        n = 0
    for part, is_list in ((a, one), (b, other)):
        if is_list and len(part) not in (1, n):
            raise ValueError(f"operands could not be broadcast together: {len(part)} and {n}")
    firsts = [a[i if len(a) > 1 else 0] if one else a for i in range(n)]
    seconds = [b[i if len(b) > 1 else 0] if other else b for i in range(n)]
    return all(allclose(x, y, rtol, atol, equal_nan) for x, y in zip(firsts, seconds, strict=True))
