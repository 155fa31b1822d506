"""What seeds say of their answers."""

import pytest

from manifests.errors import RequestError
from manifests.schema_synthesis import AnswerKind
from synth.samples import Item
from synth.tasks.answers_expected import known_of
from synth.verify import verify


@pytest.mark.parametrize(
    ("item", "kind", "asked", "right"),
    [
        (Item("1", "How many?", answer="72"), "auto", "math", "The answer is 72."),
        (Item("1", "How many percent?", answer="12"), "auto", "math", "The answer is 12%."),
        (Item("1", "몇 %입니까?", answer="12"), "math", "math", "정답은 12%입니다."),
        (Item("1", "수도는?", answer="서울"), "auto", "text", "따라서, 정답은: 서울"),
        (Item("1", "Is it?", answer="yes"), "yes_no", "yes_no", "The answer is: yes"),
        (Item("1", "12?", answer="12"), "text", "text", "The answer is: 12"),
        (Item("1", "As JSON?", answer='{"a": 1}'), "json", "json", 'So:\n```json\n{"a": 1.0}\n```'),
    ],
)
def test_kinds(item: Item, kind: AnswerKind, asked: str, right: str) -> None:
    known = known_of(item, kind)
    assert known.kind == asked and known.expected
    assert verify(right, known.expected).outcome == "right"
    assert known.question == item.text


@pytest.mark.parametrize(
    ("answer", "labels", "right", "wrong"),
    [
        ("B", "ABC", "정답은: B", "정답은: C"),
        ("whale", "ABC", "The answer is: B", "The answer is: A"),
        ("2", "123", "정답은: 2번", "정답은: ③"),
        ("②", "123", "정답은: ②", "정답은: 1"),
        ("ㄴ", "ㄱㄴㄷ", "정답은: ㄴ", "정답은: ㄷ"),
        ("나", "가나다", "정답은: 나", "정답은: 가"),
    ],
)
def test_options_are_labelled_as_the_gold_answer_names_them(answer: str, labels: str, right: str, wrong: str) -> None:
    item = Item("1", "Which is a mammal?", answer=answer, choices=("trout", "whale", "sparrow"))
    known = known_of(item, "auto")
    assert known.question.splitlines()[2:] == [
        f"{label}. {text}" for label, text in zip(labels, item.choices, strict=True)
    ]
    assert known.expected
    assert verify(right, known.expected).outcome == "right"
    assert verify(wrong, known.expected).outcome == "wrong"


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (Item("1", "Which?", answer="D", choices=("trout", "whale")), "auto"),
        (Item("1", "Which?", answer="2", choices=("2", "4", "8")), "auto"),
        (Item("1", "Which?", answer="A", choices=()), "choice"),
        (Item("1", "Which?", answer="A", choices=tuple(map(str, range(11)))), "choice"),
        (Item("1", "Which?", answer="red"), "math"),
        (Item("1", "Which?", answer="maybe"), "yes_no"),
        (Item("1", "Which?", answer="{"), "json"),
        (Item("1", "Which?"), "code"),
    ],
)
def test_answers_that_are_none_of_their_kind(item: Item, kind: AnswerKind) -> None:
    with pytest.raises(RequestError):
        known_of(item, kind)


@pytest.mark.parametrize(("kind", "asked"), [("none", "math"), ("auto", "math"), ("yes_no", "yes_no")])
def test_without_an_answer_nothing_is_expected(kind: AnswerKind, asked: str) -> None:
    known = known_of(Item("1", "Which?", input="Of these: a, b.", answer="5" if kind == "none" else None), kind)
    assert (known.kind, known.expected, known.question) == (asked, None, "Which?\n\nOf these: a, b.")
