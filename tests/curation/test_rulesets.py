from pathlib import Path

import pyarrow as pa
import pytest

from curation.predicates import dotted_columns
from curation.rules import expand, load_rules
from curation.rulesets import load_ruleset, shipped_names
from curation.signals import SIGNAL_TYPE
from manifests.contracts import measured_schema
from manifests.errors import RequestError
from manifests.schema import RulesetUse
from manifests.schema_readers import STANDARD_FACTS

VALID = """
name: house
version: 1
segmentation: null
source: a test
rules:
  - {name: licence, keep: "license is not null", doc: No licence.}
"""


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_rulesets_fit_the_measured_columns(name: str) -> None:
    facts = sorted({fact for names in STANDARD_FACTS.values() for fact in names})
    columns = dotted_columns(measured_schema(facts, pa.struct(SIGNAL_TYPE), store_text=True))
    rules = load_rules([RulesetUse(ruleset=name)], "", columns)
    assert [rule.group for rule in rules] == [name] * len(rules)
    measures = [rule.keep for rule in rules if any(column.startswith("signals.") for column in rule.keep.columns)]
    assert all(keep.parts[0].threshold is not None for keep in measures), "a rule without a threshold to chart"
    assert measures


def test_paths_start_at_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "house.yaml").write_text(VALID)
    expected = load_ruleset(str(tmp_path / "house.yaml"), "/elsewhere")
    assert load_ruleset("house.yaml", str(tmp_path)) == expected
    assert load_ruleset(f"file://{tmp_path}/house.yaml", "/elsewhere") == expected
    assert [rule.name for rule in expand([RulesetUse(ruleset="house.yaml")], str(tmp_path))] == ["house.licence"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: house", "name: a house", "name: String should match"),
        ("version: 1\n", "", "version: Field required"),
        ("doc: No licence.", "docs: No licence.", r"rules.0.doc: Field required; rules.0.docs: Extra inputs"),
        ("license is not null", "signals.word_count > 3", "must say which segmentation"),
        ("rules:", "rules: [", "not YAML.*line"),
        ("rules:", "rules:\n  - {name: licence, keep: x, doc: x}", "names used twice: licence"),
        ("name: house", "name: !!python/object/apply:os.getcwd []", "not YAML"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "house.yaml").write_text(VALID.replace(old, new))
    with pytest.raises(RequestError, match=rf"(?s)house.yaml: .*{message}"):
        load_ruleset("house.yaml", str(tmp_path))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(RequestError, match=r"ruleset fineweb2-kr: did you mean fineweb2-ko\? shipped are .*gopher"):
        load_ruleset("fineweb2-kr", "")
    with pytest.raises(RequestError, match=r"none.yaml: cannot be read"):
        load_ruleset("none.yaml", "/nowhere")
