"""`onggi upscale`: what a person sees."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import onggi
from tests.training import tiny
from training.model_files import read_object

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in a folder with a model of four layers; (exit code, stdout, stderr)."""
    tiny.save_model(tmp_path / "base", num_hidden_layers=4)
    tiny.write_jsonl(tmp_path / "texts.jsonl", [{"text": text} for text in tiny.KOREAN])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onggi", "upscale", *arguments])
        with pytest.raises(SystemExit) as ended:
            onggi.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def test_solar(run: Run, tmp_path: Path) -> None:
    code, said, _ = run("base", "-o", "out", "--drop", "1")
    assert code == 0 and "of base" in said and "second time" in said
    assert "4 layers became 6, and 273,984 parameters 372,544" in said
    assert "its layers are in out/upscale.json" in said and str(tmp_path) not in said
    assert read_object(tmp_path / "out/config.json")["num_hidden_layers"] == 6
    code, _, told = run("base", "-o", "out", "--drop", "1")
    assert code == 2 and "out: there is something already; name another folder" in told


def test_by_influence_as_json(run: Run, tmp_path: Path) -> None:
    code, said, _ = run("base", "-o", "out", "--to", "5", "--text", "texts.jsonl", "--start", "identity", "--json")
    found = json.loads(said)
    assert code == 0 and found == read_object(tmp_path / "out/upscale.json")
    assert found["model"] == "base" and len(found["influences"]) == 4 and len(found["silent"]) == 1
    code, said, _ = run("base", "-o", "shown", "--to", "5", "--text", "texts.jsonl")
    assert code == 0 and "influence" in said and "how often it is there" in said


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--drop", "2"), "drop: 2 of 4 layers leaves a model of 4 layers, which is no deeper; expected 0 to 1"),
        (("--to", "5"), "expected an even number, as 6, or"),
        (("--layers", "0-3,2-5"), "layers[1]: found [2, 5]; the model has 4 layers"),
        ((), "name one of --drop, --to and --layers; found none"),
        (("--to", "5", "--text", "none.jsonl"), "--text: "),
    ],
)
def test_wrong_requests(run: Run, tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    code, _, said = run("base", "-o", "out", *options)
    assert code == 2 and told in said
    assert not (tmp_path / "out").exists()
