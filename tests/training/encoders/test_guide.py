"""What docs/encoders.md shows loads and runs, and what it names is there."""

import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from manifests.engine import silent
from manifests.house import HOME
from manifests.schema_embedding import Retrieval
from manifests.schema_training import TrainingManifest
from tests.training import tiny
from tests.training.encoders.planted_texts import job, planted
from training.encoders import contrast

GUIDE = (HOME / "docs" / "encoders.md").read_text("utf-8")
PLACE = "out/embedding/stages/embedding-1a2b3c4d/model"


def blocks(language: str) -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)]


def test_manifests_load() -> None:
    whole, sets = blocks("yaml")
    loaded = TrainingManifest.model_validate(yaml.safe_load(whole))
    assert [stage.kind for stage in loaded.stages] == ["mntp", "contrast"]
    assert Retrieval.model_validate(yaml.safe_load(sets)["retrieval"][0]).name == "miracl-ko"


def test_both_ways_of_using_it_make_the_same(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    tiny.write_jsonl(tmp_path / "texts.jsonl", planted(16))
    stage = {"kind": "contrast", "data": [{"path": "texts.jsonl"}], "steps": 2, "held_out": 0.2}
    made = contrast.run(job(tmp_path / "stage", tiny_model, stage), silent)
    named = set(re.findall(r"`((?:ndcg|recall)_(?:before|after))`", GUIDE))
    assert named == {name for name in made.figures if name.startswith(("ndcg", "recall"))}
    onggis, transformers_alone = blocks("python")
    found: list[dict[str, Any]] = [{}, {}]
    for code, names in zip((onggis, transformers_alone), found, strict=True):
        exec(code.replace(PLACE, str(tmp_path / "stage" / "model")), names)
    assert re.search(r"^\[\[.*\]\]$", capsys.readouterr().out, re.MULTILINE)
    theirs, ours = found[1]["vectors"].numpy(), found[0]["encoder"].encode(["대한민국의 수도는 서울이다.", "빵"])
    assert np.abs(theirs - ours).max() < 1e-5
