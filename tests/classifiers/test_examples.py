"""Documents with and without labels, from files."""

from pathlib import Path

import polars as pl
import pytest
import xxhash

from classifiers.examples import DOCUMENT, read_documents, read_examples
from classifiers.language import LanguageIdentifier
from manifests.errors import RequestError
from manifests.schema_classifier import Documents, Labelled

ROWS = pl.DataFrame(
    {
        "text": ["원리와 개념을 설명한다", "buy now", "  \n", None, "buy now", "long " * 40],
        "score": [4.0, 0.0, 3.0, 2.0, 5.0, None],
        "name": ["hq", "cc", "hq", "cc", "other", "hq"],
        "train": [True, True, True, True, True, False],
    }
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    ROWS.write_parquet(tmp_path / "web.parquet")
    return str(tmp_path / "web.parquet")


def test_documents_are_cut_and_known_by_their_text(path: str) -> None:
    (found,) = read_documents(Documents(path=path), path, 50, LanguageIdentifier())
    assert found.columns == list(DOCUMENT)
    assert found["text"].to_list() == ["원리와 개념을 설명한다", "buy now", "buy now", ("long " * 40)[:50]]
    assert found["digest"][0] == xxhash.xxh3_128_hexdigest("원리와 개념을 설명한다".encode())
    assert found["id"].to_list() == found["digest"].to_list()
    assert found["source"].unique().to_list() == ["web"]
    assert found["language"].to_list()[:2] == ["ko", "en"]
    (unknown,) = read_documents(Documents(path=path), path, 50, None)
    assert unknown["language"].null_count() == 4


def test_labels_are_numbers_or_names_that_are_explained(path: str) -> None:
    found = read_examples([Labelled(path=path)], "/", 100, None)
    assert found.select("text", "label").rows() == [("원리와 개념을 설명한다", 4.0), ("buy now", 0.0)]
    named = read_examples([Labelled(path=path, label="name", values={"hq": 1, "cc": 0})], "/", 20, None)
    assert named["label"].to_list() == [1.0, 0.0, 1.0]
    with pytest.raises(RequestError, match=r"'name' holds 'hq', which is no number; .* `values`, as \{hq: 0\}"):
        read_examples([Labelled(path=path, label="name")], "/", 100, None)
    with pytest.raises(RequestError, match="holds no document with a label in 'name'"):
        read_examples([Labelled(path=path, label="name", values={"x": 1})], "/", 100, None)


def test_where_leaves_rows_out(path: str) -> None:
    found = read_examples([Labelled(path=path, where="train and score >= 1")], "/", 100, None)
    assert found["label"].to_list() == [4.0, 5.0]
    for where, message in {"nothing > 1": "nothing", "score >": "where: score >", "score + 1": "where"}.items():
        with pytest.raises(RequestError, match=message):
            read_examples([Labelled(path=path, where=where)], "/", 100, None)


def test_a_text_that_is_none(path: str) -> None:
    with pytest.raises(RequestError, match=r"web\.parquet: the column 'score' holds Float64; expected text"):
        list(read_documents(Documents(path=path, text="score"), path, 100, None))


@pytest.mark.parametrize("label", [1e308, -2e6, float("inf")])
def test_labels_that_cannot_be_added_up(tmp_path: Path, label: float) -> None:
    pl.DataFrame({"text": ["a", "b"], "score": [1.0, label]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(RequestError, match=r"a\.parquet: 'score' holds \S+; a label is a number from -1,000,000 to"):
        read_examples([Labelled(path="a.parquet")], str(tmp_path), 100, None)
