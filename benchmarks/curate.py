"""How fast Onggi curates on one core, beside datatrove on the same samples in the same run.

The samples are seeded 5 MB of `data/text` per language. Onggi runs from Parquet to the written corpus and ledger:
language, all signals, the rulesets of that language, exact dedup; kernels are compiled and models loaded before the
clock starts, and the report is not timed. datatrove runs language identification and the same filters from Parquet to
Parquet, in an environment of its own (see datatrove_pipeline.py), its tokenizers loaded before the clock starts.

    python benchmarks/curate.py [--datatrove ../venvs/datatrove/bin/python]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from sample_text import markdown, publish, write_sample

ROOT = Path(__file__).resolve().parent.parent
RULES = {"en": "[{ruleset: gopher}, {ruleset: c4}, {ruleset: fineweb}]", "ko": "[{ruleset: fineweb2-ko}]"}
MANIFEST = """
kind: corpus
name: bench
inputs: [{{source: text, path: {path}, key: id}}]
measure: {{language: {{}}, signals: true}}
rules: {rules}
dedup: {{exact: true}}
output: {output}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--datatrove", type=Path, help="python of datatrove's environment; without it Onggi alone")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer-runs", type=int, default=3)
    parser.add_argument("--languages", nargs="+", default=["en", "ko"])
    parser.add_argument("--mb", type=float, default=5.0)
    parser.add_argument("--once", nargs=3, metavar=("PATH", "LANGUAGE", "OUTPUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        run_once(*args.once)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [compare(language, Path(folder), args) for language in args.languages]
    header = ["language", "MB", "Onggi MB/s", "of it: signals MB/s", "language MB/s", "datatrove MB/s", "ratio"]
    publish("curate", markdown(header, rows))


def compare(language: str, folder: Path, args: argparse.Namespace) -> list[str]:
    path = folder / f"{language}.parquet"
    size = write_sample(args.data, language, int(args.mb * 1e6), path) / 1e6
    ours, peers = [], []
    for number in range(args.runs):  # in turn, since the speed of a shared machine drifts
        ours.append(timed(path, language, folder / f"{language}-{number}"))
        if args.datatrove and number < args.peer_runs:
            peers.append(datatrove(args.datatrove, path, language, folder / f"dt-{language}-{number}"))
    rate = statistics.median(size / (run["measure"] + run["decide"]) for run in ours)
    signals = statistics.median(size / run["measure.signals"] for run in ours)
    identify = statistics.median(size / run["measure.language"] for run in ours)
    row = [language, f"{size:.1f}", f"{rate:.1f}", f"{signals:.1f}", f"{identify:.1f}"]
    if not peers:
        return [*row, "", ""]
    peer = statistics.median(size / run["wall_s"] for run in peers)
    return [*row, f"{peer:.3f}", f"{rate / peer:.0f}"]


def one_core() -> dict[str, str]:
    return {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}


def timed(path: Path, language: str, output: Path) -> dict[str, float]:
    """Seconds of each step of one run in a process of its own, bound to one core."""
    command = ["taskset", "-c", "0", sys.executable, __file__, "--once", str(path), language, str(output)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=one_core())
    timings: dict[str, float] = json.loads(answer.stdout)
    return timings


def run_once(path: str, language: str, output: str) -> None:
    from curation.pipeline import curate, prepare, warm_up
    from manifests.load import parse_manifest

    text = MANIFEST.format(path=path, rules=RULES[language], output=output)
    job = prepare(parse_manifest(text, "bench"), "/")
    warm_up(job.manifest)
    json.dump(curate(job).timings, sys.stdout)


def datatrove(python: Path, path: Path, language: str, output: Path) -> dict[str, float]:
    script = Path(__file__).parent / "datatrove_pipeline.py"
    command = ["taskset", "-c", "0", str(python), str(script), "--language", language, "--input", str(path)]
    answer = subprocess.run([*command, "--out", str(output)], check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(answer.stdout.strip().splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
