"""A whole training at toy size: CPT, SFT, reward model, SLERP, offline and online DPO on a small Llama.

    python benchmarks/toy_training.py OUT [--seed 0] [--text DIR] [--fast]

The Llama has half a million weights. Text is real (`--text`: a folder with the development corpora's Parquet files;
else the bundled sample). Chats are made up: sums in Korean and English, and whether an answer ends politely. That can
be learnt by so small a model, and what is preferred (a polite end) is known, so that the reward model can be judged.
The base is trained here, on English alone: the training begins with a model that has English to forget.
"""

import argparse
import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import yaml

from manifests.load import load_kind
from manifests.schema_mixture import MixtureManifest
from manifests.schema_training import TrainingManifest

VOCABULARY = 2048
LENGTH = 128
TURN, END = "<|im_start|>", "<|im_end|>"
SPECIAL = ["<|endoftext|>", TURN, END, "<|pad|>"]
KOREAN = ("ko_docs_mixed", "ko_wiki_korquad", "ko_books_misc", "ko_petitions")
ENGLISH = ("en_books_misc", "en_docs_mixed")
SIZES = {
    "full": {"chars": 1_000_000, "base": 400, "cpt": 250, "sft": 150, "reward": 60, "dpo": 60, "online": 144},
    "fast": {"chars": 250_000, "base": 30, "cpt": 12, "sft": 10, "reward": 8, "dpo": 6, "online": 4},
}
"""Characters of text per language, and steps."""
HELD_OUT = 24
"""Documents per language by which the loss is measured."""
POLITE = {"ko": " 감사합니다.", "en": " Thank you."}


def texts_of(folder: str | None, names: Sequence[str], language: str, n_chars: int) -> list[str]:
    """Documents of some files, up to so many characters."""
    if folder:
        frames = [pl.read_parquet(f"{folder}/{name}.parquet", columns=["text", "lang"]) for name in names]
        texts = pl.concat(frames).filter(pl.col("lang") == language)["text"].to_list()
    else:
        from onggi import SAMPLE

        texts = _sample(SAMPLE, language)
    random.Random(0).shuffle(texts)
    taken, total = [], 0
    for text in texts:
        if 200 < len(text) < 6000:
            taken.append(text)
            total += len(text)
        if total > n_chars:
            break
    return taken


def _sample(folder: Path, language: str) -> list[str]:
    import zstandard

    if language == "en":
        return pl.read_parquet(folder / "en_docs.parquet")["text"].to_list()
    with zstandard.open(folder / "ko_docs.jsonl.zst", "rb") as file:
        return [orjson.loads(line)["text"] for line in file.read().splitlines()]


def sums(n: int, seed: int, polite: float) -> list[dict[str, Any]]:
    """Chats about sums of two digits, in both languages by turns; so many of the answers end politely."""
    draw = random.Random(seed)
    rows = []
    for number in range(n):
        a, b, language = draw.randint(0, 9), draw.randint(0, 9), "ko" if number % 2 else "en"
        asked = f"{a} 더하기 {b}는?" if language == "ko" else f"What is {a} plus {b}?"
        answer = f"답은 {a + b}입니다." if language == "ko" else f"It is {a + b}."
        end = POLITE[language] if draw.random() < polite else ""
        rows.append({"asked": asked, "plain": answer, "polite": answer + POLITE[language], "said": answer + end})
    return rows


def user(text: str) -> dict[str, str]:
    """A message of the user."""
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    """A message of the assistant."""
    return {"role": "assistant", "content": text}


def write_data(folder: Path, text: str | None, size: dict[str, int], seed: int) -> None:
    """Texts, chats, pairs and prompts."""
    for language, names in (("ko", KOREAN), ("en", ENGLISH)):
        texts = texts_of(text, names, language, size["chars"])
        held_out, rest = texts[:HELD_OUT], texts[HELD_OUT:]
        _jsonl(folder / f"val_{language}.jsonl", [{"text": item} for item in held_out])
        _jsonl(folder / f"text_{language}.jsonl", [{"text": item} for item in rest])
    n = 2000
    chats = [{"messages": [user(row["asked"]), assistant(row["said"])]} for row in sums(n, seed, 0.3)]
    english = [row for row in chats if row["messages"][0]["content"].startswith("What")]
    pairs = [
        {"prompt": [user(row["asked"])], "chosen": [assistant(row["polite"])], "rejected": [assistant(row["plain"])]}
        for row in sums(n, seed + 1, 0)
    ]
    _jsonl(folder / "chats.jsonl", chats)
    _jsonl(folder / "chats_en.jsonl", english)
    _jsonl(folder / "pairs.jsonl", pairs)
    _jsonl(folder / "prompts.jsonl", [{"messages": [user(row["asked"])]} for row in sums(400, seed + 2, 0)])
    _jsonl(folder / "held_out_prompts.jsonl", [{"messages": [user(row["asked"])]} for row in sums(64, seed + 3, 0)])


