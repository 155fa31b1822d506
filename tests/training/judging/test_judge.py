"""A judge that is right, wrong, silent, cut off or gone: what comes of it, and that nothing is lost or paid twice."""

import os
import signal
import subprocess
import sys
import time
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RequestError, RunError
from synth.teachers import courier_process
from synth.teachers.answers import AnswerStore
from tests.conftest import REPOSITORY
from tests.synth.chat_server import ChatServer
from tests.training.judging.judged_rows import (
    LOGICKOR,
    MT_BENCH,
    WILDBENCH,
    honest,
    judged_of,
    save,
    shown,
    transcripts,
    worth,
)
from training.judging.judge import judge


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_process, "BACKOFF_S", 0.001)


def many(n: int) -> list[dict[str, Any]]:
    categories = ("writing", "math", "stem")
    return [{"id": i, "category": categories[i % 3], "turns": [f"first {i}", f"second {i}"]} for i in range(n)]


def test_scores_by_turn_and_category(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    points = [[8, 6], [10, 1], [3, 5], [7, 8]]
    steps = list[tuple[float, float]]()
    with ChatServer(honest) as server:
        judged = judged_of("mt-bench", server.url)
        said = transcripts(judged, tmp_path, lambda n, turn: f"worth {points[n][turn]}")
        found, items = judge(
            judged,
            {"m": said},
            str(tmp_path),
            str(tmp_path),
            progress=lambda _, done, total, __="": steps.append((done, total)),
        )["m"]
    assert (found.name, found.kind, found.side, found.main, found.why) == ("mt-bench", "judged", "chat", "score", "")
    assert {name: score.value for name, score in found.scores.items()} == {"score": 6, "turn_1": 7, "turn_2": 5}
    assert {name: score.value for name, score in found.groups.items()} == {
        "math": 5.5,
        "reasoning": 4,
        "stem": 7.5,
        "writing": 7,
    }
    assert found.units == [7, 5.5, 4, 7.5]
    score = found.scores["score"]
    assert score.n == 8
    assert score.low is not None and score.high is not None
    assert 4 <= score.low < 6 < score.high <= 7.5
    assert found.settings["judge"] == "judge-1"
    assert found.settings["prompt"] == "score_en"
    assert [item.score for item in items] == [8, 6, 10, 1, 3, 5, 7, 8]
    assert (items[2].id, items[2].group, items[2].expected, items[2].answer) == (
        "111",
        "math, turn 1",
        "42",
        "worth 10",
    )
    assert items[2].note == "Looked at it.\nScore: [[10]]"
    assert steps == [(n, 8) for n in range(1, 9)]


def test_what_the_judge_is_shown(tmp_path: Path) -> None:
    """The turn to be graded is the last; the second is shown with the first, and with the references of both."""
    save(tmp_path, LOGICKOR)
    with ChatServer(honest) as server:
        judged = judged_of("logickor", server.url)
        said = transcripts(judged, tmp_path, lambda n, turn: f"<think>숨은 생각</think>답 {n}-{turn} worth 5")
        judge(judged, {"m": said}, str(tmp_path), str(tmp_path))
    by_user = {shown(body): body["messages"][0]["content"] for body in server.bodies}
    first = next(text for text in by_user if "답 0-0" in text and "답 0-1" not in text)
    second = next(text for text in by_user if "답 0-1" in text)
    assert "[모범 답안]\n<<<\n7\n>>>" in first
    assert "그 제곱은?" not in first
    assert all(part in second for part in ("3과 4의 합은?", "답 0-0", "그 제곱은?", "[모범 답안]\n<<<\n49\n>>>"))
    assert second.index("답 0-0") < second.index("[채점할 답변]\n<<<\n답 0-1")
    assert not any("숨은 생각" in text for text in by_user)
    assert "대화는 2번 오간다" in by_user[second]
    assert "대화는" not in by_user[first]
    without = next(system for text, system in by_user.items() if "답 1-0" in text)
    assert "모범 답안" in by_user[first]
    assert "모범 답안" not in without
    assert {(body["temperature"], body["seed"]) for body in server.bodies} == {(0.0, 0)}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("Certainly! A fine answer.", "no_verdict"),
        ("[[11]]", "out_of_range"),
        ({"message": {"content": "[[7]]"}, "finish_reason": "length"}, "cut"),
        ({"message": {"content": None, "refusal": "I will not."}, "finish_reason": "stop"}, "refused"),
        ((400, {"error": {"message": "too long"}}), "refused_request"),
    ],
)
def test_what_cannot_be_read_is_asked_again_and_left_out(tmp_path: Path, bad: Any, reason: str) -> None:
    """Of ten answers one never gets a verdict, and one only at the third try."""
    save(tmp_path, many(5))

    def say(body: dict[str, Any], n_before: int) -> Any:
        if "worth 9" in shown(body).rpartition("[answer to grade]")[2]:
            return bad
        if "worth 8" in shown(body).rpartition("[answer to grade]")[2] and n_before < 2:
            return "Well."
        return honest(body, n_before)

    points = [[9, 4], [8, 4], [4, 4], [4, 4], [4, 4]]
    with ChatServer(say) as server:
        judged = judged_of("mt-bench", server.url)
        said = transcripts(judged, tmp_path, lambda n, turn: f"worth {points[n][turn]}")
        found, items = judge(judged, {"m": said}, str(tmp_path), str(tmp_path))["m"]
        n_sold = server.sold.total()
        assert judge(judged, {"m": said}, str(tmp_path), str(tmp_path))["m"][0] == found
        assert server.sold.total() == n_sold, "nothing is paid twice, readable or not"
    assert found.scores["score"].value == pytest.approx((8 + 8 * 4) / 9)
    assert (found.scores["score"].n, found.scores["turn_1"].n) == (9, 4)
    assert found.units == [4, 6, 4, 4, 4]
    note = next(note for note in found.notes if "cannot be read" in note)
    assert note == f"1 of 10 verdicts of the judge cannot be read ({reason} 1); they are left out of the means"
    assert isnan(items[0].score)
    assert items[0].note.startswith(f"[cannot be read: {reason}]\n")
    assert {"no_verdict": "fine answer", "refused": "I will not", "refused_request": "too long"}.get(
        reason, "[["
    ) in items[0].note
    asked = [body for body in server.bodies if "worth 9" in shown(body).rpartition("[answer to grade]")[2]]
    if reason == "refused_request":  # which is no answer, so that each run asks once
        assert [body["seed"] for body in asked] == [0, 0]
    else:
        assert [(body["seed"], body["temperature"]) for body in asked] == [(0, 0.0), (1, 0.5), (2, 0.5), (3, 0.5)]


