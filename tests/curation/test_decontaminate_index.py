"""Items of benchmarks in texts: what is found, what is not, and where it stands."""

import pyarrow as pa
import pytest
from hypothesis import given

from curation.benchmarks import Item
from curation.decontaminate_index import SCORE_MIN, ContaminationIndex
from curation.kernels.contamination import GRAM_UNITS, PARTICLES
from curation.normalize import normalize
from tests.curation.texts import texts as any_texts

KOREAN = Item(
    "math",
    "ko-1",
    "민지는 사과를 12개 가지고 있습니다. 동생이 그중 5개를 먹었다면 남은 사과는 몇 개입니까?",
    answer="7",
)
ENGLISH = Item("gsm", "en-1", "A robe takes 2 bolts of blue fiber and half that much white fiber. How many in total?")
SHORT = Item("quad", "short", "가수 승리의 진짜 본명은?", answer="이승현")
CHOICES = Item(
    "law",
    "choices",
    "다음 중 옳은 것은?",
    ("참고인 진술은 증거능력이 없다", "긴급체포된 피의자는 석방할 수 없다", "공소장은 변경할 수 없다"),
    "공소장은 변경할 수 없다",
)
ITEMS = [KOREAN, ENGLISH, SHORT, CHOICES]
INDEX = ContaminationIndex.build(ITEMS)

FOUND = {
    "verbatim": (KOREAN.question, "ko-1"),
    "spaces dropped": (KOREAN.question.replace(" ", ""), "ko-1"),
    "spaces inserted": (" ".join(KOREAN.question), "ko-1"),
    "particles swapped": (KOREAN.question.replace("민지는", "민지가").replace("사과를", "사과는"), "ko-1"),
    "numbers changed": (KOREAN.question.replace("12", "31").replace("5", "8"), "ko-1"),
    "upper case, no spaces": (ENGLISH.question.upper().replace(" ", ""), "en-1"),
    "short, with its answer": ("가수 승리의 진짜 본명은? 정답: 이승현", "short"),
    "choices without their question": ("\n".join(reversed(CHOICES.choices)), "choices"),
}
NOT_FOUND = {
    "another problem": "현우는 구슬을 12개 가지고 있습니다. 누나가 5개를 잃어버렸다면 남은 구슬은 몇 개?",
    "short, without its answer": "가수 승리의 진짜 본명은? 아무도 모른다.",
    "template": "다음 중 옳은 것은?",
    "empty": "",
}


def column(*texts: str | None) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


@pytest.mark.parametrize(("text", "item"), FOUND.values(), ids=FOUND)
def test_finds(text: str, item: str) -> None:
    (hit,) = [hit for hit in INDEX.find(column(f"머리말.\n{text}\n끝.")).to_pylist() if hit["score"] >= 0.6]
    assert hit["item"] == item
    assert hit["start"] >= len("머리말.\n")


@pytest.mark.parametrize("text", NOT_FOUND.values(), ids=NOT_FOUND)
def test_leaves_alone(text: str) -> None:
    assert [hit["item"] for hit in INDEX.find(column(text)).to_pylist() if hit["score"] >= 0.6] == []


def test_a_statement_scores_less_than_the_question() -> None:
    question, statement = INDEX.find(column(KOREAN.question, KOREAN.question.rstrip("?"))).column("score").to_pylist()
    assert statement < question


def test_changed_numbers_ask_for_closer_words() -> None:
    """Half of the words are enough with the item's numbers, not with others."""
    half = KOREAN.question.replace("민지는 사과를", "영수는 딸기를")
    (same,) = INDEX.find(column(half)).to_pylist()
    assert (same["numbers_frac"], same["found"][:2]) == (1, "12")
    assert same["score"] == same["contained_frac"]
    assert INDEX.find(column(half.replace("12", "9").replace("5", "4"))).num_rows == 0


