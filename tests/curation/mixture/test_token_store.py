"""The store of tokens: each document once, as the tokenizer has it, in files that say what they hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash

from curation.mixture.documents import source_slices
from curation.mixture.token_store import Part, ensure, ids_file, read_parts, remove_from_store, store_key, token_type
from curation.tokens.tokenizer import Tokenizer, load_tokenizer
from manifests.errors import RunError
from manifests.schema_mixture import Source
from manifests.schema_mixture import Tokenizer as TokenizerSettings
from manifests.store import Folder
from tests.curation.mixture import small
from tests.curation.tokens.small import byte_level

ROWS = [*small.rows(60, "d", small.KOREAN), {"text": "<|endoftext|> as text", "key": "special"}, {"text": None}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_level(tmp_path_factory.mktemp("tokenizer"), ("<|endoftext|>", "<|begin|>"))


def loaded(folder: Path, **more: Any) -> Tokenizer:
    settings: dict[str, Any] = {"eod": "<|endoftext|>", "engine": "library"}
    return load_tokenizer(TokenizerSettings(path=str(folder), **(settings | more)), "/")


def stored(path: Path, tokenizer: Tokenizer, wanted: list[int], slice_bytes: int = 1 << 20) -> tuple[list[Part], int]:
    source = Source(name="s", path=str(path), category="c", key="key")
    [piece] = source_slices(source, "/", 1 << 20)
    store = Folder(str(path.parent / "store"))
    return ensure(store, piece, source, tokenizer, np.array(wanted, np.int64), slice_bytes)


def ids_of(path: Path, part: Part, tokenizer: Tokenizer) -> np.ndarray[Any, Any]:
    dtype = token_type(tokenizer.vocab_size)
    return np.fromfile(path.parent / "store" / ids_file(part.name, dtype), dtype)


@pytest.mark.parametrize("bos", [None, "<|begin|>"])
@pytest.mark.parametrize("slice_bytes", [1024, 1 << 20])
def test_tokens_are_those_of_the_texts(tmp_path: Path, folder: Path, bos: str | None, slice_bytes: int) -> None:
    tokenizer = loaded(folder, bos=bos)
    path = small.parquet(tmp_path / "d.parquet", ROWS)
    parts, n_bytes = stored(path, tokenizer, list(range(len(ROWS))), slice_bytes)
    assert n_bytes == sum(len((row["text"] or "").encode()) for row in ROWS)
    from tokenizers import Tokenizer as Library

    library = Library.from_file(str(folder / "tokenizer.json"))
    library.encode_special_tokens = True
    seen = []
    for part in parts:
        ids = ids_of(path, part, tokenizer)
        keys = list(zip(part.documents["id_high"].tolist(), part.documents["id_low"].tolist(), strict=True))
        assert keys == sorted(keys)
        for document in part.documents:
            row = ROWS[int(document["row"])]
            seen.append(int(document["row"]))
            start, n_tokens = int(document["start"]), int(document["n_tokens"])
            if not row["text"]:
                assert n_tokens == 0
                continue
            begin = [] if bos is None else [tokenizer.bos_id]
            inner = library.encode(row["text"], add_special_tokens=False).ids
            assert ids[start : start + n_tokens].tolist() == [*begin, *inner, tokenizer.eod_id]
            content = xxhash.xxh3_128_digest(row["text"].encode())
            assert int(document["content"]) == int.from_bytes(content[:8], "big")
            id = xxhash.xxh3_128_intdigest(b"s\0" + row["key"].encode() + b"\0" + content)
            assert (int(document["id_high"]) << 64) + int(document["id_low"]) == id
        assert len(ids) == int(part.documents["n_tokens"].sum())
    assert sorted(seen) == list(range(len(ROWS)))


def test_only_what_is_new_is_tokenised(tmp_path: Path, folder: Path) -> None:
    tokenizer, path = loaded(folder), small.parquet(tmp_path / "d.parquet", ROWS)
    stored(path, tokenizer, [3, 4, 5])
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "store").rglob("*.*")}
    parts, n_bytes = stored(path, tokenizer, [4, 5, 6])
    assert n_bytes == len(ROWS[6]["text"].encode())
    assert sorted(row for part in parts for row in part.documents["row"].tolist()) == [3, 4, 5, 6]
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert stored(path, tokenizer, [3, 6])[1] == 0


def test_two_that_work_at_once_do_not_mix_their_parts(tmp_path: Path, folder: Path) -> None:
    """What each wrote is what it points to, in whatever order their files appear."""
    tokenizer, path = loaded(folder), small.parquet(tmp_path / "d.parquet", ROWS)
    found = list[Part]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curation.mixture.token_store.read_parts", lambda store, key: [])
        found += [stored(path, tokenizer, wanted)[0][0] for wanted in ([1, 2, 3], [3, 4])]
    assert found[0].name != found[1].name
    for part in found:
        assert len(ids_of(path, part, tokenizer)) == int(part.documents["n_tokens"].sum())


def test_a_part_without_its_tokens_is_none(tmp_path: Path, folder: Path) -> None:
    tokenizer, path = loaded(folder), small.parquet(tmp_path / "d.parquet", ROWS)
    [part], _ = stored(path, tokenizer, [1, 2])
    (tmp_path / "store" / ids_file(part.name, np.dtype(np.uint16))).unlink()
    assert read_parts(Folder(str(tmp_path / "store")), part.name.split("/")[0]) == []


def test_what_was_taken_down_stays_away(tmp_path: Path, folder: Path) -> None:
    path = small.parquet(tmp_path / "d.parquet", ROWS)
    store, everything = Folder(str(tmp_path / "store")), list(range(len(ROWS)))
    [part], _ = stored(path, loaded(folder), everything)
    names = [f"{high:016x}{low:016x}" for high, low in part.documents[["id_high", "id_low"]].tolist()]
    no_id = names[0][:16] + names[1][16:]  # of halves of two that stand there
    assert remove_from_store(store, [names[3], names[9], no_id])
    files = {name: store.size_bytes(name) for name in store.names(".npy")}
    assert remove_from_store(store, [names[3]]) == []
    assert {name: store.size_bytes(name) for name in store.names(".npy")} == files
    with_bos = loaded(folder, bos="<|begin|>")
    [again], _ = stored(path, with_bos, everything)
    documents = again.documents
    assert [f"{high:016x}{low:016x}" for high, low in documents[["id_high", "id_low"]].tolist()] == names
    gone = np.isin(np.arange(len(names)), [3, 9])
    assert not documents["n_tokens"][gone].any()
    has_text = documents["n_bytes"][~gone] > 0
    longer = documents["n_tokens"][~gone] - part.documents["n_tokens"][~gone]
    assert longer[has_text].tolist() == [1] * has_text.sum()
    ids = ids_of(path, again, with_bos)
    assert len(ids) == documents["n_tokens"].sum()
    for before, after in zip(part.documents[~gone], documents[~gone], strict=True):
        texts = [
            with_bos.decode(of[int(row["start"]) + skip : int(row["start"]) + int(row["n_tokens"])])
            for of, row, skip in ((ids_of(path, part, with_bos), before, 0), (ids, after, 1))
        ]
        assert texts[0] == texts[1]


def test_wide_ids() -> None:
    assert token_type(1 << 16) == np.uint16
    assert token_type((1 << 16) + 1) == np.uint32


def test_a_key_tells_what_tokens_depend_on(tmp_path: Path, folder: Path) -> None:
    path = small.parquet(tmp_path / "d.parquet", ROWS)

    def key(tokenizer: Tokenizer, name: str = "s", **more: Any) -> str:
        source = Source(name=name, path=str(path), category="c", **more)
        [piece] = source_slices(source, "/", 1 << 20)
        return store_key(piece, source, tokenizer)

    plain = loaded(folder)
    keys = [key(plain), key(plain, "t"), key(plain, key="key"), key(loaded(folder, bos="<|begin|>"))]
    assert len(set(keys)) == 4
    assert key(plain, where="score > 3", epochs_max=3, weight=2) == keys[0]


def test_ids_of_a_run_that_are_none(tmp_path: Path, folder: Path) -> None:
    path = small.parquet(tmp_path / "documents/d.parquet", [{"text": "a", "id": "xyz"}])
    source = Source(name="s", run=str(tmp_path), category="c")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curation.mixture.documents.read_record", lambda run: None)
        [piece] = source_slices(source, "/", 1 << 20)
    with pytest.raises(RunError, match=r"d\.parquet: id 'xyz' is not 32 hexadecimal digits"):
        ensure(Folder(str(path.parent / "store")), piece, source, loaded(folder), np.array([0]), 1 << 20)
