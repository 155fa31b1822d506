"""How gates write figures: with as many digits as tell a figure from its limit."""

from collections.abc import Callable

DIGITS_MAX = 6


def percent(value: float, digits: int) -> str:
    """A share as a change in percent."""
    return f"{value:+z.{digits}%}"


def points(value: float, digits: int) -> str:
    """A difference of shares in points."""
    return f"{100 * value:+z.{digits}f}"


def share(value: float, digits: int) -> str:
    """A share in percent."""
    return f"{value:z.{digits}%}"


def number(value: float, digits: int) -> str:
    """A number."""
    return f"{value:.{digits + 1}f}"


def signed(value: float, digits: int) -> str:
    """A change as it is."""
    return f"{value:+z.{digits + 2}f}"


def limited(found: float, limit: float, written: Callable[[float, int], str]) -> tuple[str, str]:
    """A figure and its limit, written with one digit, or more where they would else look equal and are not."""
    for digits in range(1, DIGITS_MAX):
        pair = written(found, digits), written(limit, digits)
        if pair[0] != pair[1] or abs(found - limit) < 1e-9:
            break
    return pair


def unsure(found: float, limit: float, error: float, shown: str) -> str:
    """What is said of a difference that may be chance, or whose verdict may be; error is its standard error."""
    if not error:
        return ""
    if abs(found) <= error:
        return f", within its standard error of {shown}"
    return f", {shown} standard error reaches across the limit" if abs(found - limit) < error else ""
