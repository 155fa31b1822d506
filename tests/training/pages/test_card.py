"""The card of a training says what the records say, and nothing in them is more than text."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from manifests.schema_training import TrainingManifest
from tests.training.summarized import HOSTILE, summary
from training.pages.card import model_card
from training.pages.card_sources import data_used, model_license
from training.record import TrainingRecord

STAGES: list[dict[str, Any]] = [
    {"kind": "cpt", "name": "cpt", "mixture": ["mixture"]},
    {"kind": "sft", "name": "sft", "data": [{"path": "synthetic"}, {"path": "chats.jsonl"}]},
    {"kind": "reward", "name": "reward", "data": [{"path": "pairs.jsonl"}]},
    {"kind": "merge", "name": "merged", "rule": {"models": ["sft", "../instruct"]}},
    {"kind": "dpo", "name": "dpo", "data": [{"path": "pairs.jsonl"}]},
    {"kind": "online_dpo", "name": "online", "prompts": "prompts.jsonl", "reward": "reward"},
]


def write_record(folder: Path, **fields: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(orjson.dumps(fields))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Inputs with records: a mixture of a corpus and of files, and synthetic data."""
    write_record(tmp_path / "corpus", kind="corpus", name="web", licenses={"CC-BY-4.0": 90, "MIT": 10})
    sources = [{"name": "web", "run": "corpus"}, {"name": "files", "path": "files/*.parquet"}]
    mixture = {"manifest": {"sources": sources}, "manifest_base": str(tmp_path), "licenses": {}}
    write_record(tmp_path / "mixture", kind="mixture", name="mix", **mixture)
    made = {"licenses": {"CC0-1.0": 5, "": 2}, "manifest": {"license": "CC-BY-SA-4.0"}}
    write_record(tmp_path / "synthetic", kind="synthesis", name="instructions", **made)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "README.md").write_text("---\nlicense: other\nlicense_name: llama3.1\n---\n# A model\n")
    return tmp_path


def record_at(folder: Path, stages: list[dict[str, Any]], **fields: Any) -> TrainingRecord:
    manifest = {"kind": "training", "name": "dna", "base": "base", "stages": stages, "output": "out"} | fields
    whole = TrainingManifest.model_validate(manifest)
    names = {stage.name: f"stages/{stage.name}-0a/model" for stage in whole.stages}
    nothing: dict[str, Any] = {name: {} for name in (
        "counts", "skipped", "licenses", "shards", "digests", "timings", "throughput", "flops"
    )}  # fmt: skip
    return TrainingRecord(
        name="dna", kind="training", fingerprint="f", onggi_version="0.1.0", created="2026-12-01T03:00:00+00:00",
        manifest=whole.model_dump(mode="json"), manifest_base=str(folder), measured_in="", inputs=[], outputs=[],
        peak_memory_bytes=1, n_workers=1, stages=dict.fromkeys(names, "f"), models=names, base_digest="d", **nothing,
    )  # fmt: skip


def test_a_card_of_new_weights_names_no_base(here: Path) -> None:
    new = {"tokenizer": "tok", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    text = model_card(summary(), record_at(here, STAGES[:1], base=new | {"num_attention_heads": 1}))
    assert "base_model" not in yaml.safe_load(text.split("---\n")[1])
    assert "on from new weights" in text


def test_a_card(here: Path) -> None:
    text = model_card(summary(), record_at(here, STAGES))
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["base_model"] == "base" and front["language"] == ["en", "ko"]
    assert front["pipeline_tag"] == "text-generation" and front["tags"][:3] == ["onggi", "cpt", "sft"]
    assert "license" not in front  # that is for a person to say
    for line in (
        'model = AutoModelForCausalLM.from_pretrained("path/to/this/folder/stages/online-0a/model", dtype="auto")',
        "| cpt | cpt | `base` | 135M | 24,576,000 | 1.98×10¹⁶ | `stages/cpt-0a/model` |",
        "| dpo | dpo | `merged` | 4.9M | 3,300,000 | 2.66×10¹⁵ | `stages/dpo-0a/model` |",
        "| merged | merge | `sft`, `../instruct` | – | 0 | 0 | `stages/merged-0a/model` |",
        "| cpt | 1.09 | 0.991 | 29.8% | −1.1 | 231 | 40.0% |",
        "| cpt | `mixture` | mixture mix | CC-BY-4.0 90, MIT 10 |",
        "| sft | `synthetic` | synthetic data instructions | its manifest says CC-BY-SA-4.0; CC0-1.0 5, "
        "not known 2 |",
        "| sft | `chats.jsonl` | files | not known |",
        "its card says `llama3.1`",
    ):
        assert line in text, line
    assert re.search(r"\| online \| length\\_bias \| \*\*failed\*\* \| answers: mean length 97 -\\> 131", text)
    assert "Measured on ko 120,000 tokens, en 110,000 tokens, mmlu 500 questions." in text


def test_the_model_is_the_last_that_speaks(here: Path) -> None:
    text = model_card(summary(), record_at(here, STAGES[:3]))
    assert "AutoModelForCausalLM" in text and "stages/sft-0a/model" in text
    stages = [STAGES[2] | {"model": "base"}]
    text = model_card(summary(), record_at(here, stages))
    assert "AutoModelForSequenceClassification" in text and "stages/reward-0a/model" in text


def test_nothing_known(tmp_path: Path) -> None:
    bare = summary().model_copy(update={"stages": summary().stages[3:4]})
    text = model_card(bare, record_at(tmp_path, STAGES))
    assert "Nothing was measured" in text and "names none" in text
    assert "None" not in text and "nan" not in text


def test_texts_are_text_only(here: Path) -> None:
    whole = summary()
    gate = whole.stages[1].gates[0].model_copy(update={"found": HOSTILE + "\n# heading | cell"})
    stage = whole.stages[1].model_copy(update={"gates": [gate], "starts_from": [HOSTILE + "` | b"]})
    text = model_card(whole.model_copy(update={"name": HOSTILE, "stages": [stage]}), record_at(here, STAGES))
    outside = re.sub(r"`[^`\n]*`", "", text)
    assert not re.search(r"(?<!\\)<script", outside)
    assert "\n# heading" not in text
    [row] = [line for line in text.splitlines() if line.startswith("| cpt | cpt |")]
    assert row.count("|") == 8


@pytest.mark.parametrize(
    ("card", "found"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: [mit]\n---\n", None),
        ("---\n: : :\n---\n", None),
        ("# none", None),
        (None, None),
    ],
)
def test_licence_of_a_base(card: str | None, found: str | None, tmp_path: Path) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert model_license(str(tmp_path)) == found


def test_broken_records_are_no_records(tmp_path: Path) -> None:
    (tmp_path / "mixture").mkdir()
    (tmp_path / "mixture" / "run.json").write_text("{")
    manifest = TrainingManifest.model_validate(
        {"kind": "training", "name": "a", "base": "b", "stages": STAGES[:1], "output": "o"}
    )
    assert [used.what for used in data_used(manifest, str(tmp_path))] == ["files"]
