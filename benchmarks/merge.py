"""SLERP of two checkpoints beside mergekit: time, anonymous memory, and how far the results lie apart.

    python benchmarks/merge.py [--gigabytes 2] [--dtype bfloat16] [--rounds 3] [--workdir FOLDER] [--write]

Two Llamas of random weights are made once, the second so near the first in half of its layers that SLERP falls back
to the straight line. Each side merges them in processes of its own, from start to end: `onggi merge` and
`mergekit-yaml`, in turn, one round uncounted so that both read from the page cache. `RssAnon` of /proc/PID/status is
sampled every 10 ms, so pages of files that are mapped do not count; its baseline is what such a process has once all
is imported. Seconds of the CPU are told beside those of the clock, since they depend less on what else runs.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sample_text import markdown, publish

from training.merging.arithmetic import COLLINEAR
from training.merging.inputs import from_float32, numbers_of
from training.safetensors_files import Tensor, read_header
from training.safetensors_shards import Planned, file_names, open_shard, shards_of, write_index

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, VOCABULARY = 2048, 5632, 16, 4, 64_000
STORED = {"bfloat16": "BF16", "float32": "F32"}
T = [("self_attn", [0, 0.5, 0.3, 0.7, 1]), ("mlp", [1, 0.5, 0.7, 0.3, 0]), (None, 0.5)]
SAMPLE_S = 0.01
COMPARED = 1 << 22
OURS = [sys.executable, "-m", "onggi"]
IMPORTED = {
    "onggi": "import onggi, training.merging.merge, training.merging.options, manifests.load",
    "mergekit": "import mergekit.scripts.run_yaml, mergekit.architecture, mergekit.merge, transformers.models.llama",
}


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
        publish("merge", report)
    else:
        print(report)


def measured(folder: Path, gigabytes: float, dtype: str, n_rounds: int) -> str:
    largest, total = make_both(folder, gigabytes, dtype)
    commands = {"onggi": ours(folder), "mergekit": theirs(folder)}
    base = {name: watched([sys.executable, "-c", imported + HOLD]).peak for name, imported in IMPORTED.items()}
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(n_rounds + 1):
        for name, command in commands.items():
            shutil.rmtree(folder / f"by-{name}", ignore_errors=True)
            done = watched(command)
            runs[name] += [done] if number else []
            told = f"{done.seconds:.1f} s, {done.cpu_s:.1f} s of the CPU, {done.peak / 2**20:,.0f} MiB"
            print(name, number, told, file=sys.stderr, flush=True)
    rows = [row(name, runs, base[name], largest) for name in commands]
    columns = ["", "seconds", "range", "against mergekit", "of the CPU", "against mergekit", "imports, MiB"]
    columns += ["above them, MiB", "of the largest tensor"]
    apart, of, where = difference(folder / "by-onggi", folder / "by-mergekit")
    ours_off, theirs_off = off_float64(folder, where)
    paths = merge_report(folder)["paths"]
    shares = ", ".join(f"{path} {part['n_parameters'] / total['numbers']:.0%}" for path, part in paths.items())
    size = f"{total['bytes'] / 1e9:.2f} GB in {dtype}"
    return (
        f"# SLERP of two checkpoints\n\nMade by `benchmarks/merge.py`: two of {size}, "
        f"{total['numbers'] / 1e6:,.0f} million numbers each; the largest tensor has {largest / 2**20:,.0f} MiB in "
        f"float32; {os.cpu_count()} cores, {n_rounds} rounds, from the start of the process to its end.\n\n"
        f"{markdown(columns, rows)}\n\nParameters by path: {shares}. Largest difference between both: {apart:.2g} "
        f"(of numbers up to {of:.2g}), in {where}; there Onggi is {ours_off:.2g} off float64, and mergekit "
        f"{theirs_off:.2g}.\n"
    )


HOLD = "; import time; time.sleep(0.5)"


@dataclass(frozen=True)
class Run:
    """What a command took."""

    peak: int
    """Most anonymous memory, in bytes."""
    seconds: float
    cpu_s: float


def row(name: str, runs: dict[str, list[Run]], base: int, largest: int) -> list[str]:
    """A row of the table."""
    clock, cpu = ({side: [getattr(run, of) for run in runs[side]] for side in runs} for of in ("seconds", "cpu_s"))
    above = max(run.peak for run in runs[name]) - base
    cells = [name, f"{median(clock[name]):.1f}", f"{min(clock[name]):.1f} to {max(clock[name]):.1f}"]
    cells += [f"{median(clock[name]) / median(clock['mergekit']):.2f}", f"{median(cpu[name]):.1f}"]
    cells += [f"{median(cpu[name]) / median(cpu['mergekit']):.2f}", f"{base / 2**20:,.0f}"]
    return [*cells, f"{above / 2**20:,.0f}", f"{above / largest:.2f}"]


def make_both(folder: Path, gigabytes: float, dtype: str) -> tuple[int, dict[str, int]]:
    """Write both models; bytes of the largest tensor in float32, and the bytes and numbers of a model."""
    per_number = 2 if dtype == "bfloat16" else 4
    shapes = shapes_of(int(gigabytes * 1e9 / per_number))
    tensors = [Planned(name, STORED[dtype], shape) for name, shape in shapes.items()]
    for model in ("first", "second"):
        (folder / model).mkdir()
        shards = shards_of(tensors, 10**9)
        for file, shard in zip(file_names(len(shards)), shards, strict=True):
            with open_shard(folder / model / file, shard) as writer:
                for tensor in shard:
                    content = from_float32(random_numbers(tensor, model), tensor.dtype, tensor.name)
                    writer.write(tensor.name, 0, memoryview(content).cast("B"))
        write_index(folder / model, shards)
        (folder / model / "config.json").write_bytes(orjson.dumps(config(shapes, dtype)))
    largest = 4 * max(tensor.n_numbers for tensor in tensors)
    return largest, {key: sum(getattr(of, f"n_{key}") for of in tensors) for key in ("bytes", "numbers")}


def shapes_of(n_numbers: int) -> dict[str, tuple[int, ...]]:
    """A Llama's tensors, of as many layers as fit."""
    kv = HIDDEN * KV_HEADS // HEADS
    layer = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (kv, HIDDEN), "self_attn.v_proj": (kv, HIDDEN)}
    layer |= {"self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (INTERMEDIATE, HIDDEN)}
    layer |= {"mlp.up_proj": (INTERMEDIATE, HIDDEN), "mlp.down_proj": (HIDDEN, INTERMEDIATE)}
    norms = {"input_layernorm": (HIDDEN,), "post_attention_layernorm": (HIDDEN,)}
    per_layer = sum(int(np.prod(shape)) for shape in [*layer.values(), *norms.values()])
    n_layers = max(2, -(-(n_numbers - 2 * VOCABULARY * HIDDEN) // per_layer))
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for n in range(n_layers):
        shapes |= {f"model.layers.{n}.{name}.weight": shape for name, shape in (layer | norms).items()}
    return shapes | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCABULARY, HIDDEN)}


def random_numbers(tensor: Planned, model: str) -> np.ndarray:
    """The first model's numbers, and what the second has beside them: little in every other layer, else much."""
    seed = [sum(tensor.name.encode()), len(tensor.name), tensor.n_numbers]
    numbers = np.random.default_rng(seed).standard_normal(tensor.shape, np.float32) * np.float32(0.02)
    if model == "second":
        digits = [int(part) for part in tensor.name.split(".") if part.isdigit()]
        share = 0.02 if digits and digits[0] % 2 else 0.5
        numbers += np.float32(0.02 * share) * np.random.default_rng([1, *seed]).standard_normal(
            tensor.shape, np.float32
        )
    return numbers + np.float32("norm" in tensor.name)


def config(shapes: dict[str, tuple[int, ...]], dtype: str) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "vocab_size": VOCABULARY,
        "intermediate_size": INTERMEDIATE, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "num_hidden_layers": sum("q_proj" in name for name in shapes), "max_position_embeddings": 4096,
        "dtype": dtype,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False, "hidden_act": "silu",
    }  # fmt: skip


