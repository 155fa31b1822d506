"""A whole training of tiny models: nine stages of some steps each, as `onggi train` runs them."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from manifests.engine import Progress, silent
from manifests.load import load_kind
from manifests.schema_training import TrainingManifest
from tests.training import tiny
from tests.training.encoders.planted_texts import planted
from tests.training.small_mixtures import make_mixture

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("cpt", "sft", "reward", "merged", "dpo", "online", "distill", "mntp", "contrast")


def write_training(folder: Path, steps: int, **more: Any) -> Path:
    """Models, mixture, chats and pairs, and a manifest with all kinds of stages; its path."""
    base, instruct = tiny.save_model(folder / "base"), tiny.save_model(folder / "instruct", seed=1)
    assert base and instruct
    make_mixture(folder / "mixture", folder / "base", n=60, validation={"frac": 0.2})
    tiny.write_jsonl(folder / "chats.jsonl", tiny.chats(40))
    tiny.write_jsonl(folder / "pairs.jsonl", tiny.pairs(40))
    tiny.write_jsonl(folder / "texts.jsonl", planted(40))
    tiny.write_jsonl(folder / "ko.jsonl", [{"text": text} for text in tiny.KOREAN])
    usual = {"steps": steps, "batch": 4, "learning_rate": 1e-3, "checkpoints": {"every": 3}}
    pairs = {"data": [{"path": "pairs.jsonl"}], "held_out": 0.2, "max_length": 128}
    stages: list[dict[str, Any]] = [
        {"name": "cpt", "kind": "cpt", "mixture": "mixture/out", "z_loss": 5e-6, **usual},
        {
            "name": "sft",
            "kind": "sft",
            "data": [{"path": "chats.jsonl"}],
            "max_length": 128,
            "held_out": 0.2,
            **usual,
        },
        {"name": "reward", "kind": "reward", **pairs, **usual},
        {"name": "merged", "kind": "merge", "rule": {"models": ["sft", "./instruct"], "t": 0.2}, "sweep": [0.1, 0.5]},
        {"name": "dpo", "kind": "dpo", **pairs, **usual},
        {"name": "online", "kind": "online_dpo", "prompts": "chats.jsonl", "reward": "reward", "max_new_tokens": 8},
    ]
    stages[-1] |= usual
    off_policy = {"start": 0.6, "every": 3, "capacity": 6, "max_new_tokens": 6, "replay": "constant"}
    stages.append(
        {
            "name": "distill",
            "kind": "distill",
            "teacher": "./instruct",
            "data": [{"path": "chats.jsonl"}],
            "max_length": 128,
            "held_out": 0.2,
            "off_policy": off_policy,
            **usual,
        }
    )
    stages.append({"name": "mntp", "kind": "mntp", "model": "cpt", "mixture": "mixture/out", **usual})
    texts = {"data": [{"path": "texts.jsonl", "negative": "negative"}], "held_out": 0.2, "max_length": 64}
    stages.append({"name": "contrast", "kind": "contrast", "retrieval": [write_set(folder)], **texts, **usual})
    written = {
        "kind": "training",
        "name": "tiny",
        "base": "base",
        "validation": [{"name": "ko", "text": "ko.jsonl"}, {"name": "held_out", "mixture": "mixture/out"}],
        "prompts": {"path": "chats.jsonl", "limit": 4, "max_new_tokens": 8, "shown": 2},
        "threads": 1,
        "stages": stages,
        "output": "run",
    }
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(written | more, sort_keys=False, allow_unicode=True))
    return path


def write_set(folder: Path) -> dict[str, str]:
    """Questions and the texts among which their answers are looked for; the entry of the manifest."""
    rows = planted(12, seed=1)
    tiny.write_jsonl(folder / "queries.jsonl", [{"id": n, "text": row["query"]} for n, row in enumerate(rows)])
    tiny.write_jsonl(folder / "corpus.jsonl", [{"id": n, "text": row["positive"]} for n, row in enumerate(rows)])
    lines = ["query-id\tcorpus-id\tscore", *(f"{n}\t{n}\t1" for n in range(len(rows)))]
    (folder / "qrels.tsv").write_text("\n".join(lines) + "\n")
    return {"name": "set", "queries": "queries.jsonl", "corpus": "corpus.jsonl", "qrels": "qrels.tsv"}


def load(path: Path, *overrides: str) -> TrainingManifest:
    """The manifest of a path."""
    return load_kind(TrainingManifest, str(path), overrides)


def in_this_process(job: Any, folder: Path, n_processes: int, progress: Progress = silent) -> bytes:
    """Instead of `training.launch.run`: no process per stage, since each takes seconds to load torch."""
    from training.evaluating.evaluate import evaluate
    from training.evaluating.jobs import EvaluateJob
    from training.jobs import Job
    from training.measuring.measures import measure
    from training.stage_kinds import runner

    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(job, Job):
        made = runner(job.stage.kind)(job, progress)
    else:
        made = evaluate(job, progress) if isinstance(job, EvaluateJob) else measure(job, progress)
    found: bytes = made.model_dump_json().encode()
    (folder / "made.json").write_bytes(found)
    return found


def onggi(path: Path, *options: str) -> "subprocess.Popen[bytes]":
    """The command, in a group of processes of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "onggi", "train", str(path), *options],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def made_by(run: Path) -> dict[str, str]:
    """Digests of the weights and the curve of each stage."""
    found = {}
    for folder in sorted((run / "stages").iterdir()):
        name = folder.name.rsplit("-", 1)[0]
        for path in [*sorted((folder / "model").glob("*.safetensors")), folder / "curve.jsonl"]:
            if path.is_file():
                found[f"{name}/{path.name}"] = hashlib.sha256(_without_times(path)).hexdigest()
    return found


def _without_times(path: Path) -> bytes:
    """A file without what was measured by the clock."""
    if path.suffix != ".jsonl":
        return path.read_bytes()
    import orjson

    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    clocks = ("seconds", "_per_s", "per_second", "mfu", "runtime")
    kept = [{name: value for name, value in line.items() if not name.endswith(clocks)} for line in lines]
    return orjson.dumps(kept)
