r"""Where a response says its final answer: `\boxed{}`, "따라서, 정답은: X", "The answer is X", `#### X` ..."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest


@dataclass(frozen=True)
class Mark:
    """A place where a response says what its answer is."""

    start: int
    end: int
    text: str
    """The answer as it stands there, with what surrounds it in its sentence; see `answer_text.trimmed`."""
    form: str
    """`boxed`, `tagged`, `hashes`, `sentence`, `reversed`, `bare` (the response is nothing else) or `stated`."""
    behind: str = ""
    """The word behind a box, which may be its unit."""


@dataclass(frozen=True)
class Marks:
    """Of one response."""

    marks: tuple[Mark, ...]
    """In order; those that a later one takes back are gone."""
    is_cut: bool = False
    """The response ends before its answer does."""
    is_taken_back: bool = False
    """After its last answer the response has second thoughts."""


MARKS_MAX = 50
BARE_CHARS_MAX = REVERSED_CHARS_MAX = 60
SPAN_CHARS_MAX = 300

_BOX = re.compile(r"\\f?boxed\s*(\{|(?=[^\s{}\\]))")
_BRACE = re.compile(r"\\[{}]|[{}]")
_BEHIND = re.compile(r"(?:[ \t$(]|\\[)\],; ]|in\s)*(\\(?:text|mathrm)\{[^{}]*\}|\\?[%가-힣A-Za-z°℃]\S*)")
_TAG = re.compile(rf"<answer>([^<]{{1,{SPAN_CHARS_MAX}}})</answer>", re.IGNORECASE)
_HASHES = re.compile(r"^[ \t]*####[ \t]*(?!#)(.+)$", re.MULTILINE)
_STARS = r"[*_` \t]*"
_SENTENCE = re.compile(
    r"(?<!\bto )(?<!\bcan )(?<!\bnot )\b"
    r"(?:(?:(?:final|correct|right|best)\s+)?answer|(?:correct|right|best)\s+(?:option|choice))\b"
    r"(?:[*_`]*\s*[:=]|(?:[^\n.:=!?\d]{0,60}?)[*_`]*\s*(?:\bis\b|\bwould\s+be\b|\bmust\s+be\b|:))[*_`]*[ \t:]*"
    r"|(?<![가-힣])(?:최종\s*|올바른\s*|맞는\s*)?(?:정답|해답|답변?|최종\s*답안)[*_`]*\s*"
    r"(?:으로는|은|는|이|:|：|=)[*_`]*[ \t:：]*(?:다음과\s*같(?:습니다|다|음)[.:]?)?"
    r"|(?<![가-힣])정답[*_`]*[ \t]+(?=[\d①-⑩(\\$-])",
    re.IGNORECASE,
)
_HEADING = re.compile(
    rf"^[#*_> \t]*(?:(?:the\s+)?(?:final\s+)?answer|(?:최종\s*)?(?:정답|답)|최종\s*답안){_STARS}[:：]?{_STARS}$",
    re.IGNORECASE | re.MULTILINE,
)
_REVERSED = re.compile(
    r"(?:번이|이|가)\s*(?:정답|답)(?:입니다|이다|이에요|예요|임|이\s*됩니다|이\s*된다|이\s*맞습니다)"
    r"|\s{1,2}is\s+the\s+(?:final\s+|correct\s+|right\s+)?(?:answer|option|choice)\b(?!\s*(?:to|for|:|is))",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"(?:[^\n.!?:]|[.:](?=\d))*$")
_SENTENCE_END = re.compile(r"(?<![ap]\.m)(?<!\bapprox)[.!?。](?=[\s*_\"'”’)]|$)|\n")
_ARTICLE = re.compile(r"[\s*_]*(?:the|my|our|따라서,?|최종)?[\s*_]*", re.IGNORECASE)
_NOTHING, _LINE = re.compile(r"[\s*_`$]*"), re.compile(r"[\s*_`]*(?:[-•]\s+)?([^\n]+)")
_DISPLAY = re.compile(r"\s*(\$\$|\\\[)")
_REASON = re.compile(r",?\s+(?:because|since|which|so)\s|,?\s*왜냐하면|[,，]?\s*(?:이유는|이는)\s", re.IGNORECASE)
_SECOND_THOUGHTS = re.compile(
    r"\b(?:wait|actually|correction|hold on|on second thought|let me (?:re-?(?:check|calculate|consider)|redo)|"
    r"let me correct|i made (?:a|an) (?:mistake|error)|that(?:'s| is) (?:wrong|incorrect|not right)|"
    r"should (?:actually )?be|scratch that)\b"
    r"|잠깐|아니[,.! ]|아니네|아닙니다|정정|다시\s*(?:계산|생각|확인|풀|검토|보)|실수|틀렸|잘못",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"^\W*(?:따라서|그러므로|그래서|즉|결국|결론적으로|so|therefore|thus|hence|in total|altogether)\b", re.I
)
_THINK = re.compile(r"</?(?:think|thinking|reasoning)>", re.IGNORECASE)


def find(response: str, is_stated_enough: bool = False) -> Marks:
    """The places where a response says its answer.

    Args:
        response: what a teacher wrote; of `<think>...</think>` only what follows counts.
        is_stated_enough: whether the last sentence counts where nothing is marked, if it says that it concludes
            (따라서, So) and has one number.
    """
    text, is_open = without_thoughts(response)
    if is_open:
        return Marks((), is_cut=True)
    marks = _marks(text)
    is_cut = any(mark.form == "cut" for mark in marks[-1:])
    marks = [mark for mark in marks if mark.form != "cut"]
    if not marks and not is_cut:
        marks = [mark for mark in (_bare(text), _stated(text) if is_stated_enough else None) if mark][:1]
    kept = [mark for mark, after in pairwise(marks) if not _SECOND_THOUGHTS.search(text, mark.end, after.start)]
    is_taken_back = bool(marks) and bool(_SECOND_THOUGHTS.search(text, marks[-1].end))
    # One that is taken back takes back all before it.
    last_taken = max((at for at, mark in enumerate(marks[:-1]) if mark not in kept), default=-1)
    return Marks(tuple(marks[last_taken + 1 :]), is_cut, is_taken_back)


def without_thoughts(response: str) -> tuple[str, bool]:
    """What follows `</think>`, and whether thoughts were never ended."""
    tags = list(_THINK.finditer(response))
    if not tags:
        return response, False
    return response[tags[-1].end() :], not tags[-1][0].startswith("</")


def _marks(text: str) -> list[Mark]:
    """All places in order; of two that overlap the stricter form, so that a sentence with a box is the box."""
    found = [*_boxes(text), *_tags(text), *_hashes(text), *_headings(text), *_sentences(text), *_reversed(text)]
    ranks = {id(mark): rank for rank, mark in enumerate(found)}
    kept: list[Mark] = []
    for mark in sorted(found, key=lambda mark: (mark.start, ranks[id(mark)])):
        while kept and mark.start < kept[-1].end and ranks[id(mark)] < ranks[id(kept[-1])]:
            kept.pop()
        if not kept or mark.start >= kept[-1].end:
            kept.append(mark)
    return kept[-MARKS_MAX:]


def _boxes(text: str) -> Iterator[Mark]:
    for match in _BOX.finditer(text):
        if match[1] != "{":
            yield Mark(match.start(), match.end() + 1, text[match.end()], "boxed")
            continue
        end = _closing(text, match.end())
        if end is None:
            yield Mark(match.start(), len(text), "", "cut")
            return
        behind = _BEHIND.match(text, end + 1)
        yield Mark(match.start(), end + 1, text[match.end() : end], "boxed", behind[1] if behind else "")


def _closing(text: str, start: int) -> int | None:
    """Where the brace that was opened before `start` is closed."""
    depth = 1
    for match in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if not depth:
            return match.start()
    return None


def _tags(text: str) -> Iterator[Mark]:
    for match in _TAG.finditer(text):
        yield Mark(match.start(), match.end(), match[1], "tagged")


def _hashes(text: str) -> Iterator[Mark]:
    for match in _HASHES.finditer(text):
        if not _SENTENCE.search(match[1]) and not _HEADING.match(match[0]):
            yield Mark(match.start(), match.end(), match[1], "hashes")


def _headings(text: str) -> Iterator[Mark]:
    """An answer on the line below its heading."""
    for match in _HEADING.finditer(text):
        line = _LINE.match(text, match.end())
        if line:
            yield Mark(match.start(), line.end(), line[1], "sentence")
        else:
            yield Mark(match.start(), len(text), "", "cut")


def _sentences(text: str) -> Iterator[Mark]:
    found = list(_SENTENCE.finditer(text))
    for match, after in zip_longest(found, found[1:]):
        if after and _ARTICLE.fullmatch(text, match.end(), after.start()):  # Final answer: The final answer is ...
            continue
        end = _span_end(text, match.end())
        if text.startswith("?", end):  # is no statement
            continue
        span = _REASON.split(text[match.end() : end], maxsplit=1)[0]
        if span.strip(" *_`$"):
            yield Mark(match.start(), end, span, "sentence")
        elif _NOTHING.match(text, end).end() == len(text):  # type: ignore[union-attr]
            yield Mark(match.start(), len(text), "", "cut")
        else:
            below = _LINE.match(text, end)
            if below:
                yield Mark(match.start(), below.end(), below[1], "sentence")


def _span_end(text: str, start: int) -> int:
    """Where the sentence ends; a formula that stands on lines of its own ends with its bracket."""
    opened = _DISPLAY.match(text, start)
    if opened:
        closing = text.find("$$" if opened[1] == "$$" else "\\]", opened.end(), start + SPAN_CHARS_MAX)
        return closing + 2 if closing >= 0 else min(len(text), start + SPAN_CHARS_MAX)
    match = _SENTENCE_END.search(text, start, start + SPAN_CHARS_MAX)
    return match.start() if match else min(len(text), start + SPAN_CHARS_MAX)


def _reversed(text: str) -> Iterator[Mark]:
    """`B is the correct answer`; `12가 정답입니다`."""
    for match in _REVERSED.finditer(text):
        before = _BEFORE.search(text[max(0, match.start() - REVERSED_CHARS_MAX) : match.start()])
        if before and before[0].strip():
            yield Mark(match.start() - len(before[0]), match.end(), before[0], "reversed")


def _bare(text: str) -> Mark | None:
    """The response is the answer and nothing else."""
    stripped = text.strip()
    is_one_sentence = 0 < len(stripped) <= BARE_CHARS_MAX and not _SENTENCE_END.search(stripped[:-1])
    return Mark(0, len(text), stripped, "bare") if is_one_sentence else None


def _stated(text: str) -> Mark | None:
    """The last sentence, where it says that it concludes."""
    text = text.strip()
    ends = [match.end() for match in _SENTENCE_END.finditer(text[:-1])]
    sentence = text[ends[-1] if ends else 0 :].strip()
    if len(sentence) > SPAN_CHARS_MAX or not _CONCLUDES.match(sentence):
        return None
    return Mark(len(text) - len(sentence), len(text), _CONCLUDES.sub("", sentence).lstrip(", "), "stated")
