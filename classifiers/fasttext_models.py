"""fastText models over Arrow text: load once, sample long documents, predict in batches."""

import mmap
import struct
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
NEWLINE, SPACE = 10, 32
MAGIC, HEADER_BYTES = 793712314, 64  # of a model file


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
        """Load the model at `path`; RequestError names a path that is missing or holds no supervised model."""
        self.path = Path(path)
        if not self.path.is_file():
            raise RequestError(f"fastText model {str(path)!r}: no such file; give the path of a .bin or .ftz model")
        self.digest = _checked_digest(self.path)
        try:
            # The class rather than fasttext.load_model, which prints a warning to stderr in some builds.
            self._model = fasttext.FastText._FastText(model_path=str(self.path))
            names = self._model.get_labels()
            supervised = self._model.f.getArgs().model.name == "supervised"
        except (ValueError, RuntimeError, MemoryError) as error:
            raise RequestError(f"fastText model {str(path)!r} cannot be loaded: {error}") from error
        if not supervised:
            raise RequestError(f"fastText model {str(path)!r} is not a supervised model; it has no labels to predict")
        self.labels: tuple[str, ...] = tuple(name.removeprefix("__label__") for name in names)
        self._index = {name: i for i, name in enumerate(names)}

    def predict(self, texts: pa.LargeStringArray, k: int = 1) -> TopLabels:
        """The k likeliest labels per text, all of which is read; line breaks and other controls count as spaces."""
        entries = _as_lines(texts).to_numpy(zero_copy_only=False).tolist()
        names, scores = self._model.f.multilinePredict(entries, k, 0.0, "strict")
        label = np.full((len(texts), k), -1, np.int64)
        score = np.zeros((len(texts), k), np.float32)
        for row, (found, probability) in enumerate(zip(names, scores, strict=True)):
            label[row, : len(found)] = [self._index[name] for name in found]
            score[row, : len(found)] = probability
        return TopLabels(label, np.clip(score, 0.0, 1.0))


def _checked_digest(path: Path) -> str:
    """The digest of a model file that is whole: fastText hangs on one cut short, or answers from half a matrix."""
    wrong = f"fastText model {str(path)!r} cannot be loaded: it is not a fastText model, or it is cut short"
    size_bytes = path.stat().st_size
    if not size_bytes:
        raise RequestError(wrong)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            whole = _model_size(content) == size_bytes
        except (struct.error, ValueError) as error:
            raise RequestError(wrong) from error
        if not whole:
            raise RequestError(wrong)
        return xxhash.xxh3_128_hexdigest(content)


def _model_size(content: mmap.mmap) -> int:
    """How many bytes a model file should have by what it says of itself (FastText::saveModel, format version 12)."""
    magic, _ = struct.unpack_from("<ii", content)
    if magic != MAGIC:
        raise ValueError(f"magic number {magic}")
    n_entries, _, _, _, n_pruned = struct.unpack_from("<iiiqq", content, HEADER_BYTES)
    at = HEADER_BYTES + struct.calcsize("<iiiqq")
    for _ in range(n_entries):  # a name that ends in zero, a count, a type
        end = content.find(b"\0", at)
        if end < 0:
            raise ValueError("the dictionary does not end")
        at = end + 10
    at += max(n_pruned, 0) * 8
    is_quantised = content[at] if at < len(content) else 0
    at = _matrix_end(content, at + 1, bool(is_quantised))
    output_quantised = is_quantised and at < len(content) and content[at]
    return _matrix_end(content, at + 1, bool(output_quantised))


def _matrix_end(content: mmap.mmap, at: int, is_quantised: bool) -> int:
    if not is_quantised:
        n_rows, n_columns = struct.unpack_from("<qq", content, at)
        return int(at + 16 + 4 * n_rows * n_columns)
    has_norms, n_rows, _, n_codes = struct.unpack_from("<?qqi", content, at)
    at = _quantizer_end(content, at + struct.calcsize("<?qqi") + n_codes)
    return _quantizer_end(content, at + n_rows) if has_norms else at


def _quantizer_end(content: mmap.mmap, at: int) -> int:
    (dimension,) = struct.unpack_from("<i", content, at)
    return int(at + 16 + 4 * 256 * dimension)


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


def _as_lines(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """fastText's input: each text on one line that ends in its only newline."""
    utf8, offsets = text_buffers(texts)
    out = np.empty(int(offsets[-1] - offsets[0]) + len(texts), np.uint8)
    _join_lines(utf8, offsets, out)
    out_offsets = offsets - offsets[0] + np.arange(len(offsets))
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(out_offsets), pa.py_buffer(out))


@njit(nogil=True, cache=True)
def _join_lines(utf8: Bytes, offsets: Offsets, out: Bytes) -> None:
    at = 0
    for d in range(offsets.shape[0] - 1):
        for i in range(offsets[d], offsets[d + 1]):
            out[at] = max(utf8[i], SPACE)
            at += 1
        out[at] = NEWLINE
        at += 1


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
        left = _next_char(utf8, start + w * third, end)
        right = _next_char(utf8, start + (w + 1) * third, end)
        begin = _window_start(utf8, left, right, n_chars)
        at = _copy(utf8, begin, char_limit(utf8, begin, right, n_chars), out, at)
        out[at] = NEWLINE
        at += 1
    return at


@njit(nogil=True, cache=True)
def _window_start(utf8: Bytes, left: int, right: int, n_chars: int) -> int:
    """Where a centred window of n_chars begins: after the next space if one is near, else at the next character."""
    width = 1 if utf8[left + (right - left) // 2] < 0x80 else 3
    begin = left + max((right - left - n_chars * width) // 2, 0)
    for i in range(begin, min(begin + 48, right)):
        if utf8[i] <= SPACE:
            return i + 1
    return _next_char(utf8, begin, right)


@njit(nogil=True, cache=True)
def _next_char(utf8: Bytes, i: int, end: int) -> int:
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
