"""What is held out: by content, per category, the same whatever the seed and the files."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from curation.mixture.holdout import HeldOut, hold_out
from curation.mixture.survey import survey
from manifests.engine import Engine, silent
from manifests.errors import RequestError
from manifests.schema_mixture import Validation
from tests.curation.mixture import small

KO, EN = small.rows(300, "ko", small.KOREAN, (1, 60)), small.rows(300, "en")


def held(path: Path, *overrides: str) -> HeldOut:
    return survey(small.job(path, None, overrides=overrides), Engine(), silent).held


def texts(of: HeldOut, category: str) -> set[tuple[int, int]]:
    pieces = of.pieces[category]
    return set(zip(pieces["id_high"].tolist(), pieces["id_low"].tolist(), strict=True))


def test_shares_of_documents(tmp_path: Path) -> None:
    path = small.lay_out(tmp_path, validation={"frac": "10%"})
    of = held(path)
    assert set(of.pieces) == {"ko", "en"}
    for category in of.pieces:
        assert 15 <= len(texts(of, category)) <= 45
    less = held(path, "validation.frac=0.05")
    assert all(texts(less, category) < texts(of, category) for category in of.pieces)
    assert (held(path, "seed=3").contents == of.contents).all()


def test_no_validation(tmp_path: Path) -> None:
    path = small.lay_out(tmp_path)
    assert len(held(path).contents) == 0
    assert held(path, "validation={frac: 0}").pieces == {}


def test_all_of_it_leaves_nothing_to_train_on(tmp_path: Path) -> None:
    path = small.lay_out(tmp_path, validation={"frac": 1})
    with pytest.raises(RequestError, match="no document may be used"):
        small.mixed(path)


def test_tokens_at_most_per_category(tmp_path: Path) -> None:
    path = small.lay_out(tmp_path, validation={"frac": 0.2, "tokens_max": 300})
    of, free = held(path), held(path, "validation={frac: 0.2}")
    for category, pieces in of.pieces.items():
        assert 200 <= int(pieces["length"].sum()) <= 300
        assert texts(of, category) < texts(free, category)


def test_a_text_in_two_sources_is_held_out_of_both(tmp_path: Path) -> None:
    small.lay_out(tmp_path)
    small.parquet(tmp_path / "data/again.parquet", EN[:100] + EN[:100])
    sources = [
        {"name": name, "path": f"data/{name}.parquet", "category": category}
        for name, category in (("en", "english"), ("again", "english"), ("ko", "other"))
    ]
    sources.append({"name": "third", "path": "data/again.parquet", "category": "third"})
    path = small.manifest(tmp_path, sources=sources, validation={"frac": 0.1})
    found = survey(small.job(path), Engine(), silent)
    pieces = found.held.pieces["english"]
    starts = pieces[pieces["offset"] == 0]
    n_texts = len(set(starts["id_low"].tolist()))
    assert n_texts == len(starts) == len(texts(held(path), "english"))
    by_source = dict(zip(("en", "again", "ko", "third"), found.n_held_documents, strict=True))
    assert by_source["en"] == len(starts)  # each text of `again` is one of `en`
    assert by_source["again"] == by_source["third"] > 0
    small.mixed(path)


def test_nothing_is_chosen_of_nothing() -> None:
    nothing: list[Any] = []
    assert hold_out(nothing, Validation(frac=0.5), 8).pieces == {}


def test_the_summary_counts_the_sequences_that_are_there(tmp_path: Path) -> None:
    path = small.lay_out(tmp_path, validation={"frac": "30%"})
    record = small.mixed(path)
    summary = orjson.loads((tmp_path / "out/summary.json").read_bytes())
    n_sequences = {held["category"]: held["n_sequences"] for held in summary["validation"]}
    rows = pq.read_table(tmp_path / "out/validation", columns=["source_of_span"])["source_of_span"].to_pylist()
    assert n_sequences == {name: sum(spans[0] == name for spans in rows) for name in ("ko", "en")}
    assert n_sequences["ko"] > record.validation["ko"]["tokens"] / 64 + 1
