"""Domains without anything to tell apart, small ones, and held-out answers that were trained on."""

import pytest

from manifests.errors import RequestError
from training.encoders.domains import check_domains, domain_table, n_answers_trained
from training.encoders.texts import Asked, AskedSet


def asked(query: str, positive: str, domain: str = "en", *negatives: str) -> Asked:
    return Asked(query, positive, negatives, "", domain)


MANY = [asked(f"q{n}", f"a{n}") for n in range(9)]


def test_a_domain_with_one_answer_is_refused_though_another_has_many() -> None:
    check_domains(MANY)
    with pytest.raises(RequestError, match="domain 'ko': all questions have the same answer"):
        check_domains([*MANY, asked("x", "예", "ko"), asked("y", "예", "ko")])
    check_domains([*MANY, asked("x", "예", "ko", "아니요"), asked("y", "예", "ko")])


def test_held_out_answers_that_were_trained_on_are_counted() -> None:
    held_out = [asked("h1", "a1"), asked("h2", "a1"), asked("h3", "new"), asked("h4", "새것", "ko")]
    texts = AskedSet([*MANY, asked("x", "예", "ko"), asked("y", "응", "ko")], held_out)
    assert n_answers_trained(texts) == (1, 3) and n_answers_trained(texts, "ko") == (0, 1)
    table = domain_table(texts, batch=4)
    assert table.rows == [["en", 9, 9, 3, 2, 1], ["ko", 2, 2, 1, 1, 0]]
    assert "1 of 3 held-out answers were also trained on" in table.note and "(4)" in table.note
    assert "more than once: ko (2)." in table.note and not domain_table(AskedSet(MANY), batch=4).note
