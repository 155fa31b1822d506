"""What an SPDX expression means for a corpus of permissive code: `permissive`, `copyleft`, `other` or `unknown`."""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, cast

Verdict = Literal["permissive", "copyleft", "other", "none", "unknown"]

TABLE = Path(__file__).with_name("ids.tsv")
EXPRESSION_CHARACTERS_MAX = 1_000
EXPRESSION = re.compile(r"[\w.+:() -]+")
IDENTIFIER = re.compile(r"[\w.+:-]+")
SLASHED = re.compile(r"[\w.+-]+(\s*/\s*[\w.+-]+)+")
AND_ORDER: tuple[Verdict, ...] = ("other", "copyleft", "unknown", "none", "permissive")
"""Of what holds together, the first counts: one licence that forbids is enough."""
OR_ORDER: tuple[Verdict, ...] = ("permissive", "copyleft", "unknown", "none", "other")
"""Of what one may choose from, the first counts."""


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict where every licence holds; `none` where there is none."""
    return min(verdicts, key=AND_ORDER.index, default="none")


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict where one may choose; `none` where there is nothing."""
    return min(verdicts, key=OR_ORDER.index, default="none")


@lru_cache(maxsize=65_536)
def verdict_of(expression: str) -> Verdict:
    """Judge an SPDX expression: `MIT OR GPL-2.0-only`, `Apache-2.0 WITH LLVM-exception`; `unknown` if it is none."""
    parsed = _parse(expression)
    return "unknown" if parsed is None else _verdict(parsed)


@lru_cache(maxsize=65_536)
def canonical(expression: str) -> str | None:
    """The expression with SPDX's spelling of each identifier and no needless parentheses; None if it is none."""
    parsed = _parse(expression)
    if parsed is None:
        return None
    form = _spelled(parsed)
    return form if form == expression else canonical(form)  # a choice between equals may leave an AND inside an AND


@lru_cache(maxsize=65_536)
def leaves(expression: str) -> frozenset[str]:
    """The licences that an expression names, each with its exception if it has one."""
    parsed = _parse(expression)
    return frozenset() if parsed is None else frozenset(_names(parsed))


@lru_cache(maxsize=65_536)
def offers_choice(expression: str) -> bool:
    """Whether it is a choice between licences."""
    return type(_parse(expression)).__name__ == "OR"


@lru_cache(maxsize=65_536)
def family(name: str) -> str:
    """What the versions of a licence share: `GPL` of `GPL-2.0-or-later`, `BSD` of `BSD-3-Clause`."""
    return re.split(r"-v?\d", name, maxsplit=1)[0]


def join(expressions: Iterable[str], one_offer: bool = False) -> str | None:
    """All of them together (AND), each once; one that a choice among them already offers is not named again.

    `(MIT OR GPL-2.0-only) AND MIT AND GPL-2.0-only` is what a notice of two licences and their texts come to:
    `MIT OR GPL-2.0-only`. With `one_offer`, where all of them are about the same work, the text of `GPL-3.0-only`
    is taken for that of an offered `GPL-2.0-or-later` too.
    """
    parts = list(dict.fromkeys(part for expression in expressions for part in _conjuncts(expression)))
    offered = {name for part in parts if offers_choice(part) for name in leaves(part)}
    families = {family(name) for name in offered} if one_offer else set()
    left = sorted(part for part in parts if offers_choice(part) or not _offered(part, offered, families))
    if len(left) <= 1:
        return left[0] if left else None
    return " AND ".join(f"({part})" if offers_choice(part) else part for part in left)


@lru_cache(maxsize=65_536)
def _conjuncts(expression: str) -> tuple[str, ...]:
    """What an expression asks for all of: the parts of an AND, or itself; nothing where it is none."""
    parsed = _parse(expression)
    if parsed is None:
        return ()
    return tuple(_spelled(part) for part in (_flat(parsed, "AND") if type(parsed).__name__ == "AND" else [parsed]))


