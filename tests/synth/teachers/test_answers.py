"""Answers on disk."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from synth.teachers.answers import Answer, AnswerStore, Entry, Request, kept_keys, read_recorded
from synth.teachers.tokens import Tokens

TOKENS = Tokens("AAAA", 1, 2, 3, "digest")
ASKED = Request((("user", "왜? 🙂"),), "{}", None)


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    answer = Answer("그래서 \u0000 🙂", "stop", None, "생각", 3, 4, score=0.5, tokens=TOKENS)
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.put([Entry("k", ASKED, answer)], "judge", "r")
        store.put([Entry("k", ASKED, Answer("another", "stop"))], "judge", "r")
        assert store.get(["k", "none"]) == {"k": answer}
    with AnswerStore(tmp_path / "a.sqlite") as store:
        assert len(store) == 1
        (tmp_path / "a.jsonl").write_bytes(b"".join(store.lines()))
    assert read_recorded(tmp_path / "a.jsonl") == {"k": answer}


def test_keys_are_looked_up_while_another_writes_and_nothing_is_left(tmp_path: Path) -> None:
    path, many = tmp_path / "a # ?.sqlite", [f"k{number}" for number in range(1200)]
    assert kept_keys(path, ["k1"]) == set()
    with AnswerStore(path) as store:
        for key in ("k1", "k1100"):  # they are in the log beside the file, and not in it
            store.put([Entry(key, ASKED, Answer("so", "stop"))], "judge", "")
        assert kept_keys(path, many) == {"k1", "k1100"}
    assert kept_keys(path, many) == {"k1", "k1100"}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_keys_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_text("no database, and long enough to be seen as none" * 20)
    with pytest.raises(RequestError, match=r"a\.sqlite: is no file of answers"):
        kept_keys(tmp_path / "a.sqlite", ["k"])


@given(st.lists(st.tuples(st.sampled_from(["system", "user"]), st.text()), min_size=1, max_size=3), st.text())
def test_a_key_depends_on_everything_that_is_asked(messages: list[tuple[str, str]], word: str) -> None:
    request = Request(tuple(messages), '{"seed":0}', None)
    others = [
        Request((*messages, ("user", word)), request.sampling, None),
        Request(request.messages, '{"seed":1}', None),
        Request(request.messages, request.sampling, "{}"),
        Request(tuple((role, f"{content}."[::1]) for role, content in messages), request.sampling, None),
    ]
    keys = {request.key("m", "r"), request.key("m", ""), request.key("n", "r"), *(o.key("m", "r") for o in others)}
    assert len(keys) == 3 + len(others)
    assert request.key("m", "r") == Request(tuple(messages), '{"seed":0}', None).key("m", "r")


def test_the_key_is_pinned() -> None:
    """Answers that were paid for years ago are found under it."""
    assert ASKED.key("judge", "r") == "f8327c4fd1e96b746f3901ec7f120b04"


def test_a_file_of_the_first_version_is_read(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        db.execute(
            "CREATE TABLE answers (key TEXT PRIMARY KEY, model TEXT NOT NULL, revision TEXT NOT NULL, "
            "request TEXT NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID"
        )
        answer = '{"text": "그래", "finish_reason": "stop", "refusal": null, "reasoning": null, "n_prompt_tokens": 3}'
        db.execute(
            "INSERT INTO answers VALUES ('k', 'judge', 'r', ?, ?)", ('[[["user", "왜?"]], "{}", null]', answer)
        )
        db.execute("PRAGMA user_version = 1")
    db.close()
    with AnswerStore(tmp_path / "a.sqlite") as store:
        assert store.get(["k"]) == {"k": Answer("그래", "stop", n_prompt_tokens=3)}
        store.put([Entry("l", ASKED, Answer("b", "stop", tokens=TOKENS))], "judge", "r")
        assert store.get(["l"])["l"].tokens == TOKENS


def test_a_file_of_a_version_to_come(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store._db.execute("PRAGMA user_version = 3")
    with pytest.raises(RequestError, match="its version is 3, and this Onggi reads those up to 2"):
        AnswerStore(tmp_path / "a.sqlite")


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(RequestError, match=r"a\.sqlite: is no file of answers"):
        AnswerStore(tmp_path / "a.sqlite")


@pytest.mark.parametrize("line", ["{", "[]", '{"key": "k"}', '{"key": "k", "answer": {"words": 1}}'])
def test_a_line_that_is_no_answer(tmp_path: Path, line: str) -> None:
    good = '{"key": "k", "answer": {"text": "a", "finish_reason": "stop"}}\n'
    (tmp_path / "a.jsonl").write_text(good + line)
    with pytest.raises(RequestError, match=r"a\.jsonl:2: is no recorded answer"):
        read_recorded(tmp_path / "a.jsonl")
    with pytest.raises(RequestError, match=r"none\.jsonl: recorded answers cannot be read: No such file"):
        read_recorded(tmp_path / "none.jsonl")
