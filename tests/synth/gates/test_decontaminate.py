"""The gate `decontaminate`."""

from pathlib import Path

import orjson
import pytest

from manifests.errors import RequestError
from manifests.schema_synthesis import DecontaminateGate
from synth.gates import decontaminate
from synth.gates.decontaminate import Decontaminate
from synth.gates.gate import Passed
from synth.samples import Item, Message, Rejection, Sample
from tests.synth.gates.judged import document, reasons, said, verdicts

ITEMS = [
    {
        "question": "Janet’s ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins "
        "for her friends every day with four. She sells the remainder at the farmers' market daily for $2 per fresh "
        "duck egg. How much in dollars does she make every day at the farmers' market?",
        "answer": "18",
    },
    {
        "question": "조선 시대에 훈민정음을 창제하고 집현전을 설치하여 학문을 장려하였으며, 장영실을 등용하여 "
        "측우기와 자격루를 만들게 한 임금은 누구인가?",
        "answer": "세종대왕",
    },
]


@pytest.fixture
def gate(tmp_path: Path) -> Decontaminate:
    (tmp_path / "bench.jsonl").write_bytes(b"\n".join(map(orjson.dumps, ITEMS)))
    return Decontaminate(DecontaminateGate(gate="decontaminate", against=["bench.jsonl"]), str(tmp_path))


def test_planted_items_are_found(gate: Decontaminate) -> None:
    english, korean = (str(item["question"]) for item in ITEMS)
    samples = [
        said("The answer is 18.", english),
        said("답입니다.", korean),
        said("답입니다.", korean.replace(" ", "").replace(",", "")),
        said("18", english.upper().replace(".", " -").replace(",", "")),
        said(f"문제를 하나 내 보겠습니다. {korean} 정답은 세종대왕입니다."),
        document(f"글의 앞부분입니다. {korean} 글의 뒷부분입니다."),
        said("고려를 세운 임금은 왕건입니다.", "고려를 세우고 후삼국을 통일한 임금은 누구인가?"),
        said("She makes 12 dollars.", "Janet sells 6 eggs at the market for 2 dollars each. How much does she make?"),
        said("3입니다."),
    ]
    assert reasons(gate, *samples) == ["contaminated"] * 6 + ["", "", ""]


def test_the_item_is_named(gate: Decontaminate) -> None:
    (found,) = verdicts(gate, said("18", str(ITEMS[0]["question"])))
    assert isinstance(found, Rejection)
    assert found.detail == "bench:bench/0" and found.threshold == 0.6
    assert found.value is not None and found.value > 0.9


def test_the_worse_of_a_pair_and_system_prompts_hold_none_either(gate: Decontaminate) -> None:
    text = str(ITEMS[1]["question"])
    good, bad = (Message("assistant", "좋은 답"),), (Message("assistant", text),)
    pair = Sample(Item("0", "질문"), "preference", "ko", (Message("user", "질문"),), good, bad)
    asked = Sample(Item("0", "질문"), "messages", "ko", (Message("system", text), Message("user", "응")), good)
    assert reasons(gate, pair, asked) == ["contaminated"] * 2


def test_a_weak_hit_is_measured(tmp_path: Path) -> None:
    """A question that stands there as a statement is less sure."""
    (tmp_path / "bench.jsonl").write_bytes(orjson.dumps(ITEMS[1]))
    settings = DecontaminateGate(gate="decontaminate", against=["bench.jsonl"], score=0.9)
    statement = str(ITEMS[1]["question"]).replace(" 누구인가?", "이다.")
    found = verdicts(Decontaminate(settings, str(tmp_path)), said("글", statement), said("글", "다른 문장입니다."))
    assert isinstance(found[0], Passed) and found[0].value is not None and 0.4 <= found[0].value < 0.9
    assert found[1] == Passed()


def test_many_samples_of_an_item_do_not_make_it_common(gate: Decontaminate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decontaminate, "SAMPLE_ITEMS_MIN", 20)
    monkeypatch.setattr(decontaminate, "SAMPLE_ITEMS", 25)
    others = [
        said(f"답 {n}", f"{n}번째 도시의 인구를 {n}명이라고 할 때 밀도를 구하시오.", id=str(n)) for n in range(40)
    ]
    planted = [said(f"풀이 {n}", str(ITEMS[0]["question"]), id="100") for n in range(30)]
    assert reasons(gate, *others, *planted) == [""] * 40 + ["contaminated"] * 30


@pytest.mark.parametrize(
    ("against", "message"), [("nope", "unknown benchmark 'nope'"), ("absent.jsonl", "there is no such file")]
)
def test_unknown_benchmarks_are_refused(tmp_path: Path, against: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Decontaminate(DecontaminateGate(gate="decontaminate", against=[against]), str(tmp_path))
