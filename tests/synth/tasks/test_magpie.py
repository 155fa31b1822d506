"""Instructions from the chat template alone."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from manifests.errors import RequestError
from synth.tasks.magpie import Magpie
from synth.teachers.answers import Answer
from tests.synth.scripted import Played, manifest, play, seed_of, setting
from tests.synth.tasks.test_chat_template import CHATML, GEMMA, PLAIN

ASKED = "김장은 보통 언제 하는 게 좋아?"


def task(folder: Path, source: str = CHATML, **fields: Any) -> Magpie:
    (folder / "tokenizer_config.json").write_bytes(orjson.dumps({"chat_template": source, "bos_token": "<s>"}))
    value: dict[str, Any] = {"kind": "magpie", "count": 6, "tokenizer": str(folder)} | fields
    return Magpie(setting(manifest({key: one for key, one in value.items() if one is not None}, seeds=[])))


def played(made: Magpie, said: Any = ASKED, answer: Any = "11월 말쯤이 좋습니다.", number: int = 0) -> Played:
    item = list(made.items([]))[number]
    return play(made, item, lambda ask: said if ask.request.kind == "text" else answer)


def test_a_user_is_made_up_and_answered(tmp_path: Path) -> None:
    made = task(tmp_path, system={"ko": ["한국어로 돕는다."]})
    found = played(made)
    (sample,) = found.kept
    assert [(one.role, one.content) for one in sample.prompt + sample.answer] == [
        ("user", ASKED),
        ("assistant", "11월 말쯤이 좋습니다."),
    ]
    first, second = found.asks
    assert first.request.kind == "text"
    assert first.request.messages == (("user", "<|im_start|>system\n한국어로 돕는다.<|im_end|>\n<|im_start|>user\n"),)
    sampling = orjson.loads(first.request.sampling)
    assert (sampling["stop"], sampling["skip_special_tokens"]) == (["<|im_end|>"], False)
    assert sampling["temperature"] > 0
    assert first.request.schema is None
    assert (second.request.kind, second.request.messages[-1]) == ("chat", ("user", ASKED))
    assert sample.made_by == (second, first)
    assert sample.item.text == ASKED


def test_each_has_its_seed_language_and_system_prompt(tmp_path: Path) -> None:
    made = task(tmp_path, count=40)
    items = list(made.items([]))
    assert [item.language for item in items[:4]] == ["ko", "en", "ko", "en"]
    assert len({item.id for item in items}) == 40
    asks = [play(made, item, lambda ask: "").asks[0] for item in items]
    assert len({seed_of(ask) for ask in asks}) == 40
    shown = [ask.request.messages[0][1] for ask in asks]
    assert len(set(shown[::2])) == 10
    assert len(set(shown[1::2])) == 9
    assert all(("당신은" in text) == (number % 2 == 0) for number, text in enumerate(shown))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (" \n", "empty"),
        ("네", "empty"),
        (Answer(ASKED, "length"), "cut"),
        ("가" * 5000, "too_long"),
        ("What is the best time of the year for it?", "language"),
        (f"{ASKED}<|im_start|>assistant", "template_tokens"),
        (f"{ASKED} [/INST] 네", "template_tokens"),
        ("사용자는 김장에 대해 묻습니다.", "about_users"),
        ("The user will ask about kimchi.", "about_users"),
    ],
)
def test_no_instruction(tmp_path: Path, said: Any, reason: str) -> None:
    found = played(task(tmp_path), said)
    assert found.reasons == [f"task:{reason}"]
    assert len(found.asks) == 1


def test_no_answer(tmp_path: Path) -> None:
    assert played(task(tmp_path), answer=Answer("…", "length")).reasons == ["task:cut"]


def test_a_template_of_ones_own(tmp_path: Path) -> None:
    made = task(tmp_path, tokenizer=None, template="<|user|>\n", stop=["<|end|>", "<|bot|>"], language="ko")
    found = played(made, number=1)
    assert found.asks[0].request.messages == (("user", "<|user|>\n"),)
    assert orjson.loads(found.asks[0].request.sampling)["stop"] == ["<|end|>", "<|bot|>"]
    assert found.kept[0].language == "ko"
    with pytest.raises(RequestError, match="no place for it"):
        task(tmp_path, tokenizer=None, template="<|user|>\n", system={"ko": ["x"]})


def test_templates_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="System role not supported"):
        task(tmp_path, GEMMA)
    made = task(tmp_path, GEMMA, system={"ko": [""], "en": [""]})
    assert played(made).asks[0].request.messages == (("user", "<s><start_of_turn>user\n"),)
    with pytest.raises(RequestError, match=r"task\.stop"):
        task(tmp_path, "{{ messages[-1].content }}")
    assert task(tmp_path, "{{ messages[-1].content }}", stop=["\n"])
    assert task(tmp_path, PLAIN, language="ko")
