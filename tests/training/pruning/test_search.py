"""A search on a tiny model: the best of its candidates is made, of pruned weights; kills change nothing."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from manifests.engine import silent
from manifests.errors import RequestError
from manifests.schema_surgery import Importance, Prune, Sizes
from manifests.schema_training import TrainingManifest
from tests.training import tiny
from tests.training.small_mixtures import make_mixture
from training.distilling import distill
from training.jobs import Job, Made
from training.model_files import CONFIG, read_object
from training.outlook import outlook
from training.pruning.importance import Scores
from training.pruning.ranking import choose
from training.pruning.search import FOLDER, TRIED, run_search
from training.pruning.slicing import prune
from training.pruning.stage import SCORES, run

MIXTURE = {"path": "mixture/out"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and a mixture that holds some sequences out."""
    folder = tmp_path_factory.mktemp("search")
    tiny.save_model(folder / "base")
    make_mixture(folder / "mixture", folder / "base", n=60, validation={"frac": 0.2})
    return folder


def job(folder: Path, work: Path, **search: Any) -> Job:
    asked = {
        "parameters": 100_000,
        "within": 0.2,
        "hidden_size": [48, 64],
        "intermediate_size": [64, 96, 128],
        "num_attention_heads": [2, 4],
        "trial": {"mixture": MIXTURE, "steps": 3, "batch": 4, "learning_rate": 3e-3},
    }
    stage = Prune.model_validate(
        {
            "kind": "prune",
            "name": "pruned",
            "search": asked | search,
            "calibration": {"mixture": MIXTURE, "samples": 8, "micro_batch": 4},
        }
    )
    models = {"model": str(folder / "base")}
    return Job(stage=stage, folder=str(work), manifest_base=str(folder), models=models, seed=3, threads=1)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def done(folder: Path) -> tuple[Made, Path]:
    return run(job(folder, folder / "whole", without_embeddings=True, parameters=50_000), silent), folder / "whole"


def test_all_candidates_are_compared_and_the_lowest_loss_is_made(done: tuple[Made, Path], folder: Path) -> None:
    made, work = done
    [table] = [table for table in made.tables if table.title == "Search"]
    before, losses = ([float(row[column] or 0) for row in table.rows] for column in (4, 5))
    best = [row for row in table.rows if row[7] == "made"]
    assert made.counts["candidates"] == len(table.rows) > 2
    assert made.counts["trial_tokens"] > 0 and "tokens" not in made.counts
    assert best[0][5] == min(losses)
    assert len({*losses, *before}) == 2 * len(losses)
    assert made.figures["search_loss"] == pytest.approx(min(losses), abs=1e-5)
    config = read_object(work / "model" / CONFIG)
    assert [config[name] for name in ("hidden_size", "intermediate_size", "num_attention_heads")] == best[0][:3]
    assert "<svg" in made.charts["Candidates"]
    assert Made.model_validate_json(made.model_dump_json()) == made


def test_what_is_made_has_the_pruned_weights(done: tuple[Made, Path], folder: Path, tmp_path: Path) -> None:
    config = read_object(done[1] / "model" / CONFIG)
    sizes = Sizes(**{name: config[name] for name in ("hidden_size", "intermediate_size", "num_attention_heads")})
    kept = choose(Scores.load(done[1] / SCORES), read_object(folder / "base" / CONFIG), sizes, Importance())
    prune(folder / "base", kept, tmp_path / "alone")
    assert digests(tmp_path / "alone") == digests(done[1] / "model")


def test_trials_leave_no_weights(done: tuple[Made, Path]) -> None:
    assert {path.suffix for path in (done[1] / FOLDER).rglob("*") if path.is_file()} <= {".json", ".jsonl"}


def test_a_search_that_was_killed_does_not_try_again(
    done: tuple[Made, Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, tried = job(folder, tmp_path / "killed", without_embeddings=True, parameters=50_000), list[str]()
    run_trial = distill.run

    def counted(of: Job, progress: Any) -> Made:
        tried.append(of.path.name)
        if len(tried) == 3:
            raise KeyboardInterrupt
        return run_trial(of, progress)

    monkeypatch.setattr(distill, "run", counted)
    with pytest.raises(KeyboardInterrupt):
        run_search(asked, silent)
    made = run_search(asked, silent)
    assert len(tried) == made.counts["candidates"] + 1
    assert tried[2] == tried[3]
    assert made == done[0]
    assert digests(tmp_path / "killed" / "model") == digests(done[1] / "model")
    for path in (tmp_path / "killed" / FOLDER).glob(f"*/{TRIED}"):
        assert path.read_bytes() == (done[1] / FOLDER / path.parent.name / TRIED).read_bytes()


def test_a_mixture_that_holds_nothing_out_is_refused(folder: Path, tmp_path: Path) -> None:
    make_mixture(tmp_path / "mixture", folder / "base", n=20)
    trial = {"mixture": {"path": str(tmp_path / "mixture/out")}, "steps": 1}
    asked = job(folder, tmp_path / "work", without_embeddings=True, parameters=50_000, trial=trial)
    with pytest.raises(RequestError, match=r"search.trial.mixture: .* holds nothing out"):
        run_search(asked, silent)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(("parameters", "n_problems"), [(50_000, 0), (5_000_000, 1)])
def test_a_plan_knows_whether_there_are_candidates(folder: Path, parameters: int, n_problems: int) -> None:
    stage = job(folder, folder, without_embeddings=True, parameters=parameters).stage.model_dump(exclude_unset=True)
    manifest = TrainingManifest.model_validate(
        {"kind": "training", "name": "small", "base": "base", "stages": [stage], "output": "run"}
    )
    problems = outlook(manifest, str(folder)).problems
    assert len(problems) == n_problems, problems
    assert all("stage pruned: search.parameters: none of 12 candidates" in problem for problem in problems)
