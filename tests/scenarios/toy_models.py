"""Small models that can learn something: a tokenizer of Korean and English, a Llama, and chats about sums.

They stand in for the checkpoints that recipes of trainings and ablations go on from.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.toy_training import LENGTH, SPECIAL, assistant, sums, user
from curation.tokens.train import Recipe, train_tokenizer
from manifests.engine import silent
from manifests.schema_training import TrainingManifest
from manifests.store import Folder
from tests.training.tiny import chat_template, write_jsonl
from training.stages import train

Row = dict[str, Any]
QUICK: dict[str, Any] = {"batch": 16, "schedule": {"kind": "cosine", "warmup": 0.1, "end": 0.1}}
"""Of stages that learn fast."""
SIZES: dict[str, int] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
}


def make_tokenizer(folder: Path, files: Sequence[Path], vocabulary: int = 1024) -> Path:
    """A tokenizer that learned these JSONL files, with ChatML as its template; its folder."""
    from transformers import AutoTokenizer

    recipe = Recipe(vocabulary, None, 2_000_000, "single", SPECIAL, "text")
    train_tokenizer([str(path) for path in files], Folder(str(folder)), recipe, silent)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token, tokenizer.pad_token = SPECIAL[0], SPECIAL[3]
    tokenizer.chat_template = chat_template("chatml")
    tokenizer.save_pretrained(folder)
    return folder


def new_model(tokenizer: Path, **sizes: int) -> Row:
    """How a new model is built, as a manifest's `base`."""
    return {"tokenizer": str(tokenizer), "tie_word_embeddings": True, **SIZES, **sizes}


def trained(folder: Path, base: Row | Path, stages: Sequence[Row], seed: int = 0) -> Path:
    """The model that stages make of a base."""
    manifest = {
        "kind": "training",
        "name": folder.name,
        "base": base if isinstance(base, dict) else str(base),
        "stages": list(stages),
        "threads": 1,
        "seed": seed,
        "output": str(folder),
    }
    record, run = train(TrainingManifest.model_validate(manifest), str(folder.parent))
    return Path(run, list(record.models.values())[-1])


def sft(path: Path, steps: int, **more: Any) -> Row:
    """A stage that tunes on chats."""
    data = [{"path": str(path)}]
    return {"name": "sft", "kind": "sft", "data": data, "max_length": LENGTH, "steps": steps, **QUICK, **more}


def write_sums(folder: Path, n: int, seed: int = 0, polite: float = 0.3) -> Path:
    """Chats about sums of two digits, some of whose answers end politely."""
    rows = [{"messages": [user(row["asked"]), assistant(row["said"])]} for row in sums(n, seed, polite)]
    return write_jsonl(folder / "sums.jsonl", rows)
