"""Processes with limits: what hangs or takes too much is said of that question, and of no other."""

import signal
import time

import orjson
import pytest

from synth.final_answers.expected import Expected
from synth.final_answers.math_workers import Job, MathWorkers
from synth.verify import Case, verify_all

pytest.importorskip("math_verify")
HANGS = Job("equal", "1", "9^{9^{9^{9}}}")


def equal(gold: str, answer: str) -> Job:
    return Job("equal", gold, answer)


def test_a_question_that_hangs_is_killed_and_no_other_is_lost() -> None:
    jobs = [equal("2", "\\sqrt{4}"), HANGS, equal("x+1", "1+x"), HANGS, equal("2", "3"), equal("2", "\\frac{4}{2}")]
    with MathWorkers(2, limit_s=2) as workers:
        started = time.monotonic()
        replies = workers.ask(jobs)
    assert [reply.is_so for reply in replies] == [True, None, True, None, False, True]
    assert "took longer than 2 s" in replies[1].why
    assert time.monotonic() - started < 60


def test_a_process_that_dies_is_replaced() -> None:
    with MathWorkers(1) as workers:
        assert workers.ask([equal("2", "2")])[0].is_so
        process = next(iter(_processes(workers)))
        process.kill()
        process.wait()
        replies = workers.ask([equal("2", "2"), equal("2", "2")])
    assert [reply.is_so for reply in replies] == [None, True]
    assert "ended" in replies[0].why


def _processes(workers: MathWorkers):  # type: ignore[no-untyped-def]
    worker = workers._workers.get()
    workers._workers.put(worker)
    yield worker._process


def test_a_question_ends_though_nobody_waits_for_it() -> None:
    """As after kill -9 of the one that asked: the process itself may not go on for ever."""
    with MathWorkers(1, limit_s=1) as workers:
        assert workers.ask([equal("2", "2")])[0].is_so
        process = next(iter(_processes(workers)))
        process.stdin.write(orjson.dumps(HANGS) + b"\n")
        process.stdin.flush()
        assert process.wait(timeout=60) == -signal.SIGXCPU


def test_memory_is_bounded() -> None:
    """A process that wants more than it may have ends, or says so; the next question is answered."""
    with MathWorkers(1, limit_s=60, memory_bytes=600 << 20) as workers:
        replies = workers.ask([Job("fits", "{}", f'"{"x" * (200 << 20)}"'), equal("2", "2")])
    assert [reply.is_so for reply in replies] == [None, True]
    assert "took" not in replies[0].why or "memory" in replies[0].why


def test_schemas_with_patterns_have_a_limit() -> None:
    schema = '{"type": "string", "pattern": "^(a+)+$"}'
    answers = [f'"{"a" * 40}!"', '"aaa"', '"b"']
    cases = [Case(answer, Expected("json", "", schema=schema)) for answer in ('["x"]', '{"a": 1}')]
    assert [verdict.outcome for verdict in verify_all(cases)] == ["wrong", "wrong"]
    with MathWorkers(1, limit_s=1) as workers:
        replies = workers.ask([Job("fits", schema, answer) for answer in answers])
    assert [reply.is_so for reply in replies] == [None, True, False]


def test_many_cases_keep_their_order() -> None:
    cases = [
        Case(f"\\boxed{{{answer}}}", Expected("math", str(number)))
        for number in range(600)
        for answer in (number, f"\\sqrt{{{number**2}}}", number + 1, "??")
    ]
    outcomes = [verdict.outcome for verdict in verify_all(iter(cases))]
    assert outcomes == ["right", "right", "wrong", "form"] * 600


def test_cases_are_taken_as_they_are_needed() -> None:
    taken = 0

    def cases():  # type: ignore[no-untyped-def]
        nonlocal taken
        while True:
            taken += 1
            yield Case("\\boxed{1}", Expected("math", "1"))

    verdicts = verify_all(cases())
    assert [next(verdicts).outcome for _ in range(3)] == ["right"] * 3
    assert taken <= 1_000
