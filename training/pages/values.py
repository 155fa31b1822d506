"""How the page of a training writes amounts that reach from some thousand tokens to 1e24 FLOPs."""

import math

from curation.report_values import number

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def amount(count: float) -> str:
    """A count of tokens or weights: 950, 12.3K, 4.70B."""
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if round(count) >= unit:
            return f"{count / unit:.3g}{name}" if count < 999.5 * unit else f"{count / unit:,.0f}{name}"
    return f"{count:,.0f}"


def power(value: float) -> str:
    """A number of FLOPs: 2.27×10²⁰."""
    if value < 1e6:
        return f"{value:,.0f}"
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{digits}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def plain(value: float) -> str:
    """A measured value: 2,000, 0.374, −1.2; one that is no number says so."""
    return number(value).replace("-", "−") if math.isfinite(value) else "no number"


def signed(value: float) -> str:
    """A difference: +0.31, −1.2; one that is no number says so."""
    if not math.isfinite(value):
        return "no number"
    return f"{'−' if value < 0 else '+'}{number(float(f'{abs(value):.3g}'))}"


def ratio(value: float) -> str:
    """How many times as much: 12×, 0.031×, 404K×, 1/4,100."""
    if not math.isfinite(value) or value <= 0:
        return "0"
    if value >= 1000:
        return f"{amount(value)}×"
    return f"{value:.3g}×" if value >= 0.001 else f"1/{1 / value:,.0f}"
