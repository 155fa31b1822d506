"""What a plan of stages knows before any work: folders, fingerprints, what is not there."""

import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from manifests.errors import RequestError
from manifests.schema_training import TrainingManifest
from tests.curation.mixture.mixtures import write_mixture
from tests.training import tiny
from training.inputs import Digests, row_files
from training.stage_plan import DONE, Plan, plan_stages


def write(path: Path, content: bytes | str = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name in ("base", "instruct"):
        write(tmp_path / name / "config.json", "{}")
        write(tmp_path / name / "model.safetensors", name)
    write(tmp_path / "chats.jsonl", orjson.dumps({"messages": []}) + b"\n")
    write(tmp_path / "pairs.jsonl", orjson.dumps({"prompt": ""}) + b"\n")
    return tmp_path


STAGES: list[dict[str, Any]] = [
    {"name": "sft", "kind": "sft", "data": [{"path": "chats.jsonl"}]},
    {"name": "rm", "kind": "reward", "data": [{"path": "pairs.jsonl"}]},
    {"name": "merged", "kind": "merge", "rule": {"models": ["sft", "./instruct"]}},
    {"name": "dpo", "kind": "dpo", "data": [{"path": "pairs.jsonl"}]},
    {"name": "online", "kind": "online_dpo", "prompts": "chats.jsonl", "reward": "rm"},
]


def plan(folder: Path, change: dict[str, dict[str, Any]] | None = None, **more: Any) -> Plan:
    stages = [stage | (change or {}).get(stage["name"], {}) for stage in STAGES]
    written = {"kind": "training", "name": "t", "base": "base", "stages": stages, "output": "out"} | more
    return plan_stages(TrainingManifest.model_validate(written), str(folder))


def fingerprints(found: Plan) -> dict[str, str]:
    return {planned.name: planned.fingerprint for planned in found.stages}


def changed(one: Plan, other: Plan) -> list[str]:
    return [name for name, found in fingerprints(one).items() if fingerprints(other)[name] != found]


def test_each_stage_goes_on_from_the_last_language_model(base: Path) -> None:
    found = plan(base)
    folders = {planned.name: str(planned.model_path) for planned in found.stages}
    starts = {planned.name: planned.starts_from for planned in found.stages}
    assert starts == {
        "sft": ["base"],
        "rm": ["sft"],
        "merged": ["sft", "./instruct"],
        "dpo": ["merged"],
        "online": ["dpo", "rm"],
    }
    online = found.job(found.stages[-1])
    assert online.models["model"] == folders["dpo"] and online.models["rm"] == folders["rm"]
    assert found.job(found.stages[2]).models["./instruct"] == str(base / "instruct")
    assert len({found.job(planned).seed for planned in found.stages}) == 5


def test_a_change_concerns_what_follows_from_it(base: Path) -> None:
    first = plan(base)
    assert changed(first, plan(base)) == []
    assert changed(first, plan(base, {"dpo": {"beta": 0.2}})) == ["dpo", "online"]
    assert changed(first, plan(base, {"rm": {"margin": True}})) == ["rm", "online"]
    swept = {"merged": {"sweep": [0.3]}}, {"validation": [{"name": "ko", "text": "chats.jsonl"}]}
    assert changed(first, plan(base, swept[0], **swept[1])) == ["merged"], "its model is the same"
    assert changed(first, plan(base, {"sft": {"packing": False}})) == ["sft", "rm", "merged", "dpo", "online"]
    assert changed(first, plan(base, seed=1)) == ["sft", "rm", "merged", "dpo", "online"]
    folders = {planned.folder for planned in [*first.stages, *plan(base, {"dpo": {"beta": 0.2}}).stages]}
    assert len(folders) == 7, "what was made before stays beside it"


def test_what_changes_no_result_changes_nothing(base: Path) -> None:
    same = {"dpo": {"micro_batch": 2, "recompute": True, "checkpoints": {"every": 7}}}
    gates = {"rm": {"gates": [{"gate": "reward_accuracy", "min": 0.5}]}}
    assert changed(plan(base), plan(base, same | gates)) == []


def test_what_changes_nothing_of_pruning_changes_nothing(base: Path) -> None:
    def pruned(**fields: Any) -> str:
        stage = {"kind": "prune", "name": "p", "calibration": {"text": "chats.jsonl"}, **fields}
        whole = {"kind": "training", "name": "t", "base": "base", "stages": [stage], "output": "out"}
        return plan_stages(TrainingManifest.model_validate(whole), str(base)).stages[0].fingerprint

    to = {"to": {"hidden_size": 8}}
    assert (
        pruned(**to)
        == pruned(**to, calibration={"text": "chats.jsonl", "micro_batch": 4})
        == pruned(**to, cut_max=0.9)
    )
    assert pruned(**to) != pruned(**to, calibration={"text": "chats.jsonl", "samples": 4})
    write_mixture(base / "mixture")
    trial: dict[str, Any] = {"mixture": str(base / "mixture"), "steps": 1}
    search: dict[str, Any] = {"parameters": 100, "hidden_size": [8], "trial": trial}
    at_once = {**search, "trial": {**trial, "micro_batch": 2}}
    longer = {**search, "trial": {**trial, "steps": 2}}
    assert pruned(search=search) == pruned(search=at_once) != pruned(search=longer)
    assert pruned(search=search) != pruned(search=search, cut_max=0.9), "which says what is tried"


def test_data_and_weights_count_by_their_content(base: Path) -> None:
    first = plan(base)
    (base / "pairs.jsonl").rename(base / "pairs2.jsonl")
    write(base / "pairs.jsonl", (base / "pairs2.jsonl").read_bytes())
    assert changed(first, plan(base)) == []
    write(base / "pairs.jsonl", b'{"prompt":"other"}\n')
    assert changed(first, plan(base)) == ["rm", "dpo", "online"]
    write(base / "instruct/model.safetensors", b"longer than before")
    assert "merged" in changed(first, plan(base))


def test_files_that_change_places_are_other_data(base: Path) -> None:
    write(base / "more.jsonl", b'{"messages": [1]}\n')
    both = {"sft": {"data": [{"path": "chats.jsonl"}, {"path": "more.jsonl", "domain": "maths"}]}}
    first = plan(base, both)
    one, other = (base / "chats.jsonl").read_bytes(), (base / "more.jsonl").read_bytes()
    write(base / "chats.jsonl", other)
    write(base / "more.jsonl", one)
    assert "sft" in changed(first, plan(base, both))


@pytest.mark.parametrize("name", ["merges.txt", "vocab.txt"])
def test_a_vocabulary_in_files_of_its_own_counts(base: Path, name: str) -> None:
    write(base / "base" / name, "a b")
    first = plan(base)
    write(base / "base" / name, "b a")
    assert first.base_digest != plan(base).base_digest


def test_micro_batch_counts_where_pairs_of_one_are_compared(base: Path) -> None:
    aot = {"dpo": {"loss": {"aot": 1}}}
    assert "dpo" in changed(plan(base, aot), plan(base, {"dpo": aot["dpo"] | {"micro_batch": 2}}))


def test_a_sweep_is_done_again_on_other_validation_data(base: Path) -> None:
    write(base / "ko.jsonl", b'{"text": "one"}\n')
    sets = [{"name": "ko", "text": "ko.jsonl"}]
    swept = {"merged": {"sweep": [0.5]}}
    first = plan(base, swept, validation=sets)
    assert changed(first, plan(base, swept, validation=sets)) == []
    write(base / "ko.jsonl", b'{"text": "two or more"}\n')
    assert "merged" in changed(first, plan(base, swept, validation=sets))


def test_digests_are_remembered_by_size_and_time(tmp_path: Path) -> None:
    path = write(tmp_path / "weights")
    digests = Digests(tmp_path / "digests.json")
    found = digests.of_file(str(path))
    digests.keep()
    again = Digests(tmp_path / "digests.json")
    again._hashed = None  # type: ignore[assignment,method-assign]
    assert again.of_file(str(path)) == found
    path.write_bytes(b"other")
    assert Digests(tmp_path / "digests.json").of_file(str(path)) != found


def test_threads_that_keep_digests_do_not_write_into_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    both_wrote, write_bytes = threading.Barrier(2), Path.write_bytes

    def slowly(self: Path, content: bytes) -> int:
        written.append(self)
        n_bytes = write_bytes(self, content)
        both_wrote.wait(10)
        return n_bytes

    monkeypatch.setattr(Path, "write_bytes", slowly)
    threads = [threading.Thread(target=Digests(tmp_path / "digests.json").keep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(written)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["digests.json"]


def test_a_stage_is_done_when_its_result_is_there(base: Path) -> None:
    planned = plan(base).stages[0]
    assert not planned.is_done
    write(planned.folder / DONE, b"{}")
    assert plan(base).stages[0].is_done


def test_the_tables_of_a_run_of_synthetic_data_are_found(tmp_path: Path) -> None:
    write(tmp_path / "run.json")
    write(tmp_path / "messages/part-0.parquet")
    write(tmp_path / "rejected/part-0.parquet")
    assert row_files(str(tmp_path)) == [str(tmp_path / "messages/part-0.parquet")]


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        ({}, {"base": "nothing"}, r"base: .*/nothing: is no model: there is no config\.json"),
        ({"merged": {"rule": {"models": ["sft", "./no"]}}}, {}, r"stage merged: .*/no: is no model"),
        ({"dpo": {"data": [{"path": "no.jsonl"}]}}, {}, r"stage dpo: .*/no\.jsonl: there is no such file"),
        (
            {"dpo": {"gates": [{"gate": "plateau", "set": "ko", "teacher": "./teacher"}]}},
            {"validation": [{"name": "ko", "text": "ko.jsonl"}]},
            r"stage dpo: gates\[0\]\.teacher: .*/teacher: is no model",
        ),
        ({}, {"reward": "./judge"}, r"reward: .*/judge: is no model"),
        ({}, {"output": "s3://bucket/out"}, r"output: s3://bucket/out: models are written to a folder on this"),
    ],
)
def test_what_is_not_there_is_said_before_any_work(
    base: Path, change: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        plan(base, change, **more)
    assert not (base / "out").exists()


def test_a_teacher_of_another_vocabulary_is_refused_before_anything_is_trained(base: Path) -> None:
    """It is compared with what its student goes back to, which is not always the base."""
    foreign = (tiny.END_OF_TEXT, tiny.PAD, *tiny.SPECIAL[2:])
    for name, special in (("base", tiny.SPECIAL), ("teacher", foreign), ("pruned", foreign)):
        tiny.save_tokenizer(base / name, special=special)
        write(base / name / "config.json", "{}")
        write(base / name / "model.safetensors", name)
    usual = {"kind": "distill", "data": [{"path": "chats.jsonl"}], "teacher": "./teacher"}
    sft = STAGES[0]
    for stages, is_refused in (
        ([{"name": "d", **usual}], True),
        ([sft, {"name": "d", **usual}], True),
        ([sft, {"name": "d", **usual, "model": "./pruned"}], False),
        ([sft | {"model": "./pruned"}, {"name": "d", **usual}], False),
        ([sft, STAGES[2], {"name": "d", **usual}], False),  # merged: the stage itself compares
        ([sft, {"name": "d", **usual, "teacher": "sft"}], False),
        ([{"name": "d", **usual, "teacher": "./base", "model": "./pruned"}], True),
    ):
        if not is_refused:
            plan(base, stages=stages)
            continue
        with pytest.raises(RequestError, match=r"stage d: teacher: .* has another vocabulary"):
            plan(base, stages=stages)


def test_how_much_is_computed_at_once_makes_no_other_stage(base: Path) -> None:
    usual = {"name": "d", "kind": "distill", "data": [{"path": "chats.jsonl"}], "teacher": "./instruct"}
    assert changed(plan(base, stages=[usual]), plan(base, stages=[usual | {"vocabulary_chunk": 1024}])) == []
