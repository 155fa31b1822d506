r"""Numbers with units as `siunitx` writes them, in plain characters: `\SI{3e-2}{\metre\per\second\squared}`."""

import re

QUANTITIES = {
    "SI": 2, "qty": 2, "num": 1, "si": 1, "unit": 1, "ang": 1, "numrange": 2, "numlist": 1, "SIrange": 3,
    "qtyrange": 3,
    "SIlist": 2, "qtylist": 2, "ce": 1, "chemfig": 1, "ch": 1,
}  # fmt: skip
"""Commands with how many arguments they have."""
PREFIXES = {
    "yocto": "y", "zepto": "z", "atto": "a", "femto": "f", "pico": "p", "nano": "n", "micro": "µ", "milli": "m",
    "centi": "c", "deci": "d", "deca": "da", "deka": "da", "hecto": "h", "kilo": "k", "mega": "M", "giga": "G",
    "tera": "T", "peta": "P", "exa": "E", "zetta": "Z", "yotta": "Y", "kibi": "Ki", "mebi": "Mi", "gibi": "Gi",
}  # fmt: skip
UNITS = {
    "metre": "m", "meter": "m", "second": "s", "kilogram": "kg", "gram": "g", "ampere": "A", "kelvin": "K",
    "mole": "mol",
    "candela": "cd", "hertz": "Hz", "newton": "N", "pascal": "Pa", "joule": "J", "watt": "W", "coulomb": "C",
    "volt": "V", "farad": "F", "ohm": "Ω", "siemens": "S", "weber": "Wb", "tesla": "T", "henry": "H", "lumen": "lm",
    "lux": "lx", "becquerel": "Bq", "gray": "Gy", "sievert": "Sv", "katal": "kat", "radian": "rad", "steradian": "sr",
    "celsius": "°C", "degreeCelsius": "°C", "degree": "°", "arcminute": "′", "arcsecond": "″", "percent": "%",
    "minute": "min", "hour": "h", "day": "d", "litre": "l", "liter": "L", "tonne": "t", "hectare": "ha", "bar": "bar",
    "electronvolt": "eV", "dalton": "Da", "atomicmassunit": "u", "astronomicalunit": "au", "angstrom": "Å",
    "decibel": "dB", "bel": "B", "neper": "Np", "bit": "bit", "byte": "B", "barn": "b", "knot": "kn", "mmHg": "mmHg",
    "clight": "c₀", "parsec": "pc",
}  # fmt: skip
POWERS = {"squared": "²", "cubed": "³", "square": "²", "cubic": "³"}
"""`\\square` and `\\cubic` stand before their unit, the others behind it."""
PIECE = re.compile(
    r"\\(?P<word>[A-Za-z]+)\s*|(?P<open>\{)|(?P<close>\})|(?P<skip>[~\s]+|\\[,;:! ])"
    r"|(?P<symbol>\\.|\$)|(?P<text>[^\\{}~\s$]+)",
    re.DOTALL,
)


def quantity(name: str, arguments: list[str]) -> str:
    r"""What a command of `siunitx`, or a formula of chemistry, says; `arguments` as they stand in the source."""
    if name in ("ce", "ch", "chemfig"):
        return arguments[0].strip()
    if name in ("si", "unit"):
        return unit(arguments[0])
    numbers = arguments[: {"numrange": 2, "SIrange": 2, "qtyrange": 2}.get(name, 1)]
    said = "–".join(_number(text) for text in numbers)
    if name == "ang":
        return "".join(f"{part}{mark}" for part, mark in zip(said.split(";"), "°′″", strict=False) if part)
    of = unit(arguments[-1]) if len(arguments) > len(numbers) else ""
    return said + of if of in ("°", "′", "″") else f"{said} {of}".strip()


def unit(source: str) -> str:
    r"""A unit: `\kilo\gram\per\metre\cubed` is `kg/m³`; a word that is not known stays as the word it is."""
    said, per, before = "", False, ""
    joined = False  # a prefix stands before its unit with nothing between
    for match in PIECE.finditer(source):
        word, text = match["word"], match["text"]
        if word == "per":
            per = True
        elif word in ("square", "cubic"):
            before = POWERS[word]
        elif word in POWERS:
            said += POWERS[word]
        elif word in ("tothe", "raiseto"):
            said, joined = f"{said}^", True
        elif word in ("of", "cancel", "highlight"):
            joined = False
        elif word or text or match["symbol"]:
            piece = PREFIXES.get(word or "") or UNITS.get(word or "") or word or text or match["symbol"][1:]
            between = "/" if per else "·" if word and said and not joined else ""
            said += f"{between}{piece}"
            joined, per = word in PREFIXES, False
            if not joined:
                said, before = said + before, ""
    return said


def _number(source: str) -> str:
    """A number as it was typed, `\\pm` and `x` as characters."""
    plain = source.replace("\\pm", "±").replace("+-", "±").replace("\\times", "×").replace("~", " ")
    return " ".join(re.sub(r"[{}$]|\\[,;:! ]", "", plain).split())
