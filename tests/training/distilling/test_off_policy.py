"""The scheduler's trace is the one computed by hand, step by step."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.schema_distillation import OffPolicy
from training.distilling.off_policy import Scheduler, step_number


def scheduler(n_steps: int = 10, **settings: Any) -> Scheduler:
    return Scheduler.of(OffPolicy(**settings), n_steps)


TRACE = [  # loss, whether phi rises, phi, prev; by hand, with sums of binary fractions so that >= is exact
    (3.0, False, 0.0, 3.0),  # the first look sets prev
    (2.0, False, 0.0, 3.0),  # a fall moves nothing: later losses are compared with 3
    (3.0, False, 0.0, 3.0),
    (3.124, False, 0.0, 3.0),  # less than the tolerance
    (3.125, True, 0.25, 3.125),  # exactly the tolerance
    (3.125, False, 0.25, 3.125),
    (3.25, True, 0.5, 3.25),
    (2.5, False, 0.5, 3.25),
    (3.5, True, 0.75, 3.5),
    (4.0, True, 1.0, 4.0),
    (5.0, True, 1.0, 5.0),  # no more than 1; prev moves nevertheless
]


def test_phi_rises_only_where_the_loss_has_risen() -> None:
    made = scheduler(rise=0.25, tolerance=0.125)
    for number, (loss, rises, phi, prev) in enumerate(TRACE):
        assert made.look(loss, 100 * number) == rises
        assert (made.phi, made.prev) == (phi, prev)


STEPS = [  # replay, phi, step of 10, number, buffer full, origin; s is phi (1 - t/n), phi/2, phi t/n
    ("decreasing", 0.5, 2, 0.39, True, "drawn"),  # s = .4
    ("decreasing", 0.5, 2, 0.41, True, "replayed"),
    ("decreasing", 0.5, 2, 0.41, False, "drawn"),  # there is room
    ("decreasing", 0.5, 2, 0.50, False, "data"),  # not below phi
    ("decreasing", 0.5, 10, 0.0, True, "replayed"),  # s = 0
    ("constant", 0.5, 9, 0.24, True, "drawn"),
    ("constant", 0.5, 1, 0.26, True, "replayed"),
    ("increasing", 0.5, 2, 0.09, True, "drawn"),  # s = .1
    ("increasing", 0.5, 2, 0.11, True, "replayed"),
    ("increasing", 0.0, 5, 0.0, False, "data"),
    ("constant", 1.0, 5, 0.99, True, "replayed"),
]


@pytest.mark.parametrize(("replay", "phi", "step", "number", "is_full", "origin"), STEPS)
def test_origin_of_a_step(replay: str, phi: float, step: int, number: float, is_full: bool, origin: str) -> None:
    assert scheduler(replay=replay, start=phi).origin(step, number, is_full) == origin


def test_looks_are_before_the_first_step_and_at_times() -> None:
    made, looks = scheduler(every=3), []
    for n_updates in range(8):
        if made.is_due(n_updates):
            looks.append(n_updates)
            made.look(1.0, n_updates)
            assert not made.is_due(n_updates)
    assert looks == [0, 3, 6]


@given(st.lists(st.floats(0, 100), min_size=1), st.integers(0, 30), st.floats(0, 1), st.floats(0, 1))
def test_it_goes_on_from_its_state(losses: list[float], at: int, start: float, rise: float) -> None:
    whole, halves = (scheduler(start=start, rise=rise) for _ in range(2))
    for number, loss in enumerate(losses):
        if number == at:
            state = orjson.loads(orjson.dumps(halves.state()))
            halves = scheduler(start=start, rise=rise)
            halves.load(state)
        before = whole.phi
        assert whole.look(loss, number) == halves.look(loss, number)
        assert whole.state() == halves.state()
        assert before <= whole.phi <= 1


def test_numbers_are_uniform_and_of_the_step() -> None:
    numbers = [step_number(7, step) for step in range(2000)]
    assert numbers[5] == step_number(7, 5) != step_number(8, 5)
    assert all(0 <= number < 1 for number in numbers)
    assert abs(sum(number < 0.3 for number in numbers) / 2000 - 0.3) < 0.03
