"""Depth up-scaling as it is written on a command line."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from manifests.engine import Progress
from manifests.errors import RequestError
from manifests.schema_surgery import Upscale
from training.field_options import told_as_options
from training.stacking.layers import read_layers
from training.stacking.report import StackReport
from training.stacking.upscale import upscale

BEGINS = {name: f"--{name}" for name in ("drop", "to", "layers")}
"""By the field that a message begins with."""
FIELDS = {
    "influence.text": "--text",
    "influence.mixture": "--mixture",
    "`influence`": "--text or --mixture",
    "`layers`": "--layers",
    "start: identity": "--start identity",
    "`start: copy`": "--start copy",
}
"""By what messages call fields of a stage."""


def asked_of(
    drop: int | None = None,
    to: int | None = None,
    layers: str | None = None,
    text: str | None = None,
    mixture: str | None = None,
    samples: int | None = None,
    repeat: str | None = None,
    start: str = "copy",
) -> Upscale:
    """What options ask for.

    Args:
        drop: SOLAR's m.
        to: number of layers.
        layers: numbers and spans, as `0-24,8-32`.
        text: what layers are measured on, which then are chosen by it.
        mixture: instead of `text`.
        samples: how many of either are read.
        repeat: `least` or `most`.
        start: `copy` or `identity`.

    Raises:
        RequestError: options do not go together.
    """
    given = [name for name, value in (("--drop", drop), ("--to", to), ("--layers", layers)) if value is not None]
    if len(given) != 1:
        raise RequestError(f"name one of --drop, --to and --layers; found {' and '.join(given) or 'none'}")
    if text and mixture:
        raise RequestError("name one of --text and --mixture")
    is_measured = bool(text or mixture)
    for option, value in (("--samples", samples), ("--repeat", repeat)):
        if value is not None and not is_measured:
            raise RequestError(f"{option}: takes --text or --mixture, by which layers are told apart")
    if is_measured and to is None:
        raise RequestError("--text and --mixture: take --to, the number of layers that there then are")
    said: dict[str, Any] = {"kind": "upscale", "name": "upscale", "drop": drop, "to": to, "start": start}
    said |= {"layers": read_layers(layers)} if layers is not None else {}
    if is_measured:
        read = {"text": text, "mixture": {"path": mixture} if mixture else None, "samples": samples}
        said["influence"] = {name: value for name, value in read.items() if value is not None}
        said |= {"repeat": repeat} if repeat else {}
    try:
        return Upscale.model_validate(said)
    except ValidationError as error:
        raise RequestError("\n".join(_said(dict(detail)) for detail in error.errors(include_url=False))) from None


def _said(detail: dict[str, Any]) -> str:
    cause = detail.get("ctx", {}).get("error")
    at = [*detail["loc"], *getattr(cause, "at", ())]
    place = "".join(f"[{part}]" if isinstance(part, int) else f" {part}" for part in at).strip()
    return f"--{place.replace('influence ', '')}: {cause or detail['msg']}"


def upscale_folder(
    asked: Upscale, model: Path, output: Path, base: str, name: str, progress: Progress
) -> StackReport:
    """Write a deeper model beside any training; what was made.

    Args:
        asked: which.
        model: folder of the model.
        output: the new folder.
        base: where relative paths of texts and mixtures start.
        name: what the model is called in messages.
        progress: is told of bytes written.

    Raises:
        RequestError: it has no such layers, or cannot be read; names the option.
        RunError: the disk is full.
    """
    with told_as_options(BEGINS, FIELDS):
        return upscale(asked, model, output, base, name=name, progress=progress)
