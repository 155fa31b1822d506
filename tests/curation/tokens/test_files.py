"""What is a tokenizer, and what is not."""

from pathlib import Path

import pytest

from curation.tokens.files import AddedToken, read_tokenizer_file, without_special_tokens
from curation.tokens.tokenizer import load_tokenizer
from manifests.errors import RequestError
from tests.curation.tokens.small import settings

TOKENS = b'[{"id": 1, "content": "a]\\"b", "special": true}, {"id": 0, "content": "t", "special": false}]'


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_added_tokens_are_read_without_the_vocabulary(tmp_path: Path) -> None:
    content = b'{"model": {"vocab": {"\\"added_tokens\\": [": 3}}, "added_tokens" : ' + TOKENS + b', "x": [}'
    file = read_tokenizer_file(written(tmp_path / "tokenizer.json", content), None)
    assert file.added == [AddedToken("t", 0, False), AddedToken('a]"b', 1, True)]
    assert file.specials == {'a]"b': 1}
    kept = b'[{"id":0,"content":"t","special":false}]'
    assert without_special_tokens(file) == content.replace(TOKENS, kept)


def test_a_key_that_stands_twice_is_read_the_long_way(tmp_path: Path) -> None:
    content = b'{"model": {"added_tokens": []}, "added_tokens": ' + TOKENS + b"}"
    file = read_tokenizer_file(written(tmp_path / "tokenizer.json", content), None)
    assert [token.id for token in file.added] == [0, 1]
    assert b'"special":true' not in without_special_tokens(file)


@pytest.mark.parametrize(
    ("name", "content", "pretokenizer", "said"),
    [
        ("a.model", b"", None, "is no tokenizer; expected a `tokenizer.json`"),
        ("a.json", b"[]", None, "is no tokenizer"),
        (
            "own.tiktoken",
            b"IQ== 0\n",
            None,
            "ranks do not tell how a text is cut; name its `pretokenizer`, one of gpt2",
        ),
        ("own.tiktoken", b"IQ== 0\n", "gpt5", "'gpt5' is not known; valid: gpt2"),
        ("own.tiktoken", b"IQ== 0\nIg== x\n", "gpt2", ":2: expected bytes in base64 and a rank"),
        ("tokenizer.json", b"{}", "gpt2", "carries its own pretokenizer"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, name: str, content: bytes, pretokenizer: str | None, said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        read_tokenizer_file(written(tmp_path / name, content), pretokenizer)


def test_added_tokens_that_are_none(tmp_path: Path) -> None:
    for tokens in (b"[1]", b'[{"id": "x", "content": "y"}]', b"[[", b'[{"id": 1}]'):
        path = written(tmp_path / "tokenizer.json", b'{"added_tokens": ' + tokens + b"}")
        with pytest.raises(RequestError, match="`added_tokens` cannot be read"):
            assert read_tokenizer_file(path, None).added


def test_paths(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no tokenizer"):
        read_tokenizer_file(tmp_path / "nowhere", None)
    with pytest.raises(RequestError, match=r"this folder holds no tokenizer\.json"):
        read_tokenizer_file(tmp_path, None)


def test_ranks_by_name_and_own_ranks(tmp_path: Path) -> None:
    ranks = b"IQ== 0\nIg== 1\n"
    named = read_tokenizer_file(written(tmp_path / "r50k_base.tiktoken", ranks), None)
    assert (named.pretokenizer, named.specials) == ("gpt2", {"<|endoftext|>": 50256})
    own = read_tokenizer_file(written(tmp_path / "tokenizer.model", ranks), "llama3")
    assert (own.kind, own.pretokenizer, own.specials) == ("tiktoken", "llama3", {"<|endoftext|>": 2})
    assert own.ranks == {b"!": 0, b'"': 1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tokenizer.json", b'{"model": {}}', "tokenizers cannot read it"),
        ("tokenizer.json", b'{"model"', "cannot be read|cannot read it|is no JSON"),
        ("a.model", b"\x0a\x05hello", "is no SentencePiece model|cannot read it"),
    ],
)
def test_what_no_library_reads(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    for library in ("gigatoken", "tokenizers", "sentencepiece"):
        pytest.importorskip(library)
    with pytest.raises(RequestError, match=said):
        load_tokenizer(settings(written(tmp_path / name, content), eod="</s>"), "/")