def test_a_judge_that_answers_rubbish(tmp_path: Path) -> None:
    """There is no score, and why is said; all that it answered is there."""
    save(tmp_path, many(6))

    def say(body: dict[str, Any], n_before: int) -> Any:
        return "음... 글쎄요." if "first" in shown(body) and "second" not in shown(body) else "[[6]]"

    with ChatServer(say) as server:
        judged = judged_of("mt-bench", server.url)
        said = transcripts(judged, tmp_path, lambda n, turn: f"answer {n} {turn}")
        found, items = judge(judged, {"m": said}, str(tmp_path), str(tmp_path))["m"]
    assert (found.scores, found.units, found.score) == ({}, [], None)
    assert found.why.startswith("6 of 12 verdicts of the judge cannot be read (no_verdict 6), more than a fifth")
    assert [item.score for item in items][1::2] == [6] * 6
    assert items[0].note == "[cannot be read: no_verdict]\n음... 글쎄요."
    with AnswerStore(tmp_path / "answers.sqlite") as store:
        assert len(store) == 6 + 6 * 4


def test_a_fifth_may_be_missing_and_no_more(tmp_path: Path) -> None:
    save(tmp_path, [{"id": i, "turns": [f"q {i}"]} for i in range(10)])
    for n_bad in (2, 3):
        with ChatServer(lambda body, _, n=n_bad: "?" if worth(body)[-1] < n else "[[5]]") as server:
            judged = judged_of("mt-bench", server.url)
            said = transcripts(judged, tmp_path, lambda n, _: f"worth {n}")
            folder = tmp_path / str(n_bad)
            assert bool(judge(judged, {"m": said}, str(tmp_path), str(folder))["m"][0].why) == (n_bad == 3)


