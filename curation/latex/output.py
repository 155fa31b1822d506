"""Where converted text is put together: white space as the reader of plain text wants it, formulas as they are."""

SPACE, LINE, BLOCK = 1, 2, 3
"""How far apart two pieces stand: by a space, on lines of their own, in paragraphs of their own."""
CLOSING = (".", ",", ";", ":", ")", "]", "?", "!")


class Out:
    """Text in the making. White space is decided when the next piece comes; pieces are not changed afterwards."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._gap = 0
        self._dropped = False  # something that stood between spaces has just been left out
        self.indent = ""
        self.inline = 0
        """Above 0, line breaks are spaces: in a heading, a caption, a cell."""
        self.muted = 0
        """Above 0, nothing is put out."""

    def words(self, text: str) -> None:
        """Running text: its white space counts as one space."""
        if self.muted or not text:
            return
        if text[0] in " \t\n":
            self.gap(SPACE)
        pieces = " ".join(text.split())
        if self._dropped:
            pieces = self._closed_up(pieces)
        self.raw(pieces)
        if text[-1] in " \t\n":
            self.gap(SPACE)

    def raw(self, text: str) -> None:
        """Text that stays exactly as it is."""
        if self.muted or not text:
            return
        if self._parts and self._gap:
            self._parts.append((" ", f"\n{self.indent}", f"\n\n{self.indent}")[self._gap - 1])
        self._parts.append(text)
        self._gap, self._dropped = 0, False

    def gap(self, width: int) -> None:
        """At least this distance before the next piece."""
        if not self.muted:
            self._gap = max(self._gap, SPACE if self.inline else width)

    def dropped(self) -> None:
        """What stood here is left out; a space before a full stop goes with it, and brackets around nothing."""
        self._dropped = not self.muted

    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)

    def close(self, mark: str) -> None:
        """A closing bracket or quotation mark right behind the last piece."""
        if not self.muted:
            self._gap = 0
            self.raw(mark)

    def _closed_up(self, pieces: str) -> str:
        if self._parts and self._parts[-1].endswith("("):
            pieces = pieces.lstrip(",; ")
            if pieces.startswith(")"):
                self._gap = SPACE if pieces[1:2] == " " else 0
                self._take_back_bracket()
                pieces = pieces[1:].lstrip()
        elif self._gap == SPACE and pieces.startswith(CLOSING):
            self._gap = 0
        return pieces

    def _take_back_bracket(self) -> None:
        """Remove the bracket that ends the last piece, and the space before it."""
        last = self._parts.pop()[:-1].rstrip()
        if last:
            self._parts.append(last)
        elif self._parts and self._parts[-1].isspace():
            self._gap = max(self._gap, (" ", "\n", "\n\n").index(self._parts.pop().rstrip(" ") or " ") + 1)
