"""Checkpoints merged in parts: equal to whole tensors and to mergekit; refused where they do not fit."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from manifests.errors import RequestError, RunError
from manifests.schema_merge import MergeRule
from tests.training import tiny
from tests.training.merging import merged
from training.merging.arithmetic import linear, slerp, task_arithmetic, ties
from training.merging.merge import merge, with_t
from training.merging.report import MergeReport
from training.safetensors_files import read_header

pytestmark = pytest.mark.filterwarnings("ignore")


def models(tmp_path: Path, n: int = 2, dtype: str = "F32", **config: Any) -> dict[str, Path]:
    return {
        name: merged.model(tmp_path / name, merged.arrays_of(seed), dtype, **config)
        for seed, name in enumerate("abc"[:n])
    }


def run(folders: dict[str, Path], output: Path, **rule: Any) -> MergeReport:
    rule.setdefault("models", [name for name in folders if name != rule.get("base")])
    return merge(MergeRule(**rule), folders, output, threads=2)


@pytest.fixture(params=[None, 5])
def part_numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole tensors, and parts that do not divide them."""
    if request.param:
        monkeypatch.setattr("training.merging.inputs.PART_NUMBERS", request.param)


@pytest.mark.parametrize(
    ("rule", "of"),
    [
        ({"t": 0.3}, lambda a, b, c: slerp(0.3, a, b)),
        ({"method": "linear", "models": ["a", {"model": "b", "weight": 3}]}, lambda a, b, c: linear([a, b], [1, 3])),
        (
            {"method": "task_arithmetic", "base": "c", "scale": 0.5},
            lambda a, b, c: task_arithmetic(c, [a, b], [1, 1], scale=0.5),
        ),
        ({"method": "ties", "base": "c"}, lambda a, b, c: ties(c, [a, b], [1, 1], [0.5, 0.5])),
        (
            {"method": "dare_linear", "base": "c", "models": [{"model": m, "density": 1} for m in "ab"]},
            lambda a, b, c: task_arithmetic(c, [a, b], [1, 1]),
        ),
        (
            {"method": "dare_ties", "base": "c", "models": [{"model": m, "density": 1} for m in "ab"]},
            lambda a, b, c: ties(c, [a, b], [1, 1], [1, 1], normalize=False),
        ),
    ],
)
@pytest.mark.usefixtures("part_numbers")
def test_parts_give_what_whole_tensors_give(tmp_path: Path, rule: dict[str, Any], of: Any) -> None:
    folders = models(tmp_path, 3)
    folders = folders if "base" in rule else {name: folders[name] for name in "ab"}
    report = run(folders, tmp_path / "out", **rule)
    found, parents = merged.read(tmp_path / "out"), [merged.arrays_of(seed) for seed in range(3)]
    assert list(found) == list(parents[0])
    for name, numbers in found.items():
        assert np.abs(numbers - of(*(parent[name] for parent in parents))).max() <= 3e-7
    assert [record.name for record in report.tensors] == list(found)
    assert orjson.loads((tmp_path / "out/merge.json").read_bytes()) == report.model_dump(mode="json")


def test_ties_keeps_exactly_its_share_over_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.merging.inputs.PART_NUMBERS", 3)
    base = {name: np.zeros_like(of) for name, of in merged.arrays_of(0).items()}
    equal = {name: np.ones_like(of) for name, of in base.items()}  # all magnitudes are the same
    folders = {"a": merged.model(tmp_path / "a", equal), "c": merged.model(tmp_path / "c", base)}
    run(folders, tmp_path / "out", method="ties", base="c", models=[{"model": "a", "density": 0.4}])
    for name, numbers in merged.read(tmp_path / "out").items():
        n = max(1, int(0.4 * numbers.size))
        assert numbers.reshape(-1).tolist() == [1] * n + [0] * (numbers.size - n), name