def _jsonl(path: Path, rows: Sequence[Any]) -> None:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))


def make_model(folder: Path, data: Path, seed: int) -> None:
    """A Llama of random weights, with a tokenizer that learned both languages."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from curation.tokens.train import Recipe, train_tokenizer
    from manifests.engine import silent
    from manifests.store import Folder

    recipe = Recipe(VOCABULARY, 0.5, 2_000_000, "single", SPECIAL, "text")
    train_tokenizer([str(data / "text_ko.jsonl"), str(data / "text_en.jsonl")], Folder(str(folder)), recipe, silent)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token, tokenizer.pad_token = SPECIAL[0], SPECIAL[3]
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def mix(folder: Path, language: str, seed: int) -> None:
    """A token mixture of one language."""
    from curation.mixture.pipeline import mix as run_mix
    from curation.mixture.survey import prepare
    from manifests.engine import HERE, silent

    source = {"name": language, "path": f"data/text_{language}.jsonl", "category": language}
    manifest = {
        "kind": "mixture",
        "name": language,
        "tokenizer": {"path": "random/tokenizer.json", "eod": SPECIAL[0]},
        "sequence_length": LENGTH,
        "seed": seed,
        "sources": [source],
        "output": f"mix_{language}",
    }
    path = folder / f"mix_{language}.yaml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    run_mix(prepare(load_kind(MixtureManifest, str(path)), str(folder), None, HERE), silent)


def base_manifest(size: dict[str, int], seed: int) -> dict[str, Any]:
    """A base that knows English, and its instruct sibling."""
    schedule = {"kind": "cosine", "warmup": 0.1, "end": 0.1}
    return {
        "kind": "training",
        "name": "base",
        "threads": 1,
        "base": "random",
        "seed": seed,
        "output": "base",
        "stages": [
            {
                "name": "english",
                "kind": "cpt",
                "mixture": "mix_en",
                "steps": size["base"],
                "batch": 16,
                "learning_rate": 3e-3,
                "schedule": schedule,
            },
            {
                "name": "instruct",
                "kind": "sft",
                "data": [{"path": "data/chats_en.jsonl"}],
                "template": "chatml",
                "steps": size["sft"],
                "batch": 16,
                "learning_rate": 1e-3,
                "schedule": schedule,
                "max_length": LENGTH,
            },
        ],
    }


def manifest_of(base: str, instruct: str, size: dict[str, int], seed: int) -> dict[str, Any]:
    """The training of both reports, small."""
    schedule = {"kind": "cosine", "warmup": 0.1, "end": 0.1}
    checkpoints = {"every": 20}
    return {
        "kind": "training",
        "name": "toy",
        "threads": 1,
        "base": base,
        "seed": seed,
        "validation": [
            {"name": "ko", "text": "data/val_ko.jsonl"},
            {"name": "en", "text": "data/val_en.jsonl"},
        ],
        "prompts": {"path": "data/held_out_prompts.jsonl", "limit": 64, "max_new_tokens": 24, "temperature": 1.0},
        "stages": [
            {
                "name": "cpt",
                "kind": "cpt",
                "mixture": "mix_ko",
                "replay": {"path": "mix_en", "share": 0.4},
                "steps": size["cpt"],
                "batch": 16,
                "learning_rate": 1e-3,
                "schedule": {"kind": "warmup_stable_decay", "warmup": 0.1, "decay": 0.4},
                "z_loss": 5e-6,
                "optimizer": {"weight_decay": 1e-4, "decay": "independent"},
                "checkpoints": checkpoints,
                "gates": [
                    {"gate": "validation_loss", "set": "ko", "max_rise": -0.05},
                    {"gate": "validation_loss", "set": "en", "max_rise": 0.02},
                ],
            },
            {
                "name": "sft",
                "kind": "sft",
                "data": [{"path": "data/chats.jsonl", "domain": "sums"}],
                "template": "chatml",
                "steps": size["sft"],
                "batch": 16,
                "learning_rate": 1e-3,
                "schedule": schedule,
                "max_length": LENGTH,
                "held_out": 0.05,
                "checkpoints": checkpoints,
            },
            {
                "name": "reward",
                "kind": "reward",
                "data": [{"path": "data/pairs.jsonl", "domain": "sums"}],
                "steps": size["reward"],
                "batch": 16,
                "learning_rate": 5e-4,
                "schedule": schedule,
                "held_out": 0.05,
                "max_length": LENGTH,
                "checkpoints": checkpoints,
                "gates": [{"gate": "reward_accuracy", "min": 0.9}],
            },
            {
                "name": "merged",
                "kind": "merge",
                "rule": {"method": "slerp", "models": ["sft", instruct], "t": 0.3},
                "sweep": [0.1, 0.3, 0.5],
                "gates": [{"gate": "validation_loss", "set": "ko", "max_rise": 0.1, "against": "parents"}],
            },
            {
                "name": "dpo",
                "kind": "dpo",
                "loss": {"sigmoid": 1.0, "sft": 0.2},
                "data": [{"path": "data/pairs.jsonl", "domain": "sums"}],
                "steps": size["dpo"],
                "batch": 16,
                "learning_rate": 1e-4,
                "schedule": schedule,
                "held_out": 0.05,
                "max_length": LENGTH,
                "checkpoints": checkpoints,
                "gates": [{"gate": "length_bias", "max_growth": 1.0}],
            },
            {
                "name": "online",
                "kind": "online_dpo",
                "prompts": "data/prompts.jsonl",
                "reward": "reward",
                "steps": size["online"],
                "batch": 16,
                "learning_rate": 4e-4,
                "schedule": schedule,
                "max_new_tokens": 24,
                "max_prompt_length": 64,
                "checkpoints": {"every": 8},
                "gates": [{"gate": "reward_drift", "max_distance": 0.9}],
            },
        ],
        "output": "run",
    }


def prepare(folder: Path, text: str | None, seed: int, size: dict[str, int]) -> Path:
    """Data, mixtures, base and sibling; the manifest of the training, that is then run by `onggi train`."""
    from training.stages import train

    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    write_data(data, text, size, seed)
    make_model(folder / "random", data, seed)
    for language in ("ko", "en"):
        mix(folder, language, seed)
    path = _written(folder / "base.yaml", base_manifest(size, seed))
    record, base = train(load_kind(TrainingManifest, str(path)), str(folder))
    made = {name: f"./{Path(base, model).relative_to(folder)}" for name, model in record.models.items()}
    return _written(folder / "toy.yaml", manifest_of(made["english"], made["instruct"], size, seed))


def _written(path: Path, manifest: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--text")
    parser.add_argument("--fast", action="store_true", help="a few steps of each stage, to see that all fits")
    asked = parser.parse_args()
    from training.stages import train

    shutil.rmtree(asked.out, ignore_errors=True)
    out, began = asked.out.absolute(), time.monotonic()
    path = prepare(out, asked.text, asked.seed, SIZES["fast" if asked.fast else "full"])
    prepared = time.monotonic()
    manifest = load_kind(TrainingManifest, str(path))
    if asked.fast:
        manifest = load_kind(TrainingManifest, str(_written(path, _without_gates(path))))
    _, run = train(manifest, str(out))
    summary = orjson.loads(Path(run, "summary.json").read_bytes())
    print(orjson.dumps({
        "seed": asked.seed,
        "seconds_base": prepared - began,
        "seconds": time.monotonic() - prepared,
        "stages": [
            {
                "name": stage["name"],
                "seconds": stage["seconds"],
                "measures": stage["measures"],
                "figures": stage["made"]["figures"],
            }
            for stage in summary["stages"]
        ],
    }, option=orjson.OPT_INDENT_2).decode())  # fmt: skip


def _without_gates(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load(path.read_text())
    for stage in manifest["stages"]:
        stage.pop("gates", None)
    return manifest


if __name__ == "__main__":
    main()
