"""How long a new decision takes beside the run that measured: all WARC files of `data/web`, Korean and English rules.

python benchmarks/decide.py
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sample_text import markdown, publish

from manifests.record import read_record
from manifests.store import Folder

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = """
kind: corpus
name: web
inputs:
{inputs}
measure: {{language: {{}}, signals: true}}
rules:
  - {{name: language, keep: "language in ('ko', 'en') and language_score >= {score}"}}
  - {{ruleset: fineweb2-ko, when: "language = 'ko'"}}
  - {{ruleset: gopher, when: "language = 'en'"}}
dedup: {{exact: true}}
output: {output}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--copies", type=int, default=12)
    args = parser.parse_args()
    path = args.data.resolve() / "web/*.warc.gz"
    inputs = "\n".join(f'  - {{source: s{number}, path: "{path}"}}' for number in range(args.copies))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for score, output in ((0.65, "first"), (0.8, "fresh")):
            text = MANIFEST.format(inputs=inputs, score=score, output=output)
            (folder / f"{output}.yaml").write_text(text)
        run("curate", str(folder / "first.yaml"))  # what `decide` starts from; compiles the kernels
        rows = [
            timed("curate, new thresholds", "curate", str(folder / "fresh.yaml")),
            timed("decide, new thresholds", *decide_arguments(folder)),
        ]
        fresh, decided = (read_record(Folder(str(folder / name))) for name in ("fresh", "decided"))
    equal = fresh.digests == decided.digests
    ratio = float(rows[1][1]) / float(rows[0][1])
    table = markdown(["command", "seconds, whole process"], rows)
    publish("decide", f"{table}\ndecide / curate = {ratio:.3f}; digests equal: {equal}\n")
    sys.exit(not equal)


def decide_arguments(folder: Path) -> list[str]:
    return ["decide", str(folder / "first"), "--manifest", str(folder / "fresh.yaml"), "-o", str(folder / "decided")]


def timed(what: str, *arguments: str) -> list[str]:
    started = time.perf_counter()
    run(*arguments)
    return [what, f"{time.perf_counter() - started:.2f}"]


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "onggi", *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    main()
