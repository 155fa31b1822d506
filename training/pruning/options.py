"""Pruning as it is written on a command line."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from manifests.engine import Progress, silent
from manifests.errors import RequestError
from manifests.schema_surgery import Prune
from training.field_options import told_as_options
from training.whole_folders import check_free

if TYPE_CHECKING:
    from training.pruning.report import Pruned

OPTIONS = {
    "hidden_size": "--hidden-size",
    "intermediate_size": "--intermediate-size",
    "num_attention_heads": "--heads",
    "num_hidden_layers": "--layers",
}
"""By the names of sizes in `config.json`."""
FIELDS = OPTIONS | {
    "calibration.text": "--text",
    "calibration.mixture": "--mixture",
    "calibration": "--text or --mixture",
    "`cut_max`": "--cut-max",
}
"""By what messages call fields of a stage."""


def asked_of(
    sizes: Mapping[str, int | None],
    text: str | None = None,
    mixture: str | None = None,
    samples: int | None = None,
    cut_max: float | None = None,
    tie_embeddings: bool = False,
) -> Prune:
    """What options ask for.

    Args:
        sizes: by their names in `config.json`; None for those that stay.
        text: files that importance is measured on.
        mixture: instead of `text`.
        samples: how many of either are read.
        cut_max: largest share of the weights beside embeddings that may go.
        tie_embeddings: whether output and input embeddings become one.

    Raises:
        RequestError: options do not go together.
    """
    given = {name: size for name, size in sizes.items() if size is not None}
    if not given and not tie_embeddings:
        raise RequestError(f"name what becomes smaller: {', '.join(OPTIONS.values())}, or --tie-embeddings")
    if (text is not None and mixture is not None) or (given and text is None and mixture is None):
        raise RequestError(
            f"name one of --text and --mixture, which importance is measured on; found {'both' if text else 'none'}"
        )
    read = {"text": text, "mixture": {"path": mixture} if mixture else None, "samples": samples}
    measured = {name: value for name, value in read.items() if value is not None} if text or mixture else None
    said = {
        "kind": "prune",
        "name": "prune",
        "to": given,
        "tie_embeddings": tie_embeddings,
        **({"calibration": measured} if measured else {}),
        **({"cut_max": cut_max} if cut_max is not None else {}),
    }
    try:
        return Prune.model_validate(said)
    except ValidationError as error:
        raise RequestError("\n".join(_said(detail["loc"], detail["msg"]) for detail in error.errors())) from None


def _said(at: tuple[int | str, ...], message: str) -> str:
    named = str(at[-1]) if at else ""
    return f"{OPTIONS.get(named, '--' + named.replace('_', '-'))}: {message.removeprefix('Value error, ')}"


def prune_folder(asked: Prune, model: Path, output: Path, base: str, progress: Progress = silent) -> "Pruned":
    """Prune a checkpoint beside any training; what came of it.

    Args:
        asked: to which sizes, by what.
        model: its folder.
        output: folder of the new one.
        base: where relative paths of texts and mixtures start.
        progress: is told of samples and of bytes.

    Raises:
        RequestError: sizes cannot be reached, or there is no calibration data; names the option.
        RunError: the disk is full.
    """
    from training.pruning.stage import prune_model  # brings torch

    check_free(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent)
    with beside as work, told_as_options({"to": ""}, FIELDS):
        return prune_model(asked, model, output, Path(work), base, progress, replaces=False)
