"""fastText models over Arrow text: load once, sample long documents, predict in batches."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from numba import njit

from classifiers.fasttext_file import LABEL_PREFIX, read_model
from classifiers.fasttext_predict import new_predictor, predict
from classifiers.scripts import Bytes, Offsets, text_buffers
from manifests.errors import RequestError

N_WINDOWS = 3
NEWLINE, SPACE = 10, 32


@dataclass(frozen=True)
class TopLabels:
    """The k likeliest labels of n texts, (n, k): indices into `FastTextModel.labels` (-1: none) and probabilities."""

    label: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]


class FastTextModel:
    """A supervised fastText model (`.bin` or `.ftz`).

    `labels` are the names without fastText's prefix, `digest` is the xxh3_128 of the file.
    """

    def __init__(self, path: str | Path) -> None:
        """Map the model at `path`; RequestError names a path that is missing or holds no supervised model."""
        if not Path(path).is_file():
            raise RequestError(f"fastText model {str(path)!r}: no such file; give the path of a .bin or .ftz model")
        try:
            model = read_model(Path(path))
        except ValueError as error:
            raise RequestError(f"fastText model {str(path)!r} cannot be loaded: {error}") from error
        self.digest = xxhash.xxh3_128_hexdigest(model.content.data)
        self.labels = tuple(name.removeprefix(LABEL_PREFIX) for name in model.labels)
        self._predictor = new_predictor(model)

    def predict(self, texts: pa.LargeStringArray, k: int = 1) -> TopLabels:
        """The k likeliest labels per text, all of which is read; line breaks and other controls count as spaces."""
        return TopLabels(*predict(self._predictor, *text_buffers(texts), k))


def sample_windows(texts: pa.LargeStringArray, max_chars: int) -> pa.LargeStringArray:
    """At most about `max_chars` characters of each text, as they stand; a null gives the empty text.

    A longer text gives three windows, each from the middle of its third and on lines of its own, so that neither
    header nor footer decides what the text is.
    """
    utf8, offsets = text_buffers(texts)
    out = np.empty(int(offsets[-1] - offsets[0]) + len(texts) * N_WINDOWS, np.uint8)  # untouched pages cost nothing
    out_offsets = np.zeros(len(texts) + 1, np.int64)
    _sample(utf8, offsets, max_chars, out, out_offsets)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(out_offsets), pa.py_buffer(out))


@njit(nogil=True, cache=True)
def _sample(utf8: Bytes, offsets: Offsets, max_chars: int, out: Bytes, out_offsets: Offsets) -> None:
    at = 0
    for d in range(offsets.shape[0] - 1):
        start, end = offsets[d], offsets[d + 1]
        if char_limit(utf8, start, end, max_chars) == end:
            at = _copy(utf8, start, end, out, at)
        else:
            at = _copy_windows(utf8, start, end, max_chars, out, at)
        out_offsets[d + 1] = at


@njit(nogil=True, cache=True)
def _copy_windows(utf8: Bytes, start: int, end: int, max_chars: int, out: Bytes, at: int) -> int:
    third = (end - start) // N_WINDOWS
    n_chars = max(max_chars // N_WINDOWS, 1)
    for w in range(N_WINDOWS):
        left = next_char(utf8, start + w * third, end)
        right = next_char(utf8, start + (w + 1) * third, end)
        begin = window_start(utf8, left, right, n_chars)
        at = _copy(utf8, begin, char_limit(utf8, begin, right, n_chars), out, at)
        out[at] = NEWLINE
        at += 1
    return at


@njit(nogil=True, cache=True)
def window_start(utf8: Bytes, left: int, right: int, n_chars: int) -> int:
    """Where a centred window of n_chars begins: after the next space if one is near, else at the next character."""
    width = 1 if utf8[left + (right - left) // 2] < 0x80 else 3
    begin = left + max((right - left - n_chars * width) // 2, 0)
    for i in range(begin, min(begin + 48, right)):
        if utf8[i] <= SPACE:
            return i + 1
    return next_char(utf8, begin, right)


@njit(nogil=True, cache=True)
def next_char(utf8: Bytes, i: int, end: int) -> int:
    """The first position from i on where a character begins, or end."""
    while i < end and (utf8[i] & 0xC0) == 0x80:
        i += 1
    return i


@njit(nogil=True, cache=True)
def char_limit(utf8: Bytes, i: int, end: int, n_chars: int) -> int:
    """The position after at most n_chars characters from i on."""
    if end - i <= n_chars:
        return end
    while i < end:
        n_chars -= (utf8[i] & 0xC0) != 0x80
        if n_chars < 0:
            break
        i += 1
    return i


@njit(nogil=True, cache=True)
def _copy(utf8: Bytes, i: int, end: int, out: Bytes, at: int) -> int:
    """Append utf8[i:end] to out at position `at`; returns the new end."""
    out[at : at + end - i] = utf8[i:end]
    return at + end - i
