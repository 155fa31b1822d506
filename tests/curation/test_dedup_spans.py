"""Repeated stretches are exactly those that a naive search finds, and no character is cut apart."""

import tempfile
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest
import regex  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.dedup import spans
from curation.dedup.cuts import at_characters, at_sentences, cut, is_boundary, merged
from manifests.schema import RepeatedSpans
from manifests.store import Folder
from tests.curation.measured import ALL, document_frame, measured_run

CHARACTERS = [
    "a",
    "b",
    " ",
    "\n",
    ".",
    "가",
    "나",
    "다",
    "é",
    "e\u0301",
    "\u1112\u1161\u11ab",
    "👩‍👩‍👧‍👦",
    "🇰🇷",
    "👍🏽",
    "क्षि",
]
PIECES = st.lists(st.sampled_from(CHARACTERS), max_size=30).map("".join)


@st.composite
def corpora(draw: st.DrawFn) -> list[str]:
    """A few texts that share stretches, or repeat themselves."""
    shared = draw(st.lists(PIECES, min_size=1, max_size=3))
    piece = PIECES | st.sampled_from(shared) | st.builds(lambda text, n: text[:3] * n, PIECES, st.integers(2, 20))
    return draw(st.lists(st.lists(piece, max_size=4).map("".join), min_size=1, max_size=6))


def naive(texts: list[str], min_chars: int) -> list[list[tuple[int, int]]]:
    """Windows that stand at an earlier place; texts in order, equal ones as one."""
    firsts: dict[str, tuple[str, int]] = {}
    removed = []
    for text in texts:
        spans_of_text = []
        for start in range(len(text) - min_chars + 1):
            first_text, first = firsts.setdefault(text[start : start + min_chars], (text, start))
            if first_text != text or start >= first + min_chars:
                spans_of_text.append((start, start + min_chars))
        removed.append(merged(spans_of_text))
    return removed


def removed_of(
    folder: Path, frame: pl.DataFrame, min_chars: int, kept: list[int] | None = None
) -> list[list[tuple[int, int]]]:
    """What the whole way over the tables removes of the kept documents."""
    run = measured_run(folder, frame)
    wanted = RepeatedSpans.model_construct(min_chars=min_chars)
    repeated = spans.find_repeated(run, wanted)
    documents = frame[kept] if kept is not None else frame
    for keys in ALL.split(2):
        low, high = keys.bounds
        in_range = documents.filter((pl.col("id") >= low) & (pl.col("id") < high))
        spans.write_places(repeated, keys, in_range, run / "places", f"part-{keys.index}.parquet")
    spans.choose_firsts(run / "places", run / "repeats", min_chars)
    return [merged(found) for found in spans.removed_spans(documents, run / "repeats", ALL)]


