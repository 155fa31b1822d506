"""FLOPs as both reports count them, and weights by configuration as transformers counts them."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from manifests.errors import RequestError
from training.flops import (
    PUBLISHED,
    Training,
    count_parameters,
    kanana_saved_frac,
    kanana_upscaled_frac,
    lora_parameters,
    parameters,
    saved_frac,
    stored_parameters,
    total_flops,
)

LLAMA_8B: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
TINY: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": 300,
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("llama", {}),
    ("llama", {"tie_word_embeddings": True}),
    ("llama", {"attention_bias": True, "mlp_bias": True}),
    ("llama", {"num_key_value_heads": 4, "head_dim": 16}),
    ("mistral", {"sliding_window": 8}),
    ("qwen2", {}),
    ("qwen2", {"tie_word_embeddings": True}),
    ("qwen3", {}),
]


def test_published_shares_of_kanana() -> None:
    """Section 2.3.2 prints both."""
    assert f"{kanana_saved_frac():.2%}" == "11.06%"
    assert f"{kanana_upscaled_frac():.2%}" == "6.67%"
    assert kanana_saved_frac() == pytest.approx(1 - 677.16 / 761.4, abs=1e-12)


def test_share_of_a_pruned_model_is_that_of_its_tokens() -> None:
    """Table 5: 2.1B on 0.3T tokens instead of 3T, the student alone."""
    assert saved_frac([Training(2.1e9, 0.3e12)], [Training(2.1e9, 3e12)]) == pytest.approx(0.9)


def test_six_per_weight_and_token() -> None:
    assert Training(8e9, 3e12).flops == 1.44e23
    assert total_flops([Training(2, 3), Training(5, 7)]) == 6 * (6 + 35)
    found = {item.name.split(":")[0]: item.training.flops for item in PUBLISHED}
    assert found["Kanana 8B"] == 1.44e23
    assert found["Kanana Nano 2.1B"] == pytest.approx(3.78e21)


@pytest.mark.parametrize(
    ("changes", "billions"),
    [
        ({}, 8.030),
        ({"num_hidden_layers": 40}, 9.775),  # Kanana Essence, up-scaled from 32
        ({"num_hidden_layers": 48}, 11.520),
        (
            {
                "hidden_size": 1792,
                "intermediate_size": 8064,
                "num_attention_heads": 24,
                "head_dim": 128,
                "tie_word_embeddings": True,
            },
            2.087,
        ),  # Kanana Nano
    ],
)
def test_sizes_of_published_models(changes: dict[str, Any], billions: float) -> None:
    found = parameters(LLAMA_8B | changes)
    assert found is not None
    assert round(found.total / 1e9, 3) == billions


def test_kanana_nano_without_embeddings() -> None:
    nano = {"hidden_size": 1792, "intermediate_size": 8064, "num_attention_heads": 24, "head_dim": 128}
    found = parameters(LLAMA_8B | nano | {"tie_word_embeddings": True})
    assert found is not None and found.output == 0
    assert round(found.layers / 1e9, 3) == 1.857


@pytest.mark.parametrize(("kind", "changes"), VARIANTS)
def test_weights_are_those_that_transformers_counts(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.AutoConfig.for_model(kind, **TINY | changes)
    model = transformers.AutoModelForCausalLM.from_config(config)
    told = config.to_dict() | {"model_type": kind}
    found = parameters(told)
    assert found is not None
    assert found.total == model.num_parameters()
    model.save_pretrained(tmp_path)
    assert count_parameters(tmp_path) == stored_parameters(tmp_path) == model.num_parameters()


def test_a_reward_model_has_a_score_in_place_of_the_output() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(**TINY, num_labels=1, pad_token_id=0)
    model = transformers.LlamaForSequenceClassification(config)
    found = parameters(config.to_dict() | {"architectures": ["LlamaForSequenceClassification"]})
    assert found is not None and found.total == model.num_parameters()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"], "down_proj"])
def test_weights_of_lora_are_those_that_peft_trains(targets: str | list[str]) -> None:
    transformers, peft = pytest.importorskip("transformers"), pytest.importorskip("peft")
    config = transformers.LlamaConfig(**TINY)
    asked = peft.LoraConfig(
        r=3, target_modules=[targets] if targets == "down_proj" else targets, task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(transformers.LlamaForCausalLM(config), asked)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert lora_parameters(config.to_dict(), 3, targets) == trained


def test_other_architectures_are_counted_by_their_files(tmp_path: Path) -> None:
    assert parameters({"model_type": "gpt2"}) is None and lora_parameters({"model_type": "gpt2"}, 8, "c_attn") is None
    (tmp_path / "config.json").write_bytes(orjson.dumps({"model_type": "gpt2"}))
    with pytest.raises(RequestError, match="weights in other formats"):
        count_parameters(tmp_path)
    header = orjson.dumps(
        {
            "wte.weight": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]},
            "layers.0.self_attn.rotary_emb.inv_freq": {"dtype": "F32", "shape": [4], "data_offsets": [24, 40]},
        }
    )
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(40))
    assert count_parameters(tmp_path) == 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no config.json"),
        (b"[", "is no JSON"),
        (b"[]", "expected a JSON object"),
        (b'{"model_type": "llama"}', "cannot be read"),
    ],
)
def test_a_folder_that_is_no_model(content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(RequestError, match=said):
        count_parameters(tmp_path)
    with pytest.raises(RequestError, match="no such folder"):
        count_parameters(tmp_path / "nowhere")
