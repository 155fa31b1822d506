"""Lines are counted over all texts, coloured and kept as the patterns say."""

import itertools
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.dedup import lines
from curation.dedup.exchange import first_64_bits
from manifests.schema import LineColours, RepeatedLines
from tests.curation.measured import ALL, document_frame, measured_run

TEXTS = st.lists(st.sampled_from(["a", "나", " ", "\t", "\n", "\n", "b c", "é"]), max_size=14).map("".join)


def units_of(text: str, unit: str) -> list[str]:
    """The lines or paragraphs that are not blank, without their white space."""
    bare = ["".join(line.split()) for line in text.split("\n")]
    if unit == "line":
        return [line for line in bare if line]
    return ["".join(group) for is_text, group in itertools.groupby(bare, bool) if is_text]


@given(st.lists(TEXTS, max_size=8), st.sampled_from(["line", "paragraph"]))
def test_equal_units_have_equal_hashes_and_others_do_not(texts: list[str], unit: str) -> None:
    hashes, rows, places = lines.hash_lines(pa.array(texts, pa.large_string()), unit)
    expected = [
        (row, place, name) for row, text in enumerate(texts) for place, name in enumerate(units_of(text, unit))
    ]
    assert list(zip(rows.tolist(), places.tolist(), strict=True)) == [item[:2] for item in expected]
    names = [name for *_, name in expected]
    assert len(set(zip(names, hashes.tolist(), strict=True))) == len(set(names)) == len(set(hashes.tolist()))


@given(TEXTS, st.sampled_from(["line", "paragraph"]))
def test_the_spans_of_units_hold_all_of_the_text_but_blank_lines_before_it(text: str, unit: str) -> None:
    spans = lines.unit_spans(text, unit)
    assert ["".join(text[start:end].split()) for start, end in spans] == units_of(text, unit)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(spans))
    assert not spans or (spans[-1][1] == len(text) and not text[: spans[0][0]].strip())


@pytest.mark.parametrize("unit", ["line", "paragraph"])
def test_counts_are_those_over_all_texts_equal_ones_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    monkeypatch.setattr(lines, "ROWS_PER_RANGE", 20)
    texts = [f"menu\n글 {n}\n\n 저작권 {n % 3} \nend" for n in range(30)] + [
        "menu\n글 1\n\n 저작권 1 \nend",
        "menu\nmenu",
    ]
    frame = document_frame(texts)
    repeated = lines.find_repeated(measured_run(tmp_path, frame, 3), RepeatedLines(unit=unit))
    assert len(repeated.names(".parquet")) > 2
    found = frame.select("text", doc=first_64_bits("id")).join(repeated.scan().drop("text").collect(), on="doc")
    counted = {(text, place): count for text, place, count in found.select("text", "place", "count").iter_rows()}
    counts = Counter(name for text in set(texts) for name in units_of(text, unit))
    places = {(text, place): name for text in texts for place, name in enumerate(units_of(text, unit))}
    assert counted == {key: counts[name] for key, name in places.items() if counts[name] > 1}
    assert found.height == sum(counts[name] > 1 for text in texts for name in units_of(text, unit))


def test_colours_begin_where_the_paper_says() -> None:
    settings = RepeatedLines()
    assert lines.colours_of([1, 3, 4, 50, 51], settings.ko) == "ggyyr"
    assert lines.colours_of([1, 2, 1000, 1001], settings.other) == "gyyr"


@pytest.mark.parametrize(
    ("colours", "kept"),
    [
        ("gg", "gg"),
        ("g", "."),
        ("", ""),
        ("ggg", "ggg"),
        ("gygg", "..gg"),
        ("ggyyg", "gg..."),
        ("ggyygg", "ggyygg"),
        ("ggygyyggy", "ggygyygg."),
        ("ggrgg", "gg.gg"),
        ("rggygyggyg", ".ggygygg.."),
        ("yyggyryggy", "..gg...gg."),
    ],
)
def test_what_the_patterns_keep(colours: str, kept: str) -> None:
    stays = lines.kept_units(colours, "patterns")
    assert "".join(colour if here else "." for colour, here in zip(colours, stays, strict=True)) == kept


def test_only_red_lines_go_where_asked() -> None:
    assert lines.kept_units("gryg", "not_red") == [True, False, True, True]


def test_lines_go_by_the_colours_of_the_documents_language(tmp_path: Path) -> None:
    texts = [f"메뉴\n본문 {n}\n더 {n}\n\n공지\n그리고 {n}\n끝 {n}\n메뉴" for n in range(3)] + ["홀로"]
    frame = document_frame(texts, "ko-KR")
    settings = RepeatedLines(ko=LineColours(red_over=5, green_max=2), other=LineColours(red_over=9, green_max=6))
    repeated = lines.find_repeated(measured_run(tmp_path, frame), settings)

    def left(language: str | None) -> list[str]:
        documents = frame.with_columns(language=pl.lit(language, pl.String))
        removed = lines.removed_lines(documents, repeated, ALL, settings)
        pairs = zip(texts, removed, strict=True)
        return [
            "".join(c for i, c in enumerate(text) if not any(a <= i < b for a, b in spans)) for text, spans in pairs
        ]

    assert left("ko-KR") == [f"본문 {n}\n더 {n}\n\n공지\n그리고 {n}\n끝 {n}\n" for n in range(3)] + [""]
    assert left("en") == left(None) == [*texts[:3], ""]
