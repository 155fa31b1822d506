from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RequestError
from tests.curation.mixture.mixtures import Mixture, write_mixture
from training.token_batches import TokenBatches
from training.token_dataset import TokenDataset


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    return write_mixture(tmp_path_factory.mktemp("mixture"))


@pytest.fixture(scope="module")
def dataset(mixture: Mixture) -> TokenDataset:
    return TokenDataset(str(mixture.path))


def numbers(batches: TokenBatches, n_batches: int | None = None) -> list[list[int]]:
    found = list[list[int]]()
    for batch in batches:
        found.append(batch["sequence"].tolist())
        if len(found) == n_batches:
            break
    return found


def test_one_rank_sees_all_in_order(dataset: TokenDataset, mixture: Mixture) -> None:
    batches = TokenBatches(dataset, 4)
    assert len(batches) == -(-len(dataset) // 4)
    found = [batch["input_ids"] for batch in batches]
    assert np.array_equal(np.concatenate(found), mixture.ids)
    assert len(batches) == 0
    assert list(batches) == []


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_a_batch(dataset: TokenDataset, world_size: int) -> None:
    ranks = [TokenBatches(dataset, 2, rank=rank, world_size=world_size, drop_last=True) for rank in range(world_size)]
    assert len({len(batches) for batches in ranks}) == 1
    n_left_out = ranks[0].n_left_out
    steps = list(zip(*(numbers(batches) for batches in ranks), strict=True))
    size = 2 * world_size
    assert [[number for batch in step for number in batch] for step in steps] == [
        list(range(first, first + size)) for first in range(0, len(dataset) - n_left_out, size)
    ]
    assert n_left_out == len(dataset) % size


def test_unequal_ranks_are_refused(dataset: TokenDataset) -> None:
    assert len(dataset) == 87
    with pytest.raises(
        RequestError, match=r"87 sequences are no whole number of batches of 4.*leaves out the last 3"
    ):
        TokenBatches(dataset, 2, world_size=2)
    TokenBatches(dataset, 29, world_size=3)
    with pytest.raises(RequestError, match="expected 0 <= rank < world_size"):
        TokenBatches(dataset, 2, rank=2, world_size=2)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(0, 4)), min_size=1, max_size=5),
)
def test_a_training_goes_on_with_other_ranks(dataset: TokenDataset, sizes: list[tuple[int, int, int]]) -> None:
    """Stopped after some batches, and gone on with another batch size and number of ranks: each sequence once."""
    seen, state = list[int](), None
    for batch_size, world_size, n_batches in [*sizes, (5, 1, 1000)]:
        ranks = list[list[list[int]]]()
        states = list[Any]()
        for rank in range(world_size):
            batches = TokenBatches(dataset, batch_size, rank=rank, world_size=world_size, drop_last=world_size > 1)
            if state is not None:
                batches.load_state_dict(state)
            ranks.append(numbers(batches, n_batches) if n_batches else [])
            states.append(batches.state_dict())
        assert all(other == states[0] for other in states)
        state = states[0]
        seen += [number for step in zip(*ranks, strict=True) for batch in step for number in batch]
    assert seen == list(range(len(dataset)))


def test_a_state_of_another_mixture_is_refused(dataset: TokenDataset) -> None:
    batches = TokenBatches(dataset, 4)
    state = batches.state_dict()
    for name in ("fingerprint", "tokenizer_digest"):
        with pytest.raises(RequestError, match=f"{name} is other"):
            batches.load_state_dict({**state, name: "other"})


def test_a_stage_goes_on_where_the_mixture_stood(dataset: TokenDataset, mixture: Mixture) -> None:
    n_first = len(mixture.of("stage1"))
    whole = TokenBatches(dataset, 1)
    numbers(whole, n_first + 2)
    alone = TokenBatches(TokenDataset(str(mixture.path), stage="stage2"), 3)
    alone.load_state_dict(whole.state_dict())
    assert numbers(alone)[0][0] == n_first + 2
    first = TokenBatches(TokenDataset(str(mixture.path), stage="stage1"), 3)
    with pytest.raises(RequestError, match=rf"stands at sequence {n_first + 2}; this dataset holds 0 to {n_first}"):
        first.load_state_dict(whole.state_dict())


@pytest.mark.parametrize("as_torch", [False, True])
def test_workers_of_torch_keep_the_order_and_the_place(mixture: Mixture, as_torch: bool) -> None:
    torch = pytest.importorskip("torch")
    dataset = TokenDataset(str(mixture.path), as_torch=as_torch)
    wanted = numbers(TokenBatches(dataset, 4))
    batches = TokenBatches(dataset, 4, n_workers=2, prefetch_factor=4)
    assert numbers(batches, 5) == wanted[:5]
    again = TokenBatches(dataset, 4, n_workers=2)
    again.load_state_dict(batches.state_dict())  # five batches were handed out, however many were read ahead
    rest = list(again)
    assert [batch["sequence"].tolist() for batch in rest] == wanted[5:]
    assert isinstance(rest[0]["input_ids"], torch.Tensor) == as_torch


@pytest.mark.slow
def test_workers_that_are_spawned(mixture: Mixture) -> None:
    pytest.importorskip("torch")
    dataset = TokenDataset(str(mixture.path))
    dataset[0]  # a file is open and a row group kept
    batches = TokenBatches(dataset, 40, n_workers=1, multiprocessing_context="spawn")
    assert numbers(batches) == numbers(TokenBatches(dataset, 40))
