"""Block influence: a loop over tokens as the oracle, batches, padding, texts and mixtures, the choice of layers."""

import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from manifests.errors import RequestError
from manifests.schema_surgery import Calibration, Influence
from tests.training import tiny
from tests.training.small_mixtures import LENGTH, make_mixture
from tests.training.stacking import families
from training.measuring.open_model import OpenModel
from training.stacking.charts import influence_chart
from training.stacking.influence import Ids, block_influence, influence, ranked, rows_of
from training.token_dataset import TokenDataset
from training.trainers import load_model

ROWS: list[Ids] = [(5, 9, 3, 7, 11, 2, 2), (4,), (8, 8, 1), (30, 20, 10, 40, 41, 42, 43, 44, 45, 46, 47), (4, 6)]


def by_loop(model: Any, rows: list[Ids]) -> list[float]:
    """Token by token: hidden states between layers by `output_hidden_states`, the last one before its norm."""
    sums = torch.zeros(model.config.num_hidden_layers, dtype=torch.float64)
    n_tokens = 0
    last: list[torch.Tensor] = []
    handle = model.model.layers[-1].register_forward_hook(lambda _, __, out: last.append(out))
    for row in rows:
        if not row:
            continue
        with torch.no_grad():
            states = list(model(input_ids=torch.tensor([row]), output_hidden_states=True).hidden_states)
        states[-1] = last.pop()
        for token in range(len(row)):
            n_tokens += 1
            for layer in range(len(sums)):
                x, y = states[layer][0, token].double(), states[layer + 1][0, token].double()
                sums[layer] += float(x @ y) / (float(x @ x) ** 0.5 * float(y @ y) ** 0.5)
    handle.remove()
    return (1 - sums / n_tokens).tolist()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("families")
    return {family: families.save(folder / family, family) for family in ("llama", "qwen2", "gemma2", "gemma3")}


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma2", "gemma3"])
def test_it_is_what_a_loop_finds(models: dict[str, Any], family: str) -> None:
    found = block_influence(models[family], ROWS)
    assert found == pytest.approx(by_loop(models[family], ROWS), abs=1e-6)
    assert len(found) == families.N_LAYERS and len(set(found)) == families.N_LAYERS


@settings(max_examples=15, deadline=None)
@given(rows=st.permutations(ROWS), at_once=st.integers(1, 60))
def test_it_does_not_depend_on_batches(models: dict[str, Any], rows: list[Ids], at_once: int) -> None:
    assert block_influence(models["llama"], [*rows, ()], at_once) == pytest.approx(
        block_influence(models["llama"], ROWS), abs=1e-6
    )


def test_a_layer_that_does_nothing_has_none(models: dict[str, Any]) -> None:
    model = families.by_hand(models["llama"], [0, 1, 2, 3])
    for module in (model.model.layers[2].self_attn.o_proj, model.model.layers[2].mlp.down_proj):
        torch.nn.init.zeros_(module.weight)
        torch.nn.init.zeros_(module.bias)
    found = block_influence(model, ROWS)
    assert found[2] == pytest.approx(0, abs=1e-12) and ranked(found, "least")[0] == 2
    for name in ("weight", "bias"):  # and one that turns everything around has most
        getattr(model.model.layers[1].mlp.down_proj, name).data.mul_(1000)
    found = block_influence(model, ROWS)
    assert found[1] > 0.5 and ranked(found, "most")[0] == 1


def test_told_of_all_tokens(models: dict[str, Any]) -> None:
    told: list[int] = []
    block_influence(models["llama"], ROWS, 8, told.append)
    assert told[-1] == sum(map(len, ROWS)) and told == sorted(told) and len(told) > 2


def test_nothing_to_read_and_no_numbers(models: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"there are no tokens to read"):
        block_influence(models["llama"], [()])
    broken = families.by_hand(models["llama"], [0, 1])
    broken.model.layers[1].mlp.down_proj.weight.data[0, 0] = float("nan")
    with pytest.raises(RequestError, match=r"layer 1 puts out what is no number"):
        block_influence(broken, ROWS)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=9))
