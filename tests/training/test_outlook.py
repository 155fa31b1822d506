"""`onggi train --plan`: what a training would take is told without training, and all that is wrong at once."""

import gzip
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from manifests.schema_training import TrainingManifest
from tests.curation.mixture.mixtures import Mixture, write_mixture
from tests.training.tiny import chats, conversation, write_jsonl
from training import outlook_data
from training.flops import count_parameters
from training.jobs import Made
from training.outlook import StageOutlook, TrainingOutlook, measured_speeds, outlook
from training.outlook_data import TEMPLATE_TOKENS, count_rows, text_of, tokens_of
from training.summary_models import SUMMARY, StageSummary, TrainingSummary

PAIRS = [
    {"prompt": f"질문 {n}", "chosen": "네, 그렇습니다. 알려 드리겠습니다.", "rejected": "몰라요"} for n in range(40)
]


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    return write_mixture(tmp_path_factory.mktemp("mixture"))


@pytest.fixture
def here(tmp_path: Path, tiny_model: Path, mixture: Mixture) -> Path:
    """A folder with a model, chats, pairs and prompts."""
    (tmp_path / "base").symlink_to(tiny_model)
    (tmp_path / "mixture").symlink_to(mixture.path)
    write_jsonl(tmp_path / "chats.jsonl", chats(100))
    pl.DataFrame(PAIRS).write_parquet(tmp_path / "pairs.parquet")
    write_jsonl(tmp_path / "prompts.jsonl", [{"messages": conversation(f"물음 {n}")} for n in range(30)])
    write_jsonl(tmp_path / "text.jsonl", [{"text": "글"}])
    return tmp_path


SFT: dict[str, Any] = {"kind": "sft", "name": "sft", "data": [{"path": "chats.jsonl"}], "batch": 8}
STAGES: list[dict[str, Any]] = [
    {"kind": "cpt", "name": "cpt", "mixture": ["mixture"], "batch": 4},
    SFT | {"packing": False, "epochs": 2},
    {"kind": "reward", "name": "rm", "data": [{"path": "pairs.parquet"}], "held_out": 0.1, "batch": 8},
    {"kind": "merge", "name": "merged", "rule": {"models": ["sft", "base"]}},
    {"kind": "dpo", "name": "dpo", "data": [{"path": "pairs.parquet"}], "batch": 8},
    {"kind": "online_dpo", "name": "online", "prompts": "prompts.jsonl", "reward": "rm", "batch": 10,
     "max_new_tokens": 20},
]  # fmt: skip


def manifest(stages: list[dict[str, Any]], **fields: Any) -> TrainingManifest:
    whole = {"kind": "training", "name": "run", "base": "base", "stages": stages, "output": "out"}
    return TrainingManifest.model_validate(whole | fields)


def stage_of(found: TrainingOutlook, name: str) -> StageOutlook:
    return next(stage for stage in found.stages if stage.name == name)