def ours(folder: Path) -> list[str]:
    rule = {"models": ["first", "second"], "t": [{"match": match, "value": value} for match, value in T]}
    (folder / "rule.yaml").write_text(yaml.safe_dump(rule))
    return [*OURS, "merge", "--rule", str(folder / "rule.yaml"), "-o", str(folder / "by-onggi")]


def theirs(folder: Path) -> list[str]:
    """With its own defaults: mergekit computes SLERP in float32 whatever the dtype."""
    models = [str(folder / name) for name in ("first", "second")]
    setting = {
        "merge_method": "slerp",
        "base_model": models[0],
        "models": [{"model": model} for model in models],
        "parameters": {"t": [{"filter": match, "value": value} for match, value in T]},
        "dtype": orjson.loads((folder / "first/config.json").read_bytes())["dtype"],
    }
    (folder / "mergekit.yaml").write_text(yaml.safe_dump(setting))
    command = [sys.executable, "-m", "mergekit.scripts.run_yaml", str(folder / "mergekit.yaml")]
    return [*command, str(folder / "by-mergekit"), "--quiet"]


def watched(command: list[str]) -> Run:
    """Run a command, and watch it."""
    began, cpu = time.perf_counter(), children_cpu_s()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    peak = 0

    def sample() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, anonymous_bytes(process.pid))
            time.sleep(SAMPLE_S)

    thread = threading.Thread(target=sample)
    thread.start()
    said = process.communicate()[1]
    thread.join()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}:\n{said[-3000:]}")
    return Run(peak, time.perf_counter() - began, children_cpu_s() - cpu)


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def anonymous_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def difference(first: Path, second: Path) -> tuple[float, float, str]:
    """Between the numbers of two checkpoints, at most; the largest number; the tensor in which they differ most."""
    sides = [tensors(folder) for folder in (first, second)]
    assert sides[0].keys() == sides[1].keys(), sides[0].keys() ^ sides[1].keys()
    found, largest = (0.0, ""), 0.0
    for name, tensor in sides[0].items():
        for start, end in parts(tensor):
            a, b = (numbers_of(side[name], start, end) for side in sides)
            found, largest = max(found, (float(np.abs(a - b).max()), name)), max(largest, float(np.abs(a).max()))
    return found[0], largest, found[1]


