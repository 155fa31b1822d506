"""The value of `t`, a weight or a density at each tensor: by its name, and by the layer that it belongs to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from manifests.errors import RequestError
from manifests.schema_merge import Where

LAYER = re.compile(r"^(?P<stack>.*?)\b(?:layers|layer|h|blocks|block)\.(?P<number>\d+)\.(?P<module>.+)$")
"""A tensor of a layer: `model.layers.3.mlp.up_proj.weight`, `transformer.h.0.attn.c_proj.bias`."""
PLAIN = re.compile(r"\.weight$")


@dataclass(frozen=True)
class Place:
    """Where a tensor belongs."""

    name: str
    layer: int | None
    n_layers: int
    """Of the stack of layers that it stands in: a vision tower has its own."""
    module: str
    """Its name within the layer, or all of it, without `.weight`."""

    @property
    def depth(self) -> float:
        """From 0, the first layer, to 1, the last; 0 outside of layers, and 1 where there is only one."""
        if self.layer is None:
            return 0.0
        return self.layer / (self.n_layers - 1) if self.n_layers > 1 else 1.0


def places(names: Sequence[str]) -> dict[str, Place]:
    """Where each tensor of a model belongs."""
    found = {name: LAYER.match(name) for name in names}
    stacks: dict[str, int] = {}
    for match in filter(None, found.values()):
        stacks[match["stack"]] = max(stacks.get(match["stack"], 0), int(match["number"]) + 1)
    return {
        name: Place(name, int(match["number"]), stacks[match["stack"]], PLAIN.sub("", match["module"]))
        if match
        else Place(name, None, 0, PLAIN.sub("", name))
        for name, match in found.items()
    }


def values_of(schedule: Sequence[Where], at: Sequence[Place], field: str) -> dict[str, float]:
    """The value of a schedule at each tensor.

    Args:
        schedule: of which the first that matches a tensor's name counts.
        at: the tensors.
        field: what it is called, for errors.

    Raises:
        RequestError: a pattern matches no tensor, or a tensor has no value; names both.
    """
    patterns = [_pattern(where.match) for where in schedule]
    for number, (where, pattern) in enumerate(zip(schedule, patterns, strict=True)):
        if not any(pattern.search(place.name) for place in at):
            modules = ", ".join(list(dict.fromkeys(place.module for place in at))[:8])
            raise RequestError(
                f"{field}[{number}].match: `{where.match}` is in no tensor's name; names have, for example, {modules}"
            )
    values = {}
    for place in at:
        chosen = next((where for where, of in zip(schedule, patterns, strict=True) if of.search(place.name)), None)
        if chosen is None:
            raise RequestError(
                f"{field}: no value for {place.name}; add one without `match`, which holds for the rest"
            )
        values[place.name] = interpolated(chosen.values, place.depth)
    return values


def interpolated(anchors: Sequence[float], depth: float) -> float:
    """The value at a depth from 0 to 1, on straight lines between anchors at equal distances."""
    scaled = depth * (len(anchors) - 1)
    before = int(scaled)
    after = min(before + 1, len(anchors) - 1)
    return (1 - (scaled - before)) * anchors[before] + (scaled - before) * anchors[after]


def _pattern(match: str | None) -> re.Pattern[str]:
    """Part of a name, in which `*` stands for anything."""
    return re.compile(".*".join(map(re.escape, (match or "").split("*"))))
