"""A real model judges through a real server: SmolLM2-135M under vLLM, on this machine's processors.

So small a model judges no better than chance; what is tested is that each verdict is read or said to be unread, that
nothing is lost, and that nothing is paid twice. `make judge` builds what serves it; ONGGI_JUDGE_PORT names a server
of it that is up already.
"""

from math import isnan
from pathlib import Path

import pytest

from synth.teachers.answers import AnswerStore
from tests.scenarios.real_server import MODEL, RealServer, real_server
from tests.training.judging.judged_rows import MT_BENCH, judged_of, save, transcripts
from training.evaluating.results import Evaluated, Item
from training.judging.judge import judge

__all__ = ["real_server"]
pytestmark = pytest.mark.slow


def check(found: Evaluated, items: list[Item], low: float, high: float) -> None:
    """Each turn has a verdict or what was said instead; scores are there unless more than a fifth is not."""
    assert [item.id for item in items] == [str(row["question_id"]) for row in MT_BENCH for _ in row["turns"]]
    unread = [item for item in items if isnan(item.score)]
    assert all("[cannot be read: " in item.note for item in unread)
    assert all(low <= item.score <= high and item.note for item in items if item not in unread)
    assert bool(found.why) == (len(unread) > 0.2 * len(items))
    assert bool(found.scores) != bool(found.why)


@pytest.mark.parametrize("pairwise", [None, "other"])
def test_a_real_model_judges(real_server: RealServer, tmp_path: Path, pairwise: str | None) -> None:
    save(tmp_path, MT_BENCH)
    settings = {"model": MODEL, "timeout_s": 900, "retries": 2, "sampling": {"max_tokens": 256}}
    judged = judged_of("mt-bench", real_server.url, judge=settings, pairwise=pairwise)
    said = {
        name: transcripts(judged, tmp_path, lambda n, turn, name=name: f"The {name} answer to {n}.{turn}: it is 42.")
        for name in ("first", "other")
    }
    found = judge(judged, said, str(tmp_path), str(tmp_path))
    n_answered = real_server.n_answered()
    for model, (evaluated, items) in found.items():
        if model != pairwise:
            check(evaluated, items, *((1, 10) if pairwise is None else (0, 1)))
    with AnswerStore(tmp_path / "answers.sqlite") as store:
        assert len(store) >= 16
    again = judge(judged, said, str(tmp_path), str(tmp_path))
    assert {model: one.model_dump_json() for model, (one, _) in again.items()} == {
        model: one.model_dump_json() for model, (one, _) in found.items()
    }
    assert real_server.n_answered() == n_answered
