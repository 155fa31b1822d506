"""`onggi synth --plan`: what a run would ask first, what of it is answered, and what is wrong, with nobody asked."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import onggi
from manifests.errors import RequestError
from manifests.load import load_kind
from manifests.schema_synthesis import SynthesisManifest
from synth.outlook import Outlook, Part, n_tokens, outlook
from synth.pipeline import synthesize
from tests.conftest import REPOSITORY
from tests.synth.chat_server import ChatServer
from tests.synth.scripted import manifest

QUESTIONS: list[dict[str, Any]] = [
    {"q": "사과 세 개와 배 두 개를 샀습니다. 과일은 모두 몇 개입니까?", "a": "5", "id": "a", "l": "ko"},
    {"q": "What is six times seven?", "a": "42", "id": "b", "l": "en"},
    {"q": "What is nine plus one?", "a": "10", "id": "c", "l": "en"},
    {"q": " ", "a": "1", "id": "d", "l": "en"},
    {"q": "What is six times seven?", "a": "42", "id": "b", "l": "en"},
]
TEACHER = {
    "model": "judge-1",
    "price_input": 2.0,
    "price_output": 10.0,
    "retries": 0,
    "sampling": {"temperature": 0.7, "max_tokens": 50},
}


def written(folder: Path, url: str = "http://127.0.0.1:9/v1", **fields: Any) -> SynthesisManifest:
    """A manifest of reasoning whose seeds lie in a folder; nobody listens at the address unless it is given."""
    (folder / "q.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in QUESTIONS))
    seeds = {"path": "q.jsonl", "text": "q", "answer": "a", "id": "id", "language": "l"}
    task = fields.pop("task", {"kind": "reasoning", "samples": 2})
    teacher = TEACHER | {"url": url} | fields.pop("teacher", {})
    return manifest(task, **{"seeds": [seeds], "teacher": teacher, "gates": ["language", "near"]} | fields)


def test_a_plan_says_what_a_run_would_begin_with(tmp_path: Path) -> None:
    found = outlook(written(tmp_path), str(tmp_path))
    assert (found.n_items, found.n_seeds, found.n_blank, found.n_repeated) == (3, 3, 1, 1)
    assert found.items == [Part("en", "q", 2), Part("ko", "q", 1)]
    assert found.gates == ["language", "near", "duplicate"]
    assert found.prompts == {"reasoning/math_en": 4, "reasoning/math_ko": 2}
    asked = found.asked["teacher"]
    assert (asked.n_requests, asked.n_kept, asked.n_output_tokens_max) == (6, 0, 300)
    assert asked.cost_max == pytest.approx((asked.n_prompt_tokens * 2 + 300 * 10) / 1e6)
    assert not (tmp_path / "out").exists()


def test_what_is_answered_is_not_to_pay_again(tmp_path: Path) -> None:
    with ChatServer(lambda body, n: "So it is 42.") as server:
        found = written(tmp_path, server.url)
        first = outlook(found, str(tmp_path)).asked["teacher"]
        assert server.bodies == []
        synthesize(found, str(tmp_path))
        sent = len(server.bodies)
    assert sent == first.n_requests  # of reasoning the first requests are all
    before = sorted(path.name for path in (tmp_path / "out").rglob("*"))
    again = outlook(found, str(tmp_path)).asked["teacher"]
    assert (again.n_requests, again.n_kept, again.cost_max) == (6, 6, 0)
    more = outlook(written(tmp_path, task={"kind": "reasoning", "samples": 3}), str(tmp_path)).asked["teacher"]
    assert (more.n_requests, more.n_kept, more.n_output_tokens_max) == (9, 6, 150)
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == before  # nor anything of SQLite's


def test_answers_that_were_recorded_are_there(tmp_path: Path) -> None:
    from synth.teachers.answers import AnswerStore

    with ChatServer(lambda body, n: "It is 42.") as server:
        synthesize(written(tmp_path, server.url), str(tmp_path))
    with AnswerStore(tmp_path / "out/answers.sqlite") as store:
        (tmp_path / "kept.jsonl").write_bytes(b"".join(store.lines()))
    replayed = written(tmp_path, teacher={"url": None, "replay": "kept.jsonl"}, output="again")
    assert outlook(replayed, str(tmp_path)).asked["teacher"].n_kept == 6


def test_a_judge_is_counted_by_itself_and_the_teacher_where_there_is_none(tmp_path: Path) -> None:
    task = {"kind": "preferences", "samples": 2}
    alone = outlook(written(tmp_path, task=task), str(tmp_path))
    assert set(alone.asked) == {"teacher"}
    judge = {"model": "judge-2", "url": "http://127.0.0.1:9/v1"}
    both = outlook(written(tmp_path, task=task, judge=judge), str(tmp_path))
    assert (both.asked["teacher"].n_requests, both.asked["judge"].n_requests) == (6, 0)


def test_items_that_ask_nothing_say_why(tmp_path: Path) -> None:
    found = outlook(written(tmp_path, task={"kind": "reasoning", "answer": "choice"}), str(tmp_path))
    assert found.unasked == {"verify: bad_gold": 3}
    assert found.asked["teacher"].n_requests == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seeds": [{"path": "none.jsonl"}]}, "none.jsonl: there is no such file"),
        ({"seeds": [{"path": "q.jsonl", "text": "question"}]}, "has no column `question` \\(seeds.text\\)"),
        ({"gates": [{"gate": "decontaminate", "against": ["none.jsonl"]}]}, "none.jsonl"),
        ({"gates": [{"gate": "score", "by": "classifier", "model": "none", "min": 3}]}, "none"),
        ({"teacher": {"api_key": "ONGGI_NO_SUCH_KEY"}}, "the environment has no ONGGI_NO_SUCH_KEY"),
        ({"teacher": {"url": None, "replay": "none.jsonl"}}, "none.jsonl: recorded answers cannot be read"),
        (
            {"seeds": [{"path": "q.jsonl", "text": "q", "where": "lang = 'ko'"}]},
            r"no column `lang` \(seeds\.where\)",
        ),
        ({"seeds": [{"path": "q.jsonl", "text": "q", "where": "l = 'fr'"}]}, "seeds: no row is left to work on"),
        ({"output": "q.jsonl"}, "output: .*q.jsonl: is a file; name a folder"),
        ({"output": "s3://bucket/run"}, "s3://bucket/run: synthetic data is made on local disk"),
        ({"task": {"kind": "self_instruct", "shown": 9}}, "task.shown is 9, and there are 3 seeds"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_paid(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        outlook(written(tmp_path, **fields), str(tmp_path))


def test_a_run_says_so_too(tmp_path: Path) -> None:
    found = written(tmp_path)
    with pytest.raises(RequestError, match=r"output: .*q\.jsonl: is a file; name a folder"):
        synthesize(found, str(tmp_path), str(tmp_path / "q.jsonl"))
    with pytest.raises(RequestError, match=r"output: .*q\.jsonl/out: cannot be made: Not a directory"):
        synthesize(found, str(tmp_path), str(tmp_path / "q.jsonl/out"))
    (tmp_path / "q.jsonl").write_text('{"q": " ", "a": "1", "id": "d", "l": "en"}\n')
    with pytest.raises(RequestError, match=r"no row is left to work on: .* seeds.text \(1 rows have none\)"):
        synthesize(found, str(tmp_path))


def test_a_folder_that_a_run_would_not_touch_is_said(tmp_path: Path) -> None:
    (tmp_path / "out/messages").mkdir(parents=True)
    with pytest.raises(RequestError, match="holds messages"):
        outlook(written(tmp_path), str(tmp_path))


def test_the_first_run_of_the_guide_is_ready_to_run(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs/synthetic-data.md").read_text("utf-8")
    (questions,) = re.findall(r"```json\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "questions.jsonl").write_text(questions, "utf-8")
    (tmp_path / "first.yaml").write_text(re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)[0], "utf-8")
    found = outlook(load_kind(SynthesisManifest, str(tmp_path / "first.yaml")), str(tmp_path))
    assert found.items == [Part("en", "questions", 1), Part("ko", "questions", 2)]
    assert found.asked["teacher"].n_requests == 12
    assert found.unasked == {}


@given(st.text())
def test_tokens_grow_with_the_text_and_are_no_more_than_its_characters(text: str) -> None:
    assert 0 <= n_tokens(text) <= len(text)
    assert n_tokens(text + text) >= n_tokens(text)


def test_korean_has_more_tokens_per_character() -> None:
    korean, english = "서울에서 기차를 타고 두 시간을 갔습니다. " * 10, "It took two hours by train. " * 10
    assert len(korean) / n_tokens(korean) == pytest.approx(1.8, abs=0.2)
    assert len(english) / n_tokens(english) == pytest.approx(4, abs=0.1)


def test_the_command_prints_a_plan(tmp_path: Path) -> None:
    found = written(tmp_path)
    (tmp_path / "m.yaml").write_bytes(orjson.dumps(found.model_dump(mode="json", exclude_none=True)))
    runner = CliRunner()
    shown = runner.invoke(onggi.app, ["synth", str(tmp_path / "m.yaml"), "--plan"])
    assert shown.exit_code == 0, shown.output
    for part in ("3 items of 3 seeds (1 blank, 1 repeated left out)", "6 requests to begin with", "Gates: language"):
        assert part in shown.stdout
    as_json = runner.invoke(onggi.app, ["synth", str(tmp_path / "m.yaml"), "--plan", "--json"])
    value = orjson.loads(as_json.stdout)
    assert set(value) == set(Outlook.__dataclass_fields__)
    assert value["asked"]["teacher"]["n_requests"] == 6
    assert not (tmp_path / "out").exists()
