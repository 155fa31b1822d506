"""What personal data looks like in Korean and English text: a shape, what judges it, and what names it nearby.

Shapes are matched against text whose odd digits, hyphens and dots were folded to ASCII, character by character, so
offsets hold. No `\\b`: Hangul is a letter to it, and a particle may be glued to either side of a number.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from curation import pii_validators as validators
from curation.kernels.pii import DOTS, HYPHENS, SPACES
from curation.pii_validators import Outcome
from manifests.schema import PiiKind

FOLD = {
    **{ord(character): "-" for character in HYPHENS},
    **{ord(character): "." for character in DOTS},
    **{ord(character): " " for character in SPACES},
    **{0xFF10 + digit: str(digit) for digit in range(10)},
}
"""One character for one: what a number is read as."""


class Needs(Enum):
    """What a shape needs beside a validator that does not refuse it."""

    NOTHING = 0
    PROOF = 1  # a validator that says valid, or a word nearby that names it
    LABEL = 2  # a word nearby that names it


@dataclass(frozen=True)
class Shape:
    """One way in which one kind is written."""

    kind: PiiKind
    pattern: re.Pattern[str]
    check: Callable[[str], Outcome]
    needs: Needs = Needs.NOTHING


_LABELS: dict[PiiKind, str] = {
    "ip": r"(?<![a-z])(?:ip(?:v4)?|dns|ping|inet|nameserver|gateway)(?![a-z])|아이피|게이트웨이",
    "rrn": r"주민|resident registration|(?<![a-z])rrn|신분증",
    "frn": r"외국인\s?등록|alien registration|foreigner registration|(?<![a-z])(?:frn|arn)(?![a-z])",
    "crn": r"법인\s?(?:등록\s?)?번호|법인등록|corporat\w+ registration",
    "card": r"카드|card|visa|mastercard|결제\s?수단",
    "passport": r"여권|passport",
    "driver_license": r"운전\s?면허|면허\s?(?:증|번호)|driver'?s?.? licen[sc]e",
    "brn": r"사업자|business registration",
    "phone": r"전화|연락|휴대|핸드폰|폰|문의|팩스|상담|직통|telephone|☎|📞|📱|"
    r"(?<![a-z])(?:tel|fax|phone|mobile|cell|call|hp|h\.p|dial)(?![a-z])",
    "account": r"계좌|예금주|입금|송금|이체|은행|뱅크|농협|수협|신협|새마을금고|우체국|"
    r"bank account|account (?:number|no)|acct",
}
LABELS = {kind: re.compile(words, re.IGNORECASE) for kind, words in _LABELS.items()}
"""Words near a number that say what it is."""

LABEL_CHARS_BEFORE, LABEL_CHARS_AFTER = 40, 20

_OTHER = (
    r"(?:주문|송장|운송장|등기|상품|제품|품목|일련|접수|사건|예약|관리|문서|허가|특허|출원|공고|도서|승인|거래|회원|학번|모델|"
    r"(?<![a-z])(?:order|invoice|tracking|serial|part|model|item|product|patent|ticket|case|issue|member|transaction))"
    r"\s?(?:번호|코드|no\.?|number|num|id|code|#)?|바코드|시리얼|(?<![a-z])(?:isbn|issn|doi|sku|upc|ean|barcode|timestamp)"
)
OTHER_LABEL_BEFORE = re.compile(rf"(?:{_OTHER})[^\w\n]{{0,4}}(?:1[03][^\w\n])?[^\w\n]{{0,4}}$", re.IGNORECASE)
"""Words right before a number that say that it is something else."""

VERSION_BEFORE = re.compile(
    r"(?:버전|버젼|(?<![a-z])(?:version|ver|v|release|rev|revision|build|firmware|section|chapter)|릴리스|빌드|펌웨어|섹션|절|장)[\s.:=('\"-]*$",
    re.IGNORECASE,
)
"""Words right before four numbers that say that they are no address."""

_LEFT = r"(?<![0-9A-Za-z])(?<![0-9A-Za-z]_)(?<![0-9][-.])"
_GLUED = r"(?:(?<![0-9A-Za-z])|(?<=tel)|(?<=fax)|(?<=hp))(?<![0-9A-Za-z]_)(?<![0-9][-.])"  # TEL02-123-4567
_PLUS = r"(?<![+])" + _LEFT
_RIGHT = r"(?![0-9A-Za-z])(?!_[0-9A-Za-z])(?![-.][0-9])"
_SEP = r" ?[-.] ?"
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_YYMMDD = r"\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_AREA = r"0(?:2|[3-6][1-5]|70|50[2-9]|60|80)"
_ATOM = r"[A-Za-z0-9_%+-]+"


def _number(pattern: str, left: str = _LEFT) -> re.Pattern[str]:
    return re.compile(f"{left}(?:{pattern}){_RIGHT}", re.IGNORECASE if left is _GLUED else re.NOFLAG)


MAIL_SHAPE = Shape(
    "email",
    re.compile(
        rf"(?<![A-Za-z0-9])(?=[A-Za-z0-9]){_ATOM}(?:\.{_ATOM})*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+"
        r"[A-Za-z]{2,24}(?![A-Za-z0-9]|-[A-Za-z0-9])"
    ),
    validators.email,
)

_IPV4 = re.compile(rf"(?<![0-9A-Za-z_.])(?<![A-Za-z][-/])(?:{_BYTE}\.){{3}}{_BYTE}(?![0-9A-Za-z_]|\.[0-9A-Za-z])")
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z_:.])[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?<!(?<!:):)(?![0-9A-Za-z_]|:[0-9A-Fa-f])"
)
_CARD_GROUPS = (  # the same between all groups, and no column of a table of four-digit numbers
    r"(?<!\d{4} )(?:\d{4}(?P<s> ?[-.] ?| )\d{4}(?P=s)\d{4}(?P=s)\d{4}|\d{4}(?P<t> ?- ?| )\d{6}(?P=t)\d{4,5})"
    r"(?! \d{4}(?!\d))"
)
_KOREAN_ABROAD = (
    r"(?:\(\+ ?82\)|\+ ?82|82(?=-10-))[-. )]{0,2}(?:\(0\) ?|0)?(?:1\d|2|[3-7]\d|50\d|80)[-. )]{0,2}"
    rf"\d{{3,4}}(?:{_SEP}| )?\d{{4}}"
)
_MOBILE = (
    rf"(?:\(01[016-9]\) ?-?|01[016-9](?:\) ?|{_SEP}| ))\d{{3,4}}(?:{_SEP}| )?\d{{4}}|010\d{{4}}(?:{_SEP}| )?\d{{4}}"
)
_LANDLINE = rf"(?:\({_AREA}\) ?-?|{_AREA}(?:\) ?|{_SEP}))\d{{3,4}}{_SEP}\d{{4}}"
_NORTH_AMERICAN = r"(?:(?:\+1|(?<!\+)1)[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-.])[2-9]\d\d[-.]\d{4}"
_ABROAD = r"\+[1-9]\d{0,2}(?:[-. ]|[ -]?\(0?\d{0,4}\)[ -]?)\d{1,5}(?:[-. ]\d{2,5}){1,4}"
_ACCOUNT = rf"\d{{2,6}}(?:{_SEP}\d{{1,8}}){{1,3}}|\d{{2,6}}(?: \d{{2,7}}){{1,3}}|\d{{10,14}}"

NUMBER_SHAPES = (  # the most specific first: where two overlap, the first takes the span
    Shape("ip", _IPV4, validators.ip, Needs.PROOF),
    Shape("ip", _IPV6, validators.ip),
    Shape("rrn", _number(rf"{_YYMMDD}{_SEP}[1-4]\d{{6}}"), validators.rrn),
    Shape("rrn", _number(rf"{_YYMMDD} ?[1-4]\d{{6}}"), validators.rrn, Needs.PROOF),
    Shape("frn", _number(rf"{_YYMMDD}{_SEP}[5-8]\d{{6}}"), validators.frn),
    Shape("frn", _number(rf"{_YYMMDD} ?[5-8]\d{{6}}"), validators.frn, Needs.PROOF),
    Shape("crn", _number(rf"\d{{6}}{_SEP}\d{{7}}"), validators.crn, Needs.PROOF),
    Shape("crn", _number(r"\d{6} ?\d{7}"), validators.crn, Needs.LABEL),
    Shape("card", _number(_CARD_GROUPS), validators.card, Needs.PROOF),
    Shape("card", _number(r"\d{14,16}"), validators.card, Needs.PROOF),
    Shape("passport", _number(r"[MSROD](?:\d{8}|\d{3}[A-Z]\d{4})"), validators.passport, Needs.LABEL),
    Shape("driver_license", _number(_SEP.join((r"\d{2}", r"\d{2}", r"\d{6}", r"\d{2}"))), validators.driver_license),
    Shape("driver_license", _number(r"\d{2} ?\d{2} ?\d{6} ?\d{2}"), validators.driver_license, Needs.LABEL),
    Shape("brn", _number(_SEP.join((r"\d{3}", r"\d{2}", r"\d{5}"))), validators.brn, Needs.PROOF),
    Shape("brn", _number(r"\d{3} ?\d{2} ?\d{5}"), validators.brn, Needs.LABEL),
    Shape("phone", _number(_KOREAN_ABROAD, _PLUS), validators.phone),
    Shape("phone", _number(_MOBILE, _GLUED), validators.phone),
    Shape("phone", _number(_LANDLINE, _GLUED), validators.phone),
    Shape("phone", _number(rf"(?:{_AREA}|01[16-9])[ )]?\d{{3,4}} ?\d{{4}}", _GLUED), validators.phone, Needs.LABEL),
    Shape("phone", _number(rf"1[568]\d{{2}}{_SEP}\d{{4}}", _GLUED), validators.phone, Needs.PROOF),
    Shape("phone", _number(r"1[568]\d{2} ?\d{4}", _GLUED), validators.phone, Needs.LABEL),
    Shape("phone", _number(_NORTH_AMERICAN, _PLUS), validators.phone),
    Shape("phone", _number(_ABROAD, _PLUS), validators.phone),
    Shape("account", _number(_ACCOUNT), validators.account, Needs.LABEL),
)
