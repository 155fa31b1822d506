"""fastText models over Arrow text: load once, sample long documents, predict in batches."""

from dataclasses import dataclass
from pathlib import Path

import fasttext.FastText
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from numba import njit

from classifiers.scripts import Bytes, Offsets, text_buffers
from manifests.errors import RequestError

N_WINDOWS = 3


@dataclass(frozen=True)
class TopLabels:
    """The likeliest label of each line: an index into `FastTextModel.labels` (-1: none) and its probability."""

    label: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]


class FastTextModel:
    """A supervised fastText model (`.bin` or `.ftz`).

    `labels` are the names without fastText's prefix, `digest` is the xxh3_128 of the file.
    """

    def __init__(self, path: str | Path) -> None:
        """Load the model at `path`; RequestError names a path that is missing or holds no supervised model."""
        self.path = Path(path)
        if not self.path.is_file():
            raise RequestError(f"fastText model {str(path)!r}: no such file; give the path of a .bin or .ftz model")
        self.digest = xxhash.xxh3_128_hexdigest(self.path.read_bytes())
        try:
            # The class rather than fasttext.load_model, which prints a warning to stderr in some builds.
            self._model = fasttext.FastText._FastText(model_path=str(self.path))
            names = [name.removeprefix("__label__") for name in self._model.get_labels()]
            supervised = self._model.f.getArgs().model.name == "supervised"
        except (ValueError, RuntimeError, MemoryError) as error:
            raise RequestError(f"fastText model {str(path)!r} cannot be loaded: {error}") from error
        if not supervised:
            raise RequestError(f"fastText model {str(path)!r} is not a supervised model; it has no labels to predict")
        self.labels: tuple[str, ...] = tuple(names)
        self._index = {f"__label__{name}": i for i, name in enumerate(names)}

    def predict(self, lines: pa.LargeStringArray) -> TopLabels:
        """The likeliest label per line; every line ends in its only newline, as `sample_lines` makes them."""
        entries = lines.to_numpy(zero_copy_only=False).tolist()
        names, scores = self._model.f.multilinePredict(entries, 1, 0.0, "strict")
        label = np.fromiter((self._index[n[0]] if n else -1 for n in names), np.int64, len(names))
        score = np.fromiter((s[0] if len(s) else 0.0 for s in scores), np.float32, len(names))
        return TopLabels(label, np.clip(score, 0.0, 1.0))


def sample_lines(texts: pa.LargeStringArray, max_chars: int) -> pa.LargeStringArray:
    """One line per document, as fastText wants it: about `max_chars` characters, no newline but the last.

    A longer document gives three windows, from the middle of each third, so that neither header nor footer decides.
    """
    utf8, offsets = text_buffers(texts)
    out = np.empty(
        int(offsets[-1] - offsets[0]) + len(texts) * (N_WINDOWS + 1), np.uint8
    )  # pages not written cost nothing
    out_offsets = np.zeros(len(texts) + 1, np.int64)
    _sample(utf8, offsets, max_chars, out, out_offsets)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(out_offsets), pa.py_buffer(out))


@njit(nogil=True, cache=True)
def _sample(utf8: Bytes, offsets: Offsets, max_chars: int, out: Bytes, out_offsets: Offsets) -> None:
    at = 0
    for d in range(offsets.shape[0] - 1):
        start, end = offsets[d], offsets[d + 1]
        if end - start <= max_chars:
            at = copy_chars(utf8, start, end, max_chars, out, at)
        else:
            at = _copy_windows(utf8, start, end, max_chars, out, at)
        out[at] = 10
        at += 1
        out_offsets[d + 1] = at


@njit(nogil=True, cache=True)
def _copy_windows(utf8: Bytes, start: int, end: int, max_chars: int, out: Bytes, at: int) -> int:
    """Three windows of max_chars / 3, each from the middle of its third; all of the text where it is short enough."""
    n_chars = 0
    for i in range(start, end):
        n_chars += (utf8[i] & 0xC0) != 0x80
        if n_chars > max_chars:
            break
    if n_chars <= max_chars:
        return copy_chars(utf8, start, end, max_chars, out, at)
    third = (end - start) // N_WINDOWS
    per_window = max(max_chars // N_WINDOWS, 1)
    for w in range(N_WINDOWS):
        left = next_char(utf8, start + w * third, end)
        right = next_char(utf8, start + (w + 1) * third, end)
        begin = _window_start(utf8, left, right, per_window)
        at = copy_chars(utf8, begin, right, per_window, out, at)
        out[at] = 32
        at += 1
    return at


@njit(nogil=True, cache=True)
def _window_start(utf8: Bytes, left: int, right: int, n_chars: int) -> int:
    """Where a centred window of n_chars begins: after the next space, or else at the next character."""
    width = 1 if utf8[left + (right - left) // 2] < 0x80 else 3
    begin = left + max((right - left - n_chars * width) // 2, 0)
    for i in range(begin, min(begin + 48, right)):
        if utf8[i] <= 32:
            return i + 1
    return next_char(utf8, begin, right)


@njit(nogil=True, cache=True)
def next_char(utf8: Bytes, i: int, end: int) -> int:
    """The first position from i on where a character begins, or end."""
    while i < end and (utf8[i] & 0xC0) == 0x80:
        i += 1
    return i


@njit(nogil=True, cache=True)
def copy_chars(utf8: Bytes, i: int, end: int, n_chars: int, out: Bytes, at: int) -> int:
    """Copy at most n_chars whole characters, control characters as spaces; returns the new end of `out`."""
    while i < end and n_chars >= 0:
        byte = utf8[i]
        if (byte & 0xC0) != 0x80:
            n_chars -= 1
            if n_chars < 0:
                break
        out[at] = byte if byte >= 32 else 32
        at += 1
        i += 1
    return at
