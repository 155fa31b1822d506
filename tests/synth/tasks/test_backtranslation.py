"""Instructions for documents, and documents as answers."""

from typing import Any

import orjson
import pytest

from synth.samples import Ask, Item
from synth.tasks.backtranslation import Backtranslation
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, setting

TEXT = (
    "홈 > 살림 > 요리\n\n된장은 항아리에 담아 볕이 드는 곳에 둡니다. 소금물의 농도는 18%가 알맞습니다.\n\n"
    "메주를 건지는 때는 담근 지 40일에서 60일 사이입니다.\n\nCopyright 2019 살림살이. All rights reserved."
)
ITEM = Item("d1", TEXT, "ko", license="CC-BY-4.0")
ASKED = "집에서 된장을 담그고 싶은데, 소금물 농도와 메주 건지는 때를 알려 주세요."
ANSWER = "1. 소금물은 18%로 맞춥니다.\n2. 메주는 담근 지 40~60일 사이에 건집니다."
SCRIPT: dict[str, Any] = {
    "instruct": {"instruction": ASKED},
    "tidy": ANSWER,
    "score": {"reason": "빠짐없이 답했다.", "score": 4},
}


def played(script: dict[str, Any] | None = None, item: Item = ITEM, **task: Any) -> Played:
    made = Backtranslation(setting(manifest({"kind": "backtranslation", "attempts": 2} | task)))

    def say(ask: Ask) -> Any:
        return (SCRIPT | (script or {}))[ask.template.split("/")[1].split("_")[0]]

    return play(made, item, say)


def test_a_document_becomes_an_answer() -> None:
    found = played()
    (sample,) = found.kept
    assert [(one.role, one.content) for one in sample.prompt + sample.answer] == [
        ("user", ASKED),
        ("assistant", ANSWER),
    ]
    assert sample.numbers == {"score": 4}
    assert [ask.template for ask in sample.made_by] == [
        f"backtranslation/{name}_ko" for name in ("tidy", "instruct", "score")
    ]
    assert TEXT in found.asks[0].request.messages[-1][1]
    assert TEXT not in found.asks[2].request.messages[-1][1]
    assert orjson.loads(found.asks[2].request.sampling)["temperature"] == 0


def test_long_documents_end_with_a_paragraph() -> None:
    found = played({"tidy": "소금물은 18%로 맞춥니다."}, max_chars=100)
    shown = found.asks[0].request.messages[-1][1]
    assert "60일 사이입니다.\n</글>" in shown
    assert "Copyright" not in shown


def test_low_scores_are_rejected_with_them() -> None:
    (sample,) = played({"score": {"reason": "광고다.", "score": 3}}).samples
    assert sample.rejection is not None
    assert (sample.rejection.reason, sample.rejection.value, sample.rejection.threshold) == ("score", 3, 4)
    assert sample.rejection.detail == "광고다."
    assert sample.answer[0].content == ANSWER
    assert played({"score": {"reason": "광고다.", "score": 3}}, min_score=3).kept


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"instruct": {"instruction": "이 글을 요약해 주세요."}}, "points_to_document"),
        ({"instruct": {"instruction": "How is soybean paste made at home?"}}, "language"),
        ({"instruct": {"instruction": ""}}, "schema"),
        ({"instruct": ASKED}, "not_json"),
        ({"tidy": "본문에 따르면 18%입니다."}, "points_to_document"),
        ({"tidy": "소금물은 20%로 맞춥니다."}, "ungrounded"),
        ({"tidy": Answer("소금물은", "length")}, "cut"),
        ({"score": {"reason": "좋다", "score": 6}}, "schema"),
        ({"score": {"score": 5}}, "schema"),
    ],
)
def test_not_kept(script: dict[str, Any], reason: str) -> None:
    assert played(script).reasons == [f"task:{reason}"]


@pytest.mark.parametrize(
    "said",
    ["이 글자를 어떻게 읽나요?", "이글루를 만드는 법을 알려 줘.", "글쓰기를 배우고 싶어.", "일본문화를 설명해 줘."],
)
def test_words_that_only_look_like_it(said: str) -> None:
    assert played({"instruct": {"instruction": said}}).kept


def test_english() -> None:
    item = Item("e", "Salt water of 18 percent is best.", "en")
    script = {"instruct": {"instruction": "How salty should the water be?"}, "tidy": "18 percent is best."}
    assert played(script, item).kept[0].language == "en"
    script["instruct"] = {"instruction": "Sum up the text above, please."}
    assert played(script, item).reasons == ["task:points_to_document"]
