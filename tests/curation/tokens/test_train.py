"""Tokenizers learned from texts: the same whatever the order, loadable by others, exact."""

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.tokens.check import check_engine
from curation.tokens.texts import count_bytes, held_out, read_texts, shares_to_take, to_learn_from
from curation.tokens.tokenizer import Tokenizer, load_tokenizer
from curation.tokens.train import Recipe, Trained, train_tokenizer
from manifests.errors import RequestError
from manifests.store import Folder
from tests.curation.tokens.small import large, settings

pytest.importorskip("gigatoken")
pytest.importorskip("tokenizers")

KOREAN = [
    "한국어 말뭉치를 다듬는 일",
    "장을 담그는 항아리",
    "문서를 읽고 문서를 씁니다",
    "말뭉치를 읽는 기계",
    "항아리에 담긴 장",
]
ENGLISH = [
    "the jar of the sauce",
    "to read and to write documents",
    "a corpus is read",
    "machines that read",
    "sauces",
]


def silent(step: str, done: float, total: float, note: str = "") -> None:
    pass


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("texts")
    rows = [f"{KOREAN[n % 5]} {KOREAN[n // 5 % 5]} {n}번째" for n in range(600)]
    rows += [f"{ENGLISH[n % 5]}, {ENGLISH[n // 5 % 5]}; number {n}" for n in range(400)]
    pl.DataFrame({"text": [*rows[::2], None, ""]}).write_parquet(folder / "a.parquet")
    (folder / "b.jsonl").write_bytes(b"".join(orjson.dumps({"text": row}) + b"\n" for row in rows[1::2]))
    return [str(folder / "a.parquet"), str(folder / "b.jsonl")]


