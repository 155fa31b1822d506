"""datatrove 0.10.1 as the oracle of the English signals and rulesets, on whitespace words.

Its own filters decide, and its own helpers count. Two things are replaced, because datatrove takes them from spaCy:
words are `str.split()`, and sentences are what `split_sentences` below finds, which is what our kernel counts.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import polars as pl
import pyarrow as pa
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    c4_filters,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.filters.gopher_repetition_filter import (
    find_all_duplicate,
    find_duplicates,
    find_top_duplicate,
    get_n_grams,
)
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION

from curation.rules import CheckedRule, judge, load_rules
from curation.signals import SIGNAL_TYPE, measure_signals
from manifests.schema import RulesetUse

SENTENCE_END = re.compile(r"""[.?!。？！]["'”’)\]」』]*\s+(?=\S)""")
_COUNTED_REPETITION = {f"top_{n}_gram": f"top_{n}_gram" for n in (2, 3, 4)} | {
    f"dup_{n}_gram": f"duplicated_{n}_n_grams" for n in range(5, 11)
}

REASONS: Mapping[str, Mapping[str, str]] = {
    "gopher_repetition": {
        "gopher.not_empty": "empty",
        "gopher.dup_para_frac": "dup_para_frac",
        "gopher.dup_para_char_frac": "dup_para_char_frac",
        "gopher.dup_line_frac": "dup_line_frac",
        "gopher.dup_line_char_frac": "dup_line_char_frac",
        **{f"gopher.{rule}": reason for rule, reason in _COUNTED_REPETITION.items()},
    },
    "gopher_quality": {
        "gopher.word_count_min": "gopher_short_doc",
        "gopher.word_count_max": "gopher_long_doc",
        "gopher.avg_word_length_min": "gopher_below_avg_threshold",
        "gopher.avg_word_length_max": "gopher_above_avg_threshold",
        "gopher.hash_word_ratio": "gopher_too_many_hashes",
        "gopher.ellipsis_word_ratio": "gopher_too_many_ellipsis",
        "gopher.bullet_line_frac": "gopher_too_many_bullets",
        "gopher.ellipsis_line_frac": "gopher_too_many_end_ellipsis",
        "gopher.alpha_word_frac": "gopher_below_alpha_threshold",
        "gopher.stop_word_count": "gopher_enough_stop_words",
    },
    "c4": {
        "c4.lorem_ipsum": "lorem_ipsum",
        "c4.curly_bracket": "curly_bracket",
        "c4.sentence_count_min": "too_few_sentences",
    },
    "fineweb": {
        "fineweb.not_blank": "empty",
        "fineweb.terminal_line_frac": "line_punct_ratio",
        "fineweb.short_line_frac": "short_line_ratio",
        "fineweb.dup_line_char_frac": "char_dup_ratio",
        "fineweb.newline_word_ratio": "list_ratio",
    },
}
"""Per filter of datatrove: our rules in their order, and the reason that the filter gives."""


def split_sentences(line: str, language: str = "") -> list[str]:
    """A line cut behind sentence-final punctuation that white space follows; never empty, as in datatrove."""
    ends = [match.end() for match in SENTENCE_END.finditer(line)]
    return [line[start:end] for start, end in zip([0, *ends], [*ends, len(line)], strict=True)]


def split_words(text: str, language: str = "") -> list[str]:
    """Words as SEGMENTATION defines them."""
    return text.split()


@dataclass
class LineCounts:
    """What C4QualityFilter did with the lines of one document."""

    lines: Counter[str] = field(default_factory=Counter)
    n_sentences: int = 0

    def stat_update(self, *labels: str, **_: object) -> None:
        self.lines.update(labels)

    def split(self, line: str, language: str = "") -> list[str]:
        sentences = split_sentences(line)
        self.n_sentences += len(sentences)
        return sentences


class Datatrove:
    """The four filters, and the numbers that they compare with their thresholds."""

    def __init__(self) -> None:
        self.filters: dict[str, BaseFilter] = {
            "gopher_repetition": GopherRepetitionFilter(),
            "gopher_quality": GopherQualityFilter(),
            "c4": C4QualityFilter(),
            "fineweb": FineWebQualityFilter(),
        }

    def reason(self, name: str, text: str) -> str | None:
        """Why the filter drops the text, or None where it keeps it."""
        verdict = self.filters[name].filter(Document(text=text, id=""))
        return None if verdict is True else verdict[1]

    def c4_counts(self, text: str) -> LineCounts:
        """The lines and sentences of C4QualityFilter; it stops at a lorem ipsum or a curly bracket."""
        counts = LineCounts()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.filters["c4"], "stat_update", counts.stat_update)
            patch.setattr(c4_filters, "split_into_sentences", counts.split)
            self.reason("c4", text)
        return counts

    def numbers(self, text: str) -> dict[str, float | None]:
        """Every signal that datatrove decides on, by its own expressions; None where they divide by 0."""
        return {**_repetition(text), **_quality(text), **_fineweb(text), **self._c4(text)}

    def _c4(self, text: str) -> dict[str, float | None]:
        counts = self.c4_counts(text)
        if self.reason("c4", text) in ("lorem_ipsum", "curly_bracket"):
            return {}
        of = {"long_word": "too_long_word", "unterminated": "no_terminal_punc", "short": "too_few_words"}
        of |= {"javascript": "javascript", "policy": "policy"}
        lines = {f"c4_{ours}_line_count": counts.lines[f"line-filter-{theirs}"] for ours, theirs in of.items()}
        lines |= {"c4_lorem_ipsum_line_count": 0, "c4_curly_bracket_line_count": 0}
        return {**lines, "c4_kept_line_count": counts.lines["line-kept"], "c4_sentence_count": counts.n_sentences}


