"""A whole run of `onggi synth` over a teacher that is partly right by construction: what is kept, and what it takes.

The teacher answers 500 questions of GSM8K and 500 Korean word problems twice each, on the loopback: right in many
forms, wrong, right in a form that is not read, cut off, in another language, copied from elsewhere, or with an item
of a benchmark in it; which sample is which is known (tests/synth/fixture_teacher.py). Precision and recall are those
of the samples that are kept, by these labels. The run is then made again over the answers that are kept.

    ONGGI_SHARED=... python benchmarks/synthesis.py            # writes benchmarks/results/synthesis.md
"""

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from synth.pipeline import synthesize
from tests.scenarios.test_synth_fixture import fixture_manifest, reasons_of
from tests.synth.chat_server import ChatServer
from tests.synth.fixture_teacher import FixtureTeacher

RESULTS = Path(__file__).parent / "results" / "synthesis.md"
SHARED = Path(os.environ.get("ONGGI_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"


def main() -> None:
    teacher = FixtureTeacher(SHARED)
    with tempfile.TemporaryDirectory() as folder, ChatServer(teacher.as_choice) as server:
        teacher.write_seeds(Path(folder) / "seeds.jsonl")
        manifest = fixture_manifest(server.url, SHARED)
        seconds = []
        for _ in range(2):
            (Path(folder) / "out/run.json").unlink(missing_ok=True)
            started = time.perf_counter()
            record, _ = synthesize(manifest, folder, f"{folder}/out")
            seconds.append(time.perf_counter() - started)
        reasons = reasons_of(Path(folder) / "out")
    lines = [
        f"{record.counts['items']:,} questions, {record.counts['samples']:,} samples. The whole run took "
        f"{seconds[0]:.0f} s, and {seconds[1]:.0f} s when all answers were there already; peak memory "
        f"{record.peak_memory_bytes / 2**20:.0f} MiB.",
        "",
        "| language | kept | precision | recall |",
        "|---|---|---|---|",
    ]
    for language in ("en", "ko"):
        score = teacher.score(language, reasons)
        lines.append(f"| {language} | {score.n_kept} | {score.precision:.4f} | {score.recall:.4f} |")
    lines += ["", "| what the teacher did | samples | kept | rejected by |", "|---|---|---|---|"]
    labels = Counter(said.label for said in teacher.said.values())
    for label, n in sorted(labels.items(), key=lambda of: -of[1]):
        found = Counter(reasons[key] for key, said in teacher.said.items() if said.label == label)
        why = ", ".join(f"{reason} {count}" for reason, count in found.most_common() if reason)
        lines.append(f"| {label} | {n} | {found[None]} | {why} |")
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
