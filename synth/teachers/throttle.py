"""How many requests may be in flight: as many as the server works on at once, and a few that wait there."""

import re
import time
from dataclasses import dataclass

QUEUE_FRAC = 0.1
"""How many requests may wait at the server for each that runs: a slot that falls free is taken at once, and what is
more than that only fills the server's memory and its clients' time limits."""

GROWTH_FRAC = 0.25
"""How much the limit grows at a time while nothing waits."""

CUT = 0.7
CUT_PAUSE_S = 1.0
"""A server that is asked for too much says so to all requests of that moment; that is one reason to ask for less."""

_GAUGE = re.compile(
    r"^(?:vllm|sglang):(num_requests_running|num_requests_waiting|num_running_reqs|num_queue_reqs)"
    r"(?:\{[^}]*\})? ([0-9.eE+]+)",
    re.M,
)
_WAITING = ("num_requests_waiting", "num_queue_reqs")


@dataclass(frozen=True)
class Queue:
    """Requests at a server, whoever sent them."""

    n_running: float
    n_waiting: float


def queue_of(metrics: str) -> Queue | None:
    """The queue in a server's metrics, over all its engines; None where they do not tell of it.

    Args:
        metrics: in Prometheus' text format, as vLLM has them (`vllm:num_requests_waiting`), or SGLang
            (`sglang:num_queue_reqs`).
    """
    found = [(name, float(value)) for name, value in _GAUGE.findall(metrics)]
    waiting = [value for name, value in found if name in _WAITING]
    running = [value for name, value in found if name not in _WAITING]
    return Queue(sum(running), sum(waiting)) if running and waiting else None


class Throttle:
    """The limit of a client, which begins at the most there may be.

    Where the server tells of its queue, the limit follows that. Where it does not, it shrinks only when the server
    asks for less, and grows again by one for each time that as many answers came, as TCP does.
    """

    def __init__(self, most: int) -> None:
        self._most, self._limit, self._cut_s = most, float(most), float("-inf")
        self._follows_queue = False

    @property
    def limit(self) -> int:
        """Requests that may be in flight, at least one."""
        return int(self._limit)

    def see(self, queue: Queue, n_in_flight: int) -> None:
        """Take note of the queue at the server, of which `n_in_flight` are our own.

        What waits beyond the share that may is taken back by all clients, each according to its part.
        """
        self._follows_queue = True
        n_excess = queue.n_waiting - max(1.0, QUEUE_FRAC * queue.n_running)
        if n_excess > 0:
            own_frac = min(1.0, n_in_flight / (queue.n_running + queue.n_waiting))
            self._set(min(self._limit, n_in_flight - n_excess * own_frac))
        elif queue.n_waiting == 0 and n_in_flight >= self.limit:
            self._set(self._limit + max(1.0, GROWTH_FRAC * self._limit))

    def answered(self) -> None:
        """Take note that an answer came."""
        if not self._follows_queue:
            self._set(self._limit + 1 / self._limit)

    def pushed_back(self) -> None:
        """Take note that the server asks for less, by 429 or Retry-After."""
        if time.monotonic() - self._cut_s > CUT_PAUSE_S:
            self._cut_s = time.monotonic()
            self._set(self._limit * CUT)

    def _set(self, limit: float) -> None:
        self._limit = min(float(self._most), max(1.0, limit))
