"""Where benchmark items stand in documents: n-grams of folded text looked up in an index, and summed in a window.

Folded text has letters in lower case and one 0 for each run of digits; it has no white space, no punctuation, and
none of the syllables that Korean particles alternate between (은 는 이 가 을 를 와 과), wherever these stand. So text
that was respaced, whose particles were swapped or whose numbers were changed folds to what it was.

An n-gram is the shortest run of folded characters, up to each character, of at least GRAM_UNITS units: a Hangul
syllable, a Han or a Kana letter counts two, any other letter one. That is 5 syllables, or 10 letters.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import uint64

from curation.kernels import at, kernel
from curation.kernels.characters import Bytes, Hashes, Offsets, decode
from curation.kernels.hashing import BASE, SPREAD, find

Ids = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]
Folds = npt.NDArray[np.uint16]

GRAM_UNITS = 10
WIDE = 0x2E80  # from here on (CJK, Kana, Hangul) a character counts two units
DIGIT = 0x30
PARTICLES = "은는이가을를와과"
RING = 16  # more characters than any n-gram has

POWERS = np.array([pow(0x9E3779B97F4A7C15, i, 2**64) for i in range(RING)], np.uint64)


@cache
def folds() -> Folds:
    """What every character of the basic plane folds to, shape (65536,); 0 where it is left out."""
    table = np.zeros(0x10000, np.uint16)
    for code in range(0x10000):
        char = chr(code)
        if char.isdecimal():
            table[code] = DIGIT
        elif char.isalpha() and char not in PARTICLES:
            low = char.lower()
            table[code] = ord(low) if len(low) == 1 else code
    return table


class Index(NamedTuple):
    """Benchmark texts as n-grams. Targets are the texts to find; every n-gram has an id."""

    bits: Hashes  # a bitmap that tells most n-grams that are in no target
    bits_shift: np.uint64
    keys: Hashes  # hashes of the n-grams; 0 where empty
    keys_shift: np.uint64
    ids: Ids  # of the n-gram in each slot of `keys`
    weights: Weights  # of each n-gram
    posting_starts: Offsets  # targets of n-gram g are postings[posting_starts[g]:posting_starts[g + 1]]
    postings: Ids
    target_starts: Offsets  # distinct n-grams of target t are target_grams[target_starts[t]:target_starts[t + 1]]
    target_grams: Ids
    floors: Weights  # the weight from which a target is reported
    widths: Ids  # the window for each target, in folded characters


class Scratch(NamedTuple):
    """Memory for one document's hits, and for the runs of hits of each target."""

    ring: Hashes  # the last characters, each with the byte where it stands
    gram: Ids
    place: Ids  # of the hit's last character among folded ones
    first: Offsets  # byte where it starts
    past: Offsets  # byte after it
    counts: Ids  # 0 for every n-gram
    is_member: Bytes  # 0 for every n-gram
    seen_at: Ids  # -1 for every target
    run_weight: Weights
    run_first: Ids  # the run's first hit
    run_last: Ids


class Found(NamedTuple):
    """Where targets stand: rows of (document, target), their weight, and the span in bytes of all the texts."""

    document: Ids
    target: Ids
    weight: Weights
    start: Offsets
    end: Offsets


@kernel()
def hash_grams(utf8: Bytes, table: Folds, powers: Hashes, hashes: Hashes, units: Bytes) -> int:
    """Writes the hash of every n-gram of a text, and the units of its last character; returns their number.

    `hashes` has RING places more than the text has bytes.
    """
    h, size, n_units, n, was_digit = uint64(0), 0, 0, 0, False
    ring = hashes[len(hashes) - RING :]
    n_folded, i = 0, 0
    while i < len(utf8):
        character, width = decode(utf8, i)
        i += width
        code = int(table[at(character)]) if character < 0x10000 else 0
        if code == 0 or (code == DIGIT and was_digit):
            continue
        was_digit = code == DIGIT
        ring[at(n_folded & (RING - 1))] = code
        n_folded += 1
        h = h * BASE + uint64(code)
        size += 1
        n_units += 2 if code >= WIDE else 1
        oldest = int(ring[at((n_folded - size) & (RING - 1))])
        while n_units - (2 if oldest >= WIDE else 1) >= GRAM_UNITS:
            h -= uint64(oldest) * powers[at(size - 1)]
            n_units -= 2 if oldest >= WIDE else 1
            size -= 1
            oldest = int(ring[at((n_folded - size) & (RING - 1))])
        if n_units >= GRAM_UNITS:
            hashes[at(n)] = h | uint64(1)
            units[at(n)] = 2 if code >= WIDE else 1
            n += 1
    return n


