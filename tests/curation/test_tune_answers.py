"""A person's answers: asked for once, kept through kills, refused where they are no answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curation.tune import Document
from curation.tune_answers import Log, ask, log_of, read_answers
from manifests.errors import RequestError
from manifests.store import Folder

DOCUMENTS = [Document(f"{i:032x}", 0, i / 40, i % 10, 3.0, "s", None, "ko", f"text {i}") for i in range(40)]


def told(said: str) -> Callable[[], Any]:
    """What is said, from the letters of its keys."""
    words = {"k": "keep", "d": "drop", "s": "skip", "b": "back", "q": "quit"}
    letters = iter(said)
    return lambda: words[next(letters)]


def test_answers_are_kept_and_asked_for_once(tmp_path: Path) -> None:
    documents, shown, before = DOCUMENTS, list[int](), list[str | None]()

    def show(place: int, document: Document, answer: str | None) -> None:
        assert document is documents[place]
        shown.append(place)
        before.append(answer)

    log = Log(tmp_path / "tune/grade.jsonl")
    assert not ask(documents, log, show, told("kdsbbkq"))
    assert shown == [0, 1, 2, 3, 2, 1, 3]
    assert before == [None, None, None, None, "skip", "drop", None]
    again = Log(log.path)
    assert again.answers == log.answers
    assert [again.answers[document.key] for document in documents[:3]] == ["keep", "keep", "skip"]
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["answer"] for line in lines] == ["keep", "drop", "skip", "keep"]
    assert lines[0] == {
        "id": documents[0].id,
        "copy": 0,
        "value": documents[0].value,
        "bin": documents[0].bin,
        "answer": "keep",
    }
    shown.clear()
    assert ask(documents, again, show, told("k" * 37))
    assert shown == list(range(3, 40))


def test_a_torn_line_costs_one_answer(tmp_path: Path) -> None:
    documents, path = DOCUMENTS, tmp_path / "a.jsonl"
    log = Log(path)
    for document in documents[:3]:
        log.append(document, "keep")
    path.write_bytes(path.read_bytes()[:-20])
    log = Log(path)
    assert len(log.answers) == 2
    log.append(documents[2], "drop")
    assert (
        Log(path).answers
        == log.answers
        == {document.key: a for document, a in zip(documents[:3], ("keep", "keep", "drop"), strict=True)}
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":1: is no JSON"),
        ('{"id": 3}', "expected an object"),
        ('{"id": "a", "answer": "yes"}', "'yes'; expected one"),
    ],
)
def test_wrong_answer_files_are_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(RequestError, match=message):
        read_answers(tmp_path / "a.jsonl")
    with pytest.raises(RequestError, match="cannot be read"):
        read_answers(tmp_path / "b.jsonl")


def test_answers_lie_in_the_run(tmp_path: Path) -> None:
    run = Folder(str(tmp_path))
    assert log_of(run, "c4.lines").path == tmp_path / "tune/c4.lines.jsonl"
    assert log_of(run, "lines.a / b").path == tmp_path / "tune/lines.a___b.jsonl"
    with pytest.raises(RequestError, match="local folder"):
        log_of(Folder("memory://run"), "c4.lines")
