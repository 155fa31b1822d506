"""The way to a small model: every cut small enough, the target last, sizes that go together."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from typer.testing import CliRunner

from manifests.errors import RequestError
from manifests.schema_surgery import Prune, Sizes
from manifests.schema_training import TrainingStage
from onggi import app
from training.pruning.schedule import ORDER, layers_of, stages_yaml, steps_to

KANANA_8B: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
NANO = Sizes(hidden_size=1792, intermediate_size=8064, num_attention_heads=24)


def test_kanana_nano_takes_two_steps_as_it_did() -> None:
    """8B to 4.5B to 2.1B (2502.18934, table 6); the second has 1.857B weights beside embeddings."""
    steps = steps_to(KANANA_8B, NANO)
    assert len(steps) == 2
    assert steps[-1].n_parameters == 1_857_144_576
    assert 3.5e9 < steps[0].n_parameters < 4e9


def test_what_is_near_takes_one_step() -> None:
    [step] = steps_to(KANANA_8B, Sizes(intermediate_size=7168))
    assert step.sizes.given() == {"intermediate_size": 7168}
    assert step.cut_frac == pytest.approx(1 - step.n_parameters / layers_of(KANANA_8B))


def test_depth_is_cut_last_and_width_after_heads() -> None:
    steps = steps_to(KANANA_8B, Sizes(hidden_size=512, num_attention_heads=8, num_hidden_layers=4))
    sizes = [step.sizes.given() for step in steps]
    for before, after in pairwise(sizes):
        assert after["hidden_size"] == 512 or after["num_hidden_layers"] == before["num_hidden_layers"]
        assert after["num_attention_heads"] == 8 or after["hidden_size"] == before["hidden_size"]


@st.composite
def ways(draw: st.DrawFn) -> tuple[dict[str, Any], Sizes, float]:
    """A model, what it is to become, and how much may be cut at once."""
    groups, per_group = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    head_dim = draw(st.sampled_from([16, 64, 128]))
    config: dict[str, Any] = {
        "model_type": draw(st.sampled_from(["llama", "qwen2", "qwen3"])),
        "vocab_size": 1000,
        "hidden_size": draw(st.integers(32, 4096)),
        "intermediate_size": draw(st.integers(32, 16384)),
        "num_hidden_layers": draw(st.integers(1, 48)),
        "num_attention_heads": groups * per_group,
        "num_key_value_heads": groups,
        "head_dim": head_dim,
    }
    target = Sizes(
        hidden_size=draw(st.integers(16, config["hidden_size"])),
        intermediate_size=draw(st.integers(16, config["intermediate_size"])),
        num_attention_heads=groups * draw(st.integers(1, per_group)),
        num_hidden_layers=draw(st.integers(1, config["num_hidden_layers"])),
    )
    return config, target, draw(st.sampled_from([0.3, 0.5, 0.7]))


@settings(max_examples=60, deadline=None)
@given(ways())
def test_every_step_is_small_enough_and_the_last_is_the_target(way: tuple[dict[str, Any], Sizes, float]) -> None:
    config, target, cut_max = way
    assume(any(value != config[name] for name, value in target.given().items()))
    try:
        steps = steps_to(config, target, cut_max)
    except RequestError as error:  # one layer of few, or one head per group of few, is more than may be cut
        assert cut_max < 0.5, error
        return
    before = dict(config)
    for step in steps:
        after = config | step.sizes.given()
        assert layers_of(after) == step.n_parameters
        assert layers_of(after) >= (1 - cut_max) * layers_of(before) - 1e-6
        assert after["num_attention_heads"] % config["num_key_value_heads"] == 0
        assert all(after[name] <= before[name] for name in ORDER) and after != before
        before = after
    assert all(before[name] == value for name, value in target.given().items())


def test_the_stages_are_valid_and_go_on_from_each_other() -> None:
    written = yaml.safe_load(stages_yaml(steps_to(KANANA_8B, NANO), "stage2", tie_embeddings=True))
    adapter: TypeAdapter[Any] = TypeAdapter(TrainingStage)
    stages = [adapter.validate_python(stage) for stage in written["stages"]]
    assert [stage.kind for stage in stages] == ["prune", "distill"] * 2
    assert [stage.tie_embeddings for stage in stages if isinstance(stage, Prune)] == [False, True]
    assert all(stage.teacher == "base" for stage in stages if stage.kind == "distill")
    assert stages[2].to == NANO


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"num_attention_heads": 12}, "valid: 8, 16, 24, 32"),
        ({"hidden_size": 8192}, r"hidden_size: found 8,192; the model has 4,096"),
        ({"hidden_size": 4096}, "already"),
        ({"head_dim": 64}, "head_dim: is kept"),
    ],
)
def test_targets_that_cannot_be(target: dict[str, int], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        steps_to(KANANA_8B, Sizes(**target))


@pytest.mark.parametrize("cut_max", [0, 1, 1.5])
def test_shares_that_are_none(cut_max: float) -> None:
    with pytest.raises(RequestError, match="above 0 and below 1"):
        steps_to(KANANA_8B, NANO, cut_max)


def test_the_command_prints_stages_to_start_from(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(KANANA_8B))
    asked = ["prune", str(tmp_path), "--schedule", "--hidden-size", "1792", "--intermediate-size", "8064"]
    done = CliRunner().invoke(app, [*asked, "--heads", "24", "--mixture", "stage2", "--tie-embeddings"])
    assert done.exit_code == 0, done.output
    assert done.stdout == stages_yaml(steps_to(KANANA_8B, NANO), "stage2", tie_embeddings=True)
    as_json = CliRunner().invoke(app, [*asked, "--heads", "24", "--mixture", "stage2", "--tie-embeddings", "--json"])
    assert json.loads(as_json.stdout) == yaml.safe_load(done.stdout)


def test_a_cut_that_is_always_too_large() -> None:
    shallow = KANANA_8B | {"num_hidden_layers": 2}
    with pytest.raises(RequestError, match="smallest cut"):
        steps_to(shallow, Sizes(num_hidden_layers=1), 0.2)


def test_other_families_are_refused() -> None:
    with pytest.raises(RequestError, match="valid: llama"):
        layers_of(KANANA_8B | {"model_type": "gemma2"})