def test_dare_draws_the_same_whatever_the_threads(tmp_path: Path) -> None:
    folders = models(tmp_path, 3)
    rule = MergeRule(method="dare_ties", models=["a", "b"], base="c")  # type: ignore[list-item]
    for number, (seed, threads) in enumerate([(0, 1), (0, 3), (1, 1)]):
        merge(rule, folders, tmp_path / f"out{number}", seed=seed, threads=threads)
    first, again, other = ((tmp_path / f"out{n}/model.safetensors").read_bytes() for n in range(3))
    assert first == again != other


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64"])
@pytest.mark.parametrize("out", [None, "float32", "bfloat16", "float16"])
def test_dtypes(tmp_path: Path, dtype: str, out: str | None) -> None:
    folders = models(tmp_path, dtype=dtype)
    run(folders, tmp_path / "out", t=0.4, dtype=out)
    tensors, _ = read_header(tmp_path / "out/model.safetensors")
    wanted = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", None: dtype}[out]
    assert {tensor.dtype for tensor in tensors} == {wanted}
    assert merged.config(tmp_path / "out")["dtype"] == (out or "float32")
    first, second = (merged.read(folders[name]) for name in "ab")
    rounding = {"F32": 1e-7, "F64": 1e-7, "F16": 2**-11, "BF16": 2**-8}[wanted]
    for name, numbers in merged.read(tmp_path / "out").items():
        expected = slerp(0.4, first[name], second[name])
        assert np.abs(numbers - expected).max() <= rounding * np.abs(expected).max() + 1e-7


def test_shards_and_their_index(tmp_path: Path) -> None:
    folders = models(tmp_path)
    merge(MergeRule(models=["a", "b"]), folders, tmp_path / "whole")  # type: ignore[list-item]
    merge(MergeRule(models=["a", "b"]), folders, tmp_path / "out", shard_bytes=200)  # type: ignore[list-item]
    index = orjson.loads((tmp_path / "out/model.safetensors.index.json").read_bytes())
    files = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 2 and files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert set(index["weight_map"].values()) == set(files)
    whole, found = merged.read(tmp_path / "whole"), merged.read(tmp_path / "out")
    assert found.keys() == whole.keys() == index["weight_map"].keys()
    assert all(np.array_equal(found[name], whole[name]) for name in whole)
    assert index["metadata"]["total_size"] == sum(of.nbytes for of in whole.values())
    run({"a": tmp_path / "out", "b": folders["b"]}, tmp_path / "again", t=0)  # shards are read as well
    assert all(np.array_equal(merged.read(tmp_path / "again")[name], whole[name]) for name in whole)


def test_ends_are_the_models_to_the_bit(tmp_path: Path) -> None:
    folders = models(tmp_path)
    for t, name in ((0, "a"), (1, "b")):
        run(folders, tmp_path / f"out{t}", t=t)
        assert {n: of.tobytes() for n, of in merged.read(tmp_path / f"out{t}").items()} == {
            n: of.tobytes() for n, of in merged.read(folders[name]).items()
        }


def test_which_path_tensors_take(tmp_path: Path) -> None:
    first = merged.arrays_of(0) | {"steps": np.arange(3)}
    near = {name: of * 1.01 if of.dtype.kind == "f" else of for name, of in first.items()}
    near["model.norm.weight"] = first["model.norm.weight"]
    near["model.layers.1.mlp.up_proj.weight"] = merged.arrays_of(1)["model.layers.1.mlp.up_proj.weight"]
    folders = {"a": merged.model(tmp_path / "a", first), "b": merged.model(tmp_path / "b", near)}
    report = run(folders, tmp_path / "out")
    paths = {record.name: record.path for record in report.tensors}
    assert paths.pop("model.layers.1.mlp.up_proj.weight") == "slerp"
    assert paths.pop("model.norm.weight") == "same"
    assert paths.pop("steps") == "copied"
    assert set(paths.values()) == {"linear"}
    assert np.array_equal(merged.read(tmp_path / "out")["model.norm.weight"], first["model.norm.weight"])
    assert merged.read(tmp_path / "out")["steps"].tolist() == [0, 1, 2]
    assert report.paths["slerp"].n_parameters == 32
    assert report.share("slerp") == pytest.approx(32 / report.n_parameters)
    assert any("a linear merge in nearly all but name" in sentence for sentence in report.words)
    record = next(record for record in report.tensors if record.path == "slerp")
    one, two = first[record.name].astype(np.float64), near[record.name].astype(np.float64)
    cosine = (one * two).sum() / np.linalg.norm(one) / np.linalg.norm(two)
    assert record.cosine == pytest.approx(cosine, abs=1e-6)
    assert record.angle == pytest.approx(np.degrees(np.arccos(cosine)), abs=1e-3)


