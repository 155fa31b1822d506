"""The token store: the documents of a slice as ids, tokenised once for all mixtures that use them.

A part is two files: `KEY-00000.ids`, the tokens of its documents one after another (16 or 32 bits, little-endian),
ordered by the documents' ids; and `KEY-00000.npy`, a row of STORED for each of them, written last. Rows of a slice
that a mixture needs and no part holds yet make another part, so that a changed predicate tokenises only what it adds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from curation.kernels.tokens import place
from curation.mixture.documents import Slice, read_columns
from curation.tokens.tokenizer import Tokenizer
from manifests.errors import RunError
from manifests.schema_mixture import Source
from manifests.store import Folder

STORED = np.dtype(
    [
        ("id_high", "<u8"),
        ("id_low", "<u8"),
        ("content", "<u8"),  # of XXH3-128 of the text, the first half
        ("start", "<u8"),  # of its tokens in the part
        ("row", "<i8"),  # of its file
        ("n_tokens", "<u4"),  # its beginning and its end included; 0 for a row without text
        ("n_bytes", "<u4"),  # of its text
    ]
)
"""What the store knows of a document."""

Stored = NDArray[np.void]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A part of the store."""

    name: str
    documents: Stored
    """A row of STORED for each document, ordered by id."""


def token_type(vocab_size: int) -> np.dtype[np.unsignedinteger[np.typing.NBitBase]]:
    """How ids are stored."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def store_key(piece: Slice, source: Source, tokenizer: Tokenizer) -> str:
    """What the parts of a slice depend on; not which of its rows are wanted."""
    identity = "run" if source.run else f"{source.name}\0{source.key}"
    ends = f"{tokenizer.bos_id} {tokenizer.eod_id}"
    return xxhash.xxh3_128_hexdigest("\n".join([piece.key, tokenizer.digest, ends, source.text, identity]).encode())


def read_parts(store: Folder, key: str) -> list[Part]:
    """The parts of a slice that are whole."""
    parts = list[Part]()
    while store.exists(name := f"{key}-{len(parts):05d}.npy"):
        with store.fs.open(store.file(name), "rb") as file:
            documents = np.load(file, allow_pickle=False)
        parts.append(Part(name.removesuffix(".npy"), documents))
    return parts


def ensure(
    store: Folder, piece: Slice, source: Source, tokenizer: Tokenizer, wanted: I64, slice_bytes: int
) -> tuple[list[Part], int]:
    """Parts that hold all wanted rows (sorted row numbers) of a slice, and how many bytes of text were tokenised.

    Raises:
        RunError: a document has too many tokens, or its id is none.
    """
    key = store_key(piece, source, tokenizer)
    parts = read_parts(store, key)
    for part in parts:
        wanted = np.setdiff1d(wanted, part.documents["row"], assume_unique=True)
    n_bytes = 0
    if len(wanted):
        for batches in _gathered(_texts(piece, source, wanted), slice_bytes):
            parts.append(_write_part(store, f"{key}-{len(parts):05d}", batches, source, piece, tokenizer))
            n_bytes += int(parts[-1].documents["n_bytes"].sum())
    return parts, n_bytes


def _texts(piece: Slice, source: Source, wanted: I64) -> Iterator[pl.DataFrame]:
    """The wanted rows with their texts (null where there is none) and what their ids are made from."""
    columns = [source.text, *(["id"] if source.run else [source.key] if source.key else [])]
    for rows in read_columns(piece, columns):
        frame = rows.frame.with_row_index("row", rows.first_row)
        low, high = np.searchsorted(wanted, [rows.first_row, rows.first_row + len(frame)])
        if high - low < len(frame):
            frame = frame[wanted[low:high] - rows.first_row]
        if len(frame):
            yield frame


def _gathered(frames: Iterator[pl.DataFrame], at_most_bytes: int) -> Iterator[list[pl.DataFrame]]:
    """Frames in groups of about so many bytes."""
    group, n_bytes = list[pl.DataFrame](), 0
    for frame in frames:
        group.append(frame)
        n_bytes += int(frame.estimated_size())
        if n_bytes >= at_most_bytes:
            yield group
            group, n_bytes = [], 0
    if group:
        yield group


def _write_part(
    store: Folder, name: str, frames: Sequence[pl.DataFrame], source: Source, piece: Slice, tokenizer: Tokenizer
) -> Part:
    encoded, rows = list[tuple[U32, I64]](), list[Stored]()
    for frame in frames:
        texts = (
            frame[source.text].fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
        )
        ids, offsets = tokenizer.encode(texts)
        encoded.append((ids, offsets))
        rows.append(_identified(frame, texts, offsets, source, piece))
    documents = np.concatenate(rows)
    order = np.lexsort((documents["row"], documents["id_low"], documents["id_high"]))
    documents = _placed(documents[order], tokenizer)
    out = _in_order(encoded, documents, order, tokenizer)
    with store.writing(f"{name}.ids") as path, store.fs.open(path, "wb") as file:
        file.write(out.data)
    with store.writing(f"{name}.npy") as path, store.fs.open(path, "wb") as file:
        np.save(file, documents, allow_pickle=False)
    pa.default_memory_pool().release_unused()  # what parts of other shapes leave free would add up
    return Part(name, documents)


def _placed(documents: Stored, tokenizer: Tokenizer) -> Stored:
    """Documents, ordered by id, with what is added to each, and where their tokens begin in the part."""
    has_text = documents["n_bytes"] > 0
    documents["n_tokens"] += has_text * np.uint32(1 + (tokenizer.bos_id is not None))
    documents["start"] = np.cumsum(documents["n_tokens"], dtype=np.uint64) - documents["n_tokens"]
    return documents


def _in_order(
    encoded: list[tuple[U32, I64]], documents: Stored, order: I64, tokenizer: Tokenizer
) -> NDArray[np.generic]:
    """The tokens of a part: ids batch by batch, each document's where it belongs; empties `encoded`."""
    has_text = documents["n_tokens"] > 0
    starts, ends = documents["start"][has_text], (documents["start"] + documents["n_tokens"])[has_text]
    out = np.empty(int(ends[-1]) if len(ends) else 0, token_type(tokenizer.vocab_size))
    if tokenizer.bos_id is not None:
        out[starts] = tokenizer.bos_id
    out[ends - np.uint64(1)] = tokenizer.eod_id
    tos = np.empty(len(order), np.int64)
    tos[order] = documents["start"].astype(np.int64) + (tokenizer.bos_id is not None)
    first = 0
    encoded.reverse()
    while encoded:  # the ids of a batch are let go of when they are copied
        ids, offsets = encoded.pop()
        n_documents = len(offsets) - 1
        place(ids, offsets[:-1], np.diff(offsets), tos[first : first + n_documents], out)
        first += n_documents
    return out


