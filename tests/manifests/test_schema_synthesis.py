"""What is wrong in manifests of synthetic data is named, with what would be valid."""

import pytest

from manifests.errors import RequestError
from manifests.load import load_kind
from manifests.schema_synthesis import SynthesisManifest

WHOLE = """\
kind: synthesis
name: t
seeds: [{path: a.jsonl}]
teacher: {model: m, url: "http://127.0.0.1:1/v1"}
output: out
task:
  kind: reasoning
  samples: 2
gates:
  - language
  - {gate: near, jaccard: 0.9}
"""

WRONG = {
    (
        "samples: 2",
        "sampels: 2",
    ): "m.yaml:8: task.sampels: unknown key; did you mean `samples`? valid: answer, attempts",
    (
        "samples: 2",
        "samples: 0",
    ): "m.yaml:8: task.samples: found `0`; expected a whole number, at least 1, at most 1024",
    (
        "kind: reasoning",
        "kind: reasonning",
    ): "m.yaml:7: task.kind: found `reasonning`; did you mean `reasoning`? valid:",
    ("  kind: reasoning\n", ""): "m.yaml:6: task.kind: missing; valid: annotations, backtranslation,",
    (
        "- language",
        "- langage",
    ): "m.yaml:10: gates[0].gate: found `langage`; did you mean `language`? valid: decontam",
    ("gate: near, jac", "gate: naer, jac"): "m.yaml:11: gates[1].gate: found `naer`; did you mean `near`? valid:",
    (
        "jaccard: 0.9",
        "jacard: 0.9",
    ): "m.yaml:11: gates[1].jacard: unknown key; did you mean `jaccard`? valid: gate, ja",
    (
        "jaccard: 0.9",
        "jaccard: 9",
    ): "m.yaml:11: gates[1].jaccard: found `9`; expected a number, at least 0.3, at most 1",
    ("- language", "- score"): "m.yaml:10: gates[0].by: missing; expected one of classifier, judge, reward",
}


@pytest.mark.parametrize(("change", "expected"), WRONG.items())
def test_what_is_wrong_is_named(
    change: tuple[str, str], expected: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert change[0] in WHOLE
    path = tmp_path_factory.mktemp("wrong") / "m.yaml"
    path.write_text(WHOLE.replace(*change))
    with pytest.raises(RequestError) as error:
        load_kind(SynthesisManifest, str(path))
    assert expected in str(error.value)


def test_the_whole_one_is_right(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("right") / "m.yaml"
    path.write_text(WHOLE)
    assert [gate.gate for gate in load_kind(SynthesisManifest, str(path)).gates] == ["language", "near"]