@kernel()
def find_hits(utf8: Bytes, start: int, end: int, table: Folds, powers: Hashes, index: Index, hits: Scratch) -> int:
    """Fills `hits` with the n-grams of utf8[start:end] that are in the index; returns how many."""
    h, size, n_units, n, was_digit = uint64(0), 0, 0, 0, False
    ring, bits, bits_shift, keys, keys_shift = hits.ring, index.bits, index.bits_shift, index.keys, index.keys_shift
    n_folded, i = 0, start
    while i < end:
        character, width = int(utf8[at(i)]), 1
        if character >= 0x80:
            character, width = decode(utf8, i)
        code = int(table[at(character)]) if character < 0x10000 else 0
        i += width
        if code == 0 or (code == DIGIT and was_digit):
            continue
        was_digit = code == DIGIT
        ring[at(n_folded & (RING - 1))] = uint64(i - width) << uint64(16) | uint64(code)
        n_folded += 1
        h = h * BASE + uint64(code)
        size += 1
        n_units += 2 if code >= WIDE else 1
        oldest = ring[at((n_folded - size) & (RING - 1))] & uint64(0xFFFF)
        oldest_units = 2 if oldest >= uint64(WIDE) else 1
        while n_units - oldest_units >= GRAM_UNITS:
            h -= oldest * powers[at(size - 1)]
            n_units -= oldest_units
            size -= 1
            oldest = ring[at((n_folded - size) & (RING - 1))] & uint64(0xFFFF)
            oldest_units = 2 if oldest >= uint64(WIDE) else 1
        if n_units < GRAM_UNITS:
            continue
        key = h | uint64(1)
        place = (key * SPREAD) >> bits_shift
        if (bits[place >> uint64(6)] >> (place & uint64(63))) & uint64(1):
            slot = find(keys, keys_shift, key)
            if keys[slot] == key:
                hits.gram[at(n)] = index.ids[slot]
                hits.place[at(n)] = n_folded - 1
                hits.first[at(n)] = ring[at((n_folded - size) & (RING - 1))] >> uint64(16)
                hits.past[at(n)] = i
                n += 1
    return n


@kernel()
def find_runs(index: Index, hits: Scratch, n_hits: int, document: int, found: Found, n: int) -> int:
    """Appends what find_windows() finds in each run of a target's hits that may reach its floor.

    A run ends where the next hit of the target is further away than the target is wide, so that a long document
    costs no more than its parts. Returns the new number of rows.
    """
    seen_at, run_weight, run_first, run_last = hits.seen_at, hits.run_weight, hits.run_first, hits.run_last
    for i in range(n_hits):
        gram, place = hits.gram[at(i)], hits.place[at(i)]
        weight = index.weights[at(gram)]
        for k in range(index.posting_starts[at(gram)], index.posting_starts[at(gram + 1)]):
            target = index.postings[at(k)]
            if seen_at[at(target)] >= 0 and place - seen_at[at(target)] > index.widths[at(target)]:
                n = end_run(index, hits, target, document, found, n)
            if seen_at[at(target)] < 0:
                run_weight[at(target)], run_first[at(target)] = 0, i
            run_weight[at(target)] += weight
            seen_at[at(target)], run_last[at(target)] = place, i
    for i in range(n_hits):
        gram = hits.gram[at(i)]
        for k in range(index.posting_starts[at(gram)], index.posting_starts[at(gram + 1)]):
            if seen_at[at(index.postings[at(k)])] >= 0:
                n = end_run(index, hits, index.postings[at(k)], document, found, n)
    return n


@kernel()
def end_run(index: Index, hits: Scratch, target: int, document: int, found: Found, n: int) -> int:
    """Looks for windows in the run of a target, if it weighs enough, and forgets it."""
    hits.seen_at[at(target)] = -1
    if hits.run_weight[at(target)] < index.floors[at(target)]:
        return n
    return find_windows(
        index, hits, hits.run_first[at(target)], hits.run_last[at(target)] + 1, target, document, found, n
    )