def test_narrow_arcs_are_said_to_be_lines(tmp_path: Path) -> None:
    first, noise = merged.arrays_of(0), merged.arrays_of(1)
    for share, is_line in ((0.05, True), (0.5, False)):
        near = {name: of + np.float32(share) * noise[name] for name, of in first.items()}
        folders = {name: tmp_path / f"{name}-{share}" for name in "ab"}
        for folder, arrays in zip(folders.values(), (first, near), strict=True):
            merged.model(folder, arrays)
        report = run(folders, tmp_path / f"out-{share}", t=1)
        assert report.share("slerp") > 0.5
        assert any("a linear merge in nearly all but name" in sentence for sentence in report.words) == is_line


def test_tied_embeddings(tmp_path: Path) -> None:
    tied = {"tie_word_embeddings": True}
    folders = {
        "a": merged.model(tmp_path / "a", merged.arrays_of(0, head=False), **tied),
        "b": merged.model(tmp_path / "b", merged.arrays_of(1, head=False), **tied),
        "c": merged.model(tmp_path / "c", merged.arrays_of(2)),
    }
    copied = merged.arrays_of(1, head=False)
    copied["lm_head.weight"] = copied["model.embed_tokens.weight"]
    folders["d"] = merged.model(tmp_path / "d", copied, **tied)
    for second in "bd":  # stored or not, tied is tied
        run({"a": folders["a"], second: folders[second]}, tmp_path / f"a{second}")
        assert "lm_head.weight" not in merged.read(tmp_path / f"a{second}")
        assert merged.config(tmp_path / f"a{second}")["tie_word_embeddings"] is True
    report = run({"a": folders["a"], "c": folders["c"]}, tmp_path / "ac", t=0.25)
    found = merged.read(tmp_path / "ac")
    embedding, head = merged.arrays_of(0)["model.embed_tokens.weight"], merged.arrays_of(2)["lm_head.weight"]
    assert np.abs(found["lm_head.weight"] - slerp(0.25, embedding, head)).max() < 1e-6
    assert merged.config(tmp_path / "ac")["tie_word_embeddings"] is False
    assert any("tie_word_embeddings differs" in note for note in report.notes)


def test_buffers_that_models_compute_are_left_out(tmp_path: Path) -> None:
    extra = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2, np.float32)}
    folders = models(tmp_path, 1) | {"b": merged.model(tmp_path / "b", merged.arrays_of(1) | extra)}
    report = run(folders, tmp_path / "out")
    assert list(merged.read(tmp_path / "out")) == list(merged.arrays_of(0))
    assert any("inv_freq" in note for note in report.notes)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    folders = models(tmp_path)
    number = iter(range(100))

    def refused(said: str, arrays: merged.Arrays | None = None, dtype: str = "F32", **config: Any) -> None:
        other = merged.model(tmp_path / f"x{next(number)}", arrays or merged.arrays_of(1), dtype, **config)
        with pytest.raises(RequestError, match=said):
            run({"a": folders["a"], "x": other}, tmp_path / "out")
        assert not list(tmp_path.glob("*out*")) + list(tmp_path.glob(".*"))

    arrays = merged.arrays_of(1)
    wrong = arrays | {"model.layers.1.mlp.up_proj.weight": np.full((8, 4), 1, np.float32)}
    for value in (np.nan, np.inf, -np.inf):
        wrong["model.layers.1.mlp.up_proj.weight"][3, 2] = value
        refused(rf"x: model.layers.1.mlp.up_proj.weight holds {value} at place 14", wrong)
    refused(
        "x lacks 1 of the 9 tensors of a: model.norm.weight",
        {n: of for n, of in arrays.items() if "norm.w" not in n or "layer" in n},
    )
    refused("a lacks 1 of the 10 tensors of x: extra.weight", arrays | {"extra.weight": np.ones(2, np.float32)})
    shaped = arrays | {"model.norm.weight": np.ones(5, np.float32)}
    refused("model.norm.weight is 4 in a and 5 in x", shaped)
    refused(
        r"different architectures \(architectures: \['LlamaForCausalLM'\] and \['Qwen3",
        architectures=["Qwen3ForCausalLM"],
    )
    refused("built differently: num_attention_heads is 2 and 4", num_attention_heads=4)
    refused("names neither `model_type` nor `architectures`", architectures=None, model_type=None)
    refused("its weights are quantized", quantization_config={})
    refused("no tensor is named like a language model's embeddings", {"x": np.ones(2, np.float32)})
    whole = arrays | {"model.norm.weight": np.ones(4, np.int64)}
    refused("model.norm.weight holds F32 in a and I64 in x; one is no float", whole)
    counted = {"c": merged.model(tmp_path / "c", arrays | {"steps": np.arange(3)})}
    counted["d"] = merged.model(tmp_path / "d", arrays | {"steps": np.arange(1, 4)})
    with pytest.raises(RequestError, match="steps holds whole numbers"):
        run(counted, tmp_path / "out")
    with pytest.raises(RequestError, match="there is something already"):
        run(folders, folders["a"])
    huge = arrays | {"model.norm.weight": np.full(4, 1e6, np.float32)}
    other = merged.model(tmp_path / "huge", huge)
    with pytest.raises(RequestError, match=r"model.norm.weight: 500\d+ does not fit float16"):
        run({"a": folders["a"], "x": other}, tmp_path / "out", method="linear", dtype="float16")
    with pytest.raises(RequestError, match="add up to 0"):
        run(folders, tmp_path / "out", method="linear", models=["a", {"model": "b", "weight": -1}])


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    folders = models(tmp_path, 1)

    def refused(said: str) -> None:
        with pytest.raises(RequestError, match=said):
            run(folders | {"b": tmp_path / "b"}, tmp_path / "out")

    refused("b is not there: expected a folder; a model is a folder on this machine, so download it first")
    (tmp_path / "b").touch()
    refused("b is no folder")
    (tmp_path / "b").unlink()
    (tmp_path / "b").mkdir()
    refused(r"has no config\.json, so it is no model")
    (tmp_path / "b/adapter_config.json").touch()
    refused(r"holds an adapter \(LoRA\) and no model; merge it into its base first")
    (tmp_path / "b/config.json").write_bytes(orjson.dumps(merged.CONFIG))
    refused(r"no weights \(\*\.safetensors\) are there")
    (tmp_path / "b/model.gguf").touch()
    refused(r"its weights are in model\.gguf; load it")
    (tmp_path / "b/pytorch_model.bin").touch()
    refused(
        r"weights in pytorch_model\.bin, a pickle, which can run code .* never opened here; load it where you trust"
    )
    for name in ("x.safetensors", "y.safetensors"):
        merged.save(tmp_path / "b" / name, merged.arrays_of(1))
    refused(r"has 2 \.safetensors files and no model\.safetensors\.index\.json")
    (tmp_path / "b/model.safetensors.index.json").write_bytes(b'{"weight_map": {"a": "../a"}}')
    refused(r"names \.\./a, which is not there; download the model again")
    (tmp_path / "b/model.safetensors.index.json").write_bytes(b"[]")
    refused("expected a JSON object")


