"""The arms of an ablation: those that are written out, or every combination of a grid."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from manifests.errors import RequestError
from manifests.schema_experiments import AblationManifest, Arm

VALUE_CHARS_MAX = 40


def arms_of(manifest: AblationManifest, named: str) -> list[Arm]:
    """All arms, the baseline first.

    Args:
        manifest: of the ablation.
        named: its file, for errors.

    Raises:
        RequestError: the baseline is no arm of the grid, or two combinations have one name.
    """
    arms = list(manifest.arms) or _of_grid(manifest.grid)
    names = [arm.name for arm in arms]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RequestError(f"{named}: grid: two arms would be called {twice[0]!r}; write out `arms` instead")
    first = manifest.baseline or names[0]
    if first not in names:
        raise RequestError(f"{named}: baseline: {first!r} is no arm; valid: {', '.join(names)}")
    return sorted(arms, key=lambda arm: arm.name != first)


def _of_grid(grid: Mapping[str, Sequence[Any]]) -> list[Arm]:
    """An arm per combination, named by what is other in it, as `t=0.3,dtype=float32`."""
    short = short_names(list(grid))
    return [
        Arm.model_construct(
            name=",".join(f"{short[field]}={_written(value)}" for field, value in zip(grid, values, strict=True)),
            title="",
            set=dict(zip(grid, values, strict=True)),
            of=None,
        )
        for values in itertools.product(*grid.values())
    ]


def short_names(fields: Sequence[str]) -> dict[str, str]:
    """Each field by the end of its path, as long as it takes to tell it from the others."""
    found = {}
    for field in fields:
        steps = field.split(".")
        ends = (".".join(steps[-n:]) for n in range(1, len(steps) + 1))
        others = [f".{other}" for other in fields if other != field]
        own = (end for end in ends if not any(other.endswith(f".{end}") for other in others))
        found[field] = next(own, field)
    return found


def _written(value: Any) -> str:
    """A value in a name."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 3] + "..."
