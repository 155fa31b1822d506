"""Runs a task over all its items at once, as far as the teachers keep up, and brings their samples in order."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from synth.samples import Ask, Item, Rejection, Role, Sample
from synth.tasks.task import REFUSED_REQUEST, Task, UnfitError, rejected
from synth.teacher import Failure
from synth.teachers.answers import Answer, Request

AHEAD = 20_000
"""Items that may be done before one that is not: what waits for its turn is in memory."""


class Asking(Protocol):
    """Who is asked: `synth.panel.Panel`."""

    def submit(self, ticket: int, role: Role, request: Request) -> None:
        """Ask; the reply comes by `receive`, with this ticket."""

    def receive(self) -> list[tuple[int, Answer | Failure]]:
        """Replies, at least one; waits for it."""

    @property
    def wants_more(self) -> bool:
        """Whether more should be submitted now, so that nobody waits for work."""


@dataclass
class _Open:
    """An item that is being worked on."""

    item: Item
    steps: Generator[Sequence[Ask], Sequence[Answer], list[Sample]]
    answers: list[Answer | None] = field(default_factory=list)
    n_missing: int = 0


def drive(task: Task, items: Iterable[Item], asking: Asking) -> Iterator[tuple[Item, list[Sample]]]:
    """Each item with its samples, in the order of the items.

    When it is over no ticket is open: what else is asked then, as by a gate, gets no answer of another's.

    An item of which something has no answer is rejected as `teacher: no_answer`: the server was gone, and another run
    asks again. A request that it will not have, as one that is too long, is answered by a refusal, which no task
    takes for an answer: other answers of the item may do without it.

    Raises:
        RequestError, RunError: see `Teacher.ask`, and what the task says.
    """
    driver, source = _Driver(task, asking), iter(items)
    started = next_number = 0
    exhausted = False
    while not exhausted or driver.open or driver.done:
        while not exhausted and started - next_number < AHEAD and (asking.wants_more or not driver.open):
            item = next(source, None)
            if item is None:
                exhausted = True
                break
            driver.start(started, item)
            started += 1
            if started - 1 in driver.done:
                break  # it asked nothing: let it go first
        while next_number in driver.done:
            yield driver.done.pop(next_number)
            next_number += 1
        if driver.open and (exhausted or not asking.wants_more or started - next_number >= AHEAD):
            driver.receive()
    while driver.waits:  # for what was asked of items that are over, since another of their requests failed
        driver.receive()


class _Driver:
    """The items that are open, and whose answers are on their way."""

    def __init__(self, task: Task, asking: Asking) -> None:
        self.open: dict[int, _Open] = {}
        self.done: dict[int, tuple[Item, list[Sample]]] = {}
        self._task, self._asking = task, asking
        self._tickets: dict[int, tuple[int, int]] = {}
        self._n_tickets = 0

    def start(self, number: int, item: Item) -> None:
        """Begin with an item."""
        self.open[number] = _Open(item, self._task.run(item))
        self._go_on(number)

    @property
    def waits(self) -> bool:
        """Whether a ticket is open."""
        return bool(self._tickets)

    def receive(self) -> None:
        """Wait for replies, and give them to the items that have been waiting for them."""
        for ticket, reply in self._asking.receive():
            self._take(ticket, reply)

    def _take(self, ticket: int, reply: Answer | Failure) -> None:
        number, place = self._tickets.pop(ticket)
        found = self.open.get(number)
        if found is None:  # another of its requests failed
            return
        if isinstance(reply, Failure) and reply.is_rejected:
            reply = Answer("", REFUSED_REQUEST, refusal=reply.message)
        if isinstance(reply, Failure):
            found.steps.close()
            self._end(number, [self._unanswered(found.item, reply)])
            return
        found.answers[place] = reply
        found.n_missing -= 1
        if not found.n_missing:
            self._go_on(number)

    def _go_on(self, number: int) -> None:
        """Resume an item with its answers, until it asks for more or is done."""
        found = self.open[number]
        try:
            asks = found.steps.send(found.answers) if found.answers else next(found.steps)  # type: ignore[arg-type]
            while not asks:
                asks = found.steps.send([])
        except StopIteration as end:
            self._end(number, end.value)
            return
        except UnfitError as error:
            language = self._task.language(found.item)
            self._end(number, [rejected(found.item, language, "task", error.reason, error.detail)])
            return
        found.answers, found.n_missing = [None] * len(asks), len(asks)
        for place, ask in enumerate(asks):
            self._tickets[self._n_tickets] = (number, place)
            self._n_tickets += 1
            self._asking.submit(self._n_tickets - 1, ask.role, ask.request)

    def _end(self, number: int, samples: list[Sample]) -> None:
        self.done[number] = (self.open.pop(number).item, samples)

    def _unanswered(self, item: Item, failure: Failure) -> Sample:
        rejection = Rejection("teacher", "no_answer", detail=failure.message)
        return Sample(item, "messages", self._task.language(item), rejection=rejection)
