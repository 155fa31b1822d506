"""A small student distilled from a larger teacher, beside the same student trained on the text alone, at toy size.

    python -m benchmarks.toy_distillation OUT [--seeds 3] [--text DIR] [--fast]

Text is real, Korean and English (`--text`: a folder with the development corpora's Parquet files; else the bundled
sample). The teacher (1.1 M weights) is trained once, on a token mixture and then on chats that ask for how a passage
goes on; so is, for a fraction of the steps, each student (0.16 M weights), with an own seed. From there each arm
trains the student with the same data in the same order for the same number of steps:

- on the mixture: plain cross entropy (`ce_weight: 1`), forward KL, skew KL;
- on the chats: the same three, and skew KL with adaptive off-policy answers of the student's.

Measured on text that no one was trained on: the student's own loss as bits per byte, the forward KL from the teacher,
and how often both find the same token the likeliest. The mean over seeds and its spread (lowest to highest).
"""

import argparse
import math
import os
import random
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import yaml

from benchmarks.toy_training import ENGLISH, KOREAN, LENGTH, SPECIAL, _jsonl, assistant, texts_of, user
from manifests.engine import silent
from manifests.load import load_kind
from manifests.schema_distillation import Distill
from manifests.schema_mixture import MixtureManifest
from training.jobs import Job, Made
from training.stage_kinds import runner

VOCABULARY = 1024
TEACHER = {"hidden_size": 160, "intermediate_size": 432, "num_hidden_layers": 3, "num_attention_heads": 5}
STUDENT = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES = {
    "full": {"chars": 300_000, "teacher": 210, "student": 30, "arm": 50},
    "fast": {"chars": 120_000, "teacher": 6, "student": 3, "arm": 4},
}
ASKED, ANSWERED = 120, 160
"""Characters of a passage that the user gives, and that the assistant goes on with."""
OFF_POLICY = {"start": 0.2, "every": 15, "tolerance": 0.02, "capacity": 64, "max_new_tokens": 48}
"""DistiLLM's start for OpenLLaMA; the rest for so few steps."""
SKEW, FORWARD, PLAIN = {"loss": "skew_kl"}, {"loss": "forward_kl"}, {"loss": "forward_kl", "ce_weight": 1.0}
ARMS: dict[str, dict[str, dict[str, Any]]] = {
    "mixture": {"plain CE": PLAIN, "forward KL": FORWARD, "skew KL": SKEW},
    "chats": {
        "plain CE": PLAIN,
        "forward KL": FORWARD,
        "skew KL": SKEW,
        "skew KL, adaptive off-policy": SKEW | {"off_policy": OFF_POLICY},
    },
}
SCHEDULE = {"kind": "cosine", "warmup": 0.1, "end": 0.1}


