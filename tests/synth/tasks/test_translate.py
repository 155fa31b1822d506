"""Translations, played with a script: what is kept, what is not, and the cap on their share."""

import unicodedata
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from synth.samples import Ask, Item
from synth.tasks.translate import Translate, not_korean, over_share
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, seed_of, setting

ENGLISH = "Run `make test` first. It takes 1,500 seconds on a machine with 16 GB of memory."
KOREAN = "먼저 ⟦1⟧를 실행하세요. 메모리가 ⟦2⟧인 컴퓨터에서 1500초가 걸립니다."
BACK = "Run ⟦1⟧ first. It takes 1,500 seconds on a computer with ⟦2⟧ of memory."
DOCUMENT = Item("d1", ENGLISH, "en", license="MIT")
PAIR = Item("p1", "Write a function that adds two numbers. Show it in Python.", "en", answer="Here it is:\n`a + b`")


def translate(item: Item, say: Any, **task: Any) -> Played:
    return play(Translate(setting(manifest({"kind": "translate", "attempts": 2} | task))), item, say)


def says(there: str | dict[str, str], back: str = BACK) -> Any:
    return lambda ask: back if ask.template == "translate/back_en" else there


def test_a_document_becomes_text() -> None:
    played = translate(DOCUMENT, says(KOREAN))
    (sample,) = played.kept
    assert sample.text == "먼저 `make test`를 실행하세요. 메모리가 16 GB인 컴퓨터에서 1500초가 걸립니다."
    assert (sample.form, sample.language, sample.is_translated) == ("text", "ko", True)
    assert 0.5 < sample.numbers["round_trip"] < 1
    assert 0.25 < sample.numbers["length_ratio"] < 1.2
    assert [ask.template for ask in sample.made_by] == ["translate/document_ko", "translate/back_en"]
    shown = played.asks[0].request.messages[-1][1]
    assert "⟦1⟧" in shown
    assert "make test" not in shown
    assert "1500초" in played.asks[1].request.messages[-1][1]


def test_a_pair_becomes_messages() -> None:
    said = {"instruction": "두 수를 더하는 함수를 쓰세요. 파이썬으로 보여 주세요.", "output": "다음과 같습니다.\n⟦1⟧"}
    backs = {"두 수": PAIR.text, "다음": "Here it is:\n⟦1⟧"}

    def say(ask: Ask) -> str | dict[str, str]:
        shown = ask.request.messages[-1][1]
        return said if "pair" in ask.template else next(back for start, back in backs.items() if start in shown)

    played = translate(PAIR, say)
    (sample,) = played.kept
    assert [(message.role, message.content) for message in sample.prompt + sample.answer] == [
        ("user", said["instruction"]),
        ("assistant", "다음과 같습니다.\n`a + b`"),
    ]
    assert sample.numbers["round_trip"] == 1
    schema = orjson.loads(played.asks[0].request.schema or "{}")
    assert schema["required"] == ["instruction", "output"]


def test_the_input_goes_with_the_instruction() -> None:
    item = Item("p2", "Translate it.", "en", input="Good morning.", answer="Bonjour.")
    said = {"instruction": "옮기세요.", "input": "좋은 아침입니다.", "output": "봉주르."}
    (sample,) = translate(item, says(said), round_trip=None).kept
    assert sample.prompt[0].content == "옮기세요.\n\n좋은 아침입니다."


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (KOREAN.replace("⟦1⟧", "명령"), "placeholder_lost"),
        (KOREAN + " ⟦2⟧", "placeholder_lost"),
        (KOREAN.replace("1500", "1600"), "number_changed"),
        (KOREAN.replace("1500초", "1500초(25분)"), "number_changed"),
        ("⟦1⟧ ⟦2⟧ 1500초", "length"),
        (KOREAN * 2, "placeholder_lost"),
        (KOREAN + " 이 문장은 원문에 없는 말을 길게 늘어놓은 것입니다." * 3, "length"),
        (BACK, "language"),
        (KOREAN + " It takes some time on a machine.", "language"),
        ("", "empty"),
        (Answer(KOREAN, "length"), "cut"),
    ],
)
def test_not_kept(said: str, reason: str) -> None:
    played = translate(DOCUMENT, says(said))
    assert played.reasons == [f"task:{reason}"]
    assert len(played.asks) == 2
    assert len({seed_of(ask) for ask in played.asks}) == 2


