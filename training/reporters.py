"""Where else curves go: TensorBoard and wandb, by transformers' own callbacks; whether their packages are there."""

import importlib.util
from collections.abc import Iterable

from manifests.errors import RequestError

PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",)}
"""Of each: any one of these."""


def check_reporters(names: Iterable[str]) -> None:
    """That what curves are reported to can be imported, before anything is trained.

    Raises:
        RequestError: a package is missing, or the name is not known.
    """
    for name in names:
        if name not in PACKAGES:
            raise RequestError(f"{name!r} is not known; valid: {', '.join(PACKAGES)}")
        if not any(importlib.util.find_spec(package) for package in PACKAGES[name]):
            raise RequestError(
                f"the package `{name}` is not installed: pip install {name}, or leave it out of `report_to`; "
                "curves are in `curve.jsonl` and on the page in any case"
            )
