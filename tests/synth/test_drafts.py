"""Samples between the task and the tables: they come back as they were, in order, without those that are out."""

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.store import Folder
from synth import drafts as module
from synth.drafts import DraftWriter, Verdict
from synth.samples import Rejection, Sample
from tests.synth.drafted import chat, document, drafts_of, samples


@dataclass(frozen=True)
class Passed:
    value: float | None = None


@given(st.lists(samples, max_size=5))
def test_what_was_added_comes_back(some: list[Sample]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = drafts_of(Path(folder), *some)
        assert [draft.sample for draft in found.all()] == some
        kept = [sample for sample in some if sample.rejection is None]
        assert [sample for batch in found for sample in batch] == kept
        assert len(found) == len(kept)


def test_numbers_that_json_has_not(tmp_path: Path) -> None:
    sample = chat(numbers={"a": math.inf, "b": -math.inf}, rejection=Rejection("x", "y", math.inf, 1.0))
    (draft,) = drafts_of(tmp_path, sample).all()
    assert draft.sample == sample
    (draft,) = drafts_of(tmp_path, chat(numbers={"a": math.nan})).all()
    assert math.isnan(draft.sample.numbers["a"])


def test_half_a_surrogate_pair_is_no_text(tmp_path: Path) -> None:
    (draft,) = drafts_of(tmp_path, chat(0, "이모지 \ud83d 뒤", tags={"\ude00": "😀"})).all()
    assert draft.sample.answer[0].content == "이모지 \ufffd 뒤"
    assert draft.sample.tags == {"\ufffd": "😀"}


def test_lots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOT_SAMPLES", 3)
    some = [chat(k, rejection=Rejection("verify", "wrong") if k in (3, 4, 5, 7) else None) for k in range(10)]
    found = drafts_of(tmp_path, *some)
    assert [[sample.item.number for sample in batch] for batch in found] == [[0, 0, 0], [0, 0], [0]]
    assert [sample for batch in found for sample in batch] == [some[k] for k in (0, 1, 2, 6, 8, 9)]
    assert [sample for batch in found for sample in batch] == [some[k] for k in (0, 1, 2, 6, 8, 9)]
    assert len(Folder(str(tmp_path / "drafts")).names()) == 4


def test_lots_end_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOT_BYTES", 1)
    assert [len(batch) for batch in drafts_of(tmp_path, chat(0), chat(1))] == [1, 1]


def test_gates_in_turn(tmp_path: Path) -> None:
    some = [chat(k) for k in range(5)]
    found = drafts_of(tmp_path, *some[:2], replace(document(9), rejection=Rejection("task", "cut")), *some[2:])
    long_ = Rejection("length", "too_long", 9.0, 8.0)
    found.settle("length", [Passed(5.0), long_, Passed(6.0), Passed(), Passed(7.5)], threshold=8.0)
    assert len(found) == 4
    found.settle("duplicate", [None] * 4)
    found.settle("near", [Passed(), Rejection("near", "seed", detail="x"), Passed(0.25), Passed()])
    ends = list(found.all())
    assert [draft.sample.rejection and draft.sample.rejection.stage for draft in ends] == [
        None,
        "length",
        "task",
        "near",
        None,
        None,
    ]
    assert ends[0].verdicts == (Verdict("length", 5.0, 8.0), Verdict("near"))
    assert ends[1].verdicts == () and ends[1].sample.rejection == long_
    assert ends[3].verdicts == (Verdict("length", 6.0, 8.0),)
    assert ends[4].verdicts == (Verdict("length", None, 8.0), Verdict("near", 0.25))
    assert [draft.is_kept for draft in ends] == [True, False, False, False, True, True]


@pytest.mark.parametrize("count", [1, 3])
def test_a_verdict_per_sample(tmp_path: Path, count: int) -> None:
    found = drafts_of(tmp_path, chat(0), chat(1))
    with pytest.raises(ValueError, match="zip"):
        found.settle("length", [Rejection("length", "short")] * count)
    assert len(found) == 2


def test_a_gate_reads_while_it_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOT_SAMPLES", 1)
    found = drafts_of(tmp_path, chat(0), chat(1), chat(2))
    found.settle("none", (Rejection("none", "all") for batch in found for _ in batch))
    assert len(found) == 0 and list(found) == []


def test_another_run_begins_anew(tmp_path: Path) -> None:
    drafts_of(tmp_path, *[chat(k) for k in range(3)])
    assert [len(batch) for batch in drafts_of(tmp_path, chat(5))] == [1]
    assert list(drafts_of(tmp_path)) == []
    assert list(DraftWriter(Folder(str(tmp_path / "new"))).drafts().all()) == []
