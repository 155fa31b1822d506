from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pdf_text import Line, pages_to_text
from curation.read_pdf import _date
from manifests.schema import Limits
from tests.curation.pdf_files import Placed, write_pdf
from tests.curation.reading import check_cursors, read_all

LINE_CHARS = 30


def set_lines(text: str, *, top: float = 700.0, anywhere: bool = True) -> list[Placed]:
    """A paragraph in lines of the same width, as a typesetter sets it; the space at a line's end is not drawn."""
    lines, line = [], ""
    for word in [*text] if anywhere else text.split(" "):
        longer = line + word if anywhere else f"{line} {word}".strip()
        if len(longer) > LINE_CHARS:
            lines.append(line)
            longer = word
        line = longer
    return [(50.0, top - 16 * i, 10.0, text.strip()) for i, text in enumerate([*lines, line])]


KOREAN = (
    "옹기는 우리나라에서 오래전부터 써 온 그릇으로, 흙을 빚어 구워 만든다. 숨을 쉬는 그릇이라 하여 된장이나 간장을 "
    "담그는 데에 쓰였으며, 지방마다 모양이 다르다. 옹기는 흙을 빚어 만든다. "
    "그릇으로 쓰였으며 간장을 담그는 데에 쓰였다."
)


def one(path: Path, **item: object) -> dict[str, object]:
    facts = {name: name for name in ("title", "n_pages", "n_empty_pages")}
    [row], _ = read_all(path, format="pdf", metadata=tuple(sorted(facts)), metadata_map=facts, **item)
    return row


def test_lines_become_paragraphs_with_their_spaces(tmp_path: Path) -> None:
    first, second = set_lines(KOREAN, anywhere=False), set_lines(KOREAN, top=500, anywhere=False)
    heading: Placed = (50, 760, 18, "옹기의 역사")
    row = one(write_pdf(tmp_path / "a.pdf", [[heading, *first, *second]]))
    assert row["content"].decode() == f"옹기의 역사\n{KOREAN}\n{KOREAN}"
    assert row["metadata"] == {"title": "제목", "n_pages": "1", "n_empty_pages": "0"}
    assert (row["key"], row["date"]) == ("a.pdf", "2026-01-02")


def test_words_that_break_anywhere_are_joined_by_what_the_document_writes_elsewhere(tmp_path: Path) -> None:
    others = [(50.0, 400.0 - 16 * i, 10.0, f"그는 {word} 라고") for i, word in enumerate(set(KOREAN.split()))]
    row = one(write_pdf(tmp_path / "a.pdf", [[*set_lines(KOREAN), *others]]))
    assert row["content"].decode().split("\n")[0] == KOREAN


def test_hyphens_at_line_ends_go_where_the_word_has_none() -> None:
    lines = [Line("the manu-", 0, 100, 50, 10), Line("facture of state-", 0, 100, 38, 10), Line("of", 0, 20, 26, 10)]
    elsewhere = [Line("a manufacture, the state of art.", 0, 100, 200, 10)]
    assert pages_to_text([elsewhere, lines]).split("\n")[1:] == ["the manufacture of state-of"]


def test_running_heads_and_page_numbers_are_dropped_unless_kept(tmp_path: Path) -> None:
    def sheet(number: int) -> list[Placed]:
        body = [(50.0, 600.0 - 40 * i, 10.0, f"본문 {'가나다라마'[number]} {i} 이다.") for i in range(3)]
        return [(50, 780, 9, "제3장 옹기"), *body, (300, 20, 9, f"- {number} -")]

    path = write_pdf(tmp_path / "a.pdf", [sheet(number) for number in range(4)])
    dropped, kept = one(path), one(path, pdf={"running_lines": "keep"})
    assert [note["kind"] for note in dropped["notes"]] == ["running_lines"]
    assert kept["notes"] is None
    assert "제3장" not in dropped["content"].decode() and "- 2 -" not in dropped["content"].decode()
    assert kept["content"].decode().count("제3장") == 4
    assert kept["content_digest"] == dropped["content_digest"]


