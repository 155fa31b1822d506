"""Near-duplicates in summary and report: parts add up to the whole, texts are laid side by side and do nothing."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.report import render
from curation.report_near import SAME_CHARS, SIDE_CHARS, differences, near_chart, near_rows
from curation.summary import summarize
from curation.summary_merge import merge
from curation.summary_models import EDGES, N_GROUPS, NearSize, Summary
from tests.curation.judged_rows import RULES, judged_rows
from tests.curation.test_report import ATTACKS, RECORD, Page


def clustered_rows(n_docs: int, seed: int = 0) -> pl.DataFrame:
    """Judged rows in clusters of several texts; one of each is kept, some are held by earlier runs."""
    rows = judged_rows(n_docs, seed).with_row_index("number")
    has_text = pl.col("text").is_not_null()
    number = pl.col("text").str.extract(r"(\d+)").cast(pl.Int64)
    names = (number // (1 + number % 5)).cast(pl.String)
    held = (pl.col("verdict") == "kept") & (pl.col("number") % 5 == 0)
    rows = rows.with_columns(
        text_digest=number.cast(pl.String),
        near_cluster=names,
        near_cluster_size=pl.when(has_text).then(pl.len().over(names)).cast(pl.Int64),
        exact_size=pl.when(has_text).then(pl.len().over("text")).cast(pl.Int64),
        verdict=pl.when(held).then(pl.lit("dropped")).otherwise("verdict"),
        stage=pl.when(held).then(pl.lit("dedup")).otherwise("stage"),
        reason=pl.when(held).then(pl.lit("held_by_earlier_run")).otherwise("reason"),
        detail=pl.when(held).then(pl.lit("runs/") + (pl.col("number") % 2).cast(pl.String)),
    )
    first = pl.col("number").filter(pl.col("verdict") == "kept").min().over("near_cluster")
    lost = (pl.col("verdict") == "kept") & (pl.col("number") != first)
    return rows.with_columns(
        verdict=pl.when(lost).then(pl.lit("dropped")).otherwise("verdict"),
        stage=pl.when(lost).then(pl.lit("dedup")).otherwise("stage"),
        reason=pl.when(lost).then(pl.lit("near_duplicate")).otherwise("reason"),
    ).drop("number")


@given(
    seed=st.integers(0, 50), cuts=st.lists(st.integers(0, 300), max_size=6), order=st.randoms(use_true_random=False)
)
@settings(max_examples=20, deadline=None)
def test_parts_add_up_in_any_order(seed: int, cuts: list[int], order: np.random.Generator) -> None:
    rows = clustered_rows(300, seed)
    edges = [0, *sorted(cuts), 300]
    parts = [summarize(rows[a:b], RULES) for a, b in pairwise(edges)]
    order.shuffle(parts)
    whole = summarize(rows, RULES)
    assert merge(parts).near == whole.near
    assert len(whole.near.clusters) == N_GROUPS


def test_what_is_said_of_sizes_clusters_and_earlier_runs() -> None:
    rows = clustered_rows(400)
    near = summarize(rows, RULES).near
    texts = rows.filter(pl.col("text").is_not_null())
    assert sum(row.n_docs for row in near.sizes) == texts.height
    assert sum(row.n_kept for row in near.sizes) == texts.filter(pl.col("verdict") == "kept").height
    assert sum(row.n_ruled_out for row in near.sizes) == texts.filter(pl.col("stage") == "rules").height
    assert near.held == dict(rows.filter(pl.col("reason") == "held_by_earlier_run")["detail"].value_counts().rows())
    table = near_rows(near.sizes)
    assert sum(row.n_clusters for row in table) == texts["near_cluster"].n_unique()
    assert all(sum(n for _, n in row.by_language.values()) == row.n_docs for row in table)
    for cluster in near.clusters:
        mine = texts.filter(pl.col("near_cluster") == cluster.cluster)
        assert cluster.size == mine.height == sum(cluster.sources.values())
        first, second = cluster.members
        assert first.text_digest != second.text_digest
        kept = mine.filter(pl.col("verdict") == "kept")["id"].to_list()
        assert kept in ([first.id], [])
        if kept:
            others = mine.filter(pl.col("text_digest") != first.text_digest)["reason"].to_list()
            assert second.reason == "near_duplicate" or "near_duplicate" not in others
    assert [cluster.size for cluster in near.clusters] == sorted((c.size for c in near.clusters), reverse=True)


def test_rows_of_sizes_are_those_of_the_rehydration_curve() -> None:
    sizes = [
        NearSize(size=size, language="ko", n_docs=2 * size, n_ruled_out=size, n_kept=2)
        for size in (1, 2, 3, 4, 5, 9, 10, 99, 100, 5000)
    ]
    assert [(row.sizes, row.n_clusters, row.n_docs) for row in near_rows(sizes)] == [
        ("1", 2, 2), ("2", 2, 4), ("3–4", 4, 14), ("5–9", 4, 28), ("10–99", 4, 218), ("100 and more", 4, 10200),
    ]  # fmt: skip
    chart = near_chart(sizes)
    assert chart is not None
    kept, dropped = chart.distribution.kept, chart.distribution.dropped
    assert (kept[1], kept[2], dropped[2], sum(kept)) == (0, 2, 2, 18)
    assert sum(dropped) == sum(row.n_docs - row.n_kept for row in sizes if row.size > 1)
    assert len(kept) == len(EDGES["count"])
    assert near_chart(sizes[:1]) is None


def test_words_that_differ_are_marked_and_the_rest_is_shortened() -> None:
    same = "같은 말이 이어진다 " * 40
    left, right = differences(f"{same}서울에서 만나요 {same}", f"{same}부산에서 만나요 {same}")
    assert [part.text for part in left if part.differs] == ["서울에서"]
    assert [part.text for part in right if part.differs] == ["부산에서"]
    assert left[0].text.startswith(" … ") and left[0].text.endswith(same.strip()[1 - SAME_CHARS :])
    assert sum(len(part.text) for part in left) < 4 * SAME_CHARS


@given(st.text("가나 \n", max_size=60), st.text("가나 \n", max_size=60))
def test_differences_hold_both_texts(left: str, right: str) -> None:
    for text, parts in zip((left, right), differences(left, right), strict=True):
        shown = "".join(part.text for part in parts)
        assert shown == text or " … " in shown


def test_a_side_has_an_end() -> None:
    left, _ = differences("가 " * 5000, "나 " * 5000)
    assert sum(len(part.text) for part in left) <= SIDE_CHARS + 100


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarize(clustered_rows(300), RULES)


def test_the_page_shows_clusters_and_earlier_runs(summary: Summary) -> None:
    counts = {"n_clusters": 1234, "n_texts": 4321, "n_pairs": 9876, "n_compared": 8765, "n_similar": 4444}
    page = Page(render(summary, RECORD | {"near": counts}))
    assert "1,234 clusters of 4,321 different texts" in page.text and "4,444 of them were similar enough" in page.text
    assert "runs/0" in page.text and "10–99" in page.text
    assert page.tags["mark"] > 10
    assert "near" in page.values("id")
    plain = Page(render(summarize(judged_rows(100), RULES), RECORD))
    assert "near" not in plain.values("id") and "#near" not in plain.values("href")


def test_texts_of_clusters_and_names_of_runs_are_inert(summary: Summary) -> None:
    attack = pl.Series([f"{ATTACKS[i % len(ATTACKS)]} {i // 7}" for i in range(300)])
    rows = clustered_rows(300).with_columns(attack.alias("text"), source=attack, url="javascript:" + attack)
    rows = rows.with_columns(detail=pl.when(pl.col("detail").is_not_null()).then(attack))
    attacked = Page(render(summarize(rows, RULES), RECORD))
    assert set(attacked.tags) <= set(Page(render(summary, RECORD)).tags)
    assert not [name for _, name, _ in attacked.attributes if name.startswith("on") or name == "style"]
    assert "<script>" in attacked.text and "\u202e" not in attacked.text
