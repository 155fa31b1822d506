"""Depth up-scaling at toy size: what stacking costs, and whether training further makes it worth it.

    python -m benchmarks.toy_upscaling OUT [--seeds 3] [--text DIR] [--fast] [--write]

A Llama of 3 layers is trained from scratch on real Korean and English text (`--text`: a folder with the development
corpora's Parquet files; else the bundled sample), with weights and order of a seed. From there each arm takes the
same further tokens in the same order: the model as it is; 4 layers in SOLAR's form (m = 1), as copies or with second
copies that change nothing at first; 4 layers of which the one that changes least, or most, is there twice. And 4
layers from scratch, on all the tokens, which computes more. Bits per byte of held-out text (half Korean, half
English), right after stacking and at the end; the mean over seeds and its spread. Learning rates are the same
everywhere.
"""

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import yaml

from benchmarks.sample_text import markdown, publish
from benchmarks.toy_training import ENGLISH, KOREAN, SPECIAL, _jsonl, texts_of
from manifests.engine import silent
from manifests.load import load_kind
from manifests.schema_mixture import MixtureManifest
from manifests.schema_training import TrainingManifest
from training import stages
from training.jobs import Job
from training.measuring.measures import measure
from training.stage_kinds import runner
from training.summary_models import TrainingSummary

