"""`onggi export` from the command line: what docs/exporting.md shows works."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from manifests.errors import RequestError
from manifests.house import HOME
from onggi import app
from tests.curation.mixture.mixtures import Mixture, write_mixture

GUIDE = (HOME / "docs" / "exporting.md").read_text("utf-8")
COMMANDS = re.findall(r"^onggi (export .*)$", GUIDE, re.M)
SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE, re.S)


@pytest.fixture
def mixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mixture:
    monkeypatch.chdir(tmp_path)
    return write_mixture(tmp_path / "out" / "mixture")


def onggi(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_write_what_the_guide_says(command: str, mixture: Mixture) -> None:
    words = [word.strip("'") for word in command.split()]
    assert "Written to" in onggi(*words)
    format_, folder = words[2], mixture.path.parent.parent / words[3]
    stage = "validation" if "--split" in words else "stage1"
    expected = {
        "megatron": f"{stage}.idx",
        "mds": "index.json",
        "datatrove": "00000_stage1.ds.index",
        "olmo-core": "stage1.yaml",
        "megatron-blend": "stage2.txt",
        "hf-interleave": "stage1.json",
    }
    assert (folder / expected[format_]).is_file()
    assert (folder / "export.json").is_file()


def test_all_formats_are_in_the_guide() -> None:
    assert {command.split()[2] for command in COMMANDS} == {
        "megatron",
        "mds",
        "datatrove",
        "olmo-core",
        "megatron-blend",
        "hf-interleave",
    }


def test_the_record_as_json(mixture: Mixture) -> None:
    said = json.loads(onggi("export", str(mixture.path), "mds", "out/mds", "--stage", "stage2", "--json"))
    assert said["stages"] == ["stage2"]
    assert said["n_sequences"] == len(mixture.of("stage2"))
    assert said == json.loads(Path("out/mds/export.json").read_text())


def test_what_does_not_fit_is_said(mixture: Mixture) -> None:
    runner = CliRunner()
    for words, said in (
        (["npy", "out/x"], "valid: megatron, mds, datatrove"),
        (["mds", "out/x", "--stage", "later"], "valid: stage1, stage2"),
        (["mds", "out/x", "--split", "test"], "valid: train, validation"),
    ):
        result = runner.invoke(app, ["export", str(mixture.path), *words])
        assert isinstance(result.exception, RequestError)
        assert said in str(result.exception)
    result = runner.invoke(app, ["export", "out", "mds", "out/x"])
    assert "holds no mixture" in str(result.exception)
    assert not Path("out/x").exists()


def test_the_dataset_of_the_guide(mixture: Mixture) -> None:
    torch = pytest.importorskip("torch")
    snippet = next(snippet for snippet in SNIPPETS if "TokenBatches" in snippet).replace(
        "batch_size=8", "batch_size=4"
    )
    seen = list[Any]()

    def model(input_ids: Any, attention_mask: Any, position_ids: Any, labels: Any) -> Any:
        assert attention_mask.shape == (4, 1, mixture.length, mixture.length)
        assert labels.shape == position_ids.shape == input_ids.shape
        seen.append(input_ids)
        return SimpleNamespace()

    values = {"model": model, "rank": 0, "world_size": 1, "digest": "d" * 32, "fingerprint": "5" * 32}
    exec(compile(snippet, "guide", "exec"), values)
    assert torch.cat(seen).tolist() == mixture.ids[: len(mixture.rows) // 4 * 4].tolist()
    assert values["state"]["next_sequence"] == len(mixture.rows) // 4 * 4  # type: ignore[index]
