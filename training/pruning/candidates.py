"""Ways to spend a number of weights: sizes whose product is right, of a grid (Kanana, table 16; Minitron's +-5%)."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from curation.mixture.record import read_mixture
from manifests.errors import RequestError
from manifests.schema_surgery import Search, Sizes
from manifests.store import Folder, resolve
from training.flops import parameters
from training.pruning.families import check_sized, settle_width
from training.pruning.limits import beside_embeddings, pruned_config

AXES = ("hidden_size", "intermediate_size", "num_attention_heads")
NEAREST = 3
"""Sizes that are named where none is near enough."""


@dataclass(frozen=True)
class Candidate:
    """A way to build a model."""

    sizes: Sizes
    n_parameters: int
    """As the search counts them: of all, or of all but the embeddings."""
    cut_frac: float
    """Share of the weights beside embeddings that is cut."""

    @property
    def name(self) -> str:
        """Hidden size, width of MLPs, heads, as table 16 has them."""
        return "-".join(str(getattr(self.sizes, axis)) for axis in AXES)


@dataclass(frozen=True)
class Grid:
    """What a search may try."""

    near: list[Candidate]
    """Near enough to the number of weights, and no larger a cut than is allowed; the largest model first."""
    n_far: int
    """Of the grid, that have too many weights or too few."""
    n_too_small: int
    """That cut more than one stage may."""


def grid_of(config: Mapping[str, Any], search: Search, cut_max: float, *, ties: bool = False) -> Grid:
    """The candidates of a search.

    Args:
        config: of what is pruned.
        search: of the manifest.
        cut_max: largest share of the weights beside embeddings that may be cut.
        ties: whether embeddings are tied by pruning.

    Raises:
        RequestError: a size is larger than the model's, heads cannot be shared out, or no candidate is near enough;
            names what would do.
    """
    check_sized(config, "search")
    whole = pruned_config(config, {})
    values = {axis: _values(axis, whole, search) for axis in AXES}
    found = [
        _candidate(whole, dict(zip(AXES, chosen, strict=True)), search, ties) for chosen in product(*values.values())
    ]
    near = [one for one in found if abs(one.n_parameters - search.parameters) <= search.within * search.parameters]
    if not near:
        raise RequestError(_none_near(found, search))
    fit = [one for one in near if one.cut_frac <= cut_max]
    if not fit:
        raise RequestError(_all_too_small(near, search, cut_max))
    fit.sort(key=lambda one: (-one.n_parameters, one.name))
    return Grid(fit, len(found) - len(near), len(near) - len(fit))


def check_held_out(search: Search, base: str) -> None:
    """That there is text to compare candidates by.

    Raises:
        RequestError: the mixture holds nothing out.
    """
    path = search.trial.mixture.path
    if not read_mixture(Folder(resolve(path, base))).validation:
        raise RequestError(
            f"search.trial.mixture: {path}: holds nothing out, and candidates are compared on held-out text; mix it "
            "with `validation`, as {frac: 0.005}"
        )


def _candidate(config: Mapping[str, Any], sizes: Mapping[str, int], search: Search, ties: bool) -> Candidate:
    after = pruned_config(config, sizes)
    try:
        settle_width(dict(after))
    except RequestError as error:
        raise RequestError(f"search.{error}") from error
    n = n_layers = beside_embeddings(after)
    if not search.without_embeddings:
        counted = parameters({**after, "tie_word_embeddings": True} if ties else after)
        n = counted.total if counted else n + int(after["vocab_size"]) * after["hidden_size"]  # Gemma's are tied
    return Candidate(Sizes(**sizes), n, 1 - n_layers / beside_embeddings(config))


def _values(axis: str, config: Mapping[str, Any], search: Search) -> list[int]:
    """What is tried of a size.

    Raises:
        RequestError: a value is larger than the model's, or heads cannot be shared out.
    """
    own, values = int(config[axis]), sorted(set(getattr(search, axis)))
    if values and values[-1] > own:
        raise RequestError(f"search.{axis}: found {values[-1]:,}; the model has {own:,}, and pruning only cuts")
    groups = int(config["num_key_value_heads"])
    if axis == "num_attention_heads" and (odd := [value for value in values if value % groups]):
        valid = ", ".join(map(str, range(groups, own + 1, groups)))
        raise RequestError(
            f"search.{axis}: found {odd[0]}, which {groups} heads of keys and values cannot share evenly; "
            f"valid: {valid}"
        )
    return values or [own]


def _none_near(found: list[Candidate], search: Search) -> str:
    nearest = sorted(found, key=lambda one: abs(one.n_parameters - search.parameters))[:NEAREST]
    of = "beside embeddings" if search.without_embeddings else "in all"
    return (
        f"search.parameters: none of {len(found)} candidates has within {search.within:.1%} of {search.parameters:,} "
        f"weights {of}; the nearest are {_named(nearest)}: try those, other sizes, or a larger `within`"
    )


def _all_too_small(near: list[Candidate], search: Search, cut_max: float) -> str:
    least = min(near, key=lambda one: one.cut_frac)
    return (
        f"search.parameters: {search.parameters:,}: of {len(near)} candidates the one that cuts least, "
        f"{_named([least])}, cuts {least.cut_frac:.1%} of the weights beside embeddings, more than the {cut_max:.0%} "
        "of `cut_max`; prune in several stages with a stage `distill` after each (`onggi prune --schedule` says how)"
    )


def _named(candidates: list[Candidate]) -> str:
    return "; ".join(
        f"{', '.join(f'{axis} {getattr(one.sizes, axis):,}' for axis in AXES)} ({one.n_parameters:,})"
        for one in candidates
    )
