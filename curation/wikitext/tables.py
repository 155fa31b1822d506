"""Tables of wikitext and of HTML: rows of cells, as lines of text or in Markdown."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from curation.wikitext.elements import end_of_content, is_gone, tag_attributes
from curation.wikitext.marks import GONE, LIST

if TYPE_CHECKING:
    from curation.wikitext.render import Renderer

MAX_SPAN = 50
"""Columns that one cell may span in Markdown."""
N_FILLED = 10_000
"""Empty cells that fill the rows of a table in Markdown; of large tables, so many that each cell may bring eight."""


@dataclass(slots=True)
class Cell:
    """One cell; `text` may have several lines."""

    text: str
    n_columns: int = 1
    n_rows: int = 1


@dataclass(slots=True)
class Table:
    """What was read of a table."""

    caption: str = ""
    rows: list[list[Cell]] = field(default_factory=lambda: [[]])
    outside: list[str] = field(default_factory=list)  # what stands in no cell

    def add(self, text: str, attributes: dict[str, str]) -> None:
        """A cell; `|+ caption` comes as one, too."""
        if text.startswith("+") and not any(self.rows):
            self.caption = text[1:]
            return
        n_columns, n_rows = _span(attributes, "colspan"), _span(attributes, "rowspan")
        self.rows[-1].append(Cell(text, min(n_columns, MAX_SPAN), n_rows))

    def add_text(self, text: str) -> None:
        """What follows a cell that has no end belongs to it; else it stands in no cell."""
        if text.strip() and self.rows[-1]:
            self.rows[-1][-1].text += text
        elif text.strip():
            self.outside.append(text)


def _span(attributes: dict[str, str], name: str) -> int:
    span = attributes.get(name, "1")
    return max(1, int(span)) if span.isascii() and span.isdigit() and len(span) < 4 else 1


def table(page: "Renderer", attributes: dict[str, str]) -> str:
    """A table whose attributes have been passed, to its end."""
    is_infobox = "infobox" in attributes.get("class", "").lower()
    policy = page.policy.infoboxes if is_infobox else page.policy.tables
    if policy == "drop" or is_gone(attributes):
        page.skip_tag("infobox" if is_infobox else "table")
        return "\n"
    found = Table()
    _content(page, found)
    write, rows = (_markdown, _with_spans(found.rows)) if policy == "markdown" else (_lines, found.rows)
    rows = [row for row in rows if any(_flat(cell.text) for cell in row)]
    parts = [_flat(found.caption), *map(_flat, found.outside), write(rows)]
    return "\n\n" + "\n".join(part for part in parts if part) + "\n\n"


def _content(page: "Renderer", found: Table) -> None:
    """Rows and cells up to the end of the element in hand."""
    types = page.types
    while True:
        token = page.tokens[page.at]
        kind = type(token)
        if kind is types.TagOpenClose:
            page.at += 1
            end_of_content(page)
            return
        if kind is types.TagOpenOpen and _is_part(page):
            page.at += 1
            _part(page, found)
        else:
            found.add_text(page.one())


_PARTS = frozenset({"tr", "td", "th", "caption", "tbody", "thead", "tfoot"})


def _is_part(page: "Renderer") -> bool:
    return page.tokens[page.at + 1].get("text", "").strip().lower() in _PARTS


def _part(page: "Renderer", found: Table) -> None:
    name = page.tokens[page.at]["text"].strip().lower()
    page.at += 1
    attributes, closed = tag_attributes(page)
    if name in ("tr", "tbody", "thead", "tfoot"):
        if found.rows[-1]:
            found.rows.append([])
        if not closed:
            _content(page, found)
        return
    text = ""
    if not closed:
        text = page.run(page.content_end)
        end_of_content(page)
    if name == "caption":
        found.caption = text
    elif not is_gone(attributes):
        found.add(text, attributes)


def _flat(text: str) -> str:
    """A cell in one line: its lines joined by spaces, items of a list by semicolons."""
    lines = [line.strip() for line in text.replace(GONE, "").splitlines()]
    out = ""
    for line in filter(None, lines):
        item = line.lstrip(f"{LIST}*#:; ") if line.startswith(LIST) else line
        out += f"{'; ' if line.startswith(LIST) and out else ' '}{item}"
    return " ".join(out.split())


def _lines(rows: list[list[Cell]]) -> str:
    """A line for each row; a table of one column is layout, whose cells stay as they are."""
    if all(len(row) <= 1 for row in rows):
        return "\n\n".join(cell.text.strip() for row in rows for cell in row)
    return "\n".join(" | ".join(filter(None, (_flat(cell.text) for cell in row))) for row in rows)


def _n_fillable(rows: list[list[Cell]]) -> int:
    return N_FILLED + 8 * sum(map(len, rows))


def _with_spans(rows: list[list[Cell]]) -> list[list[Cell]]:
    """The rows with an empty cell wherever one of a row above reaches down."""
    filled: list[list[Cell]] = []
    reaching: dict[int, int] = {}  # column -> rows that the cell above still covers
    n_left = _n_fillable(rows)
    for row in filter(None, rows):
        n_left -= len(reaching)
        filled.append(_with_gaps(row, reaching) if n_left >= 0 else row)
    return filled


def _with_gaps(row: list[Cell], reaching: dict[int, int]) -> list[Cell]:
    out: list[Cell] = []
    column, below = 0, {at: n_rows - 1 for at, n_rows in reaching.items() if n_rows > 1}
    for cell in row:
        while column in reaching:
            out.append(Cell(""))
            column += 1
        out.append(cell)
        if cell.n_rows > 1:
            below |= dict.fromkeys(range(column, column + cell.n_columns), cell.n_rows - 1)
        column += cell.n_columns
    while column in reaching:
        out.append(Cell(""))
        column += 1
    reaching.clear()
    reaching |= below
    return out


def _markdown(rows: list[list[Cell]]) -> str:
    n_columns = max((sum(cell.n_columns for cell in row) for row in rows), default=0)
    n_filled = n_columns if n_columns * len(rows) <= _n_fillable(rows) else 0  # Markdown does without
    lines = [_markdown_row(row, n_filled) for row in rows]
    if not lines:
        return ""
    return "\n".join([lines[0], "|" + " --- |" * n_columns, *lines[1:]])


def _markdown_row(row: list[Cell], n_columns: int) -> str:
    texts: list[str] = []
    for cell in row:
        texts += [_flat(cell.text).replace("|", "\\|"), *[""] * (cell.n_columns - 1)]
    texts += [""] * (n_columns - len(texts))
    return "| " + " | ".join(texts) + " |"
