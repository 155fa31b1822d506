r"""An answer without what surrounds it: LaTeX, Markdown, quotes, Korean copulas and particles, words about it."""

import re
from collections.abc import Iterator

_SPACES = re.compile(r"\\[,;:! ]|\\q?quad\b|~(?=\\)|[\u00a0\u2009\u202f\u3000]")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|\\,|\\!|\\:|[\u2009\u202f\u00a0])(?=\d{3}(?!\d))")
_TEXT = re.compile(
    r"\\(?:text|textnormal|mathrm|textbf|mathbf|textit|mbox|operatorname|bf|rm|boldsymbol|displaystyle|boxed)\s*\{([^{}]*)\}"
)
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = re.compile("(?<=[0-9A-Za-z)])([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_LATEX_COMMA = re.compile(r"\s?\{,\s?\}")
_APART = re.compile(r"(?<=[A-Za-z])\s+\^")
_PAIRED = re.compile(r"\$\$?([^$]*)\$\$?")
_CURRENCY = "\ue000"
"""Stands for `\\$` while `$` is taken away."""
_QUOTES = "*_`\"'“”‘’「」『』"
_COPULA = re.compile(
    r"\s*(?:입니다|이었습니다|였습니다|이에요|이예요|예요|이다|이야|이고|이며|임|이?랍니다|임을\s*알\s*수\s*있습니다|인\s*것입니다|"
    r"(?:이|가|으로|로|라고|이라고)?\s*(?:됩니다|된다|되었습니다|돼요|나옵니다|나온다|나왔습니다|맞습니다|계산됩니다|구해집니다|"
    r"[가-힣]{0,2}할\s*수\s*있습니다|남습니다|있습니다|필요합니다|걸립니다))$"
)
_SHORT_COPULA = re.compile(r"(?:다|야|고|며)$")
_PARTICLE = re.compile(r"(?:이|가|을|를|은|는|로|으로|씩|만큼|정도|쯤|의\s*값)$")
_EACH = re.compile(r"(?:씩|만큼|정도|쯤)$")
_GLOSS = re.compile(r"\s*[(（]([^()（）]*)[)）]")
_BEHIND = re.compile(r"(?:[.,;:?。\s]|(?<![\d)])!)+$")
"""`3!` is 6."""
_LEADING = re.compile(r"^(?:(?:therefore|thus|so|hence|simply|indeed)[, ]+|따라서,?\s*|바로\s*|that\s+)", re.I)


def plain(text: str) -> str:
    r"""Without LaTeX's spaces, fonts and dollar signs, full-width digits and Markdown.

    >>> plain(r"$\text{about } 12{,}000\ \text{km}$"), plain("**１２개**")
    ('about  12,000 km', '12개')
    """
    text = text.replace("\\$", _CURRENCY).translate(_FULL_WIDTH)
    text = text.replace(",\\!", ",").replace("{:}", ":")
    text = _LATEX_COMMA.sub(",", text)
    text = _THOUSANDS.sub(",", text).replace("−", "-").replace("﹣", "-").replace("\u2212", "-")
    text = _SPACES.sub(" ", text).replace("\\%", "%").replace("\\left", "").replace("\\right", "")
    text = (
        re.sub(r"\\[dtc]frac", r"\\frac", text)
        .replace("^\\circ", "°")
        .replace("^{\\circ}", "°")
        .replace("\\degree", "°")
    )
    text = text.replace("\\(", "").replace("\\)", "").replace("\\[", "").replace("\\]", "")
    for _ in range(3):
        text = _TEXT.sub(r" \1 " if "\\frac" not in text else r"\1", text)
    text = _APART.sub("^", text)
    if text.count("$") % 2 == 0:
        text = _PAIRED.sub(r"\1", text)
    text = _POWER.sub(lambda match: "^" + match[1].translate(_SUPERSCRIPT), text)
    return text.replace(_CURRENCY, "$").replace("**", "").replace("__", "").strip()


def trimmed(text: str) -> str:
    """Without quotes around it and punctuation behind it."""
    text = _LEADING.sub("", text.strip())
    before = ""
    while text != before:
        before, text = text, _BEHIND.sub("", text).strip(_QUOTES + " ")
    return _unwrapped(text)


def _unwrapped(text: str) -> str:
    """Without brackets that hold all of it."""
    if text[:1] == "{" and text[-1:] == "}" and "{" not in text[1:] and "," not in text:
        return text[1:-1].strip()
    return text


def readings(text: str) -> list[list[str]]:
    """What the answer may be: all of it; else without its copula, in one or two ways; else without a particle.

    Of two ways only one may have a value: 삼십이다 is 30 (삼십 + 이다) or 32 (삼십이 + 다).
    """
    without = {_COPULA.sub("", text), _SHORT_COPULA.sub("", text)} - {text}
    further = {_PARTICLE.sub("", text), *(_EACH.sub("", one) for one in without)} - {text, *without}
    groups = [[text], sorted(without), sorted(further)]
    return [[one for one in (one.rstrip(" .,*") for one in group) if one] for group in groups]


def variants(text: str) -> Iterator[str]:
    """All of `readings`."""
    for group in readings(text):
        yield from group


def without_gloss(text: str) -> tuple[str, list[str]]:
    """`12,000원 (만 이천 원)` as (`12,000원`, [`만 이천 원`])."""
    if not re.search(r"[(（]", text) or text.startswith(("(", "（")):
        return text, []
    return _GLOSS.sub("", text).strip(), _GLOSS.findall(text)
