"""Texts to learn a tokenizer from, and others to measure it by: chosen by their content, Korean and other.

Whether a text is chosen depends on what it says and on nothing else, so that a tokenizer is the same whatever the
order of files or the size of their row groups.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from classifiers.rows import frames
from classifiers.scripts import script_shares
from curation.tokens.engines import text_bytes
from manifests.digest import row_hashes
from manifests.errors import RequestError

Progress = Callable[[str, float, float, str], None]

LANGUAGES = ("ko", "en", "other")
HANGUL_FRAC_MIN, HANGUL_FRAC_MAX, LATIN_FRAC_MIN = 0.3, 0.01, 0.5
"""Shares of the letters: from the first on a text is Korean, since a syllable says what 2.5 Latin letters say; with
less Hangul than the second, and from the third on of Latin, it counts as English. What lies between is `other`."""
HELD_OUT_FRAC = 0.02
"""Of the texts; nothing is learned from them, so that what they measure holds for other texts too."""


@dataclass(frozen=True)
class Texts:
    """Some texts, and where they stand in LANGUAGES."""

    texts: pa.LargeStringArray
    language: npt.NDArray[np.int64]
    chance: npt.NDArray[np.float64]
    """A number in [0, 1) for each text, from its content."""

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Texts":
        """Those that are chosen."""
        return Texts(self.texts.filter(pa.array(chosen)), self.language[chosen], self.chance[chosen])

    def of(self, language: str) -> pa.LargeStringArray:
        """The texts in one of LANGUAGES."""
        return self.texts.filter(pa.array(self.language == LANGUAGES.index(language)))


def read_texts(files: Sequence[str], column: str, step: str, progress: Progress) -> Iterator[Texts]:
    """All texts that are not empty, batch by batch.

    Raises:
        RequestError: a file has no such column, or it holds no text.
        RunError: a file cannot be read to its end.
    """
    for number, path in enumerate(files):
        progress(step, number, len(files), path.rsplit("/", 1)[-1])
        for frame in frames(path, [column]):
            values = frame.get_column(column).drop_nulls().to_arrow()
            if pa.types.is_null(values.type):
                continue
            if not (pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type)):
                raise RequestError(f"{path}: column {column!r} holds {values.type}; expected text")
            yield _described(values.cast(pa.large_string()))
    progress(step, len(files), len(files), "")


def _described(texts: pa.LargeStringArray) -> Texts:
    shares = script_shares(texts)
    is_korean = shares.hangul_frac >= HANGUL_FRAC_MIN
    is_english = (shares.hangul_frac < HANGUL_FRAC_MAX) & (shares.latin_frac >= LATIN_FRAC_MIN)
    language = np.select([is_korean, is_english], [0, 1], LANGUAGES.index("other"))
    chance = row_hashes(pa.table({"text": texts}))[:, 0].astype(np.float64) / 2.0**64
    return Texts(texts, language, np.minimum(chance, 1 - 2.0**-53))


def count_bytes(files: Sequence[str], column: str, progress: Progress) -> dict[str, int]:
    """Bytes of text in each of LANGUAGES.

    Raises:
        RequestError: there is no text at all, or no such column.
    """
    n_bytes = dict.fromkeys(LANGUAGES, 0)
    for batch in read_texts(files, column, "count", progress):
        for language in LANGUAGES:
            n_bytes[language] += text_bytes(batch.of(language))
    if not sum(n_bytes.values()):
        raise RequestError(f"{files[0]}: column {column!r} of this and {len(files) - 1} other files holds no text")
    return n_bytes


def shares_to_take(n_bytes: Mapping[str, int], bytes_max: int, korean_frac: float | None) -> dict[str, float]:
    """The share of the texts in each of LANGUAGES that makes at most `bytes_max`, `korean_frac` of it Korean.

    Without `korean_frac`, languages keep the shares that they have.

    Raises:
        RequestError: there is no text of a language that is to have a share.
    """
    korean, rest = n_bytes["ko"], sum(n_bytes.values()) - n_bytes["ko"]
    if korean_frac is None:
        return dict.fromkeys(LANGUAGES, min(1.0, bytes_max / (korean + rest)))
    for name, found, frac in (("Korean", korean, korean_frac), ("other", rest, 1 - korean_frac)):
        if frac and not found:
            raise RequestError(f"{frac:.0%} of the texts are to be {name}, and there are none")
    limits = [found / frac for found, frac in ((korean, korean_frac), (rest, 1 - korean_frac)) if frac]
    total = min(bytes_max, *limits)
    of_korean, of_rest = (
        frac * total / max(found, 1) for found, frac in ((korean, korean_frac), (rest, 1 - korean_frac))
    )
    return {"ko": of_korean, "en": of_rest, "other": of_rest}


def to_learn_from(
    files: Sequence[str], column: str, shares: Mapping[str, float], progress: Progress
) -> Iterator[Texts]:
    """The texts to learn from, batch by batch: a share of those of each language, none of them held out."""
    share_of = np.array([shares[language] for language in LANGUAGES])
    for batch in read_texts(files, column, "learn", progress):
        place = (batch.chance - HELD_OUT_FRAC) / (1 - HELD_OUT_FRAC)
        yield batch.where((place >= 0) & (place < share_of[batch.language]))


def held_out(files: Sequence[str], column: str, bytes_max: int, progress: Progress) -> Texts:
    """Texts to measure by, at most about `bytes_max` in each of LANGUAGES, ordered by their content."""
    found, pending_bytes = list[Texts](), 0
    for batch in read_texts(files, column, "measure", progress):
        found.append(batch.where(batch.chance < HELD_OUT_FRAC))
        pending_bytes += text_bytes(found[-1].texts)
        if pending_bytes > bytes_max:  # so that memory is bounded
            found, pending_bytes = [_first(found, bytes_max)], 0
    return _first(found, bytes_max)


def _first(batches: Sequence[Texts], bytes_max: int) -> Texts:
    """Of all texts those with the lowest numbers, about `bytes_max` in each of LANGUAGES, ordered."""
    texts = pa.chunked_array([batch.texts for batch in batches], pa.large_string()).combine_chunks()
    joined = texts if isinstance(texts, pa.Array) else pa.concat_arrays(texts.chunks)
    language = np.concatenate([batch.language for batch in batches])
    chance = np.concatenate([batch.chance for batch in batches])
    order = np.argsort(chance, kind="stable")
    ordered = Texts(joined.take(pa.array(order)), language[order], chance[order])
    n_bytes = pc.binary_length(ordered.texts).to_numpy()
    kept = np.zeros(len(order), np.bool_)
    for place in range(len(LANGUAGES)):
        rows = np.flatnonzero(ordered.language == place)
        kept[rows] = np.cumsum(n_bytes[rows]) - n_bytes[rows] < bytes_max
    return ordered.where(kept)
