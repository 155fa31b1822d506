"""Two annotators on the same documents."""

import math

import pytest

from synth.annotations.agreement import agreement

SOURCES = {"a": "web", "b": "web", "c": "books", "d": "books", "e": "books"}


def test_two_annotators() -> None:
    found = agreement({"a": 0, "b": 3, "c": 5, "d": 2}, {"a": 0, "b": 2, "c": 5, "d": 4, "e": 1}, SOURCES)
    assert found is not None
    assert found.n_docs == 4
    assert found.equal_frac == 0.5
    assert found.within_one_frac == 0.75
    assert found.kappa == pytest.approx(1 - (5 / 4) / (38 / 4 + 45 / 4 - 2 * 2.5 * 2.75))
    assert found.kappa_positive == pytest.approx(0)
    assert {name: (bias.n_docs, bias.mean_difference) for name, bias in found.by_source.items()} == {
        "books": (2, 1.0),
        "web": (2, -0.5),
    }


def test_perfect_agreement_and_none() -> None:
    labels = {"a": 0, "b": 3, "c": 5}
    found = agreement(labels, labels, SOURCES)
    assert found is not None
    assert (found.kappa, found.kappa_positive, found.equal_frac) == (1, 1, 1)
    assert agreement({"a": 1}, {"b": 1}, SOURCES) is None
    constant = agreement({"a": 1, "b": 1}, {"a": 1, "b": 1}, SOURCES)
    assert constant is not None
    assert math.isnan(constant.kappa)
