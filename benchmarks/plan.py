"""`onggi plan` beside the runs that it speaks of: time, memory and disk, predicted and as they were.

Each prediction and each run is a process of its own, without workers. The corpora: `data/text` as it is; the same
with repeated lines and stretches; the crawls of `data/web`, eight copies of each; sentences of `data/text` shuffled.

    python benchmarks/plan.py [--data ../shared/data]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sample_text import markdown, publish, write_reshuffled

ROOT = Path(__file__).resolve().parent.parent
N_COPIES = 8
MANIFEST = """
kind: corpus
name: plan
inputs: [{{source: text, path: "{path}"{key}}}]
measure: {{language: {{}}, signals: true}}
rules:
  - {{name: language, keep: "language in ('ko', 'en')"}}
  - {{ruleset: fineweb2-ko, when: "language = 'ko'"}}
  - {{ruleset: gopher, when: "language = 'en'"}}
dedup: {{{dedup}}}
output: out
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--reshuffled-mb", type=int, default=300)
    parser.add_argument("--once", nargs=2, metavar=("WHAT", "MANIFEST"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        what, manifest = args.once
        print(json.dumps(predicted(manifest) if what == "plan" else actual(manifest)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path, key, dedup in cases(args.data.resolve(), args.reshuffled_mb, Path(folder)):
            manifest = Path(folder) / "m.yaml"
            manifest.write_text(MANIFEST.format(path=path, key=key, dedup=dedup))
            both = [once(what, manifest) for what in ("plan", "run")]
            shutil.rmtree(Path(folder) / "out")
            rows += [row(name, quantity, *(found[quantity] for found in both)) for quantity in both[1]]
            print(markdown(HEADER, rows[-5:]), flush=True)
    publish("plan", markdown(HEADER, rows))


HEADER = ["corpus", "", "predicted", "as it was", "ratio"]


def cases(data: Path, reshuffled_mb: int, folder: Path) -> list[tuple[str, Path, str, str]]:
    """(name, path, key, dedup) of each corpus."""
    (folder / "web").mkdir()
    for path in sorted((data / "web").glob("*.warc.gz")):
        for number in range(N_COPIES):
            shutil.copy(path, folder / "web" / f"{number}-{path.name}")
    write_reshuffled(data, reshuffled_mb * 10**6, folder / "reshuffled")
    text = data / "text/*.parquet"
    return [
        ("data/text, near", text, ", key: id", "near: {}"),
        ("data/text, lines and spans", text, ", key: id", "exact: true, lines: {}, spans: {}"),
        (f"data/web x {N_COPIES}, near", folder / "web/*.warc.gz", "", "near: {}"),
        (f"{reshuffled_mb} MB reshuffled, near", folder / "reshuffled/*.parquet", ", key: id", "near: {}"),
    ]


def once(what: str, manifest: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--once", what, str(manifest)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def job_of(manifest: str):
    from curation.pipeline import prepare
    from manifests.load import load_manifest

    return prepare(load_manifest(manifest), str(Path(manifest).parent))


def predicted(manifest: str) -> dict[str, float]:
    from curation.plan import estimate

    found = estimate(job_of(manifest))
    return {
        "records": found.n_records,
        "seconds": found.seconds,
        "memory, MB": found.ram_bytes / 1e6,
        "disk at the peak, MB": found.disk_bytes / 1e6,
        "disk at the end, MB": found.kept_bytes / 1e6,
    }


def actual(manifest: str) -> dict[str, float]:
    from curation.pipeline import curate
    from curation.plan_watch import StepWatch, table_bytes
    from manifests.store import Folder

    job = job_of(manifest)
    run = Folder(job.output)
    with StepWatch(run) as watch:
        record = curate(job, watch)
        watch("report", 1, 1)
    return {
        "records": record.counts["read"],
        "seconds": sum(took.seconds for took in watch.steps.values()),
        "memory, MB": record.peak_memory_bytes / 1e6,
        "disk at the peak, MB": max(took.disk_bytes for took in watch.steps.values()) / 1e6,
        "disk at the end, MB": sum(table_bytes(run).values()) / 1e6,
    }


def row(name: str, quantity: str, guess: float, truth: float) -> list[str]:
    return [name, quantity, f"{guess:,.0f}", f"{truth:,.0f}", f"{guess / truth:.2f}"]


if __name__ == "__main__":
    main()
