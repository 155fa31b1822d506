"""A tokenizer: texts in Arrow's buffers to ids, with the tokens that end and begin a document.

Special tokens that stand literally in a text are encoded as the text that they are. A tokenizer's digest covers all
that ids depend on; the engine is no part of it, since Gigatoken is used where its ids are the library's.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import orjson
import pyarrow as pa
import xxhash

from curation.tokens.ends import beginning_of_document, end_of_document, padding
from curation.tokens.engines import (
    Engine,
    Ids,
    Offsets,
    UnsupportedByGigatokenError,
    engine_version,
    gigatoken_engine,
    give_memory_back,
    library_engine,
    without_merges_of,
)
from curation.tokens.files import CONFIGURATIONS, TokenizerFile, read_tokenizer_file
from manifests import schema_mixture
from manifests.errors import RequestError
from manifests.store import resolve

EngineName = Literal["gigatoken", "library"]

SPECIAL_TOKENS = "as text, 1"
"""What becomes of special tokens that are written in a text; another number where ids of the same file change."""


class Tokenizer:
    """A tokenizer with one engine."""

    def __init__(self, file: TokenizerFile, engine: Engine, bos: str | None, eod: str | None) -> None:
        self.file = file
        self._engine = engine
        self._ids: dict[str, int] | None = None
        self._tokens: dict[int, str] | None = None
        self._settings = (bos, eod)
        self._other: Tokenizer | None = None
        self.eod_id: int = end_of_document(file, eod, self.find_id)
        """Of the token that ends a document."""
        self.bos_id: int | None = beginning_of_document(file, bos, self.find_id)
        """Of the token that begins a document, where the manifest names one."""
        self.pad_id: int = padding(file, self.eod_id, self.find_id)
        """What padding is filled with."""
        if self.eod_id > self._highest_named and self.eod_id >= self.vocab_size:
            raise RequestError(f"{file.path}: eos_token_id of its configuration: there is no id {self.eod_id}")
        self.digest: str = _digest(file, self.bos_id, self.eod_id)
        """xxh3_128 over what the ids of documents depend on."""

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest id, added tokens included; counted when it is asked for, since libraries take
        long to list their vocabulary."""
        return max(self._engine.n_ids, self._highest_named + 1)

    @property
    def _highest_named(self) -> int:
        """The largest id of the tokens that the file names beside its model's vocabulary; -1 without any."""
        return max((id for _, id in self._named()), default=-1)

    def __repr__(self) -> str:
        return f"Tokenizer({self.file.path.name}, {self.engine}, {self.digest[:7]})"

    @property
    def engine(self) -> EngineName:
        """Which of the two engines it uses."""
        return "gigatoken" if self._engine.name == "gigatoken" else "library"

    @property
    def engine_name(self) -> str:
        """The package of its engine."""
        return self._engine.name

    @property
    def engine_version(self) -> str:
        """The version of that package."""
        return engine_version(self._engine)

    def encode(self, texts: pa.LargeStringArray) -> tuple[Ids, Offsets]:
        """Ids of n texts (flat, uint32) and the n + 1 bounds between them (int64); nothing is added to a text.

        Raises:
            ValueError: a text is null.
        """
        if texts.null_count:
            raise ValueError(f"{texts.null_count} of {len(texts)} texts are null; a null has no ids")
        return self._engine.encode(texts)

    def decode(self, ids: Sequence[int] | Ids) -> bytes:
        """The bytes that ids stand for, special tokens as they are written.

        Exact for byte-level tokenizers; others give what their normalisation left of a text.
        """
        numbers = np.asarray(ids, np.int64)
        specials = {id: token.encode() for token, id in self.file.specials.items()}
        at = np.flatnonzero(np.isin(numbers, list(specials)))
        pieces, start = list[bytes](), 0
        for end in [*at.tolist(), len(numbers)]:
            pieces.append(self._engine.decode(numbers[start:end].tolist()) if end > start else b"")
            pieces.append(specials[int(numbers[end])] if end < len(numbers) else b"")
            start = end + 1
        return b"".join(pieces)

    def find_id(self, token: str) -> int | None:
        """The id of a token as the tokenizer's file writes it; None where there is none."""
        for added, id in self._named():
            if added == token:
                return id
        return self._vocabulary().get(token)

    def _named(self) -> list[tuple[str, int]]:
        """Tokens that the file names beside its model's vocabulary, and their ids."""
        return [*self.file.specials.items(), *((token.content, token.id) for token in self.file.added)]

    def id_of(self, token: str) -> int:
        """The id of a token.

        Raises:
            RequestError: there is no such token.
        """
        found = self.find_id(token)
        if found is None:
            raise RequestError(f"{self.file.path}: there is no token {token!r}")
        return found

    def token(self, id: int) -> str:
        """The token of an id as the tokenizer's file writes it.

        Raises:
            RequestError: there is no such id.
        """
        for token, number in self._named():
            if number == id:
                return token  # without reading the vocabulary, which takes long
        if self._tokens is None:
            added = {token.content: token.id for token in self.file.added}
            named = self._vocabulary() | added | self.file.specials
            self._tokens = {number: token for token, number in named.items()}
        if id not in self._tokens:
            raise RequestError(f"{self.file.path}: there is no id {id}; the largest is {self.vocab_size - 1}")
        return self._tokens[id]

    def vocabulary(self) -> dict[str, int]:
        """Ids of all tokens, added and special ones included, as the tokenizer's file writes them."""
        return self._vocabulary() | dict(self._named())

    def _vocabulary(self) -> dict[str, int]:
        """Ids of the model's own tokens; of ranks, bytes that are no UTF-8 are written \\xNN."""
        if self._ids is None:
            self._ids = _vocabulary(self.file)
        return self._ids

    def with_engine(self, engine: EngineName) -> "Tokenizer":
        """The same tokenizer with the engine named.

        Raises:
            RequestError: that engine does not take it.
        """
        if engine == self.engine:
            return self
        if self._other is None:
            self._other = make_tokenizer(self.file, engine, *self._settings)
        return self._other

    def forget_other(self) -> None:
        """Let go of what `with_engine` loaded: some hundred MB."""
        self._other = None
        give_memory_back()


