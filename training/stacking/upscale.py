"""Depth up-scaling: a deeper model by SOLAR's form, by a list of layers, or by what each layer does.

upscale(Upscale(kind="upscale", name="deeper", to=40), Path("base"), Path("deeper"), base=".")
"""

from pathlib import Path

from manifests.engine import Progress, silent
from manifests.schema_surgery import Upscale
from training.model_files import open_checkpoint
from training.stacking.layers import check_depth, doubled, layers_of
from training.stacking.report import StackReport
from training.stacking.stack import decoder_of, stack
from training.whole_folders import check_free


def upscale(
    asked: Upscale,
    model: Path,
    output: Path,
    base: str,
    *,
    name: str | None = None,
    threads: int | None = None,
    progress: Progress = silent,
    replaces: bool = False,
) -> StackReport:
    """Write a deeper model of a model's own layers.

    Args:
        asked: which.
        model: its folder.
        output: the new folder.
        base: where relative paths of texts and mixtures start.
        name: what the model is called; its folder without one.
        threads: None takes the cores that there are.
        progress: is told of bytes written, and before them of tokens where layers are chosen by what they do.
        replaces: whether an output that exists makes way for the new one.

    Raises:
        RequestError: it has no such layers, or cannot be read; nothing is written.
        RunError: the disk is full; nothing is left.
    """
    check_free(output, replaces)
    called = name or str(model)
    n_layers = len(decoder_of(open_checkpoint(called, model)).layers)
    influences = None
    if asked.influence is None:
        layers = layers_of(asked, n_layers)
    else:
        from training.stacking.influence import influence, ranked  # brings torch

        assert asked.to is not None
        check_depth(n_layers, asked.to)
        influences = influence(model, asked.influence, base, progress=progress)
        layers = doubled(n_layers, ranked(influences, asked.repeat)[: asked.to - n_layers])
    return stack(
        model, layers, output, start=asked.start, name=called, threads=threads, progress=progress, replaces=replaces,
        influences=influences,
    )  # fmt: skip
