"""How fast signals are measured on one core, beside datatrove's English filters, and what a first call costs.

python benchmarks/signals.py --data ../shared/data

Speeds are of processor time, medians of three, on a seeded sample of whole documents per language. datatrove stands
here with `str.split()` for its word tokenizer, so what is compared is the counting; with spaCy or Kiwi words it is
far slower still.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sample_text import markdown, publish, write_sample

from curation import signals
from curation.kernels import duplicates, korean, lines, pieces, words
from curation.signals import SIGNALS, measure_signals
from tests.curation.datatrove_oracle import REASONS, whitespace_datatrove

KERNELS = {
    "words and n-grams": (words, "measure_words"),
    "paragraphs and lines": (duplicates, "measure_duplicates"),
    "lines, C4": (lines, "measure_lines"),
    "Korean endings, letters, spam": (korean, "measure_korean"),
    "pieces": (pieces, "measure_pieces"),
}
FIRST_CALL = """
import time, pyarrow as pa
from curation.signals import measure_signals
start = time.perf_counter(), time.process_time()
measure_signals(pa.array([], pa.large_string()))
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--mb", type=float, default=5, help="megabytes of text per language")
    parser.add_argument("--peer-mb", type=float, default=1, help="how much of it datatrove reads")
    options = parser.parse_args()
    samples = {language: sample(options.data, language, options.mb) for language in ("en", "ko")}
    peers = {language: sample(options.data, language, options.peer_mb) for language in ("en", "ko")}
    measure_signals(samples["ko"])
    speeds = [speed_row(language, samples[language], peers[language]) for language in samples]
    parts = [kernel_row(language, texts) for language, texts in samples.items()]
    publish("signals", report(speeds, parts, first_calls()))


def sample(data: Path, language: str, size_mb: float) -> pa.LargeStringArray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.parquet"
        write_sample(data, language, int(size_mb * 1e6), path)
        return pq.read_table(path)["text"].combine_chunks()


def size_mb(texts: pa.LargeStringArray) -> float:
    return texts.buffers()[2].size / 1e6


def seconds(work: Callable[[], object]) -> float:
    """Median processor time of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def speed_row(language: str, texts: pa.LargeStringArray, peer_texts: pa.LargeStringArray) -> list[str]:
    ours = size_mb(texts) / seconds(lambda: measure_signals(texts))
    documents = peer_texts.to_pylist()
    with whitespace_datatrove() as datatrove:
        peer_s = seconds(lambda: [datatrove.reason(name, text) for text in documents for name in REASONS])
    theirs = size_mb(peer_texts) / peer_s
    return [
        language,
        f"{len(texts):,}",
        f"{size_mb(texts):.1f}",
        f"{ours:.0f}",
        f"{theirs:.2f}",
        f"{ours / theirs:.0f}",
    ]


def kernel_row(language: str, texts: pa.LargeStringArray) -> list[str]:
    """Milliseconds per megabyte of each kernel, and of all that measure_signals does."""
    spent: dict[str, float] = {}
    for label, (module, name) in KERNELS.items():
        kernel = getattr(module, name)

        def timed(*arguments: object, kernel: Callable[..., None] = kernel, label: str = label) -> None:
            spent[label] = seconds(lambda: kernel(*arguments))

        setattr(module, name, timed)
        try:
            measure_signals(texts)
        finally:
            setattr(module, name, kernel)
    total = seconds(lambda: measure_signals(texts))
    return [language, *(f"{1000 * value / size_mb(texts):.1f}" for value in (*spent.values(), total))]


def first_calls() -> list[list[str]]:
    """Wall and processor seconds of the first call in a fresh process, with an empty and a filled Numba cache."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for label in ("empty cache", "filled cache"):
            command = [sys.executable, "-c", FIRST_CALL]
            environment = os.environ | {"NUMBA_CACHE_DIR": cache}
            root = Path(signals.__file__).parent.parent
            done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=True)
            wall_s, cpu_s = map(float, done.stdout.split())
            rows.append([label, f"{wall_s:.1f}", f"{cpu_s:.1f}"])
    return rows


def report(speeds: list[list[str]], parts: list[list[str]], first: list[list[str]]) -> str:
    return "\n".join(
        [
            f"# All {len(SIGNALS)} signals, one core, MB of text per second of processor time\n",
            markdown(["language", "documents", "MB", "Onggi", "datatrove, str.split words", "ratio"], speeds),
            "Where the time goes, in ms per MB:\n",
            markdown(["language", *KERNELS, "all"], parts),
            "First call in a fresh process, seconds:\n",
            markdown(["Numba cache", "wall", "processor"], first),
        ]
    )


if __name__ == "__main__":
    main()