SIZES = {
    "full": {"chars": 1_000_000, "base": 800, "further": 300, "hidden": 64},
    "fast": {"chars": 300_000, "base": 60, "further": 40, "hidden": 48},
}
"""Characters of text per language, steps, width."""
N_LAYERS, DEEPER, HELD_OUT, BATCH, LENGTH = 3, 4, 24, 16, 64
LEARNING_RATE = 3e-3
LEAST = {"to": DEEPER, "influence": {"text": "influence.jsonl", "samples": 48, "length": LENGTH}}
ARMS: dict[str, dict[str, Any]] = {
    "SOLAR's form": {"drop": 1},
    "SOLAR's form, silent at first": {"drop": 1, "start": "identity"},
    "least influence twice": LEAST,
    "most influence twice": LEAST | {"repeat": "most"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--text")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    report = report_of(run_all(options.out, options.seeds, options.text, SIZES["fast" if options.fast else "full"]))
    if options.write:
        publish("toy_upscaling", report)
    else:
        print(report)


def run_all(out: Path, n_seeds: int, text: str | None, size: Mapping[str, int]) -> dict[str, Any]:
    """Bits per byte of each model and seed, and seconds."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    prepare(out, text, size)
    found = [train_all(out, seed, size) for seed in range(n_seeds)]
    return {"seeds": found, "seconds": time.perf_counter() - began, "size": dict(size)}


def prepare(out: Path, text: str | None, size: Mapping[str, int]) -> None:
    """Texts, a tokenizer that learned both languages, and a mixture of both."""
    from curation.mixture.pipeline import mix
    from curation.mixture.survey import prepare as prepared
    from curation.tokens.train import Recipe, train_tokenizer
    from manifests.engine import HERE
    from manifests.store import Folder

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    held_out: list[str] = []
    for language, names in (("ko", KOREAN), ("en", ENGLISH)):
        texts = texts_of(text, names, language, size["chars"])
        held_out += texts[:HELD_OUT]
        _jsonl(out / f"{language}.jsonl", [{"text": item} for item in texts[2 * HELD_OUT :]])
        _jsonl(out / f"aside_{language}.jsonl", [{"text": item} for item in texts[HELD_OUT : 2 * HELD_OUT]])
    _jsonl(out / "held_out.jsonl", [{"text": item} for item in held_out])
    aside = [(out / f"aside_{language}.jsonl").read_bytes() for language in ("ko", "en")]
    (out / "influence.jsonl").write_bytes(b"".join(aside))
    recipe = Recipe(512, 0.5, 1_000_000, "single", SPECIAL, "text")
    train_tokenizer([str(out / "ko.jsonl"), str(out / "en.jsonl")], Folder(str(out / "tok")), recipe, silent)
    manifest = {
        "kind": "mixture",
        "name": "both",
        "tokenizer": {"path": "tok/tokenizer.json", "eod": SPECIAL[0]},
        "sequence_length": LENGTH,
        "sources": [{"name": name, "path": f"{name}.jsonl", "category": name} for name in ("ko", "en")],
        "output": "mixture",
    }
    (out / "mix.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    mix(prepared(load_kind(MixtureManifest, str(out / "mix.yaml")), str(out), None, HERE), silent)


def manifest_of(seed: int, size: Mapping[str, int]) -> dict[str, Any]:
    """A training of all arms."""
    hidden = size["hidden"]
    usual = {
        "kind": "cpt",
        "mixture": "mixture",
        "batch": BATCH,
        "learning_rate": LEARNING_RATE,
        "checkpoints": {"every": 999},
    }
    usual |= {"schedule": {"kind": "warmup_stable_decay", "warmup": 0.05, "decay": 0.3}}
    stages_of: list[dict[str, Any]] = [{"name": "base3", **usual, "steps": size["base"]}]
    stages_of += [{"name": "further0", **usual, "model": "base3", "steps": size["further"]}]
    for number, (_, how) in enumerate(ARMS.items(), 1):
        stages_of += [{"name": f"stacked{number}", "kind": "upscale", "model": "base3", **how}]
        stages_of += [{"name": f"further{number}", **usual, "steps": size["further"]}]
    stages_of += [{"name": "new", "kind": "init", "model": "base3", "sizes": {"num_hidden_layers": DEEPER}}]
    stages_of += [{"name": "scratch", **usual, "steps": size["base"] + size["further"]}]
    return {
        "kind": "training",
        "name": f"seed{seed}",
        "threads": 1,
        "seed": seed,
        "base": {
            "tokenizer": "tok",
            "hidden_size": hidden,
            "intermediate_size": 2 * hidden,
            "num_hidden_layers": N_LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "tie_word_embeddings": True,
        },
        "validation": [{"name": "text", "text": "held_out.jsonl"}],
        "stages": stages_of,
        "output": f"seed{seed}",
    }


def train_all(out: Path, seed: int, size: Mapping[str, int]) -> dict[str, float]:
    """Bits per byte of each model."""
    path = out / f"seed{seed}.yaml"
    path.write_text(yaml.safe_dump(manifest_of(seed, size), sort_keys=False))
    stages.run = _here  # type: ignore[assignment]
    _, folder = stages.train(load_kind(TrainingManifest, str(path)), str(out))
    summary = TrainingSummary.model_validate_json(Path(folder, "summary.json").read_bytes())
    found = {stage.name: float(stage.measures["text"]["bits_per_byte"]) for stage in summary.stages}
    print(f"seed {seed}: {found}", flush=True)
    return found


def _here(job: Any, folder: Path, *_: Any) -> bytes:
    """In this process: one per stage would load torch as many times."""
    folder.mkdir(parents=True, exist_ok=True)
    made = runner(job.stage.kind)(job, silent) if isinstance(job, Job) else measure(job, silent)
    found: bytes = made.model_dump_json().encode()
    (folder / "made.json").write_bytes(found)
    return found


def report_of(found: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    seeds, size = found["seeds"], found["size"]
    rows = [
        _row("3 layers, as trained", seeds, None, "base3"),
        _row("3 layers, trained further", seeds, None, "further0"),
    ]
    rows += [_row(name, seeds, f"stacked{n}", f"further{n}") for n, name in enumerate(ARMS, 1)]
    rows += [_row("4 layers from scratch, all tokens", seeds, None, "scratch")]
    columns = ["", "right after stacking", "at the end", "below 3 layers trained further, by seed"]
    tokens = [n * BATCH * LENGTH for n in (size["base"], size["further"])]
    return (
        f"# Depth up-scaling at toy size\n\nMade by `benchmarks/toy_upscaling.py`: bits per byte of held-out text, "
        f"the mean of {len(seeds)} seeds (lowest to highest). {size['hidden']} wide; {tokens[0]:,} tokens, then "
        f"{tokens[1]:,} further ones; {found['seconds']:.0f} s in one thread.\n\n{markdown(columns, rows)}"
    )


def _row(name: str, seeds: Sequence[Mapping[str, float]], stacked: str | None, end: str) -> list[str]:
    gains = [seed["further0"] - seed[end] for seed in seeds]
    after = _spread([seed[stacked] for seed in seeds]) if stacked else ""
    return [name, after, _spread([seed[end] for seed in seeds]), ", ".join(f"{gain:+.3f}" for gain in gains)]


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
