"""Plain values that are put into the tree of a manifest, as experiments do; `--set` is tested with the loader."""

from typing import Any

import pytest

from manifests.errors import RequestError
from manifests.load import checked
from manifests.overrides import put
from manifests.yaml_tree import Where, parse_tree, planted

TEXT = "stages: [{name: sft, rule: {t: 0.5}}, {name: dpo.late}]\nbase: x"


def changed(path: str, value: Any) -> tuple[Any, list[str]]:
    root, _ = parse_tree(TEXT, "m.yaml")
    assert root is not None
    return root, [str(mistake) for mistake in put(root, path, value, "arms.a.set")]


@pytest.mark.parametrize(
    ("path", "value", "there"),
    [
        ("stages.sft.rule.t", 0.3, lambda plain: plain["stages"][0]["rule"]["t"] == 0.3),
        ("stages[0].rule", {"t": [0, 1]}, lambda plain: plain["stages"][0]["rule"] == {"t": [0, 1]}),
        ("stages.dpo.late.beta", 0.1, lambda plain: plain["stages"][1]["beta"] == 0.1),
        ("new.of.it", None, lambda plain: plain["new"] == {"of": {"it": None}}),
        ("base", "1e-4", lambda plain: plain["base"] == "1e-4"),
    ],
)
def test_values_are_put_where_their_path_leads(path: str, value: Any, there: Any) -> None:
    root, mistakes = changed(path, value)
    assert mistakes == [] and there(root.plain())


def test_a_path_that_leads_nowhere_is_told() -> None:
    assert changed("stages.cpt.steps", 1)[1] == ["arms.a.set: nothing is called `cpt` there; valid: sft, dpo.late"]
    assert (
        changed("", 1)[1]
        == changed("..", 1)[1]
        == ["arms.a.set: names no field; expected one, as limits.shard_bytes"]
    )
    assert changed("base.x", 1)[1] == ["arms.a.set: nothing is called `x` there; it is a single value"]


def test_mistakes_of_a_value_name_where_it_was_put() -> None:
    settings = {"kind": "mixture", "name": "m", "tokenizer": "t", "output": "o", "sequence_length": 64}
    root = planted(settings | {"sources": [{"name": "a", "path": "a", "category": "a"}]}, Where(0, "e.yaml"))
    checked(root)
    mistakes = put(root, "seed", "one", "e.yaml: arms.a.set.seed")
    with pytest.raises(RequestError, match=r"^e.yaml: arms.a.set.seed: seed: found `one`; expected a whole number"):
        checked(root, mistakes)


def test_planted_values_are_those_that_were_given() -> None:
    value = {"a": [1, 2.5, True, None, "x"], "b": {}}
    assert planted(value, Where(0, "")).plain() == value
    assert planted(True, Where(0, "")).written == "true"
