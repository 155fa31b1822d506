r"""Lines and paragraphs as hashes, to count across documents how often each occurs."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import uint64

from curation.kernels import at, kernel
from curation.kernels.characters import SPACE, Bytes, Hashes, Offsets, decode
from curation.kernels.hashing import SPREAD, mix

NEWLINE = 0x0A


class Units(NamedTuple):
    """Columns of up to a row per byte; pages that nothing touches cost no memory."""

    hashes: Hashes
    rows: npt.NDArray[np.int32]  # of the document
    places: npt.NDArray[np.int32]  # 0 for the first unit of its document that is not blank


def new_units(n_bytes: int) -> Units:
    """Units of documents that have n_bytes together."""
    return Units(np.empty(n_bytes, np.uint64), *np.empty((2, n_bytes), np.int32))


@kernel()
def hash_units(utf8: Bytes, offsets: Offsets, classes: Bytes, whole_paragraphs: bool, units: Units) -> int:
    r"""Writes the units of all documents utf8[offsets[d]:offsets[d + 1]]; returns how many there are.

    A unit is a line (cut at "\n") that is not blank, or with `whole_paragraphs` a run of such lines. Its hash covers
    its characters without the white space.
    """
    n_units = 0
    for d in range(len(offsets) - 1):
        i, end, place = offsets[d], offsets[d + 1], 0
        h, n_in_unit, n_in_line = uint64(0), 0, 0
        while i <= end:
            is_end = i == end
            byte = NEWLINE if is_end else int(utf8[at(i)])
            if byte == NEWLINE:
                if n_in_unit and (is_end or not whole_paragraphs or n_in_line == 0):
                    units.hashes[at(n_units)] = mix(h + uint64(n_in_unit))
                    units.rows[at(n_units)], units.places[at(n_units)] = d, place
                    n_units, place = n_units + 1, place + 1
                    h, n_in_unit = uint64(0), 0
                n_in_line = 0
                i += 1
            elif byte < 0x80:
                if not classes[at(byte)] & SPACE:
                    h = (h ^ uint64(byte)) * SPREAD
                    h ^= h >> uint64(32)
                    n_in_line, n_in_unit = n_in_line + 1, n_in_unit + 1
                i += 1
            else:
                character, size = decode(utf8, i)
                if not classes[at(character)] & SPACE:
                    h = (h ^ uint64(character)) * SPREAD
                    h ^= h >> uint64(32)
                    n_in_line, n_in_unit = n_in_line + 1, n_in_unit + 1
                i += size
    return n_units
