"""The code that results depend on: Onggi's version, digests of its sources, and where compiled kernels are kept."""

import os
import sys
from pathlib import Path

import xxhash

KERNEL_CODE = (
    "classifiers/code_text.py",
    "classifiers/fasttext_[fmr]*.py",
    "classifiers/fasttext_predict.py",
    "classifiers/jamo.py",
    "classifiers/lsa*.py",
    "classifiers/scripts.py",
    "classifiers/spelling_kernels.py",
    "classifiers/text_tokens.py",
    "classifiers/token_hashes.py",
    "curation/kernels/*.py",
    "curation/main_content*.py",
    "curation/normalize.py",
    "manifests/digest.py",
)
"""Every source that holds a kernel, and few others: a change of any of these compiles all kernels anew."""


def version() -> str:
    """Onggi's version."""
    from importlib import metadata  # slow to load, and a process of ours may need nothing of it

    return metadata.version("onggi")


def code_digest(*patterns: str) -> str:
    """Digest of the sources that match the patterns, relative to Onggi's packages; results carry it.

    A change of any of these files makes what they produced stale, so nobody has to remember to raise a number.
    """
    root = Path(__file__).resolve().parent.parent
    state = xxhash.xxh3_128()
    for path in sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()}):
        state.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def use_kernel_cache() -> None:
    """Let Numba keep its compiled kernels in a per-user folder; called before anything imports Numba.

    The folder is keyed by Python's version, the machine's kind and the sources of all kernels; Numba adds the CPU's
    features. Numba's own key is only the file that a kernel stands in: with that alone, a kernel would go on calling
    the old form of another one that it takes from another file.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    key = f"py{sys.version_info.major}{sys.version_info.minor}-{os.uname().machine}-{code_digest(*KERNEL_CODE)[:16]}"
    os.environ.setdefault("NUMBA_CACHE_DIR", f"{base}/onggi/kernels/{key}")
