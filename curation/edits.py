"""The one way in which the text of a kept document is changed: a list of edits per text, in characters.

Who wants a text changed (redaction of personal data, of contaminated spans, of repeated lines) says what to replace;
all say it of the same text, and it is changed once. What lies outside the edits is copied as it is.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

EDIT = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("replacement", pa.string())])
EDITS = pa.large_list(EDIT)
"""Of each text: replace the characters [start, end) by `replacement`, where either may be empty."""


@dataclass(frozen=True)
class Edited:
    """Texts after their edits, and how positions in the old texts map to the new ones.

    `texts` (large_string) has a row per text, null where it was null. `applied` (EDITS) holds what was done to each:
    in order of `start`, none overlapping another.
    """

    texts: pa.LargeStringArray
    applied: pa.LargeListArray

    def move(self, spans: pa.Array) -> pa.Array:
        """Other spans of the old texts, as they lie in the new ones.

        See `move_spans`.
        """
        return move_spans(self.applied, spans)


def apply_edits(texts: pa.LargeStringArray, edits: pa.Array) -> Edited:
    """Changes each text as its edits say.

    `edits` is an array like EDITS (any list of structs that casts to it) with a row per text; null is no edits. Edits
    that overlap become one over all that they cover, with the replacement of the one that starts first (of these the
    longest, then the smallest replacement), so that nothing survives which any of them removes. Equal edits are done
    once. Edits that touch do not overlap.

    Raises:
        ValueError: the lengths differ, or an edit lies outside its text; names the row.
    """
    if len(texts) != len(edits):
        raise ValueError(f"{len(texts)} texts, but edits for {len(edits)}")
    edits = (edits.combine_chunks() if isinstance(edits, pa.ChunkedArray) else edits).cast(EDITS)
    rows = [row for row, n_edits in enumerate(_counts(edits)) if n_edits]
    index = pa.array(rows, pa.int64())
    pairs = zip(rows, texts.take(index).to_pylist(), edits.take(index).to_pylist(), strict=True)
    applied = [_resolved(row, text, wanted) for row, text, wanted in pairs]
    changed = [_edited(text, done) for text, done in zip(texts.take(index).to_pylist(), applied, strict=True)]
    return Edited(_replaced(texts, rows, changed), _replaced(edits, rows, applied))


def move_spans(applied: pa.Array, spans: pa.Array) -> pa.Array:
    """Spans of texts, as they lie in the texts after edits were applied.

    `applied` (EDITS) holds the edits of each text in order of `start`, none overlapping another. `spans` is a list
    (or large list) per text of structs with `start` and `end` in characters, and any further fields, which stay. A
    span within an edit becomes the whole of what the edit put there; one that reaches into an edit reaches to its far
    end. A span of which nothing is left is dropped. Returns an array of the type of `spans`.
    """
    spans = spans.combine_chunks() if isinstance(spans, pa.ChunkedArray) else spans
    counts = zip(_counts(applied), _counts(spans), strict=True)
    rows = [row for row, (n_edits, n_spans) in enumerate(counts) if n_edits and n_spans]
    edits, moved = applied.take(pa.array(rows, pa.int64())), spans.take(pa.array(rows, pa.int64()))
    lists = [_moved(*pair) for pair in zip(edits.to_pylist(), moved.to_pylist(), strict=True)]
    return _replaced(spans, rows, lists)


def _resolved(row: int, text: str | None, edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The edits of a text in order, overlapping ones made one."""
    resolved: list[dict[str, Any]] = []
    for edit in sorted(edits, key=_order):
        start, end = edit["start"], edit["end"]
        if text is None or not 0 <= start <= end <= len(text):
            n_chars = "null" if text is None else f"{len(text)} characters long"
            raise ValueError(f"row {row}: edit [{start}, {end}) of a text that is {n_chars}")
        if resolved and (start < resolved[-1]["end"] or edit == resolved[-1]):
            resolved[-1] = resolved[-1] | {"end": max(end, resolved[-1]["end"])}
        else:
            resolved.append(edit)
    return resolved


def _order(edit: dict[str, Any]) -> tuple[int, bool, int, str]:
    """By start; what inserts comes before what replaces, and of these the longest first."""
    start, end = edit["start"], edit["end"]
    return start, end > start, -end, edit["replacement"]


def _edited(text: str, edits: list[dict[str, Any]]) -> str:
    pieces, done = [], 0
    for edit in edits:
        pieces += [text[done : edit["start"]], edit["replacement"]]
        done = edit["end"]
    return "".join([*pieces, text[done:]])


def _moved(edits: list[dict[str, Any]], spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    starts, ends = [edit["start"] for edit in edits], [edit["end"] for edit in edits]
    grown = [len(edit["replacement"]) - (edit["end"] - edit["start"]) for edit in edits]
    before = [0, *accumulate(grown)]
    moved = []
    for span in spans:
        first = bisect_right(ends, span["start"])  # the first edit that ends after the span's start
        past = bisect_left(starts, span["end"])  # the first edit that starts at the span's end or later
        start = min(span["start"], starts[first]) if first < past else span["start"]
        end = max(span["end"], ends[past - 1]) if first < past else span["end"]
        start, end = start + before[first], end + before[max(first, past)]
        if start < end:
            moved.append(span | {"start": start, "end": end})
    return moved


def _counts(lists: pa.Array) -> Sequence[int]:
    """How many items each list holds."""
    counts: list[int] = pc.fill_null(pc.list_value_length(lists), 0).to_pylist()
    return counts


def _replaced(array: pa.Array, rows: list[int], values: list[Any]) -> pa.Array:
    """The array with other values at the rows given, in order."""
    if not rows:
        return array
    where = list(range(len(array)))
    for new, row in enumerate(rows):
        where[row] = len(array) + new
    return pa.concat_arrays([array, pa.array(values, array.type)]).take(pa.array(where, pa.int64()))
