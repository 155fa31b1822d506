"""Words that make another answer of a number in their sentence: `12 이상`, `twice 12`, `12를 더한 값`."""

import re

_ENGLISH = (
    "not no never more less fewer least most than over under above below between or to if unless except nearly "
    "almost when where whenever provided assuming otherwise wrong incorrect false minus plus added subtracted "
    "divided multiplied increased decreased reduced squared cubed doubled tripled halved double triple twice "
    "thrice half remainder per pi sin cos tan log ln sqrt root exp mod modulo choose factorial power theta alpha "
    "beta base binary octal hexadecimal reciprocal inverse opposite grand mil bil lakh lakhs crore crores gross"
)
ENGLISH = frozenset(_ENGLISH.split())
_PHRASES = re.compile(r"(?:square|sum|product|rest|multiple|factor)s? of\b|n't\b", re.IGNORECASE)
_KOREAN = re.compile(
    r"아니|아닙|아닌|아님|아닐|않|못|없|절반|분의|나머지|몫|[두세네] 배|배의|의\s*[가-힣]+\s*배|루트|제곱|파이|"
    r"로그|팩토리얼|배수|약수|이상|이하|미만|초과|또는|혹은|사이|보다|까지|부터|더[한하]|뺀|빼|곱[한하]|나[눈누]|합한|제외|진법"
)
_PARTS = re.compile(r"배|반|분의|제곱|나머지|몫|합|차|곱|약수")
_WORD = re.compile(r"[a-z]+")


def change(sentence: str) -> bool:
    """Whether a sentence has such a word."""
    is_english = bool(ENGLISH & set(_WORD.findall(sentence.lower()))) or bool(_PHRASES.search(sentence))
    return is_english or bool(_KOREAN.search(sentence))


def name_a_part(words: str) -> bool:
    """Whether Korean words behind `의` are of another number: 12개의 두 배. They may also be of pears."""
    return bool(_PARTS.search(words))
