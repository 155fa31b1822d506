"""Configurations: what is refused, what is settled and told, and what stays silent."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from manifests.errors import RequestError
from tests.training.merging import merged
from training.merging.beside import write_beside
from training.merging.config import merged_config, positions_of
from training.merging.vocabulary import Vocabularies
from training.model_files import Checkpoint


def checkpoints(*configs: dict[str, Any], path: Path = Path("x")) -> list[Checkpoint]:
    return [Checkpoint("abc"[n], path / "abc"[n], merged.CONFIG | config, {}) for n, config in enumerate(configs)]


def settled(*configs: dict[str, Any], shares: tuple[float, ...] = (0.5, 0.5)) -> tuple[dict[str, Any], list[str]]:
    return merged_config(checkpoints(*configs), shares)


def test_what_does_not_matter_is_not_told() -> None:
    config, notes = settled(
        {"dtype": "float32"}, {"dtype": "bfloat16", "use_cache": False, "transformers_version": "4"}
    )
    assert notes == [] and config["dtype"] == "float32"


def test_what_only_training_asks_for_is_the_firsts() -> None:
    config, notes = settled(
        {"attention_dropout": 0.1, "rms_norm_eps": 1e-5}, {"attention_dropout": 0.0, "rms_norm_eps": 1e-6}
    )
    assert config["attention_dropout"] == 0.1
    assert notes == [
        "attention_dropout: 0.1 in a, 0.0 in b; the first is taken",
        "rms_norm_eps: 1e-05 in a, 1e-06 in b; the first is taken",
    ]


@pytest.mark.parametrize(
    "change", [{"num_attention_heads": 4}, {"hidden_act": "gelu"}, {"text_config": {"num_experts_per_tok": 2}}]
)
def test_what_changes_the_model_is_refused(change: dict[str, Any]) -> None:
    first = {"hidden_act": "silu", "text_config": {"num_experts_per_tok": 4}}
    with pytest.raises(RequestError, match=r"a and b are built differently: .* \(config.json\)"):
        settled(first, first | change)


def test_one_says_what_the_other_leaves_out() -> None:
    assert settled({"head_dim": 2}, {})[1] == []


def test_positions_in_both_spellings_are_the_same() -> None:
    old = {"rope_theta": 500000.0, "rope_scaling": {"type": "linear", "factor": 2.0}}
    new = {"rope_theta": None, "rope_parameters": {"rope_theta": 500000, "rope_type": "linear", "factor": 2}}
    assert positions_of(old) == positions_of({"rope_parameters": new["rope_parameters"]})
    new_config = {name: value for name, value in (merged.CONFIG | new).items() if name != "rope_theta"}
    both = [Checkpoint("a", Path("a"), merged.CONFIG | old, {}), Checkpoint("b", Path("b"), new_config, {})]
    assert merged_config(both, [0.5, 0.5])[1] == []


@pytest.mark.parametrize(
    ("shares", "theta", "length", "why"),
    [
        ((0.7, 0.3), 1e4, 128, "Those of a are taken: it counts most"),
        ((0.3, 0.7), 1e6, 4096, "Those of b are taken: it counts most"),
        ((0.5, 0.5), 1e6, 4096, "Those of b are taken: of those that count most it is the longest"),
    ],
)
def test_positions_are_those_of_the_model_that_counts_most(
    shares: tuple[float, ...], theta: float, length: int, why: str
) -> None:
    longer = {
        "rope_theta": 1e6,
        "max_position_embeddings": 4096,
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0},
    }
    config, notes = settled({}, longer, shares=shares)
    assert (config["rope_theta"], config["max_position_embeddings"]) == (theta, length)
    assert ("rope_scaling" in config) == (theta == 1e6)
    assert why in notes[0] and "rope_theta is 10000.0, 1000000.0" in notes[0] and "is 128, 4096" in notes[0]


def test_positions_of_a_part(tmp_path: Path) -> None:
    inner = {"rope_theta": 1e4, "sliding_window": 512}
    config, notes = settled(
        {"text_config": inner},
        {"text_config": inner | {"rope_theta": 1e6, "sliding_window": None}},
        shares=(0.2, 0.8),
    )
    assert config["text_config"] == {"rope_theta": 1e6, "sliding_window": None}
    assert len(notes) == 1


# what lies beside


def folder(path: Path, template: str | None, eos: str, eos_id: int, **settings: Any) -> Checkpoint:
    merged.model(path, merged.arrays_of(0), tokens=["p", "<end>", "<turn>"], eos_token_id=eos_id)
    (path / "tokenizer_config.json").write_bytes(orjson.dumps({"eos_token": {"content": eos}} | settings))
    (path / "special_tokens_map.json").write_bytes(orjson.dumps({"eos_token": eos}))
    (path / "generation_config.json").write_bytes(orjson.dumps({"eos_token_id": eos_id}))
    if template:
        (path / "chat_template.jinja").write_text(template)
    return Checkpoint(path.name, path, merged.config(path), {})


def beside(tmp_path: Path, *models: Checkpoint) -> tuple[Path, list[str]]:
    out = tmp_path / "out"
    out.mkdir()
    vocabularies = Vocabularies(0, None, 6, (), {"p": 0, "<end>": 1, "<turn>": 2})
    return out, write_beside(models, vocabularies, dict(models[0].config), out)


def test_chat_is_that_of_the_first_that_chats(tmp_path: Path) -> None:
    base, chat = folder(tmp_path / "a", None, "<end>", 1), folder(tmp_path / "b", "turns", "<turn>", 2)
    out, notes = beside(tmp_path, base, chat)
    assert (out / "chat_template.jinja").read_text() == "turns"
    assert merged.config(out)["eos_token_id"] == 2
    assert orjson.loads((out / "generation_config.json").read_bytes()) == {"eos_token_id": 2}
    assert orjson.loads((out / "tokenizer_config.json").read_bytes())["eos_token"] == {"content": "<turn>"}
    assert orjson.loads((out / "special_tokens_map.json").read_bytes()) == {"eos_token": {"content": "<turn>"}}
    assert notes == ["the chat template is that of b, and with it eos_token '<turn>'"]


def test_of_two_templates_the_firsts_is_kept(tmp_path: Path) -> None:
    models = [folder(tmp_path / "a", "turns", "<turn>", 2), folder(tmp_path / "b", "others", "<end>", 1)]
    out, notes = beside(tmp_path, *models)
    assert (out / "chat_template.jinja").read_text() == "turns"
    assert merged.config(out)["eos_token_id"] == 2
    assert (out / "tokenizer_config.json").read_bytes() == (tmp_path / "a/tokenizer_config.json").read_bytes()
    assert notes == ["b has another chat template; that of a is taken"]


def test_weights_and_reports_of_parents_are_not_copied(tmp_path: Path) -> None:
    model = folder(tmp_path / "a", None, "<end>", 1)
    for name in (
        "merge.json",
        "prune.json",
        "upscale.json",
        "model.safetensors.index.json",
        "trainer_state.json",
        "README.md",
        "modeling_x.py",
    ):
        (tmp_path / "a" / name).touch()
    out, _ = beside(tmp_path, model)
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json",
        "generation_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert np.array_equal(merged.config(out)["eos_token_id"], 1)
