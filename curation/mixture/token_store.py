"""The token store: the documents of a slice as ids, tokenised once for all mixtures that use them.

A part is two files: `KEY/ROWS.u16` or `.u32`, the tokens of its documents one after another (little-endian), ordered
by the documents' ids; and `KEY/ROWS.npy`, a row of STORED for each of them, written last. Rows of a slice that a
mixture needs and no part holds yet make another part, so that a changed predicate tokenises only what it adds. A part
is called by what it holds, so that two that work on a slice at once do not take each other's for their own.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from curation.kernels.tokens import place
from curation.mixture.documents import ROW, Slice, read_texts
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

ENDINGS = {2: "u16", 4: "u32"}
"""How files of ids end, by the bytes of an id."""
CATALOGUE = "catalogue-"
"""What the names of catalogues, which lie beside the parts, begin with."""
REMOVED = "removed.npy"
"""Ids of documents that were taken down: no part that is made later holds them, however its slice is cut."""
ID = np.dtype([("id_high", "<u8"), ("id_low", "<u8")])

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


def ids_file(name: str, dtype: np.dtype[Any]) -> str:
    """The file that holds the ids of a part."""
    return f"{name}.{ENDINGS[dtype.itemsize]}"


def store_key(piece: Slice, source: Source, tokenizer: Tokenizer) -> str:
    """What the parts of a slice depend on; not which of its rows are wanted."""
    identity = "run" if source.run else f"{source.name}\0{source.key}"
    ends = f"{tokenizer.bos_id} {tokenizer.eod_id}"
    return xxhash.xxh3_128_hexdigest("\n".join([piece.key, tokenizer.digest, ends, source.text, identity]).encode())


def read_parts(store: Folder, key: str) -> list[Part]:
    """The parts of a slice that are whole; a row may be in several."""
    folder, parts = store / key, list[Part]()
    names = set(folder.names())
    for name in sorted(name.removesuffix(".npy") for name in names if name.endswith(".npy")):
        if not names.isdisjoint(f"{name}.{ending}" for ending in ENDINGS.values()):
            parts.append(Part(f"{key}/{name}", _read_index(folder, name)))
    return parts


def _read_index(folder: Folder, name: str) -> Stored:
    with folder.fs.open(folder.file(f"{name}.npy"), "rb") as file:
        documents: Stored = np.load(file, allow_pickle=False)
    return documents


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
            parts.append(_write_part(store, key, batches, source, piece, tokenizer))
            n_bytes += int(parts[-1].documents["n_bytes"].sum())
    return parts, n_bytes


def remove_from_store(store: Folder, ids: Collection[str]) -> list[str]:
    """Take documents out of a store; returns the files that were written anew or removed.

    Their tokens are overwritten, and their rows stay as rows without text, so that no mixture tokenises them again
    from a file that still holds them; nor where another tokenizer or other slices make other parts, since the store
    remembers their ids. Catalogues that list them are removed, and made again when they are needed.
    """
    remember_removed(store, ids)
    halves = np.array([(int(name[:16], 16), int(name[16:], 16)) for name in ids], ID)
    touched, changed = set[str](), list[str]()
    for key in store.folders():
        for part in read_parts(store, key):
            documents = part.documents
            chosen = np.flatnonzero(_are_among(documents, halves))
            if len(chosen) and documents["n_tokens"][chosen].any():
                changed += _blanked(store, part.name, documents, chosen)
                touched.add(part.name)
    for file in store.names(".json"):
        if file.startswith(CATALOGUE) and touched.intersection(store.read_json(file)["parts"]):
            for name in (file, f"{file.removesuffix('.json')}.npy"):
                store.remove(name)
                changed.append(name)
    return changed


def remember_removed(store: Folder, ids: Collection[str]) -> None:
    """Add to the ids of documents that a store is never to hold again."""
    known = _removed(store)
    more = np.array([(int(name[:16], 16), int(name[16:], 16)) for name in ids], ID)
    if len(found := np.unique(np.concatenate([known, more]))) > len(known):
        with store.writing(REMOVED) as path, store.fs.open(path, "wb") as file:
            np.save(file, found, allow_pickle=False)


def _removed(store: Folder) -> Stored:
    if not store.exists(REMOVED):
        return np.zeros(0, ID)
    with store.fs.open(store.file(REMOVED), "rb") as file:
        ids: Stored = np.load(file, allow_pickle=False)
    return ids


def _are_among(documents: Stored, ids: Stored) -> NDArray[np.bool_]:
    """Which documents have one of these ids (ID)."""
    found = np.isin(documents["id_high"], ids["id_high"]) & np.isin(documents["id_low"], ids["id_low"])
    if found.any():  # both halves may be those of different ids
        pairs = np.zeros(int(found.sum()), ID)
        pairs["id_high"], pairs["id_low"] = documents["id_high"][found], documents["id_low"][found]
        found[found] = np.isin(pairs, ids)
    return found


def _blanked(store: Folder, part: str, documents: Stored, chosen: I64) -> list[str]:
    """Write a part anew without the tokens of some documents."""
    key, _, name = part.partition("/")
    folder = store / key
    ids, width = next((f"{name}.{end}", width) for width, end in ENDINGS.items() if folder.exists(f"{name}.{end}"))
    content = bytearray(folder.read_bytes(ids))
    for start, n_tokens in zip(
        documents["start"][chosen].tolist(), documents["n_tokens"][chosen].tolist(), strict=True
    ):
        content[start * width : (start + n_tokens) * width] = bytes(n_tokens * width)
    for column in ("n_tokens", "n_bytes", "content"):
        documents[column][chosen] = 0
    folder.write_bytes(ids, bytes(content))
    with folder.writing(f"{name}.npy") as path, store.fs.open(path, "wb") as file:
        np.save(file, documents, allow_pickle=False)
    return [f"{key}/{ids}", f"{part}.npy"]


def _texts(piece: Slice, source: Source, wanted: I64) -> Iterator[pl.DataFrame]:
    """The wanted rows with their texts (null where there is none) and what their ids are made from.

    Raises:
        RunError: what should be texts are not.
    """
    columns = [source.text, *(["id"] if source.run else [source.key] if source.key else [])]
    for frame in read_texts(piece, source.text, columns):
        first_row = int(frame[0, ROW])
        low, high = np.searchsorted(wanted, [first_row, first_row + len(frame)])
        if high - low < len(frame):
            frame = frame[wanted[low:high] - first_row]
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
    store: Folder, key: str, frames: Sequence[pl.DataFrame], source: Source, piece: Slice, tokenizer: Tokenizer
) -> Part:
    encoded, rows, removed = list[tuple[U32, I64]](), list[Stored](), _removed(store)
    for frame in frames:
        texts = (
            frame[source.text].fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
        )
        ids, offsets = tokenizer.encode(texts)
        rows.append(_identified(frame, texts, offsets, source, piece))
        encoded.append(_without(ids, offsets, rows[-1], removed) if len(removed) else (ids, offsets))
    documents = np.concatenate(rows)
    order = np.lexsort((documents["row"], documents["id_low"], documents["id_high"]))
    documents = _placed(documents[order], tokenizer)
    out = _in_order(encoded, documents, order, tokenizer)
    folder, name = store / key, xxhash.xxh3_64_hexdigest(np.sort(documents["row"]).tobytes())
    with folder.writing(ids_file(name, out.dtype)) as path, store.fs.open(path, "wb") as file:
        file.write(out.data)
    with folder.writing(f"{name}.npy") as path, store.fs.open(path, "wb") as file:
        np.save(file, documents, allow_pickle=False)
    pa.default_memory_pool().release_unused()  # what parts of other shapes leave free would add up
    return Part(f"{key}/{name}", documents)


def _without(ids: U32, offsets: I64, documents: Stored, removed: Stored) -> tuple[U32, I64]:
    """The ids of a batch without those of documents that were taken down, whose rows become rows without text."""
    gone, lengths = _are_among(documents, removed), np.diff(offsets)
    for column in ("n_tokens", "n_bytes", "content"):
        documents[column][gone] = 0
    left = np.where(gone, 0, lengths)
    return ids[np.repeat(~gone, lengths)], np.concatenate([[0], np.cumsum(left, dtype=np.int64)])


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
    documents["n_tokens"] = _checked_counts(np.diff(offsets), frame[ROW], piece)
    documents["row"] = frame[ROW].to_numpy()
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
