"""The kinds of instruction of IFEval (Zhou et al. 2023, arXiv 2311.07911), and whether an answer follows one.

Verdicts are those of lm-eval's `ifeval` for every text that its checkers are clear about; where they are not, is in
docs/benchmarks-code.md. Korean differs where its words and sentences do.
"""

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from classifiers.bcp47 import language_tag
from classifiers.language import UNDETERMINED, LanguageIdentifier
from training.benchmarks import ifeval_english, ifeval_korean

RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "less than": operator.lt,
    "at least": operator.ge,
    "at most": operator.le,
    "more than": operator.gt,
    "exactly": operator.eq,
}
"""Published sets have the first two."""


def _starts_with_english(paragraph: str, word: str) -> bool:
    """The first word without quotes before it, up to the first mark."""
    first = paragraph.split()[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", first)[0].lower() == word.lower()


def _holds_english(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))


def _count_english_letter(text: str, letter: str) -> int:
    return text.lower().count(letter.lower())


@dataclass(frozen=True)
class Language:
    """What kinds of instruction need to know of a language."""

    n_words: Callable[[str], int]
    n_sentences: Callable[[str], int]
    n_letter: Callable[[str, str], int]
    """How often a letter is in a text."""
    holds_word: Callable[[str, str], bool]
    """Whether a text uses a word that is forbidden."""
    starts_with: Callable[[str, str], bool]
    """Whether a paragraph begins with a word."""
    options: str
    """Pattern of the answers that `constrained_response` allows."""
    commas: str = ","
    quotes: tuple[str, ...] = ('""',)
    """Pairs of marks of a quotation."""


ENGLISH = Language(
    ifeval_english.count_words,
    ifeval_english.count_sentences,
    _count_english_letter,
    _holds_english,
    _starts_with_english,
    r"My answer is (?:yes|no|maybe)\.",
)
KOREAN = Language(
    ifeval_korean.count_words,
    ifeval_korean.count_sentences,
    ifeval_korean.count_letter,
    ifeval_korean.holds_word,
    ifeval_korean.starts_with_word,
    r"(?:제|내) (?:답변|대답)은 (?:(?:예|네|아니요|아니오|아마도)입니다|아닙니다)\.",
    commas=",，、",
    quotes=('""', "“”"),
)

Follows = Callable[..., bool]
"""(answer, language, **arguments): whether the answer follows."""


@dataclass(frozen=True)
class Kind:
    """A kind of instruction."""

    follows: Follows
    needs: tuple[str, ...] = ()
    """Names of its arguments in the column `kwargs`."""


def _has_keywords(answer: str, _: Language, keywords: list[str]) -> bool:
    return all(_n_times(answer, keyword) for keyword in keywords)


def _has_keyword_n_times(answer: str, _: Language, keyword: str, frequency: int, relation: str) -> bool:
    return RELATIONS[relation](_n_times(answer, keyword), frequency)


def _n_times(answer: str, keyword: str) -> int:
    return len(re.findall(re.escape(keyword.strip()), answer, re.IGNORECASE))


def _has_no_forbidden_word(answer: str, language: Language, forbidden_words: list[str]) -> bool:
    return not any(language.holds_word(answer, word) for word in forbidden_words)


def _has_letter(answer: str, language: Language, letter: str, let_frequency: int, let_relation: str) -> bool:
    return RELATIONS[let_relation](language.n_letter(answer, letter.strip()), let_frequency)


def _is_in_language(answer: str, on: Language, /, language: str) -> bool:
    """A text without letters is in any, as in lm-eval."""
    return language_of(answer) in (UNDETERMINED, language_tag(language.lower()).partition("-")[0])


def _has_sentences(answer: str, language: Language, num_sentences: int, relation: str) -> bool:
    return RELATIONS[relation](language.n_sentences(answer), num_sentences)


def _has_words(answer: str, language: Language, num_words: int, relation: str) -> bool:
    return RELATIONS[relation](language.n_words(answer), num_words)


def _has_characters(answer: str, _: Language, num_letters: int, relation: str) -> bool:
    return RELATIONS[relation](ifeval_korean.count_characters(answer, with_spaces=True), num_letters)


