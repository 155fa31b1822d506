"""Which layers of a model a deeper one has, counted from 0.

solar(32, 8)             -> [0, ..., 23, 8, ..., 31]
doubled(4, [1])          -> [0, 1, 1, 2, 3]
listed([[0, 3], 1], 4)   -> [0, 1, 2, 1]
"""

from collections.abc import Collection, Sequence
from itertools import groupby

from manifests.errors import RequestError
from manifests.schema_surgery import Upscale


def solar(n_layers: int, drop: int) -> list[int]:
    """Two copies, the first without its last layers, the second without its first, one on the other (SOLAR, 2.1).

    Args:
        n_layers: of the model: n.
        drop: how many each copy lacks: m.

    Returns:
        2 (n - m) layers: 0 to n - m, then m to n.

    Raises:
        RequestError: that is no deeper than the model.
    """
    most = (n_layers - 1) // 2
    if not 0 <= drop <= most:
        has = f"{2 * (n_layers - drop)} layers, which is no deeper" if drop < n_layers else "no layers"
        raise RequestError(
            f"drop: {drop} of {n_layers} layers leaves a model of {has}; expected 0 to {most}, since it has 2(n - m)"
        )
    return [*range(n_layers - drop), *range(drop, n_layers)]


def drop_for(n_layers: int, to: int) -> int:
    """SOLAR's m for a number of layers: n - to / 2.

    Raises:
        RequestError: there is none.
    """
    check_depth(n_layers, to)
    if to % 2:
        near = " or ".join(str(other) for other in (to - 1, to + 1) if n_layers < other <= 2 * n_layers)
        raise RequestError(
            f"to: {to} layers are no two copies of equal depth; expected an even number, as {near}, or `layers`, "
            "or `influence`"
        )
    return n_layers - to // 2


def check_depth(n_layers: int, to: int) -> None:
    """That a number of layers can be reached by having some twice.

    Raises:
        RequestError: there are as many already, or more than twice as many are asked for.
    """
    if not n_layers < to <= 2 * n_layers:
        why = f"more than two copies of {n_layers}" if to > n_layers else f"no deeper than the model's {n_layers}"
        raise RequestError(f"to: {to} layers are {why}; expected {n_layers + 1} to {2 * n_layers}, or `layers`")


def doubled(n_layers: int, repeated: Collection[int]) -> list[int]:
    """All layers, some of them twice, each copy right behind its original."""
    return [layer for layer in range(n_layers) for _ in range(2 if layer in repeated else 1)]


def listed(items: Sequence[int | Sequence[int]], n_layers: int) -> list[int]:
    """Layers by their numbers and by spans [first, end).

    Raises:
        RequestError: there is no such layer, or a span is empty.
    """
    layers: list[int] = []
    for place, item in enumerate(items):
        first, end = (item, item + 1) if isinstance(item, int) else item
        if not 0 <= first < end <= n_layers:
            raise RequestError(
                f"layers[{place}]: found {item if isinstance(item, int) else list(item)}; the model has {n_layers} "
                f"layers, so expected numbers from 0 to {n_layers - 1}, or [first, end) with end at most {n_layers}"
            )
        layers += range(first, end)
    return layers


def layers_of(asked: Upscale, n_layers: int) -> list[int]:
    """Which layers a model has that is asked for by numbers alone.

    Raises:
        RequestError: the model has not so many, or it would be no deeper.
    """
    if asked.layers is not None:
        return listed(asked.layers, n_layers)
    return solar(n_layers, asked.drop if asked.drop is not None else drop_for(n_layers, asked.to or 0))


def read_layers(text: str) -> list[int | list[int]]:
    """Numbers and spans as they are written on the command line: `0-24,8-32`, `0-3,3`; ends are not included.

    Raises:
        RequestError: it is none of these.
    """
    items: list[int | list[int]] = []
    for part in text.split(","):
        numbers = part.strip().split("-")
        if not 1 <= len(numbers) <= 2 or not all(number.isdecimal() for number in numbers):
            raise RequestError(f"--layers: found {part!r}; expected numbers and spans FIRST-END, as 0-24,8-32")
        found = [int(number) for number in numbers]
        items.append(found if len(found) == 2 else found[0])
    return items


def spans(layers: Sequence[int]) -> list[tuple[int, int]]:
    """The stretches [first, end) of layers that follow each other."""
    runs = groupby(enumerate(layers), key=lambda item: item[1] - item[0])
    found = [[layer for _, layer in run] for _, run in runs]
    return [(run[0], run[-1] + 1) for run in found]


def written(layers: Sequence[int]) -> str:
    """Layers in words: `0 to 23, 8 to 31`."""
    return ", ".join(str(first) if end - first == 1 else f"{first} to {end - 1}" for first, end in spans(layers))


def second_places(layers: Sequence[int]) -> list[int]:
    """Places of layers that were there before."""
    return [place for place, layer in enumerate(layers) if layer in layers[:place]]


def check_identity(layers: Sequence[int], n_layers: int) -> None:
    """That a model whose second copies are silent computes what the model computed that its layers are of.

    Raises:
        RequestError: it does not: layers are missing or in another order.
    """
    quiet = second_places(layers)
    heard = [layer for place, layer in enumerate(layers) if place not in quiet]
    if heard != list(range(n_layers)):
        raise RequestError(
            f"start: identity: layers that are there for the first time are {written(heard)}; expected 0 to "
            f"{n_layers - 1}, all in their order, since otherwise it is another model from the start"
        )
