"""Checkpoints of a model's own layers: bytes, families against ones put together by hand, mergekit, kills, errors."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from safetensors import safe_open

from manifests.errors import RequestError, RunError
from tests.training import tiny
from tests.training.merging import merged
from tests.training.stacking import families
from training import whole_folders
from training.model_files import read_object
from training.stacking import stack as stacking
from training.stacking.layers import solar
from training.stacking.report import StackReport
from training.stacking.stack import stack

MIXED = [0, 1, 2, 3, 4, 5, 3, 4, 5, 2]
"""Neither windows from one layer on, nor every second or third layer without one."""
LOOSE = [3, 0, 0, 0, 5, 2]


def tensors_of(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Dtype, shape and bytes of each tensor, read by the safetensors package."""
    found = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_tensor(name)
                said = f"{tensor.dtype} {tuple(tensor.shape)}"
                found[name] = (said, tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.dim() else b"")
    return found


def files_of(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def expected(source: dict[str, Any], layers: Sequence[int], prefix: str = "model.layers.") -> dict[str, Any]:
    """The tensors of a model of other layers."""
    others = {name: value for name, value in source.items() if not name.startswith(prefix)}
    for place, layer in enumerate(layers):
        of = f"{prefix}{layer}."
        others |= {name.replace(of, f"{prefix}{place}.", 1): source[name] for name in source if name.startswith(of)}
    return others


# Bytes


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("layers", [[0, 1, 0, 1], [1], [1, 0], [1, 1, 1, 0, 0]])
def test_each_tensor_is_its_sources_bit_by_bit(tmp_path: Path, dtype: str, layers: list[int]) -> None:
    model = merged.model(tmp_path / "m", merged.arrays_of(0), dtype)
    report = stack(model, layers, tmp_path / "out")
    assert tensors_of(tmp_path / "out") == expected(tensors_of(model), layers)
    assert report.n_layers == merged.config(tmp_path / "out")["num_hidden_layers"] == len(layers)
    assert report.n_tensors == 3 + 3 * len(layers)


def test_large_and_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are smaller than a tensor, several threads, a source and an output in several files."""
    monkeypatch.setattr(stacking, "COPIED_AT_ONCE", 1000)
    families.save(tmp_path / "m", "llama", shard_size="40KB")
    assert len(list((tmp_path / "m").glob("*.safetensors"))) > 2
    layers = solar(6, 1)
    for threads in (1, 4):
        stack(tmp_path / "m", layers, tmp_path / f"by{threads}", threads=threads, shard_bytes=30_000)
    assert tensors_of(tmp_path / "by1") == expected(tensors_of(tmp_path / "m"), layers)
    assert files_of(tmp_path / "by1") == files_of(tmp_path / "by4")
    index = orjson.loads((tmp_path / "by1/model.safetensors.index.json").read_bytes())
    names = sorted(path.name for path in (tmp_path / "by1").glob("*.safetensors"))
    assert sorted(set(index["weight_map"].values())) == names and len(names) > 3
    for name, file in index["weight_map"].items():
        with safe_open(tmp_path / "by1" / file, "np") as opened:
            assert name in opened.keys()  # noqa: SIM118
    assert families.logits(families.open_model(tmp_path / "by1", "llama")).isfinite().all()


def test_what_lies_beside_the_weights(tmp_path: Path, tiny_model: Path) -> None:
    stack(tiny_model, [0, 0, 1], tmp_path / "out", name="base")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tiny_model / name).read_bytes()
    report = StackReport.model_validate_json((tmp_path / "out/upscale.json").read_bytes())
    assert (report.model, report.layers, report.n_layers_before) == ("base", [0, 0, 1], 2)
    assert report.n_parameters_before == sum(p.numel() for p in families.open_model(tiny_model, "llama").parameters())
    assert report.n_parameters == sum(p.numel() for p in families.open_model(tmp_path / "out", "llama").parameters())
    before, after = read_object(tiny_model / "config.json"), read_object(tmp_path / "out/config.json")
    assert before | {"num_hidden_layers": 3} == after
    stack(tmp_path / "out", [0, 1, 2, 2], tmp_path / "again")  # the report of the first is not taken for its own
    assert read_object(tmp_path / "again/upscale.json")["layers"] == [0, 1, 2, 2]


def test_a_copy_of_tied_embeddings_is_not_written(tmp_path: Path) -> None:
    arrays = merged.arrays_of(0)
    arrays["lm_head.weight"] = arrays["model.embed_tokens.weight"]
    arrays["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(2, np.float32)
    merged.model(tmp_path / "m", arrays, tie_word_embeddings=True)
    report = stack(tmp_path / "m", [0, 1, 1], tmp_path / "out")
    names = tensors_of(tmp_path / "out")
    assert "lm_head.weight" not in names and not any("inv_freq" in name for name in names)
    assert merged.config(tmp_path / "out")["tie_word_embeddings"] is True
    assert ["copy of the input embeddings" in note for note in report.notes].count(True) == 1
    arrays["lm_head.weight"] = arrays["lm_head.weight"] + 1
    merged.model(tmp_path / "n", arrays, tie_word_embeddings=True)
    stack(tmp_path / "n", [0, 1, 1], tmp_path / "kept")
    assert "lm_head.weight" in tensors_of(tmp_path / "kept")


# Families


@pytest.mark.parametrize("layers", [MIXED, LOOSE], ids=["mixed", "loose"])
@pytest.mark.parametrize("family", list(families.FAMILIES))
def test_it_computes_what_the_same_layers_compute(tmp_path: Path, family: str, layers: list[int]) -> None:
    source = families.save(tmp_path / "m", family)
    stack(tmp_path / "m", layers, tmp_path / "out")
    made = families.open_model(tmp_path / "out", family)
    want = families.logits(families.by_hand(source, layers))
    assert torch.equal(families.logits(made), want)
    stored = tensors_of(tmp_path / "out")
    is_tied = families.FAMILIES[family][1].get("tie_word_embeddings", True)
    assert any("lm_head" in name for name in stored) is not is_tied
    if is_tied:
        assert made.get_output_embeddings().weight is made.get_input_embeddings().weight
    # The kinds matter here: with those of its places it would be another model.
    assert (family in ("llama", "mistral")) or not torch.equal(want, families.logits(of_places(made, family)))


def of_places(model: Any, family: str) -> Any:
    """The model with the kinds of attention that its architecture gives places."""
    part = model.config.get_text_config()
    n = part.num_hidden_layers
    pattern = {"gemma2": 2, "gemma3": 3, "gemma3-images": 3}.get(family)
    is_sliding = [(layer + 1) % pattern != 0 if pattern else layer >= 4 for layer in range(n)]
    part.layer_types = ["sliding_attention" if sliding else "full_attention" for sliding in is_sliding]
    return model


def test_towers_for_images_keep_their_layers(tmp_path: Path) -> None:
    families.save(tmp_path / "m", "gemma3-images")
    stack(tmp_path / "m", MIXED, tmp_path / "out")
    before, after = tensors_of(tmp_path / "m"), tensors_of(tmp_path / "out")
    vision = {name: value for name, value in before.items() if "vision" in name or "projector" in name}
    assert vision and vision == {name: value for name, value in after.items() if name in vision}
    assert read_object(tmp_path / "out/config.json")["vision_config"]["num_hidden_layers"] == 2
    assert read_object(tmp_path / "out/config.json")["text_config"]["num_hidden_layers"] == len(MIXED)


# Layers that change nothing at first


@pytest.mark.parametrize("family", list(families.FAMILIES))
def test_identity_answers_as_the_model_did(tmp_path: Path, family: str) -> None:
    source = families.save(tmp_path / "m", family)
    layers = solar(6, 1)
    report = stack(tmp_path / "m", layers, tmp_path / "out", start="identity")
    made = families.open_model(tmp_path / "out", family)
    assert torch.equal(families.logits(made), families.logits(source))
    assert report.silent == [5, 6, 7, 8]
    source_tensors, tensors = tensors_of(tmp_path / "m"), tensors_of(tmp_path / "out")
    prefix = "language_model.model.layers." if family == "gemma3-images" else "model.layers."
    want = expected(source_tensors, layers, prefix)
    other = {name for name in tensors if tensors[name] != want[name]}
    ends = (
        ("post_attention_layernorm", "post_feedforward_layernorm") if "gemma" in family else ("o_proj", "down_proj")
    )
    assert {int(name.removeprefix(prefix).split(".")[0]) for name in other} == {5, 6, 7, 8}
    assert {name.split(".")[-2] for name in other} == set(ends)


@pytest.mark.parametrize("family", ["llama", "gemma2", "gemma3"])
def test_silent_layers_learn(tmp_path: Path, family: str) -> None:
    """A first step changes them, and by so little that logits hardly move."""
    families.save(tmp_path / "m", family)
    stack(tmp_path / "m", [0, 1, 2, 3, 4, 5, 5], tmp_path / "out", start="identity")
    model = families.open_model(tmp_path / "out", family)
    before = families.logits(model)
    optimizer = torch.optim.SGD(model.model.layers[6].parameters(), lr=1e-3)
    model(input_ids=families.IDS, labels=families.IDS, use_cache=False).loss.backward()
    optimizer.step()
    moved = (families.logits(model) - before).abs().max()
    assert 0 < moved < 0.05


def test_each_further_copy_is_silent_too(tmp_path: Path) -> None:
    source = families.save(tmp_path / "m", "llama")
    report = stack(tmp_path / "m", [0, 0, 0, 1, 2, 1, 3, 4, 5], tmp_path / "out", start="identity")
    assert report.silent == [1, 2, 5]
    assert torch.equal(families.logits(families.open_model(tmp_path / "out", "llama")), families.logits(source))


@pytest.mark.parametrize("layers", [[0, 1, 2, 3, 4], [1, 0, 2, 3, 4, 5, 5], [0, 2, 1, 3, 4, 5, 5]])
def test_identity_takes_all_layers_in_their_order(tmp_path: Path, layers: list[int]) -> None:
    families.save(tmp_path / "m", "llama")
    with pytest.raises(
        RequestError, match=r"start: identity: layers that are there for the first time are .*expected 0"
    ):
        stack(tmp_path / "m", layers, tmp_path / "out", start="identity")


# mergekit


@pytest.mark.filterwarnings("ignore")
def test_mergekits_passthrough_gives_the_same_tensors(tmp_path: Path) -> None:
    pytest.importorskip("mergekit")
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    tiny.save_model(tmp_path / "m", num_hidden_layers=6)
    slices = [{"sources": [{"model": str(tmp_path / "m"), "layer_range": span}]} for span in ([0, 5], [1, 6])]
    asked = MergeConfiguration.model_validate({"merge_method": "passthrough", "slices": slices, "dtype": "float32"})
    run_merge(asked, str(tmp_path / "theirs"), MergeOptions(quiet=True, copy_tokenizer=False))
    stack(tmp_path / "m", solar(6, 1), tmp_path / "ours")
    assert tensors_of(tmp_path / "ours") == tensors_of(tmp_path / "theirs")
    depth = [read_object(tmp_path / side / "config.json")["num_hidden_layers"] for side in ("ours", "theirs")]
    assert depth == [10, 10]


# Kills and errors


def test_what_was_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = merged.model(tmp_path / "m", merged.arrays_of(0))

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack(model, [0, 1, 1], tmp_path / "out", progress=stopped)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    (tmp_path / ".out.partial").mkdir()  # of one that was killed outright
    (tmp_path / ".out.partial/model.safetensors").write_bytes(b"half")
    stack(model, [0, 1, 1], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "out"]
    first = files_of(tmp_path / "out")
    stack(model, [0, 1, 1], tmp_path / "out", replaces=True)
    assert files_of(tmp_path / "out") == first


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = merged.model(tmp_path / "m", merged.arrays_of(0))
    free = type("Usage", (), {"free": 10})
    monkeypatch.setattr(whole_folders.shutil, "disk_usage", lambda _: free)
    with pytest.raises(RunError, match=r"the model takes 0\.00 GB, and 0\.00 GB are free"):
        stack(model, [0, 1, 1], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_errors(tmp_path: Path) -> None:
    model = merged.model(tmp_path / "m", merged.arrays_of(0))
    for layers, told in (
        ([0, 2], r"layers\[1\]: found 2; the model has 2 layers, so expected 0 to 1"),
        ([-1], r"layers\[0\]: found -1"),
        ([], r"layers: there are none"),
    ):
        with pytest.raises(RequestError, match=told):
            stack(model, layers, tmp_path / "out")
    with pytest.raises(RequestError, match=r"m: there is something already; name another folder"):
        stack(model, [0], model)
    with pytest.raises(RequestError, match=r"there: .* is not there: expected a folder"):
        stack(tmp_path / "none", [0], tmp_path / "out", name="there")
    with pytest.raises(RequestError, match=r"start: identity: a layer has no tensors self_attn.o_proj.weight"):
        stack(model, [0, 1, 1], tmp_path / "out", start="identity")
    assert not (tmp_path / "out").exists()


def test_layers_that_are_not_all_there(tmp_path: Path) -> None:
    arrays = merged.arrays_of(0)
    merged.model(tmp_path / "more", arrays, num_hidden_layers=1)
    with pytest.raises(RequestError, match=r"its tensors are of the layers 0 to 1, and config\.json says .* 1;"):
        stack(tmp_path / "more", [0], tmp_path / "out")
    merged.model(tmp_path / "gap", {name: of for name, of in arrays.items() if "layers.0" not in name})
    with pytest.raises(RequestError, match=r"its tensors are of the layers 1, and"):
        stack(tmp_path / "gap", [0], tmp_path / "out")
    merged.model(tmp_path / "none", {name: of for name, of in arrays.items() if "layers" not in name})
    with pytest.raises(RequestError, match=r"no tensors are named like layers of a decoder"):
        stack(tmp_path / "none", [0], tmp_path / "out")


def test_report_is_whole_json(tmp_path: Path) -> None:
    model = merged.model(tmp_path / "m", merged.arrays_of(0))
    report = stack(model, [0, 1, 0], tmp_path / "out", name="base", influences=[0.5, 0.25])
    assert json.loads((tmp_path / "out/upscale.json").read_text()) == report.model_dump(mode="json")
    assert report.influences == [0.5, 0.25] and str(tmp_path) not in (tmp_path / "out/upscale.json").read_text()
