"""`onggi ablate` and `onggi ladder`: what a person sees before anything is run, and of what was run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import onggi
from tests.curation.mixture import small
from tests.training import tiny
from tests.training.experiments.small_experiments import MIXTURE, ablation, cpt, training, written

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in a folder; (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onggi", *arguments])
        with pytest.raises(SystemExit) as ended:
            onggi.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Documents of two languages, and an ablation of mixtures of them."""
    small.tokenizer(tmp_path / "base")
    for name, words in (("ko", small.KOREAN), ("en", small.ENGLISH)):
        small.parquet(tmp_path / "data" / f"{name}.parquet", small.rows(60, name, words))
    steps = [{"name": "mix", "manifest": MIXTURE}]
    written(tmp_path, ablation(steps=steps, of="mix", measures=["counts.tokens", "counts.sequences"]))
    return tmp_path


def test_arms_are_printed_with_their_difference(run: Run, place: Path) -> None:
    code, said, _ = run("ablate", "experiment.yaml")
    assert code == 0, said
    lines = [line.split() for line in said.splitlines()]
    assert lines[0] == ["arm", "counts.tokens", "counts.sequences", "tokens", "FLOPs"]
    assert lines[1][0] == "both" and lines[3][0] == "korean" and lines[1][2] == "±"
    assert lines[4][0].startswith("-"), "the difference stands below"
    assert said.splitlines()[-1] == f"Report:  {place}/out/report.html"
    code, said, _ = run("report", "out")
    assert code == 0 and said.strip() == f"{place}/out/report.html"


def test_an_experiment_with_a_run_that_failed_has_a_report(run: Run, place: Path) -> None:
    code, _, said = run("ablate", "experiment.yaml", "--set", "arms.korean.set={mix.tokens: 10000000}")
    assert code == 1 and "korean: seed 0: mix" in said and not (place / "out/run.json").exists()
    (place / "out/report.html").unlink()
    code, said, _ = run("report", "out")
    assert code == 0 and said.strip() == f"{place}/out/report.html" and (place / "out/report.html").is_file()


def test_a_field_without_a_name_is_told(run: Run, place: Path) -> None:
    for field in ("mix.", "mix..", "mix.[]"):
        code, _, said = run("ablate", "experiment.yaml", "--set", f'arms.korean.set={{"{field}": 1}}')
        assert code == 2 and f"arms.korean.set.{field}: names no field" in said


def test_json_is_the_summary(run: Run, place: Path) -> None:
    code, said, _ = run("ablate", "experiment.yaml", "--json", "-o", "other", "--set", "seeds=[5]")
    found = json.loads(said)
    assert code == 0 and found == json.loads((place / "other/summary.json").read_bytes())
    assert found["seeds"] == [5] and found["baseline"] == "both"


def test_a_plan_tells_what_is_shared(run: Run, place: Path) -> None:
    tiny.save_model(place / "base")
    (place / "ko.jsonl").write_text('{"text": "옹기"}\n')
    trained = training(cpt("pre"), cpt("on"), cpt("off", model="pre"))
    arms = [{"name": "on"}, {"name": "off", "of": "train.off"}]
    steps = [{"name": "mix", "manifest": MIXTURE}, {"name": "train", "manifest": trained}]
    written(place, ablation(steps=steps, of="train.on", arms=arms, seeds=[0]))
    code, said, err = run("ablate", "experiment.yaml", "--plan")
    assert code == 0, err
    rows = [line.split() for line in said.splitlines()]
    assert rows[2][:5] == ["train", "on", "0", "pre,", "on"] and rows[3][:5] == ["train", "off", "0", "off", "pre"]
    assert "3 runs, 0 of them done; 3 stages to train for 4 that are named" in said
    code, said, _ = run("ablate", "experiment.yaml", "--plan", "--json")
    found = json.loads(said)
    n_weights, n_tokens = 175_424, 3 * 2 * 64
    assert [row["flops"] for row in found["runs"]] == [None, 2 * 6 * n_weights * n_tokens, 6 * n_weights * n_tokens]
    assert not (place / "out").exists()


def test_what_is_wrong_is_said_with_exit_code_2(run: Run, place: Path) -> None:
    code, _, err = run("ablate", "experiment.yaml", "--set", "arms.korean.set={mix.sourcess: 1}")
    assert code == 2
    assert (
        f"{place}/experiment.yaml: arms.korean.set.mix.sourcess: sourcess: unknown key; did you mean `sources`" in err
    )
    code, _, err = run("ladder", "experiment.yaml")
    assert code == 2 and "is of `kind: ablation`, which is for `onggi ablate`" in err


def test_an_arm_that_fails_is_exit_code_1(run: Run, place: Path) -> None:
    code, said, err = run("ablate", "experiment.yaml", "--set", "arms.korean.set={mix.tokens: 10000000}")
    assert code == 1 and "both" in said
    assert "korean: seed 0: mix: " in err and "the same command tries again" in err


def test_a_ladder_is_printed_by_rungs(run: Run, place: Path) -> None:
    rungs = [{"name": "mixed", "of": "mix", "measures": ["counts.tokens"]}]
    steps = [{"name": "mix", "manifest": MIXTURE, "seeds": False}]
    settings = {"kind": "ladder", "name": "l", "steps": steps, "rungs": rungs, "output": "out"}
    (place / "l.yaml").write_text(yaml.safe_dump(settings))
    code, said, err = run("ladder", "l.yaml")
    assert code == 0, err
    n_tokens = json.loads((place / "out/summary.json").read_bytes())["points"][0]["figures"]["counts.tokens"]
    assert said.splitlines()[1].split() == ["mixed", "counts.tokens", f"{n_tokens:,.0f}"] and n_tokens > 1000