def _has_characters_without_spaces(answer: str, _: Language, num_letters: int, relation: str) -> bool:
    return RELATIONS[relation](ifeval_korean.count_characters(answer, with_spaces=False), num_letters)


def _has_divided_paragraphs(answer: str, _: Language, num_paragraphs: int) -> bool:
    """Between `***`; nothing may be empty but what is before the first and after the last."""
    parts = [part.strip() for part in answer.split("***")]
    return all(parts[1:-1]) and sum(map(bool, parts)) == num_paragraphs


def _has_paragraph_with_first_word(
    answer: str, language: Language, num_paragraphs: int, nth_paragraph: int, first_word: str
) -> bool:
    """Between blank lines; the nth counts empty ones, how many there are does not."""
    paragraphs = [part.strip() for part in answer.split("\n\n")]
    if sum(map(bool, paragraphs)) != num_paragraphs or not 0 < nth_paragraph <= num_paragraphs:
        return False
    paragraph = paragraphs[nth_paragraph - 1]
    return bool(paragraph) and language.starts_with(paragraph, first_word)


def _has_placeholders(answer: str, _: Language, num_placeholders: int) -> bool:
    return len(re.findall(r"\[[^\n]*?\]", answer)) >= num_placeholders


def _has_postscript(answer: str, _: Language, postscript_marker: str) -> bool:
    """Anywhere, in any case; between the letters of P.S. and P.P.S a space may stand."""
    marker = postscript_marker.strip().lower()
    patterns = {"p.s.": r"p\.\s?s\.", "p.p.s": r"p\.\s?p\.\s?s"}
    return bool(re.search(patterns.get(marker, re.escape(marker)), answer.lower()))


def _has_bullets(answer: str, _: Language, num_bullets: int) -> bool:
    """Lines that begin with `*`, and no second one, or with `-`."""
    stars = re.findall(r"^[^\S\n]*\*[^*].*$", answer, re.MULTILINE)
    return len(stars) + len(re.findall(r"^[^\S\n]*-.*$", answer, re.MULTILINE)) == num_bullets


def _is_an_option(answer: str, language: Language) -> bool:
    return bool(re.search(language.options, answer))


def _has_highlights(answer: str, _: Language, num_highlights: int) -> bool:
    single = [part for part in re.findall(r"\*([^\n*]*)\*", answer) if part.strip()]
    double = [part for part in re.findall(r"\*\*([^\n*]*)\*\*", answer) if part.strip()]
    return len(single) + len(double) >= num_highlights


def _has_sections(answer: str, _: Language, section_spliter: str, num_sections: int) -> bool:
    """As `Section 1`, anywhere."""
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", answer)) >= num_sections


def _is_json(answer: str, _: Language) -> bool:
    """As a whole, with or without a fence."""
    inside = re.sub(r"\A```(?:json|Json|JSON)?", "", answer.strip()).removesuffix("```").strip()
    try:
        json.loads(inside)
    except (ValueError, RecursionError):
        return False
    return True


def _has_title(answer: str, _: Language) -> bool:
    return any(title.lstrip("<").rstrip(">").strip() for title in re.findall(r"<<[^\n]+>>", answer))


def _has_two_responses(answer: str, _: Language) -> bool:
    parts = [part.strip() for part in answer.split("******")]
    full = [part for part in parts if part]
    return all(parts[1:-1]) and len(full) == 2 and full[0] != full[1]


def _repeats_prompt(answer: str, _: Language, prompt_to_repeat: str) -> bool:
    return answer.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _ends_with(answer: str, language: Language, end_phrase: str) -> bool:
    said = answer.strip().strip("".join(language.quotes)).lower()
    return said.endswith(end_phrase.strip().lower())


def _is_quoted(answer: str, language: Language) -> bool:
    said = answer.strip()
    return len(said) > 1 and said[0] + said[-1] in language.quotes


def _has_capital_words(answer: str, _: Language, capital_frequency: int, capital_relation: str) -> bool:
    return RELATIONS[capital_relation](ifeval_english.count_capital_words(answer), capital_frequency)


def _is_in_capitals(answer: str, _: Language) -> bool:
    return answer.isupper() and language_of(answer) == "en"


def _is_in_small_letters(answer: str, _: Language) -> bool:
    return answer.islower() and language_of(answer) == "en"


