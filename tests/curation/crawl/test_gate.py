"""Manners towards a host: the rate, the connections and the waits, whoever asks."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from curation.crawl import gate as crawl_gate
from curation.crawl.gate import Gate, StoppedError, gate_of
from manifests.house import child_environment


def test_the_rate_holds_over_processes_and_threads(tmp_path: Path) -> None:
    gates = [Gate("http://e.example", tmp_path) for _ in range(2)]  # as two processes have them
    times: list[float] = []

    def work(gate: Gate) -> None:
        for _ in range(5):
            with gate.turn(threading.Event()):
                times.append(time.monotonic())

    for gate in gates:
        gate.limit(2, 50)
    threads = [threading.Thread(target=work, args=(gate,)) for gate in gates for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert len(times) == 20
    assert times[-1] - times[0] >= 19 / 50 - 0.02
    assert all(late - early > 0.1 for early, late in zip(times, times[8:], strict=False))


def test_the_strictest_limits_count() -> None:
    assert gate_of("http://one.example") is gate_of("http://one.example") is not gate_of("http://two.example")


PROCESS = """
import sys, threading, time
from pathlib import Path
from curation.crawl.gate import Gate
gate = Gate("http://e.example", Path(sys.argv[1]))
gate.limit(4, 20)
for _ in range(6):
    with gate.turn(threading.Event()):
        print(time.time())
"""


def test_processes_share_one_rate(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    running = [
        subprocess.Popen(command, env=child_environment(), stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    times = sorted(float(line) for process in running for line in process.communicate()[0].split())
    assert len(times) == 12
    assert all(late - early > 3.5 / 20 for early, late in zip(times, times[4:], strict=False))


def test_who_does_not_want_it_any_more_does_not_wait(tmp_path: Path) -> None:
    gate, stopped = Gate("http://e.example", tmp_path), threading.Event()
    gate.limit(1, 1000)
    gate.slow_down(60)
    threading.Timer(0.05, stopped.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError), gate.turn(stopped):
        pass
    assert time.monotonic() - started < 5


def test_a_clock_that_was_set_back_does_not_stop_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate("http://e.example", tmp_path)
    gate.limit(1, 1000)
    now = time.time()
    monkeypatch.setattr(crawl_gate.time, "time", lambda: now + 86_400)
    with gate.turn(threading.Event()):
        gate.slow_down(100)
    monkeypatch.setattr(crawl_gate.time, "time", lambda: now)
    started = time.monotonic()
    with gate.turn(threading.Event()):
        assert time.monotonic() - started < 5