def _identified(
    frame: pl.DataFrame, texts: pa.LargeStringArray, offsets: I64, source: Source, piece: Slice
) -> Stored:
    """The documents of a batch, their order that of the rows, `start` not yet set."""
    documents = np.zeros(len(frame), STORED)
    ends = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = memoryview(texts.buffers()[2] or b"")
    digest = xxhash.xxh3_128_digest
    content = [digest(data[start:end]) for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
    documents["content"] = np.frombuffer(b"".join(content), ">u8").reshape(-1, 2)[:, 0]
    documents["n_bytes"] = np.diff(ends)
    documents["n_tokens"] = _checked_counts(np.diff(offsets), frame["row"], piece)
    documents["row"] = frame["row"].to_numpy()
    names = _run_ids(frame, piece) if source.run else _file_ids(frame, content, source)
    documents["id_high"], documents["id_low"] = names[:, 0], names[:, 1]
    return documents


def _checked_counts(n_tokens: I64, rows: pl.Series, piece: Slice) -> I64:
    if len(n_tokens) and n_tokens.max() >= 2**32 - 2:
        row = rows[int(n_tokens.argmax())]
        raise RunError(f"{piece.path}: row {row}: has {n_tokens.max():,} tokens; at most 4 billion are possible")
    return n_tokens


def _run_ids(frame: pl.DataFrame, piece: Slice) -> U64:
    """Ids as two numbers each, from the column of a run.

    Raises:
        RunError: one is not 32 hexadecimal digits.
    """
    ids = frame["id"].to_list()
    try:
        raw = bytes.fromhex("".join(ids))
    except (TypeError, ValueError):
        raw = b""
    if len(raw) != 16 * len(ids):
        wrong = next((name for name in ids if not isinstance(name, str) or len(name) != 32), ids[0])
        raise RunError(f"{piece.path}: id {wrong!r} is not 32 hexadecimal digits")
    return np.frombuffer(raw, ">u8").reshape(-1, 2)


def _file_ids(frame: pl.DataFrame, content: Sequence[bytes], source: Source) -> U64:
    """Ids of documents in files, as `onggi curate` would give them: XXH3-128 of source, key and content digest."""
    keys = frame[source.key].cast(pl.String).fill_null("").to_list() if source.key else [""] * len(frame)
    name, digest = source.name.encode(), xxhash.xxh3_128_digest
    found = [digest(b"%b\0%b\0%b" % (name, key.encode(), part)) for key, part in zip(keys, content, strict=True)]
    return np.frombuffer(b"".join(found), ">u8").reshape(-1, 2)