@contextmanager
def whitespace_datatrove() -> Iterator[Datatrove]:
    """datatrove's filters with our words and sentences in place of spaCy's."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (gopher_repetition_filter, gopher_quality_filter, fineweb_quality_filter):
            patch.setattr(module, "split_into_words", split_words)
        patch.setattr(c4_filters, "split_into_sentences", split_sentences)
        yield Datatrove()


def _ratio(count: float, total: float) -> float | None:
    return count / total if total else None


def _repetition(text: str) -> dict[str, float | None]:
    paragraphs, lines, words = re.split(r"\n{2,}", text.strip()), re.split(r"\n+", text), text.split()
    if not text:
        return dict.fromkeys(SIGNALS_OF_REPETITION)
    numbers: dict[str, float | None] = {}
    for kind, items in (("para", paragraphs), ("line", lines)):
        n_dups, n_chars = find_duplicates(items)
        numbers[f"dup_{kind}_frac"], numbers[f"dup_{kind}_char_frac"] = n_dups / len(items), n_chars / len(text)
    for n in range(2, 5):
        n_grams = get_n_grams(words, n)
        numbers[f"top_{n}_gram_char_frac"] = find_top_duplicate(n_grams) / len(text) if n_grams else 0.0
    for n in range(5, 11):
        numbers[f"dup_{n}_gram_char_frac"] = find_all_duplicate(words, n) / len(text)
    return numbers


SIGNALS_OF_REPETITION = tuple(_repetition("a"))


def _quality(text: str) -> dict[str, float | None]:
    words, lines = text.split(), text.splitlines()
    spoken = [word for word in words if any(character not in PUNCTUATION_SET for character in word)]
    bullets = sum(line.lstrip().startswith("•") or line.lstrip().startswith("-") for line in lines)
    ellipses = sum(line.rstrip().endswith("...") or line.rstrip().endswith("…") for line in lines)
    return {
        "char_count": len(text),
        "word_count": len(words),
        "non_symbol_word_count": len(spoken),
        "avg_word_length": _ratio(sum(map(len, spoken)), len(spoken)),
        "hash_word_ratio": _ratio(text.count("#"), len(words)),
        "ellipsis_word_ratio": _ratio(text.count("...") + text.count("…"), len(words)),
        "line_count": len(lines),
        "bullet_line_frac": _ratio(bullets, len(lines)),
        "ellipsis_line_frac": _ratio(ellipses, len(lines)),
        "alpha_word_frac": _ratio(sum(any(c.isalpha() for c in word) for word in words), len(words)),
        "stop_word_count": len(set(gopher_quality_filter.STOP_WORDS).intersection(words)),
    }


def _fineweb(text: str) -> dict[str, float | None]:
    lines = [line for line in text.split("\n") if line.strip() != ""]
    n_dup_chars = find_duplicates(lines)[1]
    return {
        "nonblank_line_count": len(lines),
        "terminal_line_frac": _ratio(sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines), len(lines)),
        "short_line_frac": _ratio(sum(len(line) <= 30 for line in lines), len(lines)),
        "dup_nonblank_line_char_frac": n_dup_chars / len(text.replace("\n", "")) if lines else None,
        "newline_word_ratio": _ratio(text.count("\n"), len(text.split())),
    }


def our_reasons(texts: Sequence[str]) -> dict[str, list[str | None]]:
    """Per filter of datatrove, the reason that our rules give for each text, in datatrove's words."""
    signals = measure_signals(pa.array(texts, pa.large_string()))
    frame = pl.DataFrame({"signals": pl.from_arrow(signals)})
    failed = judge(frame, _english_rules())["failed_rules"].to_list()
    return {
        name: [next((reasons[rule] for rule in rules if rule in reasons), None) for rules in failed]
        for name, reasons in REASONS.items()
    }


@cache
def _english_rules() -> list[CheckedRule]:
    columns = {f"signals.{item.name}": item.type for item in SIGNAL_TYPE}
    return load_rules([RulesetUse(ruleset=name) for name in ("gopher", "c4", "fineweb")], "", columns)


def differing_numbers(expected: Mapping[str, float | None], measured: Mapping[str, float | None]) -> list[str]:
    """The signals of one text that are not within 1e-9 of what datatrove's numbers say, each with both values."""
    return [
        f"{name}: {measured[name]} here, {value} in datatrove"
        for name, value in expected.items()
        if (value is None) != (measured[name] is None) or (value is not None and abs(value - measured[name]) > 1e-9)
    ]
