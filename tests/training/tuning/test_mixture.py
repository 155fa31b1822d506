"""Shares of domains, and what is held out: whole prompts, always the same ones."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from manifests.schema_training_stages import Sft
from training.tuning.examples import About, Examples
from training.tuning.mixture import mixture_of


def stage(data: list[dict[str, Any]], **more: Any) -> Sft:
    entries = [{"path": f"{number}.jsonl"} | entry for number, entry in enumerate(data)]
    return Sft.model_validate({"name": "sft", "kind": "sft", "data": entries} | more)


def examples_of(entry: list[int], prompts: list[int] | None = None) -> Examples:
    n = len(entry)
    about = About(left_out={}, left_out_first={}, n_cut=0, n_with_control_text=0, ends={})
    hashes = np.random.default_rng(0).integers(0, 2**63, n).astype(np.uint64)
    return Examples(
        ids=np.zeros(n, np.int32),
        learnt=np.ones(n, np.bool_),
        bounds=np.arange(n + 1),
        entry=np.array(entry, np.int32),
        prompt_hash=hashes if prompts is None else hashes[prompts],
        about=about,
    )


def test_without_weights_all_are_taken_once() -> None:
    found = mixture_of(stage([{"domain": "a"}, {"domain": "b"}, {"domain": "a"}]), examples_of([0, 1, 2, 2]), 0)
    assert found.domains == ("a", "b")
    assert found.trained["a"].tolist() == [0, 2, 3] and found.trained["b"].tolist() == [1]
    assert found.without(None).tolist() == [0, 1, 2, 3] and found.without("a").tolist() == [1]
    assert found.n_over_weight == 0 and not len(found.held_out["a"])


def test_weights_are_shares_and_no_example_is_taken_twice() -> None:
    data = [{"domain": "a", "weight": 3}, {"domain": "b", "weight": 1}]
    examples = examples_of([0] * 90 + [1] * 100)
    found = mixture_of(stage(data), examples, 0)
    assert [len(found.trained[name]) for name in "ab"] == [90, 30]
    assert found.n_over_weight == 70
    assert len(set(found.without(None).tolist())) == 120
    again, other = mixture_of(stage(data), examples, 0), mixture_of(stage(data), examples, 1)
    assert again.trained["b"].tolist() == found.trained["b"].tolist() != other.trained["b"].tolist()


def test_weights_are_of_all_entries_or_of_none() -> None:
    with pytest.raises(ValidationError, match=r"weight.*of all entries"):
        stage([{"domain": "a", "weight": 3}, {"domain": "b"}])


def test_whole_prompts_are_held_out_of_each_domain() -> None:
    entry = [0] * 60 + [1] * 40
    prompts = [i // 3 for i in range(60)] + list(range(60, 100))
    examples = examples_of(entry, prompts)
    found = mixture_of(stage([{"domain": "a"}, {"domain": "b"}], held_out=0.1), examples, 0)
    assert len(found.held_out["a"]) == 6 and len(found.held_out["b"]) == 4
    held, trained = np.concatenate(list(found.held_out.values())), found.without(None)
    assert not set(held.tolist()) & set(trained.tolist())
    assert not set(examples.prompt_hash[held].tolist()) & set(examples.prompt_hash[trained].tolist())
    assert len(held) + len(trained) == 100
    assert mixture_of(stage([{"domain": "a"}, {"domain": "b"}], held_out=0.1), examples, 7).held_out[
        "a"
    ].tolist() == (found.held_out["a"].tolist())


def test_a_prompt_that_is_held_out_is_so_in_all_domains() -> None:
    """The second domain asks what the first does, and more."""
    prompts = [*range(20), *range(20), *range(20, 60)]
    examples = examples_of([0] * 20 + [1] * 60, prompts)
    found = mixture_of(stage([{"domain": "a"}, {"domain": "b"}], held_out=0.1), examples, 0)
    held, trained = (
        {int(examples.prompt_hash[number]) for numbers in some.values() for number in numbers}
        for some in (found.held_out, found.trained)
    )
    assert held and trained and not held & trained
    assert sum(map(len, found.held_out.values())) + sum(map(len, found.trained.values())) == len(examples)


def test_something_is_held_out_and_something_trained_on() -> None:
    found = mixture_of(stage([{}], held_out=0.01), examples_of([0, 0]), 0)
    assert len(found.held_out["chat"]) == len(found.trained["chat"]) == 1


def test_leaving_domains_out_needs_domains_and_a_measure() -> None:
    both = [{"domain": "a"}, {"domain": "b"}]
    assert stage(both, leave_one_out=True, held_out=0.1).leave_one_out
    with pytest.raises(ValidationError, match=r"leave_one_out: .*held_out"):
        stage(both, leave_one_out=True)
    with pytest.raises(ValidationError, match=r"leave_one_out: .*two domains"):
        stage([{"domain": "a"}], leave_one_out=True, held_out=0.1)
