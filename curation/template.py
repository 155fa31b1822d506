"""Documents from records that hold their text in several fields, by a template: chats, questions with answers.

A small language of its own, in which nothing is executed: fields by their paths, and lists gone through.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from typing import Any

from manifests.errors import RequestError
from manifests.schema_readers import Each, Template

_TOKENS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_STEPS = re.compile(r"([^.\[\]]+)|\[(-?\d+)\]|\.")
_PATH = re.compile(r"(?:[^.\[\]{}]+)(?:\.[^.\[\]{}]+|\[-?\d+\])*")

_MISSING = object()


class MissingFieldError(Exception):
    """A record lacks a field that its template needs."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


Step = str | int
Render = Callable[[Any, str], str]
"""The text for a value, and the path at which it lies."""


def compile_template(template: Template, where: str) -> Callable[[dict[str, Any]], str]:
    """The function that makes the text of a record.

    It raises MissingFieldError for a record that lacks what `missing: fail` demands.

    Args:
        template: as the manifest has it.
        where: whose it is, for errors.

    Raises:
        RequestError: a brace that is not closed, what is no path, or settings of fields that it does not have.
    """
    _check_names(template, where)
    made = _Maker(template, where).parts(template.parts, template.separator)
    return lambda row: made(row, "")


def paths(template: Template) -> list[str]:
    """The paths of a record that the template names, places in lists aside, sorted."""
    found = {path for path, is_outer in _all_paths(template.parts) if is_outer}
    return sorted({re.sub(r"\[-?\d+\].*", "", path) for path in found if path != "."})


def _all_paths(parts: list[str | Each], is_outer: bool = True) -> Iterator[tuple[str, bool]]:
    """Every path, and whether it begins at the record rather than at an element of a list."""
    for part in parts:
        if isinstance(part, str):
            yield from ((match[1].strip(), is_outer) for match in _TOKENS.finditer(part) if match[1])
        else:
            yield part.each, is_outer
            yield from _all_paths(part.parts, False)


def _check_names(template: Template, where: str) -> None:
    """RequestError where `values` or `html` speaks of no field of the template."""
    known = {path for path, _ in _all_paths(template.parts)}
    for name, given in (("values", template.values), ("html", template.html)):
        unknown = sorted(set(given) - known)
        if unknown:
            raise RequestError(
                f"{where}: template.{name}: {', '.join(unknown)}: no such field in the template; it has: "
                f"{', '.join(sorted(known))}"
            )


@dataclass(frozen=True)
class _Maker:
    """Makes functions of parts."""

    template: Template
    where: str

    def parts(self, parts: list[str | Each], separator: str) -> Render:
        """All parts that have text, between separators."""
        made = [self.text(part) if isinstance(part, str) else self.each(part) for part in parts]

        def render(value: Any, at: str) -> str:
            return separator.join(text for one in made if (text := self._or_nothing(one, value, at)))

        return render

    def _or_nothing(self, render: Render, value: Any, at: str) -> str:
        try:
            return render(value, at)
        except MissingFieldError:
            if self.template.missing == "fail":
                raise
            return ""

    def each(self, part: Each) -> Render:
        """The parts of every element of a list, between separators."""
        steps = self._steps(part.each)
        inner = self.parts(part.parts, "\n" if part.within is None else part.within)
        wanted = {self._steps(path): frozenset(values) for path, values in part.only.items()}

        def render(value: Any, at: str) -> str:
            found = look_up(value, steps)
            path = _joined(at, part.each)
            if not isinstance(found, list) or not found:
                raise MissingFieldError(path)
            chosen = [
                (i, element)
                for i, element in enumerate(found)
                if all(_plain(look_up(element, where)) in values for where, values in wanted.items())
            ]
            if not chosen:
                raise MissingFieldError(f"{path} with {', '.join(part.only)} as `only` asks")
            texts = (self._or_nothing(inner, element, f"{path}[{i}]") for i, element in chosen)
            return part.separator.join(text for text in texts if text)

        return render

    def text(self, part: str) -> Render:
        """A text with fields in braces."""
        pieces = list(self._pieces(part))

        def render(value: Any, at: str) -> str:
            return "".join(piece if isinstance(piece, str) else piece(value, at) for piece in pieces)

        return render

    def _pieces(self, part: str) -> Iterator[str | Render]:
        at = 0
        for match in _TOKENS.finditer(part):
            yield part[at : match.start()]
            at = match.end()
            if match[0] in ("{{", "}}"):
                yield match[0][0]
            elif match[1] is not None:
                yield self._field(match[1].strip())
            else:
                raise RequestError(f"{self.where}: template: {part!r}: a single {match[0]!r}; write it twice")
        yield part[at:]

    def _field(self, path: str) -> Render:
        steps = self._steps(path)
        names = self.template.values.get(path, {})
        is_html = path in self.template.html

        def render(value: Any, at: str) -> str:
            found = _plain(look_up(value, steps))
            if found is None or not found.strip():
                raise MissingFieldError(_joined(at, path))
            return _without_markup(found) if is_html else names.get(found, found)

        return render

    def _steps(self, path: str) -> tuple[Step, ...]:
        return parse_path(path, self.where)


@cache
def parse_path(path: str, where: str) -> tuple[Step, ...]:
    """`answers[0].text` as its steps; `.` alone is the element itself.

    Raises:
        RequestError: it is no path.
    """
    if path == ".":
        return ()
    if not _PATH.fullmatch(path):
        raise RequestError(
            f"{where}: template: {path!r} is not a path; valid are names, dotted names and places in lists, as "
            "`question`, `meta.title`, `answers[0].text`, and `.` for an element itself"
        )
    return tuple(int(index) if index else name for name, index in _STEPS.findall(path) if name or index)


def look_up(value: Any, steps: tuple[Step, ...]) -> Any:
    """What lies at a path; None where there is nothing. A name with dots is looked for as it stands first."""
    if len(steps) > 1 and isinstance(value, dict) and all(isinstance(step, str) for step in steps):
        whole = value.get(".".join(map(str, steps)), _MISSING)
        if whole is not _MISSING:
            return whole
    for step in steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _plain(value: Any) -> str | None:
    """A value as text: dates as ISO 8601 has them; numbers, booleans, lists and objects as JSON writes them.

    Raises:
        UnicodeDecodeError: bytes that are not UTF-8.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | date | time):
        return _without_type(value)
    return json.dumps(value, ensure_ascii=False, default=_without_type)


def _without_type(value: Any) -> str:
    """What Parquet holds and JSON does not."""
    if isinstance(value, bytes):
        return value.decode()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _joined(at: str, path: str) -> str:
    return at if path == "." else f"{at}.{path}" if at else path


def _without_markup(html: str) -> str:
    """All text of a piece of HTML; nothing of it is taken for boilerplate."""
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(html, main_content=False, alt_texts=False, links=False)).strip()
