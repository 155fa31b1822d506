"""What a translation must leave as it is: taken out before, put back byte by byte after.

A placeholder, as ⟦3⟧, stands for each span. Its brackets occur in hardly any text; where they do, they are spans.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

PLACEHOLDER = re.compile(r"⟦(\d{1,5})⟧")

_UNITS = (
    "km/h|m/s|kWh|kW|MW|GW|kHz|MHz|GHz|Hz|kcal|kJ|MJ|hPa|kPa|Pa|mAh|mol|km²|m²|cm²|m³|km2|m2|km|cm|mm|nm|µm|μm|m"
    "|kg|mg|µg|g|mL|ml|L|[KMGTP]i?B/s|[KMGTP]i?B|[KMG]bps|bps|dpi|fps|px|dB|ms|ns|°C|°F|℃|℉|°|V|W|A|K|Ω"
)
# Each has a greatest length: otherwise openers that nothing closes take quadratic time.
_SHAPES = (
    r"(?P<fence>^[ \t]*(?P<ticks>`{3,20}|~{3,20})[^\n]*\n(?:.{0,20000}?\n)??[ \t]*(?P=ticks)[ \t]*$)",
    r"(?P<code>(?<!`)(?P<tick>`{1,20})(?!`)(?:(?!\n\s*\n).){1,1000}?(?<!`)(?P=tick)(?!`))",
    r"\\begin\{(?P<env>[A-Za-z]+\*?)\}.{0,4000}?\\end\{(?P=env)\}",
    r"\\\[.{1,2000}?\\\]",
    r"\\\(.{1,2000}?\\\)",
    r"(?<!\\)\$\$.{1,2000}?(?<!\\)\$\$",
    # As Pandoc tells formulas from money: no space inside the signs, no digit behind. Nor do formulas end with = or
    # have three words in a row: `$5 million, not 6$` and `$20. So he makes 4*5=$20` are money.
    r"(?<![\\$])\$(?!\d[\d.,]*\s+[A-Za-z]{2})(?![^${]*[A-Za-z]{2,} [a-z]+ [a-z]{2,})(?=[^\s$])"
    r"(?:[^$\\\n]|\\.|\n(?!\s*\n)){1,1000}?(?<=[^\s\\=])\$(?![\d$])",
    r"https?://[^\s<>\"'⟦⟧가-힣]*[^\s<>\"'⟦⟧가-힣.,;:!?)\]}*_]",
    r"(?<![\w.+-])www\.[\w-]+(?:\.[\w-]+)+(?:/[^\s<>\"']*[^\s<>\"'.,;:!?)\]}])?",
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    rf"(?<![\w.,])[-−+]?\d+(?:,\d{{3}})*(?:\.\d+)?[ \u00a0]?(?:{_UNITS})(?![A-Za-z0-9²³/])",
    r"[⟦⟧]",
)


@dataclass(frozen=True)
class Masked:
    """A text with placeholders, and what they stand for."""

    text: str
    spans: dict[int, str]
    """By the number in the placeholder."""


class PlaceholderError(ValueError):
    """A placeholder is missing, stands twice, or is none of ours."""


def mask(text: str, names: Sequence[str] = (), first: int = 1) -> Masked:
    """Put placeholders for code, formulas (LaTeX), URLs, addresses of e-mail, measures with their units, and names.

    Args:
        text: to be translated.
        names: kept wherever they stand alone; not inside of longer words in Latin letters or digits.
        first: number of the first placeholder.
    """
    spans: dict[int, str] = {}

    def keep(match: re.Match[str]) -> str:
        number = first + len(spans)
        spans[number] = match[0]
        return f"⟦{number}⟧"

    return Masked(_pattern(names).sub(keep, text), spans)


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted({name for name in names if name.strip()}, key=lambda name: (-len(name), name))
    shapes = list(_SHAPES)
    if longest_first:
        shapes.append(rf"(?<![A-Za-z0-9_])(?:{'|'.join(map(re.escape, longest_first))})(?![A-Za-z0-9_])")
    return re.compile("|".join(shapes), re.DOTALL | re.MULTILINE)


def unmask(text: str, spans: dict[int, str]) -> str:
    """Put the spans back.

    Raises:
        PlaceholderError: one of them has not exactly one place, or there is a placeholder that stands for nothing.
    """
    found = Counter(int(number) for number in PLACEHOLDER.findall(text))
    for number in sorted(spans.keys() | found.keys()):
        if number not in spans:
            raise PlaceholderError(f"⟦{number}⟧ stands for nothing")
        if found[number] != 1:
            raise PlaceholderError(f"⟦{number}⟧ is there {found[number]} times, for {spans[number]}")
    bare = PLACEHOLDER.sub("", text)
    if "⟦" in bare or "⟧" in bare:
        raise PlaceholderError("a placeholder is broken")
    return PLACEHOLDER.sub(lambda match: spans[int(match[1])], text)


def outside(masked: str) -> str:
    """The words of a text with placeholders, without them."""
    return PLACEHOLDER.sub(" ", masked)
