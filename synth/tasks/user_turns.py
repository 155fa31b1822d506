"""Turns of a user whom a teacher plays, and how they give the teacher away."""

import re
import unicodedata
from collections.abc import Sequence

from synth.samples import Message
from synth.tasks.grams import grams, jaccard, squeezed
from synth.tasks.task import UnfitError, text_of
from synth.teachers.answers import Answer

MAX_JACCARD = 0.8
"""Of the letter trigrams of two turns: from here on they say the same."""

MIN_OWN_FRAC = 0.3
"""Share of the letters of a turn, outside code and addresses, that are of its language's script."""
LETTERS_MIN = 5
"""Fewer letters say nothing of a language: OK."""

COPIED_CHARS_MIN = 16
"""A turn of so many letters and digits that stands in an answer was copied from it."""

_OWN_LABEL = re.compile(r"\s*[\[*]*(?:user|human|사용자|질문자?)[\]*]*\s*[:：]\s*[*]*\s*", re.IGNORECASE)
_OTHER_LABEL = re.compile(
    r"^[^\S\n]*(?:\[(?:assistant|system|도우미|시스템)\]|[*]*(?:assistant|ai|chatbot|도우미|어시스턴트|챗봇|시스템)[*]*\s*[:：])",
    re.IGNORECASE | re.MULTILINE,
)
_OPENINGS = re.compile(
    r"(?:sure|certainly|of course|absolutely)[!,.]\s+(?:here|let me|i)\b|certainly!|great question"
    r"|here(?:['’]s| is| are) (?:the|an?)\b|you['’]re welcome|i['’]d be happy to"
    r"|i['’]m (?:happy|glad) (?:to help|that)"
    r"|물론(?:입니다|이죠|이에요)|좋은 질문입니다|천만에요|네[,.!]? (?:알려|설명해|도와) ?드[리릴려]",
    re.IGNORECASE,
)
"""How answers begin."""
_OFFERS = re.compile(
    r"as an ai\b|as a language model|how (?:can|may) i (?:help|assist)|feel free to ask|i hope this helps"
    r"|let me know if you (?:have|need)|인공지능 (?:언어 )?모델로서|무엇을 도와 ?드릴까요|궁금한 점이 있으시면"
    r"|도움이 되(?:길|기를|셨길|셨기를|었길|었기를|셨으면|었으면)|언제든지? (?:질문|문의|말씀)해"
    r"|(?:도와|설명해|알려|안내해) ?드리(?:겠습니다|도록)",
    re.IGNORECASE,
)
"""What only an assistant says, wherever it stands."""
_CODE = re.compile(r"```.*?```|`[^`\n]*`|https?://\S+", re.DOTALL)


def user_turn(answer: Answer, messages: Sequence[Message], language: str) -> str:
    """What the teacher lets the user say next.

    Args:
        answer: of the teacher; a label such as `User:` before it is taken off.
        messages: the conversation so far.
        language: `ko` or `en`.

    Raises:
        UnfitError: see `text_of`; or it `repeats` an earlier turn, speaks `as_assistant`, or switches `language`.
    """
    text = text_of(answer)
    label = _OWN_LABEL.match(text)
    text = text[label.end() :].strip() if label else text
    if not any(char.isalnum() for char in text):
        raise UnfitError("empty", text)
    if speaks_as_assistant(text):
        raise UnfitError("as_assistant", text)
    if repeats(text, messages):
        raise UnfitError("repeats", text)
    if not is_written_in(text, language):
        raise UnfitError("language", text)
    return text


def speaks_as_assistant(text: str) -> bool:
    """Whether it offers help rather than asks for it, or lets the assistant speak, too."""
    return bool(_OTHER_LABEL.search(text) or _OPENINGS.match(text) or _OFFERS.search(text))


def repeats(text: str, messages: Sequence[Message]) -> bool:
    """Whether it says again what the user said, or copies what the assistant said."""
    ours = squeezed(text)
    for message in messages:
        theirs = squeezed(message.content)
        if ours == theirs or (message.role == "user" and jaccard(grams(ours, 3), grams(theirs, 3)) >= MAX_JACCARD):
            return True
        if message.role == "assistant" and len(ours) >= COPIED_CHARS_MIN and ours in theirs:
            return True
    return False


def is_written_in(text: str, language: str) -> bool:
    """Whether enough of its letters are Hangul, or Latin, as its language has it."""
    script = "HANGUL" if language == "ko" else "LATIN"
    letters = [char for char in _CODE.sub(" ", text) if char.isalpha()]
    own = sum(unicodedata.name(char, "").startswith(script) for char in letters)
    return len(letters) < LETTERS_MIN or own >= MIN_OWN_FRAC * len(letters)
