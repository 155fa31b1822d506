"""Which channels, neurons and heads stay: those with the highest scores; of equal ones the first.

Kanana adds the scores of all layers and ranks once per axis (`layers: sum`), so the same neurons and heads stay in
every layer. Of hidden channels there is no other way, as layers share them; neurons and heads of two layers have only
their number in common, and NVIDIA's code ranks them layer by layer (`layers: hidden`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.errors import RequestError
from manifests.schema_surgery import Importance, Sizes
from training.pruning.families import family_of
from training.pruning.limits import check_heads
from training.pruning.scores import F64, Scores

I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Kept:
    """What stays, by number, in ascending order."""

    hidden: I64
    """(layers + 1, channels): of each layer, and of the last norm and the output embeddings. All rows are the same,
    except with `layers: each`. The input embeddings have the first layer's."""
    mlp: I64
    """(layers, neurons)."""
    heads: I64
    """(layers, heads of queries)."""


def choose(scores: Scores, config: Mapping[str, Any], sizes: Sizes, asked: Importance) -> Kept:
    """What stays of a model.

    Args:
        scores: of its channels, neurons and heads.
        config: its `config.json`.
        sizes: how many stay; what is not named stays whole. Layers are not looked at.
        asked: which scores are compared with which.

    Raises:
        RequestError: sizes are larger than the model's, or heads cannot be shared out evenly; says what would do.
    """
    family, n_layers = family_of(config, "model"), len(scores.mlp)
    at_layers = [scores.hidden[family.rows_of(layer)].sum(0) for layer in range(n_layers)]
    hidden_scores = np.stack([*at_layers, scores.hidden[-1]])
    n_hidden = _wanted(sizes.hidden_size, hidden_scores.shape[1], "hidden_size")
    n_mlp = _wanted(sizes.intermediate_size, scores.mlp.shape[1], "intermediate_size")
    n_heads = _wanted(sizes.num_attention_heads, scores.heads.shape[1], "num_attention_heads")
    groups = int(config.get("num_key_value_heads") or scores.heads.shape[1])
    check_heads(n_heads, scores.heads.shape[1], groups)
    hidden = _best(_put_together(hidden_scores, asked.layers != "each"), n_hidden)
    mlp = _best(_put_together(scores.mlp, asked.layers == "sum"), n_mlp)
    of_heads = _put_together(scores.heads, asked.layers == "sum")
    heads = _best_by_group(of_heads, n_heads, groups) if asked.heads == "groups" else _best(of_heads, n_heads)
    return Kept(hidden, mlp, heads)


def _wanted(size: int | None, before: int, name: str) -> int:
    if size is not None and not 1 <= size <= before:
        raise RequestError(f"{name}: found {size}; the model has {before}, and pruning leaves no more than that")
    return before if size is None else size


def _put_together(scores: F64, is_added: bool) -> F64:
    """Scores of rows that are ranked: each row's own, or in all of them the sum."""
    return np.broadcast_to(scores.sum(0), scores.shape) if is_added else scores


def _best(scores: F64, n: int) -> I64:
    """The n best of each row, ascending; of equal ones the first. (rows, n)."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    return np.sort(order, axis=1).astype(np.int64)


def _best_by_group(scores: F64, n: int, groups: int) -> I64:
    """As many of each group: the best of neighbours that share keys and values, ascending."""
    n_rows, per_group = len(scores), scores.shape[1] // groups
    best = _best(scores.reshape(n_rows * groups, per_group), n // groups).reshape(n_rows, groups, -1)
    numbered: I64 = best + per_group * np.arange(groups)[:, None]
    return numbered.reshape(n_rows, -1)


def shares_kept(scores: Scores, kept: Kept, per_layer: int) -> dict[str, float]:
    """Which share of all importance stays, by axis."""
    last = len(kept.hidden) - 1
    at = {"hidden": [min(number // per_layer, last) for number in range(len(scores.hidden))]}
    found = {}
    for axis in ("hidden", "mlp", "heads"):
        table, chosen = getattr(scores, axis), getattr(kept, axis)
        rows = at.get(axis, range(len(table)))
        stays = sum(float(table[number][chosen[row]].sum()) for number, row in enumerate(rows))
        found[axis] = stays / max(float(table.sum()), np.finfo(np.float64).tiny)
    return found