def test_all_stages(here: Path, mixture: Mixture) -> None:
    found = outlook(manifest(STAGES), str(here))
    assert found.problems == []
    weights = count_parameters(here / "base")
    assert {stage.name: stage.n_parameters for stage in found.stages} == dict.fromkeys(
        ("cpt", "sft", "rm", "merged", "dpo", "online"), weights
    )
    assert {stage.name: stage.starts_from for stage in found.stages} == {
        "cpt": ["base"], "sft": ["cpt"], "rm": ["sft"], "merged": ["sft", "base"], "dpo": ["merged"],
        "online": ["dpo", "rm"],
    }  # fmt: skip
    cpt = stage_of(found, "cpt")
    assert cpt.is_exact and cpt.n_tokens == sum(row.n_tokens for row in mixture.rows)
    assert (cpt.n_rows, cpt.n_steps) == (len(mixture.rows), -(-len(mixture.rows) // 4))
    assert cpt.flops == 6 * weights * (cpt.n_tokens or 0)
    steps = {stage.name: (stage.n_rows, stage.n_steps) for stage in found.stages[1:]}
    assert steps == {"sft": (100, 25), "rm": (36, 5), "merged": (None, None), "dpo": (40, 10), "online": (30, 3)}
    online = stage_of(found, "online")
    assert online.n_tokens is not None and online.n_tokens >= 30 * 2 * 20


def test_tokens_are_those_of_the_models_tokenizer(here: Path) -> None:
    """Of all rows here, as the sample is no smaller."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(here / "base")
    ids = [tokenizer("\n".join(m["content"] for m in row["messages"]))["input_ids"] for row in chats(100)]
    found = stage_of(outlook(manifest([SFT]), str(here)), "sft")
    assert found.n_tokens == sum(map(len, ids)) + 100 * 2 * TEMPLATE_TOKENS and not found.is_exact


def test_tokens_of_pairs_are_those_of_both_answers(here: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(here / "base")
    row = PAIRS[0]
    texts = [row["prompt"], row["chosen"], row["prompt"], row["rejected"]]
    length = sum(len(tokenizer(text)["input_ids"]) + TEMPLATE_TOKENS for text in texts)
    write_jsonl(here / "one.jsonl", [row])
    write_jsonl(here / "turns.jsonl", [{"chosen": conversation(*texts[:2]), "rejected": conversation(*texts[2:])}])
    for path in ("one.jsonl", "turns.jsonl"):
        stage = STAGES[4] | {"data": [{"path": path}], "epochs": 1}
        # a line break stands between the messages of a conversation
        assert stage_of(outlook(manifest([stage]), str(here)), "dpo").n_tokens == pytest.approx(length, abs=2)


def test_packing_puts_rows_together(here: Path) -> None:
    found = [stage_of(outlook(manifest([SFT | {"packing": packing}]), str(here)), "sft") for packing in (True, False)]
    assert found[0].n_tokens == found[1].n_tokens
    assert (found[0].n_steps, found[1].n_steps) == (1, 13)


def test_steps_take_the_place_of_epochs(here: Path) -> None:
    once, twice = (
        stage_of(outlook(manifest([SFT | {"packing": False, "steps": steps}]), str(here)), "sft")
        for steps in (25, 50)
    )
    assert (once.n_steps, twice.n_steps) == (25, 50)
    assert once.n_tokens and twice.n_tokens == pytest.approx(2 * once.n_tokens, abs=1)


def test_limits_and_held_out_rows_are_not_read(here: Path) -> None:
    data = [{"path": "chats.jsonl", "limit": 60}]
    found = stage_of(outlook(manifest([SFT | {"data": data, "held_out": 0.5}]), str(here)), "sft")
    assert found.n_rows == 30


def test_memory_and_disk(here: Path) -> None:
    weights = count_parameters(here / "base")
    found = outlook(manifest([*STAGES[:5], STAGES[5] | {"checkpoints": {"keep": 1}}]), str(here))
    sft, dpo, online = (stage_of(found, name) for name in ("sft", "dpo", "online"))
    assert sft.memory == {"weights": 4 * weights, "gradients": 4 * weights, "optimiser": 8 * weights}
    assert dpo.memory["reference"] == 4 * weights
    assert online.memory_bytes == 16 * weights + 3 * 4 * weights
    assert (sft.kept_bytes, sft.disk_bytes) == (4 * weights, 4 * weights + 3 * 12 * weights)
    assert online.disk_bytes == 4 * weights + 2 * 12 * weights
    assert found.kept_bytes == 6 * 4 * weights
    assert found.disk_bytes == max(4 * 4 * weights + dpo.disk_bytes, 5 * 4 * weights + online.disk_bytes)


def test_lora_trains_little(here: Path) -> None:
    found = stage_of(outlook(manifest([STAGES[4] | {"lora": {"rank": 2}}]), str(here)), "dpo")
    assert found.n_trained_parameters == 2 * 2 * (5 * (64 + 128) + 2 * (64 + 64))
    assert found.memory["optimiser"] == 8 * found.n_trained_parameters
    assert found.memory["reference"] == 0  # the model without its adapter


def test_done_stages_take_nothing(here: Path) -> None:
    none, some = (outlook(manifest(STAGES), str(here), done=done) for done in ({}, {"cpt": True, "sft": True}))
    assert [stage.is_done for stage in some.stages] == [True, True, False, False, False, False]
    assert some.kept_bytes < none.kept_bytes and some.flops < none.flops
    assert outlook(manifest(STAGES), str(here), done=lambda name: True).disk_bytes == 0


def test_all_that_is_wrong_is_told_at_once(here: Path) -> None:
    stages = [
        {"kind": "cpt", "name": "cpt", "mixture": ["nowhere"]},
        SFT | {"data": [{"path": "chats.jsonl"}, {"path": "absent.jsonl"}]},
        {"kind": "dpo", "name": "dpo", "data": [{"path": "pairs.parquet"}], "reference": "./other"},
        {"kind": "online_dpo", "name": "online", "prompts": "none.jsonl", "reward": "../rm/model"},
    ]
    validation = [
        {"name": "ko", "text": "no/*.parquet"},
        {"name": "m", "mixture": "no"},
        {"name": "t", "text": "text.jsonl"},
    ]
    found = outlook(manifest(stages, validation=validation, prompts="p.jsonl"), str(here))
    told = "\n".join(found.problems)
    for said in (
        "validation[0]: ",
        "validation[1].mixture: no: no complete mixture is there",
        "prompts: ",
        "stage cpt: mixture[0].path: ",
        "stage sft: data[1].path: ",
        "stage dpo: ",
        "other: there is no such folder",
        "stage online: prompts.path: ",
    ):
        assert said in told, said
    assert "chats.jsonl" not in told and "text.jsonl" not in told
    assert len(found.stages) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("remove", "there is no such folder"),
        ("config", "`model_type` is 'grandma', which the installed transformers does not know"),
        ("weights", "no weights in safetensors"),
        ("tokenizer", "no tokenizer is there"),
    ],
)
def test_a_base_that_cannot_be_trained(change: str, said: str, here: Path, tiny_model: Path) -> None:
    (here / "base").unlink()
    if change != "remove":
        shutil.copytree(tiny_model, here / "base")
    for name in {"weights": ["model.safetensors"], "tokenizer": ["tokenizer.json", "tokenizer_config.json"]}.get(
        change, []
    ):
        (here / "base" / name).unlink()
    if change == "config":
        path = here / "base" / "config.json"
        path.write_text(path.read_text().replace('"llama"', '"grandma"'))
    [problem] = outlook(manifest([SFT]), str(here)).problems
    assert problem.startswith("base: ") and said in problem


def test_ids_that_the_model_has_no_embeddings_for(here: Path, tiny_model: Path) -> None:
    (here / "base").unlink()
    shutil.copytree(tiny_model, here / "base")
    path = here / "base" / "config.json"
    path.write_text(path.read_text().replace('"vocab_size": 600', '"vocab_size": 9'))
    [problem] = outlook(manifest(STAGES[:1]), str(here)).problems
    assert "and the model has embeddings for 9: mix with the model's tokenizer" in problem


def test_an_empty_file(here: Path) -> None:
    (here / "chats.jsonl").write_bytes(b"\n\n")
    [problem] = outlook(manifest([SFT]), str(here)).problems
    assert problem == "stage sft: data: no row is there"


def test_a_full_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    [problem] = outlook(manifest([SFT]), str(here)).problems
    assert "GB are free: free space" in problem


def test_time_is_told_where_a_speed_was_measured(here: Path) -> None:
    made = Made(counts={"tokens": 5000})
    stages = [StageSummary(name="earlier", kind="sft", folder="", seconds=10, made=made)]
    (here / "out").mkdir()
    (here / "out" / SUMMARY).write_text(TrainingSummary(name="run", stages=stages).model_dump_json())
    assert measured_speeds(here / "out") == {"earlier": 500, "sft": 500}
    sft, dpo = outlook(manifest([SFT, STAGES[4]]), str(here)).stages
    assert sft.seconds == (sft.n_tokens or 0) / 500 and dpo.seconds is None
    (here / "out" / SUMMARY).write_text("{")
    assert measured_speeds(here / "out") == {}


def test_rows_are_counted_in_all_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = b'{"prompt": "a"}\n'
    files = {"a.jsonl": line * 7 + b"\n", "b.jsonl.gz": gzip.compress(line * 5)}
    files["c.jsonl.zst"] = zstandard.compress(line * 3)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    pl.DataFrame({"prompt": ["a", "b"]}).write_parquet(tmp_path / "d.parquet")
    paths = [str(tmp_path / name) for name in (*files, "d.parquet")]
    assert count_rows(paths) == 17
    monkeypatch.setattr(outlook_data, "COUNTED_BYTES", 1 << 16)
    (tmp_path / "large.jsonl").write_bytes(line * 40_000)
    assert count_rows([str(tmp_path / "large.jsonl")]) == pytest.approx(40_000, rel=0.5)


def test_texts_of_a_conversation() -> None:
    calls = [{"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {"name": "f"}}]}]
    assert text_of({"messages": [*conversation("a", "b"), *calls], "id": "no"}) == "a\nb\nf"
    assert text_of({"prompt": "p", "completion": [{"role": "assistant", "content": "c"}]}) == "p\nc"


def test_without_a_tokenizer_letters_are_counted(tmp_path: Path) -> None:
    assert tokens_of(tmp_path)("abcd" * 10) == 10


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys, training.outlook, training.pages.report, training.pages.card; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_distillation_counts_its_teacher(here: Path, tmp_path: Path, mixture: Mixture) -> None:
    """6 N D of the student and 2 M D of the teacher, which is kept beside it."""
    import torch

    from tests.training.tiny import save_model

    torch.set_num_threads(1)
    teacher = save_model(here / "teacher", hidden_size=96)
    usual = {"kind": "distill", "teacher": "./teacher", "batch": 4}
    stages = [
        {"name": "mixed", **usual, "mixture": "mixture"},
        {"name": "plain", **usual, "mixture": "mixture", "ce_weight": 1},
        {"name": "chats", **usual, "data": [{"path": "chats.jsonl"}], "held_out": 0.1},
        {"name": "nothing", "kind": "distill", "logprobs": "nowhere"},
    ]
    found = outlook(manifest(stages), str(here))
    weights, of_teacher = count_parameters(here / "base"), count_parameters(teacher)
    mixed, plain, spoken = (stage_of(found, name) for name in ("mixed", "plain", "chats"))
    n_tokens = sum(row.n_tokens for row in mixture.rows)
    assert mixed.n_tokens == n_tokens and mixed.n_steps == -(-len(mixture.rows) // 4)
    assert mixed.flops == 6 * weights * n_tokens + 2 * of_teacher * n_tokens
    assert plain.flops == 6 * weights * n_tokens
    assert mixed.memory["teacher"] == 4 * of_teacher and mixed.starts_from == ["base", "./teacher"]
    assert spoken.n_rows == 90
    paired = {"name": "pairs", **usual, "data": [{"path": "chats.jsonl"}], "contrastive": {"student": "chats.jsonl"}}
    stages = [paired | {"max_length": 64}, stages[0] | {"precision": "bfloat16"}]
    pairs, half = outlook(manifest(stages), str(here)).stages
    assert pairs.n_steps == -(-(pairs.n_tokens or 0) // (128 * 4))  # both answers stand in one row
    assert half.memory["teacher"] == 2 * of_teacher
    assert [problem for problem in found.problems if "nothing: logprobs" in problem] == found.problems
    save_model(here / "foreign", special=("<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"))
    foreign = {"name": "mixed", **usual, "mixture": "mixture", "teacher": "./foreign"}
    assert outlook(manifest([foreign | {"model": "./foreign"}]), str(here)).problems == []
    [said] = outlook(manifest([foreign]), str(here)).problems
    assert said.startswith("stage mixed: teacher: ") and "another vocabulary" in said and "onggi synth" in said


def test_stored_probabilities_are_counted(here: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from manifests.contracts_synthetic import LOGPROBS

    row = {"id": "a", "request": "r", "tokenizer": "t", "logprobs": [-1.0] * 3, "top": 1, "top_ids": [5] * 3}
    row |= {"prompt_ids": [4] * 5, "output_ids": [5] * 3, "top_logprobs": [-1.0] * 3}
    (here / "run" / "logprobs").mkdir(parents=True)
    table = pa.Table.from_pylist([row, {**row, "prompt_ids": [4] * 20}], schema=LOGPROBS)
    pq.write_table(table, here / "run" / "logprobs" / "part-00000.parquet")
    stage = {"name": "stored", "kind": "distill", "logprobs": "run", "batch": 2, "max_length": 16}
    found = stage_of(outlook(manifest([stage]), str(here)), "stored")
    assert (found.n_rows, found.n_tokens) == (2, 8 + 16)
    assert "teacher" not in found.memory
