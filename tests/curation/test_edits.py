"""Edits: what they change, what they must not, and where other spans go."""

from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.edits import EDITS, apply_edits

SPANS = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("kind", pa.string())]))
PIECES = [
    "가",
    "한글",
    "ㅋㅋ",
    "a",
    " ",
    "\n",
    "é",
    "e\u0301",
    "\u1112\u1161\u11ab",
    "👨\u200d👩\u200d👧",
    "👍🏽",
    "🇰🇷",
    "\U00020000",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)
Edit = tuple[int, int, str]


@st.composite
def edited_texts(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    text = draw(TEXTS)
    position = st.integers(0, len(text))
    edits = draw(st.lists(st.tuples(position, position, st.sampled_from(["", "<EMAIL>", "가나", "🙂"])), max_size=6))
    return text, [(min(a, b), max(a, b), new) for a, b, new in edits]


def apply(text: str, edits: list[Edit]) -> tuple[str, list[Edit]]:
    rows = pa.array([[dict(zip(("start", "end", "replacement"), edit, strict=True)) for edit in edits]], EDITS)
    edited = apply_edits(pa.array([text], pa.large_string()), rows)
    applied = edited.applied.to_pylist()[0]
    return edited.texts.to_pylist()[0], [(edit["start"], edit["end"], edit["replacement"]) for edit in applied]


@given(edited_texts())
def test_changes_no_character_outside_an_edit(case: tuple[str, list[Edit]]) -> None:
    text, edits = case
    new, applied = apply(text, edits)
    removed = {i for start, end, _ in edits for i in range(start, end)}
    assert removed == {i for start, end, _ in applied for i in range(start, end)}
    rebuilt, at = "", 0
    for start, end, replacement in applied:  # walk both texts side by side
        assert new[len(rebuilt) : len(rebuilt) + start - at] == text[at:start]
        rebuilt += text[at:start] + replacement
        at = end
    assert new == rebuilt + text[at:]


@given(edited_texts(), st.randoms())
def test_the_order_of_edits_does_not_matter(case: tuple[str, list[Edit]], random: Any) -> None:
    text, edits = case
    shuffled = random.sample(edits, len(edits))
    assert apply(text, edits) == apply(text, shuffled)


@given(edited_texts())
def test_applied_edits_are_in_order_and_do_not_overlap(case: tuple[str, list[Edit]]) -> None:
    _, applied = apply(*case)
    assert all(before[1] <= after[0] for before, after in pairwise(applied))
    assert apply(case[0], applied) == apply(*case)  # what was done is itself a list of edits


@given(edited_texts(), st.data())
def test_spans_outside_the_edits_hold_the_same_text(case: tuple[str, list[Edit]], data: st.DataObject) -> None:
    text, edits = case
    a, b = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    if a == b or any(start < b and end > a for start, end, _ in edits):
        return
    rows = pa.array([[dict(zip(("start", "end", "replacement"), edit, strict=True)) for edit in edits]], EDITS)
    edited = apply_edits(pa.array([text], pa.large_string()), rows)
    (moved,) = edited.move(pa.array([[{"start": a, "end": b, "kind": "k"}]], SPANS)).to_pylist()[0]
    assert edited.texts[0].as_py()[moved["start"] : moved["end"]] == text[a:b]
    assert moved["kind"] == "k"


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], "가나다라마"),
        ([(1, 3, "")], "가라마"),
        ([(1, 3, "X"), (3, 4, "Y")], "가XY마"),  # they touch
        ([(1, 3, "X"), (2, 4, "Y")], "가X마"),  # they overlap: one, with what the first puts there
        ([(1, 4, ""), (2, 3, "X")], "가마"),
        ([(1, 2, "X"), (1, 3, "Y")], "가Y라마"),
        ([(2, 2, "X"), (2, 2, "X"), (2, 3, "Z")], "가나XZ라마"),  # an insertion before what follows, once
        ([(0, 0, "<"), (5, 5, ">")], "<가나다라마>"),
        ([(0, 5, "")], ""),
    ],
)
def test_edits(edits: list[Edit], expected: str) -> None:
    assert apply("가나다라마", edits)[0] == expected


@pytest.mark.parametrize(
    ("span", "expected"),
    [((0, 1), (0, 1)), ((1, 3), (1, 8)), ((2, 3), (1, 8)), ((2, 4), (1, 9)), ((3, 4), (8, 9)), ((4, 5), None)],
)
def test_spans_go_where_their_text_went(span: tuple[int, int], expected: tuple[int, int] | None) -> None:
    texts, edits = pa.array(["가나다라마"], pa.large_string()), [(1, 3, "<EMAIL>"), (4, 5, "")]
    rows = pa.array([[dict(zip(("start", "end", "replacement"), edit, strict=True)) for edit in edits]], EDITS)
    spans = pa.array([[{"start": span[0], "end": span[1], "kind": "k"}]], SPANS)
    (moved,) = apply_edits(texts, rows).move(spans).to_pylist()
    assert [(item["start"], item["end"]) for item in moved] == ([expected] if expected else [])


def test_nulls_and_slices_stay_in_their_rows() -> None:
    texts = pa.array(["zero", "one", None, "three"], pa.large_string())[1:]
    rows = pa.array([None, [], None, [{"start": 0, "end": 5, "replacement": "3"}]], EDITS)[1:]
    edited = apply_edits(texts, rows)
    assert edited.texts.to_pylist() == ["one", None, "3"]
    assert edited.texts.type == pa.large_string()
    spans = pa.array([[{"start": 0, "end": 3, "kind": "k"}], None, None], SPANS)
    assert edited.move(spans).to_pylist() == spans.to_pylist()


@pytest.mark.parametrize(("text", "edit"), [("abc", (2, 4)), ("abc", (-1, 2)), ("abc", (2, 1)), (None, (0, 0))])
def test_an_edit_outside_its_text_names_the_row(text: str | None, edit: tuple[int, int]) -> None:
    rows = pa.array([None, [{"start": edit[0], "end": edit[1], "replacement": ""}]], EDITS)
    with pytest.raises(ValueError, match=r"row 1: edit \["):
        apply_edits(pa.array(["ok", text], pa.large_string()), rows)


def test_every_text_has_its_list() -> None:
    with pytest.raises(ValueError, match="2 texts, but edits for 1"):
        apply_edits(pa.array(["a", "b"], pa.large_string()), pa.array([None], EDITS))