def test_every_place_of_an_item_is_found_with_its_span() -> None:
    text = f"🙂 {KOREAN.question}\n사이에 다른 글이 조금 있습니다.\n{KOREAN.question} {ENGLISH.question}"
    hits = INDEX.find(column(None, text, "아무것도 없는 글")).to_pylist()
    assert [(hit["row"], hit["item"]) for hit in hits] == [(1, "ko-1"), (1, "ko-1"), (1, "en-1")]
    for hit in hits:
        assert text[hit["start"] : hit["end"]] == hit["found"]
        assert hit["found"] in (KOREAN.question, ENGLISH.question)


def test_what_the_corpus_is_full_of_weighs_little() -> None:
    common = Item("quiz", "1", "이 문서는 다음과 같은 허가를 받아 배포되는 문서입니다. 수도를 쓰시오.", answer="서울")
    sample = column(
        *[f"{number} 이 문서는 다음과 같은 허가를 받아 배포되는 문서입니다." for number in range(50)], "다른 글"
    )
    phrase = column("이 문서는 다음과 같은 허가를 받아 배포되는 문서입니다.")
    assert ContaminationIndex.build([common]).find(phrase).num_rows == 1
    assert ContaminationIndex.build([common], sample).find(phrase).num_rows == 0


def test_counts_items_that_nothing_could_show() -> None:
    index = ContaminationIndex.build(
        [KOREAN, Item("quad", "a", "뜻은?"), Item("quad", "b", "경쟁자는?", answer="나")]
    )
    assert index.n_too_short == {"math": 0, "quad": 2}


def test_more_hits_than_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = column(*[f"{KOREAN.question} {ENGLISH.question}"] * 7)
    wanted = INDEX.find(texts)
    monkeypatch.setattr("curation.decontaminate_index.ROWS_AT_ONCE", 1)
    assert INDEX.find(texts).equals(wanted)
    assert wanted.num_rows == 14


def folded(text: str) -> list[tuple[str, int]]:
    """The folded characters and where they stand, written as the definition says."""
    out: list[tuple[str, int]] = []
    for place, char in enumerate(text):
        low = char.lower()
        kept = (char.isalpha() and char not in PARTICLES) or char.isdecimal()
        if ord(char) >= 0x10000 or not kept:
            continue
        piece = "0" if char.isdecimal() else low if len(low) == 1 else char
        if piece != "0" or not out or out[-1][0] != "0":
            out.append((piece, place))
    return out


def n_grams(text: str) -> set[str]:
    """The n-grams of a text: up to each character, the shortest run of enough units."""
    chars = [char for char, _ in folded(text)]
    units = [2 if ord(char) >= 0x2E80 else 1 for char in chars]
    found = set()
    for end in range(len(chars) + 1):
        starts = [start for start in range(max(0, end - GRAM_UNITS), end) if sum(units[start:end]) >= GRAM_UNITS]
        if starts:
            found.add("".join(chars[max(starts) : end]))
    return found


@given(any_texts(), any_texts())
def test_finds_a_text_exactly_where_it_has_the_n_grams(item: str, text: str) -> None:
    """A hit's n-grams are the item's, and a document that has all of an item's is found."""
    item = normalize(item)
    if not n_grams(item):
        return
    index = ContaminationIndex.build([Item("any", "1", item, answer="한반도횡단철도종착역")])
    hits = index.find(column(text)).to_pylist()
    for hit in hits:
        assert hit["score"] >= SCORE_MIN
        assert n_grams(text[hit["start"] : hit["end"]]) & n_grams(item)
        assert 0 < hit["contained_frac"] <= 1
    if not n_grams(text) & n_grams(item):
        assert hits == []


@given(any_texts())
def test_slices_and_nulls(text: str) -> None:
    whole = column("x", KOREAN.question, None, text, KOREAN.question)
    apart = INDEX.find(whole[1:3]).to_pylist() + INDEX.find(whole[3:]).to_pylist()
    together = INDEX.find(whole[1:]).to_pylist()
    places = ("item", "start", "end", "score", "found")
    assert [[hit[name] for name in places] for hit in apart] == [[hit[name] for name in places] for hit in together]
