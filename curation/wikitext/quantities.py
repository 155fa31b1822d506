"""Templates that write quantities: values with their uncertainty, measures with their unit, dates."""

import re

from curation.wikitext.marks import raised

_UNITS = {
    "C": "°C",
    "F": "°F",
    "sqmi": "sq mi",
    "sqft": "sq ft",
    "sqkm": "km²",
    "sqm": "m²",
    "kph": "km/h",
    "cuft": "cu ft",
    "mi2": "sq mi",
}
_POWER = re.compile(r"(?<=[A-Za-zμΩ])(-?[1-9])(?![0-9])")
_BETWEEN = {
    "-": "–",
    "–": "–",
    "to": " to ",
    "and": " and ",
    "or": " or ",
    "x": " × ",
    "×": " × ",
    "by": " by ",
    "+/-": " ± ",
    "±": " ± ",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def convert(parts: list[str]) -> str:
    """`{{convert|5|x|3|m|ft}}`: the quantity as it is given, without what it is in other units: 5 × 3 m."""
    out, index = "", 0
    while index < len(parts):
        number = parts[index]
        between = parts[index + 1] if index + 1 < len(parts) else ""
        if between in _BETWEEN:
            out += number + _BETWEEN[between]
            index += 2
            continue
        out += f"{number} {_unit(between)}".rstrip()
        index += 2
        if index < len(parts) and not _is_number(parts[index]):
            break
        out += " " if index < len(parts) else ""
        if index + 1 >= len(parts) or not parts[index + 1] or _is_number(parts[index + 1]):
            break  # rounding: {{convert|5|km|mi|0}}
    return out.strip()


def value(named: dict[str, str], parts: list[str]) -> str:
    """`{{val|1.2|(5)|e=6|u=m/s}}`: 1.2(5)×10⁶ m/s; `{{val|1|0.1}}`: 1±0.1."""
    if not parts:
        return ""
    number = parts[0]
    if len(parts) == 2:
        number += parts[1] if parts[1].startswith("(") else f"±{parts[1]}"
    elif len(parts) > 2:
        number += f" +{parts[1].lstrip('+')} −{parts[2].lstrip('-−')}"
    if exponent := named.get("e"):
        number += f"×10{raised(exponent, formula=False)}"
    unit = named.get("u") or named.get("ul") or named.get("up") or ""
    number = f"{named.get('p', '')}{number}{named.get('s', '')}"
    return f"{number}{'' if unit in ('%', '°') else ' '}{_unit(unit)}" if unit else number


def date(parts: list[str], language: str) -> str:
    """Up to three numbers, year, month and day, as the wiki's language writes them; anything else as it is."""
    numbers = [part for part in parts if part.lstrip("-").isdecimal()][:3]
    if not numbers:
        return parts[0] if parts else ""
    if language == "ko":
        return " ".join(
            f"{number.lstrip('0') or number}{unit}" for number, unit in zip(numbers, "년월일", strict=False)
        )
    year, *rest = numbers
    if not rest or not 1 <= int(rest[0]) <= 12:
        return year
    day = f"{rest[1].lstrip('0')} " if len(rest) > 1 else ""
    return f"{day}{_MONTHS[int(rest[0]) - 1]} {year}"


def _unit(text: str) -> str:
    """A unit with its powers raised: m/s2 is m/s²."""
    return _UNITS.get(text) or _POWER.sub(lambda found: raised(found[1], formula=False), text)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").lstrip("-−+").isdecimal()
