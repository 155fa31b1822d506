"""Narrower checkpoints: what did nothing is what goes, and the model computes what it did."""

import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from manifests.errors import RequestError
from manifests.schema_surgery import Importance, Sizes
from tests.training.pruning import decoders
from training.model_files import read_object, write_object
from training.pruning.calibration import batch_of
from training.pruning.importance import measure_importance
from training.pruning.ranking import Kept, choose
from training.pruning.slicing import PruneReport, prune
from training.safetensors_files import read_header
from training.trainers import load_model

SAMPLES = [[row] for row in decoders.ids(6, 12, seed=1).tolist()]
CHANNELS = [1, 4, 5, 9, 14, 22]
NEURONS = [[0, 3, 7, 19]] * decoders.LAYERS
OTHER_NEURONS = [[0, 3, 7, 19], [1, 2, 3, 4], [8, 11, 12, 15]]
HEADS = [[0, 2, 5]] * decoders.LAYERS
OTHER_HEADS = [[0, 2, 5], [1, 3, 4], [0, 3, 4]]


def kept_of(model: Any, sizes: Sizes, asked: Importance) -> Kept:
    scores = measure_importance(model, [batch_of(SAMPLES)], asked)
    return choose(scores, model.config.to_dict(), sizes, asked)


def logits(folder_or_model: Any) -> torch.Tensor:
    model = load_model(str(folder_or_model)) if isinstance(folder_or_model, Path) else folder_or_model
    with torch.no_grad():
        found: torch.Tensor = model(decoders.ids()).logits
    return found


def assert_same(found: torch.Tensor, expected: torch.Tensor, within: float = 1e-5) -> None:
    """Equal to a share of the largest logit."""
    assert float((found - expected).abs().max()) < within * max(1.0, float(expected.abs().max()))


def absent(kept: np.ndarray, n: int) -> list[list[int]]:
    return [sorted(set(range(n)) - set(row.tolist())) for row in kept]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", decoders.KINDS)
def test_what_does_nothing_goes_and_logits_stay(kind: str, tied: bool, tmp_path: Path) -> None:
    model = decoders.new(kind, tied=tied)
    decoders.silence_channels(model, CHANNELS)
    decoders.silence_neurons(model, OTHER_NEURONS)
    decoders.silence_heads(model, OTHER_HEADS)
    sizes, asked = Sizes(hidden_size=18, intermediate_size=16, num_attention_heads=3), Importance(layers="hidden")
    kept = kept_of(model, sizes, asked)
    assert absent(kept.hidden, decoders.HIDDEN) == [CHANNELS] * (decoders.LAYERS + 1)
    assert absent(kept.mlp, decoders.INNER) == OTHER_NEURONS
    kept = Kept(kept.hidden, kept.mlp, _others(OTHER_HEADS, decoders.HEADS))
    source = decoders.saved(model, tmp_path / "model")
    report = prune(source, kept, tmp_path / "narrow")
    narrow = load_model(str(tmp_path / "narrow"))
    assert_same(logits(narrow), logits(model))
    assert report.parameters_after == narrow.num_parameters()
    assert report.parameters_before == model.num_parameters()
    assert report.is_tied == tied == narrow.config.tie_word_embeddings
    assert (narrow.config.hidden_size, narrow.config.head_dim) == (18, decoders.WIDTH)
    assert PruneReport.model_validate(read_object(tmp_path / "narrow/prune.json")) == report


def _others(chosen: list[list[int]], n: int) -> np.ndarray:
    return np.array([sorted(set(range(n)) - set(row)) for row in chosen], np.int64)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_heads_that_say_nothing_go(kind: str, tmp_path: Path) -> None:
    """A head whose values are 0 hands on nothing; with two groups of three, one of each goes by its own low score."""
    model = decoders.new(kind, num_key_value_heads=6)
    with torch.no_grad():
        for layer, chosen in zip(model.model.layers, OTHER_HEADS, strict=True):
            for head in chosen:
                layer.self_attn.v_proj.weight[decoders.WIDTH * head : decoders.WIDTH * (head + 1)] = 0
    scores = measure_importance(model, [batch_of(SAMPLES)], Importance())
    assert [np.flatnonzero(row == 0).tolist() for row in scores.heads] == OTHER_HEADS


