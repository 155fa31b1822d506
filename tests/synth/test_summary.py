"""What a run came to: counts that add up, by an account of our own; examples that do not depend on the order."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from curation.summary_models import EDGES
from synth.drafts import Draft
from synth.examples import TEXT_CHARS, Chosen, shortened
from synth.samples import Item, Rejection
from synth.summary import N_KEPT, N_PER_REASON, summarize
from synth.summary_models import SynthesisSummary
from synth.tables import id_of
from tests.synth.drafted import chat, document, pair, with_tools
from tests.synth.summarized import GATES, drafts_at, summary_at, synthesis


def of(*drafts: Draft, gates: tuple[str, ...] = ()) -> SynthesisSummary:
    return summarize(drafts, synthesis(), gates=gates, n_seeds=1, n_items=1, usage={}, written=[])


def test_counts_add_up(tmp_path: Path) -> None:
    summary, _ = summary_at(tmp_path)
    drafts = list(drafts_at(tmp_path / "again", 30).all())
    assert summary.n_samples == len(drafts)
    assert summary.n_kept == sum(draft.is_kept for draft in drafts) > 20
    whys = Counter(
        (draft.sample.rejection.stage, draft.sample.rejection.reason) for draft in drafts if draft.sample.rejection
    )
    found = {(stage.name, r.reason): r.n_samples for stage in summary.stages for r in stage.reasons}
    assert found == dict(whys)
    assert [stage.name for stage in summary.stages] == ["reasoning", "verify", *GATES]
    assert [stage.is_gate for stage in summary.stages] == [False, False, True, True, True, True]
    n_in = len(drafts)
    for stage in summary.stages:
        assert stage.n_in == n_in
        n_in -= stage.n_rejected
        assert stage.n_out == n_in
    assert n_in == summary.n_kept
    for splits in (summary.forms, summary.languages, summary.varieties, summary.sources, summary.licenses):
        assert sum(split.n_kept for split in splits) == summary.n_kept
        assert sum(split.n_rejected for split in splits) == summary.n_rejected
    kept = [draft.sample for draft in drafts if draft.is_kept]
    assert sum(split.kept_chars for split in summary.languages) == sum(len(one.answer_text) for one in kept)
    assert summary.translated.n_kept == sum(one.is_translated for one in kept) > 0
    assert {table.name: table.n_rows for table in summary.tables}["rejected"] == summary.n_rejected
    assert sum(table.n_rows for table in summary.tables) == summary.n_samples


def test_lengths_lie_where_numpy_puts_them(tmp_path: Path) -> None:
    summary, _ = summary_at(tmp_path)
    drafts = list(drafts_at(tmp_path / "again", 30).all())
    for language, found in summary.lengths.items():
        for counts, is_kept in ((found.kept, True), (found.dropped, False)):
            lengths = [
                len(draft.sample.answer_text)
                for draft in drafts
                if draft.sample.language == language and draft.is_kept == is_kept and draft.sample.answer_text
            ]
            expected = np.histogram(lengths, np.append(EDGES["count"], np.inf))[0]
            assert counts == tuple(expected.tolist())


def test_pass_rates_are_of_questions(tmp_path: Path) -> None:
    summary, _ = summary_at(tmp_path)
    fracs: dict[str, tuple[float, bool, str]] = {}
    for draft in drafts_at(tmp_path / "again", 30).all():
        sample = draft.sample
        if "pass_frac" in sample.numbers:
            _, was_kept, _ = fracs.get(sample.item.id, (0.0, False, ""))
            fracs[sample.item.id] = sample.numbers["pass_frac"], was_kept or draft.is_kept, sample.tags["difficulty"]
    assert summary.pass_fracs
    assert sum(summary.pass_fracs.kept) == sum(is_kept for _, is_kept, _ in fracs.values())
    assert sum(summary.pass_fracs.kept) + sum(summary.pass_fracs.dropped) == len(fracs) == 30
    assert summary.pass_fracs.kept[-1] + summary.pass_fracs.dropped[-1] == sum(f == 1 for f, _, _ in fracs.values())
    for row in summary.difficulties:
        mine = [frac for frac, _, difficulty in fracs.values() if difficulty == row.name]
        assert row.n_items == len(mine) and row.mean_pass_frac == pytest.approx(sum(mine) / len(mine))
    assert [row.name for row in summary.difficulties] == ["easy", "medium", "hard"]


def test_cost_by_role(tmp_path: Path) -> None:
    summary, _ = summary_at(tmp_path)
    assert summary.spent["teacher"].cost == pytest.approx(0.09 + 0.4) and summary.cost == pytest.approx(0.49)
    assert summary.spent["judge"].model == "a<b>&teacher"  # who judges where nobody else is named
    assert (summary.n_asked, summary.n_answered) == (340, 330)


def test_prompts_and_numbers() -> None:
    summary = of(Draft(pair()), Draft(with_tools()), Draft(chat(rejection=Rejection("x", "y"))))
    assert [(row.role, row.n_samples, row.n_kept) for row in summary.prompts] == [("judge", 1, 1), ("teacher", 3, 2)]
    chosen, rejected = summary.numbers
    assert (chosen.name, chosen.mean, chosen.low, chosen.high) == ("chosen_score", 9.0, 9.0, 9.0)
    assert rejected.name == "rejected_score"
    infinite = of(Draft(chat(numbers={"x": float("inf")})))
    assert infinite.numbers[0].n_samples == 0
    assert SynthesisSummary.model_validate_json(infinite.model_dump_json()) == infinite


def test_nothing() -> None:
    summary = of(gates=("length",))
    assert (summary.n_samples, summary.stages[0].n_in, summary.pass_fracs, summary.kept) == (0, 0, None, ())
    assert SynthesisSummary.model_validate_json(summary.model_dump_json()) == summary


def test_it_is_json_again(tmp_path: Path) -> None:
    summary, _ = summary_at(tmp_path)
    assert SynthesisSummary.model_validate_json(summary.model_dump_json()) == summary


# Examples.


def test_examples_do_not_depend_on_the_order() -> None:
    some = [Draft(chat(k)) for k in range(50)]
    some += [Draft(chat(k, "다른 답", rejection=Rejection("verify", "wrong"))) for k in range(50)]
    first, second = of(*some), of(*reversed(some))
    assert len(first.kept) == N_KEPT and len(first.stages[0].reasons[0].examples) == N_PER_REASON
    assert first.kept == second.kept and first.stages == second.stages
    ids = {id_of(draft.sample, "reasoning") for draft in some}
    assert {example.id for example in first.kept} < ids


def test_equal_samples_are_shown_once() -> None:
    chosen = Chosen(3)
    for _ in range(5):
        chosen.offer(chat(1), "reasoning")
    assert len(chosen.examples()) == 1


def test_what_an_example_shows() -> None:
    (one,) = of(Draft(with_tools())).kept
    assert one.prompt == "서울 날씨 알려 줘."
    assert one.answer.startswith("assistant: forecast({") and one.answer.endswith("\n\nassistant: 맑습니다.")
    (two,) = of(Draft(pair())).kept
    assert (two.prompt, two.answer, two.worse) == (
        "system: 친절하게 답한다.\n\nuser: 질문 0",
        "좋은 답입니다.",
        "나쁜 답.",
    )
    (three,) = of(Draft(replace(document(), item=Item("x", "원래 글")))).kept
    assert (three.prompt, three.answer) == ("원래 글", "문서 0입니다.")
    why = (
        of(Draft(chat(rejection=Rejection("length", "long", 9.0, 8.0, "너무 길다")))).stages[0].reasons[0].examples[0]
    )
    assert (why.value, why.threshold, why.detail) == (9.0, 8.0, "너무 길다")


def test_long_texts_lose_their_middle() -> None:
    text = "".join(chr(0xAC00 + k % 1000) for k in range(5000))
    short = shortened(text)
    assert len(short) == TEXT_CHARS + 5 and text.startswith(short[:600]) and text.endswith(short[-300:])
    assert shortened(text[:TEXT_CHARS]) == text[:TEXT_CHARS]
