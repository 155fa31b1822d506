"""Models of new weights: configuration, bytes by seed, what transformers makes of them, what is refused."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
import transformers

from manifests.engine import silent
from manifests.errors import RequestError
from manifests.schema_surgery import Init, NewModel
from training.flops import parameters
from training.inputs import Digests
from training.jobs import Job
from training.model_files import read_object, write_object
from training.new_models import digest_of_new, new_config, run, vocabulary_size, with_sizes, write_plan

SIZES: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}


def new(**changes: Any) -> NewModel:
    return NewModel.model_validate({"tokenizer": "tok", **SIZES, **changes})


def made(folder: Path, plan: Path, seed: int = 0, **sizes: Any) -> Path:
    stage = Init.model_validate({"kind": "init", "name": "new", "sizes": sizes})
    job = Job(stage=stage, folder=str(folder), manifest_base=".", models={"model": str(plan)}, seed=seed)
    counted = run(job, silent).counts
    assert counted["parameters"] == transformers.AutoModelForCausalLM.from_pretrained(job.model_path).num_parameters()
    return job.model_path


def files_of(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_configuration(tiny_tokenizer: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_tokenizer)
    config = new_config(new(rope_theta=5e5, tie_word_embeddings=True), tiny_tokenizer)
    assert config["vocab_size"] == len(tokenizer) == vocabulary_size(tiny_tokenizer)
    special = [config[f"{name}_token_id"] for name in ("bos", "eos", "pad")]
    assert special == [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id] == [None, 1, 0]
    assert config["architectures"] == ["LlamaForCausalLM"] and config["head_dim"] == 8
    assert {name: config[name] for name in SIZES} == SIZES
    read = transformers.LlamaConfig(**config)
    assert read.rope_parameters["rope_theta"] == 5e5 and read.tie_word_embeddings
    assert new_config(new(num_key_value_heads=None), tiny_tokenizer)["num_key_value_heads"] == 6
    assert new_config(new(head_dim=32), tiny_tokenizer)["head_dim"] == 32


@pytest.mark.parametrize("model_type", ["llama", "mistral", "qwen2", "qwen3"])
@pytest.mark.parametrize("is_tied", [True, False])
def test_each_architecture(tmp_path: Path, tiny_tokenizer: Path, model_type: Any, is_tied: bool) -> None:
    plan = write_plan(new(model_type=model_type, tie_word_embeddings=is_tied), tiny_tokenizer, tmp_path)
    folder = made(tmp_path / "stage", plan)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert type(model).__name__ == read_object(folder / "config.json")["architectures"][0]
    assert model.dtype == torch.float32 and model.config.model_type == model_type
    counted = parameters(read_object(folder / "config.json"))
    assert counted is not None and counted.total == model.num_parameters()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer("한국어 text")["input_ids"]])
    assert model(input_ids=ids).logits.shape == (1, ids.shape[1], len(tokenizer))
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) is is_tied
    scale = float(model.model.layers[1].mlp.down_proj.weight.detach().std())
    assert scale == pytest.approx(0.02, rel=0.1) and bool((model.model.norm.weight == 1).all())


def test_bytes_go_by_the_seed(tmp_path: Path, tiny_tokenizer: Path) -> None:
    plan = write_plan(new(), tiny_tokenizer, tmp_path)
    first = files_of(made(tmp_path / "a", plan, seed=3))
    torch.manual_seed(99)  # whatever was drawn before
    assert files_of(made(tmp_path / "b", plan, seed=3)) == first
    (tmp_path / "a/model.partial").mkdir()  # of one that was killed
    (tmp_path / "a/model.partial/model.safetensors").write_bytes(b"half")
    assert files_of(made(tmp_path / "a", plan, seed=3)) == first
    assert not (tmp_path / "a/model.partial").exists()
    other = files_of(made(tmp_path / "c", plan, seed=4))
    assert {name for name in first if first[name] != other[name]} == {"model.safetensors"}
    assert {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json"} < set(first)


def test_the_scale_of_weights(tmp_path: Path, tiny_tokenizer: Path) -> None:
    plan = write_plan(new(initializer_range=0.1), tiny_tokenizer, tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(made(tmp_path / "a", plan))
    assert float(model.model.layers[0].mlp.up_proj.weight.detach().std()) == pytest.approx(0.1, rel=0.1)


def test_like_another_model(tmp_path: Path, tiny_model: Path) -> None:
    """New weights in another one's form, or in another size; nothing of its weights is left."""
    same = made(tmp_path / "same", tiny_model, seed=5)
    of_both = [transformers.AutoModelForCausalLM.from_pretrained(folder) for folder in (tiny_model, same)]
    first, second = (model.state_dict() for model in of_both)
    assert first.keys() == second.keys()
    assert not any(torch.equal(first[name], second[name]) for name in first if "norm" not in name)
    larger = made(tmp_path / "larger", tiny_model, num_hidden_layers=3, intermediate_size=32)
    config = read_object(larger / "config.json")
    assert (config["num_hidden_layers"], config["intermediate_size"], config["hidden_size"]) == (3, 32, 64)


