"""Whole runs of the tasks that ask a judge, part documents or hold conversations, over a server on the loopback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synth.pipeline import synthesize
from tests.synth.chat_server import ChatServer
from tests.synth.scripted import manifest

DOCUMENT = (
    "옹기는 흙으로 빚어 1,200도에서 구운 그릇이다. 그릇의 벽에 아주 작은 구멍이 있어 공기가 드나들고, 그래서 장과 "
    "김치를 익히기에 좋다. 지금도 전국에 옹기를 굽는 마을이 세 곳 남아 있다. 마을마다 흙과 유약이 달라 "
    "그릇의 빛깔도 다르다."
)
ANEW = (
    "한국의 전통 그릇인 옹기는 흙을 빚은 다음 가마에 넣어 섭씨 1200도로 만든다. 벽면의 미세한 틈으로 바람이 "
    "통하므로 발효 음식을 담아 두는 데 알맞다. 오늘날 이를 생산하는 고장은 3곳이고, 원료인 점토와 겉에 바르는 "
    "유약이 달라 색으로 산지를 안다."
)
SYSTEMS = {
    "어울리는 것을 골라 고루": {
        "pairs": [{"question": "옹기는 무엇입니까?", "answer": "흙으로 빚어 높은 온도의 가마에서 구운 그릇이다." * 6}]
    },
    "실제로 던질 법한 질문": {
        "questions": ["옹기는 몇 도에서 굽나요?", "옹기가 장을 익히기에 좋은 까닭은 무엇인가요?"]
    },
    "답이 없는 질문을 쓴다": {"questions": ["옹기는 언제 처음 만들었나요?"]},
    "문서에만 근거해": "1,200도에서 굽는다고 합니다.",
    "다시 읽는다": "고칠 데가 없다.",
    "자기 답변을 고쳐 쓴다": "옹기는 1,200도에서 굽습니다.",
    "나쁜 답변을 만든다": "옹기는 800도에서 굽습니다.",
    "백과사전 문체": ANEW,
    "짧고 알차게": ANEW.replace("3곳", "4곳"),
}


def say(body: dict[str, Any], _: int) -> Any:
    """What a capable teacher and a strict judge would say."""
    system = body["messages"][0]["content"]
    shown = body["messages"][-1]["content"]
    if "채점자다" in system:
        score = 2 if "800도" in shown.rpartition("<<<")[2] or "모릅니다" in shown else 10
        return json.dumps({"reason": "문서와 맞추어 보았다.", "score": score}, ensure_ascii=False)
    if "챗봇과 이야기하고 있는 사용자" in system:
        return f"그렇다면 {shown.count('[사용자]')}번째로 궁금한 것은 무엇일까요?"
    said = next((said for part, said in SYSTEMS.items() if part in system), None)
    if said is None:
        seed, n_turns = body["seed"], sum(turn["role"] == "user" for turn in body["messages"])
        return f"옹기에 대한 {n_turns}번째 대답입니다." if seed == 0 else f"저는 그 {seed}가지를 모릅니다."
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """Runs a task over one document and gives the rows of its tables."""

    def run(task: dict[str, Any], seed: dict[str, Any], answers: Any = say) -> dict[str, list[dict[str, Any]]]:
        (tmp_path / "seeds.jsonl").write_text(json.dumps({"id": "d1", "language": "ko", **seed}) + "\n", "utf-8")
        with ChatServer(answers) as server:
            model = {"model": "judge-1", "url": server.url}
            columns = {"path": "seeds.jsonl", "id": "id", "language": "language"}
            found = manifest(task, seeds=[columns], teacher=model, reward={**model, "model": "judge-2"})
            synthesize(found, str(tmp_path), str(tmp_path / "out"))
        folders = [path for path in (tmp_path / "out").iterdir() if list(path.glob("*.parquet"))]
        return {path.name: pl.read_parquet(path / "*.parquet").to_dicts() for path in folders}

    return run


Run = Callable[..., dict[str, list[dict[str, Any]]]]


def test_grounded_questions(run: Run) -> None:
    tables = run({"kind": "grounded_qa", "per_document": 2}, {"text": DOCUMENT})
    assert "rejected" not in tables
    assert len(tables["messages"]) == len(tables["preference"]) == 2
    for row in tables["messages"]:
        user, assistant = row["messages"]
        assert DOCUMENT in user["content"] and assistant["content"] == "옹기는 1,200도에서 굽습니다."
        assert (row["first_score"], row["second_score"]) == (10, 10)
        assert row["provenance"]["parent"] == "d1"
    assert all(row["rejected"][0]["content"] == "옹기는 800도에서 굽습니다." for row in tables["preference"])
    assert {row["rejected_score"] for row in tables["preference"]} == {2}


def test_documents_written_anew(run: Run) -> None:
    styles = {"high": ["wikipedia", "distill", "diverse_qa"]}
    text = f"{DOCUMENT}\n\n{DOCUMENT.replace('1,200도', '1200 도')}"
    tables = run({"kind": "rewrite", "styles": styles, "chunk_words": 50}, {"text": text})
    assert [row["variety"] for row in tables["text"]] == ["wikipedia", "diverse_qa"] * 2
    assert {row["provenance"]["item"] for row in tables["text"]} == {"d1/0", "d1/1"}
    assert {row["provenance"]["parent"] for row in tables["text"]} == {"d1"}
    assert [row["rejection"]["reason"] for row in tables["rejected"]] == ["new_number"] * 2


def test_conversations(run: Run) -> None:
    tables = run({"kind": "multi_turn", "turns": [3, 3]}, {"text": "옹기가 뭔가요?"})
    (row,) = tables["messages"]
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"] * 3
    assert row["n_turns"] == 3


@pytest.mark.parametrize("by", ["judge", "reward"])
def test_preferences(run: Run, by: str) -> None:
    def answers(body: dict[str, Any], n_before: int) -> Any:
        if body["model"] != "judge-2":
            return say(body, n_before)
        is_bad = "모릅니다" in body["messages"][-1]["content"]
        return {"data": [{"index": 0, "probs": [-3.5 if is_bad else 2.25]}]}

    tables = run({"kind": "preferences", "by": by}, {"text": "옹기가 뭔가요?"}, answers)
    (row,) = tables["preference"]
    assert row["chosen"] == [{"role": "assistant", "content": "옹기에 대한 1번째 대답입니다."}]
    assert "모릅니다" in row["rejected"][0]["content"]
    assert row["margin"] == (8 if by == "judge" else 5.75)