def test_asked_again_where_it_does_not_fit() -> None:
    told = iter([KOREAN.replace("⟦1⟧", ""), KOREAN, BACK])
    assert len(translate(DOCUMENT, lambda _: next(told)).kept) == 1


def test_the_way_back_leads_elsewhere() -> None:
    played = translate(DOCUMENT, says(KOREAN, "Cats ⟦1⟧ sleep through most of the day ⟦2⟧."))
    (sample,) = played.samples
    assert sample.rejection is not None
    assert (sample.rejection.reason, sample.rejection.threshold) == ("round_trip", 0.35)
    assert sample.rejection.value is not None
    assert sample.rejection.value < 0.35
    assert translate(DOCUMENT, says(KOREAN, "Cats"), round_trip=None).kept


def test_no_way_back_is_no_way() -> None:
    assert translate(DOCUMENT, says(KOREAN, Answer("", "stop"))).reasons == ["task:round_trip"]  # type: ignore[arg-type]


def test_short_texts_are_not_measured() -> None:
    played = translate(Item("s", "Hi!", "en"), says("안녕하세요!", "Cats"))
    assert len(played.kept) == len(played.asks) == 1


def test_names_stay() -> None:
    (sample,) = translate(Item("n", "Onggi reads it.", "en"), says("⟦1⟧가 읽는다."), keep_names=["Onggi"]).kept
    assert sample.text == "Onggi가 읽는다."


def test_decomposed_hangul_is_composed() -> None:
    (sample,) = translate(
        Item("n", "It is read.", "en"), says(unicodedata.normalize("NFD", "읽는다.")), round_trip=None
    ).kept
    assert sample.text == "읽는다."


def test_korean_seeds_are_not_translated() -> None:
    assert translate(Item("k", "이미 한국어", "ko"), says("")).reasons == ["task:not_english"]
    with pytest.raises(RequestError, match="writes Korean"):
        translate(DOCUMENT, says(KOREAN), language="en")


@pytest.mark.parametrize(
    ("before", "after", "is_korean"),
    [
        ("Hello there", "안녕하세요", True),
        ("Hello there", "你好", False),
        ("Use GPU and CPU", "GPU와 CPU를 쓴다", False),
        ("Use the GPU and the CPU", "그래픽 처리 장치(GPU)와 중앙 처리 장치(CPU)를 씁니다", True),
        ("1 + 1", "1 + 1", True),
    ],
)
def test_language(before: str, after: str, is_korean: bool) -> None:
    assert (not_korean(before, after) is None) == is_korean


SAMPLES = st.dictionaries(st.text(max_size=4), st.integers(1, 1000), max_size=30)


@given(SAMPLES, st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]), st.randoms())
def test_share(sizes: dict[str, int], n_others: int, most: float, order: Any) -> None:
    surplus = over_share(sizes.items(), n_others, most)
    shuffled = list(sizes.items())
    order.shuffle(shuffled)
    assert over_share(shuffled, n_others, most) == surplus
    kept = sum(size for name, size in sizes.items() if name not in surplus)
    assert kept <= most * (kept + n_others) + 1e-6
    for name in surplus:  # none of them would have found room
        assert kept + sizes[name] > most * (kept + sizes[name] + n_others) - 1e-6


def test_share_is_used_up_and_drawn() -> None:
    sizes = [(f"t{number}", 10) for number in range(100)]
    surplus = over_share(sizes, 700, 0.3)
    assert len(surplus) == 70
    assert surplus != over_share(sizes, 700, 0.3, seed=1)
    assert surplus != {f"t{number}" for number in range(30, 100)}
