"""Many items at once, their samples in order."""

import random
from collections import Counter
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from synth.drive import drive
from synth.prompts import Prompt
from synth.samples import Item, Role, Sample
from synth.tasks.task import Steps, Task, UnfitError, text_of
from synth.teacher import Failure
from synth.teachers.answers import Answer, Request
from tests.synth.scripted import manifest, setting

BASE = {"kind": "multi_turn"}


class Echo(Task):
    """Asks as many rounds, of as many questions, as its item says."""

    def run(self, item: Item) -> Steps[list[Sample]]:
        rounds = [int(part) for part in item.text.split()]
        said = []
        for number, n_asks in enumerate(rounds):
            prompts = [Prompt((("user", f"{item.id} {number} {place}"),), "", "") for place in range(n_asks)]
            answers = yield [self.ask(prompt) for prompt in prompts]
            said += [text_of(answer) for answer in answers]
        if item.text == "13":
            raise UnfitError("unlucky", "13")
        return [Sample(item, "text", "en", text=text) for text in said]


class Shuffled:
    """Answers in any order, in lots of any size; `room` requests at once."""

    def __init__(self, seed: int, room: int, failing: float = 0.0) -> None:
        self._random, self._room, self._failing = random.Random(seed), room, failing
        self._open: list[tuple[int, Request]] = []
        self.asked = Counter[str]()
        self.most_open = 0

    def submit(self, ticket: int, role: Role, request: Request) -> None:
        assert role == "teacher"
        self._open.append((ticket, request))
        self.asked[request.messages[-1][1]] += 1
        self.most_open = max(self.most_open, len(self._open))

    @property
    def wants_more(self) -> bool:
        return len(self._open) < self._room

    @property
    def n_open(self) -> int:
        return len(self._open)

    def receive(self) -> list[tuple[int, Answer | Failure]]:
        assert self._open, "waits for ever"
        self._random.shuffle(self._open)
        n = self._random.randint(1, len(self._open))
        now, self._open = self._open[:n], self._open[n:]
        return [(ticket, self._reply(request)) for ticket, request in now]

    def _reply(self, request: Request) -> Answer | Failure:
        text = request.messages[-1][1]
        if random.Random(text).random() < self._failing:
            return Failure("gone", is_rejected=text.endswith("0"))
        return Answer(text, "stop")


def items(works: list[str]) -> Iterator[Item]:
    return (Item(f"i{number}", work, "en", number=number) for number, work in enumerate(works))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["", "1", "3", "1 2 1", "0 1", "0", "13"]), max_size=40),
    st.integers(0, 1000),
    st.integers(1, 20),
)
def test_every_item_comes_once_in_order(works: list[str], seed: int, room: int) -> None:
    asking = Shuffled(seed, room)
    found = list(drive(Echo(setting(manifest(BASE))), items(works), asking))
    assert [item.id for item, _ in found] == [f"i{number}" for number in range(len(works))]
    for item, samples in found:
        if item.text == "13":
            assert [sample.rejection and sample.rejection.reason for sample in samples] == ["unlucky"]
            continue
        rounds = [int(part) for part in item.text.split()]
        wanted = [f"{item.id} {number} {place}" for number, n in enumerate(rounds) for place in range(n)]
        assert [sample.text for sample in samples] == wanted
    assert set(asking.asked.values()) <= {1}
    assert asking.most_open <= room + 13


def test_an_item_without_an_answer_says_so_and_spares_the_others() -> None:
    works = ["2 1"] * 300
    found = list(drive(Echo(setting(manifest(BASE))), items(works), Shuffled(1, 16, failing=0.1)))
    assert len(found) == 300
    reasons = Counter(sample.rejection.reason for _, samples in found for sample in samples if sample.rejection)
    assert set(reasons) == {"no_answer", "refused_request"}
    for item, samples in found:
        texts = [f"{item.id} 0 0", f"{item.id} 0 1", f"{item.id} 1 0"]
        fails = any(random.Random(text).random() < 0.1 for text in texts)
        assert fails == (samples[0].rejection is not None)
        assert len(samples) == (1 if fails else 3)


def test_no_ticket_is_open_when_it_is_over() -> None:
    """What is asked next has tickets from 0 on, and would get the answers of an item that failed."""
    for seed in range(20):
        asking = Shuffled(seed, 4, failing=0.4)
        list(drive(Echo(setting(manifest(BASE))), items(["6"] * 5), asking))
        assert asking.n_open == 0
