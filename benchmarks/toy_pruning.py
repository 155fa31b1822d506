"""Structured pruning at toy size: what Kanana's tables 5 and 15 to 17 compare, on a small Llama of real text.

    python -m benchmarks.toy_pruning OUT [--seeds 0 1 2] [--only table_15 ...] [--text DIR] [--fast]

The teacher (0.6 M weights, 8 heads of queries on 2 of keys and values) is trained once, on Korean and English text
(`--text`: a folder with the development corpora's Parquet files; else the bundled sample), and pruned to about half
of the weights beside embeddings. Seeds draw the calibration texts, the order of the data, and new weights:

- `table_15`: each way to measure and rank importance, and random choices as the floor; healed by a distillation.
- `table_17`: embeddings tied by their mean.
- `depth`: half of the layers go instead of width.
- `steps`: to a quarter of the weights, at once and by way of half.
- `table_5`: distilled on a tenth of the teacher's tokens, and (seed 0 only) new weights trained on all of them.
- `table_16`: a search, short and long.

Bits per byte of text that no one was trained on: right after pruning, and after it was healed. Mean over seeds,
lowest to highest; and in how many seeds an order holds. What is done lies in OUT and is not done again.
"""

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import yaml

from benchmarks.toy_distillation import load, make_tokenizer, spread, write_data
from benchmarks.toy_training import LENGTH, SPECIAL
from classifiers.evaluate import spearman
from manifests.engine import silent
from manifests.load import load_kind
from manifests.schema_mixture import MixtureManifest
from manifests.schema_surgery import Calibration, Importance, Sizes
from training.jobs import Job, Made
from training.measuring.open_model import OpenModel
from training.model_files import CONFIG, read_object
from training.pretraining.trainer import collate
from training.pruning.calibration import Samples, read_samples
from training.pruning.importance import Scores, measure_importance
from training.pruning.ranking import choose
from training.pruning.slicing import prune
from training.stage_kinds import runner
from training.token_dataset import TokenDataset
from training.trainers import load_model
from training.whole_files import write