def write_data(folder: Path, text: str | None, n_chars: int) -> None:
    """Texts of both languages, and chats that ask for how a passage goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    chats = []
    for language, names in (("ko", KOREAN), ("en", ENGLISH)):
        texts = texts_of(text, names, language, n_chars)
        _jsonl(folder / f"text_{language}.jsonl", [{"text": one} for one in texts])
        chats += [chat for one in texts for chat in passages(one)]
    random.Random(0).shuffle(chats)
    _jsonl(folder / "chats.jsonl", chats)


def passages(text: str) -> list[dict[str, Any]]:
    """Up to two passages of a text, as chats."""
    width = ASKED + ANSWERED
    cuts = [text[start : start + width].strip() for start in range(0, min(len(text), 2 * width), width)]
    return [
        {"messages": [user(cut[:ASKED]), assistant(cut[ASKED:])]} for cut in cuts if len(cut) > ASKED + ANSWERED // 2
    ]


def make_tokenizer(folder: Path, data: Path) -> None:
    """One that learned both languages, with a chat template."""
    import training
    from curation.tokens.train import Recipe, train_tokenizer
    from manifests.store import Folder

    recipe = Recipe(VOCABULARY, 0.5, 1_000_000, "single", SPECIAL, "text")
    train_tokenizer([str(data / "text_ko.jsonl"), str(data / "text_en.jsonl")], Folder(str(folder)), recipe, silent)
    tokenizer = load(folder)
    tokenizer.eos_token, tokenizer.pad_token = SPECIAL[0], SPECIAL[3]
    tokenizer.chat_template = (Path(training.__file__).parent / "templates" / "chatml.jinja").read_text("utf-8")
    tokenizer.save_pretrained(folder)


def load(folder: Path) -> Any:
    """The tokenizer in a folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def make_model(folder: Path, tokenizer: Path, shape: dict[str, int], seed: int) -> Path:
    """A Llama of random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    own = load(tokenizer)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(own),
        num_key_value_heads=shape["num_attention_heads"],
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=own.eos_token_id,
        pad_token_id=own.pad_token_id,
        **shape,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    own.save_pretrained(folder)
    return folder


def mix(folder: Path) -> None:
    """A token mixture of both languages, with a part that is held out."""
    from curation.mixture.pipeline import mix as run_mix
    from curation.mixture.survey import prepare
    from manifests.engine import HERE

    manifest = {
        "kind": "mixture",
        "name": "both",
        "tokenizer": {"path": "tokenizer/tokenizer.json", "eod": SPECIAL[0]},
        "sequence_length": LENGTH,
        "sources": [{"name": one, "path": f"data/text_{one}.jsonl", "category": one} for one in ("ko", "en")],
        "validation": {"frac": 0.05},
        "output": "mixture",
    }
    path = folder / "mixture.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    run_mix(prepare(load_kind(MixtureManifest, str(path)), str(folder), None, HERE), silent)


class Bench:
    """A folder in which stages are run, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stage(self, name: str, model: Path, seed: int, **settings: Any) -> tuple[Path, Made, Job]:
        """Run a stage: (the model it made, what came of it, the job)."""
        from pydantic import TypeAdapter

        from manifests.schema_training import TrainingStage

        usual = {"name": "stage", "batch": 8, "schedule": SCHEDULE, "checkpoints": {"every": 100_000}}
        adapter: TypeAdapter[Any] = TypeAdapter(TrainingStage)
        stage = adapter.validate_python(usual | settings)
        folder = self.folder / "stages" / name
        folder.mkdir(parents=True)
        teacher = getattr(stage, "teacher", None)
        job = Job(
            stage=stage,
            folder=str(folder),
            manifest_base=str(self.folder),
            models={"model": str(model)} | ({teacher: teacher} if teacher else {}),
            seed=seed,
            threads=1,
        )
        return job.model_path, runner(stage.kind)(job, silent), job

    def trained(self, name: str, model: Path, seed: int, n_steps: int, learning_rate: float) -> Path:
        """A model trained on the mixture, then for a third of the steps on the chats."""
        settings = {"learning_rate": learning_rate, "steps": n_steps}
        first, _, _ = self.stage(f"{name}-text", model, seed, kind="cpt", mixture="mixture", **settings)
        chats = {"data": [{"path": "data/chats.jsonl"}], "max_length": 2 * LENGTH, "held_out": 0.05}
        settings["steps"] = max(1, n_steps // 3)
        return self.stage(f"{name}-chats", first, seed, kind="sft", **chats, **settings)[0]


def compared(job: Job, model: Path) -> dict[str, float]:
    """What held-out tokens say of a student: bits per byte, forward KL and agreement, whatever it was trained by."""
    from training.distilling.distill import online
    from training.distilling.divergences import Divergence
    from training.distilling.held_out import examine
    from training.trainers import load_model, load_tokenizer

    stage = job.stage
    assert isinstance(stage, Distill)
    tokenizer = load_tokenizer(job.models["model"])
    opened, teacher = online(job, stage, tokenizer, silent)
    assert opened.held_out is not None
    teacher.settings = Divergence("forward_kl")
    found = examine(load_model(str(model)), teacher, opened.held_out, 8)
    n_bytes = learnt_bytes(opened.held_out, tokenizer)
    bits = found.student / math.log(2) / n_bytes
    return {
        "bits": bits,
        "teacher_bits": found.teacher / math.log(2) / n_bytes,
        "kl": found.mean("divergence"),
        "agreed": found.mean("agreed"),
    }


def learnt_bytes(source: Any, tokenizer: Any) -> int:
    """Bytes of text that held-out tokens stand for."""
    n_bytes = 0
    for place in range(len(source)):
        labels = source.batch([place])["shift_labels"][0]
        n_bytes += len(tokenizer.decode(labels[labels >= 0].tolist(), skip_special_tokens=True).encode())
    return n_bytes


def run(folder: Path, text: str | None, seeds: Sequence[int], size: dict[str, int]) -> dict[str, Any]:
    """All arms over all seeds: by data and arm, a list of what was measured."""
    bench = Bench(folder)
    write_data(folder / "data", text, size["chars"])
    make_tokenizer(folder / "tokenizer", folder / "data")
    mix(folder)
    blank = make_model(folder / "blank-teacher", folder / "tokenizer", TEACHER, 0)
    teacher = bench.trained("teacher", blank, 0, size["teacher"], 3e-3)
    found: dict[str, Any] = {data: {"before": [], **{arm: [] for arm in arms}} for data, arms in ARMS.items()}
    for seed in seeds:
        new = make_model(folder / f"blank-{seed}", folder / "tokenizer", STUDENT, seed + 1)
        student = bench.trained(f"student-{seed}", new, seed, size["student"], 3e-3)
        for data, arms in ARMS.items():
            for number, (arm, settings) in enumerate(arms.items()):
                usual = {"kind": "distill", "teacher": str(teacher), "steps": size["arm"], "learning_rate": 3e-3}
                chats = {"data": [{"path": "data/chats.jsonl"}], "max_length": 2 * LENGTH, "held_out": 0.05}
                of_data = chats if data == "chats" else {"mixture": "mixture"}
                name = f"{data}-{seed}-{number}"
                model, _, job = bench.stage(name, student, seed, **usual, **of_data, **settings)
                if not number:
                    found[data]["before"].append(compared(job, student))
                found[data][arm].append(compared(job, model))
                shutil.rmtree(job.folder)
    return found


def table(found: dict[str, Any]) -> str:
    """The same in Markdown."""
    lines = []
    for data, arms in found.items():
        bits = statistics.mean(one["teacher_bits"] for some in arms.values() for one in some)
        lines += [f"On {data}; the teacher has {bits:.3f} bits per byte.", ""]
        lines += ["| student | bits per byte | KL from the teacher | same likeliest token |", "|---|---|---|---|"]
        for arm, some in arms.items():
            cells = [spread([one[name] for one in some], form) for name, form in FORMS.items()]
            lines.append(f"| {arm} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


FORMS = {"bits": ".3f", "kl": ".3f", "agreed": ".1%"}


def spread(values: Sequence[float], form: str) -> str:
    """Mean, and lowest to highest."""
    return f"{statistics.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--text")
    parser.add_argument("--fast", action="store_true", help="a few steps of each, to see that all fits")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    shutil.rmtree(asked.out, ignore_errors=True)
    size, began = SIZES["fast" if asked.fast else "full"], time.process_time()
    found = run(asked.out.absolute(), asked.text, range(asked.seeds), size)
    print(table(found))
    print(
        f"{asked.seeds} seeds; {size['arm']} steps of 8 sequences per arm; "
        f"{time.process_time() - began:.0f} s of one core in all."
    )


if __name__ == "__main__":
    main()