@pytest.fixture(scope="module")
def trained(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    folder = tmp_path_factory.mktemp("trained") / "tokenizer"
    return folder, train_tokenizer(files, Folder(str(folder)), Recipe(420, korean_frac=0.5), silent)


@pytest.fixture(scope="module")
def tokenizer(trained: tuple[Path, Trained]) -> Tokenizer:
    return load_tokenizer(settings(trained[0]), "/")


def test_what_is_written(trained: tuple[Path, Trained], tokenizer: Tokenizer) -> None:
    folder, done = trained
    assert tokenizer.vocab_size == done.vocab_size == 420
    assert tokenizer.engine == "gigatoken"
    assert check_engine(tokenizer, large(KOREAN + ENGLISH)).equal
    assert tokenizer.token(tokenizer.eod_id) == "<|endoftext|>" and tokenizer.token(tokenizer.pad_id) == "<|pad|>"
    record = orjson.loads((folder / "training.json").read_bytes())
    assert record["recipe"]["korean_frac"] == 0.5 and record["vocab_size"] == 420
    n_korean = done.text_bytes["ko"]
    assert 0.4 < n_korean / sum(done.text_bytes.values()) < 0.6
    assert {of.language for of in done.fertility} == {"ko", "en"}
    assert all(of.bytes_per_token > 1.5 and of.n_chars <= of.n_bytes for of in done.fertility)


def test_transformers_loads_it(trained: tuple[Path, Trained]) -> None:
    transformers = pytest.importorskip("transformers")
    loaded = transformers.AutoTokenizer.from_pretrained(trained[0])
    assert loaded.eos_token == "<|endoftext|>" and loaded.pad_token == "<|pad|>"
    assert loaded.decode(loaded.encode("한국어 corpus")) == "한국어 corpus"


@given(
    st.lists(st.one_of(st.text(max_size=30), st.sampled_from([*KOREAN, "\u1112\u1161\u11ab <|pad|>"])), max_size=5)
)
def test_bytes_come_back(tokenizer: Tokenizer, texts: list[str]) -> None:
    ids, _ = tokenizer.encode(large(texts))
    assert tokenizer.decode(ids) == "".join(texts).encode()
    assert not set(ids.tolist()) & set(tokenizer.file.specials.values())


def test_the_order_of_files_and_rows_does_not_matter(
    files: list[str], trained: tuple[Path, Trained], tmp_path: Path
) -> None:
    rows = pl.read_parquet(files[0]).reverse()
    rows.write_parquet(tmp_path / "x.parquet", row_group_size=50)
    again = [str(tmp_path / "x.parquet"), files[1]][::-1]
    train_tokenizer(again, Folder(str(tmp_path / "t")), Recipe(420, korean_frac=0.5), silent)
    assert (tmp_path / "t/tokenizer.json").read_bytes() == (trained[0] / "tokenizer.json").read_bytes()
    train_tokenizer(again, Folder(str(tmp_path / "other")), Recipe(420, korean_frac=0.9), silent)
    assert (tmp_path / "other/tokenizer.json").read_bytes() != (trained[0] / "tokenizer.json").read_bytes()


def test_digits(files: list[str], tmp_path: Path) -> None:
    for digits, longest in (("single", 1), ("triples", 3)):
        recipe = Recipe(900, digits=digits)  # type: ignore[arg-type]
        train_tokenizer(files, Folder(str(tmp_path / digits)), recipe, silent)
        tokenizer = load_tokenizer(settings(tmp_path / digits), "/")
        assert check_engine(tokenizer, large(["12345 007", *KOREAN])).equal
        tokens = [tokenizer.token(id) for id in range(tokenizer.vocab_size)]
        assert max(len(token) for token in tokens if token.isdigit()) == longest


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe(100), "vocabulary of 100: expected at least 261"),
        (Recipe(300, special_tokens=[]), "expected at least one, which ends a document"),
        (Recipe(300, special_tokens=["a", "a"]), "one is named twice: a, a"),
        (Recipe(300, text="body"), "has no column 'body'"),
    ],
)
def test_what_cannot_be(files: list[str], tmp_path: Path, recipe: Recipe, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        train_tokenizer(files, Folder(str(tmp_path)), recipe, silent)


def test_nothing_is_overwritten(files: list[str], trained: tuple[Path, Trained]) -> None:
    with pytest.raises(RequestError, match="there is a tokenizer already"):
        train_tokenizer(files, Folder(str(trained[0])), Recipe(300), silent)


def test_shares() -> None:
    n_bytes = {"ko": 30, "en": 60, "other": 10}
    assert shares_to_take(n_bytes, 1000, None) == {"ko": 1, "en": 1, "other": 1}
    assert shares_to_take(n_bytes, 50, None) == {"ko": 0.5, "en": 0.5, "other": 0.5}
    assert shares_to_take(n_bytes, 1000, 0.5)["ko"] == 1  # Korean is what there is too little of
    assert shares_to_take(n_bytes, 1000, 0.5)["en"] == pytest.approx(30 / 70)
    assert shares_to_take(n_bytes, 20, 0.25) == pytest.approx({"ko": 5 / 30, "en": 15 / 70, "other": 15 / 70})
    assert shares_to_take(n_bytes, 1000, 1.0) == {"ko": 1, "en": 0, "other": 0}
    with pytest.raises(RequestError, match="50% of the texts are to be Korean, and there are none"):
        shares_to_take({"ko": 0, "en": 5, "other": 0}, 10, 0.5)


def test_what_is_held_out_is_not_learned_from(files: list[str]) -> None:
    everything = dict.fromkeys(("ko", "en", "other"), 1.0)
    learned = [text for batch in to_learn_from(files, "text", everything, silent) for text in batch.texts.to_pylist()]
    measured = held_out(files, "text", 1 << 20, silent)
    all_texts = [text for batch in read_texts(files, "text", "x", silent) for text in batch.texts.to_pylist()]
    assert sorted([*learned, *measured.texts.to_pylist()]) == sorted(all_texts)
    assert 0 < len(measured.texts) < 60
    assert np.all(np.diff(measured.chance) >= 0)
    some = held_out(files, "text", 150, silent)
    for language in ("ko", "en"):
        assert some.of(language).to_pylist() == measured.of(language).to_pylist()[: len(some.of(language))]
    few = held_out(files, "text", 1, silent)
    assert [len(few.of(language)) for language in ("ko", "en")] == [1, 1]


def test_columns_without_text(tmp_path: Path) -> None:
    pl.DataFrame({"text": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(RequestError, match=r"column 'text' holds int64; expected text"):
        count_bytes([str(tmp_path / "a.parquet")], "text", silent)
    (tmp_path / "b.jsonl").write_text('{"text": null}\n')
    with pytest.raises(RequestError, match="holds no text"):
        count_bytes([str(tmp_path / "b.jsonl")], "text", silent)
