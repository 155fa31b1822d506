r"""Which option an answer chooses in the end: `Therefore, the answer is: B`, `따라서, 정답은: B`, `\boxed{B}`."""

import re
import unicodedata
from string import ascii_uppercase

from synth.final_answers.answer_forms import without_thoughts

_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_FONTS = r"\\(?:text[a-z]*|math[a-z]*|bf|rm|f?boxed|displaystyle|left)(?![a-z])|\\[(\[]"
_WRAPS = rf"(?:[\s*_`~$\"'“”‘’「『《<\[({{]|{_FONTS}){{0,60}}+"
"""What may stand between a marker and its letter: Markdown, quotes, brackets, fonts of LaTeX."""
_KINDS = r"(?:(?:option|choice|letter|보기|선택지|선지)(?![A-Za-z])\s*)?"
_LETTER = (
    r"(?:(?P<letter>[A-J])|(?<=[({\[])(?P<small>[a-j])(?=[)}\]]))(?![A-Za-z0-9+#])"
    # An article: `the answer is A cell`
    r"(?<!A(?=\s(?!because|since|as|for|due|with|by|and|or|is)[a-z]))"
)
_SEVERAL = re.compile(
    r"[\s*_`$)\]}\"'”’.]*(?:,|/|&|(?<![A-Za-z])(?:or|and)(?![A-Za-z])|또는|혹은|이나|와|과|및|그리고)"
    r"(?:\s*(?:or|and|또는|혹은)(?![A-Za-z]))?[\s*_`$(\[{\"'“‘]*[A-J](?![A-Za-z0-9])"
)
_DENIED = re.compile(
    r"[\s*_`$)\]}\"'”’]*(?:번?\s*(?:이|가|는|은|도)?\s*(?:아니(?P<but>라|고)?|아닌|아닙|아님|틀[렸린])"
    r"|(?:is|was)\s+(?:not|wrong|incorrect))[\s,]*"
)
_MARKED = [
    r"(?<![A-Za-z])(?:answer|(?:correct|right|best)\s+(?:option|choice))(?:\s+(?:choice|option|letter))?[\s*_`]*"
    r"(?:(?:is|was|(?:would|must|should)\s+be)(?![A-Za-z])[\s*_`]*[:=]?|[:=])",
    r"(?:정답|해답|(?<![가-힣])(?:최종\s*)?답안?|(?<![가-힣])(?:최종\s*)?답변)(?:으로|로)?[\s*_`]*(?:은|는|이|[:=])[\s*_`]*[:=]?",
    r"정답(?=[\s*_`]*[\[({A-J])",
    r"\\f?boxed\s*(?=[\s{A-J])",
]
_MARKS = re.compile("|".join(f"(?:{one})" for one in _MARKED), re.IGNORECASE)
_CHOSEN = re.compile(_WRAPS + _KINDS + _WRAPS + _LETTER)
_REVERSED = re.compile(
    r"(?<![A-Za-z0-9])(?P<letter>[A-J])[)\]}*_`\"'”’]*\s*(?:번)?\s*(?:이|가)?\s*(?:최종\s*)?(?:정답|답)(?:이다|입니다|이에요|예요|임|이\s*됩니다)"
    r"|(?<![A-Za-z0-9])(?P<second>[A-J])[)\]}*_`\"'”’]*\s+is\s+(?:the\s+)?(?:correct|right|best|final)(?:\s+(?:answer|option|choice))?(?![A-Za-z])"
    r"|(?<![A-Za-z0-9])(?P<third>[A-J])[)\]}*_`\"'”’]*\s+is\s+the\s+answer(?![A-Za-z])"
)
_BARE = re.compile(_CHOSEN.pattern + r"[\s*_`~$\"'”’」』》>\])}.,:;!。]*(?:번|입니다[.。]?|이다[.。]?)?\s*")


def letter_in(answer: str, n: int) -> str:
    r"""The option that an answer chooses; empty where it chooses none.

    The last place counts that marks one answer, in Korean or English, wherever it stands: in parentheses, bold, in
    `\boxed{}` and fonts inside it, in full-width letters and decomposed Hangul. Of `<think>...</think>` only what
    follows counts. A place that names several letters, or says which is not right, marks none. Without any mark the
    answer must be a letter and nothing else.

    Args:
        answer: what a model wrote; anything.
        n: how many options there are, from A.

    >>> [letter_in(answer, 4) for answer in ("A는 아니다. 따라서, 정답은: **B**", r"\boxed{\text{(Ｃ)}}", "모르겠다")]
    ['B', 'C', '']
    """
    text, is_open = without_thoughts(_INVISIBLE.sub("", unicodedata.normalize("NFKC", answer)))
    if is_open:
        return ""
    allowed = ascii_uppercase[:n]
    found = [one for one in (*_marked(text), *_reversed(text)) if one[1] in allowed]
    if found:
        return max(found)[1]
    bare = _BARE.fullmatch(text)
    letter = (bare["letter"] or bare["small"]).upper() if bare else ""
    return letter if letter in allowed else ""


def _marked(text: str) -> list[tuple[int, str]]:
    """Letters behind a marker, and where they stand."""
    found = list[tuple[int, str]]()
    for mark in _MARKS.finditer(text):
        match = _CHOSEN.match(text, mark.end())
        denied = match and _DENIED.match(text, match.end())
        if denied and denied["but"]:  # A가 아니라 B
            match, denied = _CHOSEN.match(text, denied.end()), None
        if match and not denied and not _SEVERAL.match(text, match.end()):
            found.append((match.end(), (match["letter"] or match["small"]).upper()))
    return found


def _reversed(text: str) -> list[tuple[int, str]]:
    """Letters before what says that they are the answer."""
    return [(match.end(), match["letter"] or match["second"] or match["third"]) for match in _REVERSED.finditer(text)]