def test_what_only_looks_like_a_running_line_stays(tmp_path: Path) -> None:
    """Rows of numbers, and pages of one line each."""
    rows = [[(50.0, 700.0 - 20 * i, 10.0, f"{2000 + 7 * n + i} {n} {i}.5") for i in range(6)] for n in range(5)]
    slides = [[(50.0, 700.0, 10.0, f"Slide {n} says 9 percent.")] for n in range(10)]
    table, shown = one(write_pdf(tmp_path / "a.pdf", rows)), one(write_pdf(tmp_path / "b.pdf", slides))
    assert table["content"].decode().split() == [word for page in rows for *_, text in page for word in text.split()]
    assert shown["content"].decode().count("percent.") == 10
    assert table["notes"] is shown["notes"] is None


def test_only_pages_that_were_read_count_as_empty(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [[], [], *[[(50.0, 700.0, 10.0, "글이다.")]] * 8])
    assert one(path, pdf={"pages_max": 3})["metadata"]["n_empty_pages"] == "2"  # type: ignore[index]
    row = one(path, pdf={"pages_max": 2})
    assert row["detail"] == "2 pages of 10 were read, none of them with text: scans need OCR first"


@pytest.mark.parametrize(("said", "day"), [("D:20260102", "2026-01-02"), ("D:20261399", None), ("soon", None)])
def test_days_are_days(said: str, day: str | None) -> None:
    assert _date(said) == day


def test_pages_without_text_are_counted_and_a_scan_fails(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [[(50, 700, 10, "글이다.")], [], []])
    assert one(path)["metadata"] == {"title": "제목", "n_pages": "3", "n_empty_pages": "2"}
    scan = one(write_pdf(tmp_path / "b.pdf", [[], []]))
    assert (scan["verdict"], scan["reason"]) == ("failed", "no_text")
    assert "2 pages" in str(scan["detail"])


def test_pages_beyond_the_limit_are_noted(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [[(50, 700, 10, f"쪽 {i}입니다.")] for i in range(3)])
    row = one(path, pdf={"pages_max": 2})
    assert row["content"].decode() == "쪽 0입니다.\n쪽 1입니다."
    assert [note["kind"] for note in row["notes"]] == ["unread_page"]


def test_what_is_no_pdf_fails_and_disturbs_nothing(tmp_path: Path) -> None:
    write_pdf(tmp_path / "good.pdf", [[(50, 700, 10, "글이다.")]])
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    (tmp_path / "empty.pdf").write_bytes(b"")
    (tmp_path / "large.pdf").write_bytes(b"%PDF" * 1000)
    rows, _ = read_all(tmp_path, limits=Limits(record_bytes=3000), format="pdf")
    found = {row["key"]: row["reason"] for row in rows}
    assert found == {
        "bad.pdf": "malformed_pdf",
        "empty.pdf": "malformed_pdf",
        "good.pdf": None,
        "large.pdf": "record_too_large",
    }
    assert check_cursors(tmp_path, 1 << 40, format="pdf") >= 1


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pdf"
    path.write_bytes(b"%PDF-1.4\n" + data)
    [row], _ = read_all(path, format="pdf")
    assert row["verdict"] in (None, "failed")


@given(st.lists(st.text("가나 b-.1", min_size=1, max_size=12).filter(str.strip), max_size=12))
def test_no_character_but_hyphens_at_line_ends_is_lost(texts: list[str]) -> None:
    lines = [Line(text.strip(), 0, len(text) * 10, 1000 - 12 * i, 10) for i, text in enumerate(texts)]
    joined = pages_to_text([lines])
    wanted = "".join(line.text for line in lines)
    assert [c for c in joined if c not in " -\n"] == [c for c in wanted if c not in " -"]