def off_float64(folder: Path, name: str) -> tuple[float, float]:
    """How far both results are from SLERP in float64, in one tensor, at most."""
    of = {side: tensors(folder / side)[name] for side in ("first", "second", "by-onggi", "by-mergekit")}

    def read(side: str, start: int, end: int) -> np.ndarray:
        return numbers_of(of[side], start, end).astype(np.float64)

    sums = np.zeros(3)
    for part in parts(of["first"]):
        a, b = read("first", *part), read("second", *part)
        sums += a @ a, b @ b, a @ b
    record = next(one for one in merge_report(folder)["tensors"] if one["name"] == name)
    t, cosine = record["t"], sums[2] / np.sqrt(sums[0] * sums[1])
    angle = np.arccos(cosine)
    weights = [np.sin((1 - t) * angle) / np.sin(angle), np.sin(t * angle) / np.sin(angle)]
    weights = [1 - t, t] if abs(cosine) > COLLINEAR else weights
    off = [0.0, 0.0]
    for part in parts(of["first"]):
        exact = weights[0] * read("first", *part) + weights[1] * read("second", *part)
        for place, side in enumerate(("by-onggi", "by-mergekit")):
            off[place] = max(off[place], float(np.abs(read(side, *part) - exact).max()))
    return off[0], off[1]


def parts(tensor: Tensor) -> list[tuple[int, int]]:
    n_numbers = int(np.prod(tensor.shape))
    return [(start, min(start + COMPARED, n_numbers)) for start in range(0, n_numbers, COMPARED)]


def merge_report(folder: Path) -> dict[str, Any]:
    return orjson.loads((folder / "by-onggi/merge.json").read_bytes())


def tensors(folder: Path) -> dict[str, Tensor]:
    return {tensor.name: tensor for path in folder.glob("*.safetensors") for tensor in read_header(path)[0]}


if __name__ == "__main__":
    main()