def load_tokenizer(settings: schema_mixture.Tokenizer, base: str, engine: EngineName | None = None) -> Tokenizer:
    """The tokenizer of a manifest; loaded once per process, and again when its files have changed.

    Args:
        settings: where it lies, and which tokens end and begin a document.
        base: where a relative path starts.
        engine: instead of that of the settings, as where it has been decided.

    Raises:
        RequestError: there is no such tokenizer, it cannot be read, it does not tell what ends a document, or what
            reads it is not installed.
    """
    path = Path(resolve(settings.path, base))
    chosen = engine or settings.engine
    return _loaded(path, _stamp(path), settings.pretokenizer, chosen, settings.bos, settings.eod)


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the files that a tokenizer is read from."""
    folder = path if path.is_dir() else path.parent
    beside = [folder / name for name in ("tokenizer.json", *CONFIGURATIONS)]
    stats = [(str(file), file.stat()) for file in dict.fromkeys([path, *beside]) if file.is_file()]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


@lru_cache(4)
def _loaded(
    path: Path, stamp: object, pretokenizer: str | None, engine: str, bos: str | None, eod: str | None
) -> Tokenizer:
    return make_tokenizer(read_tokenizer_file(path, pretokenizer), engine, bos, eod)


def make_tokenizer(file: TokenizerFile, engine: str, bos: str | None, eod: str | None) -> Tokenizer:
    """The tokenizer of a file that was read, with an engine: `gigatoken`, `library` or `auto`.

    Raises:
        RequestError: see load_tokenizer.
    """
    return Tokenizer(file, _text_only(file, engine), bos, eod)


def _text_only(file: TokenizerFile, engine: str) -> Engine:
    """The engine, made so that no text gives the id of a special token.

    Merges can put a special token together where it is in the model's vocabulary too; those merges are left out.
    """
    loaded = _engine(file, engine)
    if not (found := _from_text(file, loaded)):
        return loaded
    if file.kind == "json":
        loaded = _engine(replace(file, content=without_merges_of(file.parsed, found)), engine)
        found = _from_text(file, loaded)
    if found:
        raise RequestError(f"{file.path}: the text {found[0]!r} gives the id of that special token, which none may")
    return loaded


def _from_text(file: TokenizerFile, engine: Engine) -> list[str]:
    """Special tokens whose text gives their id; that of unknown text may."""
    specials = file.specials
    ids, bounds = engine.encode(pa.array(list(specials), pa.large_string()))
    rows = np.repeat(np.arange(len(specials)), np.diff(bounds))
    own = np.fromiter(specials.values(), np.int64, len(specials))[rows]
    names = list(specials)
    found = [names[row] for row in np.unique(rows[ids == own])]
    return [token for token in found if token != file.unknown]


def _engine(file: TokenizerFile, engine: str) -> Engine:
    """The engine named; for `auto` Gigatoken where it takes the file."""
    if engine == "library":
        return library_engine(file)
    try:
        return gigatoken_engine(file)
    except UnsupportedByGigatokenError as error:
        if engine == "gigatoken":
            raise RequestError(f"{file.path}: engine: Gigatoken does not take it: {error}; use `auto`") from error
        return library_engine(file)


def _vocabulary(file: TokenizerFile) -> dict[str, int]:
    match file.kind:
        case "json":
            vocabulary = file.parsed["model"].get("vocab") or {}
            if isinstance(vocabulary, dict):
                return {str(token): int(id) for token, id in vocabulary.items()}
            return {str(entry[0]): id for id, entry in enumerate(vocabulary)}  # Unigram: [token, score]
        case "sentencepiece":
            return {piece: id for id, piece in enumerate(file.pieces)}
        case "tiktoken":
            return {token.decode(errors="backslashreplace"): id for token, id in file.ranks.items()}


def _digest(file: TokenizerFile, bos_id: int | None, eod_id: int) -> str:
    parts = [
        xxhash.xxh3_128_hexdigest(file.content),
        file.kind,
        file.pretokenizer,
        file.rank_specials,
        SPECIAL_TOKENS,
        bos_id,
        eod_id,
    ]
    return xxhash.xxh3_128_hexdigest(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))
