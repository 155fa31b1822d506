"""Values over layers and modules: gradients as mergekit has them, the first pattern counts, typos are refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from manifests.errors import RequestError
from manifests.schema_merge import MergeRule, Where
from training.merging.values import interpolated, places, values_of

NAMES = [
    "model.embed_tokens.weight",
    *(f"model.layers.{n}.{m}.weight" for n in range(3) for m in ("self_attn.q_proj", "mlp.up_proj")),
    "model.norm.weight",
    "lm_head.weight",
]


def of(t: object) -> list[Where]:
    return MergeRule(models=["a", "b"], t=t).t  # type: ignore[arg-type, list-item]


def values(t: object, names: list[str] = NAMES) -> dict[str, float]:
    return values_of(of(t), list(places(names).values()), "t")


def test_places() -> None:
    found = places([*NAMES, "vision.blocks.1.attn.weight", "transformer.h.0.ln_1.bias"])
    assert (
        found["model.layers.2.mlp.up_proj.weight"].layer,
        found["model.layers.2.mlp.up_proj.weight"].n_layers,
    ) == (2, 3)
    assert found["model.layers.2.mlp.up_proj.weight"].module == "mlp.up_proj"
    assert (found["vision.blocks.1.attn.weight"].layer, found["vision.blocks.1.attn.weight"].n_layers) == (1, 2)
    assert found["transformer.h.0.ln_1.bias"].depth == 1.0  # one layer alone is the last
    assert found["lm_head.weight"].layer is None and found["lm_head.weight"].depth == 0


def test_gradient() -> None:
    found = values([0, 0.4, 1])
    assert [found[f"model.layers.{n}.mlp.up_proj.weight"] for n in range(3)] == [0, 0.4, 1]
    assert found["model.embed_tokens.weight"] == found["lm_head.weight"] == found["model.norm.weight"] == 0
    assert set(values(0.3).values()) == {0.3}


def test_first_match_counts() -> None:
    found = values([{"match": "layers.0.*q_proj", "value": 0.1}, {"match": "layers.0", "value": 0.2}, {"value": 0.9}])
    assert found["model.layers.0.self_attn.q_proj.weight"] == 0.1
    assert found["model.layers.0.mlp.up_proj.weight"] == 0.2
    assert found["model.layers.1.self_attn.q_proj.weight"] == found["lm_head.weight"] == 0.9
    many = [f"model.layers.{n}.mlp.weight" for n in range(12)]
    found = values([{"match": "layers.1.*", "value": 1}, {"value": 0}], many)
    assert [name for name, value in found.items() if value] == ["model.layers.1.mlp.weight"]


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(RequestError, match=r"t\[0\].match: `self_atn` is in no tensor's name; .* self_attn.q_proj"):
        values([{"match": "self_atn", "value": 0}, {"value": 1}])
    with pytest.raises(RequestError, match=r"t: no value for model.embed_tokens.weight; add one without `match`"):
        values([{"match": "layers", "value": 0}])
    for wrong, said in (([], "empty"), (1.5, "from 0 to 1"), (float("nan"), "finite"), ([0, 2], "from 0 to 1")):
        with pytest.raises(ValidationError, match=said):
            of(wrong) if wrong else of([{"value": []}])
    for item, said in (({"model": "b", "density": 2}, "from 0 to 1"), ("a", "there twice"), ("c", "is the base")):
        with pytest.raises(ValidationError, match=said):
            MergeRule(method="ties", models=["a", item], base="c")  # type: ignore[list-item]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.floats(0, 1))
def test_interpolation_stays_between_anchors(anchors: list[float], depth: float) -> None:
    value = interpolated(anchors, depth)
    assert min(anchors) - 1e-9 <= value <= max(anchors) + 1e-9
    assert interpolated(anchors, 0) == anchors[0]
    assert interpolated(anchors, 1) == pytest.approx(anchors[-1])


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.integers(2, 40), st.data())
def test_gradients_are_mergekits(anchors: list[float], n_layers: int, data: st.DataObject) -> None:
    theirs = pytest.importorskip("mergekit.config")
    layer = data.draw(st.integers(0, n_layers - 1))
    depth = layer / (n_layers - 1)
    assert interpolated(anchors, depth) == pytest.approx(theirs.evaluate_setting("x", anchors, depth, validate=float))