def test_ranks(values: list[float]) -> None:
    least, most = ranked(values, "least"), ranked(values, "most")
    assert sorted(least) == sorted(most) == list(range(len(values)))
    assert [values[layer] for layer in least] == sorted(values) == [values[layer] for layer in most][::-1]
    for order in (least, most):  # of equal ones the first comes first
        assert all(a < b for a, b in pairwise(order) if values[a] == values[b])


# Texts and mixtures


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [{"text": text} for text in (*tiny.KOREAN, "", *tiny.ENGLISH)]
    return tiny.write_jsonl(tmp_path_factory.mktemp("texts") / "texts.jsonl", rows)


def test_texts(tiny_model: Path, texts: Path) -> None:
    opened = OpenModel(str(tiny_model), precision="float32")
    asked = Influence(text=texts.name, samples=5, length=9)
    rows = rows_of(opened, asked, str(texts.parent), "influence")
    assert len(rows) == 5 and all(row[0] == 1 and len(row) <= 9 for row in rows)
    all_texts = rows_of(opened, Influence(text=texts.name), str(texts.parent), "influence")
    assert {row[:9] for row in all_texts} > set(rows) and len(all_texts) == 12
    by_hand = {(1, *opened.ids(text)) for text in (*tiny.KOREAN, *tiny.ENGLISH)}
    assert set(all_texts) == by_hand
    found = influence(tiny_model, asked, str(texts.parent))
    assert found == pytest.approx(by_loop(load_model(str(tiny_model)).eval(), rows), abs=1e-6)
    same = influence(tiny_model, Calibration(text=texts.name, samples=5, length=9), str(texts.parent))
    assert same == found


def test_a_mixture(tmp_path: Path, tiny_model: Path) -> None:
    make_mixture(tmp_path, tiny_model, n=60)
    opened = OpenModel(str(tiny_model), precision="float32")
    asked = Influence.model_validate({"mixture": {"path": "out"}, "samples": 3})
    rows = rows_of(opened, asked, str(tmp_path), "influence")
    dataset = TokenDataset(str(tmp_path / "out"))
    chosen = [dataset[place * len(dataset) // 3] for place in range(3)]
    assert [number for row in rows for number in row] == [
        int(number) for item in chosen for number in item["input_ids"][: item["n_tokens"]]
    ]
    assert sum(map(len, rows)) <= 3 * LENGTH and len(rows) >= 3
    assert all(value > 0 for value in influence(tiny_model, asked, str(tmp_path)))
    for changes in ({"tokens": 100}, {"balance_lengths": [10]}):
        with pytest.raises(ValidationError, match=r"`samples` says how much is read"):
            Influence.model_validate({"mixture": {"path": "out", **changes}})


def test_a_mixture_of_another_tokenizer(tmp_path: Path, tiny_model: Path) -> None:
    other = tiny.save_tokenizer(tmp_path / "other", special=(*tiny.SPECIAL[:2], "<|new|>"))
    make_mixture(tmp_path, other, n=20)
    asked = Influence.model_validate({"mixture": {"path": "out"}})
    with pytest.raises(RequestError, match=r"influence\.mixture: out: it was made with another tokenizer"):
        influence(tiny_model, asked, str(tmp_path))


def test_what_is_not_there(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(RequestError, match=r"^calibration\.text: .*none\.jsonl: there is no such file"):
        influence(tiny_model, Influence(text="none.jsonl"), str(tmp_path), at="calibration")
    with pytest.raises(RequestError, match=r"^influence\.mixture: "):
        influence(tiny_model, Influence.model_validate({"mixture": {"path": "none"}}), str(tmp_path))


def test_chart() -> None:
    drawn = influence_chart([0.5, 0.1, 0.2, 0.05], [1, 3], "layers there twice")
    bars = [of for of in ET.fromstring(drawn).iter() if of.tag.endswith("path") or of.tag.endswith("rect")]
    assert "layers there twice" in drawn and "style=" not in drawn and len(bars) >= 5
    assert influence_chart([0.0] * 40, [], "none")
