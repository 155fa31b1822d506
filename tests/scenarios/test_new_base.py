"""A training from scratch, stacked and trained further, through `train`: at first only a tokenizer is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from tests.scenarios.training_runs import in_this_process, load, made_by
from tests.training import tiny
from tests.training.small_mixtures import make_mixture
from training import stages
from training.model_files import read_object
from training.outlook import outlook
from training.summary_models import TrainingSummary

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stages, "run", in_this_process)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scratch")
    tiny.save_tokenizer(folder / "tok")
    make_mixture(folder / "mixture", folder / "tok", n=60, validation={"frac": 0.2})
    usual = {"steps": 12, "batch": 8, "learning_rate": 3e-3, "mixture": "mixture/out"}
    written = {
        "kind": "training",
        "name": "scratch",
        "base": {
            "tokenizer": "tok",
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128,
        },
        "validation": [{"name": "held_out", "mixture": "mixture/out"}],
        "threads": 1,
        "stages": [
            {"name": "first", "kind": "cpt", **usual},
            {"name": "stacked", "kind": "upscale", "drop": 0},
            {"name": "further", "kind": "cpt", **usual},
            {"name": "afresh", "kind": "init", "model": "stacked", "sizes": {"num_hidden_layers": 1}},
        ],
        "output": "run",
    }
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def finished(manifest: Path) -> Path:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stages, "run", in_this_process)
        stages.train(load(manifest), str(manifest.parent))
    return manifest.parent / "run"


def test_it_learns_from_nothing(finished: Path) -> None:
    summary = TrainingSummary.model_validate_json((finished / "summary.json").read_bytes())
    by_name = {stage.name: stage for stage in summary.stages}
    assert list(by_name) == ["base", "first", "stacked", "further", "afresh"]
    losses = {name: stage.measures["held_out"]["loss"] for name, stage in by_name.items()}
    n_tokens = len(tiny.SPECIAL) + 256  # at least: a new model knows none of them from another
    assert losses["base"] > torch.log(torch.tensor(float(n_tokens))) - 0.2
    assert losses["first"] < losses["base"] - 0.5 and losses["further"] < losses["stacked"]
    assert losses["afresh"] > losses["further"] + 0.5
    assert by_name["stacked"].made.counts["layers"] == 4
    folders = {path.name.rsplit("-", 1)[0]: path for path in (finished / "stages").iterdir()}
    depth = {name: read_object(path / "model/config.json")["num_hidden_layers"] for name, path in folders.items()}
    assert depth == {"base": 2, "first": 2, "stacked": 4, "further": 4, "afresh": 1}
    page = (finished / "report.html").read_text()
    assert "Which layers are whose" in page and "style=" not in page.split("</style>", 1)[1]


def test_it_is_planned_before_anything_is_there(manifest: Path, finished: Path, tmp_path: Path) -> None:
    found = outlook(load(manifest, f"output={tmp_path}/new"), str(manifest.parent))
    summary = TrainingSummary.model_validate_json((finished / "summary.json").read_bytes())
    planned = {stage.name: stage.n_parameters for stage in found.stages}
    assert not found.problems
    for stage in summary.stages[1:]:
        assert planned[stage.name] == stage.made.counts.get("parameters", planned[stage.name])
    assert planned["stacked"] == planned["further"] > planned["first"]


def test_two_trainings_share_a_new_base(manifest: Path, finished: Path, tmp_path: Path) -> None:
    """Bytes are the same in a store, and what another manifest has in common is not made again."""
    store = tmp_path / "store"
    shorter = load(manifest, f"output={tmp_path}/a", "stages.2.steps=3")
    stages.train(shorter, str(manifest.parent), store=store)
    when = {path: path.stat().st_mtime_ns for path in store.glob("stages/*/model/*.safetensors")}
    assert len(when) == 5
    stages.train(load(manifest, f"output={tmp_path}/b"), str(manifest.parent), store=store)
    assert {path: path.stat().st_mtime_ns for path in when} == when
    assert len(list(store.glob("stages/*/model/*.safetensors"))) == 6
    whole, shared = made_by(finished), made_by(store)
    for name in ("base/model.safetensors", "first/model.safetensors", "stacked/model.safetensors"):
        assert whole[name] == shared[name]
