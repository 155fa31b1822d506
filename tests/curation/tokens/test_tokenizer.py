"""Texts to ids and back: equal to the library's, whatever the engine, and special tokens in a text are text."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.tokens import engines
from curation.tokens.check import ODD_TEXTS, check_engine, checked
from curation.tokens.tokenizer import Tokenizer, load_tokenizer
from manifests.errors import RequestError
from tests.curation.tokens.small import SENTENCES, byte_level, edited, large, ranks, sentencepiece_model, settings

pytest.importorskip("gigatoken")
pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")
pytest.importorskip("tiktoken")

KINDS = ["json", "sentencepiece", "tiktoken"]
WRITTEN = ["a<|endoftext|>b", "<|endoftext|>", "<s>x</s>", "</s>", "<unk>", "<sep>", "<0x41>"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    folder = tmp_path_factory.mktemp("tokenizers")
    paths = {
        "json": byte_level(folder / "json"),
        "sentencepiece": sentencepiece_model(folder / "sp.model"),
        "tiktoken": ranks(folder / "own.tiktoken"),
    }
    more = {"tiktoken": {"pretokenizer": "cl100k"}}
    return {kind: load_tokenizer(settings(path, **more.get(kind, {})), "/") for kind, path in paths.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_both_engines_give_the_same(loaded: dict[str, Tokenizer], kind: str) -> None:
    tokenizer = loaded[kind]
    library = tokenizer.with_engine("library")
    assert (tokenizer.engine, library.engine) == ("gigatoken", "library")
    assert (tokenizer.digest, tokenizer.vocab_size) == (library.digest, library.vocab_size)
    texts = large([*ODD_TEXTS, *SENTENCES, *WRITTEN])
    for given_array, right in zip(tokenizer.encode(texts), library.encode(texts), strict=True):
        assert np.array_equal(given_array, right)
    found = check_engine(tokenizer, texts)
    assert found.equal and found.first_difference is None
    assert found.n_texts > len(texts) and found.n_bytes > sum(len(text.encode()) for text in SENTENCES)


@pytest.mark.parametrize("kind", ["json", "tiktoken"])
@given(st.lists(st.one_of(st.text(max_size=40), st.sampled_from([*WRITTEN, "한국어 the the", " " * 90])), max_size=8))
def test_bytes_come_back(loaded: dict[str, Tokenizer], kind: str, texts: list[str]) -> None:
    tokenizer = loaded[kind]
    ids, bounds = tokenizer.encode(large(texts))
    assert ids.dtype == np.uint32 and bounds.dtype == np.int64 and bounds[0] == 0 and bounds[-1] == len(ids)
    assert [tokenizer.decode(ids[a:b]) for a, b in pairwise(bounds)] == [text.encode() for text in texts]
    right = tokenizer.with_engine("library").encode(large(texts))
    assert np.array_equal(ids, right[0]) and np.array_equal(bounds, right[1])
    assert tokenizer.with_engine("library").decode(ids) == "".join(texts).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_in_a_text_are_text(loaded: dict[str, Tokenizer], kind: str) -> None:
    tokenizer = loaded[kind]
    specials = set(tokenizer.file.specials.values())
    assert tokenizer.eod_id in specials
    for engine in ("gigatoken", "library"):
        ids, _ = tokenizer.with_engine(engine).encode(large(WRITTEN))
        assert not specials & set(ids.tolist()) - {0}  # 0 is SentencePiece's unknown


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_has_the_ids_of_its_texts(loaded: dict[str, Tokenizer], kind: str) -> None:
    texts = large(SENTENCES)
    ids, bounds = loaded[kind].encode(texts)
    part, part_bounds = loaded[kind].encode(texts[2:5])
    assert part.tolist() == ids[bounds[2] : bounds[5]].tolist()
    assert part_bounds.tolist() == (bounds[2:6] - bounds[2]).tolist()
    none, none_bounds = loaded[kind].encode(texts[:0])
    assert none.tolist() == [] and none_bounds.tolist() == [0]
    assert loaded[kind].encode(large(["", ""]))[1].tolist() == [0, 0, 0]


def test_nulls_are_refused(loaded: dict[str, Tokenizer]) -> None:
    with pytest.raises(ValueError, match="1 of 2 texts are null"):
        loaded["json"].encode(large(["a", None]))


def test_threads_share_a_tokenizer(loaded: dict[str, Tokenizer]) -> None:
    texts = large(SENTENCES * 20)
    right = loaded["json"].encode(texts)[0]
    with ThreadPoolExecutor(4) as pool:
        for ids, _ in pool.map(lambda _: loaded["json"].encode(texts), range(16)):
            assert np.array_equal(ids, right)


def test_memory_of_words_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "RENEW_BYTES", 1000)
    monkeypatch.setattr(engines, "GROWN_BYTES", 0)
    monkeypatch.setattr(engines, "_process_bytes", lambda: 0)
    tokenizer = load_tokenizer(settings(byte_level(tmp_path)), "/")
    first, right = tokenizer._engine._tokenizer, tokenizer.encode(large(SENTENCES))[0]  # type: ignore[attr-defined]
    tokenizer.encode(large(["a" * 1000]))
    assert tokenizer._engine._tokenizer is first  # type: ignore[attr-defined]
    assert np.array_equal(tokenizer.encode(large(SENTENCES))[0], right)
    assert tokenizer._engine._tokenizer is not first  # type: ignore[attr-defined]


def test_merges_that_make_a_special_token_are_left_out(tmp_path: Path) -> None:
    folder = byte_level(tmp_path, special=["<|endoftext|>", "fox"])
    value = json.loads((folder / "tokenizer.json").read_bytes())
    vocabulary, merges = value["model"]["vocab"], value["model"]["merges"]
    vocabulary["fo"] = max(vocabulary.values()) + 1
    edited(folder, model=value["model"] | {"vocab": vocabulary, "merges": [["f", "o"], ["fo", "x"], *merges]})
    for engine in ("gigatoken", "library"):
        tokenizer = load_tokenizer(settings(folder, eod="<|endoftext|>"), "/", engine=engine)
        ids, _ = tokenizer.encode(large(["fox"]))
        assert [tokenizer.token(id) for id in ids] == ["fo", "x"]
        assert tokenizer.decode([tokenizer.id_of("fox"), tokenizer.eod_id]) == b"fox<|endoftext|>"


def test_what_a_file_asks_to_cut_fill_or_drop_is_not_done(tmp_path: Path) -> None:
    plain = load_tokenizer(settings(byte_level(tmp_path / "plain")), "/").encode(large(SENTENCES))
    folder = byte_level(tmp_path / "cut")
    model = json.loads((folder / "tokenizer.json").read_bytes())["model"] | {"dropout": 0.5}
    cut = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    fill = {
        "strategy": {"Fixed": 64},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<|endoftext|>",
    }
    edited(folder, truncation=cut, padding=fill, model=model)
    for engine in (None, "library"):
        ids, bounds = load_tokenizer(settings(folder), "/", engine=engine).encode(large(SENTENCES))
        assert np.array_equal(ids, plain[0]) and np.array_equal(bounds, plain[1])


def test_where_ids_differ_the_library_is_used(loaded: dict[str, Tokenizer], monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = loaded["json"]
    assert checked(tokenizer, large(["a"]))[0] is tokenizer
    right = tokenizer._engine.encode

    def wrong(texts: pa.LargeStringArray) -> object:
        ids, bounds = right(texts)
        return np.where(ids == tokenizer.id_of("q"), 7, ids).astype(np.uint32), bounds

    monkeypatch.setattr(tokenizer._engine, "encode", wrong)
    chosen, found = checked(tokenizer, large(["b", "a q"]))
    assert not found.equal and found.first_difference
    assert "gigatoken gives [7, " in found.first_difference and "from id 8 of the text" in found.first_difference
    assert chosen.engine == "library" and chosen.digest == tokenizer.digest
    assert check_engine(chosen, large(["a"])).n_texts == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"normalization_rule_name": "nmt_nfkc"}, "\u1112\u1161\u11ab"),  # Gigatoken leaves jamo apart
        ({"remove_extra_whitespaces": True}, "\\n a\\n"),  # strips line ends, which are no spaces there
        ({"user_defined_symbols": ["<sep>"]}, "'<sep>'"),  # and the space before the text, before such a symbol
    ],
)
def test_where_gigatoken_differs_from_sentencepiece(tmp_path: Path, more: dict[str, object], said: str) -> None:
    tokenizer = load_tokenizer(settings(sentencepiece_model(tmp_path / "a.model", **more)), "/")
    chosen, found = checked(tokenizer, large(["<sep>"]))
    assert (tokenizer.engine, chosen.engine, found.equal) == ("gigatoken", "library", False)
    assert found.first_difference and said in found.first_difference


def test_what_gigatoken_does_not_take_the_library_does(tmp_path: Path) -> None:
    path = sentencepiece_model(tmp_path / "unigram.model", "unigram", byte_fallback=False)
    tokenizer = load_tokenizer(settings(path), "/")
    assert (tokenizer.engine, tokenizer.engine_name) == ("library", "sentencepiece")
    assert tokenizer.engine_version
    with pytest.raises(RequestError, match="Gigatoken does not take it"):
        load_tokenizer(settings(path, engine="gigatoken"), "/")


def test_tokens_have_names(loaded: dict[str, Tokenizer]) -> None:
    for tokenizer in loaded.values():
        assert tokenizer.id_of(tokenizer.token(tokenizer.eod_id)) == tokenizer.eod_id
        assert tokenizer.token(tokenizer.vocab_size - 1)
        with pytest.raises(RequestError, match=r"there is no id \d+; the largest is"):
            tokenizer.token(tokenizer.vocab_size)
        with pytest.raises(RequestError, match="there is no token 'nowhere'"):
            tokenizer.id_of("nowhere")
    assert repr(loaded["json"]) == f"Tokenizer(tokenizer.json, gigatoken, {loaded['json'].digest[:7]})"


def test_a_digest_tells_what_ids_depend_on(tmp_path: Path) -> None:
    one, other = byte_level(tmp_path / "a"), byte_level(tmp_path / "b")
    assert load_tokenizer(settings(one), "/").digest == load_tokenizer(settings(other), "/").digest
    assert load_tokenizer(settings(one, bos="<|endoftext|>"), "/").digest != load_tokenizer(settings(one), "/").digest
    byte_level(other, special=["<|endoftext|>", "<pad>"])
    assert load_tokenizer(settings(one), "/").digest != load_tokenizer(settings(other), "/").digest
    path = ranks(tmp_path / "own.tiktoken")
    digests = {load_tokenizer(settings(path, pretokenizer=name), "/").digest for name in ("cl100k", "gpt2", "qwen2")}
    assert len(digests) == 3


def test_a_tokenizer_is_loaded_once_until_its_files_change(tmp_path: Path) -> None:
    byte_level(tmp_path / "a")
    first = load_tokenizer(settings(Path("a")), str(tmp_path))
    assert load_tokenizer(settings(Path("a")), str(tmp_path)) is first
    byte_level(tmp_path / "a", eos_token="the", pad_token="a")
    second = load_tokenizer(settings(Path("a")), str(tmp_path))
    assert (second.eod_id, second.pad_id) == (second.id_of("the"), second.id_of("a"))


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = byte_level(tmp_path)
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    with pytest.raises(RequestError, match=r"gigatoken, which is not installed: pip install 'onggi\[mix\]'"):
        load_tokenizer(settings(folder), "/")
