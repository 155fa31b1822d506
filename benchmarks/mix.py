"""How fast `onggi mix` is on one core, from Parquet to packed Parquet, beside those that compute ids.

    python benchmarks/mix.py --tokenizer FOLDER [--tokenizer FOLDER] [--runs 5] [--write]

All of `data/text` (each file a source) goes through `onggi mix` as a process of its own from start to end: the check
of the engine, tokenising, store, plan, packing, ledger, report. Beside it, in the same run, in turn, as processes on
the same core: Gigatoken alone (ids, kept nowhere, as its own reader of files gets them and from Arrow's batches), the
Hugging Face library, and datatrove's `DocumentTokenizer` with `DocumentTokenizerMerger` (see mix_peers.py). The last
two are slow, so they get every n-th document of each file, about --peer-mb, and run --peer-runs times; their speeds
are per MB of what they got. Kernels are compiled before the clock starts; output and store are new each time.

Speeds are of the best run. Processor time is what others on a shared machine change least. "to Parquet" leaves out
the seconds in which `onggi mix` draws its report.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from mix_memory import write_inputs
from mix_peers import end_of_text
from sample_text import markdown, publish

ROOT = Path(__file__).resolve().parent.parent
MIX, FILES, ARROW, LIBRARY, DATATROVE = "mix", "gigatoken-files", "gigatoken-arrow", "tokenizers", "datatrove"
LABELS = {
    MIX: "`onggi mix`, start to end",
    FILES: "Gigatoken alone, its own reader",
    ARROW: "Gigatoken alone, Arrow's batches",
    LIBRARY: "`tokenizers`",
    DATATROVE: "datatrove, tokenize and merge",
}
SEQUENCE_LENGTH = 4096


@dataclass(frozen=True)
class Time:
    """Seconds of one run."""

    wall: float
    processor: float
    report: float = 0.0
    """Of the wall time, that in which the report was drawn."""

    @property
    def report_processor(self) -> float:
        """Of the processor time, about: the report is drawn as fast as the rest runs."""
        return self.report * self.processor / self.wall


@dataclass(frozen=True)
class Input:
    """Parquet files and their text."""

    files: list[str]
    mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--tokenizer", type=Path, action="append", required=True, help="folder of a tokenizer.json")
    parser.add_argument("--mb", type=int, help="instead of all of data/text: so much, again and again in other words")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-runs", type=int, default=1, help="of the slow ones; 0 leaves them out")
    parser.add_argument("--peer-mb", type=float, default=20)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--workdir", type=Path, help="where inputs and outputs go; by default a temporary folder")
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    with tempfile.TemporaryDirectory(dir=options.workdir) as folder:
        if options.mb:
            write_inputs(options.data, options.mb * 10**6, Path(folder) / "in")
        found = Path(folder) / "in" if options.mb else options.data / "text"
        whole = read_input(sorted(found.glob("*.parquet")))
        part = thinned(whole, options.peer_mb, Path(folder) / "part")
        parts = [
            measure(path.resolve(), whole, part, Path(folder), options.runs, options.peer_runs)
            for path in options.tokenizer
        ]
    report = "\n".join(["# Throughput of `onggi mix`, one core\n", f"Made by `{command()}`.\n", *parts])
    if options.write:
        publish("mix", report)
    else:
        print(report)


def command() -> str:
    """How this was called, without the folders of this machine."""
    return " ".join(["benchmarks/mix.py", *(Path(word).name if "/" in word else word for word in sys.argv[1:])])


def read_input(paths: Sequence[Path]) -> Input:
    sizes = [pc.sum(pc.binary_length(pq.read_table(path, columns=["text"])["text"])).as_py() for path in paths]
    return Input([str(path.resolve()) for path in paths], sum(sizes) / 1e6)


def thinned(whole: Input, size_mb: float, folder: Path) -> Input:
    """Every n-th document of each file, about so many MB in all."""
    every, found = max(1, round(whole.mb / size_mb)), []
    folder.mkdir()
    for path in whole.files:
        rows = pq.read_table(path)
        found.append(folder / Path(path).name)
        pq.write_table(rows.take(pa.array(range(0, len(rows), every))), found[-1], compression="zstd")
    return read_input(found)


def measure(tokenizer: Path, whole: Input, part: Input, folder: Path, n_runs: int, n_peer_runs: int) -> str:
    run(MIX, tokenizer, part, folder)  # compiles
    names = {MIX: whole, FILES: whole, ARROW: whole, LIBRARY: part, DATATROVE: part}
    times: dict[str, list[Time]] = {name: [] for name in names}
    for turn in range(max(n_runs, n_peer_runs)):  # in turn, since the speed of a shared machine drifts
        for name, given in names.items():
            if turn < (n_runs if given is whole else n_peer_runs):
                times[name].append(run(name, tokenizer, given, folder))
                print(f"{tokenizer}: {name}: {times[name][-1]}", file=sys.stderr, flush=True)
    return "\n".join(
        [
            f"## {named(tokenizer)}\n",
            f"{whole.mb:.0f} MB of text, {n_runs} runs each; the slow ones {part.mb:.0f} MB, {n_peer_runs} runs.\n",
            table(times, names),
        ]
    )


def named(tokenizer: Path) -> str:
    """What a tokenizer is called, as its class and its vocabulary tell."""
    for parent in (tokenizer, *tokenizer.parents):
        for name in ("qwen3", "llama3_2", "gemma2"):
            if name in parent.name:
                return name
    return tokenizer.name


def table(times: dict[str, list[Time]], inputs: dict[str, Input]) -> str:
    def speeds(name: str, *, report: bool = True) -> tuple[float, float, float]:
        """MB/s: of the best wall time, of the best processor time, of the median wall time."""
        walls = [one.wall - (0 if report else one.report) for one in times[name]]
        processor = min(one.processor - (0 if report else one.report_processor) for one in times[name])
        best = min(walls), processor, statistics.median(walls)
        return tuple(inputs[name].mb / seconds for seconds in best)  # type: ignore[return-value]

    rows = {LABELS[name]: speeds(name) for name in times if times[name]}
    rows = {LABELS[MIX]: rows[LABELS[MIX]], "`onggi mix`, to Parquet": speeds(MIX, report=False), **rows}
    alone = [max(rows[LABELS[name]][of] for name in (FILES, ARROW)) for of in range(3)]
    slow = rows.get(LABELS[DATATROVE])
    header = ["", "MB/s (wall)", "MB/s (processor)", "MB/s (median wall)", "of Gigatoken alone", "times datatrove"]
    lines = []
    for label, (wall, processor, median) in rows.items():
        of_alone = f"{wall / alone[0]:.2f} / {processor / alone[1]:.2f} / {median / alone[2]:.2f}"
        of_slow = f"{wall / slow[0]:.1f} / {processor / slow[1]:.1f}" if slow else ""
        lines.append([label, f"{wall:.1f}", f"{processor:.1f}", f"{median:.1f}", of_alone, of_slow])
    return markdown(header, lines) + "\nRatios: wall / processor (/ median wall).\n"


def run(name: str, tokenizer: Path, given: Input, folder: Path) -> Time:
    """One process, which inherits the one core; what it writes is removed again."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        if name == MIX:
            manifest = Path(output) / "mix.yaml"
            manifest.write_text(yaml.safe_dump(mixture(tokenizer, given)))
            call = [sys.executable, "-m", "onggi", "mix", str(manifest)]
        else:
            peers = str(ROOT / "benchmarks/mix_peers.py")
            call = [sys.executable, peers, name, str(tokenizer / "tokenizer.json"), f"{output}/out", *given.files]
        os.sync()  # what the run before has written is not this one's to wait for
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(call, capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"{' '.join(call[:4])}: {done.stderr.decode()[-2000:]}")
        record = Path(output) / "out/run.json"
        report = orjson.loads(record.read_bytes())["timings"].get("report", 0.0) if name == MIX else 0.0
    return Time(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, report)


def mixture(tokenizer: Path, given: Input) -> dict[str, object]:
    """A manifest in which each file is a source, and all of it is taken."""
    sources = [
        {"name": Path(path).stem, "path": path, "category": Path(path).stem[:2], "language": "lang"}
        for path in given.files
    ]
    end = end_of_text(str(tokenizer / "tokenizer.json"))
    return {
        "kind": "mixture",
        "name": "speed",
        "tokenizer": {"path": str(tokenizer), "eod": end},
        "sequence_length": SEQUENCE_LENGTH,
        "sources": sources,
        "output": "out",
    }


if __name__ == "__main__":
    main()
