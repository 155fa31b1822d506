"""Results and compiled kernels are tied to the very sources that made them."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import manifests
from manifests.code import KERNEL_CODE, code_digest

ROOT = Path(manifests.__file__).resolve().parent.parent


def test_the_digest_follows_the_code() -> None:
    one, two = code_digest("manifests/digest.py"), code_digest("manifests/*.py")
    assert one != two
    assert one == code_digest("manifests/digest.py")


def test_every_kernel_is_covered() -> None:
    """A file that holds a kernel but is not covered could be called in its old form from a cache."""
    sources = [
        path for package in ("manifests", "classifiers", "curation") for path in (ROOT / package).rglob("*.py")
    ]
    with_kernels = {path for path in sources if "njit" in path.read_text()} - {ROOT / "manifests/code.py"}
    covered = {path for pattern in KERNEL_CODE for path in ROOT.glob(pattern)}
    assert with_kernels
    assert with_kernels <= covered


def test_the_cache_is_set_before_numba_is_imported() -> None:
    code = "import manifests.digest, numba; print(numba.config.CACHE_DIR)"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert "onggi/kernels/" in answer.stdout


def test_packages_import_manifests_first() -> None:
    for package in ("classifiers", "curation"):
        tree = ast.parse((ROOT / package / "__init__.py").read_text())
        imported = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
        assert imported[0] == "manifests"
