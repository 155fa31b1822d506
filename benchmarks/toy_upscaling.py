"""Depth up-scaling at toy size: what stacking costs, and whether training further makes it worth it.

    python -m benchmarks.toy_upscaling OUT [--seeds 3] [--text DIR] [--fast] [--write]

A Llama of 3 layers is trained from scratch on real Korean and English text (`--text`: a folder with the development
corpora's Parquet files; else the bundled sample), with weights and order of a seed. From there each arm takes the
same further tokens in the same order: the model as it is; 4 layers in SOLAR's form (m = 1), as copies or with second
copies that change nothing at first; 4 layers of which the one that changes least, or most, is there twice. And 4
layers from scratch, on all the tokens, which computes more. Bits per byte of held-out text (half Korean, half
English), right after stacking and at the end; the mean over seeds and its spread. Checkpoints are stacked by
`training.stacking`; a plain loop trains them, with the same AdamW, learning rate and schedule everywhere.
"""

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import transformers

from benchmarks.sample_text import markdown, publish
from benchmarks.toy_training import ENGLISH, KOREAN, SPECIAL, _jsonl, texts_of
from manifests.engine import silent
from manifests.schema_surgery import Influence, Upscale
from manifests.schema_training_gates import Validation
from training.measuring.open_model import OpenModel
from training.measuring.set_measures import text_measures
from training.stacking.upscale import upscale

SIZES = {
    "full": {"chars": 1_000_000, "base": 1500, "further": 500, "hidden": 64},
    "fast": {"chars": 300_000, "base": 300, "further": 150, "hidden": 48},
}
"""Characters of text per language, steps, width."""
N_LAYERS, DEEPER, HELD_OUT, BATCH, LENGTH = 3, 4, 24, 16, 64
LEARNING_RATE, WARMUP, DECAY = 3e-3, 0.05, 0.3
ASKED = Influence(text="influence.jsonl", samples=48, length=LENGTH)
ARMS = {
    "SOLAR's form": Upscale(kind="upscale", name="solar", drop=1),
    "SOLAR's form, silent at first": Upscale(kind="upscale", name="silent", drop=1, start="identity"),
    "least influence twice": Upscale(kind="upscale", name="least", to=DEEPER, influence=ASKED),
    "most influence twice": Upscale(kind="upscale", name="most", to=DEEPER, influence=ASKED, repeat="most"),
}


@dataclass(frozen=True)
class Outcome:
    """Bits per byte."""

    stacked: float | None
    """Right after stacking."""
    end: float


Seed = Mapping[str, Outcome]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--text")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    size = SIZES["fast" if options.fast else "full"]
    began = time.process_time()
    prepare(options.out, options.text, size)
    seeds = [run_seed(options.out, seed, size) for seed in range(options.seeds)]
    report = report_of(seeds, size, time.process_time() - began)
    if options.write:
        publish("toy_upscaling", report)
    else:
        print(report)


def prepare(out: Path, text: str | None, size: Mapping[str, int]) -> None:
    """Texts, a tokenizer that learned both languages, and the ids that are trained on."""
    from curation.tokens.train import Recipe, train_tokenizer
    from manifests.store import Folder

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    parts: dict[str, list[str]] = {"held_out": [], "influence": [], "train": []}
    for language, names in (("ko", KOREAN), ("en", ENGLISH)):
        texts = texts_of(text, names, language, size["chars"])
        parts["held_out"] += texts[:HELD_OUT]
        parts["influence"] += texts[HELD_OUT : 2 * HELD_OUT]
        parts["train"] += texts[2 * HELD_OUT :]
    for name, texts in parts.items():
        _jsonl(out / f"{name}.jsonl", [{"text": item} for item in texts])
    recipe = Recipe(512, 0.5, 1_000_000, "single", SPECIAL, "text")
    train_tokenizer([str(out / "train.jsonl")], Folder(str(out / "tok")), recipe, silent)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out / "tok")
    ids = [number for item in parts["train"] for number in [*tokenizer(item)["input_ids"], 0]]
    n_rows = len(ids) // LENGTH
    torch.save(torch.tensor(ids[: n_rows * LENGTH]).view(n_rows, LENGTH), out / "ids.pt")