def _has_no_comma(answer: str, language: Language) -> bool:
    return not set(answer) & set(language.commas)


def language_of(text: str) -> str:
    """The language of a text, without script or region; `und` where it has no letters; `ko-Latn` is not `ko`."""
    tag = _identify(text)
    if tag == "zxx":  # JSON, say: its words have a language
        tag = _identify(" ".join(re.findall(r"[^\W\d_]+", text)))
    return tag if tag == "ko-Latn" else tag.partition("-")[0]


def _identify(text: str) -> str:
    valid = text.encode(errors="replace").decode()  # half characters are none
    return str(_identifier().identify(pa.array([valid], pa.large_string())).language[0].as_py())


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier()


KINDS: Mapping[str, Kind] = {
    "keywords:existence": Kind(_has_keywords, ("keywords",)),
    "keywords:frequency": Kind(_has_keyword_n_times, ("keyword", "frequency", "relation")),
    "keywords:forbidden_words": Kind(_has_no_forbidden_word, ("forbidden_words",)),
    "keywords:letter_frequency": Kind(_has_letter, ("letter", "let_frequency", "let_relation")),
    "language:response_language": Kind(_is_in_language, ("language",)),
    "length_constraints:number_sentences": Kind(_has_sentences, ("num_sentences", "relation")),
    "length_constraints:number_paragraphs": Kind(_has_divided_paragraphs, ("num_paragraphs",)),
    "length_constraints:number_words": Kind(_has_words, ("num_words", "relation")),
    "length_constraints:nth_paragraph_first_word": Kind(
        _has_paragraph_with_first_word, ("num_paragraphs", "nth_paragraph", "first_word")
    ),
    "detectable_content:number_placeholders": Kind(_has_placeholders, ("num_placeholders",)),
    "detectable_content:postscript": Kind(_has_postscript, ("postscript_marker",)),
    "detectable_format:number_bullet_lists": Kind(_has_bullets, ("num_bullets",)),
    "detectable_format:constrained_response": Kind(_is_an_option),
    "detectable_format:number_highlighted_sections": Kind(_has_highlights, ("num_highlights",)),
    "detectable_format:multiple_sections": Kind(_has_sections, ("section_spliter", "num_sections")),
    "detectable_format:json_format": Kind(_is_json),
    "detectable_format:title": Kind(_has_title),
    "combination:two_responses": Kind(_has_two_responses),
    "combination:repeat_prompt": Kind(_repeats_prompt, ("prompt_to_repeat",)),
    "startend:end_checker": Kind(_ends_with, ("end_phrase",)),
    "startend:quotation": Kind(_is_quoted),
    "change_case:capital_word_frequency": Kind(_has_capital_words, ("capital_frequency", "capital_relation")),
    "change_case:english_capital": Kind(_is_in_capitals),
    "change_case:english_lowercase": Kind(_is_in_small_letters),
    "punctuation:no_comma": Kind(_has_no_comma),
}
"""The 25 kinds of google/IFEval, by their names there."""
KOREAN_KINDS: Mapping[str, Kind] = {
    **KINDS,
    "length_constraints:number_letters": Kind(_has_characters, ("num_letters", "relation")),
    "length_constraints:number_letter_excluded": Kind(_has_characters_without_spaces, ("num_letters", "relation")),
}
"""With those that Korean sets add: characters with spaces, and without."""


def arguments_of(kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an instruction, as its kind takes them.

    Raises:
        ValueError: one is missing, of another type, or of no known value; says which.
    """
    return {name: _argument(name, given.get(name)) for name in kind.needs}


def _argument(name: str, value: Any) -> Any:
    if name.endswith("relation"):
        if value not in RELATIONS:
            raise ValueError(f"{name} is {value!r}; valid: {', '.join(RELATIONS)}")
        return value
    if name in ("keywords", "forbidden_words"):
        words = [] if value is None or isinstance(value, str) else list(value)
        if not words or not all(isinstance(word, str) and word.strip() for word in words):
            raise ValueError(f"{name} is {value!r}; valid is a list of words")
        return words
    if name.startswith(("num_", "nth_")) or name.endswith("frequency"):
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
            raise ValueError(f"{name} is {value!r}; valid is a whole number from 0")
        return int(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {value!r}; valid is a text")
    return value
