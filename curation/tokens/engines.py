"""What turns texts into ids: Gigatoken, or the library that a tokenizer comes from.

Both take the special tokens that are written in a text for text, and add nothing of their own. What is not needed is
not imported: a library takes up to a second.
"""

import ctypes
import importlib.metadata
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson
import psutil
import pyarrow as pa

from curation.tokens.encodings import PRETOKENIZERS
from curation.tokens.files import TokenizerFile, imported, without_special_tokens
from manifests.errors import RequestError

Ids = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]

LIBRARIES = {"json": "tokenizers", "sentencepiece": "sentencepiece", "tiktoken": "tiktoken"}
TEXTS_AT_ONCE = 2048
"""As many Python strings as are held at once."""
RENEW_BYTES, GROWN_BYTES = 64 << 20, 272 << 20
"""See GigatokenEngine."""


class Engine(Protocol):
    """Ids of texts, and texts of ids."""

    name: str
    """Of the package."""

    def encode(self, texts: pa.LargeStringArray) -> tuple[Ids, Offsets]:
        """Ids of n texts without nulls, one after the other, and the n + 1 bounds between them."""
        ...

    def decode(self, ids: Sequence[int]) -> bytes:
        """The bytes of ids none of which is a special token."""
        ...

    @property
    def n_ids(self) -> int:
        """One more than the largest id that it knows."""
        ...


def engine_version(engine: Engine) -> str:
    """The version of the package of an engine."""
    return importlib.metadata.version(engine.name)


def gigatoken_engine(file: TokenizerFile) -> "GigatokenEngine":
    """Gigatoken with this tokenizer.

    Raises:
        RequestError: Gigatoken is not installed.
        UnsupportedByGigatokenError: it does not take this tokenizer.
    """
    return GigatokenEngine(partial(_gigatoken, file))


def _gigatoken(file: TokenizerFile) -> Any:
    gigatoken = imported("gigatoken")
    try:
        match file.kind:
            case "json":
                return gigatoken.Tokenizer.from_json(without_special_tokens(file))
            case "sentencepiece":
                return gigatoken.Tokenizer.from_json(_sentencepiece_json(file))
            case "tiktoken":
                scheme = PRETOKENIZERS[str(file.pretokenizer)].gigatoken
                return gigatoken.Tokenizer.from_tiktoken(file.path, scheme, {})
    except RequestError:
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise UnsupportedByGigatokenError(str(error)) from error


def _sentencepiece_json(file: TokenizerFile) -> bytes:
    """What Gigatoken makes of a `.model`, without the control pieces, which it would find in texts."""
    from gigatoken._load.sentencepiece import sentencepiece_to_tokenizer_json

    made = orjson.loads(sentencepiece_to_tokenizer_json(file.content))
    made["added_tokens"] = [token for token in made["added_tokens"] if not token["special"]]
    return without_merges_of(made, file.specials)


class UnsupportedByGigatokenError(Exception):
    """Gigatoken does not take a tokenizer; its library does."""


class GigatokenEngine:
    """Encodes Arrow's buffers as they are, on the calling thread.

    Gigatoken remembers each word that it has seen, up to ten bytes for a byte of new words, and never forgets; so it
    is loaded anew, in half a second or so, where the process is larger by GROWN_BYTES than when it was loaded first,
    at most every RENEW_BYTES of text. (What 200 MB of Korean and English text leave in a mixture's process is less.)
    """

    name = "gigatoken"

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._tokenizer = load()
        self._n_bytes, self._loaded_bytes = 0, _process_bytes()

    def encode(self, texts: pa.LargeStringArray) -> tuple[Ids, Offsets]:
        """See Engine."""
        if not len(texts):
            return np.empty(0, np.uint32), np.zeros(1, np.int64)
        tokenizer = self._current(texts)
        found = tokenizer.encode_batch(_awkward(texts), parallel=False).layout
        offsets, ids = np.asarray(found.offsets.data, np.int64), np.asarray(found.content.data, np.uint32)
        return ids[offsets[0] : offsets[-1]], offsets - offsets[0]

    def _current(self, texts: pa.LargeStringArray) -> Any:
        """The tokenizer, which has not grown too large."""
        with self._lock:
            if self._n_bytes >= RENEW_BYTES and self._has_grown():
                self._n_bytes = 0
                give_memory_back()  # that of others first, which may be enough
                if self._has_grown():
                    self._tokenizer = None  # so that its memory is there for the next
                    give_memory_back()
                    self._tokenizer = self._load()
            self._n_bytes += text_bytes(texts)
            return self._tokenizer

    def _has_grown(self) -> bool:
        return _process_bytes() - self._loaded_bytes >= GROWN_BYTES

    def decode(self, ids: Sequence[int]) -> bytes:
        """See Engine."""
        with self._lock:
            tokenizer = self._tokenizer
        return bytes(tokenizer.decode(np.asarray(ids, np.uint32)))

    @property
    def n_ids(self) -> int:
        """See Engine."""
        with self._lock:
            return int(self._tokenizer.vocab_size)


def give_memory_back() -> None:
    """Have the C library give free memory back to the system, where it can: an engine that is let go of leaves some
    hundred MB free in it, in pieces, to which the next one's would be added."""
    if sys.platform.startswith("linux") and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _process_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def text_bytes(texts: pa.LargeStringArray) -> int:
    """Bytes of n texts without nulls."""
    bounds = np.frombuffer(texts.buffers()[1], np.int64)
    return int(bounds[texts.offset + len(texts)] - bounds[texts.offset]) if len(texts) else 0