def _offered(part: str, offered: set[str], families: set[str]) -> bool:
    return all(name in offered or family(name) in families for name in leaves(part))


@lru_cache(maxsize=65_536)
def from_scancode(expression: str) -> str:
    """An expression in ScanCode's keys (`gpl-2.0-plus WITH classpath-exception-2.0`) in SPDX's identifiers."""
    return canonical(expression) or f"LicenseRef-scancode-{expression}"


@cache
def _table() -> dict[str, tuple[str, Verdict]]:
    """By identifier of SPDX or ScanCode, in lower case: SPDX's spelling and the verdict."""
    rows = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]]
    table: dict[str, tuple[str, Verdict]] = {}
    for spdx, also, verdict, _ in rows:
        for name in (spdx, *also.split(" ")):
            table.setdefault(name.lower(), (spdx, cast(Verdict, verdict)))
    return table


def _entry(name: str) -> tuple[str, Verdict]:
    known = _table().get(name.lower()) or _table().get(name.lower().removesuffix("+"))
    return known or (name, "unknown")


def _verdict(node: Any) -> Verdict:
    """Walk a parsed expression; an exception that restricts (the Commons Clause) restricts."""
    kind = type(node).__name__
    if kind in ("AND", "OR"):
        verdicts = [_verdict(part) for part in node.args]
        return all_of(verdicts) if kind == "AND" else any_of(verdicts)
    if kind == "LicenseWithExceptionSymbol":
        licensed, exception = _entry(node.license_symbol.key)[1], _entry(node.exception_symbol.key)[1]
        return exception if exception in ("other", "unknown") and licensed == "permissive" else licensed
    return _entry(node.key)[1]


def _spelled(node: Any, within: str = "") -> str:
    """The expression in SPDX's spelling, with parentheses only where AND holds a choice, and each part once."""
    kind = type(node).__name__
    if kind in ("AND", "OR"):
        parts = dict.fromkeys(_spelled(part, kind) for part in _flat(node, kind))
        joined = f" {kind} ".join(parts)
        return f"({joined})" if kind == "OR" and within == "AND" and len(parts) > 1 else joined
    if kind == "LicenseWithExceptionSymbol":
        return f"{_entry(node.license_symbol.key)[0]} WITH {_entry(node.exception_symbol.key)[0]}"
    return _entry(node.key)[0]


def _flat(node: Any, kind: str) -> Iterator[Any]:
    """The parts of an AND that are no AND, or those of an OR that are no OR, at any depth."""
    for part in node.args:
        if type(part).__name__ == kind:
            yield from _flat(part, kind)
        else:
            yield part


def _identifiers(node: Any) -> Iterator[str]:
    """The identifiers as written, those of exceptions among them."""
    for symbol in node.symbols:
        pair = (getattr(symbol, name, None) for name in ("license_symbol", "exception_symbol"))
        yield from (str(part.key) for part in (*filter(None, pair), symbol) if hasattr(part, "key"))


def _names(node: Any) -> set[str]:
    if type(node).__name__ in ("AND", "OR"):
        return {name for part in node.args for name in _names(part)}
    return {_spelled(node)}


@lru_cache(maxsize=65_536)
def _parse(expression: str) -> Any:
    """The tree of license-expression, or None; `MIT/Apache-2.0`, an old form of Cargo, is a choice."""
    from license_expression import ExpressionError, ExpressionParseError, Licensing

    text = " OR ".join(expression.split("/")) if SLASHED.fullmatch(expression.strip()) else expression.strip()
    if not text or len(text) > EXPRESSION_CHARACTERS_MAX or not EXPRESSION.fullmatch(text):
        return None
    try:
        parsed = Licensing().parse(text, strict=False)
    except (ExpressionError, ExpressionParseError, RecursionError):
        return None
    return parsed if all(IDENTIFIER.fullmatch(name) for name in _identifiers(parsed)) else None
