"""Peak memory of `onggi curate` at 100 MB and at 2 GB of text: it may not follow the size of the input.

The input is sentences of `data/text`, reshuffled by seed into documents, as Parquet. The peak is that of the whole
process tree, sampled every 20 ms.

    python benchmarks/memory.py [--sizes-mb 100 2000]
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from sample_text import markdown, publish, write_reshuffled

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = """
kind: corpus
name: memory
inputs: [{source: text, path: "in/*.parquet", key: id}]
measure: {language: {}, signals: true}
rules:
  - {name: language, keep: "language in ('ko', 'en')"}
  - {ruleset: fineweb2-ko, when: "language = 'ko'"}
  - {ruleset: gopher, when: "language = 'en'"}
dedup: {exact: true}
output: out
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--sizes-mb", type=int, nargs="+", default=[100, 2000])
    parser.add_argument("--workdir", type=Path)
    args = parser.parse_args()
    rows, peaks = [], []
    for size in args.sizes_mb:
        with tempfile.TemporaryDirectory(dir=args.workdir) as folder:
            write_reshuffled(args.data, size * 10**6, Path(folder) / "in")
            (Path(folder) / "m.yaml").write_text(MANIFEST)
            peak, seconds = watch([sys.executable, "-m", "onggi", "curate", f"{folder}/m.yaml"])
        peaks.append(peak)
        rows.append([f"{size:,}", f"{peak / 2**20:,.0f}", f"{peak / peaks[0]:.2f}", f"{size / seconds:.1f}"])
    publish("memory", markdown(["input MB", "peak MiB", "times the first", "MB/s, start to report"], rows))


def watch(command: list[str]) -> tuple[int, float]:
    """Run a command; (peak resident bytes of its process tree, seconds)."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0

    def sample() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(0.02)

    thread = threading.Thread(target=sample)
    thread.start()
    thread.join()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return peak, time.perf_counter() - started


def tree_bytes(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        return sum(process.memory_info().rss for process in [root, *root.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    main()