def _awkward(texts: pa.LargeStringArray) -> Any:
    """Texts as Gigatoken borrows them: Arrow's own offsets and bytes."""
    import awkward as ak

    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
    characters = ak.contents.NumpyArray(content, parameters={"__array__": "char"})
    strings = ak.contents.ListOffsetArray(ak.index.Index64(bounds), characters, parameters={"__array__": "string"})
    return ak.Array(strings)


def library_engine(file: TokenizerFile) -> Engine:
    """The tokenizer's own library with this tokenizer.

    Raises:
        RequestError: it is not installed, or cannot read the file.
    """
    library = imported(LIBRARIES[file.kind])
    try:
        match file.kind:
            case "json":
                return HuggingFaceEngine(library.Tokenizer.from_buffer(file.content))
            case "sentencepiece":
                return SentencePieceEngine(file.processor)
            case "tiktoken":
                expression = PRETOKENIZERS[str(file.pretokenizer)].expression
                return TiktokenEngine(
                    library.Encoding(
                        file.path.stem,
                        pat_str=expression,
                        mergeable_ranks=file.ranks,
                        special_tokens=file.rank_specials,
                    )
                )
    except RequestError:
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise RequestError(f"{file.path}: {library.__name__} cannot read it: {error}") from error


class HuggingFaceEngine:
    """`tokenizers`, which a `tokenizer.json` is made for."""

    name = "tokenizers"

    def __init__(self, tokenizer: Any) -> None:
        tokenizer.no_truncation()  # a file may ask for both; a corpus is neither cut nor filled
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # that is: as text
        if getattr(tokenizer.model, "dropout", None):
            tokenizer.model.dropout = None  # else a text has other ids each time
        self._tokenizer = tokenizer

    def encode(self, texts: pa.LargeStringArray) -> tuple[Ids, Offsets]:
        """See Engine."""
        return _joined(
            encoding.ids
            for batch in _batches(texts)
            for encoding in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        )

    def decode(self, ids: Sequence[int]) -> bytes:
        """See Engine; what is no whole character comes out as U+FFFD where the tokenizer is not byte-level."""
        if type(self._tokenizer.decoder).__name__ != "ByteLevel":
            return str(self._tokenizer.decode(list(ids), skip_special_tokens=False)).encode()
        return b"".join(byte_level_bytes(self._tokenizer.id_to_token(id)) for id in ids)

    @property
    def n_ids(self) -> int:
        """See Engine."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1


@cache
def byte_of_letter() -> dict[str, int]:
    """Bytes by the letters that byte-level tokenizers write them as, which is GPT-2's `bytes_to_unicode`."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def byte_level_bytes(token: str) -> bytes:
    """The bytes of a token as a byte-level tokenizer writes it; an added token is written as it is."""
    bytes_of = byte_of_letter()
    if all(letter in bytes_of for letter in token):
        return bytes(bytes_of[letter] for letter in token)
    return token.encode()


class SentencePieceEngine:
    """`sentencepiece`."""

    name = "sentencepiece"

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def encode(self, texts: pa.LargeStringArray) -> tuple[Ids, Offsets]:
        """See Engine."""
        return _joined(ids for batch in _batches(texts) for ids in self.processor.encode(batch, num_threads=1))

    def decode(self, ids: Sequence[int]) -> bytes:
        """See Engine; what is no whole character by itself comes out as U+FFFD."""
        return str(self.processor.decode([int(id) for id in ids])).encode()

    @property
    def n_ids(self) -> int:
        """See Engine."""
        return int(self.processor.get_piece_size())


class TiktokenEngine:
    """`tiktoken`."""

    name = "tiktoken"

    def __init__(self, encoding: Any) -> None:
        self._encoding = encoding

    def encode(self, texts: pa.LargeStringArray) -> tuple[Ids, Offsets]:
        """See Engine."""
        return _joined(self._encoding.encode_ordinary(text) for batch in _batches(texts) for text in batch)

    def decode(self, ids: Sequence[int]) -> bytes:
        """See Engine."""
        return bytes(self._encoding.decode_bytes([int(id) for id in ids]))

    @property
    def n_ids(self) -> int:
        """See Engine."""
        return int(self._encoding.n_vocab)


def _batches(texts: pa.LargeStringArray) -> Iterable[list[str]]:
    return (texts[at : at + TEXTS_AT_ONCE].to_pylist() for at in range(0, len(texts), TEXTS_AT_ONCE))


def _joined(lists: Iterable[Sequence[int]]) -> tuple[Ids, Offsets]:
    arrays = [np.asarray(ids, np.uint32) for ids in lists]
    offsets = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum([len(ids) for ids in arrays], out=offsets[1:])
    return (np.concatenate(arrays) if arrays else np.empty(0, np.uint32)), offsets


def without_merges_of(content: dict[str, Any], tokens: Iterable[str]) -> bytes:
    """A `tokenizer.json` in which no merge makes one of these tokens."""
    never = set(tokens)
    model = content["model"]
    merges = [merge for merge in model.get("merges") or [] if _product(merge) not in never]
    return orjson.dumps(content | {"model": model | {"merges": merges}})


def _product(merge: Any) -> str:
    return "".join(merge) if isinstance(merge, list) else str(merge).replace(" ", "", 1)
