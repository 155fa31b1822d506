"""Small experiments: a mixture of made-up words and a training of some steps, on the tiny models of tests."""

from pathlib import Path
from typing import Any

import yaml

from manifests.load import load_kind
from manifests.schema_experiments import AblationManifest, LadderManifest
from tests.curation.mixture import small
from tests.training import tiny


def lay_out(folder: Path) -> Path:
    """A folder with a model, documents of two languages, and held-out Korean text."""
    tiny.save_model(folder / "base")
    for name, words in (("ko", small.KOREAN), ("en", small.ENGLISH)):
        small.parquet(folder / "data" / f"{name}.parquet", small.rows(60, name, words))
    held_out = small.rows(20, "held", small.KOREAN)
    tiny.write_jsonl(folder / "ko.jsonl", [{"text": row["text"]} for row in held_out])
    return folder


MIXTURE: dict[str, Any] = {
    "kind": "mixture",
    "tokenizer": {"path": "base", "engine": "library"},
    "sequence_length": 64,
    "sources": [{"name": name, "path": f"data/{name}.parquet", "category": name} for name in ("ko", "en")],
}
STEPS: dict[str, Any] = {"batch": 2, "checkpoints": {"every": 50}}


def cpt(name: str, **more: Any) -> dict[str, Any]:
    """A stage of continued pre-training on the mixture."""
    return {"name": name, "kind": "cpt", "mixture": "step:mix", "steps": 3, "learning_rate": 1e-3, **STEPS} | more


def training(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A training from the tiny model, measured on held-out Korean."""
    validation = [{"name": "ko", "text": "ko.jsonl"}]
    return {"kind": "training", "base": "base", "threads": 1, "validation": validation, "stages": [*stages]} | more


def ablation(**more: Any) -> dict[str, Any]:
    """A mixture with all there is against one without English, and a training of a stage on it."""
    steps = [{"name": "mix", "manifest": MIXTURE}, {"name": "train", "manifest": training(cpt("cpt"))}]
    settings: dict[str, Any] = {
        "kind": "ablation",
        "name": "small",
        "steps": steps,
        "of": "train.cpt",
        "seeds": [0, 1],
        "arms": [{"name": "both"}, {"name": "korean", "set": {"mix.sources.en.where": "language = 'ko'"}}],
        "output": "out",
    }
    return settings | more


def manifest(folder: Path, **more: Any) -> AblationManifest:
    """The ablation of a file in a folder."""
    return load_kind(AblationManifest, str(written(folder, ablation(**more))))


def ladder(folder: Path, **settings: Any) -> LadderManifest:
    """The ladder of a file in a folder."""
    return load_kind(
        LadderManifest, str(written(folder, {"kind": "ladder", "name": "l", "output": "out"} | settings))
    )


def written(folder: Path, settings: dict[str, Any]) -> Path:
    """The file of a manifest."""
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    return path
