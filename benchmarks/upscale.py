"""Stacking a checkpoint beside mergekit's `passthrough`: time, anonymous memory, and whether tensors are the same.

    python benchmarks/upscale.py [--gigabytes 2] [--dtype bfloat16] [--rounds 3] [--workdir FOLDER] [--write]

A Llama of random weights becomes deeper in SOLAR's form, a quarter of its layers dropped from each copy (of 32, m = 8
gives 48), on each side in processes of its own, from start to end, in turn; one round is not counted, so that both
read from the page cache. Memory and seconds are measured as `benchmarks/merge.py` does, beside them a plain copy of
the result by `cp`: what the disk allows.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import orjson
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from merge import HOLD, IMPORTED, OURS, STORED, Run, config, random_numbers, shapes_of, watched
from sample_text import markdown, publish

from training.merging.inputs import from_float32
from training.model_files import open_checkpoint
from training.safetensors_shards import Planned, file_names, open_shard, shards_of, write_index
from training.stacking.layers import solar, spans

SHARD_BYTES = 10**9
OUR_IMPORTS = "import onggi, training.stacking.upscale, training.stacking.options"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--dtype", choices=list(STORED), default="bfloat16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workdir", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.workdir) as name:
        report = measured(Path(name), options.gigabytes, options.dtype, options.rounds)
    if options.write:
        publish("upscale", report)
    else:
        print(report)


def measured(folder: Path, gigabytes: float, dtype: str, n_rounds: int) -> str:
    """Both sides and a plain copy, in turn."""
    n_layers, n_bytes = make_model(folder / "model", gigabytes, dtype)
    drop = n_layers // 4
    layers = solar(n_layers, drop)
    commands = {
        "onggi": [*OURS, "upscale", str(folder / "model"), "-o", str(folder / "by-onggi"), "--drop", str(drop)],
        "mergekit": theirs(folder, layers, dtype),
        "cp of the result": ["cp", "-r", str(folder / "by-onggi"), str(folder / "by-cp of the result")],
    }
    imports = {"onggi": OUR_IMPORTS, "mergekit": IMPORTED["mergekit"]}
    base = {name: watched([sys.executable, "-c", text + HOLD]).peak for name, text in imports.items()}
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(n_rounds + 1):
        for name, command in commands.items():
            shutil.rmtree(folder / f"by-{name}", ignore_errors=True)
            done = watched(command)
            runs[name] += [done] if number else []
            print(name, number, f"{done.seconds:.1f} s, {done.peak / 2**20:,.0f} MiB", file=sys.stderr, flush=True)
    columns = ["", "seconds", "range", "of the CPU", "imports, MiB", "above them, MiB"]
    made = sum(path.stat().st_size for path in (folder / "by-onggi").glob("*.safetensors"))
    rows = [row(name, of, base.get(name, 0)) for name, of in runs.items()]
    made_of = (
        f"{n_layers} layers to {len(layers)} (m = {drop}), {n_bytes / 1e9:.2f} GB in {dtype} to {made / 1e9:.2f} GB"
    )
    return (
        f"# Stacking a checkpoint\n\nMade by `benchmarks/upscale.py`: {made_of}; {n_rounds} rounds, from "
        f"the start of the process to its end.\n\n{markdown(columns, rows)}\n\n{compared(folder)}\n"
    )


def row(name: str, runs: list[Run], base: int) -> list[str]:
    """A row of the table."""
    seconds = [run.seconds for run in runs]
    above = max(run.peak for run in runs) - base
    cells = [name, f"{median(seconds):.1f}", f"{min(seconds):.1f} to {max(seconds):.1f}"]
    return [*cells, f"{median(run.cpu_s for run in runs):.1f}", f"{base / 2**20:,.0f}", f"{above / 2**20:,.0f}"]


def make_model(folder: Path, gigabytes: float, dtype: str) -> tuple[int, int]:
    """Write a model; its layers and bytes."""
    shapes = shapes_of(int(gigabytes * 1e9 / (2 if dtype == "bfloat16" else 4)))
    tensors = [Planned(name, STORED[dtype], shape) for name, shape in shapes.items()]
    shards = shards_of(tensors, SHARD_BYTES)
    folder.mkdir()
    for file, shard in zip(file_names(len(shards)), shards, strict=True):
        with open_shard(folder / file, shard) as writer:
            for tensor in shard:
                content = from_float32(random_numbers(tensor, "first"), tensor.dtype, tensor.name)
                writer.write(tensor.name, 0, memoryview(content).cast("B"))
    write_index(folder, shards)
    written = config(shapes, dtype)
    (folder / "config.json").write_bytes(orjson.dumps(written))
    return int(str(written["num_hidden_layers"])), sum(tensor.n_bytes for tensor in tensors)


def theirs(folder: Path, layers: list[int], dtype: str) -> list[str]:
    """mergekit with its own defaults."""
    sources = [{"model": str(folder / "model"), "layer_range": list(span)} for span in spans(layers)]
    setting = {"merge_method": "passthrough", "slices": [{"sources": [source]} for source in sources], "dtype": dtype}
    (folder / "mergekit.yaml").write_text(yaml.safe_dump(setting))
    command = [sys.executable, "-m", "mergekit.scripts.run_yaml", str(folder / "mergekit.yaml")]
    return [*command, str(folder / "by-mergekit"), "--quiet"]


def compared(folder: Path) -> str:
    """Whether both sides wrote the same tensors."""
    ours, others = (open_checkpoint(side, folder / f"by-{side}").tensors for side in ("onggi", "mergekit"))
    differ = [name for name in ours.keys() | others.keys() if not _same(ours.get(name), others.get(name))]
    said = "the same bytes in both" if not differ else f"other in {len(differ)}, as {sorted(differ)[0]}"
    return f"{len(ours)} tensors: {said}."


def _same(first: object, second: object) -> bool:
    if first is None or second is None or (first.dtype, first.shape) != (second.dtype, second.shape):  # type: ignore[attr-defined]
        return False
    parts = [np.memmap(of.file, np.uint8, "r", of.begin, (of.n_bytes,)) for of in (first, second)]  # type: ignore[attr-defined]
    return bool((parts[0] == parts[1]).all())


if __name__ == "__main__":
    main()
