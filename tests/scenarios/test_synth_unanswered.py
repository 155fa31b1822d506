"""Runs of which a part has no answer: another run asks for just that."""

import json
from pathlib import Path
from typing import Any

from synth.pipeline import synthesize
from tests.synth.chat_server import ChatServer
from tests.synth.scripted import manifest


def test_a_gate_whose_judge_was_gone_is_asked_again(tmp_path: Path) -> None:
    is_gone = [True]

    def say(body: dict[str, Any], _: int) -> Any:
        if "response_format" not in body:
            return f"옹기는 그릇입니다. {body['messages'][-1]['content']}"
        shown = body["messages"][-1]["content"]
        return (503, {}) if is_gone[0] and "1번" in shown else json.dumps({"reason": "맞다.", "score": 9})

    rows = [{"text": f"{number}번 질문입니다.", "language": "ko"} for number in range(3)]
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with ChatServer(say) as server:
        found = manifest(
            {"kind": "multi_turn", "turns": [1, 1]},
            seeds=[{"path": "seeds.jsonl", "language": "language"}],
            teacher={"model": "judge-1", "url": server.url, "retries": 0},
            gates=[{"gate": "score", "by": "judge", "min": 5}],
        )
        record, _ = synthesize(found, str(tmp_path))
        assert (record.n_unanswered, record.counts["kept"]) == (1, 2)
        assert record.rejected == {"score": {"no_answer": 1}}
        assert record.unanswered_why == f"{server.url}: 503 {{}} (asked 1 times)"
        is_gone[0] = False
        record, _ = synthesize(found, str(tmp_path))
        assert (record.n_unanswered, record.counts["kept"]) == (0, 3)
        assert record.usage["teacher"]["n_paid"] == 1
