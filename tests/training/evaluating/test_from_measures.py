"""Losses on held-out text and plain multiple choice stand in the tables of evaluations, with their intervals."""

import pytest

from manifests.schema_training_gates import Validation
from training.evaluating.from_measures import evaluated_of
from training.measuring.jobs import Measured

SETS = [
    Validation(name="ko", text="ko.jsonl"),
    Validation(name="ids", mixture="mix"),
    Validation(name="mmlu", choices="mmlu.jsonl", form="letters"),
]


def test_each_set_is_a_result() -> None:
    measured = Measured(
        measures={
            "ko": {
                "loss": 2.0,
                "loss_se": 0.1,
                "bits_per_byte": 1.0,
                "n_documents": 7,
                "n_tokens": 100,
                "window": 512,
            },
            "mmlu": {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "chance": 0.25, "n_questions": 2},
        },
        units={"ko": [14.0] * 7, "mmlu": [1.0, 0.0]},
        not_measured={"ids": "another tokenizer's ids"},
    )
    ko, ids, mmlu = evaluated_of(measured, SETS)
    assert (ko.main, ko.scores["bits_per_byte"].value) == ("bits_per_byte", 1.0)
    assert ko.score is not None and ko.score.low == pytest.approx(1 - 1.96 * 0.05, abs=1e-4)
    assert not ko.score.more_is_better and ko.score.n == 7
    assert ids.why == "another tokenizer's ids" and ids.score is None
    assert mmlu.score is not None and (mmlu.score.low, mmlu.score.high, mmlu.score.n) == (0.4, 0.6, 2)
    assert mmlu.units == [1.0, 0.0]


def test_a_loss_alone_is_the_main_score() -> None:
    (found,) = evaluated_of(Measured(measures={"ids": {"loss": 3.0, "loss_se": 0.0}}), SETS[1:2])
    assert (found.main, found.score and found.score.value) == ("loss", 3.0)
    assert found.score is not None and found.score.low is None
