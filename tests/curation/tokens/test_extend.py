"""Tokenizers with new Korean tokens: old ids stay, texts come back, English keeps its very ids."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.tokens.check import ODD_TEXTS, check_engine
from curation.tokens.extend import Extended, extend_tokenizer
from curation.tokens.korean_pieces import is_korean, may_be_korean
from curation.tokens.tokenizer import Tokenizer, load_tokenizer
from manifests.errors import RequestError
from manifests.store import Folder
from tests.curation.tokens.small import byte_level, edited, large, ranks, sentencepiece_model, settings
from tests.curation.tokens.test_train import ENGLISH, KOREAN, silent

pytest.importorskip("gigatoken")
pytest.importorskip("tokenizers")

TEXTS = [f"{KOREAN[n % 5]} {KOREAN[n // 5 % 5]} {ENGLISH[n % 3]} API를 {n}번" for n in range(300)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("texts") / "a.parquet"
    pl.DataFrame({"text": TEXTS + [f"{ENGLISH[n % 5]} {n}" for n in range(400)]}).write_parquet(path)
    return [str(path)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose special tokens come after all others and stand in no vocabulary, as those of Llama 3."""
    folder = byte_level(tmp_path_factory.mktemp("base"), ["<|endoftext|>", "<|a|>"], eos_token="<|endoftext|>")
    value = json.loads((folder / "tokenizer.json").read_bytes())
    model, added = value["model"], value["added_tokens"]
    vocabulary = {token: id - 2 for token, id in model["vocab"].items() if id >= 2}
    for place, token in enumerate(added):
        token["id"] = len(vocabulary) + place
    return edited(folder, model=model | {"vocab": vocabulary}, added_tokens=added)


@pytest.fixture(scope="module")
def extended(base: Path, files: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Extended]:
    folder = tmp_path_factory.mktemp("extended") / "tokenizer"
    return folder, extend_tokenizer(settings(base), files, Folder(str(folder)), 20, silent)


@pytest.fixture(scope="module")
def both(base: Path, extended: tuple[Path, Extended]) -> tuple[Tokenizer, Tokenizer]:
    return load_tokenizer(settings(base), "/"), load_tokenizer(settings(extended[0]), "/")


def test_what_is_written(both: tuple[Tokenizer, Tokenizer], extended: tuple[Path, Extended]) -> None:
    (old, new), (folder, done) = both, extended
    assert (done.base_vocab_size, done.vocab_size, done.n_new) == (old.vocab_size, new.vocab_size, 20)
    assert [new.token(id) for id in range(old.vocab_size)] == [old.token(id) for id in range(old.vocab_size)]
    assert new.eod_id == old.eod_id
    old_merges, new_merges = old.file.parsed["model"]["merges"], new.file.parsed["model"]["merges"]
    assert new_merges[: len(old_merges)] == old_merges and len(new_merges) > len(old_merges)
    extension = orjson.loads((folder / "extension.json").read_bytes())
    assert extension["base_vocab_size"] == old.vocab_size and extension["base_digest"] == old.digest
    assert [token["id"] for token in extension["tokens"]] == list(range(old.vocab_size, new.vocab_size))
    for token in extension["tokens"]:
        assert new.token(token["id"]) == token["token"]
        assert new.decode([token["id"]]) == old.decode(token["parts"])
        assert is_korean(new.decode([token["id"]]))
    korean, english = (next(of for of in done.comparison if of.before.language == name) for name in ("ko", "en"))
    assert korean.after.n_tokens < korean.before.n_tokens
    assert english.after == english.before and english.n_unchanged == english.before.n_texts


def test_every_new_token_is_of_use(both: tuple[Tokenizer, Tokenizer]) -> None:
    old, new = both
    used = {new.token(id) for id in new.encode(large(TEXTS))[0].tolist()}
    used |= {part for merge in new.file.parsed["model"]["merges"] for part in merge}
    assert used >= {new.token(id) for id in range(old.vocab_size, new.vocab_size)}


def test_both_engines_give_the_same(both: tuple[Tokenizer, Tokenizer]) -> None:
    assert both[1].engine == "gigatoken"
    assert check_engine(both[1], large([*ODD_TEXTS, *TEXTS])).equal


