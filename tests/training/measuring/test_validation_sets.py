"""What validation sets are read from: documents, questions, held-out sequences; and what is wrong with them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from manifests.errors import RequestError
from manifests.schema_training_gates import Validation
from tests.curation.mixture.mixtures import write_mixture
from tests.training.tiny import write_jsonl
from training.measuring.validation_sets import Question, documents_of, held_out_of, questions_of


def text_set(path: str, **more: Any) -> Validation:
    return Validation(name="en", text=path, **more)


def choice_set(path: str, **more: Any) -> Validation:
    return Validation(name="mmlu", choices=path, **more)


def question(**changes: Any) -> dict[str, Any]:
    return {"question": "1+1?", "choices": ["1", "2", "3"], "answer": 1} | changes


def test_documents_in_the_order_of_the_files(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "d" / "b.jsonl", [{"body": "셋"}, {"body": " \n"}, {"body": None}])
    pq.write_table(pa.table({"body": ["하나", "둘", ""], "other": [1, 2, 3]}), tmp_path / "d" / "a.parquet")
    found = documents_of(text_set("d", column="body"), str(tmp_path))
    assert found.texts == ["하나", "둘", "셋"]
    assert found.n_blank == 3


def test_a_limit_takes_the_same_documents_wherever_they_stand(tmp_path: Path) -> None:
    rows = [{"text": f"document {i}"} for i in range(100)]
    write_jsonl(tmp_path / "one.jsonl", rows)
    write_jsonl(tmp_path / "other.jsonl", rows[::-1])
    some = documents_of(text_set("one.jsonl", limit=10), str(tmp_path)).texts
    assert len(some) == 10
    assert some[::-1] == documents_of(text_set("other.jsonl", limit=10), str(tmp_path)).texts
    assert set(some) < set(documents_of(text_set("one.jsonl", limit=20), str(tmp_path)).texts)
    assert some != [row["text"] for row in rows[:10]]


def test_documents_that_cannot_be_read(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "x.jsonl", [{"body": "text"}])
    write_jsonl(tmp_path / "blank.jsonl", [{"text": " "}])
    write_jsonl(tmp_path / "number.jsonl", [{"text": "a"}, {"text": 2}])
    pq.write_table(pa.table({"text": [[1]]}), tmp_path / "list.parquet")
    (tmp_path / "broken.jsonl").write_text('{"text": "a"}\n{"text"\n')
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "empty.jsonl").write_text("")
    for path, said in {
        "none.jsonl": r"^validation\.en\.text: .*none\.jsonl: there is no such file",
        "x.jsonl": r"^validation\.en\.text: .*x\.jsonl: has no column `text`; found: body",
        "blank.jsonl": r"^validation\.en\.text: blank\.jsonl: no row has text in `text`",
        "empty.jsonl": r"^validation\.en\.text: empty\.jsonl: no row has text in `text`",
        "list.parquet": r"^validation\.en\.column: .*list\.parquet:1: `text` holds list; expected text",
        "broken.jsonl": r"^validation\.en\.text: .*broken\.jsonl:2: is no JSON",
        "broken.parquet": r"^validation\.en\.text: .*broken\.parquet: is no Parquet file",
    }.items():
        with pytest.raises(RequestError, match=said):
            documents_of(text_set(path), str(tmp_path))


def test_questions(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "q.jsonl", [question(answer=a) for a in ("B", "b", " 1 ", 1)])
    pq.write_table(pa.Table.from_pylist([question()]), tmp_path / "p.parquet")
    expected = Question("1+1?", ("1", "2", "3"), 1)
    assert questions_of(choice_set("q.jsonl"), str(tmp_path)) == [expected] * 4
    assert questions_of(choice_set("p.parquet"), str(tmp_path)) == [expected]


def test_questions_as_kmmlu_is_published(tmp_path: Path) -> None:
    lettered = {"question": "1+1?", "A": "1", "B": "2", "C": "3", "answer": 2}
    write_jsonl(tmp_path / "q.jsonl", [lettered, lettered | {"answer": "B"}])
    assert questions_of(choice_set("q.jsonl"), str(tmp_path)) == [Question("1+1?", ("1", "2", "3"), 1)] * 2
    for wrong in (0, 4):
        write_jsonl(tmp_path / "q.jsonl", [lettered | {"answer": wrong}])
        with pytest.raises(
            RequestError, match=f"found {wrong}; expected a number from 1 to 3, or a letter from A to C"
        ):
            questions_of(choice_set("q.jsonl"), str(tmp_path))


def test_a_limit_of_questions(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "q.jsonl", [question(question=str(i)) for i in range(50)])
    some = questions_of(choice_set("q.jsonl", limit=5), str(tmp_path))
    assert len(some) == 5
    assert [int(one.question) for one in some] == sorted(int(one.question) for one in some)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"question": " "}, "`question`: expected text"),
        ({"choices": ["1"]}, "`choices`: expected a list of 2 to 26 texts"),
        ({"choices": "ABCD"}, "`choices`: expected a list of 2 to 26 texts"),
        ({"choices": ["a", " "]}, r"`choices`: number 1 \(from 0\) is blank"),
        ({"answer": 3}, "`answer`: found 3; expected a number from 0 to 2, or a letter from A to C"),
        ({"answer": "D"}, "`answer`: found 'D'; expected a number"),
        ({"answer": -1}, "`answer`: found -1; expected a number"),
        ({"answer": None}, "`answer`: found None; expected a number"),
        ({"answer": 0.5}, r"`answer`: found 0\.5; expected a number"),
        ({"answer": "2번"}, "`answer`: found '2번'; expected a number"),
    ],
)
def test_questions_that_are_none(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    write_jsonl(tmp_path / "q.jsonl", [question(), question(**changes)])
    with pytest.raises(RequestError, match=rf"^validation\.mmlu\.choices: .*q\.jsonl:2: {said}"):
        questions_of(choice_set("q.jsonl"), str(tmp_path))


def test_no_question_at_all(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text("")
    with pytest.raises(RequestError, match=r"^validation\.mmlu\.choices: q\.jsonl: holds no question"):
        questions_of(choice_set("q.jsonl"), str(tmp_path))
    write_jsonl(tmp_path / "q.jsonl", [{"question": "x", "options": ["a"]}])
    with pytest.raises(RequestError, match=r"^validation\.mmlu\.choices: .*q\.jsonl:1: `choices`: expected a list"):
        questions_of(choice_set("q.jsonl"), str(tmp_path))


def test_held_out_sequences_fall_into_what_sees_each_other(tmp_path: Path) -> None:
    mixture = write_mixture(tmp_path / "mixture", cross_every=2)
    found = held_out_of(Validation(name="ko", mixture="mixture"), str(tmp_path)).sequences
    expected = []
    for row in mixture.held_out:
        spans = [[id_ for span in row.spans for id_ in span.ids]] if row.cross else [list(s.ids) for s in row.spans]
        expected.append([ids for ids in spans if len(ids) > 1])
    assert any(row.cross for row in mixture.held_out)
    assert any(len(stretches) > 1 for stretches in expected)
    assert found == [stretches for stretches in expected if stretches]


def test_no_mixture(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"^validation\.ko\.mixture: .*holds no mixture"):
        held_out_of(Validation(name="ko", mixture="mixture"), str(tmp_path))


@pytest.mark.parametrize("fields", [{}, {"text": "a", "choices": "b"}])
def test_a_set_names_one_place(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="name one of `text`, `mixture` and `choices`"):
        Validation(name="en", **fields)  # type: ignore[arg-type]


def test_answers_are_no_set() -> None:
    with pytest.raises(ValidationError, match="give another name"):
        Validation(name="answers", text="a")
