"""Personal data in texts: where it stands and of what kind it is.

A kernel goes over all bytes and finds the few places where there may be any: at signs between letters, and numbers of
eight digits and more. Only those are looked at with patterns (curation/pii_shapes.py) and checksums
(curation/pii_validators.py).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from classifiers.scripts import text_buffers
from curation import pii_validators as validators
from curation.kernels.characters import Bytes, Offsets
from curation.kernels.pii import MAIL, N_FIELDS, count_chars, find_candidates
from curation.pii_secrets import secrets_in, texts_that_may_hold
from curation.pii_shapes import (
    FOLD,
    LABEL_CHARS_AFTER,
    LABEL_CHARS_BEFORE,
    LABELS,
    MAIL_SHAPE,
    NUMBER_SHAPES,
    OTHER_LABEL_BEFORE,
    VERSION_BEFORE,
    Needs,
    Shape,
)
from curation.pii_validators import Outcome
from manifests.contracts import PII_TYPE
from manifests.schema import PiiKind

MARGIN_BEFORE_BYTES = 4 * (LABEL_CHARS_BEFORE + 8)
MARGIN_AFTER_BYTES = 4 * (LABEL_CHARS_AFTER + 8)
MAIL_MARGIN_BYTES = 320  # the longest user and domain, and some
PREFIX_CHARS = 3  # what may stand before the first digit of a number: "(+", the letter of a passport
SUFFIX_CHARS = 8  # what decides whether it ends there


class Span(NamedTuple):
    """Characters [start, end) of a text, and what they are."""

    start: int
    end: int
    kind: PiiKind


def find_pii(texts: pa.LargeStringArray, kinds: Sequence[PiiKind]) -> pa.ListArray:
    """Personal data of the kinds given, per text.

    `texts` is one array of `large_string`, best in the normal form; slices are fine. Returns PII_TYPE: of each text a
    list of {start, end, kind}, offsets in characters, in order, without overlaps; null where the text is null. Where
    two kinds fit, the more specific is taken, whichever are asked for: the answer for some kinds is that for all,
    without the others. Only `secret` takes the place of others where it is asked for, and not otherwise.
    """
    utf8, offsets = text_buffers(texts)
    found: dict[int, list[Span]] = {}
    previous, at_byte, at_char = -1, 0, 0
    for document, first, past, what in _candidates(utf8, offsets).tolist():
        start, end = int(offsets[document]), int(offsets[document + 1])
        margins = (MAIL_MARGIN_BYTES,) * 2 if what == MAIL else (MARGIN_BEFORE_BYTES, MARGIN_AFTER_BYTES)
        low, high = _on_characters(utf8, max(start, first - margins[0]), min(end, past + margins[1]), end)
        window = utf8[low:high].tobytes().decode()
        if document != previous:
            previous, at_byte, at_char = document, start, 0
        at_char += count_chars(utf8, at_byte, first)
        at_byte = first
        n_before = count_chars(utf8, low, first)
        spans = (
            mail_in(window, n_before)
            if what == MAIL
            else numbers_in(window, n_before, count_chars(utf8, first, past))
        )
        shift = at_char - n_before
        for span in spans:
            found.setdefault(document, []).append(Span(span.start + shift, span.end + shift, span.kind))
    wanted = frozenset(kinds)
    spans_of = {document: [s for s in _disjoint(spans) if s.kind in wanted] for document, spans in found.items()}
    if "secret" in wanted:
        _add_secrets(texts, spans_of)
    return _to_arrow(spans_of, texts)


def _add_secrets(texts: pa.LargeStringArray, spans_of: dict[int, list[Span]]) -> None:
    """Put the secrets of each text among its spans; where they meet others, the secret stays."""
    for row in texts_that_may_hold(texts):
        secrets = [Span(start, end, "secret") for start, end in secrets_in(texts[row].as_py())]
        if secrets:
            others = [
                s for s in spans_of.get(row, []) if not any(s.start < t.end and t.start < s.end for t in secrets)
            ]
            spans_of[row] = sorted([*others, *secrets])


def mail_in(window: str, at_sign: int) -> Iterator[Span]:
    """The address around an at sign of a window, if it is one."""
    for match in MAIL_SHAPE.pattern.finditer(window):
        if match.start() < at_sign < match.end():
            is_user_of_url = window[: match.start()].endswith("://")
            if not is_user_of_url and MAIL_SHAPE.check(match[0]) is Outcome.VALID:
                yield Span(*match.span(), MAIL_SHAPE.kind)


def numbers_in(window: str, first: int, n_chars: int) -> Iterator[Span]:
    """What the digits window[first : first + n_chars], and what is glued to them, hold of any kind."""
    low, past = max(0, first - PREFIX_CHARS), first + n_chars
    high = min(len(window), past + SUFFIX_CHARS)
    folded = window[:low] + window[low:high].translate(FOLD) + window[high:]
    taken = bytearray(len(window))
    for shape in NUMBER_SHAPES:
        for match in shape.pattern.finditer(folded, low, high):
            start, end = match.span()
            if not any(taken[start:end]) and _holds(shape, match[0], window, start, end):
                taken[start:end] = b"\1" * (end - start)
                yield Span(start, end, shape.kind)


def _holds(shape: Shape, value: str, window: str, start: int, end: int) -> bool:
    outcome = shape.check(value)
    if outcome is Outcome.INVALID:
        return False
    before = window[max(0, start - LABEL_CHARS_BEFORE) : start]
    after = window[end : end + LABEL_CHARS_AFTER]
    if (VERSION_BEFORE if shape.kind == "ip" else OTHER_LABEL_BEFORE).search(before):
        return False
    if shape.kind in ("rrn", "frn") and _is_of_a_firm(shape.kind, value, outcome, before, after):
        return False
    if shape.needs is Needs.NOTHING or (shape.needs is Needs.PROOF and outcome is Outcome.VALID):
        return True
    return _is_labelled(shape.kind, before, after)


def _is_labelled(kind: PiiKind, before: str, after: str) -> bool:
    return bool(LABELS[kind].search(before) or LABELS[kind].search(after))


def _is_of_a_firm(kind: PiiKind, value: str, outcome: Outcome, before: str, after: str) -> bool:
    """Whether what may be a person's number is rather that of a firm, as 110111-5012345 of an office in Seoul.

    Offices are numbered from 11 to 29, so without a label only persons born from 1911 to 1929 are in doubt.
    """
    as_firm = validators.crn(value)
    if as_firm is Outcome.INVALID or _is_labelled(kind, before, after):
        return False
    is_old = value[:2] < "30" and value[-7] in "1256"
    return _is_labelled("crn", before, after) or (is_old and (as_firm, outcome) == (Outcome.VALID, Outcome.UNKNOWN))


def _candidates(utf8: Bytes, offsets: Offsets) -> npt.NDArray[np.int64]:
    """Where personal data may stand, in order, as curation/kernels/pii.py writes it."""
    out = np.empty((1024, N_FIELDS), np.int64)
    n_found = find_candidates(utf8, offsets, out)
    if n_found > len(out):
        out = np.empty((n_found, N_FIELDS), np.int64)
        find_candidates(utf8, offsets, out)
    return out[:n_found]


def _on_characters(utf8: Bytes, low: int, high: int, end: int) -> tuple[int, int]:
    """The bounds moved on to where characters begin."""
    while low < high and utf8[low] & 0xC0 == 0x80:
        low += 1
    while high < end and utf8[high] & 0xC0 == 0x80:
        high += 1
    return low, high


def _disjoint(spans: list[Span]) -> list[Span]:
    """In order; a number that touches the characters of an address of mail belongs to it."""
    kept: list[Span] = []
    for span in sorted(spans):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
        elif span.kind == "email":
            kept[-1] = span
    return kept


def _to_arrow(found: dict[int, list[Span]], texts: pa.LargeStringArray) -> pa.ListArray:
    counts = np.zeros(len(texts) + 1, np.int32)
    for document, spans in found.items():
        counts[document + 1] = len(spans)
    columns = zip(*(span for document in sorted(found) for span in found[document]), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, PII_TYPE.value_type, strict=False)]
    fields = list(PII_TYPE.value_type)
    values = pa.StructArray.from_arrays(arrays or [pa.array([], field.type) for field in fields], fields=fields)
    mask = texts.is_null() if texts.null_count else None
    return pa.ListArray.from_arrays(pa.array(np.cumsum(counts, dtype=np.int32)), values, type=PII_TYPE, mask=mask)