def test_one_ranking_for_all_layers_finds_what_all_lack(tmp_path: Path) -> None:
    model = decoders.new("qwen2")
    decoders.silence_channels(model, CHANNELS)
    decoders.silence_neurons(model, NEURONS)
    kept = kept_of(model, Sizes(hidden_size=18, intermediate_size=16), Importance())
    assert absent(kept.mlp, decoders.INNER) == NEURONS
    prune(decoders.saved(model, tmp_path / "model"), kept, tmp_path / "narrow")
    assert_same(logits(tmp_path / "narrow"), logits(model))


def test_nothing_cut_is_the_same_model(tmp_path: Path) -> None:
    model = decoders.new("llama")
    source = decoders.saved(model, tmp_path / "model")
    kept = kept_of(model, Sizes(hidden_size=decoders.HIDDEN), Importance())
    prune(source, kept, tmp_path / "same")
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "same", source))
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_weights_are_slices_and_norms_are_rescaled(tmp_path: Path) -> None:
    model = decoders.new("qwen2")
    kept = kept_of(model, Sizes(hidden_size=10, intermediate_size=7, num_attention_heads=3), Importance())
    prune(decoders.saved(model, tmp_path / "model"), kept, tmp_path / "narrow")
    found, before = load_file(tmp_path / "narrow/model.safetensors"), model.state_dict()
    channels, neurons, heads = kept.hidden[0], kept.mlp[0], kept.heads[0]
    of_heads = [head * decoders.WIDTH + i for head in heads for i in range(decoders.WIDTH)]
    expected = {
        "model.embed_tokens": (slice(None), channels),
        "lm_head": (slice(None), channels),
        "model.layers.1.self_attn.q_proj": (of_heads, channels),
        "model.layers.1.self_attn.v_proj": (slice(None), channels),
        "model.layers.1.self_attn.o_proj": (channels, of_heads),
        "model.layers.2.mlp.up_proj": (neurons, channels),
        "model.layers.2.mlp.down_proj": (channels, neurons),
    }
    for name, (rows, columns) in expected.items():
        np.testing.assert_array_equal(found[f"{name}.weight"], before[f"{name}.weight"].numpy()[rows][:, columns])
    np.testing.assert_array_equal(
        found["model.layers.1.self_attn.q_proj.bias"],
        before["model.layers.1.self_attn.q_proj.bias"].numpy()[of_heads],
    )
    factor = np.sqrt(decoders.HIDDEN / 10)
    for name in ("model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm", "model.norm"):
        np.testing.assert_allclose(
            found[f"{name}.weight"], before[f"{name}.weight"].numpy()[channels] * factor, rtol=1e-6
        )


def test_layers_of_their_own_keep_their_own_channels(tmp_path: Path) -> None:
    model = decoders.new("llama")
    kept = kept_of(model, Sizes(hidden_size=10), Importance(layers="each"))
    assert len(np.unique(kept.hidden, axis=0)) > 1
    prune(decoders.saved(model, tmp_path / "model"), kept, tmp_path / "narrow")
    found, before = load_file(tmp_path / "narrow/model.safetensors"), model.state_dict()
    for layer in range(decoders.LAYERS):
        for name in ("q_proj", "v_proj"):
            full = f"model.layers.{layer}.self_attn.{name}.weight"
            np.testing.assert_array_equal(found[full], before[full].numpy()[:, kept.hidden[layer]])
    np.testing.assert_array_equal(found["lm_head.weight"], before["lm_head.weight"].numpy()[:, kept.hidden[-1]])
    np.testing.assert_array_equal(
        found["model.embed_tokens.weight"], before["model.embed_tokens.weight"].numpy()[:, kept.hidden[0]]
    )
    assert logits(tmp_path / "narrow").isfinite().all()


