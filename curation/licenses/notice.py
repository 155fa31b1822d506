"""From a notice or the text of a licence to an SPDX expression: what counts as found, and what makes it doubtful."""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curation.licenses import index
from curation.licenses.index import Match
from curation.licenses.text import FORBIDS, SPEAKS, digest, notice_of
from curation.licenses.verdicts import (
    Verdict,
    canonical,
    family,
    from_scancode,
    join,
    leaves,
    offers_choice,
    verdict_of,
)

COVERAGE_MIN = 95.0  # percent of a rule: less than that may be another licence
TEXT_COVERAGE_MIN = (
    90.0  # of the text of a licence, whose rule may hold the line of the holder, which notices lose here
)
TEXT_WORDS_MIN = 50
RELEVANCE_MIN = 90  # percent: below, ScanCode itself takes the words for a hint
REMEMBERED = 65_536  # distinct notices
WORDS_FOR_APPROXIMATE = range(12, 12_000)  # shorter and longer notices are matched word for word or not at all
ASIDE = re.compile(
    r"^(?:(?:warranty-disclaimer|generic-cla|generic-trademark|generic-export-compliance|patent-disclaimer|unstated"
    r"|no-license|other-permissive|generic-tos)\b)$"
)
"""What ScanCode finds beside a licence, and what by itself says nothing about one."""
MENTION_WORDS = 20
GNU = re.compile(r"l?gpl-[\d.]+(-plus)?|other-copyleft")
REFERENCE = re.compile(r"unknown-license-reference|free-unknown|unknown")

CLAIMS = re.compile(
    r"(?:licen[cs]ed|released|distributed|redistributed|governed|covered|made available|provided)\s+(?:\w+\s+){0,6}?"
    r"(?:under|by|according to|subject to)\s+(?:\w+\s+){0,6}?(?:licen[cs]e|terms|gpl|lgpl)"
    r"|^[^\w\n]{0,40}licen[cs]e\s*:\s*\S",
    re.IGNORECASE | re.MULTILINE,
)
RESTRICTS = re.compile(
    r"\b(?:not|only|must|shall|except|unless|agrees?|prohibited|restricted|commercial|noncommercial|military|evil"
    r"|fees?|royalt\w+|consent|approval|notify|competing?|forbidden|excluded|appl(?:y|ies) to|no longer)\b"
    r"|만\s|으로만|에만|한하여|한정|금지|제외|유료|비영리|상업|불가|없습니다|없다|동의|허락|승인",
    re.IGNORECASE,
)
"""What makes words put into the text of a licence, or standing beside it, a condition."""
CHOICE_CHARACTERS_MAX = 600
EITHER = re.compile(
    r"\beither\b(?!\s+version)[^.]*\bor\b|\bat your (?:option|choice)\b(?!\)? any later)", re.IGNORECASE
)
SAME = re.compile(
    r"(?:this file is |licen[cs]ed |distributed |released |available |and )*"
    r"under the same (?:licen[cs]e|terms|conditions)(?: and conditions)? as "
    r"(?:the |this )?[^\s.]+(?: package| project| software| itself)?",
    re.IGNORECASE,
)
"""A file that says so says nothing of its own: `under the same license as the dos2unix package`, in .po files."""


@dataclass(frozen=True)
class Notice:
    """What a notice says."""

    expression: str | None
    verdict: Verdict
    """`none` where it is no notice of a licence, or points to one elsewhere."""
    score: int = 0
    """How exactly the worst of what it rests on was found, in percent."""


SILENT = Notice(None, "none")
DOUBTFUL = Notice(None, "unknown")


