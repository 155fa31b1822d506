"""The gates of a manifest."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RequestError
from synth.gates.choose import gates_of
from synth.samples import Item, Role
from tests.synth.gates.judged import Held, said
from tests.synth.scripted import manifest


class Nobody:
    """A panel that nobody may ask."""

    def ask(self, role: Role, pairs: Iterable[Any], /) -> Iterator[Any]:
        raise AssertionError(role)


def seeds() -> Iterator[Item]:
    raise AssertionError
    yield


def made(base: Path, *gates: Any, task: str = "reasoning", **fields: Any) -> list[Any]:
    return gates_of(manifest({"kind": task}, gates=list(gates), **fields), str(base), Nobody(), seeds)


def test_gates_are_made_in_order_without_asking(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"question": "세 개와 두 개를 더하면 모두 몇 개가 되는가?", "answer": "5"}')
    gates = made(
        tmp_path,
        "refusal",
        "language",
        {"gate": "length", "min_chars": 2},
        "repetition",
        "near",
        {"gate": "decontaminate", "against": ["b.jsonl"]},
        {"gate": "score", "by": "classifier", "model": "edu", "min": 1},
        {"gate": "score", "by": "judge", "min": 8},
    )
    names = ["refusal", "language", "length", "repetition", "near", "decontaminate", "score", "score"]
    assert [gate.name for gate in gates] == names
    assert list(gates[2].judge(Held([]))) == []


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"gate": "decontaminate", "against": ["kmlu"]}, "did you mean 'kmmlu'"),
        ({"gate": "score", "by": "classifier", "model": "absent", "min": 1}, "absent"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_asked(tmp_path: Path, gate: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        made(tmp_path, gate)


def test_a_document_may_be_the_answer_where_the_task_makes_it_so(tmp_path: Path) -> None:
    text = "광합성은 식물이 빛으로 양분을 만드는 과정이며, 엽록체에서 일어나고 산소를 내놓는다. 생태계의 바탕이다."
    sample = said(text, "광합성을 설명해 주세요.", seed=text)
    for task, n_kept in (("backtranslation", 1), ("rewrite", 0)):
        found = manifest({"kind": task}, gates=["near"])
        (gate,) = gates_of(found, str(tmp_path), Nobody(), lambda: iter([sample.item]))
        assert sum(type(verdict).__name__ == "Passed" for verdict in gate.judge(Held([sample]))) == n_kept