def run_seed(out: Path, seed: int, size: Mapping[str, int]) -> Seed:
    """All arms."""
    rows = torch.load(out / "ids.pt", weights_only=True)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    n_base, n_further = size["base"], size["further"]
    folder = out / f"seed{seed}"
    train(new_model(N_LAYERS, seed, size), rows[order], 0, n_base, folder / "base", out)
    found = {"base": Outcome(None, bits_per_byte(folder / "base", out))}
    train(opened(folder / "base"), rows[order], n_base, n_further, folder / "further", out)
    found["further"] = Outcome(None, bits_per_byte(folder / "further", out))
    for name, asked in ARMS.items():
        upscale(asked, folder / "base", folder / asked.name, str(out), threads=1)
        train(opened(folder / asked.name), rows[order], n_base, n_further, folder / f"{asked.name}-further", out)
        ends = [bits_per_byte(folder / part, out) for part in (asked.name, f"{asked.name}-further")]
        found[name] = Outcome(*ends)
    train(new_model(DEEPER, seed, size), rows[order], 0, n_base + n_further, folder / "scratch", out)
    found["scratch"] = Outcome(None, bits_per_byte(folder / "scratch", out))
    print(f"seed {seed}: {found}", flush=True)
    return found


def new_model(n_layers: int, seed: int, size: Mapping[str, int]) -> transformers.LlamaForCausalLM:
    """A Llama of random weights."""
    torch.manual_seed(seed)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=512,
            hidden_size=size["hidden"],
            intermediate_size=2 * size["hidden"],
            num_hidden_layers=n_layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
        )
    )


def opened(folder: Path) -> transformers.LlamaForCausalLM:
    """A model as it lies in a folder."""
    return transformers.LlamaForCausalLM.from_pretrained(folder)


def train(
    model: transformers.LlamaForCausalLM, rows: torch.Tensor, first: int, n_steps: int, folder: Path, out: Path
) -> None:
    """Train on the batches from one on, again and again where there are no more; write the model and tokenizer."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    model.train()
    for step in range(n_steps):
        done = step / n_steps
        share = min(1.0, (step + 1) / (WARMUP * n_steps), max(1 - done, 0.0) / DECAY)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * share
        places = torch.arange((first + step) * BATCH, (first + step + 1) * BATCH) % len(rows)
        ids = rows[places]
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    shutil.copytree(out / "tok", folder, dirs_exist_ok=True)


def bits_per_byte(folder: Path, out: Path) -> float:
    """Of the held-out text, in windows as long as what is trained on."""
    settings = Validation(name="text", text="held_out.jsonl", window=LENGTH)
    found = text_measures(OpenModel(str(folder), precision="float32"), settings, str(out), lambda *_: None)
    return float(found["figures"]["bits_per_byte"])


def report_of(seeds: Sequence[Seed], size: Mapping[str, int], cpu_s: float) -> str:
    """The result as Markdown."""
    names = {
        "base": f"{N_LAYERS} layers, as trained",
        "further": f"{N_LAYERS} layers, trained further",
        **{name: f"{DEEPER} layers, {name}" for name in ARMS},
        "scratch": f"{DEEPER} layers from scratch, all tokens",
    }
    rows = [_row(said, name, seeds) for name, said in names.items()]
    columns = ["", "right after stacking", "at the end", f"below {N_LAYERS} layers trained further, by seed"]
    n_tokens = [n * BATCH * LENGTH for n in (size["base"], size["further"])]
    return (
        "# Depth up-scaling at toy size\n\nMade by `benchmarks/toy_upscaling.py`: bits per byte of held-out text, "
        f"the mean of {len(seeds)} seeds (lowest to highest). {size['hidden']} wide; {n_tokens[0]:,} tokens, then "
        f"{n_tokens[1]:,} further ones; {cpu_s:.0f} s of one core.\n\n{markdown(columns, rows)}"
    )


def _row(said: str, name: str, seeds: Sequence[Seed]) -> list[str]:
    stacked = [outcome for seed in seeds if (outcome := seed[name].stacked) is not None]
    gains = ", ".join(f"{seed['further'].end - seed[name].end:+.3f}" for seed in seeds)
    return [said, _spread(stacked) if stacked else "", _spread([seed[name].end for seed in seeds]), gains]


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
