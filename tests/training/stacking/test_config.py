"""Configurations of other layers: each keeps its kind and its entries of lists; what goes by place is refused."""

from typing import Any

import pytest
import transformers

from manifests.errors import RequestError
from training.stacking.config import depth_of, kinds_of, stacked_config

S, F = "sliding_attention", "full_attention"


def made(layers: list[int], n_layers: int = 4, **config: Any) -> tuple[dict[str, Any], list[str]]:
    return stacked_config({"model_type": "llama", "num_hidden_layers": n_layers} | config, layers, n_layers)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Qwen2Config", {"use_sliding_window": True, "max_window_layers": 3}),
        ("Qwen3Config", {"use_sliding_window": True}),
        ("Qwen3Config", {"use_sliding_window": True, "max_window_layers": 0}),
        ("Gemma2Config", {}),
        ("Gemma3TextConfig", {}),
        ("Gemma3TextConfig", {"sliding_window_pattern": 4}),
    ],
)
def test_kinds_are_those_of_transformers(kind: str, settings: dict[str, Any]) -> None:
    """What transformers works out where a configuration does not list them."""
    theirs = getattr(transformers, kind)(num_hidden_layers=31, **settings)
    ours = kinds_of({"model_type": theirs.model_type, **settings}, 31)
    assert ours == theirs.layer_types


@pytest.mark.parametrize("kind", ["LlamaConfig", "MistralConfig", "Qwen2Config", "Qwen3Config"])
def test_layers_that_are_all_alike(kind: str) -> None:
    theirs = getattr(transformers, kind)(num_hidden_layers=4)
    written = {name: value for name, value in theirs.to_dict().items() if name != "layer_types"}
    assert kinds_of(written, 4) is None
    config, notes = stacked_config(written, [0, 1, 2, 1, 2, 3], 4)
    assert "layer_types" not in config and not notes
    assert getattr(transformers, kind)(**config).num_hidden_layers == 6


def test_qwens_window_goes_on_being_off() -> None:
    """`max_window_layers` says nothing then, and stays at least the number of layers."""
    assert made([0, 1, 1], 2, model_type="qwen2", use_sliding_window=False, max_window_layers=2)[0] == {
        "model_type": "qwen2", "num_hidden_layers": 3, "use_sliding_window": False, "max_window_layers": 3,
    }  # fmt: skip


def test_qwens_window_begins_where_it_can() -> None:
    settings = {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2}
    config, notes = made([0, 0, 1, 2, 2, 3], **settings)
    assert (config["layer_types"], config["max_window_layers"]) == ([F, F, F, S, S, S], 3) and not notes
    config, notes = made([0, 1, 2, 1, 2, 3], **settings)
    assert config["layer_types"] == [F, F, S, F, S, S]
    assert "goes by max_window_layers" in notes[0]


def test_gemmas_patterns() -> None:
    config, notes = made([0, 1, 2, 3, 0, 1], model_type="gemma2")
    assert config["layer_types"] == [S, F, S, F, S, F] and not notes
    config, notes = made([0, 1, 1, 2, 2, 3], model_type="gemma2")
    assert config["layer_types"] == [S, F, F, S, S, F] and "goes by the place of a layer" in notes[0]
    config, notes = made([0, 1, 0, 1], 4, model_type="gemma3_text", sliding_window_pattern=2)
    assert config["sliding_window_pattern"] == 2 and config["layer_types"] == [S, F, S, F] and not notes
    config, notes = made([1, 1, 0], 4, model_type="gemma3_text", sliding_window_pattern=2)
    assert "sliding_window_pattern" not in config and config["layer_types"] == [F, F, S] and len(notes) == 1


def test_lists_go_with_their_layers() -> None:
    config, notes = made([3, 0, 0], no_rope_layers=[1, 1, 1, 0], layer_types=[S, F, S, S], eos_token_id=[5, 6, 7, 8])
    assert config["no_rope_layers"] == [0, 1, 1] and config["layer_types"] == [S, S, S]
    assert config["eos_token_id"] == [5, 6, 7, 8]
    assert notes == ["no_rope_layers: each layer keeps its own entry"]


def test_the_part_of_texts(tmp_path: object) -> None:
    nested = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "num_hidden_layers": 4}}
    config, _ = stacked_config(nested, [0, 1, 2, 3, 3], 4)
    assert config["text_config"]["num_hidden_layers"] == 5 and "num_hidden_layers" not in config
    assert config["text_config"]["layer_types"] == [S] * 5
    assert (depth_of(nested), depth_of(config), depth_of({"model_type": "x"})) == (4, 5, None)
    assert nested["text_config"] == {"model_type": "gemma3_text", "num_hidden_layers": 4}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"model_type": "deepseek_v3", "first_k_dense_replace": 1}, r"first_k_dense_replace: 1 tells layers apart"),
        ({"model_type": "qwen3_moe", "decoder_sparse_step": 2}, r"decoder_sparse_step: 2 tells"),
        ({"model_type": "smollm3", "no_rope_layer_interval": 4}, r"smollm3 cannot be given other layers"),
        ({"model_type": "cohere2", "sliding_window_pattern": 4}, r"sliding_window_pattern: 4 tells"),
        ({"layer_types": [S, F]}, r"layer_types has 2 entries; the model has 4 layers"),
        ({"no_rope_layers": [1]}, r"no_rope_layers has 1 entries and the model 4 layers"),
    ],
)
def test_what_goes_by_place(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        made([0, 1, 1, 2, 3], **settings)


def test_what_does_not_go_by_place() -> None:
    config, notes = made([0, 0], model_type="qwen3_moe", decoder_sparse_step=1, mlp_only_layers=[])
    assert config["mlp_only_layers"] == [] and "none of the architectures that were checked" in notes[0]
    assert made([0, 0], model_type="exaone4", layer_types=[S, F, S, F], sliding_window_pattern=4)[0][
        "layer_types"
    ] == [S, S]