# disks and kills


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders, n_written = models(tmp_path), iter(range(100))

    def pwrite(handle: int, content: Any, at: int) -> int:
        if next(n_written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(handle, content)

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", pwrite)
        with pytest.raises(RunError, match=r"No space left on device while writing .*out; nothing is left of it"):
            run(folders, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
        with pytest.raises(RunError, match=r"the merge takes 0\.00 GB, and 0\.00 GB are free"):
            run(folders, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


KILLED = """
import os, sys
from pathlib import Path
from manifests.schema_merge import MergeRule
import training.merging.inputs
from training.merging.merge import merge
n = 0
def slow(step, done, total, note=""):
    global n
    n += 1
    if n == 5:
        print("there", flush=True)
        import time; time.sleep(60)
base = Path(sys.argv[1])
merge(MergeRule(models=["a", "b"]), {"a": base / "a", "b": base / "b"}, base / "out", progress=slow)
"""


def test_killed_in_the_middle(tmp_path: Path) -> None:
    folders = models(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert process.stdout and process.stdout.readline() == b"there\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "out").exists() and (tmp_path / ".out.partial").is_dir()
    run(folders, tmp_path / "out")
    run(folders, tmp_path / "undisturbed")
    assert not list(tmp_path.glob(".*"))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["config.json", "merge.json", "model.safetensors"]
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


def test_an_output_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    folders = models(tmp_path)
    run(folders, tmp_path / "out", t=0)
    before = (tmp_path / "out/model.safetensors").read_bytes()
    nan = merged.arrays_of(1) | {"lm_head.weight": np.full((6, 4), np.nan, np.float32)}
    broken = {"a": folders["a"], "b": merged.model(tmp_path / "broken", nan)}
    with pytest.raises(RequestError):
        merge(MergeRule(models=["a", "b"]), broken, tmp_path / "out", replaces=True)  # type: ignore[list-item]
    assert (tmp_path / "out/model.safetensors").read_bytes() == before
    merge(MergeRule(models=["a", "b"], t=1), folders, tmp_path / "out", replaces=True)  # type: ignore[arg-type, list-item]
    assert (tmp_path / "out/model.safetensors").read_bytes() != before


def test_another_t() -> None:
    assert with_t(MergeRule(models=["a", "b"], t=[0, 1]), 0.3).t[0].value == 0.3  # type: ignore[arg-type, list-item]
    rule = with_t(MergeRule(method="linear", models=["a", "b"]), 0.25)  # type: ignore[list-item]
    assert [item.weight[0].value for item in rule.models] == [0.75, 0.25]


# mergekit and transformers


@pytest.fixture(scope="module")
def llamas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("llamas")
    return {name: tiny.save_model(folder / name, seed=seed, num_hidden_layers=5) for seed, name in enumerate("abc")}


def by_mergekit(folder: Path, **config: Any) -> merged.Arrays:
    theirs = pytest.importorskip("mergekit.merge")
    from mergekit.config import MergeConfiguration
    from mergekit.options import MergeOptions

    options = MergeOptions(quiet=True, copy_tokenizer=False, write_model_card=False)
    theirs.run_merge(MergeConfiguration.model_validate({"dtype": "float32"} | config), str(folder), options)
    return merged.read(folder)


COMMUNITY = [("self_attn", [0, 0.5, 0.3, 0.7, 1]), ("mlp", [1, 0.5, 0.7, 0.3, 0]), (None, 0.5)]
"""What model cards of SLERP merges have."""


@pytest.mark.parametrize("t", [0.3, [0, 0.9, 0.2, 1], COMMUNITY])
def test_slerp_of_llamas_is_mergekits(tmp_path: Path, llamas: dict[str, Path], t: Any) -> None:
    ours = theirs = t
    if t is COMMUNITY:
        ours = [{"match": match, "value": value} for match, value in t]
        theirs = [{"filter": match, "value": value} for match, value in t]
    run({name: llamas[name] for name in "ab"}, tmp_path / "ours", t=ours)
    expected = by_mergekit(
        tmp_path / "theirs",
        merge_method="slerp",
        base_model=str(llamas["a"]),
        models=[{"model": str(llamas[name])} for name in "ab"],
        parameters={"t": theirs},
    )
    found = merged.read(tmp_path / "ours")
    assert found.keys() == expected.keys()
    assert max(float(np.abs(found[name] - expected[name]).max()) for name in found) <= 2e-7


@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "ties", "dare_linear", "dare_ties"])
@pytest.mark.parametrize("normalize", [None, True, False])
def test_other_methods_are_mergekits(
    tmp_path: Path, llamas: dict[str, Path], method: str, normalize: bool | None
) -> None:
    density = {} if method in ("linear", "task_arithmetic") else {"density": 0.37 if method == "ties" else 1.0}
    weights = {"a": [0.2, 1.0, 0.7], "b": 0.4}
    base = {} if method == "linear" else {"base": "c"}
    folders = llamas if base else {name: llamas[name] for name in "ab"}
    items = [{"model": name, "weight": weight, **density} for name, weight in weights.items()]
    run(folders, tmp_path / "ours", method=method, models=items, normalize=normalize, **base)
    expected = by_mergekit(
        tmp_path / "theirs",
        merge_method=method,
        models=[
            {"model": str(llamas[name]), "parameters": {"weight": weight, **density}}
            for name, weight in weights.items()
        ],
        parameters={} if normalize is None else {"normalize": normalize},
        **({"base_model": str(llamas["c"])} if base else {}),
    )
    found = merged.read(tmp_path / "ours")
    assert found.keys() == expected.keys()
    assert max(float(np.abs(found[name] - expected[name]).max()) for name in found) <= 2e-7


def test_transformers_loads_it_with_its_tokenizer(tmp_path: Path, llamas: dict[str, Path]) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    run({name: llamas[name] for name in "ab"}, tmp_path / "out", dtype="bfloat16")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert model.dtype == torch.bfloat16
    assert tokenizer.chat_template == tiny.chat_template("chatml")
    ids = tokenizer("한국어 and English", return_tensors="pt").input_ids
    assert tokenizer.decode(ids[0]) == "한국어 and English"
    assert torch.isfinite(model(ids).logits).all()


def test_merging_needs_no_torch(tmp_path: Path) -> None:
    models(tmp_path)
    code = KILLED.replace("n == 5", "False") + "\nprint([m for m in ('torch', 'transformers') if m in sys.modules])"
    began = time.monotonic()
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]" and time.monotonic() - began < 60
    assert (tmp_path / "out/merge.json").is_file()
