"""docs/pruning-search.md: what it shows is what comes out, and its stage is valid."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter
from typer.testing import CliRunner

from manifests.schema_surgery import Prune
from manifests.schema_training import TrainingStage
from onggi import app
from tests.training.pruning.test_candidates import TABLE_16
from tests.training.pruning.test_schedule import KANANA_8B, NANO
from training.pruning.candidates import AXES, grid_of

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "pruning-search.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def test_the_schedule_is_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models/base").mkdir(parents=True)
    Path("models/base/config.json").write_text(json.dumps(KANANA_8B))
    command = blocks("bash")[0].split(">")[0].replace("\\\n", " ")
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(blocks("yaml")[0].removesuffix("  ...\n"))


def test_the_search_is_valid_and_has_the_candidates_of_table_16() -> None:
    [written] = yaml.safe_load(blocks("yaml")[1])
    adapter: TypeAdapter[Any] = TypeAdapter(TrainingStage)
    stage = adapter.validate_python(written)
    assert isinstance(stage, Prune) and stage.search is not None
    near = grid_of(KANANA_8B | NANO.given(), stage.search, stage.cut_max).near
    assert set(TABLE_16) <= {tuple(getattr(one.sizes, axis) for axis in AXES) for one in near}
