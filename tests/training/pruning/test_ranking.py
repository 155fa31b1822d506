"""What is kept: the best, by group, of equal ones the first; and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RequestError
from manifests.schema_surgery import Importance, Sizes
from training.pruning.ranking import choose, shares_kept
from training.pruning.scores import Scores

CONFIG = {"model_type": "llama", "num_key_value_heads": 2}


def scores_of(seed: int, n_layers: int = 3, hidden: int = 8, neurons: int = 10, heads: int = 6) -> Scores:
    random = np.random.default_rng(seed)
    return Scores(
        random.random((2 * n_layers + 1, hidden)),
        random.random((n_layers, neurons)),
        random.random((n_layers, heads)),
    )


def chosen(scores: Scores, sizes: Sizes, config: dict[str, Any] = CONFIG, **asked: Any) -> Any:
    return choose(scores, config, sizes, Importance.model_validate(asked))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 8), st.integers(1, 10), st.sampled_from([2, 4, 6]))
def test_the_sum_over_layers_decides(seed: int, hidden: int, neurons: int, heads: int) -> None:
    scores = scores_of(seed)
    kept = chosen(scores, Sizes(hidden_size=hidden, intermediate_size=neurons, num_attention_heads=heads))
    for axis, n in (("hidden", hidden), ("mlp", neurons)):
        total = getattr(scores, axis).sum(0)
        best = sorted(sorted(range(len(total)), key=lambda i, total=total: (-total[i], i))[:n])  # type: ignore[misc]
        assert all(row.tolist() == best for row in getattr(kept, axis))
    total = scores.heads.sum(0)
    for row in kept.heads:
        assert row.tolist() == sorted(set(row.tolist()))
        for group in ((0, 1, 2), (3, 4, 5)):
            stays = [head for head in row if head in group]
            assert len(stays) == heads // 2
            assert all(total[a] >= total[b] for a in stays for b in group if b not in stays)


def test_layers_may_have_rankings_of_their_own() -> None:
    scores = scores_of(1)
    sizes = Sizes(hidden_size=3, intermediate_size=4, num_attention_heads=2)
    kept = chosen(scores, sizes, layers="hidden")
    assert (kept.hidden == kept.hidden[0]).all()
    for layer in range(3):
        assert kept.mlp[layer].tolist() == sorted(np.argsort(-scores.mlp[layer])[:4].tolist())
        assert kept.heads[layer].tolist() == [
            int(np.argmax(scores.heads[layer, :3])),
            3 + int(np.argmax(scores.heads[layer, 3:])),
        ]
    each = chosen(scores, sizes, layers="each")
    for layer in range(3):
        of_layer = scores.hidden[2 * layer : 2 * layer + 2].sum(0)
        assert each.hidden[layer].tolist() == sorted(np.argsort(-of_layer)[:3].tolist())
    assert each.hidden[3].tolist() == sorted(np.argsort(-scores.hidden[6])[:3].tolist())


def test_of_equal_ones_the_first_stay() -> None:
    ones = Scores(np.ones((3, 8)), np.ones((1, 10)), np.ones((1, 6)))
    kept = chosen(ones, Sizes(hidden_size=3, intermediate_size=4, num_attention_heads=4))
    assert kept.hidden.tolist() == [[0, 1, 2]] * 2
    assert kept.mlp.tolist() == [[0, 1, 2, 3]]
    assert kept.heads.tolist() == [[0, 1, 3, 4]]


def test_heads_without_regard_to_groups() -> None:
    scores = scores_of(0)
    heads = np.array([[9.0, 8, 7, 6, 1, 2]] * 3)
    scores = Scores(scores.hidden, scores.mlp, heads)
    assert chosen(scores, Sizes(num_attention_heads=4), heads="any").heads[0].tolist() == [0, 1, 2, 3]
    assert chosen(scores, Sizes(num_attention_heads=4)).heads[0].tolist() == [0, 1, 3, 5]


def test_shares_of_importance() -> None:
    scores = Scores(np.array([[1.0, 3], [1, 3], [1, 3]]), np.array([[1.0, 1, 2]]), np.array([[5.0, 5]]))
    kept = chosen(scores, Sizes(hidden_size=1, intermediate_size=1), {"model_type": "llama"})
    assert shares_kept(scores, kept, 2) == {"hidden": 0.75, "mlp": 0.5, "heads": 1.0}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (Sizes(num_attention_heads=3), "num_attention_heads: 3 heads of queries cannot share 2 .* one of 2, 4, 6"),
        (Sizes(num_attention_heads=8), "num_attention_heads: found 8; the model has 6"),
        (Sizes(hidden_size=9), "hidden_size: found 9; the model has 8"),
        (Sizes(intermediate_size=11), "intermediate_size: found 11; the model has 10"),
    ],
)
def test_what_cannot_be_is_refused(sizes: Sizes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        chosen(scores_of(0), sizes)
