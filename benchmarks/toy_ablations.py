"""All recipes of ablations at toy size: what each is to find, planted, and the tables that come of it.

    python -m benchmarks.toy_ablations OUT --text DIR [--only ablate-merge ...] [--results FILE]

`--text` is the folder with the development corpora's Parquet files. A folder that is there already is gone on with.
Recipes are run as they are, but for paths, sizes, how long is trained, and arms that would only cost time; see
`tests/scenarios/toy_ablations.py`. All stages run in this process, of one thread: starting one for each would take
longer than they do.
"""

import argparse
import time
from pathlib import Path

import orjson
import torch

from manifests.load import load_kind
from manifests.recipes import find_manifest
from manifests.schema_experiments import AblationManifest
from tests.scenarios.toy_ablations import TOYS, toy_changes
from tests.scenarios.training_runs import in_this_process
from training import stages
from training.experiments.ablate import ablate, check_complete
from training.experiments.cells import Measure
from training.experiments.summary_models import ArmRow, ExperimentSummary, Interval

RESULTS = Path("benchmarks/results/toy_ablations.md")
CHANGES = "changes.json"
"""What was set in a recipe, so that a killed run goes on over the same files."""


def run(name: str, folder: Path, text: Path) -> ExperimentSummary:
    """An ablation at toy size; one that was killed goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / CHANGES
    if not known.is_file():
        known.write_bytes(orjson.dumps(toy_changes(name, folder, text)))
    manifest = load_kind(AblationManifest, find_manifest(name), orjson.loads(known.read_bytes()))
    summary, at = ablate(manifest, str(folder))
    check_complete(summary, at)
    return summary


def timed(name: str, folder: Path, text: Path) -> tuple[ExperimentSummary, float]:
    """The same, and the seconds that it kept the processor busy."""
    began = time.process_time()
    return run(name, folder, text), time.process_time() - began


def table(summary: ExperimentSummary) -> str:
    """Arms against the baseline, in Markdown."""
    measures = [Measure(column.name, column.better) for column in summary.columns]
    heads = ["arm", *(measure.name for measure in measures)]
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    rows += [
        "| " + " | ".join([arm.name, *(_cell(arm, measure) for measure in measures)]) + " |" for arm in summary.arms
    ]
    return "\n".join(rows)


def _cell(arm: ArmRow, measure: Measure) -> str:
    """A mean, its difference to the baseline, and where that surely lies."""
    found = arm.figures.get(measure.name)
    if found is None:
        return ""
    return measure.value(found.mean) + _difference(arm.differences.get(measure.name), measure)


def _difference(found: Interval | None, measure: Measure) -> str:
    if found is None:
        return ""
    return f" ({measure.difference(found.mean)}; {measure.range(found, is_difference=True)})"


def written(found: dict[str, tuple[ExperimentSummary, float]]) -> str:
    """All tables."""
    about = (
        "# Recipes of ablations at toy size\n\n`python -m benchmarks.toy_ablations OUT --text DIR`: models of some "
        "hundred thousand weights, real Korean and English text, and what each ablation is to find planted in it "
        "(`tests/scenarios/toy_ablations.py`). Mean of three seeds; in brackets the difference to the first arm, "
        "seed by seed, and its interval at 95%.\n"
    )
    parts = [
        f"## {name}\n\n{TOYS[name].__doc__} {seconds:.0f} s of one core.\n\n{table(summary)}\n"
        for name, (summary, seconds) in found.items()
    ]
    return "\n".join([about, *parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=list(TOYS), default=list(TOYS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    stages.run = in_this_process  # type: ignore[assignment]
    found = {name: timed(name, asked.out.absolute() / name, asked.text.absolute()) for name in asked.only}
    tables = written(found)
    asked.results.write_text(tables, "utf-8")
    print(tables)


if __name__ == "__main__":
    main()
