"""`onggi merge`: what a person sees."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

import onggi
from tests.training.merging import merged

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in a folder with three models; (exit code, stdout, stderr)."""
    for seed, name in enumerate("abc"):
        merged.model(tmp_path / name, merged.arrays_of(seed), tokens=["p", "q"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onggi", "merge", *arguments])
        with pytest.raises(SystemExit) as ended:
            onggi.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def test_slerp(run: Run, tmp_path: Path) -> None:
    code, said, _ = run("a", "b", "-o", "out", "--t", "0.7", "--t", "mlp=0,1", "--dtype", "bfloat16")
    assert code == 0
    assert (
        "of the parameters were merged along the arc (SLERP)" in said and "every tensor is in out/merge.json" in said
    )
    report = json.loads((tmp_path / "out/merge.json").read_bytes())
    values = {record["name"]: record["t"] for record in report["tensors"]}
    assert [values[f"model.layers.{n}.mlp.up_proj.weight"] for n in (0, 1)] == [0, 1]
    assert values["model.norm.weight"] == 0.7
    assert merged.config(tmp_path / "out")["dtype"] == "bfloat16"
    code, _, shown = run("a", "b", "-o", "out")
    assert code == 2 and "out: there is something already; name another folder" in shown


def test_other_methods(run: Run, tmp_path: Path) -> None:
    options = ("--method", "ties", "--base", "c", "--weight", "0.5", "--weight", "1,0", "--density", "0.5", "--json")
    code, said, _ = run("a", "b", *options, "-o", "out")
    assert code == 0
    report = json.loads(said)
    assert report["rule"]["models"][1] == {
        "model": "b",
        "weight": [{"match": None, "value": [1.0, 0.0]}],
        "density": [{"match": None, "value": 0.5}],
    }
    assert report == json.loads((tmp_path / "out/merge.json").read_bytes())
    for seed in ("1", "2"):
        assert run("a", "b", "--method", "dare_linear", "--base", "c", "-o", f"d{seed}", "--seed", seed)[0] == 0
    first, second = (merged.read(tmp_path / name) for name in ("d1", "d2"))
    assert any(not np.array_equal(first[name], second[name]) for name in first)


def test_rule_in_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    rule = tmp_path / "rules/rule.yaml"
    rule.write_text(yaml.safe_dump({"method": "linear", "models": ["../a", {"model": "../b", "weight": 3}]}))
    assert run("--rule", "rules/rule.yaml", "-o", "out")[0] == 0
    expected = (merged.arrays_of(0)["lm_head.weight"] + 3 * merged.arrays_of(1)["lm_head.weight"]) / 4
    assert np.abs(merged.read(tmp_path / "out")["lm_head.weight"] - expected).max() < 1e-6
    code, _, shown = run("a", "--rule", "rules/rule.yaml", "-o", "other")
    assert code == 2 and "all that is merged stands in the file" in shown
    rule.write_text("models: [a]\nmethd: slerp\nt: [0, x]\n")
    code, _, shown = run("--rule", "rules/rule.yaml", "-o", "other")
    assert code == 2
    assert "rule.yaml:2: methd: unknown key; did you mean `method`?" in shown and "rule.yaml:3: t" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "out"), "MODEL: missing"),
        (("a", "b"), "--output: missing"),
        (("a", "-o", "out"), "`slerp` is between exactly two; found 1"),
        (("a", "b", "-o", "out", "--t", "half"), "--t half: write a number, a gradient as 0,0.5,1"),
        (("a", "b", "-o", "out", "--t", "2"), "t.0.value: expected numbers from 0 to 1"),
        (("a", "b", "-o", "out", "--weight", "2"), "--weight: slerp has --t"),
        (("a", "b", "-o", "out", "--density", "2"), "--density: is for ties and dare"),
        (("a", "b", "-o", "out", "--method", "linear", "--t", "0.5"), "--t: is for slerp"),
        (("a", "b", "-o", "out", "--method", "linear", "--weight", "1"), "--weight: found 1 for 2 models"),
        (("a", "b", "-o", "out", "--method", "ties"), "base: missing; `ties` counts changes from it"),
        (("a", "b", "-o", "out", "--base", "c"), "base: `slerp` has none; leave it out"),
        (("a", "d", "-o", "out"), "download it first"),
        (("a", "b", "-o", "out", "--t", "atn=0", "--t", "1"), "t[0].match: `atn` is in no tensor's name"),
    ],
)
def test_what_is_wrong_is_said(run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    code, _, shown = run(*arguments)
    assert code == 2 and said in shown
    assert not (tmp_path / "out").exists()
