"""What a mixture may use of a slice: counted right, by what its columns say, and kept for the next time."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.mixture.catalogue import Catalogue, CatalogueTask, catalogue, chosen, read_documents, read_fences, total
from curation.mixture.documents import source_slices
from curation.mixture.token_store import read_parts, store_key, token_type
from curation.tokens.tokenizer import load_tokenizer
from manifests.errors import RequestError, RunError
from manifests.schema_mixture import Licenses, Source
from manifests.schema_mixture import Tokenizer as TokenizerSettings
from manifests.store import Folder
from tests.curation.mixture import small
from tests.curation.tokens.small import byte_level

ROWS = small.rows(100, "d")
EMPTY = [{**ROWS[0], "text": text} for text in (None, "", None)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TokenizerSettings:
    return TokenizerSettings(path=str(byte_level(tmp_path_factory.mktemp("tokenizer"))), engine="library")


def task(path: Path, tokenizer: TokenizerSettings, licenses: Licenses | None = None, **more: Any) -> CatalogueTask:
    source = Source(name="s", path=str(path), category="c", **more)
    [piece] = source_slices(source, "/", 1 << 20)
    store = str(path.parent / "store")
    return CatalogueTask(source, piece, licenses or Licenses(), tokenizer, "/", store, 1 << 20)


def documents(of: CatalogueTask, found: Catalogue) -> np.ndarray[Any, Any]:
    return read_documents(Folder(of.store), found.name, 0, found.n_documents)


def test_counts(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    path = small.parquet(tmp_path / "d.parquet", [*ROWS, *EMPTY])
    licenses = Licenses(allow=["MIT", "CC-BY-*"], unknown="deny")
    of = task(path, tokenizer, licenses, where="score >= 1", repeat="score - 1", key="key")
    found = catalogue(of)
    there = found.available
    chosen_rows = [row for row in ROWS if row["score"] >= 1]
    licensed = [row for row in chosen_rows if row["license"]]
    assert there.n_rows == 103
    assert there.left_out["where"] == 103 - len(chosen_rows)  # the empty ones score 0
    assert there.left_out["license"] == len(chosen_rows) - len(licensed)
    assert there.licenses_left_out == {"unknown": there.left_out["license"]}
    assert there.left_out["repeat"] >= sum(row["score"] == 1 for row in licensed)
    assert there.n_epoch_documents == int(documents(of, found)["repeat"].sum())
    whole = sum(int(row["score"] - 1) for row in licensed)
    assert whole <= there.n_epoch_documents <= whole + sum(row["score"] % 1 != 0 for row in licensed)
    used = documents(of, found)
    used = used[used["repeat"] > 0]
    assert there.n_epoch_tokens == int((used["n_tokens"].astype(int) * used["repeat"]).sum())
    assert there.total.n_documents == len(used) == sum(count.n_documents for count in there.by_license.values())
    assert there.total.n_tokens == int(used["n_tokens"].sum())
    assert set(there.by_license) == {"MIT", "CC-BY-4.0"}
    assert set(there.by_language) == {"en"}
    assert sum(there.lengths.values()) == found.n_documents


def test_what_has_no_text_is_not_used(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    of = task(small.parquet(tmp_path / "d.parquet", [*ROWS, *EMPTY]), tokenizer)
    found = catalogue(of)
    assert (found.available.left_out["no_text"], found.n_documents) == (3, 100)
    assert found.available.total.n_bytes == sum(len(row["text"].encode()) for row in ROWS)


@pytest.mark.parametrize("write", [small.parquet, small.jsonl])
def test_values_that_hold_for_all(tmp_path: Path, tokenizer: TokenizerSettings, write: Any) -> None:
    of = task(write(tmp_path / f"d.{write.__name__}", ROWS), tokenizer, set={"license": "MIT", "language": "ko"})
    there = catalogue(of).available
    assert there.n_rows == there.total.n_documents == 100
    assert (set(there.by_license), set(there.by_language)) == ({"MIT"}, {"ko"})


def test_predicates_see_the_columns_of_the_file(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    rows = [{**row, "lang": "ko", "row": number} for number, row in enumerate(ROWS)]
    path = small.parquet(tmp_path / "d.parquet", rows)
    there = catalogue(task(path, tokenizer, language="lang", where="language = 'en' and \"row\" < 10")).available
    assert {name: count.n_documents for name, count in there.by_language.items()} == {"ko": 10}
    there = catalogue(task(path, tokenizer, set={"license": "X"}, where="license = 'MIT'")).available
    assert there.total.n_documents == sum(row["license"] == "MIT" for row in ROWS)
    there = catalogue(task(path, tokenizer, set={"license": "X"}, where='"row" < 20', repeat='"row"')).available
    assert there.n_epoch_documents == sum(range(20))


def test_a_wrong_predicate_names_its_source_and_file(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    path = small.parquet(tmp_path / "d.parquet", ROWS)
    for wrong in ({"where": "scores > 1"}, {"repeat": "scores"}, {"where": "score"}):
        of = task(path, tokenizer, **wrong)
        with pytest.raises(RequestError, match=r"sources: s: .*d\.parquet: (predicate|expression)"):
            chosen(of.source, str(path))
        with pytest.raises(RequestError, match="sources: s: "):
            catalogue(of)


def test_a_wrong_number_of_times_names_its_source_and_file(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    of = task(small.parquet(tmp_path / "d.parquet", ROWS), tokenizer, repeat="0 - score")
    with pytest.raises(RunError, match=r"source 's', .*d\.parquet from row 0: repeat: the document whose id begins"):
        catalogue(of)


def test_columns_that_are_no_text(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    rows = [{**row, "license": 7, "language": True} for row in ROWS]
    there = catalogue(task(small.parquet(tmp_path / "d.parquet", rows), tokenizer)).available
    assert set(there.by_license) == {"7"}


def test_a_note_is_read_as_it_was_written(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    path = small.parquet(tmp_path / "d.parquet", ROWS)
    of = task(path, tokenizer, Licenses(deny=["MIT"]), where="score >= 1")
    first, again = catalogue(of), catalogue(of)
    assert again == first
    assert again.available == replace(first.available, tokenised_bytes=0)
    assert type(again.available.lengths) is Counter
    for file in Path(of.store).glob(f"{first.parts[0]}.u*"):
        file.unlink()
    made = catalogue(of)
    assert made.available == first.available  # tokenised again
    assert (documents(of, made) == documents(of, first)).all()
    (Path(of.store) / f"{made.name}.npy").unlink()
    assert len(documents(of, catalogue(of))) == first.n_documents


def test_a_changed_predicate_tokenises_what_it_adds(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    path = small.parquet(tmp_path / "d.parquet", ROWS)
    sizes = {row["text"]: len(row["text"].encode()) for row in ROWS}
    strict = catalogue(task(path, tokenizer, where="score >= 3"))
    looser = catalogue(task(path, tokenizer, where="score >= 2"))
    added = sum(sizes[row["text"]] for row in ROWS if 2 <= row["score"] < 3)
    assert looser.available.tokenised_bytes == added
    assert set(looser.parts) > set(strict.parts)
    assert catalogue(task(path, tokenizer, where="score >= 2.5")).available.tokenised_bytes == 0
    of = task(path, tokenizer)
    everything = catalogue(of)
    fresh = tmp_path / "fresh"
    alone = replace(of, store=str(fresh))
    for name in ("id_high", "id_low", "content", "n_tokens"):
        assert (documents(of, everything)[name] == documents(alone, catalogue(alone))[name]).all()


def test_ranges_of_ids(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    of = task(small.parquet(tmp_path / "d.parquet", ROWS), tokenizer)
    found = catalogue(of)
    fences, ids = read_fences(Folder(of.store), found.name), documents(of, found)["id_high"]
    assert (np.diff(ids.astype(np.float64)) >= 0).all()
    assert (fences[0], fences[-1]) == (0, 100)
    for number in range(4096):
        inside = ids[fences[number] : fences[number + 1]]
        assert (inside >> np.uint64(52) == number).all()


def test_sums_of_slices(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    parts = [
        catalogue(task(small.parquet(tmp_path / name, ROWS[start : start + 50]), tokenizer, where="score > 1"))
        for name, start in (("a.parquet", 0), ("b.parquet", 50))
    ]
    whole = catalogue(task(small.parquet(tmp_path / "c.parquet", ROWS), tokenizer, where="score > 1"))
    assert total(parts) == whole.available


def test_a_row_that_two_parts_hold_counts_once(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    path = small.parquet(tmp_path / "d.parquet", ROWS)
    one, other = task(path, tokenizer, where="score >= 2"), task(path, tokenizer, where="score <= 3")
    for number, of in enumerate((one, other)):  # as two that work at once, neither seeing what the other has
        catalogue(replace(of, store=str(tmp_path / f"store{number}")))
    loaded = load_tokenizer(tokenizer, "/")
    key = store_key(one.piece, one.source, loaded)
    (tmp_path / "store" / key).mkdir(parents=True)
    for file in [file for number in range(2) for file in (tmp_path / f"store{number}" / key).iterdir()]:
        file.rename(tmp_path / "store" / key / file.name)
    assert len(read_parts(Folder(str(tmp_path / "store")), key)) == 2
    of = task(path, tokenizer)
    found = catalogue(of)
    assert found.available.tokenised_bytes == 0
    assert found.n_documents == found.available.total.n_documents == 100
    assert token_type(loaded.vocab_size) == np.uint16
