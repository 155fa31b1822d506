"""`onggi prune`: what it prints, and what it refuses."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

import onggi
from manifests.errors import RequestError
from tests.training import tiny
from training.flops import count_parameters


def invoke(*arguments: object) -> str:
    found = CliRunner().invoke(onggi.app, ["prune", *map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0
    return found.stdout


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return tiny.write_jsonl(tmp_path / "texts.jsonl", [{"text": text} for text in (*tiny.KOREAN, *tiny.ENGLISH)])


def test_prune(tmp_path: Path, tiny_model: Path, texts: Path) -> None:
    narrow = tmp_path / "narrow"
    shown = invoke(tiny_model, "-o", narrow, "--hidden-size", 56, "--heads", 2, "--text", texts, "--tie-embeddings")
    assert re.search(r"hidden channels +64 +56\n", shown)
    assert f"{count_parameters(narrow):,}" in shown
    assert "Importance" not in shown  # a table without its title
    assert "of the weights beside embeddings are gone" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["narrow", "texts.jsonl"]
    with pytest.raises(RequestError, match="there is something already"):
        invoke(tiny_model, "-o", narrow, "--hidden-size", 56, "--text", texts)


def test_prune_as_json(tmp_path: Path, tiny_model: Path, texts: Path) -> None:
    shown = invoke(tiny_model, "-o", tmp_path / "n", "--layers", 1, "--text", texts, "--samples", 3, "--json")
    report = orjson.loads(shown)
    assert (report["before"]["num_hidden_layers"], report["after"]["num_hidden_layers"]) == (2, 1)
    assert report["parameters_after"] == count_parameters(tmp_path / "n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "t.jsonl"], "name what becomes smaller: --hidden-size, --intermediate-size, --heads, --layers"),
        (["--heads", 2], "name one of --text and --mixture, which importance is measured on; found none"),
        (["--heads", 2, "--text", "t", "--mixture", "m"], "found both"),
        (["--heads", 2, "--text", "t", "--cut-max", 3], r"--cut-max: found `3.0`; expected a share"),
        (["--heads", 3, "--text", "t.jsonl"], r"--heads: 3 heads .* one of 2, 4"),
        (["--hidden-size", 16, "--text", "t.jsonl"], r"cuts 75% of the weights beside embeddings"),
    ],
)
def test_what_is_refused(options: list[Any], message: str, tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(RequestError, match=message):
        invoke(tiny_model, "-o", tmp_path / "narrow", *options)
    assert list(tmp_path.iterdir()) == []