TEACHER = {
    "hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip
HALF = {"hidden_size": 80, "intermediate_size": 160, "num_attention_heads": 4}
"""48% of the weights beside embeddings are cut."""
QUARTER = {"hidden_size": 56, "intermediate_size": 96, "num_attention_heads": 4}
GRID = {
    "hidden_size": [64, 72, 80, 88, 96],
    "intermediate_size": [96, 128, 160, 192, 224],
    "num_attention_heads": [2, 4, 6, 8],
}
BUDGET = {"parameters": 215_000, "without_embeddings": True, "within": 0.03} | GRID
"""Of a search: about as many weights as HALF has; six candidates."""
SIZES = {
    "full": {"chars": 3_000_000, "teacher": 1500, "heal": 32, "search": 40},
    "fast": {"chars": 200_000, "teacher": 20, "heal": 4, "search": 10},
}
"""Characters per language, and steps of 16 sequences."""
TABLE_15: dict[str, dict[str, str]] = {
    "best": {},
    "heads of any group": {"heads": "any"},
    "mean of gate and up": {"mlp": "gate_up"},
    "layers ranked alone, channels shared": {"layers": "hidden"},
    "layers ranked alone": {"layers": "each"},
    "samples by their mean": {"batch": "mean"},
    "tokens by L2": {"sequence": "l2"},
    "random": {},
}
CALIBRATION = Calibration.model_validate({"mixture": {"path": "mixture"}, "samples": 768, "micro_batch": 32})
N_SAMPLES = 192
"""Of these, drawn by each seed."""
RATE = 3e-3
STEPS: dict[str, Any] = {
    "schedule": {"kind": "cosine", "warmup": 0.1, "end": 0.1},
    "checkpoints": {"every": 100_000},
}
TENTH, SCRATCH = "a tenth of the tokens, distilled", "from scratch on all tokens"
TIED, DEPTH = "tied by the mean", "half of the layers"
ONE_CUT, TWO_CUTS = "to a quarter at once", "to a quarter by way of half"
RANKS = "rank correlation of a short search and a long one"
ORDERS = (
    *(("best", name) for name in TABLE_15 if name != "best"),
    ("random", "layers ranked alone"),
    (TIED, "best"),
    ("best", DEPTH),
    (TWO_CUTS, ONE_CUT),
    (TENTH, SCRATCH),
)
"""What is said to have fewer bits, and than what."""
COMPARISONS = ("table_15", "table_17", "depth", "steps", "table_5", "table_16")
Bits = dict[str, float]
Found = dict[int, dict[str, Bits]]
"""What was measured, by seed and arm."""


def mix(folder: Path) -> None:
    """A token mixture of both languages, of which little is held out."""
    from curation.mixture.pipeline import mix as run_mix
    from curation.mixture.survey import prepare as survey
    from manifests.engine import HERE

    manifest = {
        "kind": "mixture",
        "name": "both",
        "tokenizer": {"path": "tokenizer/tokenizer.json", "eod": SPECIAL[0]},
        "sequence_length": LENGTH,
        "sources": [{"name": one, "path": f"data/text_{one}.jsonl", "category": one} for one in ("ko", "en")],
        "validation": {"frac": 0.05, "tokens_max": 8_000},
        "output": "mixture",
    }
    path = folder / "mixture.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    run_mix(survey(load_kind(MixtureManifest, str(path)), str(folder), None, HERE), silent)


def new_model(folder: Path, tokenizer: Path, shape: Mapping[str, int], seed: int) -> Path:
    """A Llama of random weights whose embeddings are not tied."""
    from transformers import LlamaConfig, LlamaForCausalLM

    own = load(tokenizer)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(own),
        max_position_embeddings=512,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=own.eos_token_id,
        pad_token_id=own.pad_token_id,
        **shape,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    own.save_pretrained(folder)
    return folder


def stage(folder: Path, base: Path, models: Mapping[str, Path], seed: int, **settings: Any) -> tuple[Path, Made]:
    """Run a stage in this process, unless it was: (the model it made, what came of it)."""
    from pydantic import TypeAdapter

    from manifests.schema_training import TrainingStage

    adapter: TypeAdapter[Any] = TypeAdapter(TrainingStage)
    job = Job(
        stage=adapter.validate_python({"name": "stage"} | settings),
        folder=str(folder),
        manifest_base=str(base),
        models={name: str(path) for name, path in models.items()},
        seed=seed,
        threads=1,
    )
    made = folder / "made.json"
    if not made.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write(made, runner(job.stage.kind)(job, silent).model_dump_json())
    return job.model_path, Made.model_validate_json(made.read_bytes())


def trained(folder: Path, base: Path, shape: Mapping[str, int], seed: int, steps: int) -> Path:
    """A model of new weights, trained on the text alone."""
    blank = new_model(folder / "blank", base / "tokenizer", shape, seed)
    settings = {"kind": "cpt", "mixture": "mixture", "steps": steps, "batch": 16, "learning_rate": 5e-3}
    return stage(folder, base, {"model": blank}, seed, optimizer={"weight_decay": 0.1}, **settings, **STEPS)[0]


class Measure:
    """Bits per byte of the mixture's held-out part."""

    def __init__(self, folder: Path) -> None:
        dataset = TokenDataset(str(folder / "mixture"), split="validation", mask_boundaries=True)
        items = [dataset[number] for number in range(len(dataset))]
        self.batches = [collate(items[start : start + 32]) for start in range(0, len(items), 32)]
        labels = torch.cat([batch["shift_labels"].flatten() for batch in self.batches])
        decoded = load(folder / "tokenizer").decode(labels[labels >= 0].tolist(), skip_special_tokens=True)
        self.n_bytes = len(decoded.encode())

    def __call__(self, folder: Path) -> float:
        """Of a model."""
        model, nats = load_model(str(folder)).eval(), 0.0
        for batch in self.batches:
            inputs = {name: batch[name] for name in ("input_ids", "position_ids")}
            with torch.inference_mode():
                logits = model(**inputs, use_cache=False).logits.flatten(0, 1)
                labels = batch["shift_labels"].flatten()
                nats += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        return nats / math.log(2) / self.n_bytes


class Seed:
    """A folder in which one seed's models are made."""

    def __init__(self, base: Path, number: int, size: Mapping[str, int], bits: Measure) -> None:
        self.base, self.number, self.size, self.bits = base, number, size, bits
        self.folder, self.teacher = base / f"seed-{number}", base / "teacher" / "model"
        self.found: dict[str, Bits] = {}

    def stage(self, name: str, model: Path, **settings: Any) -> tuple[Path, Made]:
        """Run a stage: (the model it made, what came of it)."""
        models = {"model": model, "teacher": self.teacher}
        return stage(self.folder / name, self.base, models, self.number, **settings)

    def healed(self, name: str, model: Path, steps: int) -> Path:
        """A model distilled from the teacher: forward KL of its logits."""
        settings = {"kind": "distill", "teacher": "teacher", "mixture": "mixture", "loss": "forward_kl"}
        return self.stage(name, model, steps=steps, batch=16, learning_rate=RATE, **settings, **STEPS)[0]

    def scores(self, asked: Importance, model: Path | None = None) -> Scores:
        """Importance on the seed's texts; of the teacher where no model is named."""
        opened = OpenModel(str(model or self.teacher), precision="float32")
        found = read_samples(CALIBRATION, opened, str(self.base)).samples
        draw = np.random.default_rng(self.number)
        chosen = draw.choice(len(found), min(N_SAMPLES, len(found)), replace=False)
        samples = Samples([found[place] for place in sorted(chosen)])
        return measure_importance(opened.model, samples.batches(32), asked)

    def cut(
        self,
        name: str,
        model: Path,
        sizes: Mapping[str, int],
        asked: Importance,
        scores: Scores,
        *,
        ties: bool = False,
    ) -> Path:
        """A model pruned."""
        kept = choose(scores, read_object(model / CONFIG), Sizes(**sizes), asked)
        prune(model, kept, self.folder / name, tie_embeddings=ties, replaces=True)
        return self.folder / name

    def best(self) -> Path:
        """The teacher pruned to half as Kanana did it."""
        folder, asked = self.folder / "cut-best", Importance()
        return folder if folder.is_dir() else self.cut("cut-best", self.teacher, HALF, asked, self.scores(asked))

    def arm(self, name: str, model: Path, steps: int) -> None:
        """Measure a model that was pruned, heal it, and measure it again."""
        self.found[name] = {"pruned": self.bits(model)}
        self.found[name]["healed"] = self.bits(self.healed(f"healed-{name}", model, steps))

    # What is compared

    def table_15(self) -> None:
        """Ways to measure and rank importance."""
        measured: dict[tuple[str, ...], Scores] = {}
        for name, settings in TABLE_15.items():
            asked = Importance.model_validate(settings)
            how = (asked.batch, asked.sequence, asked.mlp)
            scores = measured[how] = measured.get(how) or self.scores(asked)
            if name == "random":
                draw = np.random.default_rng(self.number)
                drawn = {axis: draw.random(getattr(scores, axis).shape) for axis in ("hidden", "mlp", "heads")}
                scores = replace(scores, **drawn)
            self.arm(name, self.cut(f"cut-{name}", self.teacher, HALF, asked, scores), self.size["heal"])

    def table_17(self) -> None:
        """Embeddings tied by their mean; `best` has its own."""
        asked = Importance()
        tied = self.cut("cut-tied", self.teacher, HALF, asked, self.scores(asked), ties=True)
        self.arm(TIED, tied, self.size["heal"])

    def depth(self) -> None:
        """Half of the layers, by block influence, and nothing of the width."""
        settings = {"to": {"num_hidden_layers": 2}, "calibration": CALIBRATION.model_dump(), "cut_max": 0.55}
        self.arm(DEPTH, self.stage("cut-depth", self.teacher, kind="prune", **settings)[0], self.size["heal"])

    def steps(self) -> None:
        """A quarter of the weights, at once and by way of half, with as many tokens in all."""
        steps, asked = self.size["heal"], Importance()
        at_once = self.cut("cut-quarter", self.teacher, QUARTER, asked, self.scores(asked))
        self.arm(ONE_CUT, at_once, steps)
        between = self.healed("healed-half", self.best(), steps // 2)
        again = self.cut("cut-again", between, QUARTER, asked, self.scores(asked, between))
        self.arm(TWO_CUTS, again, steps - steps // 2)

    def table_5(self) -> None:
        """A tenth of the tokens, distilled, and all of them from scratch: the same model."""
        steps = self.size["teacher"]
        self.found[TENTH] = {"healed": self.bits(self.healed("tenth", self.best(), max(1, steps // 10)))}
        if self.number == 0:
            scratch = trained(self.folder / "scratch", self.base, TEACHER | HALF, 1000, steps)
            self.found[SCRATCH] = {"healed": self.bits(scratch)}

    def table_16(self) -> None:
        """Spearman's rank correlation of candidates' losses after a tenth of a search's steps and after all."""
        losses = []
        for steps in (max(1, self.size["search"] // 10), self.size["search"]):
            trial = {"mixture": {"path": "mixture"}, "steps": steps, "batch": 16, "learning_rate": RATE}
            settings = {"search": BUDGET | {"trial": trial}, "calibration": CALIBRATION.model_dump(), "cut_max": 0.55}
            made = self.stage(f"search-{steps}", self.teacher, kind="prune", **settings)[1]
            [table] = [table for table in made.tables if table.title == "Search"]
            losses.append(np.array([float(row[5] or 0) for row in table.rows]))
        self.found[RANKS] = {"rank": spearman(*losses)}


def prepare(folder: Path, text: str | None, size: Mapping[str, int]) -> None:
    """Data, tokenizer, mixture and teacher, where they are not there."""
    if not (folder / "mixture" / "run.json").is_file():
        write_data(folder / "data", text, size["chars"])
        make_tokenizer(folder / "tokenizer", folder / "data")
        mix(folder)
    trained(folder / "teacher", folder, TEACHER, 0, size["teacher"])


def run(folder: Path, text: str | None, seeds: Sequence[int], size: Mapping[str, int], only: Sequence[str]) -> Found:
    """Comparisons over seeds, those that are not done; what all came to."""
    prepare(folder, text, size)
    bits = Measure(folder)
    found: Found = {number: {"teacher": {"healed": bits(folder / "teacher" / "model")}} for number in seeds}
    for compare in only:
        for number in seeds:
            path = folder / f"seed-{number}" / f"{compare}.json"
            if not path.is_file():
                seed = Seed(folder, number, size, bits)
                seed.folder.mkdir(exist_ok=True)
                getattr(seed, compare)()
                write(path, json.dumps(seed.found))
            found[number] |= json.loads(path.read_bytes())
    return found


def of(found: Found, arm: str, when: str) -> dict[int, float]:
    """Of an arm, by seed."""
    return {seed: one[arm][when] for seed, one in found.items() if when in one.get(arm, {})}


def apart(found: Found, better: str, worse: str, when: str) -> list[float]:
    """How many bits fewer one arm has than another, of each seed that has both."""
    less, more = of(found, better, when), of(found, worse, when)
    return [more[seed] - less[seed] for seed in less if seed in more]


def table(found: Found) -> str:
    """What was found, in Markdown."""
    arms = [arm for arm in dict.fromkeys(arm for one in found.values() for arm in one) if arm != RANKS]
    lines = ["| model | bits per byte, pruned | healed |", "|---|---|---|"]
    for arm in arms:
        each = [list(of(found, arm, when).values()) for when in ("pruned", "healed")]
        lines.append(f"| {arm} | {' | '.join(spread(values, '.3f') if values else '' for values in each)} |")
    lines += ["", "| fewer bits | than | pruned: in seeds | by (mean) | healed: in seeds | by (mean) |"]
    lines += ["|---|---|---|---|---|---|"]
    for better, worse in ORDERS:
        if worse in arms and better in arms:
            cells = [cell for when in ("pruned", "healed") for cell in _order(apart(found, better, worse, when))]
            lines.append(f"| {better} | {worse} | {' | '.join(cells)} |")
    if ranks := of(found, RANKS, "rank"):
        lines += ["", f"Search, {RANKS} (a tenth of the steps): {spread(list(ranks.values()), '.2f')}."]
    return "\n".join(lines)


def _order(found: Sequence[float]) -> tuple[str, str]:
    """In how many seeds one arm has fewer bits than another, and how many fewer."""
    if not found:
        return "", ""
    return f"{sum(one > 0 for one in found)} of {len(found)}", f"{statistics.mean(found):+.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--text")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=COMPARISONS)
    parser.add_argument("--fast", action="store_true", help="a few steps of each, to see that all fits")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    size, began = SIZES["fast" if asked.fast else "full"], time.process_time()
    print(table(run(asked.out.absolute(), asked.text, asked.seeds, size, asked.only)))
    print(f"\n{len(asked.seeds)} seeds; {time.process_time() - began:.0f} s of one core in this run.")


if __name__ == "__main__":
    main()
