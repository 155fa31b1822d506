"""What is said of a manifest of synthetic data that is wrong: a task and a gate are told apart by one key."""

from pathlib import Path

import pytest

from manifests.errors import RequestError
from manifests.load import load_kind
from manifests.schema_synthesis import SynthesisManifest

HEAD = """\
kind: synthesis
name: made
output: out
seeds: [{path: seeds.jsonl}]
teacher: {model: m, url: 'http://127.0.0.1:8000/v1'}
"""
TASK = "task: {kind: reasoning}\n"
TASKS = (
    "annotations, backtranslation, function_calling, grounded_qa, magpie, multi_turn, preferences, reasoning, "
    "rewrite, self_instruct, translate"
)
GATES = "decontaminate, diversity, language, length, near, refusal, repetition, score"

WRONG = {
    # the key that tells forms apart
    "": f"1: task: missing; expected a mapping with `kind`, one of {TASKS}: What is made.",
    "task: reasoning": f"6: task: found `reasoning`; expected a mapping with `kind`, one of {TASKS}",
    "task: {samples: 2}": f"6: task.kind: missing; valid: {TASKS}",
    "task: {kind: reasonning}": f"6: task.kind: found `reasonning`; did you mean `reasoning`? valid: {TASKS}",
    "task: {kind: [a]}": f"6: task.kind: found a list; valid: {TASKS}",
    TASK + "gates: [near, refusals]": f"7: gates[1]: found `refusals`; did you mean `refusal`? valid: {GATES}",
    TASK + "gates: [{gate: nere}]": f"7: gates[0].gate: found `nere`; did you mean `near`? valid: {GATES}",
    TASK + "gates: [{jaccard: 1}]": f"7: gates[0].gate: missing; valid: {GATES}",
    TASK + "gates: [5]": f"7: gates[0]: found `5`; expected text, or a mapping with `gate`, one of {GATES}; "
    "put it in quotes",
    TASK + "gates: near": "7: gates: found `near`; expected a list",
    # within the form that was meant
    "task: {kind: reasoning, sampels: 2}": "6: task.sampels: unknown key; did you mean `samples`? valid: answer, "
    "attempts, code_timeout_s, evolve, keep, kind, language, majority, pass_frac, prompts, samples, think",
    "task:\n  kind: translate\n  max_share: x": "8: task.max_share: found `x`; expected a share from 0 to 1, or "
    "from 0% to 100%",
    "task: {kind: reasoning, keep: 9}": "6: task: keep is 9; it must be at most samples, 4",
    "task: {kind: function_calling, turns: {cal: 1}}": "6: task.turns.cal: unknown key; did you mean `call`? valid: "
    "call, completion, relevance, slot",
    TASK + "gates: [{gate: near, jacard: 0.7}]": "7: gates[0].jacard: unknown key; did you mean `jaccard`? valid: "
    "gate, jaccard, of, seeds",
    TASK + "gates:\n- {gate: score, min: high, by: judge}": "8: gates[0].min: found `high`; expected a number",
    TASK + "gates: [{gate: score, by: judge}]": "7: gates[0].min: missing; expected a number: Least score that is "
    "kept.",
    # what the whole manifest says of one of them
    "task: {kind: preferences, by: reward}": "6: task.by: found `reward`, and the manifest names no `reward` model",
    TASK + "gates: [{gate: score, by: reward, min: 1}]": "7: gates[0].by: found `reward`, and the manifest names no "
    "`reward` model",
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items(), ids=range(len(WRONG)))
def test_wrong_manifest(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(HEAD + text)
    with pytest.raises(RequestError) as caught:
        load_kind(SynthesisManifest, str(path))
    assert str(caught.value) == f"{path}:{expected}"


def test_a_score_gate_alone_says_all_that_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(HEAD + TASK + "gates: [score]")
    with pytest.raises(RequestError) as caught:
        load_kind(SynthesisManifest, str(path))
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{path}:7: gates[0].by: missing; expected one of classifier, judge, reward")
    assert second.startswith(f"{path}:7: gates[0].min: missing; expected a number")


def test_further_fields_of_a_request_may_be_lists_and_what_is_none_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(HEAD + TASK)
    found = load_kind(SynthesisManifest, str(path), ["teacher.sampling.extra.stop=['###']"])
    assert found.teacher.sampling.extra == {"stop": ["###"]}
    with pytest.raises(RequestError) as caught:
        load_kind(SynthesisManifest, str(path), ["teacher.sampling.extra.stop=[[1]]"])
    assert str(caught.value).startswith(
        "--set teacher.sampling.extra.stop=[[1]]: teacher.sampling.extra.stop: found a list; expected true"
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("seeds.3.limit=2", "nothing is called `3` there; valid: 0"),
        ("gates.near.of=answer", "nothing is called `near` there; valid: length"),
        ("seeds.0.limt=2", "seeds[0].limt: unknown key; did you mean `limit`?"),
    ],
)
def test_a_change_that_leads_nowhere(tmp_path: Path, change: str, expected: str) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(HEAD + TASK + "gates: [{gate: length}]")
    with pytest.raises(RequestError) as caught:
        load_kind(SynthesisManifest, str(path), [change])
    assert str(caught.value).startswith(f"--set {change}: {expected}")


def test_two_roles_with_one_file_of_answers(tmp_path: Path) -> None:
    """However it is written: they would wait for each other."""
    path = tmp_path / "made.yaml"
    teacher = HEAD.replace("{model: m,", "{model: m, answers: a.sqlite,")
    path.write_text(teacher + TASK + "judge: {model: j, url: 'http://127.0.0.1:1/v1', answers: ./of/../a.sqlite}")
    with pytest.raises(RequestError, match="each needs a file of its own"):
        load_kind(SynthesisManifest, str(path))
