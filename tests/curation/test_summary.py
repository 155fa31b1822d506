"""Summaries: the same however the corpus is cut, and true to a plain reading of the rows."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.summary import bins_of, merge, scale_of, summarize
from curation.summary_models import (
    EDGES,
    N_FAILURES,
    N_GROUPS,
    N_MARGIN_SAMPLES,
    SNIPPET_CHARS,
    Scale,
    Summary,
    Threshold,
)
from tests.curation.judged_rows import RULES, judged_rows, rule


@given(
    seed=st.integers(0, 50), cuts=st.lists(st.integers(0, 300), max_size=6), order=st.randoms(use_true_random=False)
)
@settings(max_examples=40, deadline=None)
def test_parts_merge_to_the_whole_in_any_order(seed, cuts, order):
    rows = judged_rows(300, seed)
    edges = [0, *sorted(cuts), 300]
    parts = [summarize(rows[a:b], RULES) for a, b in pairwise(edges)]
    order.shuffle(parts)
    assert merge(parts) == summarize(rows, RULES)


def test_merge_is_associative_and_begins_with_nothing():
    rows = judged_rows(300)
    a, b, c = (summarize(rows[i : i + 100], RULES) for i in (0, 100, 200))
    assert merge([merge([a, b]), c]) == merge([a, merge([b, c])]) == merge([Summary(), a, b, c])
    assert merge([]) == Summary()


def test_rows_need_not_be_ordered():
    rows = judged_rows(300)
    assert summarize(rows.sample(fraction=1, shuffle=True, seed=1), RULES) == summarize(rows, RULES)


def test_summary_survives_json():
    summary = summarize(judged_rows(100), RULES)
    assert Summary.model_validate_json(summary.model_dump_json()) == summary


def test_summaries_of_different_rules_do_not_merge():
    rules = [[rule("words", f"signals.word_count >= {n}")] for n in (3, 4)]
    parts = [summarize(judged_rows(50, rules=of), of) for of in rules]
    with pytest.raises(ValueError, match="different rules"):
        merge(parts)


def test_tallies_count_every_record_once():
    rows = judged_rows(500)
    tallies = summarize(rows, RULES).tallies
    assert sum(tally.n_docs for tally in tallies) == 500
    assert sum(tally.text_bytes for tally in tallies) == rows["n_text_bytes"].sum()
    assert sum(tally.n_chars for tally in tallies) == rows["text"].str.len_chars().sum()
    found = Counter(rows.select("source", "language", "verdict", "stage", "reason").iter_rows())
    assert {(t.source, t.language, t.verdict, t.stage, t.reason): t.n_docs for t in tallies} == found


def test_rules_count_evaluated_failing_and_only_failing():
    rows = [row for row in judged_rows(500).to_dicts() if row["failed_rules"] is not None]
    words, lines = summarize(judged_rows(500), RULES).rules[1:]
    assert words.n_evaluated == len(rows)
    assert words.n_failing == sum("words" in row["failed_rules"] for row in rows)
    assert words.n_only == sum(row["failed_rules"] == ["words"] for row in rows) > 0
    assert lines.n_evaluated == sum(row["language"] == "ko" for row in rows)
    missing = ["gopher.lines:missing"]
    assert lines.n_only == sum(row["failed_rules"] in (["gopher.lines"], missing) for row in rows) > 0
    assert any(row["failed_rules"] == missing for row in rows)


@pytest.mark.parametrize("seed", range(5))
def test_margin_samples_are_the_nearest_of_each_side(seed):
    frame = judged_rows(600, seed)
    lines = summarize(frame, RULES).rules[2].thresholds[0]
    rows = [row for row in frame.to_dicts() if row["language"] == "ko" and row["failed_rules"] is not None]
    values = [row["signals"]["dup_line_frac"] for row in rows]
    assert lines.distribution.n_missing == values.count(None) > 0
    assert lines.n_beyond == sum(value > 0.3 for value in values if value is not None)
    for samples, side in ((lines.failing, True), (lines.passing, False)):
        assert [(sample.id, sample.copy_number) for sample in samples] == _nearest_slowly(rows, side)


def _nearest_slowly(rows: list[dict], failing: bool) -> list[tuple[str, int]]:
    """One document of each exact group, nearest first."""
    there = [row for row in rows if row["signals"]["dup_line_frac"] is not None]
    there = [row for row in there if (row["signals"]["dup_line_frac"] > 0.3) == failing]
    there.sort(key=lambda row: (abs(row["signals"]["dup_line_frac"] - 0.3), row["id"], row["copy"]))
    seen, nearest = set(), []
    for row in there:
        if row["exact_group"] is None or row["exact_group"] not in seen:
            seen.add(row["exact_group"])
            nearest.append((row["id"], row["copy"]))
    return nearest[:N_MARGIN_SAMPLES]


def test_many_duplicates_at_a_threshold_do_not_hide_other_documents():
    rows = judged_rows(2000).with_columns(
        exact_group=pl.when(pl.int_range(pl.len()) < 1990).then(pl.lit("same")).otherwise(pl.lit(None))
    )
    lines = summarize(rows, RULES).rules[2].thresholds[0]
    groups = [sample.group for sample in lines.passing]
    assert groups.count("same") == 1
    assert groups.count(None) == sum(_passes(row) for row in rows[1990:].to_dicts())


def _passes(row: dict) -> bool:
    value = row["signals"]["dup_line_frac"] if row["failed_rules"] is not None else None
    return row["language"] == "ko" and value is not None and value <= 0.3


def test_scales_go_by_names_and_types():
    scales = {name: scale_of(name, pl.Float64()) for name in ("language_score", "dup_frac", "edu_score", "length")}
    assert scales == {"language_score": "fraction", "dup_frac": "fraction", "edu_score": "grade", "length": "amount"}
    assert scale_of("edu_int_score", pl.Int64()) == "count"


def test_rules_of_a_later_stage_are_counted_where_they_were_asked():
    later = [*RULES[:2], replace(RULES[2], stage=1)]
    frame = judged_rows(300, rules=later)
    (rule,) = [rule for rule in summarize(frame, later).rules if rule.name == "gopher.lines"]
    rows = [row for row in frame.to_dicts() if row["failed_rules"] is not None and row["language"] == "ko"]
    asked = [row for row in rows if not {"language", "words"} & {_plain(name) for name in row["failed_rules"]}]
    assert rule.n_evaluated == len(asked) < len(rows)
    assert rule.n_failing == sum("gopher.lines" in map(_plain, row["failed_rules"]) for row in rows) > 0


def _plain(name: str) -> str:
    return name.removesuffix(":missing")


def test_distributions_hold_each_document_once():
    frame = judged_rows(500)
    summary = summarize(frame, RULES)
    rows = [row for row in frame.to_dicts() if row["failed_rules"] is not None]
    for language in ("ko", "en", "other"):
        signal = next(s for s in summary.signals if (s.column, s.language) == ("signals.word_count", language))
        here = [row for row in rows if row["language"] == (language if language != "other" else "ja")]
        assert sum(signal.distribution.kept) == sum(row["verdict"] == "kept" for row in here)
        assert sum(signal.distribution.dropped) == sum(row["verdict"] == "dropped" for row in here)
    score, lines = summary.rules[0].thresholds[0], summary.rules[2].thresholds[0]
    assert score.n_beyond == _counts(score)[: EDGES["fraction"].searchsorted(0.65 - 1e-9)].sum() > 0
    assert lines.n_beyond == _counts(lines)[EDGES["fraction"].searchsorted(0.4 - 1e-9) :].sum() > 0


def _counts(threshold: Threshold) -> np.ndarray:
    return np.array(threshold.distribution.kept) + np.array(threshold.distribution.dropped)


@given(st.sampled_from(list(EDGES)), st.floats(0, 1e13))
def test_bins_hold_their_values(scale: Scale, value: float):
    edges = np.append(EDGES[scale], np.inf)
    bin_ = bins_of(np.array([value]), scale)[0]
    assert edges[bin_] * (1 - 1e-12) <= value <= edges[bin_ + 1] * (1 + 1e-12) or bin_ == len(EDGES[scale]) - 1


def test_small_whole_numbers_have_a_bin_each():
    assert bins_of(np.arange(-1.0, 10), "count").tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8]


def test_groups_are_the_largest_with_all_their_sources():
    rows = judged_rows(400)
    summary = summarize(rows, RULES)
    sizes = Counter(row["exact_group"] for row in rows.to_dicts() if row["exact_group"])
    assert [group.size for group in summary.groups] == sorted(sizes.values(), reverse=True)[:N_GROUPS]
    assert all(sum(group.sources.values()) == group.size for group in summary.groups)
    assert summary.group_sizes == dict(sorted(Counter(size for size in sizes.values() for _ in range(size)).items()))


def test_samples_are_bounded_and_cut():
    rows = judged_rows(3000)
    summary = summarize(rows, RULES)
    assert len(summary.failures) == N_FAILURES < rows["verdict"].to_list().count("failed")
    assert all(len(part.samples) == 10 for part in summary.samples if part.reason != "gopher.lines:missing")
    assert max(len(sample.snippet) for part in summary.samples for sample in part.samples) == SNIPPET_CHARS


def test_corpus_without_text_signals_or_rules():
    rows = judged_rows(60).drop("text", "signals").with_columns(failed_rules=pl.lit([], pl.List(pl.String)))
    summary = summarize(rows, [])
    assert summary.rules == ()
    assert {sample.snippet for part in summary.samples for sample in part.samples} == {""}
    assert {signal.column for signal in summary.signals} == {"language_score", "n_bytes", "n_text_bytes"}


def test_no_rows_at_all():
    empty = summarize(judged_rows(60)[:0], RULES)
    assert [of.n_evaluated for of in empty.rules] == [0, 0, 0]
    assert merge([empty, empty]).tallies == ()
