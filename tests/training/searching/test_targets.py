"""Targets from files: which documents, and what is said of bad ones."""

from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RequestError
from tests.training import tiny
from tests.training.searching import mixtures
from training.searching import targets as module
from training.searching.targets import Text, texts_of

ROWS = [{"text": f"{text} {number}"} for number in range(5) for text in (*tiny.KOREAN, *tiny.ENGLISH)]


def read(folder: Path, own: Path, *targets: dict[str, Any], **changes: Any) -> list[Text]:
    search = mixtures.SEARCH | {"targets": list(targets)}
    return texts_of(mixtures.job(mixtures.lay_out(folder, own, search=search, **changes)))


def test_documents_are_tokenised_with_their_ends(tmp_path: Path, tiny_tokenizer: Path) -> None:
    tiny.write_jsonl(tmp_path / "t.jsonl", [*ROWS, {"text": "  "}, {"text": None}])
    (found,) = read(tmp_path, tiny_tokenizer, {"name": "t", "path": "t.jsonl", "weight": 2})
    tokenizer = mixtures.job(tmp_path / "mix.yaml").tokenizer
    texts = bytes(tokenizer.decode(found.ids)).decode().split(tiny.END_OF_TEXT)
    assert sorted(texts) == sorted(["", *(row["text"] for row in ROWS)])
    assert (found.n_documents, found.n_all_documents, found.weight) == (len(ROWS), len(ROWS), 2)
    assert found.n_bytes == sum(len(row["text"].encode()) for row in ROWS) and len(set(found.contents)) == len(ROWS)


def test_a_beginning_of_documents(tmp_path: Path, tiny_tokenizer: Path) -> None:
    tiny.write_jsonl(tmp_path / "t.jsonl", ROWS[:3])
    begun = {"path": str(tiny_tokenizer), "engine": "library", "bos": tiny.START_OF_TURN}
    (found,) = read(tmp_path, tiny_tokenizer, {"name": "t", "path": "t.jsonl"}, tokenizer=begun)
    assert found.ids[0] == 2 and [found.ids[k + 1] for k, one in enumerate(found.ids[:-1]) if one == 1] == [2, 2]


def test_a_limit_takes_always_the_same(tmp_path: Path, tiny_tokenizer: Path) -> None:
    tiny.write_jsonl(tmp_path / "t.jsonl", ROWS)
    tiny.write_jsonl(tmp_path / "u.jsonl", ROWS[::-1])
    ids = []
    for file in ("t", "u"):
        (found,) = read(tmp_path, tiny_tokenizer, {"name": "t", "path": f"{file}.jsonl", "limit": 7})
        ids.append(found.ids.tolist())
        assert (found.n_documents, found.n_all_documents) == (7, len(ROWS))
    assert ids[0] == ids[1]


def test_without_a_limit_as_many_bytes_as_take_no_time(
    tmp_path: Path, tiny_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TARGET_BYTES", 500)
    tiny.write_jsonl(tmp_path / "t.jsonl", ROWS)
    (found,) = read(tmp_path, tiny_tokenizer, {"name": "t", "path": "t.jsonl"})
    assert 1 < found.n_documents < len(ROWS) and found.n_bytes <= 500


def test_what_is_wrong_is_told(tmp_path: Path, tiny_tokenizer: Path) -> None:
    tiny.write_jsonl(tmp_path / "blank.jsonl", [{"text": " "}, {"text": None}])
    tiny.write_jsonl(tmp_path / "number.jsonl", [{"text": 3}])
    blank, number = ({"name": name, "path": f"{name}.jsonl"} for name in ("blank", "number"))
    with pytest.raises(RequestError, match=r"search.targets: blank: blank.jsonl: no row has text in `text`"):
        read(tmp_path, tiny_tokenizer, blank)
    with pytest.raises(RequestError, match=r"search.targets: number: .*number.jsonl:1: `text` holds int"):
        read(tmp_path, tiny_tokenizer, number)
    with pytest.raises(RequestError, match=r"search.targets: none: .*none.jsonl"):
        read(tmp_path, tiny_tokenizer, {"name": "none", "path": "none.jsonl"})
    with pytest.raises(RequestError, match=r"search.targets: names used twice: blank"):
        read(tmp_path, tiny_tokenizer, blank, blank)
