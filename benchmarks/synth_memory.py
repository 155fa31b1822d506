"""Peak memory of `onggi synth` at 2,000 to 100,000 samples: it may not follow their number.

    python benchmarks/synth_memory.py [--samples 2000 20000 100000]     # writes benchmarks/results/synth_memory.md

Each question is a sum, asked twice; the answers are put into the store beforehand, each with other words, two of
three right, so that the run asks nobody and what is measured is its own: seeds, verification, gates, tables, summary.
The peak is the resident memory of the whole process tree, sampled every 20 ms.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import orjson
import yaml
from memory import watch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from manifests.load import load_kind
from manifests.schema_synthesis import SynthesisManifest
from synth.samples import Item
from synth.tables import key_of, makers_of
from synth.tasks.reasoning import Reasoning
from synth.teachers.answers import Answer, AnswerStore, Entry
from tests.synth.scripted import setting

RESULTS = Path(__file__).parent / "results" / "synth_memory.md"
ENTRIES_AT_ONCE = 5000
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "r", "st", "l", "m", "nd", "k")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[2_000, 20_000, 100_000])
    options = parser.parse_args()
    rows, peaks = [], []
    for n_samples in options.samples:
        with tempfile.TemporaryDirectory() as folder:
            path = prepare(Path(folder), n_samples // 2)
            peak, seconds = watch([sys.executable, "-m", "onggi", "synth", str(path)])
            counts = orjson.loads((Path(folder) / "out/run.json").read_bytes())["counts"]
        peaks.append(peak)
        row = [f"{counts['samples']:,}", f"{counts['kept']:,}", f"{peak / 2**20:,.0f}", f"{peak / peaks[0]:.2f}"]
        rows.append(f"| {' | '.join([*row, f'{seconds:.0f}'])} |")
        print(rows[-1], flush=True)
    head = ["| samples | kept | peak MiB | against the first | seconds |", "|---:|---:|---:|---:|---:|"]
    RESULTS.write_text("\n".join([*head, *rows]) + "\n", "utf-8")


def prepare(folder: Path, n_questions: int) -> Path:
    """Seeds, a manifest, and all answers that it will ask for."""
    questions = [(f"q{n}", f"What is {n} + {n * 7919 % 9973}?", str(n + n * 7919 % 9973)) for n in range(n_questions)]
    rows = [{"id": name, "question": question, "answer": answer} for name, question, answer in questions]
    (folder / "seeds.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    seeds = {"path": "seeds.jsonl", "text": "question", "answer": "answer", "id": "id", "set": {"language": "en"}}
    manifest = {
        "kind": "synthesis",
        "name": "memory",
        "task": {"kind": "reasoning", "samples": 2, "keep": 2},
        "seeds": [seeds],
        "teacher": {"model": "t", "url": "http://127.0.0.1:9/v1", "sampling": {"temperature": 0.7}},
        "gates": ["language", "length", "repetition", "refusal", {"gate": "near", "of": "answer"}],
        "output": "out",
    }
    path = folder / "memory.yaml"
    path.write_text(yaml.safe_dump(manifest), "utf-8")
    found = load_kind(SynthesisManifest, str(path))
    task, makers = Reasoning(setting(found)), makers_of(found)
    with AnswerStore(folder / "out" / "answers.sqlite") as store:
        entries = []
        for name, question, answer in questions:
            for ask in next(task.run(Item(name, question, "en", answer=answer))):
                entries.append(Entry(key_of(ask, makers), ask.request, said(question, answer, len(entries))))
            if len(entries) >= ENTRIES_AT_ONCE or name == questions[-1][0]:
                store.put(entries, "t", "")
                entries = []
    return path


def said(question: str, answer: str, number: int) -> Answer:
    """An answer in other words than all others."""
    chance = random.Random(f"{question} {number}")
    words = " ".join(chance.choice(WORDS) for _ in range(120))
    result = int(answer) + (chance.random() < 1 / 3)
    return Answer(
        f"{question} We add both. {words}.\n\nThe answer is \\boxed{{{result}}}.", "stop", None, None, 100, 150
    )


if __name__ == "__main__":
    main()
