"""What can be pruned in one cut, by configurations alone."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RequestError
from manifests.schema_surgery import Prune
from manifests.schema_training import TrainingManifest
from tests.training.pruning import decoders
from training.pruning.limits import beside_embeddings, check_sizes, pruned_config

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}
"""Of Llama 3 8B, whose configuration does not say how wide heads are."""


def cut(config: dict[str, Any], sizes: dict[str, int]) -> float:
    return 1 - beside_embeddings(pruned_config(config, sizes)) / beside_embeddings(config)


@pytest.mark.parametrize(
    ("hidden", "inner", "heads", "billions"),
    [
        (1280, 5120, 24, 0.96), (1280, 5760, 16, 0.96), (1280, 5760, 24, 1.04), (1536, 4608, 16, 0.98),
        (1536, 4608, 24, 1.08), (1536, 5376, 8, 0.99), (1536, 5376, 16, 1.09), (1536, 6144, 8, 1.11),
    ],
)  # fmt: skip
def test_weights_of_kananas_table_16(hidden: int, inner: int, heads: int, billions: float) -> None:
    sizes = {"hidden_size": hidden, "intermediate_size": inner, "num_attention_heads": heads}
    assert beside_embeddings(pruned_config(CONFIG, sizes)) / 1e9 == pytest.approx(billions, abs=0.0051)


@pytest.mark.parametrize("kind", decoders.KINDS)
def test_weights_are_counted_as_transformers_counts_them(kind: str) -> None:
    model = decoders.new(kind)
    config = model.config.to_dict()
    embeddings = decoders.VOCABULARY * decoders.HIDDEN * (1 if config["tie_word_embeddings"] else 2)
    norms = sum(of.numel() for name, of in model.named_parameters() if "norm" in name) if "gemma" in kind else 0
    assert beside_embeddings(config) == model.num_parameters() - embeddings - norms


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 64).map(lambda n: 64 * n),
    st.integers(1, 112).map(lambda n: 128 * n),
    st.sampled_from([8, 16, 24, 32]),
    st.integers(1, 32),
)
def test_a_cut_is_small_enough_or_sizes_are_named_that_are(hidden: int, inner: int, heads: int, layers: int) -> None:
    names = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers")
    sizes = dict(zip(names, (hidden, inner, heads, layers), strict=True))
    try:
        check_sizes(CONFIG, sizes, 0.5, "to")
    except RequestError as refused:
        assert cut(CONFIG, sizes) > 0.5
        named = str(refused).rsplit(": ", 1)[1]
        would_do = {name: int(size) for name, size in (pair.split(" ") for pair in named.split(", "))}
        check_sizes(CONFIG, would_do, 0.5, "to")
        assert cut(CONFIG, would_do) > 0.35  # far enough to be of use
        assert all(sizes[name] <= would_do[name] <= CONFIG[name] for name in names)
    else:
        assert cut(CONFIG, sizes) <= 0.5


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 16).map(lambda n: 16 * n), st.integers(1, 32).map(lambda n: 64 * n), st.integers(1, 8))
def test_sizes_that_are_named_are_opened(hidden: int, inner: int, heads: int) -> None:
    """Where transformers opens no width that is no multiple of the heads."""
    config = CONFIG | {"model_type": "gemma3_text", "hidden_size": 640, "intermediate_size": 2048, "head_dim": 256}
    config |= {"num_attention_heads": 8, "num_key_value_heads": 1}
    asked = {
        "hidden_size": hidden * 4 // heads * heads or heads,
        "intermediate_size": inner,
        "num_attention_heads": heads,
    }
    asked["hidden_size"] = min(asked["hidden_size"], 640 // heads * heads)
    try:
        check_sizes(config, asked, 0.5, "to")
    except RequestError as refused:
        named = str(refused).rsplit(": ", 1)[1]
        would_do = {name: int(size) for name, size in (pair.split(" ") for pair in named.split(", "))}
        check_sizes(config, would_do, 0.5, "to")


def test_heads_of_gemma_are_256_wide_where_nothing_is_said() -> None:
    config = CONFIG | {"model_type": "gemma", "hidden_size": 2048, "num_attention_heads": 4, "num_key_value_heads": 1}
    assert pruned_config(config, {})["head_dim"] == 256


def test_a_configuration_without_a_size_is_refused() -> None:
    config = {name: value for name, value in CONFIG.items() if name != "intermediate_size"}
    with pytest.raises(RequestError, match=r"to: config.json: `intermediate_size` is None; expected a number"):
        check_sizes(config, {"intermediate_size": 64}, 0.5, "to")


def test_other_families_are_refused() -> None:
    with pytest.raises(RequestError, match=r"to: config.json: `model_type` is 'gpt2'; can be pruned: llama"):
        check_sizes({"model_type": "gpt2"}, {"hidden_size": 2}, 0.5, "to")


def test_the_guides_manifest_is_one_for_an_8b() -> None:
    guide = (Path(__file__).parents[3] / "docs/pruning.md").read_text("utf-8")
    (written,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    manifest = TrainingManifest.model_validate(yaml.safe_load(written))
    config = CONFIG
    cuts = []
    for stage in manifest.stages:
        if isinstance(stage, Prune) and stage.to is not None:
            check_sizes(config, stage.to.given(), stage.cut_max, "to")
            cuts.append(cut(config, stage.to.given()))
            config = pruned_config(config, stage.to.given())
    assert len(cuts) == 2
    assert all(0.3 < share <= 0.5 for share in cuts)
