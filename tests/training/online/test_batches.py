"""Batches are exactly one update old where they are drawn ahead, of exactly the weights that they say."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RunError
from training.chat.rendering import Prompt
from training.online.batches import Answer, Batch, Draw, Drawer, Pair, Question, pair_of, step_seed
from training.online.sampling import Drawn

N_STEPS, BATCH = 5, 2


class Policy:
    """Stands in for a model: its weights are a number."""

    weights = 100


@dataclass
class Noting:
    """A generator whose answers say which weights drew them, with which seed."""

    version: int = -1
    weights: int = -1
    drawn: list[tuple[int, str]] = field(default_factory=list)
    may_draw: threading.Event = field(default_factory=threading.Event)
    n_alike: int = 0

    def take(self, policy: Policy, version: int) -> None:
        self.weights, self.version = policy.weights, version

    def draw(self, prompts: Sequence[Sequence[int]], seed: int) -> list[list[Drawn]]:
        assert self.may_draw.wait(10)
        self.drawn.append((self.weights, threading.current_thread().name))
        return [
            [Drawn((self.weights, *ids, seed % 1000, k), f"{self.weights} {k}", k == 0) for k in range(2)]
            for ids in prompts
        ]


class ByText:
    """A reward model that knows numbers."""

    def __init__(self, score: float | None = None) -> None:
        self.asked: list[tuple[Prompt, str]] = []
        self._score = score

    def score(self, answered: Sequence[tuple[Prompt, str]], _: Sequence[Sequence[Any]]) -> list[float]:
        self.asked += answered
        return [float(text.split()[1]) if self._score is None else self._score for _, text in answered]


def drawer(
    generator: Noting, scorer: ByText | None = None, prompts: str = "abcdefghij", *, ahead: bool = True
) -> Drawer:
    questions = [Question(letter, (ord(letter),)) for letter in prompts]
    return Drawer(
        generator,
        scorer or ByText(),
        lambda place: questions[place],
        lambda step: [step * BATCH, step * BATCH + 1],
        batch=BATCH,
        n_steps=N_STEPS,
        seed=7,
        asynchronous=ahead,
    )


def weights_of(batch: Batch) -> int:
    """Those that drew it, as its answers say."""
    return batch.draws[0].answers[0].ids[0]


@pytest.mark.parametrize(
    ("ahead", "expected"), [(True, [100, 100, 101, 102, 103]), (False, [100, 101, 102, 103, 104])]
)
def test_a_batch_is_of_the_weights_before_the_last_update(ahead: bool, expected: list[int]) -> None:
    generator, policy = Noting(), Policy()
    generator.may_draw.set()
    batches = drawer(generator, ahead=ahead)
    found = []
    for step in range(N_STEPS):
        found.append(batches.batch(step, policy))
        policy.weights += 1  # the update
    batches.close()
    assert [weights_of(batch) for batch in found] == expected
    assert [100 + batch.version for batch in found] == expected
    assert [step - batch.version for step, batch in enumerate(found)] == ([0, 1, 1, 1, 1] if ahead else [0] * 5)
    assert [draw.place for batch in found for draw in batch.draws] == list(range(10))
    assert len(generator.drawn) == N_STEPS  # nothing is drawn beyond the last step


def test_the_next_batch_is_drawn_while_one_is_trained_on() -> None:
    generator, policy = Noting(), Policy()
    generator.may_draw.set()
    batches = drawer(generator)
    batches.batch(0, policy)
    assert batches.pending() is not None  # the second one is under way, and now it is there
    generator.may_draw.clear()
    batches.batch(1, policy)  # does not wait for the third, which cannot be drawn
    assert len(generator.drawn) == 2
    generator.may_draw.set()
    assert weights_of(batches.batch(2, policy)) == 100
    assert [name.split("_")[0] for _, name in generator.drawn[:2]] == ["MainThread", "draws"]
    batches.close()


def test_what_was_pending_is_what_a_resumed_run_trains_on() -> None:
    undisturbed, killed, resumed = Noting(), Noting(), Noting()
    for one in (undisturbed, killed, resumed):
        one.may_draw.set()

    def steps(batches: Drawer, policy: Policy, some: range) -> list[Batch]:
        found = []
        for step in some:
            found.append(batches.batch(step, policy))
            policy.weights += 1
        return found

    whole = steps(drawer(undisturbed), Policy(), range(N_STEPS))
    first, policy = drawer(killed), Policy()
    before = steps(first, policy, range(2))
    pending = first.pending()
    assert pending is not None
    second = drawer(resumed)
    second.resume(Batch.of(pending.state()))
    assert before + steps(second, policy, range(2, N_STEPS)) == whole


def test_a_prompt_that_comes_twice_in_a_step_gets_other_answers() -> None:
    generator = Noting()
    generator.may_draw.set()
    first, second = drawer(generator, prompts="aabbccddee", ahead=False).batch(0, Policy()).draws
    assert first.answers[0].ids != second.answers[0].ids
    alone = drawer(generator, prompts="abcdefghij", ahead=False).batch(0, Policy()).draws
    assert first.answers == alone[0].answers  # what stands beside it changes nothing


def test_alike_texts_are_scored_once() -> None:
    generator, scorer = Noting(), ByText()
    generator.may_draw.set()
    drawer(generator, scorer, "aabbccddee", ahead=False).batch(0, Policy())
    assert scorer.asked == [("a", "100 0"), ("a", "100 1")]


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_reward_that_is_no_number_names_prompt_and_answer(score: float) -> None:
    generator = Noting()
    generator.may_draw.set()
    with pytest.raises(RunError, match=f"gives {score} for the answer '100 0' to the prompt 'a'"):
        drawer(generator, ByText(score)).batch(0, Policy())


def test_an_error_of_the_thread_reaches_the_training() -> None:
    generator, policy = Noting(), Policy()
    generator.may_draw.set()
    scorer = ByText()
    batches = drawer(generator, scorer)
    batches.batch(0, policy)
    batches.pending()
    scorer._score = float("nan")
    batches.batch(1, policy)
    with pytest.raises(RunError, match="gives nan"):
        batches.batch(2, policy)
    batches.close()


# Pairs


def draw(*answers: tuple[int, bool, float]) -> Draw:
    return Draw(0, tuple(Answer((token,), ended, score) for token, ended, score in answers))


def test_best_and_worst_make_the_pair() -> None:
    pair = pair_of(draw((1, True, 0.5), (2, True, 2.0), (3, True, -1.0), (4, True, 2.0)), 1.0)
    assert isinstance(pair, Pair)
    assert (pair.chosen.ids, pair.rejected.ids) == ((2,), (3,))


def test_an_answer_without_an_end_pays() -> None:
    pair = pair_of(draw((1, False, 0.5), (2, True, 0.0)), 1.0)
    assert isinstance(pair, Pair)
    assert (pair.chosen.ids, pair.rejected.ids) == ((2,), (1,))
    pair = pair_of(draw((1, False, 0.5), (2, True, 0.0)), 0.25)
    assert isinstance(pair, Pair)
    assert pair.chosen.ids == (1,)


def test_what_is_no_pair_is_named() -> None:
    assert pair_of(draw((1, True, 0.5), (1, True, 0.5)), 1.0) == "identical"
    assert pair_of(draw((1, True, 0.5), (2, True, 0.5)), 1.0) == "tie"
    assert pair_of(draw((1, True, 0.5), (2, False, 1.5)), 1.0) == "tie"


answers = st.builds(
    Answer,
    st.lists(st.integers(0, 300_000), min_size=1, max_size=4).map(tuple),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(n=st.integers(1, 4), n_draws=st.integers(0, 3), data=st.data())
def test_a_batch_comes_back_from_its_state(n: int, n_draws: int, data: st.DataObject) -> None:
    draws = [Draw(place, tuple(data.draw(st.lists(answers, min_size=n, max_size=n)))) for place in range(n_draws)]
    batch = Batch(3, 2, tuple(draws))
    state = batch.state()
    assert isinstance(state["ids"], torch.Tensor)
    assert Batch.of(state) == batch


def test_seeds_differ_by_seed_step_and_time() -> None:
    seeds = {step_seed(seed, step, time) for seed in range(3) for step in range(20) for time in range(3)}
    assert len(seeds) == 180
    assert all(0 <= seed < 2**63 for seed in seeds)
