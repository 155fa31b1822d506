"""Repeated stretches of text: fingerprints from which all of them are found, and what the windows they name share.

A window is `min_chars` characters. Its fingerprint is the lowest hash of the k-grams of characters in it, so windows
that are equal have equal fingerprints, wherever they stand. Neighbouring windows mostly share theirs: a document
needs one row for each run of windows of equal fingerprint, about 2 / (min_chars - k + 2) of its characters. Source:
Schleimer, Wilkerson, Aiken 2003, Winnowing, section 4, with runs of one value instead of positions.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import uint64

from curation.kernels import at, kernel
from curation.kernels.characters import Bytes, Hashes, Offsets, decode
from curation.kernels.hashing import BASE, SPREAD, mix

Ints = npt.NDArray[np.int32]
Points = npt.NDArray[np.uint32]
HIGHEST = uint64(0xFFFFFFFFFFFFFFFF)


def gram_chars(min_chars: int) -> int:
    """k: short enough that few fingerprints are needed, long enough that few are shared by chance."""
    return max(1, min_chars // 4)


class Runs(NamedTuple):
    """Runs of windows: columns of up to a row per byte; pages that nothing touches cost no memory."""

    hashes: Hashes
    rows: Ints  # of the document
    starts: Ints  # the first window's first character
    n_chars: Ints  # from there to the end of the last window
    first_bytes: Ints  # where it lies in the document
    n_bytes: Ints


def new_runs(n_bytes: int) -> Runs:
    """Runs of documents that have n_bytes together."""
    return Runs(np.empty(n_bytes, np.uint64), *np.empty((5, n_bytes), np.int32))


class Ring(NamedTuple):
    """The last characters and the last hashes of k-grams, each in as many slots as a power of two."""

    points: Hashes
    hashes: Hashes


def new_ring(min_chars: int) -> Ring:
    """A ring for windows of min_chars characters."""
    slots = 1 << min_chars.bit_length()
    return Ring(*np.zeros((2, slots), np.uint64))


@kernel()
def power(base: np.uint64, exponent: int) -> np.uint64:
    """base ** exponent, modulo 2^64."""
    product = uint64(1)
    for _ in range(exponent):
        product *= base
    return product


@kernel()
def lowest(hashes: Hashes, first: int, past: int) -> tuple[np.uint64, int]:
    """(lowest of the ring's hashes first to past - 1, the last place where it is)."""
    low, low_at = HIGHEST, first
    for j in range(first, past):
        value = hashes[at(j & (len(hashes) - 1))]
        if value <= low:
            low, low_at = value, j
    return low, low_at


@kernel()
def find_runs(utf8: Bytes, offsets: Offsets, min_chars: int, k: int, ring: Ring, runs: Runs) -> int:
    """Writes the runs of all windows of all documents utf8[offsets[d]:offsets[d + 1]]; returns how many there are."""
    n_runs, n_grams, mask, out = 0, min_chars - k + 1, len(ring.points) - 1, power(BASE, k)
    for d in range(len(offsets) - 1):
        start, end = offsets[d], offsets[d + 1]
        if end - start < min_chars:
            continue
        ring.points[:] = 0
        h, low, low_at, run_hash = uint64(0), HIGHEST, 0, uint64(0)
        tail, tail_byte, run_start, i, n_chars = 0, start, -1, start, 0
        while i < end:
            character, size = decode(utf8, i)
            point = uint64(character) + uint64(1)
            h = h * BASE + point - out * ring.points[at((n_chars - k) & mask)]
            ring.points[at(n_chars & mask)] = point
            gram = n_chars - k + 1
            if gram >= 0:
                value = h * SPREAD
                value ^= value >> uint64(29)
                value *= BASE
                ring.hashes[at(gram & mask)] = value
                if value <= low:
                    low, low_at = value, gram
                elif low_at <= gram - n_grams:
                    low, low_at = lowest(ring.hashes, gram - n_grams + 1, gram + 1)
                window = gram - n_grams + 1
                if window >= 0 and (low != run_hash or run_start < 0):
                    if run_start >= 0:
                        runs.n_bytes[at(n_runs - 1)] = i - start - runs.first_bytes[at(n_runs - 1)]
                        runs.n_chars[at(n_runs - 1)] = n_chars - run_start
                    while tail < window:
                        tail_byte += 1
                        while utf8[at(tail_byte)] & 0xC0 == 0x80:
                            tail_byte += 1
                        tail += 1
                    runs.hashes[at(n_runs)], runs.rows[at(n_runs)], runs.starts[at(n_runs)] = low, d, window
                    runs.first_bytes[at(n_runs)] = tail_byte - start
                    run_hash, run_start = low, window
                    n_runs += 1
            n_chars += 1
            i += size
        if run_start >= 0:
            runs.n_bytes[at(n_runs - 1)] = end - start - runs.first_bytes[at(n_runs - 1)]
            runs.n_chars[at(n_runs - 1)] = n_chars - run_start
    return n_runs


class Stretches(NamedTuple):
    """Stretches that occur in several places: a row for each place."""

    spans: Hashes  # what it is called wherever it occurs
    rows: Ints  # of the run that it lies in
    starts: Ints  # of its first character in the document
    n_chars: Ints


class Classes(NamedTuple):
    """Scratch for the windows of some runs, and for the classes of equal ones among them."""

    points: Points  # the runs' characters
    slots: Ints  # a hash table of classes, -1 where empty
    of_window: Ints  # class of each window
    first_texts: Hashes  # of each class: the text and the place of its first window,
    first_starts: Ints
    examples: Offsets  # where one of its windows begins in `points`,
    counts: Ints  # how many windows it has,
    shapes: Hashes  # and a sum over where they are, seen from the first


def new_classes(n_bytes: int, n_windows: int) -> Classes:
    """Classes for runs of n_bytes that hold n_windows windows."""
    slots = np.full(1 << max(4, (2 * n_windows - 1).bit_length()), -1, np.int32)
    of_window, first_starts, counts = np.empty((3, n_windows), np.int32)
    first_texts, shapes = np.empty((2, n_windows), np.uint64)
    points, examples = np.empty(n_bytes, np.uint32), np.empty(n_windows, np.int64)
    return Classes(points, slots, of_window, first_texts, first_starts, examples, counts, shapes)


@kernel()
def same(points: Points, a: int, b: int, n_chars: int) -> bool:
    """Whether the n_chars characters from a on are those from b on."""
    i = 0
    while i < n_chars and points[at(a + i)] == points[at(b + i)]:
        i += 1
    return i == n_chars


@kernel()
def class_of(c: Classes, h: np.uint64, place: int, min_chars: int, before: int, n_classes: int) -> int:
    """The class of the window at `place`, the window before it being of class `before` (or -1); n_classes if new."""
    mask = uint64(len(c.slots) - 1)
    slot = mix(h) & mask
    while True:
        found = c.slots[at(slot)]
        if found < 0:
            c.slots[at(slot)] = n_classes
            return n_classes
        example = c.examples[at(found)]
        if before >= 0 and c.examples[at(before)] == example - 1:  # all but the last character was compared
            if c.points[at(example + min_chars - 1)] == c.points[at(place + min_chars - 1)]:
                return int(found)
        elif same(c.points, example, place, min_chars):
            return int(found)
        slot = (slot + uint64(1)) & mask


@kernel()
def classify(utf8: Bytes, offsets: Offsets, texts: Hashes, starts: Ints, min_chars: int, c: Classes) -> int:
    """Fills the classes of all windows of the runs utf8[offsets[r]:offsets[r + 1]]; returns how many windows."""
    n_points, n_windows, n_classes, out = 0, 0, 0, power(BASE, min_chars)
    for r in range(len(offsets) - 1):
        h, first, before, i = uint64(0), n_points, -1, offsets[r]
        while i < offsets[r + 1]:
            character, size = decode(utf8, i)
            i += size
            c.points[at(n_points)] = character
            n_points += 1
            h = h * BASE + uint64(character) + uint64(1)
            place = n_points - min_chars
            if place < first:
                continue
            if place > first:
                h -= out * (uint64(c.points[at(place - 1)]) + uint64(1))
            found = class_of(c, h, place, min_chars, before, n_classes)
            text, start = texts[r], starts[r] + place - first
            if found == n_classes:
                n_classes += 1
                c.examples[at(found)], c.counts[at(found)], c.shapes[at(found)] = place, 0, 0
                c.first_texts[at(found)], c.first_starts[at(found)] = text, start
            is_first = text == c.first_texts[at(found)] and start < c.first_starts[at(found)]
            if text < c.first_texts[at(found)] or is_first:
                c.first_texts[at(found)], c.first_starts[at(found)] = text, start
            c.counts[at(found)] += 1
            c.of_window[at(n_windows)] = found
            n_windows += 1
            before = found
    return n_windows


@kernel()
def add_shapes(sizes: Offsets, texts: Hashes, starts: Ints, c: Classes) -> None:
    """Sums, for each class, where its windows are; `sizes` are the windows of each run."""
    window = 0
    for r in range(len(sizes)):
        for s in range(sizes[r]):
            found = c.of_window[at(window)]
            place = uint64(starts[r] + s - c.first_starts[at(found)])
            c.shapes[at(found)] += mix(texts[r] + mix(place))
            window += 1


@kernel()
def goes_on(c: Classes, before: int, found: int) -> bool:
    """Whether the windows of class `found` are those of class `before`, each one character on."""
    return bool(
        c.counts[at(before)] == c.counts[at(found)]
        and c.first_texts[at(before)] == c.first_texts[at(found)]
        and c.first_starts[at(before)] + 1 == c.first_starts[at(found)]
        and c.shapes[at(before)] == c.shapes[at(found)]
    )


@kernel()
def write_stretches(sizes: Offsets, starts: Ints, min_chars: int, c: Classes, out: Stretches) -> int:
    """Writes the longest stretches whose windows all occur in the same other places; returns how many places."""
    window, n_out = 0, 0
    for r in range(len(sizes)):
        before = -1
        for s in range(sizes[r]):
            found = c.of_window[at(window)]
            window += 1
            if c.counts[at(found)] < 2:
                before = -1
                continue
            if before >= 0 and goes_on(c, before, found):
                out.n_chars[at(n_out - 1)] += 1
            else:
                place = uint64(c.first_starts[at(found)])
                out.spans[at(n_out)] = mix(c.first_texts[at(found)] + mix(place))
                out.rows[at(n_out)], out.starts[at(n_out)], out.n_chars[at(n_out)] = r, starts[r] + s, min_chars
                n_out += 1
            before = found
    return n_out
