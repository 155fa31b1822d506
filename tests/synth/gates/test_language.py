"""The gate `language`."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.schema_synthesis import LanguageGate
from synth.gates.language import Language, foreign_letters
from synth.samples import Item, Message, Rejection, Sample
from tests.synth.gates.judged import document, reasons, said, verdicts

KO = "철수는 사과를 세 개 샀고 영희는 두 개를 더 주었습니다. 따라서 모두 다섯 개입니다."
EN = "Tom bought three apples and Mary gave him two more, so there are five apples altogether."


@pytest.fixture(scope="module")
def gate() -> Language:
    return Language(LanguageGate(gate="language"))


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        (KO, "ko", ""),
        (EN, "en", ""),
        (EN, "ko", "wrong_language"),
        (KO, "en", "wrong_language"),
        ("정답은 세 개입니다.", "en", "wrong_language"),
        ("그러므로 답은 다음과 같다. 我们可以得到答案。", "ko", "foreign_script"),
        ("答案是三个苹果，因为汤姆买了三个苹果。", "ko", "wrong_language"),
        ("El señor compró tres manzanas y su hermana le dio dos más, así que tiene cinco.", "en", "wrong_language"),
        ("こんにちは。りんごは全部で五個あります。", "ko", "wrong_language"),
        ("그는 Привет이라고 말했습니다.", "ko", "foreign_script"),
        ("답은 ですね 3개입니다.", "ko", "foreign_script"),
        ("42", "ko", ""),
        ("", "ko", ""),
        ("B", "ko", ""),
        ("Visual Studio", "ko", ""),
        ("원주율 π와 각 θ, Δx, ㎏, ℃, 5µm, ℝ, 𝑥, ①, Ⅳ, x²", "ko", ""),
        ("ㅋㅋㅋ 정말 재미있네요 ㅠㅠ 👍🏽 👩‍👩‍👧", "ko", ""),
        ("삼일 운동은 독립(獨立)을 외친 만세(萬歲) 운동이다.", "ko", ""),
        ("삼일 운동은 獨立을 외친 운동이다.", "ko", "foreign_script"),
        ("café naïve Ångström 같은 말도 있습니다.", "ko", ""),
        ("λόγος라는 말에서 왔다.", "ko", "foreign_script"),
        (f"{KO}\n```python\nprint('中文')\n```", "ko", ""),
        (r"따라서 $x = 中$ 이고 \(\frac{ab}{cd}\) 입니다.", "ko", ""),
        (f"<think>{EN}</think>\n{KO}", "ko", ""),
        (f"<think>{KO}</think>\n{EN}", "ko", "wrong_language"),
        (f"<think>{EN} 我们</think>\n{KO}", "ko", "foreign_script"),
        ("def add(a, b):\n    return a + b\n\nfor i in range(10):\n    print(add(i, i))\n", "ko", ""),
    ],
)
def test_answers(gate: Language, text: str, language: str, reason: str) -> None:
    assert reasons(gate, said(text, "질문", language)) == [reason]
    assert reasons(gate, document(text, language)) == [reason]


def test_decomposed_hangul_is_hangul(gate: Language) -> None:
    assert reasons(gate, said(unicodedata.normalize("NFD", KO))) == [""]
    assert reasons(gate, said(unicodedata.normalize("NFD", "독립(獨立) 만세"))) == [""]


def test_what_the_prompt_or_the_seed_holds_is_not_foreign(gate: Language) -> None:
    answer = "學校는 학교라는 뜻이고, 學은 배운다는 뜻입니다."
    assert reasons(gate, said(answer, "學校가 무슨 뜻인가요?"), said(answer, "무슨 뜻인가요?")) == [
        "",
        "foreign_script",
    ]
    of_seed = Item("0", "글", "ko", input="學校")
    assert reasons(gate, Sample(of_seed, "text", "ko", text=answer)) == [""]


def test_foreign_letters_are_measured_and_shown(gate: Language) -> None:
    (verdict,) = verdicts(gate, said("가나다라마바사 我们"))
    assert verdict == Rejection("language", "foreign_script", pytest.approx(2 / 9), 0.0, "我们")
    lenient = Language(LanguageGate(gate="language", max_foreign_frac=0.3))
    assert reasons(lenient, said("가나다라마바사 我们")) == [""]


def test_korean_with_too_much_latin(gate: Language) -> None:
    mixed = "이 function은 return value를 memory에서 load하고 store하는 operation을 perform합니다."
    assert reasons(gate, said(mixed), said(KO)) == ["latin", ""]
    lenient = Language(LanguageGate(gate="language", max_latin_frac=0.7))
    assert reasons(lenient, said(mixed)) == [""]


def test_of_a_pair_the_chosen_one_is_judged(gate: Language) -> None:
    worse = (Message("assistant", EN),)
    pair = Sample(Item("0", "질문"), "preference", "ko", answer=(Message("assistant", KO),), worse=worse)
    assert reasons(gate, pair) == [""]


HANGUL_AND_LATIN = "가힣ㄱㅎㅏ\u1100\u1161azAZéÅß"


@given(st.text(alphabet=st.sampled_from(HANGUL_AND_LATIN + "0189 \n.,!②Ⅳ½πµ℃😀\u0301")))
def test_hangul_and_latin_are_never_foreign(text: str) -> None:
    assert all(letter == "π" for letter in foreign_letters(text))


@given(st.text(alphabet=st.sampled_from("中文かナЖא가a 1(")))
def test_others_always_are(text: str) -> None:
    assert foreign_letters(text) == [letter for letter in text if letter in "中文かナЖא"]