@kernel()
def find_windows(
    index: Index, hits: Scratch, first: int, past: int, target: int, document: int, found: Found, n: int
) -> int:
    """Appends the windows, none overlapping, in which a target's distinct n-grams weigh at least its floor.

    Two ends move over the hits from `first` to before `past`; a repeated n-gram at the left end is let go, so
    windows are tight. Returns the new number of rows.
    """
    counts, member = hits.counts, hits.is_member
    floor, width = index.floors[at(target)], index.widths[at(target)]
    for k in range(index.target_starts[at(target)], index.target_starts[at(target + 1)]):
        member[at(index.target_grams[at(k)])] = 1
    left, weight, best, best_left, best_right = first, 0.0, 0.0, -1, -1
    for right in range(first, past):
        gram = hits.gram[at(right)]
        if not member[at(gram)]:
            continue
        counts[at(gram)] += 1
        if counts[at(gram)] == 1:
            weight += index.weights[at(gram)]
        while True:
            old = hits.gram[at(left)]
            if member[at(old)]:
                if hits.place[at(right)] - hits.place[at(left)] <= width and counts[at(old)] < 2:
                    break
                counts[at(old)] -= 1
                if counts[at(old)] == 0:
                    weight -= index.weights[at(old)]
            left += 1
        if best_right >= 0 and hits.first[at(left)] >= hits.past[at(best_right)]:
            n = append(found, n, document, target, best, hits.first[at(best_left)], hits.past[at(best_right)])
            best, best_right = 0.0, -1
        if weight >= floor and weight > best:
            best, best_left, best_right = weight, left, right
    if best_right >= 0:
        n = append(found, n, document, target, best, hits.first[at(best_left)], hits.past[at(best_right)])
    for k in range(index.target_starts[at(target)], index.target_starts[at(target + 1)]):
        gram = index.target_grams[at(k)]
        member[at(gram)], counts[at(gram)] = 0, 0
    return n


@kernel()
def append(found: Found, n: int, document: int, target: int, weight: float, start: int, end: int) -> int:
    """Appends a row where there is room; returns the number of rows, counting those that had no room."""
    if n < len(found.document):
        found.document[at(n)], found.target[at(n)], found.weight[at(n)] = document, target, weight
        found.start[at(n)], found.end[at(n)] = start, end
    return n + 1


@kernel()
def find_targets(
    utf8: Bytes,
    offsets: Offsets,
    first_document: int,
    table: Folds,
    powers: Hashes,
    index: Index,
    hits: Scratch,
    found: Found,
) -> tuple[int, int]:
    """Finds targets in documents from `first_document` on; returns (rows, document to go on with).

    Stops early where `found` has no room for all rows of a document, which then are not counted.
    """
    n = 0
    for d in range(first_document, len(offsets) - 1):
        n_hits = find_hits(utf8, offsets[d], offsets[d + 1], table, powers, index, hits)
        if n_hits == 0:
            continue
        before = n
        n = find_runs(index, hits, n_hits, d, found, n)
        if n > len(found.document):
            return before, d
    return n, len(offsets) - 1


@kernel()
def count_documents(
    utf8: Bytes,
    offsets: Offsets,
    table: Folds,
    powers: Hashes,
    index: Index,
    hits: Scratch,
    last_document: Ids,
    n_documents: Offsets,
) -> None:
    """Adds to n_documents[gram] the number of documents that have it; `last_document` starts at -1."""
    for d in range(len(offsets) - 1):
        n_hits = find_hits(utf8, offsets[d], offsets[d + 1], table, powers, index, hits)
        for i in range(n_hits):
            gram = hits.gram[at(i)]
            n_documents[at(gram)] += last_document[at(gram)] != d
            last_document[at(gram)] = d


@kernel()
def place_keys(keys: Hashes, shift: np.uint64, table: Hashes, ids: Ids) -> None:
    """Puts the keys, none 0, into the empty open table where find() looks for them, with their numbers."""
    for i in range(len(keys)):
        slot = find(table, shift, keys[i])
        table[slot], ids[slot] = keys[i], i
