"""What a plan says of stages that build a model anew: chains that can be run, and what is wrong before any work."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from manifests.schema_training import TrainingManifest
from tests.training.small_mixtures import make_mixture
from training.flops import parameters
from training.model_files import read_object, write_object
from training.outlook import TrainingOutlook, outlook

CONFIG: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 300, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True, "dtype": "float32",
}  # fmt: skip


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Path) -> Path:
    """Two of them: one holds text out."""
    folder = tmp_path_factory.mktemp("mixtures")
    make_mixture(folder / "whole", tiny_tokenizer, n=20)
    make_mixture(folder / "held", tiny_tokenizer, n=40, validation={"frac": 0.2})
    return folder


@pytest.fixture
def here(tmp_path: Path, tiny_tokenizer: Path, mixtures: Path) -> Path:
    (tmp_path / "whole").symlink_to(mixtures / "whole/out")
    (tmp_path / "held").symlink_to(mixtures / "held/out")
    base = tmp_path / "base"
    base.mkdir()
    for path in tiny_tokenizer.iterdir():
        (base / path.name).symlink_to(path)
    write_object(base / "config.json", CONFIG | {"vocab_size": 4096})
    import torch

    safetensors.torch.save_file({"model.embed_tokens.weight": torch.zeros(1)}, base / "model.safetensors")
    return tmp_path


def planned(here: Path, *stages: dict[str, Any], **fields: Any) -> TrainingOutlook:
    usual = {"kind": "training", "name": "run", "base": "base", "output": "out"}
    return outlook(TrainingManifest.model_validate({**usual, "stages": list(stages), **fields}), str(here))


def prune(name: str = "p", mixture: Any = "held", **fields: Any) -> dict[str, Any]:
    return {"kind": "prune", "name": name, "calibration": {"mixture": mixture, "samples": 4}, **fields}


def search(mixture: Any = "held", **fields: Any) -> dict[str, Any]:
    found = {"parameters": 90_000, "without_embeddings": True, "within": 0.5, "intermediate_size": [48, 64, 96, 112]}
    return {"search": {**found, "trial": {"mixture": mixture, "steps": 1}, **fields}}


def test_a_chain_after_a_search_is_planned_by_its_candidates(here: Path) -> None:
    """What would be too large a cut of the whole model is little of what the search leaves."""
    further = prune("further", to={"intermediate_size": 40, "num_attention_heads": 2, "hidden_size": 48})
    found = planned(here, prune(**search()), further)
    assert found.problems == []
    first, second = found.stages
    assert first.n_parameters - 4096 * 64 == pytest.approx(90_000, rel=0.2)
    assert second.n_parameters < first.n_parameters
    alone = planned(here, further).problems
    assert len(alone) == 1 and "to: cuts" in alone[0]
    too_far = prune("further", to={"intermediate_size": 2, "hidden_size": 32})
    assert any("stage further: to: cuts" in problem for problem in planned(here, prune(**search()), too_far).problems)


def test_a_search_without_embeddings_counts_them_on_disk(here: Path) -> None:
    (stage,) = planned(here, prune(**search())).stages
    assert stage.kept_bytes == 4 * stage.n_parameters > 4 * (90_000 + 4096 * 48)


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ([prune(**search("whole"))], "stage p: search.trial.mixture: whole: holds nothing out"),
        (
            [prune(**search({"path": "held", "stage": "none"}))],
            "stage p: search.trial.mixture.stage: held has no stage 'none'",
        ),
        (
            [prune(mixture={"path": "held", "stage": "none"}, to={"hidden_size": 48})],
            "stage p: calibration.mixture.stage: held has no stage 'none'",
        ),
        (
            [{"kind": "upscale", "name": "u", "to": 6, "influence": {"mixture": {"path": "held", "stage": "none"}}}],
            "stage u: influence.mixture.stage: held has no stage 'none'",
        ),
        (
            [{"kind": "upscale", "name": "u", "layers": [1, 0, 2, 3, 3], "start": "identity"}],
            "stage u: start: identity: layers that are there for the first time are 1, 0, 2 to 3",
        ),
        (
            [
                {"kind": "merge", "name": "m", "rule": {"models": ["base", "./base"]}},
                {"kind": "upscale", "name": "u", "drop": 2},
            ],
            "stage u: drop: 2 of 4 layers",
        ),
        ([{"kind": "init", "name": "n", "sizes": {"num_attention_heads": 3}}], "stage n: sizes: 3 heads of queries"),
    ],
)
def test_what_cannot_be_is_told(here: Path, stages: list[dict[str, Any]], told: str) -> None:
    problems = planned(here, *stages).problems
    assert len(problems) == 1 and problems[0].startswith(told), problems


def test_a_nested_gemma_is_refused_as_the_stage_refuses_it(here: Path) -> None:
    write_object(here / "base/config.json", {"model_type": "gemma3", "text_config": CONFIG | {"model_type": "llama"}})
    problems = planned(here, prune(to={"hidden_size": 48})).problems
    assert any("`model_type` is 'gemma3'; can be pruned" in problem for problem in problems), problems


def test_weights_take_the_bytes_of_their_dtype(here: Path) -> None:
    write_object(here / "base/config.json", read_object(here / "base/config.json") | {"dtype": "bfloat16"})
    stages: list[dict[str, Any]] = [
        {"kind": "upscale", "name": "u", "drop": 1},
        {"kind": "cpt", "name": "c", "mixture": "held"},
        prune(to={"hidden_size": 48}),
        {"kind": "init", "name": "n", "model": "u"},
    ]
    found = planned(here, *stages)
    sizes = {stage.name: stage.kept_bytes / stage.n_parameters for stage in found.stages}
    assert sizes == {"u": 2, "c": 4, "p": 4, "n": 4}


def test_a_new_base_is_on_disk_too(here: Path) -> None:
    sizes = {name: CONFIG[name] for name in CONFIG if name.startswith(("hidden", "inter", "num_"))}
    cpt = {"kind": "cpt", "name": "c", "mixture": "held", "steps": 1}
    new, there = planned(here, cpt, base={"tokenizer": "base", **sizes}), planned(here, cpt)
    counted = parameters(CONFIG)
    assert counted is not None and new.problems == there.problems == []
    assert new.base_bytes == 4 * new.n_parameters > 4 * counted.layers
    assert new.kept_bytes == new.stages[0].kept_bytes + new.base_bytes
    assert there.base_bytes == 0 and there.kept_bytes == there.stages[0].kept_bytes