def test_tied_embeddings_are_the_mean(tmp_path: Path) -> None:
    model = decoders.new("llama")
    source = decoders.saved(model, tmp_path / "model")
    kept = kept_of(model, Sizes(hidden_size=10), Importance())
    report = prune(source, kept, tmp_path / "tied", tie_embeddings=True)
    found, before = load_file(tmp_path / "tied/model.safetensors"), model.state_dict()
    mean = (before["model.embed_tokens.weight"].double() + before["lm_head.weight"].double()) / 2
    np.testing.assert_allclose(
        found["model.embed_tokens.weight"], mean.numpy()[:, kept.hidden[0]].astype(np.float32), rtol=1e-7
    )
    assert "lm_head.weight" not in found
    tied = load_model(str(tmp_path / "tied"))
    assert tied.config.tie_word_embeddings
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    assert report.parameters_after == tied.num_parameters()
    again = prune(tmp_path / "tied", kept_of(tied, Sizes(), Importance()), tmp_path / "again", tie_embeddings=True)
    assert again.notes == ["embeddings were one already"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_dtypes_stay(dtype: torch.dtype, tmp_path: Path) -> None:
    model = decoders.new("llama")
    kept = kept_of(model, Sizes(hidden_size=10, intermediate_size=9), Importance())
    source = decoders.saved(model.to(dtype), tmp_path / "model")
    prune(source, kept, tmp_path / "narrow")
    tensors = read_header(tmp_path / "narrow/model.safetensors")[0]
    assert {tensor.dtype for tensor in tensors} == {{torch.bfloat16: "BF16", torch.float16: "F16"}[dtype]}
    narrow = load_model(str(tmp_path / "narrow"), dtype=dtype)
    expected = model.model.layers[1].mlp.down_proj.weight[kept.hidden[0]][:, kept.mlp[1]]
    assert torch.equal(narrow.model.layers[1].mlp.down_proj.weight, expected)


def test_several_files_give_the_same_model(tmp_path: Path) -> None:
    model = decoders.new("llama")
    model.save_pretrained(tmp_path / "model", max_shard_size="8KB")
    assert (tmp_path / "model/model.safetensors.index.json").is_file()
    kept = kept_of(model, Sizes(hidden_size=10, num_attention_heads=3), Importance())
    prune(tmp_path / "model", kept, tmp_path / "one")
    prune(tmp_path / "model", kept, tmp_path / "many", shard_bytes=3000)
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 3
    assert torch.equal(logits(tmp_path / "one"), logits(tmp_path / "many"))


def test_tensors_are_written_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = decoders.new("gemma3_text")
    source = decoders.saved(model, tmp_path / "model")
    kept = kept_of(model, Sizes(hidden_size=12, intermediate_size=9, num_attention_heads=3), Importance())
    prune(source, kept, tmp_path / "whole")
    monkeypatch.setattr("training.pruning.slicing.READ_AT_ONCE", 300)
    prune(source, kept, tmp_path / "parts")
    whole, parts = (tmp_path / name / "model.safetensors" for name in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()


def test_what_lies_beside_comes_along(tiny_model: Path, tmp_path: Path) -> None:
    from training.trainers import load_tokenizer

    model = load_model(str(tiny_model))
    prune(tiny_model, kept_of(model, Sizes(intermediate_size=64), Importance()), tmp_path / "narrow")
    ours, theirs = load_tokenizer(str(tmp_path / "narrow")), load_tokenizer(str(tiny_model))
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.chat_template == theirs.chat_template


def test_a_killed_pruning_leaves_nothing_that_counts(tmp_path: Path) -> None:
    model = decoders.new("llama")
    source = decoders.saved(model, tmp_path / "model")
    kept = kept_of(model, Sizes(hidden_size=10), Importance())
    prune(source, kept, tmp_path / "whole")

    def killed(step: str, done: float, total: float, note: str = "") -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune(source, kept, tmp_path / "narrow", progress=killed)
    assert not (tmp_path / "narrow").exists()
    (tmp_path / ".narrow.pruning").mkdir()
    (tmp_path / ".narrow.pruning" / "left").write_text("by one that was killed hard")
    prune(source, kept, tmp_path / "narrow")
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in (tmp_path / "narrow").iterdir()) == names
    for name in names:
        assert (tmp_path / "narrow" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(RequestError, match="there is something already"):
        prune(source, kept, tmp_path / "narrow")


def test_tensors_that_are_not_known_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    source = decoders.saved(decoders.new("llama"), tmp_path / "model")
    kept = kept_of(decoders.new("llama"), Sizes(hidden_size=10), Importance())
    tensors = load_file(source / "model.safetensors")
    save_file(tensors | {"model.layers.0.adapter.weight": np.zeros((2, 2), np.float32)}, source / "model.safetensors")
    with pytest.raises(RequestError, match=r"not known what model.layers.0.adapter.weight does"):
        prune(source, kept, tmp_path / "narrow")
    assert not (tmp_path / "narrow").exists()


def test_a_choice_for_other_layers_is_refused(tmp_path: Path) -> None:
    source = decoders.saved(decoders.new("llama", num_hidden_layers=2), tmp_path / "model")
    kept = kept_of(decoders.new("llama"), Sizes(hidden_size=10), Importance())
    with pytest.raises(RequestError, match="has 2 layers; what is kept was chosen for 3"):
        prune(source, kept, tmp_path / "narrow")


def test_code_of_a_model_does_not_come_along(tmp_path: Path) -> None:
    model = decoders.new("llama")
    source = decoders.saved(model, tmp_path / "model")
    write_object(source / "config.json", read_object(source / "config.json") | {"auto_map": {"AutoModel": "m.M"}})
    (source / "m.py").write_text("raise SystemExit")
    report = prune(source, kept_of(model, Sizes(hidden_size=12), Importance()), tmp_path / "narrow")
    assert report.notes == ["config.json names Python code (`auto_map`), which is not copied"]
    assert not (tmp_path / "narrow/m.py").exists()
    assert "auto_map" not in read_object(tmp_path / "narrow/config.json")


def test_a_model_is_read_only(tmp_path: Path) -> None:
    model = decoders.new("llama")
    source = decoders.saved(model, tmp_path / "model")
    shutil.copytree(source, tmp_path / "copy")
    prune(source, kept_of(model, Sizes(hidden_size=10), Importance()), tmp_path / "narrow")
    for path in (tmp_path / "copy").iterdir():
        assert (source / path.name).read_bytes() == path.read_bytes()


def test_widths_that_heads_do_not_divide_become_mistral(tmp_path: Path) -> None:
    """As Kanana Nano, of 1,792 channels and 24 heads: transformers opens no such Llama."""
    rope = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope["original_max_position_embeddings"] = 16
    model = decoders.new("llama", rope_parameters=rope)
    decoders.silence_channels(model, [0, 7, 8, 20])
    kept = kept_of(model, Sizes(hidden_size=20), Importance())
    report = prune(decoders.saved(model, tmp_path / "model"), kept, tmp_path / "narrow")
    assert report.notes[0].startswith("config.json calls it Mistral, which computes the same")
    narrow = load_model(str(tmp_path / "narrow"))
    assert type(narrow).__name__ == "MistralForCausalLM"
    assert_same(logits(narrow), logits(model))


@pytest.mark.parametrize(("kind", "changes"), [("gemma3_text", {}), ("llama", {"mlp_bias": True})])
def test_widths_that_heads_do_not_divide_are_refused_of_others(
    kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    model = decoders.new(kind, **changes)
    kept = kept_of(model, Sizes(hidden_size=20), Importance())
    with pytest.raises(RequestError, match=r"hidden_size: 20 is no multiple of 6 heads.* 18 or 24 would do"):
        prune(decoders.saved(model, tmp_path / "model"), kept, tmp_path / "narrow")


def test_no_large_tensor_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Embeddings of 9.6 MB each, of whose mean a part of 0.25 MB at a time is made."""
    model = decoders.new("llama", vocab_size=100_000)
    source = decoders.saved(model, tmp_path / "model")
    kept = kept_of(model, Sizes(hidden_size=18), Importance())
    monkeypatch.setattr("training.pruning.slicing.READ_AT_ONCE", 1 << 18)
    tracemalloc.start()
    prune(source, kept, tmp_path / "narrow", tie_embeddings=True)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (source / "model.safetensors").stat().st_size > 19_000_000
    assert peak_bytes < 2_500_000
