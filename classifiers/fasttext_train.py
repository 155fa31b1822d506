"""Training fastText classifiers, reproducibly: the same texts and labels give the same bytes.

fastText's own training reads memory that nobody wrote: with one thread it fills a tenth of the input matrix
(densematrix.cc, `uniform`), and the rest is what the heap held, so runs differ or end in NaN. It therefore runs in a
process of its own in which the C library hands out zeroed blocks, on one thread.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from classifiers.fasttext_file import LABEL_PREFIX
from manifests.errors import RequestError, RunError
from manifests.house import child_environment

ZEROED = "255"
"""Of MALLOC_PERTURB_: glibc fills new blocks with its complement."""
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class FastTextSettings:
    """Arguments of fastText; the defaults are its own, which are also DCLM's but for `word_ngrams` (2 there)."""

    lr: float = 0.1
    dim: int = 100
    ws: int = 5
    epoch: int = 5
    min_count: int = 1
    word_ngrams: int = 1
    minn: int = 0
    maxn: int = 0
    neg: int = 5
    loss: Literal["softmax", "ova", "hs"] = "softmax"
    bucket: int = 2_000_000
    """There is no seed: fastText 0.9.2 takes one and draws the same numbers whatever it is."""


@dataclass(frozen=True)
class Quantisation:
    """How a model is made small (Joulin et al. 2016, arXiv:1612.03651)."""

    dsub: int = 2
    """Dimensions that share a byte."""
    cutoff: int = 0
    """Rows of words and n-grams to keep, the largest; 0: all."""
    qnorm: bool = True
    retrain: bool = True
    """Train what the cut left."""


def check_installed() -> None:
    """Check that fastText is there.

    Raises:
        RequestError: says how to install it.
    """
    if find_spec("fasttext") is None:
        raise RequestError(
            "training fastText classifiers: fasttext is not installed: pip install 'onggi[classifier]'"
        )


def train_fasttext(
    texts: pa.LargeStringArray,
    labels: Sequence[str],
    path: str | Path,
    settings: FastTextSettings = FastTextSettings(),
    quantise: Quantisation | None = None,
) -> None:
    """Train a classifier and write it to `path` (.bin, or .ftz where it is quantised), whole.

    Args:
        texts: of n documents; line breaks count as spaces.
        labels: n names without white space, one per text.
        path: of the model.
        settings: arguments of fastText.
        quantise: make it small.

    Raises:
        RequestError: fewer than two labels, one that fastText cannot write, or fastText is not installed.
        RunError: fastText failed; says what it said.
    """
    check_installed()
    _check_labels(texts, labels)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fasttext-", dir=path.parent) as folder:
        lines, made = Path(folder) / "train.txt", Path(folder) / f"model{path.suffix}"
        with lines.open("wb") as file:
            write_lines(texts, labels, file)
        task = {
            "lines": str(lines),
            "made": str(made),
            "settings": asdict(settings),
            "quantise": asdict(quantise) if quantise else None,
        }
        _run(task)
        shutil.move(made, path)


def _check_labels(texts: pa.LargeStringArray, labels: Sequence[str]) -> None:
    if len(labels) != len(texts):
        raise RequestError(f"{len(texts):,} texts have {len(labels):,} labels; expected one each")
    names = sorted(set(labels))
    if len(names) < 2:
        raise RequestError(f"a classifier needs two labels at least; found: {', '.join(names) or 'none'}")
    if wrong := [name for name in names if not name or name.split() != [name]]:
        raise RequestError(f"labels may not be empty or hold white space; found {wrong[0]!r}")


def write_lines(texts: pa.LargeStringArray, labels: Sequence[str], file: IO[bytes]) -> None:
    """Write texts as fastText reads them: a line each, `__label__NAME` first; what looks like a label is no label."""
    for start in range(0, len(texts), ROWS_AT_ONCE):
        some = plain_lines(texts.slice(start, ROWS_AT_ONCE)).cast(pa.large_binary()).to_pylist()
        names = (f"{LABEL_PREFIX}{label} ".encode() for label in labels[start : start + len(some)])
        file.write(b"".join(b"%b%b\n" % line for line in zip(names, some, strict=True)))


def plain_lines(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Texts in one line each, without white space that fastText knows but a space, and without its label prefix."""
    texts = pc.fill_null(texts, "")
    texts = pc.replace_substring_regex(texts, r"[\x00-\x20]+", " ")
    return pc.replace_substring(texts, LABEL_PREFIX, LABEL_PREFIX.strip("_"))


def _run(task: dict[str, Any]) -> None:
    """Train in a process whose memory is zeroed."""
    done = subprocess.run(
        [sys.executable, "-c", "from classifiers.fasttext_process import main; main()"],
        input=json.dumps(task),
        env=child_environment(MALLOC_PERTURB_=ZEROED, OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise RunError(f"fastText could not train on {task['lines']}: {said[0]}")
