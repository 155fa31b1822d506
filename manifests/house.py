"""That the packages in use are Onggi's own: their names are common words, which others use too."""

import os
from importlib.util import find_spec
from pathlib import Path

from manifests.errors import RequestError

PACKAGES = ("training", "synth", "curation", "classifiers", "manifests")
HOME = Path(__file__).resolve().parent.parent


def child_environment(**more: str) -> dict[str, str]:
    """The environment of a Python process that is to import these very packages, with more variables set."""
    path = os.pathsep.join([str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, **more}


def check_packages() -> None:
    """Check that every package of this distribution is the one that Python finds under its name.

    Raises:
        RequestError: another package or module of that name comes first; says where it is.
    """
    for name in PACKAGES:
        own = HOME / name / "__init__.py"
        if not own.exists():
            continue
        spec = find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != own:
            raise RequestError(
                f"package `{name}` was imported from {found}, which is not Onggi's ({own}): "
                "remove or rename it, or run from another folder"
            )
