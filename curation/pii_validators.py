"""Is a number of this shape one of its kind? Checksums and numbering plans, with three answers.

VALID: a checksum or a plan confirms it. INVALID: it cannot be one. UNKNOWN: nothing speaks against it, and nothing
but its shape for it; whoever asks then wants words around it that name it. Values come as they stand in the text,
with their separators; only ASCII digits count.
"""

import ipaddress
import re
from collections.abc import Sequence
from datetime import date
from enum import StrEnum


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Outcome(StrEnum):
    """What a validator answers."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


# Endings that files have, and domains not, or hardly: icon@2x.png. And those of networks that are nobody's address.
_FILE_ENDINGS = _words(
    "png jpg jpeg gif svg webp bmp ico js css ts jsx tsx json gz tgz xz bz zip rar htm html php jsp asp aspx exe dll "
    "lib obj cpp cxx hpp xml yaml yml txt md pdf doc docx xls xlsx ppt hwp mp3 mp4 avi mov "
    "local localdomain lan internal"
)
_RESERVED_DOMAINS = re.compile(r"(?:^|[.])(?:example[.](?:com|net|org)|example|test|invalid|localhost)$")  # RFC 2606
_SERVICE_USERS = frozenset({"git", "noreply", "no-reply", "mailer-daemon"})

# Prefixes by the numbering plan of the Ministry of Science and ICT; the last are eight-digit numbers of firms.
_AREAS = _words("02 031 032 033 041 042 043 044 051 052 053 054 055 061 062 063 064")
_SERVICES = _words("060 070 080 0502 0503 0504 0505 0506 0507 0508 0509")
_REPRESENTATIVE = _words(
    "1522 1533 1544 1551 1555 1566 1577 1588 1599 1600 1644 1660 1661 1666 1668 1670 1688 1800 1811 1833 1855 1877 "
    "1899"
)
_LAST_YEAR = 2100

_CRN_TYPES = frozenset([*range(11, 16), 21, 22, *range(31, 54), 71, *range(81, 87)])  # kinds of legal persons
_LICENSE_REGIONS = frozenset([*range(11, 27), 28])  # of the police offices that issue licences; there is no 27
_FIRST_RANDOM = date(2020, 10, 5)  # resident numbers given from then on end in six random digits


def email(value: str) -> Outcome:
    """Unknown is never answered: a reserved domain, a file's name or a service's user is no person's address."""
    user, _, domain = value.lower().rpartition("@")
    labels = domain.split(".")
    is_address = len(user) <= 64 and len(domain) <= 253 and all(0 < len(label) <= 63 for label in labels)
    if not is_address or user in _SERVICE_USERS or labels[-1] in _FILE_ENDINGS or _RESERVED_DOMAINS.search(domain):
        return Outcome.INVALID
    return Outcome.VALID


def ip(value: str) -> Outcome:
    """Public addresses only (IANA's special-purpose registries).

    Three numbers up to 31 make it unknown: versions and sections are numbered so, and .7% of all addresses.
    """
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return Outcome.INVALID
    if not address.is_global or address.is_multicast:
        return Outcome.INVALID
    if address.version == 4 and sum(number < 32 for number in address.packed) >= 3:
        return Outcome.UNKNOWN
    return Outcome.VALID


def phone(value: str) -> Outcome:
    """Korean numbers by the numbering plan, North American ones by theirs, others by E.164's lengths.

    Numbers that nobody has are invalid: 010-0xxx, 555-01xx, exchanges that begin with 0. An eight-digit number whose
    end could be a later year (1588-1592) is unknown.
    """
    digits, is_foreign = _digits(value), value.lstrip("( ").startswith("+")
    if digits.startswith("82") and (is_foreign or value.startswith("82-10-")):  # 828-254-1234 is in North Carolina
        return _korean_phone("0" + digits[2:].removeprefix("0"))
    if is_foreign and not digits.startswith("1"):
        is_long = 8 <= len(digits) <= 15 and not digits.startswith("999") and len(set(digits)) > 2
        return Outcome.VALID if is_long else Outcome.INVALID
    if digits[0] == "0" or len(digits) == 8:
        return _korean_phone(digits)
    return _north_american(digits[1:] if len(digits) == 11 and digits[0] == "1" else digits)


def _korean_phone(digits: str) -> Outcome:
    if len(digits) == 8:
        if digits[:4] not in _REPRESENTATIVE:
            return Outcome.INVALID
        return Outcome.UNKNOWN if int(digits[:4]) <= int(digits[4:]) <= _LAST_YEAR else Outcome.VALID
    for area in (digits[:2], digits[:3], digits[:4]):
        n_local = len(digits) - len(area)
        if area in _AREAS or area in _SERVICES or (area[:2] == "01" and area[2:] in tuple("016789")):
            fits = n_local == 8 if area in ("010", "070") else n_local in (7, 8)
            return Outcome.VALID if fits and digits[len(area)] != "0" else Outcome.INVALID
    return Outcome.INVALID


