"""Log-likelihoods against a model that reads one row at a time, in float64, without padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.training import tiny
from training.measuring import log_likelihood
from training.measuring.log_likelihood import Row, log_likelihoods


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import LlamaForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return LlamaForCausalLM(tiny.config(initializer_range=0.2)).eval()


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    random = np.random.default_rng(0)
    found = [Row((5, 6), 1)]
    for _ in range(40):
        ids = tuple(random.integers(0, tiny.VOCABULARY, random.integers(2, 60)).tolist())
        found.append(Row(ids, int(random.integers(1, len(ids)))))
    same = found[-1]
    return [*found, Row((*same.ids[:-1], 7), 1), Row((*same.ids[:-1], 8), same.n_counted), same]


def one_by_one(model: Any, rows: Sequence[Row]) -> list[float]:
    """By hand: the softmax's logarithm at each counted token."""
    found = []
    for row in rows:
        with torch.no_grad():
            scores = model(torch.tensor([row.ids])).logits[0].double().log_softmax(-1)
        places = range(len(row.ids) - row.n_counted, len(row.ids))
        found.append(sum(float(scores[place - 1, row.ids[place]]) for place in places))
    return found


@pytest.mark.parametrize("tokens_at_once", [1, 64, 100_000])
def test_one_row_at_a_time_gives_the_same(model: Any, rows: list[Row], tokens_at_once: int) -> None:
    expected = one_by_one(model, rows)
    assert log_likelihoods(model, rows, tokens_at_once) == pytest.approx(expected, rel=1e-5)
    exact = one_by_one(model.double(), rows)
    try:
        assert log_likelihoods(model, rows, tokens_at_once) == pytest.approx(exact, rel=1e-12)
    finally:
        model.float()


def test_softmax_in_pieces(model: Any, rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = log_likelihoods(model, rows)
    monkeypatch.setattr(log_likelihood, "ROWS_OF_SOFTMAX", 7)
    assert log_likelihoods(model, rows) == pytest.approx(expected, rel=1e-6)


def test_rows_with_the_same_inputs_are_read_once(model: Any, rows: list[Row]) -> None:
    read = list[int]()
    hook = model.register_forward_pre_hook(
        lambda _, __, values: read.append(values["input_ids"].numel()), with_kwargs=True
    )
    try:
        log_likelihoods(model, [Row((1, 2, 3, last), 1) for last in range(50)])
    finally:
        hook.remove()
    assert read == [3]


def test_all_tokens_are_told(model: Any, rows: list[Row]) -> None:
    told = list[int]()
    log_likelihoods(model, rows, 64, told.append)
    assert told == sorted(told)
    assert told[-1] == sum(len(ids) for ids in {row.ids[:-1] for row in rows})