@settings(max_examples=60)
@given(corpora(), st.integers(1, 12))
@example(["=" * 50, "ab" * 20, "ab" * 30], 5)
@example(["ab" * 9 + "c", "a" + "ab" * 9], 3)
@example([], 3)
def test_all_repeats_and_nothing_else_is_found(texts: list[str], min_chars: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert removed_of(Path(folder), document_frame(texts), min_chars) == naive(texts, min_chars)


def test_many_ranges_find_what_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = ["이 페이지는 로그인해야 볼 수 있습니다. ", "All rights reserved, by everyone. "]
    texts = [f"글 {n}. {shared[n % 2] * (1 + n % 3)}끝 {n * n}." for n in range(60)]
    whole = removed_of(tmp_path / "whole", document_frame(texts), 20)
    monkeypatch.setattr(spans, "ROWS_PER_RANGE", 16)
    monkeypatch.setattr(spans, "CONTEXT_BYTES_PER_RANGE", 1024)
    assert removed_of(tmp_path / "ranges", document_frame(texts), 20) == whole == naive(texts, 20)
    assert len((Folder(str(tmp_path)) / "ranges/repeated_spans").names(".parquet")) > 4


def test_the_first_of_the_kept_documents_keeps_its_stretch(tmp_path: Path) -> None:
    shared = "문단 하나가 여러 문서에 그대로 실려 있다. "
    frame = document_frame([shared + "하나", shared + "둘", shared + "셋", shared + "둘"])
    assert removed_of(tmp_path / "all", frame, 20) == [[], [(0, len(shared))], [(0, len(shared))], [(0, len(shared))]]
    assert removed_of(tmp_path / "kept", frame, 20, [1, 2, 3]) == [[], [(0, len(shared))], []]


def test_what_was_found_is_not_looked_for_again(tmp_path: Path) -> None:
    run = measured_run(tmp_path, document_frame(["가나다라마바사" * 9, "가나다라마바사" * 8]))
    steps: list[str] = []
    for min_chars in (20, 20, 25):
        steps.append("run")
        spans.find_repeated(run, RepeatedSpans(min_chars=min_chars), progress=lambda step, *_: steps.append(step))
    once = ["fingerprints"] * 3 + ["candidates"] + ["contexts"] * 2 + ["repeated spans"]
    assert steps == ["run", *once, "run", "run", *once]
    assert not [name for name in run.folders() if name.startswith("repeats-")]


@given(st.lists(st.sampled_from(CHARACTERS) | st.characters(exclude_categories=["Cs"]), max_size=12).map("".join))
@example("\u0600a\u200d👧🇰🇷🇰ᄒ\u1161\u11abक्\u200dष\r\n")
@example("a\U00011f00")  # a mark of Unicode 15, which Python 3.11 does not know
def test_a_boundary_never_cuts_a_grapheme_cluster(text: str) -> None:
    ends = {0, *(found.end() for found in regex.finditer(r"\X", text))}
    assert all(i in ends for i in range(len(text) + 1) if is_boundary(text, i))


@pytest.mark.slow
def test_no_character_at_all_is_cut_from_a_letter_that_it_belongs_to() -> None:
    for character in map(chr, [*range(0x20, 0xD800), *range(0xE000, 0x110000)]):
        for text in (f"a{character}", f"{character}a"):
            together = len(regex.findall(r"\X", text)) == 1
            assert not (together and is_boundary(text, 1)), f"U+{ord(character):04X}"


def test_plain_text_can_be_cut_between_any_two_characters() -> None:
    text = "가나 ab,🙂é9"
    assert all(is_boundary(text, i) for i in range(len(text) + 1))
    assert at_characters("a👩‍👧b", 1, 3) == (1, 1)
    assert at_characters("a👩‍👧b", 0, 3) == (0, 1)


@pytest.mark.parametrize(
    ("text", "span", "kept"),
    [
        ("첫 문장이다. 둘째 문장이다. 셋째다.", (2, 20), "첫 문장이다. 셋째다."),
        ("One. Two is (here!) Three", (2, 21), "One. Three"),
        ("첫 줄\n둘째 줄\n셋째 줄", (1, 10), "첫 줄\n셋째 줄"),
        ("First. Second. Third.", (7, 21), "First."),
        ("No sentence ends in here at all", (3, 12), "No ends in here at all"),
        ("v1.2.3 has no end", (0, 6), " has no end"),
    ],
)
def test_whole_sentences_go_where_there_are_some(text: str, span: tuple[int, int], kept: str) -> None:
    cuts = cut(text, [span], "sentence")
    assert removed_text(text, cuts) == kept


@given(
    PIECES,
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4),
    st.sampled_from(["sentence", "character"]),
)
def test_cuts_stay_within_the_spans_and_between_characters(
    text: str, pairs: list[tuple[int, int]], boundary: str
) -> None:
    wanted = [(min(a, b, len(text)), min(max(a, b), len(text))) for a, b in pairs]
    cuts = cut(text, wanted, boundary)
    assert cuts == merged(cuts)
    covered = {i for start, end in wanted for i in range(start, end)}
    for start, end in cuts:
        assert is_boundary(text, start)
        assert is_boundary(text, end)
        assert all(i in covered or text[i].isspace() for i in range(start, end))
        assert {i for i in range(start, end) if i not in covered} == set() or end == len(text)


@given(PIECES, st.integers(0, 60), st.integers(0, 60))
def test_sentences_are_those_of_the_whole_text(text: str, a: int, b: int) -> None:
    start, end = min(a, b, len(text)), min(max(a, b), len(text))
    ends = {0, len(text)}
    for i in range(1, len(text)):
        head = text[:i].rstrip()
        if text[i - 1].isspace() and not text[i].isspace():
            is_line = "\n" in text[len(head) : i]
            if is_line or head.rstrip("\"'”’)]」』").endswith((".", "?", "!", "。", "？", "！", "…")):
                ends.add(i)
    inside = sorted(i for i in ends if start <= i <= end)
    assert at_sentences(text, start, end) == ((inside[0], inside[-1]) if inside else (start, start))


def removed_text(text: str, cuts: list[tuple[int, int]]) -> str:
    gone = defaultdict(bool, {i: True for start, end in cuts for i in range(start, end)})
    return "".join(character for i, character in enumerate(text) if not gone[i])
