"""The Korean signals against a plain reading of their definitions."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings

from curation import kernels
from curation.signals import measure_signals
from tests.curation.texts import texts

WORDS = yaml.safe_load((Path(kernels.__file__).parent / "korean_words.yaml").read_text(encoding="utf-8"))
SYLLABLE = re.compile("[가-힣]")
JAMO = re.compile("[\u1100-\u11ffㄱ-ㆎ\ua960-\ua97c\ud7b0-\ud7c6\ud7cb-\ud7fbﾡ-ﾾￂ-ￇￊ-ￏￒ-ￗￚ-ￜ]")
SPELLINGS = [spelling for phrase in WORDS["spam_phrases"] for spelling in phrase]


def is_letter(character: str) -> bool:
    return (character.isalpha() or character.isdecimal()) and not JAMO.match(character)


def last_run(eojeol: str) -> tuple[str, bool]:
    """(the last run of letters and digits, whether letters or digits stand before it)."""
    runs = "".join(character if is_letter(character) else " " for character in eojeol).split()
    return runs[-1], len(runs) > 1


def ends_with_josa(eojeol: str) -> bool:
    run, has_more = last_run(eojeol)
    return any(run.endswith(josa) and (has_more or run != josa) for josa in WORDS["josa"])


def stop_word(eojeol: str) -> str | None:
    run, _ = last_run(eojeol)
    return max((word for word in WORDS["stop_words"] if run.endswith(word)), key=len, default=None)


def expected(text: str) -> dict[str, float | None]:
    visible = "".join(text.split())
    hangul = [character for character in visible if SYLLABLE.match(character) or JAMO.match(character)]
    eojeol = [word for word in text.split() if SYLLABLE.search(word)]
    stop_words = [word for word in map(stop_word, eojeol) if word]
    squeezed = "".join(c for c in text if c.isalpha() or c.isdecimal()).lower()
    hits = [[squeezed.count(spelling) for spelling in phrase] for phrase in WORDS["spam_phrases"]]
    return {
        "hangul_frac": len(hangul) / len(visible) if visible else None,
        "hangul_word_count": len(eojeol),
        "josa_word_frac": sum(map(ends_with_josa, eojeol)) / len(eojeol) if eojeol else None,
        "ko_stop_word_count": len(set(stop_words)),
        "ko_stop_word_frac": len(stop_words) / len(eojeol) if eojeol else None,
        "jamo_frac": len(JAMO.findall(visible)) / len(visible) if visible else None,
        "jamo_run_max": max((len(run.group()) for run in re.finditer(f"(?:{JAMO.pattern})+", text)), default=0),
        "spam_phrase_count": sum(any(counts) for counts in hits),
        "spam_hit_count": sum(map(sum, hits)),
    }


def measured(text: str) -> dict[str, float | None]:
    return measure_signals(pa.array([text], pa.large_string()))[0].as_py()


@given(text=texts())
@settings(max_examples=300, deadline=None)
def test_definitions(text: str) -> None:
    signals = measured(text)
    assert {name: signals[name] for name in expected(text)} == pytest.approx(expected(text), abs=1e-12)


def test_prose_chatter_and_spam_differ() -> None:
    prose = measured("정부는 어제 국회에서 새로운 정책을 발표했다. 시민의 반응은 대체로 좋았다.")
    chatter = measured("와ㅋㅋㅋㅋㅋ 진짜 대박ㅠㅠ")
    spam = measured("먹.튀.검.증 완료! 카 지 노 사 이 트 추천, 토토사이트")
    assert prose["josa_word_frac"] > 0.4
    assert prose["ko_stop_word_count"] >= 4
    assert (prose["jamo_run_max"], chatter["jamo_run_max"]) == (0, 5)
    assert (prose["spam_phrase_count"], spam["spam_phrase_count"]) == (0, 3)


def test_spam_phrases_can_be_searched_without_spaces() -> None:
    assert all(len(spelling) >= 3 for spelling in SPELLINGS)
    assert len(set(SPELLINGS)) == len(SPELLINGS)
    assert not [(one, other) for one in SPELLINGS for other in SPELLINGS if one != other and one in other]
