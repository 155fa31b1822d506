"""Manifests of trainings: what a stage names is there, and gates have what they judge by."""

import re
from typing import Any

import pytest
import yaml

from manifests.errors import RequestError
from manifests.load import any_manifest
from manifests.schema_training import Merge, TrainingManifest
from manifests.schema_training_stages import Cpt

BASIC: dict[str, Any] = {
    "kind": "training",
    "name": "small",
    "base": "models/base",
    "validation": [{"name": "ko", "text": "ko.jsonl"}, {"name": "mmlu", "choices": "mmlu.jsonl"}],
    "prompts": "prompts.jsonl",
    "stages": [
        {"name": "cpt", "kind": "cpt", "mixture": "out/mix"},
        {"name": "sft", "kind": "sft", "data": [{"path": "chats.jsonl"}]},
        {"name": "rm", "kind": "reward", "data": [{"path": "pairs.jsonl"}]},
        {"name": "merged", "kind": "merge", "rule": {"models": ["sft", "./instruct"]}},
        {"name": "dpo", "kind": "dpo", "data": [{"path": "pairs.jsonl"}]},
        {"name": "online", "kind": "online_dpo", "prompts": "prompts.jsonl", "reward": "rm"},
    ],
    "output": "out/run",
}


@pytest.fixture
def load(tmp_path: Any) -> Any:
    def loaded(manifest: dict[str, Any]) -> TrainingManifest:
        path = tmp_path / "train.yaml"
        path.write_text(yaml.safe_dump(manifest, sort_keys=False))
        found = any_manifest(str(path))
        assert isinstance(found, TrainingManifest)
        return found

    return loaded


def changed(number: int, **more: Any) -> dict[str, Any]:
    """The manifest with a stage changed."""
    stages = [dict(stage) for stage in BASIC["stages"]]
    stages[number] |= more
    return BASIC | {"stages": stages}


def test_what_is_written_short_means_the_same(load: Any) -> None:
    found = load(BASIC)
    cpt, merge = found.stages[0], found.stages[3]
    assert isinstance(cpt, Cpt) and [use.path for use in cpt.mixture] == ["out/mix"]
    assert isinstance(merge, Merge) and [item.model for item in merge.rule.models] == ["sft", "./instruct"]
    assert merge.rule.t[0].value == 0.5 and found.prompts.path == "prompts.jsonl"
    dpo = found.stages[4]
    assert (dpo.learning_rate, dpo.epochs, dpo.beta, dpo.loss) == (1e-6, 2.0, 0.1, {"sigmoid": 1.0})  # DNA 1.0
    assert load(found.model_dump(mode="json")) == found