class Notices:
    """Reads notices, each distinct one once; may be shared by threads."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._known: OrderedDict[tuple[bytes, bool], Notice] = OrderedDict()
        self._remembered = remembered
        self._changing = threading.Lock()
        self.n_matched = 0
        """Notices that went to ScanCode."""

    def read(self, text: str, whole: bool) -> Notice:
        """What a text says: `whole` for that of a licence file, otherwise it is a comment or a part of a README."""
        text = SAME.sub("", notice_of(text))
        key = digest(text), whole
        with self._changing:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = _read(text, whole)
        with self._changing:
            self.n_matched += 1
            self._known[key] = found
            if len(self._known) > self._remembered:
                self._known.popitem(last=False)
        return found


def _read(text: str, whole: bool) -> Notice:
    if not SPEAKS.search(text.encode()):
        return DOUBTFUL if whole else SILENT
    found = index.find(text, approximate=False)
    if len(text.split()) in WORDS_FOR_APPROXIMATE and SPEAKS.search(_uncovered(text, found).encode()):
        found = index.find(text)
    return _judged(text, found, whole)


def _judged(text: str, found: Sequence[Match], whole: bool) -> Notice:
    """Sure matches make the expression; unsure ones, and conditions outside of both, make it doubtful."""
    told = [match for match in found if not ASIDE.fullmatch(match.expression) and match.kind not in ("intro", "clue")]
    named = [match for match in told if not REFERENCE.search(match.expression)]
    sure = [match for match in named if _covers(match) and match.relevance >= RELEVANCE_MIN]
    expression = _expression(text, _without_mentions(sure))
    seen = [match for match in told if _covers(match) or _offers(expression, match)]
    rest = _uncovered(text, seen)
    if expression is None:
        silent = not whole and not named and (told or not CLAIMS.search(text)) and not FORBIDS.search(rest)
        return SILENT if silent else DOUBTFUL
    verdict = verdict_of(expression)
    changed = any(RESTRICTS.search(match.inserted) for match in sure)
    beside = _uncovered(text, [match for match in found if not REFERENCE.search(match.expression)])
    outside = _uncovered(text, [match for match in found if match.n_words >= MENTION_WORDS])  # short ones reach far
    forbids = FORBIDS.search(outside) or FORBIDS.search(rest) or (whole and RESTRICTS.search(beside))
    if verdict == "permissive" and (changed or forbids or _doubted(expression, named, sure)):
        return Notice(expression, "unknown")
    return Notice(expression, verdict, min(round(match.coverage * match.relevance / 100) for match in sure))


def _expression(text: str, sure: list[Match]) -> str | None:
    """All that was found together, or a choice where one sentence or two say so."""
    names = list(dict.fromkeys(from_scancode(match.expression) for match in sure))
    if len(text) <= CHOICE_CHARACTERS_MAX and len(names) > 1 and EITHER.search(text) and "both" not in text.lower():
        return canonical(" OR ".join(f"({name})" for name in names))
    return join(names, one_offer=True)


def _covers(match: Match) -> bool:
    long = match.kind == "text" and match.n_words >= TEXT_WORDS_MIN
    return match.coverage >= (TEXT_COVERAGE_MIN if long else COVERAGE_MIN)


def _without_mentions(sure: list[Match]) -> list[Match]:
    """Where the GPL is one of a choice, its text names it, its versions and the LGPL: these are no licences more."""
    choices = [match for match in sure if offers_choice(from_scancode(match.expression))]
    if not any(family(name) == "GPL" for match in choices for name in leaves(from_scancode(match.expression))):
        return sure
    return [match for match in sure if not (match.n_words < MENTION_WORDS and GNU.fullmatch(match.expression))]


def _doubted(expression: str, named: list[Match], sure: list[Match]) -> bool:
    """Whether something that is not permissive was found, if not surely, and is not among what is offered."""
    unsure = [match for match in named if match not in sure and not _offers(expression, match)]
    return any(verdict_of(from_scancode(match.expression)) != "permissive" for match in unsure)


def _offers(expression: str | None, match: Match) -> bool:
    """Whether a match is about a licence that is one of a choice."""
    if expression is None or not offers_choice(expression):
        return False
    families = {family(name) for name in leaves(expression)}
    return all(family(name) in families for name in leaves(from_scancode(match.expression)))


def _uncovered(text: str, found: Iterable[Match]) -> str:
    """The lines of a text that no match reaches."""
    covered = {number for match in found for number in range(match.first_line, match.last_line + 1)}
    return "\n".join(line for number, line in enumerate(text.splitlines(), start=1) if number not in covered)