@given(st.text(max_size=60).filter(lambda text: unicodedata.normalize("NFC", text) == text))
def test_texts_without_hangul_keep_their_ids(both: tuple[Tokenizer, Tokenizer], text: str) -> None:
    old, new = both
    if not any(is_korean(letter.encode()) for letter in text):
        assert np.array_equal(old.encode(large([text]))[0], new.encode(large([text]))[0])


@given(
    st.lists(st.sampled_from([*KOREAN, *ENGLISH, "한", "글", "\u1112", "漢字를", "é는", " ", "\n", "1"]), max_size=9)
)
def test_texts_come_back_in_no_more_tokens(both: tuple[Tokenizer, Tokenizer], words: list[str]) -> None:
    text = "".join(words)
    (ids, _), (had, _) = both[1].encode(large([text])), both[0].encode(large([text]))
    assert both[1].decode(ids) == text.encode() and len(ids) <= len(had)


def test_special_tokens_keep_their_ids_for_the_library(
    both: tuple[Tokenizer, Tokenizer], extended: tuple[Path, Extended]
) -> None:
    from tokenizers import Tokenizer as Library

    library = Library.from_file(str(extended[0] / "tokenizer.json"))
    for token, id in both[0].file.specials.items():
        assert library.token_to_id(token) == id
        assert library.encode(f"{token}한국어").ids[0] == id


def test_the_same_bytes_again(base: Path, files: list[str], extended: tuple[Path, Extended], tmp_path: Path) -> None:
    rows = pl.read_parquet(files[0]).reverse()
    rows.write_parquet(tmp_path / "x.parquet", row_group_size=7)
    extend_tokenizer(settings(base), [str(tmp_path / "x.parquet")], Folder(str(tmp_path / "t")), 20, silent)
    for name in ("tokenizer.json", "extension.json", "tokenizer_config.json"):
        assert (tmp_path / "t" / name).read_bytes() == (extended[0] / name).read_bytes()


def test_any_letters(base: Path, files: list[str], tmp_path: Path) -> None:
    done = extend_tokenizer(settings(base), files, Folder(str(tmp_path / "t")), 30, silent, letters="any")
    english = next(of for of in done.comparison if of.before.language == "en")
    assert done.n_new == 30 and english.after.n_tokens < english.before.n_tokens


def test_what_cannot_be_extended(files: list[str], base: Path, tmp_path: Path) -> None:
    def refused(said: str, **more: Any) -> None:
        with pytest.raises(RequestError, match=said):
            given = {"base": settings(base), "files": files, "folder": Folder(str(tmp_path / "t")), "n_new": 5} | more
            extend_tokenizer(progress=silent, **given)

    refused("expected at least 1, found 0", n_new=0)
    refused("there is a tokenizer already", folder=Folder(str(base)))
    refused("only a `tokenizer.json` can be extended", base=settings(sentencepiece_model(tmp_path / "a.model")))
    own = settings(ranks(tmp_path / "a.tiktoken"), pretokenizer="gpt2")
    refused("only a `tokenizer.json` can be extended", base=own)
    model = json.loads((base / "tokenizer.json").read_bytes())["model"]
    other = edited(byte_level(tmp_path / "o"), model=model | {"byte_fallback": True, "vocab": {**model["vocab"]}})
    refused("this is BPE with byte fallback", base=settings(other, engine="library", eod="<|endoftext|>"))
    pl.DataFrame({"text": ENGLISH}).write_parquet(tmp_path / "en.parquet")
    refused("no text of this and 0 other files is Korean", files=[str(tmp_path / "en.parquet")])


@pytest.mark.parametrize(
    ("token", "may_be", "certain"),
    [
        ("한".encode(), True, True),
        (" 한국".encode(), True, True),
        ("한".encode()[:2], True, True),
        ("한".encode()[1:], True, False),
        ("한".encode()[:1], True, False),
        ("국한".encode()[1:5], True, True),
        ("ㅋㅋ".encode(), True, True),
        ("\u1112\u1161".encode(), True, True),
        (b" ", True, False),
        (b"a", False, False),
        ("漢".encode(), False, False),
        ("漢".encode()[:2], False, False),
        ("あ".encode(), False, False),
        ("한 ".encode(), False, False),
        ("é".encode(), False, False),
        ("\ud7a4".encode(), False, False),
        (b"<|a|>", False, False),
    ],
)
def test_parts_of_korean(token: bytes, may_be: bool, certain: bool) -> None:
    assert (may_be_korean(token), is_korean(token)) == (may_be, certain)
