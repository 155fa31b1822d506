"""The order of a source: every piece once in every epoch, the same wherever its documents lie."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.mixture.catalogue import CatalogueTask, catalogue, total
from curation.mixture.documents import source_slices
from curation.mixture.holdout import hold_out
from curation.mixture.order import Ordered, Pieces
from manifests.schema_mixture import Licenses, Source, Validation
from manifests.schema_mixture import Tokenizer as TokenizerSettings
from manifests.store import Folder
from tests.curation.mixture import small
from tests.curation.tokens.small import byte_level

ROWS = small.rows(200, "d", n_words=(1, 60))
LENGTH = 32


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TokenizerSettings:
    return TokenizerSettings(path=str(byte_level(tmp_path_factory.mktemp("tokenizer"))), engine="library")


@pytest.fixture(autouse=True)
def _small_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.mixture.order.LOT_TOKENS", 1024)


def ordered(
    folder: Path, tokenizer: TokenizerSettings, seed: int = 0, slice_bytes: int = 4096, **more: Any
) -> Ordered:
    """The order of all Parquet files of a folder."""
    source = Source(name="s", path=str(folder), category="c", **more)
    store = str(folder / "store")
    found = tuple(
        catalogue(CatalogueTask(source, piece, Licenses(), tokenizer, "/", store, slice_bytes))
        for piece in source_slices(source, "/", slice_bytes)
    )
    firsts = np.cumsum([0, *(len(one.parts) for one in found)])[:-1].tolist()
    n_tokens = total(found).n_epoch_tokens
    return Ordered(0, "s", seed, LENGTH, store, found, tuple(firsts), n_tokens, np.zeros(0, np.uint64))


def epoch(of: Ordered, number: int = 0) -> Pieces:
    return np.concatenate([of.pieces(number, lot) for lot in of.lots(number)])


def names(pieces: Pieces) -> list[tuple[Any, ...]]:
    columns = ("id_high", "id_low", "copy", "turn", "offset", "length")
    return list(zip(*(pieces[name].tolist() for name in columns), strict=True))


def test_passes_past_two_bytes(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    small.parquet(tmp_path / "d.parquet", ROWS)
    pieces = epoch(ordered(tmp_path, tokenizer), 70_000)
    assert set(pieces["epoch"].tolist()) == {70_000}


def test_every_piece_once_in_every_epoch(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    small.parquet(tmp_path / "d.parquet", ROWS)
    of = ordered(tmp_path, tokenizer)
    assert of.n_lots >= 8
    first, second = epoch(of), epoch(of, 1)
    assert int(first["length"].sum()) == of.n_epoch_tokens
    assert Counter(names(first)) == Counter(names(second))
    assert max(Counter(names(first)).values()) == 1
    assert names(first) != names(second)
    assert sorted(of.lots(0)) == list(range(of.n_lots)) != of.lots(0) != of.lots(1)
    assert set(second["epoch"].tolist()) == {1}


def test_long_documents_are_cut(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    small.parquet(tmp_path / "d.parquet", ROWS)
    pieces = epoch(ordered(tmp_path, tokenizer))
    assert (pieces["offset"] > 0).any()
    assert pieces["length"].max() == LENGTH
    whole = np.flatnonzero(pieces["offset"] > 0)
    for name in ("id_high", "id_low", "start"):
        step = LENGTH if name == "start" else 0
        assert (pieces[name][whole] - pieces[name][whole - 1] == step).all()  # pieces follow one another
    assert (pieces["offset"][whole] - pieces["offset"][whole - 1] == LENGTH).all()
    assert (pieces["length"][whole - 1] == LENGTH).all()


def test_a_seed_makes_another_order(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    small.parquet(tmp_path / "d.parquet", ROWS)
    one, other = (epoch(ordered(tmp_path, tokenizer, seed)) for seed in (0, 1))
    assert names(one) != names(other)
    assert Counter(names(one)) == Counter(names(other))


def test_the_order_is_that_of_a_shuffle(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    """Neighbours in a file are no neighbours in the order, nor are ids."""
    small.parquet(tmp_path / "d.parquet", ROWS)
    ids = epoch(ordered(tmp_path, tokenizer))["id_high"].astype(float)
    assert abs(np.corrcoef(np.arange(len(ids)), ids)[0, 1]) < 0.25


@pytest.mark.parametrize("n_files", [1, 3])
@pytest.mark.parametrize("slice_bytes", [1024, 1 << 20])
def test_files_do_not_matter(tmp_path: Path, tokenizer: TokenizerSettings, n_files: int, slice_bytes: int) -> None:
    """Not even for texts that are there several times, with another number of repeats each."""
    rows = [*ROWS, *ROWS[:20], *({**row, "score": 2.0} for row in ROWS[:30])]
    settings: dict[str, Any] = {"repeat": "floor(score) + 1"}
    small.parquet(tmp_path / "a/d.parquet", rows)
    expected = names(epoch(ordered(tmp_path / "a", tokenizer, **settings)))
    shuffled = [rows[at] for at in np.random.default_rng(1).permutation(len(rows))]
    for number in range(n_files):
        small.parquet(tmp_path / f"b/d{n_files - number}.parquet", shuffled[number::n_files], row_group_size=30)
    assert names(epoch(ordered(tmp_path / "b", tokenizer, slice_bytes=slice_bytes, **settings))) == expected


def test_copies_are_numbered(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    small.parquet(tmp_path / "a.parquet", ROWS[:50])
    small.parquet(tmp_path / "b.parquet", ROWS[:10] + ROWS[:10])
    pieces = epoch(ordered(tmp_path, tokenizer))
    starts = pieces[pieces["offset"] == 0]
    copies = Counter((id, copy) for id, copy in zip(starts["id_low"].tolist(), starts["copy"].tolist(), strict=True))
    assert max(copies.values()) == 1
    assert Counter(copy for _, copy in copies) == {0: 50, 1: 10, 2: 10}


def test_repeats(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    small.parquet(tmp_path / "d.parquet", ROWS)
    of = ordered(tmp_path, tokenizer, repeat="floor(score)")
    starts = epoch(of)
    starts = starts[starts["offset"] == 0]
    times = Counter(starts["id_low"].tolist())
    wanted = Counter(int(row["score"]) for row in ROWS)
    assert Counter(times.values()) == {n: wanted[n] for n in wanted if n}
    per_id = {id: sorted(starts["turn"][starts["id_low"] == id].tolist()) for id in times}
    assert all(turns == list(range(times[id])) for id, turns in per_id.items())


def test_what_is_held_out_does_not_come(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    small.parquet(tmp_path / "d.parquet", ROWS)
    of = ordered(tmp_path, tokenizer)
    held = hold_out([("c", of)], Validation(frac=0.2), LENGTH)
    left = names(epoch(replace(of, held=held.contents)))
    assert 20 <= len(held.contents) <= 60
    out = {name[:2] for name in names(held.pieces["c"])}
    assert len(out) == len(held.contents)
    assert not out & {name[:2] for name in left}
    assert {name[:2] for name in left} | out == {name[:2] for name in names(epoch(of))}
    kept = [name for name in names(epoch(of)) if name[:2] not in out]
    assert kept == left  # the others stay in their order


def test_a_source_of_nothing(tmp_path: Path, tokenizer: TokenizerSettings) -> None:
    small.parquet(tmp_path / "d.parquet", [{"text": "", "score": 1.0}])
    of = ordered(tmp_path, tokenizer)
    assert (of.n_lots, len(epoch(of))) == (1, 0)
    assert Folder(of.store).exists(f"{of.catalogues[0].name}.json")
