"""Semantic duplicates in summary and report: parts add up to the whole, the least similar pairs lie side by side."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.report import render
from curation.report_near import beside, clusters, cosine_chart, differences
from curation.summary import summarize
from curation.summary_merge import merge
from curation.summary_models import N_GROUPS, Summary
from tests.curation.dedup.test_near_summary import clustered_rows
from tests.curation.judged_rows import RULES, judged_rows
from tests.curation.test_report import ATTACKS, RECORD, Page

COUNTS = {"n_members": 9, "n_clusters": 1234, "n_texts": 4321, "n_centroids": 7, "n_similar": 9876}


def grouped_rows(n_docs: int, seed: int = 0) -> pl.DataFrame:
    """Judged rows in clusters of near-duplicates, of which three at a time mean the same."""
    rows = clustered_rows(n_docs, seed).with_row_index("number")
    group = (pl.col("near_cluster").cast(pl.Int64) // 3).cast(pl.String)
    rows = rows.with_columns(
        semantic_cluster=group,
        semantic_cluster_size=pl.when(pl.col("text").is_not_null()).then(pl.len().over(group)).cast(pl.Int64),
    )
    is_kept = pl.col("verdict") == "kept"
    lost = is_kept & (pl.col("number") != pl.col("number").filter(is_kept).min().over("semantic_cluster"))
    rows = rows.with_columns(
        verdict=pl.when(lost).then(pl.lit("dropped")).otherwise("verdict"),
        stage=pl.when(lost).then(pl.lit("dedup")).otherwise("stage"),
        reason=pl.when(lost).then(pl.lit("semantic_duplicate")).otherwise("reason"),
        cosine=pl.when(lost).then(1 - (pl.col("number") * 7919 % 300) / 1000),
    )
    losers = sorted(rows.filter(pl.col("cosine").is_not_null()).select("cosine", "number", "semantic_cluster").rows())
    firsts: dict[str, int] = {}
    for _, number, name in losers:
        firsts.setdefault(name, number)
    groups, numbers = list(firsts)[:N_GROUPS], list(firsts.values())[:N_GROUPS]
    survives = is_kept & pl.col("semantic_cluster").is_in(groups)
    return rows.with_columns(on_edge=pl.when(survives | pl.col("number").is_in(numbers)).then(True)).drop("number")


@given(
    seed=st.integers(0, 50), cuts=st.lists(st.integers(0, 300), max_size=6), order=st.randoms(use_true_random=False)
)
@settings(max_examples=20, deadline=None)
def test_parts_add_up_in_any_order(seed: int, cuts: list[int], order: np.random.Generator) -> None:
    rows = grouped_rows(300, seed)
    parts = [summarize(rows[a:b], RULES) for a, b in pairwise([0, *sorted(cuts), 300])]
    order.shuffle(parts)
    whole = summarize(rows, RULES)
    assert merge(parts).semantic == whole.semantic
    assert len(whole.semantic.edge) > 1


def test_what_is_said_of_groups() -> None:
    rows = grouped_rows(400)
    semantic = summarize(rows, RULES).semantic
    texts = rows.filter(pl.col("text").is_not_null())
    table = clusters(semantic.sizes, ())
    assert sum(row.n_docs for row in table.rows) == texts.height
    assert sum(row.n_clusters for row in table.rows) == texts["semantic_cluster"].n_unique()
    lost = rows.filter(pl.col("reason") == "semantic_duplicate")
    assert semantic.cosines is not None and sum(semantic.cosines.dropped) == lost.height
    assert sum(semantic.cosines.dropped[:180]) == lost.filter(pl.col("cosine") < 0.9).height
    assert [cluster.size for cluster in semantic.clusters] == sorted(
        (c.size for c in semantic.clusters), reverse=True
    )
    for cluster in semantic.clusters:
        mine = texts.filter(pl.col("semantic_cluster") == cluster.cluster)
        assert cluster.size == mine.height == sum(cluster.sources.values())
        assert mine["near_cluster"].n_unique() > 1
        if "semantic_duplicate" in mine["reason"]:
            assert [member.reason for member in cluster.members] == [None, "semantic_duplicate"]


def test_the_least_similar_pairs_come_first() -> None:
    rows = grouped_rows(400)
    edge = beside(summarize(rows, RULES).semantic.edge)
    least = rows.group_by("semantic_cluster").agg(pl.min("cosine")).drop_nulls().sort("cosine")
    assert [pair.cosine for pair in edge] == least["cosine"].head(N_GROUPS).to_list()
    for pair in edge:
        survivor, loser = (side.member for side in pair.sides)
        assert (survivor.verdict, loser.reason) == ("kept", "semantic_duplicate")
        group = rows.filter(pl.col("semantic_cluster") == pair.cluster.cluster)
        assert {survivor.id, loser.id} <= set(group["id"]) and pair.cluster.size == group.height


def test_nothing_is_marked_where_most_words_differ() -> None:
    left, right = differences("하나 둘 셋 넷 다섯", "하나 여섯 일곱 여덟 아홉")
    assert [[part.differs for part in side] for side in (left, right)] == [[False], [False]]
    assert cosine_chart(None, 0.9) is None


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarize(grouped_rows(300), RULES)


def test_the_page_shows_groups_and_pairs(summary: Summary) -> None:
    manifest = {"dedup": {"semantic": {"cosine": 0.875}}}
    html = render(summary, RECORD | {"semantic": COUNTS, "manifest": manifest})
    page = Page(html)
    assert "1,234 groups of 4,321 different texts" in page.text and "a cosine of 0.875 or more" in page.text
    assert "In 7 clusters by k-means 9,876 pairs were similar enough" in page.text
    least = min(member.cosine for pair in summary.semantic.edge for member in pair.members if member.cosine)
    assert html.index(f"cosine {least:.3f}") == html.index("<summary>cosine ") + len("<summary>")
    assert {"near", "semantic"} <= set(page.values("id")) and "#semantic" in page.values("href")
    plain = Page(render(summarize(clustered_rows(100), RULES), RECORD))
    assert "semantic" not in plain.values("id") and "#semantic" not in plain.values("href")
    assert "semantic" in Page(render(summary, RECORD)).values("id")  # a record that tells nothing


def test_texts_of_groups_are_inert(summary: Summary) -> None:
    attack = pl.Series([f"{ATTACKS[i % len(ATTACKS)]} {i // 7}" for i in range(300)])
    rows = grouped_rows(300).with_columns(attack.alias("text"), source=attack, url="javascript:" + attack)
    attacked = Page(render(summarize(rows, RULES), RECORD))
    assert set(attacked.tags) <= set(Page(render(summary, RECORD)).tags)
    assert not [name for _, name, _ in attacked.attributes if name.startswith("on") or name == "style"]
    assert "<script>" in attacked.text and "\u202e" not in attacked.text


def test_a_run_that_embedded_nothing_has_no_groups() -> None:
    assert summarize(judged_rows(50), RULES).semantic == Summary().semantic
