"""Of benchmarks/distill_memory.py: processes of their own, at the size of a real vocabulary."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "distill_memory.py"


def peak_mib(side: str, *arguments: str) -> float:
    command = [sys.executable, str(SCRIPT), *arguments, "--child", side]
    return float(orjson.loads(subprocess.run(command, check=True, capture_output=True).stdout)["mib"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["forward_kl", "skew_kl", "js"])
def test_at_most_half_as_much_again_as_plain_cross_entropy(kind: str) -> None:
    """A vocabulary of 128,256; forwards and backwards."""
    assert peak_mib(kind) <= 1.5 * peak_mib("cross entropy")


@pytest.mark.slow
def test_memory_does_not_follow_the_vocabulary() -> None:
    """Beside the gradient of the matrix, four times the vocabulary takes no more, where plain takes four times."""
    width = 32
    peaks = [
        peak_mib("skew_kl", "--width", f"{width}", "--teacher-width", f"{width}", "--vocabulary", f"{n_ids}")
        - n_ids * width * 4 / 2**20
        for n_ids in (32_000, 128_000)
    ]
    assert peaks[1] <= 1.25 * peaks[0]
