"""How many requests are in flight."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.teachers import throttle as module
from synth.teachers.throttle import Queue, Throttle, queue_of

VLLM = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="org/model"} 37.0
vllm:num_requests_running{engine="1",model_name="org/model"} 30.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="org/model"} 12.0
vllm:num_requests_waiting{engine="1",model_name="org/model"} 1e+02
vllm:num_requests_waiting_by_reason{engine="0",model_name="org/model",reason="capacity"} 9.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="org/model",reason="deferred"} 3.0
"""


@pytest.mark.parametrize(
    ("metrics", "queue"),
    [
        (VLLM, Queue(67, 112)),
        ("vllm:num_requests_running 3\nvllm:num_requests_waiting 0\n", Queue(3, 0)),
        ('sglang:num_running_reqs{tp="0"} 5.0\nsglang:num_queue_reqs{tp="0"} 2.0\n', Queue(5, 2)),
        ('vllm:num_requests_waiting_by_reason{reason="capacity"} 9.0\n', None),
        ("vllm:num_requests_running 3\n", None),
        ("<html>", None),
        ("", None),
    ],
)
def test_what_servers_tell(metrics: str, queue: Queue | None) -> None:
    assert queue_of(metrics) == queue


def server(n_in_flight: int, n_slots: int, n_others: int = 0) -> Queue:
    n = n_in_flight + n_others
    return Queue(min(n, n_slots), max(0, n - n_slots))


@given(n_slots=st.integers(1, 300), most=st.integers(1, 300), start=st.integers(1, 300))
def test_the_limit_comes_to_the_slots_and_stays_there(n_slots: int, most: int, start: int) -> None:
    throttle = Throttle(most)
    throttle._limit = float(min(start, most))
    for step in range(60):
        throttle.see(server(throttle.limit, n_slots), throttle.limit)
        assert 1 <= throttle.limit <= most
        if step > 30:
            assert min(n_slots, most) <= throttle.limit <= max(1.1 * n_slots, n_slots + 1) * 1.25 + 1


def test_requests_that_leave_slowly_are_not_counted_twice() -> None:
    """In flight may be above the limit for as long as an answer takes; each look sees the same long queue."""
    throttle = Throttle(64)
    for n_in_flight in (64, 60, 50, 40, 30, 20, 10):
        throttle.see(server(n_in_flight, 8), n_in_flight)
        assert throttle.limit == 9


def test_two_clients_share_the_slots() -> None:
    throttles = [Throttle(64), Throttle(64)]
    for _ in range(100):
        n = [throttle.limit for throttle in throttles]
        for throttle, own in zip(throttles, n, strict=True):
            throttle.see(server(sum(n), 20), own)
    assert 20 <= sum(throttle.limit for throttle in throttles) <= 30
    assert min(throttle.limit for throttle in throttles) >= 8


def test_without_a_queue_it_shrinks_when_asked_to_and_grows_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    throttle = Throttle(64)
    for _ in range(64):
        throttle.pushed_back()  # one storm
    assert throttle.limit == int(64 * module.CUT)
    now = 2.0
    throttle.pushed_back()
    assert throttle.limit == int(64 * module.CUT**2)
    for _ in range(2000):
        throttle.answered()
    assert throttle.limit == 64
    for _ in range(100):
        now += 2.0
        throttle.pushed_back()
    assert throttle.limit == 1
