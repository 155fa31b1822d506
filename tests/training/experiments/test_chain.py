"""The runs of arms and seeds before anything is run: what they share, what they name, and what is wrong."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.errors import RequestError
from manifests.schema_experiments import NewTokenizer
from manifests.schema_mixture import MixtureManifest
from manifests.schema_training import TrainingManifest
from tests.training.experiments.small_experiments import MIXTURE, cpt, ladder, manifest, training
from training.experiments.chain import Chains, plan_chains

EVALUATION = {
    "kind": "evaluation",
    "models": [{"name": "m", "path": "step:train.cpt"}],
    "validation": [{"name": "ko", "text": "ko.jsonl"}],
}
GATE = {"gate": "validation_loss", "set": "ko", "max_rise": 0.1}


def chains(folder: Path, **more: Any) -> Chains:
    return plan_chains(manifest(folder, **more), str(folder), named="e.yaml")


def steps(*trained: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"name": "mix", "manifest": MIXTURE}, {"name": "train", "manifest": training(*trained, **more)}]


def test_what_arms_have_in_common_is_one_run(tmp_path: Path) -> None:
    arms = [{"name": "a"}, {"name": "b", "set": {"train.stages.cpt.steps": 4}}]
    runs = [(one.run.step, one.arms, one.seeds) for one in chains(tmp_path, arms=arms).runs]
    assert runs == [
        ("mix", ["a", "b"], [0]),
        ("train", ["a"], [0]),
        ("mix", ["a", "b"], [1]),
        ("train", ["a"], [1]),
        ("train", ["b"], [0]),
        ("train", ["b"], [1]),
    ]


def test_steps_that_are_the_same_for_all_seeds(tmp_path: Path) -> None:
    tokenizer = {"name": "words", "tokenizer": {"text": ["data"], "vocab_size": 600}}
    listed = [tokenizer, *steps(cpt("cpt"))]
    listed[1] = {**listed[1], "seeds": False, "set": {"tokenizer": "step:words"}}
    runs = [(one.run.step, one.seeds) for one in chains(tmp_path, steps=listed, arms=[{"name": "a"}]).runs]
    assert runs == [("words", []), ("mix", []), ("train", [0]), ("train", [1])]


def test_names_of_earlier_steps_become_paths(tmp_path: Path) -> None:
    tokenizer = {"name": "words", "tokenizer": {"text": ["data"], "vocab_size": 600}}
    listed = [tokenizer, *steps(cpt("cpt")), {"name": "eval", "manifest": EVALUATION}]
    listed[1] = {**listed[1], "set": {"tokenizer.path": "step:words/tokenizer.json"}}
    chain = chains(tmp_path, steps=listed, of="eval", arms=[{"name": "a"}]).chains[0]
    words, mix, train, judged = (chain.runs[name] for name in ("words", "mix", "train", "eval"))
    assert isinstance(words.manifest(), NewTokenizer)
    mixture, trained = mix.manifest(), train.manifest()
    assert isinstance(mixture, MixtureManifest) and isinstance(trained, TrainingManifest)
    assert mixture.tokenizer.path == f"{words.folder}/tokenizer.json"
    assert mixture.output.path == str(mix.folder) and mixture.output.store == f"{tmp_path}/out/tokens"
    assert trained.stages[0].mixture[0].path == str(mix.folder)  # type: ignore[union-attr]
    assert judged.manifest().models[0].path == f"{train.folder}/cpt"  # type: ignore[union-attr]
    assert mix.folder.parent == tmp_path / "out/runs" and re.fullmatch("mix-[0-9a-f]{8}", mix.folder.name)


def test_a_change_reaches_what_reads_it(tmp_path: Path) -> None:
    arms = [{"name": "a"}, {"name": "b", "set": {"mix.sequence_length": 32}}]
    found = chains(tmp_path, arms=arms, seeds=[0]).chains
    assert all(found[0].runs[name].fingerprint != found[1].runs[name].fingerprint for name in ("mix", "train"))


def test_fingerprints_do_not_depend_on_places_and_defaults(tmp_path: Path) -> None:
    named = [one.run.fingerprint for one in chains(tmp_path).runs]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = steps(cpt("cpt", epochs=1.0), seed=99, name="other", output="x")
    assert [one.run.fingerprint for one in chains(elsewhere, steps=again, output="b").runs] == named


def test_seeds_are_set(tmp_path: Path) -> None:
    found = chains(tmp_path, seeds=[7, 8], arms=[{"name": "a"}])
    assert [run.manifest().seed for chain in found.chains for run in chain.runs.values()] == [7, 7, 8, 8]  # type: ignore[union-attr]


def test_a_seed_can_be_set_where_the_experiment_gives_none(tmp_path: Path) -> None:
    listed = [{**steps()[0], "seeds": False}, *steps(cpt("cpt"))[1:]]
    arms = [{"name": "a"}, {"name": "b", "set": {"mix.seed": 7, "mix.output.shard_bytes": 4096}}]
    found = chains(tmp_path, steps=listed, arms=arms, seeds=[0]).chains
    assert [chain.runs["mix"].manifest().seed for chain in found] == [0, 7]  # type: ignore[union-attr]


def test_a_manifest_in_a_file_has_paths_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    written = {**MIXTURE, "name": "m", "output": {"path": "o", "shard_bytes": 4096}}
    (tmp_path / "sub/mix.yaml").write_text(yaml.safe_dump(written))
    listed = [{"name": "mix", "manifest": "sub/mix.yaml"}, *steps(cpt("cpt"))[1:]]
    mix = chains(tmp_path, steps=listed).chains[0].runs["mix"]
    assert mix.base == f"{tmp_path}/sub"
    manifested = mix.manifest()
    assert isinstance(manifested, MixtureManifest)
    assert (manifested.output.path, manifested.output.shard_bytes) == (str(mix.folder), 4096)


def test_a_recipe_starts_where_the_experiment_does(tmp_path: Path) -> None:
    listed = [{"name": "web", "manifest": "minimal"}]
    web = chains(tmp_path, steps=listed, of="web", arms=[{"name": "a"}], seeds=[0]).chains[0].runs["web"]
    assert web.kind == "corpus" and web.base == str(tmp_path)


def stages_of(found: Chains, arm: str) -> list[str]:
    run = next(chain for chain in found.chains if chain.arm_name == arm).runs["train"].manifest()
    assert isinstance(run, TrainingManifest)
    return [stage.name for stage in run.stages]


def test_stages_that_an_arm_does_not_need_are_not_run(tmp_path: Path) -> None:
    trained = [cpt("a"), cpt("b", gates=[GATE]), cpt("c", model="a", gates=[{**GATE, "against": "b"}]), cpt("d")]
    arms = [{"name": "one", "of": "train.b"}, {"name": "two", "of": "train.c"}, {"name": "all"}]
    found = chains(tmp_path, steps=steps(*trained), of="train", arms=arms)
    assert [stages_of(found, name) for name in ("one", "two", "all")] == [["a", "b"], ["a", "c"], ["a", "c", "d"]]
    two = next(chain for chain in found.chains if chain.arm_name == "two").runs["train"].manifest()
    assert two.stages[1].gates == []  # type: ignore[union-attr]  # it is judged against a stage that is not there


def test_reward_models_are_the_same_for_all_arms(tmp_path: Path) -> None:
    reward = {"name": "judge", "kind": "reward", "data": [{"path": "pairs.jsonl"}]}
    dpo = {"name": "dpo", "kind": "dpo", "data": [{"path": "pairs.jsonl"}], "model": "a"}
    arms = [{"name": "plain", "of": "train.a"}, {"name": "dpo", "of": "train.dpo"}]
    more: dict[str, Any] = {"arms": arms, "of": "train.a"}
    with_prompts = chains(tmp_path, steps=steps(cpt("a"), reward, dpo, prompts="p.jsonl"), **more)
    assert [stages_of(with_prompts, name) for name in ("plain", "dpo")] == [["a", "judge"], ["a", "judge", "dpo"]]
    without = chains(tmp_path, steps=steps(cpt("a"), reward, dpo), **more)
    assert [stages_of(without, name) for name in ("plain", "dpo")] == [["a"], ["a", "dpo"]]


def test_stages_that_a_later_step_reads_are_run(tmp_path: Path) -> None:
    listed = [*steps(cpt("cpt"), cpt("more"), cpt("most")), {"name": "eval", "manifest": EVALUATION}]
    found = chains(tmp_path, steps=listed, of="eval", arms=[{"name": "a"}])
    assert stages_of(found, "a") == ["cpt"]


def test_steps_that_nothing_needs_are_not_run(tmp_path: Path) -> None:
    listed = [*steps(cpt("cpt")), {"name": "eval", "manifest": EVALUATION}]
    found = chains(tmp_path, steps=listed, of="train.cpt", arms=[{"name": "a"}])
    assert {one.run.step for one in found.runs} == {"mix", "train"}


def test_what_a_training_begins_with_can_be_an_arm(tmp_path: Path) -> None:
    found = chains(
        tmp_path, steps=steps(cpt("a"), cpt("b")), of="train.b", arms=[{"name": "none", "of": "train.base"}]
    )
    assert stages_of(found, "none") == ["a"]


def test_a_ladder_runs_all(tmp_path: Path) -> None:
    rungs = [{"name": "more", "of": "train.b", "against": "train.a"}]
    found = plan_chains(ladder(tmp_path, steps=steps(cpt("a"), cpt("b"), cpt("c")), rungs=rungs), str(tmp_path))
    run = found.chains[0].runs["train"].manifest()
    assert [stage.name for stage in run.stages] == ["a", "b", "c"]  # type: ignore[union-attr]
    assert len(found.chains) == 3 and all(one.arms == [] for one in found.runs)


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"arms": [{"name": "x", "set": {"train.stages.cpt.stepps": 1}}]},
        r"stages\[0\].stepps: unknown key; did you mean",
    ),
    (
        {"arms": [{"name": "x", "set": {"train.stages.sft.steps": 1}}]},
        r"e.yaml: arms.x.set.train.stages.sft.steps: nothing is called `sft` there; valid: cpt",
    ),
    (
        {"arms": [{"name": "x", "set": {"train.stages.cpt.steps": "many"}}]},
        r"e.yaml: arms.x.set.train.stages.cpt.steps: stages\[0\].steps: found `many`; expected a whole number",
    ),
    (
        {"arms": [{"name": "x", "set": {"mix.tokenizer.path": "step:train.cpt"}}]},
        "e.yaml: step mix .arm x.: 'step:train.cpt' names no earlier step; valid: there is none",
    ),
    (
        {"arms": [{"name": "x", "set": {"train.base": "step:mix.out"}}]},
        "'step:mix.out': mix is of `kind: mixture`, which has no stages",
    ),
    (
        {"steps": [{"name": "mix", "manifest": {"kind": "mixtur"}}, *steps(cpt("cpt"))[1:]]},
        "steps.mix.manifest: kind: f",
    ),
    (
        {"steps": [{"name": "mix", "manifest": "nowhere.yaml"}, *steps(cpt("cpt"))[1:]]},
        "steps.mix.manifest: .*no such",
    ),
    ({"steps": [{**steps()[0], "set": {"sources": []}}, *steps(cpt("cpt"))[1:]]}, "steps.mix.set.sources: sources: "),
    (
        {"steps": [steps()[0], {**steps(cpt("cpt"))[1], "seeds": False}], "seeds": [0]},
        "step train: seeds: reads mix, which each seed makes anew",
    ),
    (
        {"arms": [{"name": "x", "set": {"train.seed": 7}}]},
        "arms.x.set.train.seed: `seed` is given by the experiment's",
    ),
    ({"arms": [{"name": "x", "set": {"mix.name": "n"}}]}, "arms.x.set.mix.name: `name` is given by the experiment"),
    ({"arms": [], "grid": {"train.seed": [1, 2]}}, "set.train.seed: `seed` is given by the experiment's `seeds`"),
    ({"arms": [], "grid": {"train.output": ["a"]}}, "set.train.output: `output` is given by the experiment"),
    (
        {"steps": [{**steps()[0], "set": {"output.path": "o"}}, *steps(cpt("cpt"))[1:]]},
        "steps.mix.set.output.path: `output.path` is given",
    ),
    ({"output": "s3://bucket/out"}, "e.yaml: output: s3://bucket/out: an experiment is run in a folder"),
]


@pytest.mark.parametrize(("more", "said"), WRONG)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        chains(tmp_path, **more)


def test_all_mistakes_of_all_arms_are_told_at_once(tmp_path: Path) -> None:
    arms = [{"name": name, "set": {f"train.stages.cpt.{name}": 1}} for name in ("one", "two")]
    with pytest.raises(RequestError) as raised:
        chains(tmp_path, arms=arms)
    lines = str(raised.value).splitlines()
    assert len(lines) == 2 and "arms.one.set" in lines[0] and "arms.two.set" in lines[1]


def test_a_stage_of_a_file_is_looked_for(tmp_path: Path) -> None:
    written = training(cpt("cpt"), name="t", output="o")
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(written))
    listed = [steps()[0], {"name": "train", "manifest": "train.yaml"}]
    with pytest.raises(RequestError, match=r"e.yaml: of: 'train.dpo' names no stage of train; valid: cpt"):
        chains(tmp_path, steps=listed, of="train.dpo", arms=[{"name": "a"}])


def test_seeds_need_a_field(tmp_path: Path) -> None:
    listed = [{"name": "web", "manifest": "minimal", "seeds": True}]
    with pytest.raises(RequestError, match="step web: seeds: a manifest of `kind: corpus` has no `seed`"):
        chains(tmp_path, steps=listed, of="web", arms=[{"name": "a"}])
