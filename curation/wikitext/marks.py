"""Characters that stand for something while wikitext is turned into text, and how small texts are written.

They are noncharacters of Unicode, taken out of every page before it is read.
"""

VERBATIM_OPEN, VERBATIM_CLOSE = "\ufdd0", "\ufdd1"
"""Around the number of something that is kept to the letter, as a formula."""
HEADING = "\ufdd2"
"""Begins the line of a heading; its level follows as one digit."""
LIST = "\ufdd3"
"""Before a mark of a list: one of `*#:;`."""
GONE = "\ufdd4"
"""Where a template was dropped."""

_RESERVED = [chr(code) for code in range(0xFDD0, 0xFDD9)]


def without_reserved(text: str) -> str:
    """A text without these characters, which no text has for its own."""
    for character in _RESERVED:
        if character in text:
            text = text.replace(character, "")
    return text


_SUPERSCRIPT = str.maketrans("0123456789+-−=()niabcdefghjklmoprstuvwxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻ")
_SUBSCRIPT = str.maketrans("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_ORDINALS = frozenset({"st", "nd", "rd", "th", "er", "re", "e", "o", "a", "º", "ª", "TM", "SM", "®", "™", "©"})


def raised(text: str, *, formula: bool) -> str:
    """A superscript: as in LaTeX inside a formula, else in characters of Unicode where there are such."""
    return _shifted(text, "^", _SUPERSCRIPT, formula=formula)


def lowered(text: str, *, formula: bool) -> str:
    """A subscript, as `raised`."""
    return _shifted(text, "_", _SUBSCRIPT, formula=formula)


def _shifted(text: str, mark: str, characters: dict[int, int], *, formula: bool) -> str:
    text = text.strip()
    if not text or (not formula and text in _ORDINALS):
        return text
    if formula:
        return f"{mark}{{{text}}}"
    if len(text) <= 8 and all(ord(character) in characters for character in text):
        return text.translate(characters)
    return text if any(character.isalpha() and not character.isascii() for character in text) else f"{mark}({text})"


def fraction(parts: list[str], *, formula: bool) -> str:
    """`{{frac|a|b}}`, `{{frac|whole|a|b}}`: 1/2, 3 1/2; in LaTeX where the parts are no plain numbers."""
    if len(parts) == 1:
        parts = ["1", *parts]
    if len(parts) < 2:
        return "".join(parts)
    whole, top, bottom = ["", *parts] if len(parts) == 2 else parts[:3]
    if not formula and all(part.isdigit() or not part for part in (whole, top, bottom)):
        return f"{whole} {top}/{bottom}".strip()
    return f"{whole}\\frac{{{top}}}{{{bottom}}}"
