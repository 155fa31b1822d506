"""Sequences of examples: none is lost or cut, none sees another, and the loss is that of each alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training import tiny

pytest.importorskip("trl")

import torch

from training.token_dataset import NO_LOSS
from training.tuning.batches import NOTHING, Collator, Sequences, one_by_one, packed
from training.tuning.examples import About, Examples
from training.tuning.loss import losses


def examples_of(lengths: list[int], seed: int = 0) -> Examples:
    """Examples of random tokens, of which about a third is learnt, never the first."""
    random = np.random.default_rng(seed)
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    learnt = random.random(bounds[-1]) < 0.4
    learnt[bounds[:-1]] = False
    learnt[bounds[1:] - 1] |= np.array(lengths) > 1
    about = About(left_out={}, left_out_first={}, n_cut=0, n_with_control_text=0, ends={})
    return Examples(
        ids=random.integers(0, tiny.VOCABULARY, bounds[-1]).astype(np.int32),
        learnt=learnt,
        bounds=bounds,
        entry=np.zeros(len(lengths), np.int32),
        prompt_hash=np.zeros(len(lengths), np.uint64),
        about=about,
    )


@given(st.lists(st.integers(1, 20), max_size=60), st.integers(0, 3))
@settings(max_examples=60)
def test_every_example_is_packed_whole(lengths: list[int], seed: int) -> None:
    chosen, all_lengths = np.arange(len(lengths)), np.array(lengths, np.int64)
    found = packed(chosen, all_lengths, 20, seed)
    assert sorted(found.examples.tolist()) == chosen.tolist()
    assert found.sums(all_lengths).tolist() == [all_lengths[found[i]].sum() for i in range(len(found))]
    assert (found.sums(all_lengths) <= 20).all()
    if lengths:
        assert found.bounds[-1] == len(lengths) and (np.diff(found.bounds) > 0).all()


def test_packing_is_as_tight_as_trls() -> None:
    from datasets import Dataset
    from trl import pack_dataset

    random = np.random.default_rng(0)
    for n in (1, 10, 500):
        lengths = random.integers(1, 65, n)
        theirs = pack_dataset(Dataset.from_dict({"input_ids": [[0] * length for length in lengths]}), 64, "bfd")
        found = packed(np.arange(n), lengths, 64, seed=1)
        assert sorted(found.sums(lengths).tolist()) == sorted(map(sum, theirs["seq_lengths"]))


def test_what_packs_together_is_drawn() -> None:
    lengths = np.full(40, 10)
    one, other = (packed(np.arange(40), lengths, 20, seed) for seed in (0, 1))
    assert one.examples.tolist() != other.examples.tolist()
    assert packed(np.arange(40), lengths, 20, 0).examples.tolist() == one.examples.tolist()


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(tiny.config()).eval()


LENGTHS = [7, 2, 30, 1, 12, 5, 28, 3]


def by_hand(model: Any, examples: Examples, number: int) -> tuple[float, int]:
    """(nats, tokens) of an example alone: plain PyTorch in float64 from its own logits."""
    example = examples[number]
    logits = model(input_ids=torch.from_numpy(example.ids[None].astype(np.int64))).logits[0, :-1].double()
    each = torch.nn.functional.cross_entropy(
        logits, torch.from_numpy(example.ids[1:].astype(np.int64)), reduction="none"
    )
    return float(each[torch.from_numpy(example.learnt[1:])].sum().detach()), example.n_learnt


def test_the_loss_of_packed_examples_is_that_of_each_alone(model: Any) -> None:
    examples = examples_of(LENGTHS)
    chosen = np.arange(len(LENGTHS))
    parts = [by_hand(model, examples, number) for number in chosen]
    nats, n_tokens = sum(one for one, _ in parts), sum(count for _, count in parts)
    for sequences in (packed(chosen, examples.lengths, 32, 0), one_by_one(chosen)):
        found = losses(model, examples, {"all": sequences})["all"]
        assert found.n_tokens == n_tokens
        assert abs(found.mean - nats / n_tokens) < 1e-5
        batch = Collator(examples, sequences, "sdpa", 0)([{"sequence": i} for i in range(len(sequences))])
        assert int((batch["labels"] != NO_LOSS).sum()) == n_tokens
        assert abs(float(model(**batch).loss.detach()) - nats / n_tokens) < 1e-5  # whole batches, with their padding


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_no_example_sees_another(model: Any, attention: str) -> None:
    examples = examples_of(LENGTHS)
    sequences = packed(np.arange(len(LENGTHS)), examples.lengths, 32, 0)
    model.set_attn_implementation(attention)
    batch = Collator(examples, sequences, attention, 0)([{"sequence": i} for i in range(len(sequences))])
    before = model(**batch).logits
    row = int(np.argmax(np.diff(sequences.bounds)))
    lengths = [int(examples.lengths[number]) for number in sequences[row]]
    assert len(lengths) > 2
    changed = batch | {"input_ids": batch["input_ids"].clone()}
    second = slice(lengths[0], lengths[0] + lengths[1])
    changed["input_ids"][row, second] = (changed["input_ids"][row, second] + 1) % tiny.VOCABULARY
    difference = (model(**changed).logits - before).abs().amax(-1)
    assert difference[row, second].min() > 1e-3
    difference[row, second] = 0
    assert difference.max() == 0
    leaking = {name: value for name, value in changed.items() if name != "position_ids"}
    assert (model(**leaking).logits - before)[row, second.stop :].abs().max() > 1e-3  # the test can fail
    model.set_attn_implementation("sdpa")


def test_a_sequence_that_holds_nothing_adds_nothing(model: Any) -> None:
    examples = examples_of(LENGTHS)
    collator = Collator(examples, one_by_one(np.arange(2)), "sdpa", 0)
    batch = collator([{"sequence": 0}, {"sequence": NOTHING}])
    assert batch["input_ids"].shape == (2, 7)
    assert (batch["labels"][1] == NO_LOSS).all()
    assert torch.isfinite(model(**batch).logits).all()
    alone = collator([{"sequence": 0}])
    assert torch.equal(model(**alone).logits[0], model(**batch).logits[0])
    assert collator([{"sequence": NOTHING}])["input_ids"].shape == (1, 2)


def test_flash_attention_is_told_where_examples_end() -> None:
    examples = examples_of([3, 2, 4])
    sequences = Sequences(np.array([0, 1, 2]), np.array([0, 2, 3]))
    batch = Collator(examples, sequences, "flash_attention_2", 9)([{"sequence": 0}, {"sequence": 1}])
    assert batch["cu_seq_lens_q"].tolist() == [0, 3, 5, 9, 10]  # the last one is padding
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 0]]
    assert batch["input_ids"][1, 4] == 9