def _north_american(digits: str) -> Outcome:
    fits = re.fullmatch(r"[2-9](?!9)\d\d[2-9](?!11)\d\d\d{4}", digits) and not re.match(r"\d{3}55501", digits)
    return Outcome.VALID if fits else Outcome.INVALID


def rrn(value: str) -> Outcome:
    """Resident registration number: a birth date and, up to October 2020, a region and a check digit.

    A failing check digit does not make it invalid: those given since then are random, to the old as well (changed
    numbers). Source: python-stdnum kr.rrn; Enforcement Rules of the Resident Registration Act of 2020.
    """
    digits = _digits(value)
    born = _birth_date(digits, centuries={"1": 1900, "2": 1900, "3": 2000, "4": 2000})
    if born is None:
        return Outcome.INVALID
    is_checked = born < _FIRST_RANDOM and int(digits[7:9]) <= 96 and _check_13(digits, 11)
    return Outcome.VALID if is_checked else Outcome.UNKNOWN


def frn(value: str) -> Outcome:
    """Foreigner registration number: as `rrn`, with other first digits and check digits. Source: presidio, KR_FRN."""
    digits = _digits(value)
    born = _birth_date(digits, centuries={"5": 1900, "6": 1900, "7": 2000, "8": 2000})
    if born is None:
        return Outcome.INVALID
    return Outcome.VALID if born < _FIRST_RANDOM and _check_13(digits, 13) else Outcome.UNKNOWN


def crn(value: str) -> Outcome:
    """Number of a legal person: registry office, type, serial number; since 2025 without a check digit.

    Source: Supreme Court rules on registration numbers of legal persons (weights 1, 2, 1, 2, ...).
    """
    digits = _digits(value)
    if len(digits) != 13 or int(digits[4:6]) not in _CRN_TYPES:
        return Outcome.INVALID
    check = -_weighted(digits[:12], (1, 2) * 6) % 10
    return Outcome.VALID if check == int(digits[12]) else Outcome.UNKNOWN


def brn(value: str) -> Outcome:
    """Business registration number: tax office, type, serial number, check digit.

    Source: python-stdnum kr.brn for the parts, peers of the National Tax Service's rule for the check digit.
    """
    digits = _digits(value)
    if len(digits) != 10 or int(digits[:3]) < 101 or digits[3:5] == "00" or digits[5:9] == "0000":
        return Outcome.INVALID
    total = _weighted(digits[:9], (1, 3, 7, 1, 3, 7, 1, 3, 5)) + int(digits[8]) * 5 // 10
    return Outcome.VALID if -total % 10 == int(digits[9]) else Outcome.UNKNOWN


def card(value: str) -> Outcome:
    """Payment card: Luhn's check digit and an issuer's range; 9 is used within Korea only, so it proves less."""
    digits = _digits(value)
    doubled = [int(digit) * (2 if i % 2 else 1) for i, digit in enumerate(reversed(digits))]
    if len(set(digits)) < 2 or sum(d // 10 + d % 10 for d in doubled) % 10:
        return Outcome.INVALID
    if len(digits) == 16 and digits[0] == "9":
        return Outcome.UNKNOWN
    lengths = {14: r"3(?:0[0-5]|[689])", 15: r"3[47]", 16: r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|35|6[0-5]"}
    return Outcome.VALID if re.match(lengths.get(len(digits), r"(?!)"), digits) else Outcome.INVALID


def driver_license(value: str) -> Outcome:
    """Region, year, serial number, two digits whose rule is not public: never more than unknown."""
    digits = _digits(value)
    return Outcome.UNKNOWN if len(digits) == 12 and int(digits[:2]) in _LICENSE_REGIONS else Outcome.INVALID


def passport(value: str) -> Outcome:
    """A letter and eight characters, without a public check digit: never more than unknown."""
    return Outcome.UNKNOWN if re.fullmatch(r"[MSROD](?:\d{8}|\d{3}[A-Z]\d{4})", value) else Outcome.INVALID


def account(value: str) -> Outcome:
    """Bank account: 10 to 14 digits that are no phone, resident or business number and no date; never confirmed."""
    digits, shape = _digits(value), re.sub(r" ?[-.] ?", "-", value)
    other = r"0\d{1,3}[- ]\d{3,4}[- ]\d{4}|\d{6}-\d{7}|\d{3}-\d{2}-\d{5}|\d{2}-\d{2}-\d{6}-\d{2}"
    is_dated = re.match(r"(?:19|20)\d\d(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])", shape)
    if not 10 <= len(digits) <= 14 or digits.startswith("000") or re.fullmatch(other, shape) or is_dated:
        return Outcome.INVALID
    return Outcome.UNKNOWN


def _digits(value: str) -> str:
    return "".join(character for character in value if character in "0123456789")


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


def _check_13(digits: str, base: int) -> bool:
    """Whether the last of 13 digits checks the others: (base - sum % 11) % 10."""
    return (base - _weighted(digits[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == int(digits[12])


def _birth_date(digits: str, centuries: dict[str, int]) -> date | None:
    """The date in the first seven digits, or None where there is no such day."""
    if len(digits) != 13 or digits[6] not in centuries:
        return None
    try:
        return date(centuries[digits[6]] + int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    except ValueError:
        return None