def test_two_models_with_the_same_answer_pay_once(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    with ChatServer(honest) as server:
        judged = judged_of("mt-bench", server.url)
        said = transcripts(judged, tmp_path, lambda n, turn: f"worth {n + 3}")
        found = judge(judged, {"a": said, "b": said}, str(tmp_path), str(tmp_path))
    assert found["a"] == found["b"]
    assert server.sold.total() == 8


# Benchmarks with scores of their own


def test_wild_bench(tmp_path: Path) -> None:
    """WB-Score of three questions, computed by hand; the checklist and what was said before are shown."""
    save(tmp_path, WILDBENCH)
    points = [9, 6, 4]
    with ChatServer(honest) as server:
        judged = judged_of("wildbench", server.url)
        said = transcripts(judged, tmp_path, lambda n, _: f"worth {points[n]}")
        found, _ = judge(judged, {"m": said}, str(tmp_path), str(tmp_path))["m"]
    groups = {
        "Creative Tasks": -20.0,
        "Information/Advice seeking": 80.0,
        "Planning & Reasoning": 80.0,
        "Coding & Debugging": 20.0,
    }
    assert {name: score.value for name, score in found.groups.items()} == groups
    expected = (0.5 * -20 + 0.75 * 80 + 1.25 * 80 + 1.25 * 20) / (0.5 + 0.75 + 1.25 + 1.25)
    assert found.main == "wb_score"
    assert found.scores["wb_score"].value == pytest.approx(expected)
    assert found.scores["wb_score"].n == 3
    assert found.scores["score"].value == pytest.approx(19 / 3)
    assert sum(found.units) / 3 == pytest.approx(expected)
    bees = next(text for text in server.asked if "Plan my spring." in text)
    assert bees.index("I keep bees.") < bees.index("Lovely!") < bees.index("Plan my spring.")
    assert "- Does it name months?\n- Is swarming treated?" in bees


def test_komt_bench_takes_the_root_where_an_answer_is_not_korean(tmp_path: Path) -> None:
    korean = "독에 담근 장은 겨울을 나며 천천히 익어 갑니다. worth 9"
    english = "The paste ripens slowly in its jar all through the winter. worth 9"
    answers = [korean, english, english, "```python\nprint(1)  # worth 9\n```"]
    rows = [
        {"question_id": 100 + n if n != 2 else 138, "category": "writing", "turns": [f"질문 {n}"]} for n in range(4)
    ]
    save(tmp_path, rows)
    with ChatServer(honest) as server:
        judged = judged_of("komt-bench", server.url)
        said = transcripts(judged, tmp_path, lambda n, _: answers[n])
        found, items = judge(judged, {"m": said}, str(tmp_path), str(tmp_path))["m"]
    assert found.units == [9, 3, 9, 9]
    assert found.scores["score"].value == 7.5
    assert found.scores["without_penalty"].value == 9
    assert any("1 of 4 answers are not Korean" in note for note in found.notes)
    assert [item.score for item in items] == [9, 9, 9, 9]


# Held against another model


def test_wins_ties_and_losses(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    ours, theirs = [[8, 6], [5, 5], [3, 5], [7, 8]], [[4, 7], [5, 5], [4, 6], [1, 1]]
    with ChatServer(honest) as server:
        judged = judged_of("mt-bench", server.url, pairwise="base")
        both = {
            name: transcripts(judged, tmp_path, lambda n, turn, of=of: f"worth {of[n][turn]}")
            for name, of in (("m", ours), ("base", theirs))
        }
        found = judge(judged, both, str(tmp_path), str(tmp_path))
    result, items = found["m"]
    assert result.main == "win_rate"
    assert {name: score.value for name, score in result.scores.items()} == {
        "win_rate": 0.5,
        "turn_1": 0.625,
        "turn_2": 0.375,
        "wins": 3 / 8,
        "ties": 2 / 8,
        "losses": 3 / 8,
    } | {"turn_1": (1 + 0.5 + 0 + 1) / 4, "turn_2": (0 + 0.5 + 0 + 1) / 4}
    assert result.units == [0.5, 0.5, 0, 1]
    assert not result.scores["losses"].more_is_better
    assert result.settings["against"] == "base"
    assert not any("changed with the order" in note for note in result.notes)
    assert (items[0].answer, items[0].expected, items[0].score) == ("worth 8", "worth 4", 1)
    assert "[this answer as A]\nCompared.\n[[A]]" in items[0].note
    assert "[this answer as B]\nCompared.\n[[B]]" in items[0].note
    assert found["base"][0].why == "it is the model that the others are held against"


@pytest.mark.parametrize("always", ["A", "B"])
def test_a_judge_that_always_takes_the_same_place_finds_ties_alone(tmp_path: Path, always: str) -> None:
    save(tmp_path, many(20))
    with ChatServer(lambda *_: f"[[{always}]]") as server:
        judged = judged_of("mt-bench", server.url, pairwise="base")
        both = {
            name: transcripts(judged, tmp_path, lambda n, turn, name=name: f"{name} {n} {turn}")
            for name in ("m", "base")
        }
        result, items = judge(judged, both, str(tmp_path), str(tmp_path))["m"]
    score = result.scores["win_rate"]
    assert (score.value, score.low, score.high) == (0.5, 0.5, 0.5)
    assert result.scores["ties"].value == 1
    assert result.units == [0.5] * 20
    assert {item.score for item in items} == {0.5}
    n_first = 80 if always == "A" else 0
    assert any(
        note == "the verdict changed with the order in 40 of 40 comparisons, which count as ties; "
        f"the judge took the first answer {n_first} times and the second {80 - n_first} times"
        for note in result.notes
    )


def test_a_comparison_needs_both_orders(tmp_path: Path) -> None:
    """One that cannot be read is left out, as is a tie of a judge that wavers between a tie and a win no win."""
    save(tmp_path, [{"id": i, "turns": [f"q {i}"]} for i in range(10)])

    def say(body: dict[str, Any], n_before: int) -> str:
        a, b = worth(body)
        if {a, b} == {0, 100}:
            return "???" if a == 0 else "[[A]]"
        if {a, b} == {1, 101}:
            return "[[C]]" if a == 1 else "[[B]]"
        return honest(body, n_before)

    with ChatServer(say) as server:
        judged = judged_of("mt-bench", server.url, pairwise="base")
        both = {
            "m": transcripts(judged, tmp_path, lambda n, _: f"worth {n}"),
            "base": transcripts(judged, tmp_path, lambda n, _: f"worth {100 + n}"),
        }
        result, items = judge(judged, both, str(tmp_path), str(tmp_path))["m"]
    assert result.scores["win_rate"].n == 9
    assert isnan(result.units[0])
    assert result.units[1:] == [0.5] + [0.0] * 8
    assert "[cannot be read: no_verdict]\n???" in items[0].note
    assert any("1 of 10 verdicts of the judge cannot be read (no_verdict 1)" in note for note in result.notes)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    judged = judged_of("mt-bench", pairwise="base")
    said = transcripts(judged, tmp_path, lambda *_: "x")
    with pytest.raises(RequestError, match=r"judged\.mt-bench\.pairwise: there are no answers of 'base'; .*: m"):
        judge(judged, {"m": said}, str(tmp_path), str(tmp_path))


# A judge that goes away


def test_a_judge_that_dies_and_comes_back(tmp_path: Path) -> None:
    save(tmp_path, many(30))
    is_dead = False

    def say(body: dict[str, Any], n_before: int) -> Any:
        nonlocal is_dead
        is_dead = is_dead or server.sold.total() >= 25
        return (503, b"") if is_dead else honest(body, n_before)

    with ChatServer(say) as server:
        judged = judged_of("mt-bench", server.url)
        said = transcripts(judged, tmp_path, lambda n, turn: f"worth {1 + (7 * n + turn) % 10}")
        with pytest.raises(RunError, match=r"judged\.mt-bench\.judge: .*kept.*run the same command again"):
            judge(judged, {"m": said}, str(tmp_path), str(tmp_path))
        assert 25 <= server.sold.total() < 60
        server.say = honest
        found, _ = judge(judged, {"m": said}, str(tmp_path), str(tmp_path))["m"]
    assert set(server.sold.values()) == {1}
    assert server.sold.total() == 60
    assert found.scores["score"].n == 60


def test_a_single_answer_that_is_missing_ends_the_run_too(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    with ChatServer(lambda body, n: (503, b"") if "answer 2" in shown(body) else "[[5]]") as server:
        judged = judged_of("mt-bench", server.url)
        said = transcripts(judged, tmp_path, lambda n, turn: f"answer {n}")
        with pytest.raises(RunError, match=r"2 of 8 requests had no answer; the last one: .*503.* kept"):
            judge(judged, {"m": said}, str(tmp_path), str(tmp_path))
    assert server.sold.total() == 6


JUDGE = """
import sys
from pathlib import Path
from tests.training.judging.judged_rows import judged_of, transcripts
from training.judging.judge import judge
url, folder = sys.argv[1], Path(sys.argv[2])
judged = judged_of("mt-bench", url)
said = transcripts(judged, folder, lambda n, turn: f"worth {1 + (7 * n + turn) % 10}")
judge(judged, {"m": said}, str(folder), str(folder))
"""


def test_killed_and_run_again(tmp_path: Path) -> None:
    """By SIGKILL in the middle: what was on its way is kept all the same, and nothing is paid twice."""
    save(tmp_path, many(40))
    with ChatServer(honest, 0.1) as server:
        command = [sys.executable, "-c", JUDGE, server.url, str(tmp_path)]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        while server.sold.total() < 20:
            assert process.poll() is None
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        server.pause_s = 0.0
        judged = judged_of("mt-bench", server.url)
        said = transcripts(judged, tmp_path, lambda n, turn: f"worth {1 + (7 * n + turn) % 10}")
        again, _ = judge(judged, {"m": said}, str(tmp_path), str(tmp_path))["m"]
        assert set(server.sold.values()) == {1}
        assert server.sold.total() == 80
        whole, _ = judge(judged, {"m": said}, str(tmp_path), str(tmp_path / "other"))["m"]
    assert again == whole
    assert again.scores["score"].n == 80


def test_recorded_answers_are_judged_by_again(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    with ChatServer(honest) as server:
        judged = judged_of("mt-bench", server.url)
        said = transcripts(judged, tmp_path, lambda n, turn: f"worth {n + 2}")
        live = judge(judged, {"m": said}, str(tmp_path), str(tmp_path))
    with AnswerStore(tmp_path / "answers.sqlite") as store:
        (tmp_path / "recorded.jsonl").write_bytes(b"".join(store.lines()))
    judged = judged_of("mt-bench", url=None, judge={"replay": "recorded.jsonl"})
    assert judge(judged, {"m": said}, str(tmp_path), str(tmp_path / "other")) == live
    other = transcripts(judged, tmp_path, lambda n, turn: "worth 9")
    with pytest.raises(RequestError, match=r"judged\.mt-bench\.judge: .*holds no answer of judge-1"):
        judge(judged, {"m": other}, str(tmp_path), str(tmp_path / "third"))


# What is wrong before anybody is asked


def test_nobody_is_asked_where_nothing_was_answered(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    assert judge(judged_of("mt-bench"), {}, str(tmp_path), str(tmp_path)) == {}
    assert not (tmp_path / "answers.sqlite").exists()


def test_answers_to_other_questions(tmp_path: Path) -> None:
    save(tmp_path, MT_BENCH)
    judged = judged_of("mt-bench")
    said = transcripts(judged, tmp_path, lambda *_: "x")
    save(tmp_path, [MT_BENCH[0], MT_BENCH[1] | {"turns": ["What is 6 times 8?", "And half of it?"]}, *MT_BENCH[2:]])
    with pytest.raises(RequestError, match=r"m answered other questions than it holds now \(number 2: '111'"):
        judge(judged, {"m": said}, str(tmp_path), str(tmp_path))
    save(tmp_path, MT_BENCH[:3])
    with pytest.raises(RequestError, match=r"number 4: None there, '141' answered"):
        judge(judged, {"m": said}, str(tmp_path), str(tmp_path))


def test_a_key_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    save(tmp_path, MT_BENCH)
    judged = judged_of("mt-bench", judge={"api_key": "NO_KEY"})
    said = transcripts(judged, tmp_path, lambda *_: "x")
    with pytest.raises(RequestError, match=r"judged\.mt-bench\.judge: .*the environment has no NO_KEY"):
        judge(judged, {"m": said}, str(tmp_path), str(tmp_path))


def test_what_must_be_known_of_the_answers_is_noted(tmp_path: Path) -> None:
    rows = [row | {"turns": row["turns"]} for row in many(12)]
    rows[2] = {"id": "joined", "question": "a\nb\nc"}
    save(tmp_path, rows)
    with ChatServer(honest) as server:
        judged = judged_of("mt-bench", server.url, max_new_tokens=256)
        said = transcripts(judged, tmp_path, lambda n, turn: "." * 10 * (1 + n // 2) + f"worth {1 + n // 2}")
        said[0].turns[0].ended = False
        said[0].turns[1].answered = " worth 1"
        found, _ = judge(judged, {"m": said}, str(tmp_path), str(tmp_path))["m"]
    notes = "\n".join(found.notes)
    assert "1 of 23 answers were cut off at 256 tokens" in notes
    assert "1 of 12 questions were asked in one turn" in notes
    assert "4 questions of math, reasoning, coding have no reference answer" in notes
    assert "the judge gives longer answers more: Spearman +" in notes
    assert "characters on average" in notes
