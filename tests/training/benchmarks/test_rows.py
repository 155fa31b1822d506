import pytest

from manifests.errors import RequestError
from training.benchmarks import rows


@pytest.mark.parametrize(
    ("value", "first", "found"),
    [(0, 0, 0), (3, 0, 3), ("B", 0, 1), (" b ", 0, 1), ("(C)", 0, 2), (1, 1, 0), ("4", 1, 3), ("D", 1, 3)],
)
def test_places(value: object, first: int, found: int) -> None:
    assert rows.place({"answer": value}, "answer", 4, first) == found


@pytest.mark.parametrize("value", [None, -1, 4, True, "E", "", "AB", "five", 1.0, ["A"], "²"])
def test_what_is_no_place(value: object) -> None:
    with pytest.raises(RequestError, match=r"`answer`: expected 0 to 3 or A to D, found "):
        rows.place({"answer": value}, "answer", 4)


def test_texts() -> None:
    assert rows.texts({"choices": ("a", "b")}, "choices") == ["a", "b"]
    for wrong in (None, "ab", ["a"], ["a", 1]):
        with pytest.raises(RequestError, match="`choices`: expected a list of 2 texts or more"):
            rows.texts({"choices": wrong}, "choices")
    with pytest.raises(RequestError, match="`question`: expected text, found nothing"):
        rows.text({}, "question")


def test_listed() -> None:
    assert rows.listed(["물", "불"]) == "A. 물\nB. 불" and rows.letters(3) == ["A", "B", "C"]