WRONG: list[tuple[dict[str, Any], str]] = [
    (changed(5, reward="rmm"), r"stages\[5\]\.reward: 'rmm' is no earlier stage; valid: base, cpt, sft, rm"),
    (changed(5, reward="sft"), r"stages\[5\]\.reward: 'sft' makes a language model, and this takes a reward model"),
    (changed(1, model="rm"), r"stages\[1\]\.model: 'rm' is no earlier stage; valid: base, cpt,"),
    (changed(4, reference="rm"), r"stages\[4\]\.reference: 'rm' makes a reward model, and this takes a language"),
    (changed(5, reference="dpo", refresh_reference=9), r"refresh_reference: takes the policy for the reference"),
    (changed(1, name="cpt"), r"stages\[1\]\.name: 'cpt' is used twice"),
    (changed(1, name="base"), r"stages\[1\]\.name: 'base' means something else"),
    (changed(1, name="model"), r"stages\[1\]\.name: 'model' means something else"),
    (changed(2, name="answers"), r"stages\[2\]\.name: 'answers' means something else"),
    (
        changed(3, sweep=[0.5, 1.5]),
        r"stages\[3\]\.sweep\[1\]: found `1\.5`; expected a number, at least 0, at most 1",
    ),
    (
        changed(1, gates=[{"gate": "length_bias", "max_growth": 1}]) | {"reward": "rm"},
        r"gates\[0\]\.gate: the manifest's `reward`, 'rm', is made after this stage",
    ),
    (changed(3, rule={"models": ["sft"]}), r"models: `slerp` is between exactly two; found 1"),
    (changed(3, rule={"method": "ties", "models": ["sft"]}), r"base: missing; `ties` counts changes from it"),
    (changed(4, loss={"sigmod": 1}), r"stages\[4\]\.loss\.sigmod: unknown key; did you mean `sigmoid`"),
    (changed(4, loss={"sigmoid": 0}), r"stages\[4\]\.loss\.sigmoid"),
    (changed(4, label_smoothing=0.1), r"stages\[4\].*label_smoothing: none of the losses takes notice of it"),
    (changed(4, loss={"exo_pair": 1}), r"stages\[4\].*label_smoothing: `exo_pair` needs one above 0"),
    (
        changed(2, held_out=0, gates=[{"gate": "reward_accuracy", "min": 0.9}]),
        r"stages\[2\]\.gates\[0\]\.gate: it judges held-out pairs",
    ),
    (changed(0, schedule="cosin"), r"schedule.*did you mean `cosine`"),
    (BASIC | {"reward": "sft"}, r"reward: 'sft' is no stage that makes a reward model; valid: rm"),
    (
        changed(0, gates=[{"gate": "validation_loss", "set": "mmlu", "max_rise": 0}]),
        r"stages\[0\]\.gates\[0\]\.set: 'mmlu' is no set of `validation` that it can judge; valid: ko",
    ),
    (
        changed(0, gates=[{"gate": "accuracy", "set": "ko", "max_fall": 0}]),
        r"gates\[0\]\.set: 'ko' is no set of `validation` that it can judge; valid: mmlu",
    ),
    (changed(0, gates=[{"gate": "reward_accuracy", "min": 0.9}]), r"gates\[0\]\.gate: a stage of kind `cpt`"),
    (changed(1, gates=[{"gate": "length_bias", "max_growth": 1}]), r"gates\[0\]\.gate: no reward stage comes before"),
    (
        changed(3, gates=[{"gate": "validation_loss", "set": "ko", "max_rise": 0}]),
        r"gates\[0\]\.against: found `before`; valid: base, parents, cpt, sft",
    ),
    (
        changed(1, gates=[{"gate": "validation_loss", "set": "ko", "max_rise": 0, "against": "dpo"}]),
        r"gates\[0\]\.against: found `dpo`; valid: before, base, cpt",
    ),
    (
        changed(0, gates=[{"gate": "validation_loss", "set": "ko", "max_rise": "2 percent"}]),
        r"gates\[0\]\.max_rise: found `2 percent`; expected -100% or more, as 20% or 0\.2",
    ),
    (
        changed(0, gates=[{"gate": "validation_loss", "set": "ko", "max_rise": "-101%"}]),
        r"gates\[0\]\.max_rise: found `-101%`; expected -100% or more",
    ),
    (
        changed(1, gates=[{"gate": "plateau", "set": "ko", "teacher": "rm"}]),
        r"gates\[0\]\.teacher: 'rm' is no earlier stage; valid: base, cpt, or a folder \(`\./rm`\)",
    ),
    (
        BASIC | {"validation": [{"name": "answers", "text": "ko.jsonl"}]},
        r"validation\[0\]\.name: `answers` are those to the manifest's `prompts`; give another name",
    ),
]


@pytest.mark.parametrize(("manifest", "said"), WRONG, ids=[said[:40] for _, said in WRONG])
def test_what_does_not_fit_is_refused(load: Any, manifest: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError) as raised:
        load(manifest)
    assert re.search(said, str(raised.value)), str(raised.value)


def test_gates_on_answers_need_prompts(load: Any) -> None:
    manifest = changed(4, gates=[{"gate": "reward_drift"}])
    load(manifest)
    manifest.pop("prompts")
    with pytest.raises(RequestError, match=r"it judges answers to the manifest's `prompts`"):
        load(manifest)
