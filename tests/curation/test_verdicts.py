"""Verdicts of measured rows, before anything is written."""

import polars as pl
import pytest

from curation.verdicts import checked_rules, judged, predicate_columns
from manifests.errors import RequestError
from manifests.load import parse_manifest
from manifests.schema import CorpusManifest

MANIFEST = """
kind: corpus
name: m
inputs: [{source: s, path: x, metadata: {server: h}}]
measure: {language: {}}
rules:
  - {name: language, keep: "language in ('ko', 'en')"}
  - {name: score, keep: "language_score >= 0.65"}
output: out
"""


@pytest.fixture(scope="module")
def manifest() -> CorpusManifest:
    return parse_manifest(MANIFEST, "m")


def frame(**columns: list[object]) -> pl.DataFrame:
    n_rows = len(columns["language"])
    nothing: list[object] = [None] * n_rows
    texts = dict.fromkeys(("verdict", "stage", "reason", "detail"), nothing)
    numbers = dict.fromkeys(("value", "threshold"), nothing)
    known = {"id": [f"{i:032x}" for i in range(n_rows)], "row_hash": [bytes([i]) for i in range(n_rows)]}
    kinds = {**dict.fromkeys(texts, pl.String), **dict.fromkeys(numbers, pl.Float64), "row_hash": pl.Binary}
    return pl.DataFrame(known | texts | numbers | columns, schema_overrides=kinds)


def test_first_failing_rule_is_the_reason_and_all_are_recorded(manifest: CorpusManifest) -> None:
    rows = judged(
        frame(language=["ko", "fr", "en", None], language_score=[0.9, 0.1, 0.5, 0.9]), checked_rules(manifest, "/")
    )
    assert rows["verdict"].to_list() == ["kept", "dropped", "dropped", "dropped"]
    assert rows["reason"].to_list() == [None, "language", "score", "language:missing"]
    assert rows["failed_rules"].to_list() == [[], ["language", "score"], ["score"], ["language:missing"]]
    assert rows["stage"].to_list() == [None, "rules", "rules", "rules"]
    assert rows["value"].to_list() == [None, None, 0.5, None]
    assert rows["threshold"].to_list() == [None, None, 0.65, None]
    assert rows["detail"].to_list() == [None, "fr", None, None]


def test_what_reading_ended_stays_as_it_was(manifest: CorpusManifest) -> None:
    early = frame(
        language=[None],
        language_score=[None],
        verdict=["failed"],
        stage=["read"],
        reason=["truncated"],
        detail=["cut"],
    )
    (row,) = judged(early, checked_rules(manifest, "/")).to_dicts()
    assert (row["verdict"], row["stage"], row["reason"], row["detail"]) == ("failed", "read", "truncated", "cut")
    assert row["failed_rules"] is None


def test_copies_are_numbered_in_the_order_of_their_hashes(manifest: CorpusManifest) -> None:
    twice = frame(language=["ko"] * 3, language_score=[0.9] * 3, id=["b" * 32, "a" * 32, "b" * 32])
    twice = twice.with_columns(row_hash=pl.Series([b"2", b"0", b"1"]))
    rows = judged(twice, checked_rules(manifest, "/"))
    assert rows.select("id", "copy", "row_hash").rows() == [
        ("a" * 32, 0, b"0"),
        ("b" * 32, 0, b"1"),
        ("b" * 32, 1, b"2"),
    ]


def test_predicates_see_what_is_measured_and_nothing_else(manifest: CorpusManifest) -> None:
    columns = predicate_columns(manifest)
    assert {"language", "metadata.server", "text", "n_text_bytes"} <= set(columns)
    assert not {"signals.word_count", "file", "verdict", "row_hash"} & set(columns)
    assert "text" not in predicate_columns(manifest, has_texts=False)
    with pytest.raises(RequestError, match=r"rule language: .*unknown column language"):
        checked_rules(
            manifest.model_copy(
                update={"measure": parse_manifest(MANIFEST.replace("measure: {language: {}}\n", ""), "m").measure}
            ),
            "/",
        )