def test_like_a_pruned_model(tmp_path: Path, tiny_model: Path) -> None:
    """A width that is no multiple of the heads, as Kanana Nano's 1,792 with 24, which transformers' Llama refuses."""
    narrow = made(tmp_path / "narrow", tiny_model, hidden_size=46)
    config = read_object(narrow / "config.json")
    assert (config["model_type"], config["hidden_size"], config["head_dim"]) == ("mistral", 46, 32)
    model = transformers.AutoModelForCausalLM.from_pretrained(narrow)
    assert model(torch.arange(4)[None]).logits.isfinite().all()


def test_lists_of_layers_are_as_long_as_there_are_layers() -> None:
    nested = {"text_config": {"layer_types": ["s", "s", "f"], "num_hidden_layers": 3}}
    assert with_sizes(nested, {"num_hidden_layers": 5})["text_config"]["layer_types"] == ["s", "s", "f", "s", "s"]
    assert nested["text_config"]["num_hidden_layers"] == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_key_value_heads": 4}, r"base: 6 heads of queries cannot share 4 of keys and values evenly"),
        ({"head_dim": 7}, r"base: heads are 7 wide; RoPE turns pairs, so expected an even number"),
        ({"hidden_size": 54}, r"base: heads are 9 wide"),
    ],
)
def test_sizes_that_do_not_fit(tiny_tokenizer: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        new_config(new(**changes), tiny_tokenizer)


def test_a_stage_of_sizes_that_do_not_fit(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(RequestError, match=r"stage new: 3 heads of queries cannot share 2"):
        made(tmp_path / "a", tiny_model, num_attention_heads=3)
    copied = shutil.copytree(tiny_model, tmp_path / "model")
    write_object(copied / "config.json", read_object(copied / "config.json") | {"model_type": "unheard_of"})
    with pytest.raises(RequestError, match=r"config\.json: no model can be built of it"):
        made(tmp_path / "b", copied)
    assert not (tmp_path / "a/model").exists() and not (tmp_path / "b/model").exists()


def test_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no tokenizer is there \(tokenizer\.json\)"):
        new_config(new(), tmp_path)


def test_its_digest(tmp_path: Path, tiny_tokenizer: Path) -> None:
    """Depends on sizes, tokenizer and seed, not on where the tokenizer lies."""
    copied = shutil.copytree(tiny_tokenizer, tmp_path / "tok")
    digests = Digests(tmp_path / "digests.json")

    def digest(seed: int = 0, folder: Path = tiny_tokenizer, **changes: Any) -> str:
        return digest_of_new(new(**changes), folder, seed, digests)

    assert digest() == digest(folder=copied)
    written = orjson.loads((copied / "tokenizer.json").read_bytes())
    changed = tmp_path / "changed"
    shutil.copytree(copied, changed)
    (changed / "tokenizer.json").write_bytes(orjson.dumps(written | {"version": "1.1"}))
    others = [digest(seed=1), digest(hidden_size=96), digest(folder=changed), digest(rope_theta=5e5)]
    assert len({digest(), *others}) == 5
