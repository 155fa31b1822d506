"""Which documents a mixture may hold, by what their licence says.

What is written is read with care: a licence that cannot be read stands as it is and matches only what names it, and
of several licences all must be allowed unless an `OR` offers a choice.
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import polars as pl

from manifests.schema_mixture import Licenses

UNKNOWN = frozenset(
    {"", "-", "?", "n/a", "na", "no license", "noassertion", "none", "null", "unknown", "unspecified"}
)
"""What is written, in any letter case, where no licence is known."""

_URL = re.compile(r"(?:https?://)?(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([^?#\s]+)", re.IGNORECASE)
_IN_WORDS = re.compile(
    r"(?:creative commons |cc )attribution(?P<nc>[\s-]*non-?commercial)?"
    r"(?:(?P<sa>[\s-]*share-?alike)|(?P<nd>[\s-]*no-?deriv(?:ative)?s))?(?=$|[\s,])(?P<rest>.*)",
    re.IGNORECASE,
)
_TAIL = re.compile(r"-(?:INTERNATIONAL|UNPORTED|UNIVERSAL|GENERIC|DEED|LICEN[CS]E|PUBLIC-LICENSE)\b.*$")
_LISTED = re.compile(r"[;|,\n]")
_CHOICE = re.compile(r"\sOR\s")  # in capitals, as in SPDX: `GPL-3.0 or later` is one licence
_TOGETHER = re.compile(r"\s(?:AND|and|And)\s|\s?&\s?|(?<![:/])/(?!/)")


def allowed(licenses: pl.Series | Sequence[str | None], policy: Licenses) -> pl.Series:
    """Whether each document may be used, booleans without nulls (n_docs,); see `is_allowed`."""
    written = pl.Series("license", licenses, pl.String).fill_null("")
    distinct = written.unique()
    verdicts = pl.Series("allowed", [is_allowed(license, policy) for license in distinct], pl.Boolean)
    judged = pl.DataFrame([distinct, verdicts])
    return pl.DataFrame([written]).join(judged, on="license", maintain_order="left")["allowed"]


def is_allowed(license: str | None, policy: Licenses) -> bool:
    """Whether documents under this licence may be used.

    A licence is left out where a pattern of `deny` fits, or where there is `allow` and none of its patterns fits;
    `unknown` decides on documents without one. `A OR B` needs one of them, `A AND B` and lists (`A; B`, `A, B`,
    `A/B`) need all. A licence that `allow` names in full, without `*`, is not taken apart.
    """
    whole = normal(license or "")
    if any(whole == normal(pattern) for pattern in policy.allow or []):
        return not _fits(whole, policy.deny)
    return _judge(license or "", policy)


def normal(license: str) -> str:
    """A licence, or a pattern of some, in upper case; those of Creative Commons by their SPDX names, whether they are
    written as `CC BY 4.0`, in words, or as the address of the deed."""
    text = " ".join(license.split())
    if found := _URL.match(text):
        return _of_address(found[1], found[2])
    if found := _IN_WORDS.match(text):
        parts = [part for part in ("nc", "sa", "nd") if found[part]]
        text = "-".join(["cc-by", *parts]) + re.sub(r"[()]", "", found["rest"]).replace(",", "")
    text = text.upper()
    if re.match(r"CC0?[\s_-]", text):
        text = _TAIL.sub("", re.sub(r"[\s_]+", "-", text))
    return text


def _of_address(kind: str, path: str) -> str:
    """`by-sa/4.0/deed.ko` is CC-BY-SA-4.0, `zero/1.0` is CC0-1.0, `by/3.0/us` is CC-BY-3.0-US."""
    name, *rest = [part for part in path.upper().split("/") if part]
    rest = [part for part in rest if not part.startswith(("DEED", "LEGALCODE"))]
    first = (
        {"ZERO": "CC0", "MARK": "CC-PDM"}.get(name, f"CC-{name}") if kind.lower() == "publicdomain" else f"CC-{name}"
    )
    return "-".join([first, *rest])


def _judge(text: str, policy: Licenses) -> bool:
    text = text.strip()
    for separator, decide in _LEVELS:
        if len(parts := _split(text, separator)) > 1:
            return decide(_judge(part, policy) for part in parts)
    if text.startswith("(") and text.endswith(")"):
        return _judge(text[1:-1], policy)
    return _is_one_allowed(normal(text), policy)


_LEVELS: tuple[tuple[re.Pattern[str], Callable[..., bool]], ...] = ((_LISTED, all), (_CHOICE, any), (_TOGETHER, all))
"""What takes licences apart, from the loosest to the tightest, and how many of the parts must be allowed."""


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """The text cut at separators that are in no parentheses and no address; parts that are empty are left out."""
    is_address = "://" in text and not re.search(r"\s", text.strip())
    if is_address or text.lower() in UNKNOWN:  # `n/a`
        return [text]
    parts, start = [], 0
    for found in separator.finditer(text):
        if text.count("(", 0, found.start()) == text.count(")", 0, found.start()):
            parts.append(text[start : found.start()])
            start = found.end()
    return [part for part in [*parts, text[start:]] if part.strip()]


def _is_one_allowed(name: str, policy: Licenses) -> bool:
    if _fits(name, policy.deny):
        return False
    if name.lower() in UNKNOWN:
        return policy.unknown == "allow"
    return policy.allow is None or _fits(name, policy.allow)


def _fits(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern fits, a version being optional: `CC-BY-*` and `*-NC-*` fit CC-BY and CC-BY-NC too."""
    return any(fnmatchcase(form, pattern) for pattern in map(_without_sets, patterns) for form in (name, f"{name}-"))


def _without_sets(pattern: str) -> str:
    """The pattern with `*` alone as a wildcard."""
    return re.sub(r"[\[?]", lambda found: f"[{found[0]}]", normal(pattern))
