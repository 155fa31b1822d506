"""What is known before it is run of a stage that builds a model anew: sizes, by configurations alone, and its data.

What a search makes is not known before it, so a model may have several configurations, the likeliest first; a stage
that goes on from it is wrong where none of them would do.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from manifests.errors import RequestError
from manifests.schema_surgery import Init, Prune, Sizes, Upscale
from manifests.schema_training_stages import MixtureUse
from training.new_models import settled, with_sizes
from training.outlook_data import use_reads
from training.pruning.candidates import AXES, check_held_out, grid_of
from training.pruning.limits import check_sizes, pruned_config
from training.stacking.layers import check_depth, check_identity, layers_of

Config = dict[str, Any]
CONFIGS_MAX = 64
"""How many ways in which a model may be built are looked at."""
HALF = ("bfloat16", "float16")


def built(stage: Init | Upscale | Prune, before: Sequence[Config]) -> list[Config]:
    """The configurations that a stage may make, the likeliest first.

    Args:
        stage: of the manifest.
        before: those that the model may have which it goes on from.

    Raises:
        RequestError: the stage can make nothing of any of them; says what is wrong with the first.
    """
    found, wrong = list[Config](), list[RequestError]()
    for config in before:
        try:
            found += islice(_built_of(stage, config), CONFIGS_MAX - len(found))
        except RequestError as error:
            wrong.append(error)
    if wrong and not found:
        raise wrong[0]
    return found


def _built_of(stage: Init | Upscale | Prune, config: Config) -> Iterator[Config]:
    if isinstance(stage, Prune):
        yield from _pruned(stage, config)
    elif isinstance(stage, Init):
        after = with_sizes(config, stage.sizes.given())
        yield settled(after, "sizes") | {"dtype": "float32"}
    else:
        part = config.get("text_config", config)
        yield with_sizes(config, depth(stage, int(part["num_hidden_layers"])).given())


def _pruned(stage: Prune, config: Config) -> Iterator[Config]:
    sizes = [(stage.to or Sizes()).given()]
    if stage.search is not None:
        grid, wanted = (
            grid_of(config, stage.search, stage.cut_max, ties=stage.tie_embeddings),
            stage.search.parameters,
        )
        nearest = sorted(grid.near, key=lambda one: abs(one.n_parameters - wanted))
        sizes = [{axis: getattr(one.sizes, axis) for axis in AXES} for one in nearest]
    else:
        check_sizes(config, sizes[0], stage.cut_max, "to")
    own = {name: pruned_config(config, {})[name] for name in ("num_key_value_heads", "head_dim")}
    ties = {"tie_word_embeddings": True} if stage.tie_embeddings else {}
    for chosen in sizes:
        yield settled(with_sizes(config, chosen | own) | ties, "search" if stage.search else "to")


def depth(stage: Upscale, n_layers: int) -> Sizes:
    """How many layers an up-scaled model has.

    Raises:
        RequestError: the model has no such layers, or with some silent it would be another one from the start.
    """
    if stage.influence is not None and stage.to is not None:
        check_depth(n_layers, stage.to)
        return Sizes(num_hidden_layers=stage.to)
    layers = layers_of(stage, n_layers)
    if stage.start == "identity":
        check_identity(layers, n_layers)
    return Sizes(num_hidden_layers=len(layers))


def check_data(stage: Init | Upscale | Prune, base: str, vocab_size: int | None) -> Iterator[str]:
    """What is wrong with the mixtures that a stage reads."""
    for at, use in _mixtures(stage):
        try:
            use_reads(use, base, vocab_size, at)
        except RequestError as error:
            yield str(error)
    if isinstance(stage, Prune) and stage.search is not None:
        try:
            check_held_out(stage.search, base)
        except RequestError as error:
            yield str(error)


def _mixtures(stage: Init | Upscale | Prune) -> Iterator[tuple[str, MixtureUse]]:
    named: dict[str, MixtureUse | None] = {}
    if isinstance(stage, Upscale) and stage.influence is not None:
        named = {"influence.mixture": stage.influence.mixture}
    elif isinstance(stage, Prune):
        trial = stage.search.trial.mixture if stage.search is not None else None
        own = stage.calibration.mixture if stage.calibration is not None else None
        named = {"calibration.mixture": own, "search.trial.mixture": trial}
    yield from ((at, use) for at, use in named.items() if use is not None)


def weight_bytes(config: Mapping[str, Any]) -> int:
    """Bytes of a weight on disk, as a configuration says; 4 where it says nothing."""
    return 2 if str(config.get("dtype") or config.get("torch_dtype")) in HALF else 4
