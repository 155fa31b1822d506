"""Checkpoints for extended tokenizers: old rows to the bit, new rows the mean of what they were, all else copied."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from manifests.errors import RequestError
from training.embeddings import resize_embeddings
from training.safetensors_files import read_header, to_float, to_stored

BASE, WIDTH, ROWS = 10, 4, 12
"""Tokens of the old tokenizer; columns; rows of the old embeddings, two of which no token has."""
PARTS = [[1, 2], [3], [4, 5, 6]]


def stored(numbers: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    return to_stored(numbers.astype(np.float64), dtype)


def file_of(path: Path, tensors: dict[str, tuple[str, np.ndarray[Any, Any]]]) -> None:
    header, at = {}, 0
    for name, (dtype, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": values.shape, "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    written = orjson.dumps({"__metadata__": {"format": "pt"}} | header)
    content = b"".join(values.tobytes() for _, values in tensors.values())
    path.write_bytes(len(written).to_bytes(8, "little") + written + content)


def tensors_of(dtype: str, tied: bool) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    random = np.random.default_rng(0)
    tensors = {
        "model.embed_tokens.weight": (dtype, stored(random.normal(size=(ROWS, WIDTH)), dtype)),
        "model.layers.0.mlp.up_proj.weight": ("I8", np.arange(7, dtype=np.int8)),
        "model.norm.weight": (dtype, stored(random.normal(size=WIDTH), dtype)),
    }
    if not tied:
        tensors["lm_head.weight"] = (dtype, stored(random.normal(size=(ROWS, WIDTH)), dtype))
        tensors["lm_head.bias"] = (dtype, stored(random.normal(size=ROWS), dtype))
    return tensors


def model_of(folder: Path, dtype: str = "F32", tied: bool = False, sharded: bool = False) -> Path:
    folder.mkdir(parents=True)
    tensors = tensors_of(dtype, tied)
    (folder / "config.json").write_bytes(orjson.dumps({"vocab_size": ROWS, "text_config": {"vocab_size": ROWS}}))
    (folder / "tokenizer.json").write_bytes(b"old")
    (folder / "README.md").write_bytes(b"a model")
    (folder / "pytorch_model.bin").write_bytes(b"old weights")
    if not sharded:
        file_of(folder / "model.safetensors", tensors)
        return folder
    names = list(tensors)
    files = {name: f"model-{1 + place // 2:05d}-of-00003.safetensors" for place, name in enumerate(names)}
    for file in sorted(set(files.values())):
        file_of(folder / file, {name: tensors[name] for name in names if files[name] == file})
    total = sum(values.nbytes for _, values in tensors.values())
    index = {"metadata": {"total_size": total, "total_parameters": 1}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_bytes(orjson.dumps(index))
    return folder


def tokenizer_of(folder: Path, parts: list[list[int]] = PARTS, base: int = BASE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [{"id": base + place, "token": f"t{place}", "parts": of} for place, of in enumerate(parts)]
    value = {"base_vocab_size": base, "base_digest": "", "tokens": tokens}
    (folder / "extension.json").write_bytes(orjson.dumps(value))
    (folder / "tokenizer.json").write_bytes(b"new")
    return folder


def read(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    found = [tensor for path in sorted(folder.glob("*.safetensors")) for tensor in read_header(path)[0]]
    return {
        tensor.name: np.frombuffer(
            tensor.file.read_bytes()[tensor.begin : tensor.begin + tensor.n_bytes],
            {"I8": "i1", "BF16": "u2", "F16": "f2", "F32": "f4", "F64": "f8"}[tensor.dtype],
        ).reshape(tensor.shape)
        for tensor in found
    }


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
@pytest.mark.parametrize(("tied", "sharded"), [(False, False), (True, False), (False, True)])
def test_rows(tmp_path: Path, dtype: str, tied: bool, sharded: bool) -> None:
    model = model_of(tmp_path / "model", dtype, tied, sharded)
    done = resize_embeddings(model, tokenizer_of(tmp_path / "tokenizer"), tmp_path / "new")
    old, new = read(model), read(tmp_path / "new")
    changed = ["model.embed_tokens.weight"] + ["lm_head.weight", "lm_head.bias"] * (not tied)
    assert done.tensors == changed
    assert (done.old_rows, done.new_rows, done.n_new_tokens, done.is_tied) == (ROWS, 13, 3, tied)
    assert list(new) == list(old)
    for name, values in new.items():
        if name not in changed:
            assert values.tobytes() == old[name].tobytes()
            continue
        assert values.shape == (13, *old[name].shape[1:])
        assert values[:BASE].tobytes() == old[name][:BASE].tobytes()
        numbers = to_float(old[name], dtype)
        expected = stored(np.stack([numbers[parts].mean(axis=0) for parts in PARTS]), dtype)
        assert np.allclose(
            to_float(values[BASE:], dtype), to_float(expected, dtype), rtol=1e-2 if dtype == "BF16" else 1e-3
        )
        assert values[BASE + 1].tobytes() == old[name][3].tobytes()  # the mean of one is that one


def test_what_lies_beside(tmp_path: Path) -> None:
    model, new = model_of(tmp_path / "model", sharded=True), tmp_path / "new"
    resize_embeddings(model, tokenizer_of(tmp_path / "tokenizer"), new, multiple=8)
    config = orjson.loads((new / "config.json").read_bytes())
    assert config == {"vocab_size": 16, "text_config": {"vocab_size": 16}}
    assert (new / "tokenizer.json").read_bytes() == b"new"
    assert (new / "README.md").read_bytes() == b"a model"
    assert not (new / "pytorch_model.bin").exists()
    values = read(new)
    assert not values["model.embed_tokens.weight"][13:].any()
    index = orjson.loads((new / "model.safetensors.index.json").read_bytes())
    assert index["metadata"] == {"total_size": sum(value.nbytes for value in values.values())}
    assert index["weight_map"] == orjson.loads((model / "model.safetensors.index.json").read_bytes())["weight_map"]


def test_rows_that_no_token_had_are_used_first(tmp_path: Path) -> None:
    model = model_of(tmp_path / "model")
    done = resize_embeddings(model, tokenizer_of(tmp_path / "tokenizer", [[1]]), tmp_path / "new")
    assert (done.old_rows, done.new_rows) == (ROWS, ROWS)
    old, new = read(model), read(tmp_path / "new")
    assert np.array_equal(new["lm_head.weight"][10], old["lm_head.weight"][1])
    assert np.array_equal(new["lm_head.weight"][11], old["lm_head.weight"][11])


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    model, tokenizer, new = model_of(tmp_path / "model"), tokenizer_of(tmp_path / "tokenizer"), tmp_path / "new"

    def refused(said: str, model: Path = model, tokenizer: Path = tokenizer, folder: Path = new) -> None:
        with pytest.raises(RequestError, match=said):
            resize_embeddings(model, tokenizer, folder)
        assert not new.exists()

    refused("there is a model already", folder=model)
    refused(r"no extension\.json is there", tokenizer=tmp_path)
    refused("do not belong together", tokenizer=tokenizer_of(tmp_path / "large", base=13))
    refused("ids that are none of the 10 old ones", tokenizer=tokenizer_of(tmp_path / "high", [[10]]))
    refused("ids that are none of the 10 old ones", tokenizer=tokenizer_of(tmp_path / "none", [[]]))
    refused(r"config\.json: cannot be read", model=tmp_path)
    bare = model_of(tmp_path / "bare")
    file_of(bare / "model.safetensors", {"x": ("F32", np.zeros((2, 2), np.float32))})
    refused("no tensor is named like embeddings", model=bare)
    file_of(bare / "model.safetensors", {"wte.weight": ("I8", np.zeros((12, 2), np.int8))})
    refused("wte.weight is I8; expected one of F64", model=bare)
    numbers = np.zeros((12, 2), np.float32)
    file_of(bare / "model.safetensors", {"wte.weight": ("F32", numbers), "lm_head.weight": ("F32", numbers[1:])})
    refused("lm_head.weight has 11 rows, wte.weight 12", model=bare)
    (bare / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-1])
    refused("is cut off", model=bare)
    (bare / "model.safetensors").write_bytes(b"PK\x03\x04" + bytes(50))
    refused("is no safetensors file", model=bare)
    (bare / "b.safetensors").touch()
    refused("found 2 .safetensors files", model=bare)
    (bare / "model.safetensors.index.json").write_bytes(b'{"weight_map": {"a": "../x"}}')
    refused(r"names \.\./x, which is not there", model=bare)


def test_bfloat16_is_rounded_to_even() -> None:
    torch = pytest.importorskip("torch")
    numbers = np.random.default_rng(1).normal(size=4096) * 10.0 ** np.arange(-20, 12).repeat(128)
    numbers = np.concatenate([numbers, [0.0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8]]).astype(np.float32)
    expected = torch.from_numpy(numbers).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(to_stored(numbers.astype(np.float64), "BF16"), expected)


@pytest.mark.parametrize("tied", [True, False])
def test_transformers_loads_it(tmp_path: Path, tied: bool) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=BASE, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(tmp_path / "model")
    done = resize_embeddings(tmp_path / "model", tokenizer_of(tmp_path / "tokenizer"), tmp_path / "new")
    assert done.is_tied == tied
    loaded = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "new")
    assert loaded.config.vocab_size == 13
    for of in ("get_input_embeddings", "get_output_embeddings"):
        old, new = getattr(model, of)().weight, getattr(loaded, of)().weight
        assert torch.equal(new[:BASE], old)
        assert torch.allclose(new[BASE:], torch.stack([old[parts].mean(dim=0) for parts in PARTS]), atol=1e-7)
    with torch.no_grad():
        ids = torch.tensor([[1, 5, 3]])
        assert torch.allclose(loaded(ids).logits[..., :BASE], model(ids).logits, atol=1e-6)
