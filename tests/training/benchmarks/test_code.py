"""Benchmarks of code: right programs pass, all others fail for a reason, and lm-eval's prompts are asked."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RequestError
from synth.sandboxes.sandbox import choose_sandbox
from synth.sandboxes.sandbox_limits import Limits
from tests.training.benchmarks.code_rows import HUMANEVAL, HUMANEVAL_PLUS, MBPP, MBPP_PLUS
from training.benchmarks import code
from training.benchmarks.code import TASKS, humaneval_program, humaneval_tests, marker, mbpp_program
from training.benchmarks.task import Marked

ROWS: dict[str, list[dict[str, Any]]] = {
    "humaneval": HUMANEVAL,
    "humaneval-instruct": HUMANEVAL,
    "humaneval-plus": HUMANEVAL_PLUS,
    "humaneval-plus-instruct": HUMANEVAL_PLUS,
    "mbpp": MBPP,
    "mbpp-plus": MBPP_PLUS,
}
TIGHT = Limits(time_s=2, memory_bytes=256 << 20)


@pytest.fixture(autouse=True)
def sandbox() -> None:
    try:
        choose_sandbox()
    except RequestError as error:
        pytest.skip(str(error))


def marked(name: str, rows: list[dict[str, Any]], answers: list[str]) -> list[Marked]:
    mark = TASKS[name].mark
    assert mark is not None
    return mark(rows, answers)


def passed(found: list[Marked]) -> list[float]:
    return [one.scores["pass@1"] for one in found]


def solution(row: dict[str, Any]) -> str:
    return str(row.get("canonical_solution", row.get("code")))


@pytest.mark.parametrize("name", TASKS)
def test_published_solutions_pass_and_broken_ones_do_not(name: str) -> None:
    rows = ROWS[name]
    assert set(TASKS[name].columns) <= set(rows[0])
    right = marked(name, rows, [solution(row) for row in rows])
    assert passed(right) == [1.0] * len(rows), right
    assert {one.note for one in right} == {""}
    broken = [solution(row).replace("return ", "return None and ") for row in rows]
    wrong = marked(name, rows, broken)
    assert passed(wrong) == [0.0] * len(rows)
    assert all(one.note.startswith("failed: ") for one in wrong), wrong


HOSTILE = {
    "loops": ("    while True: pass\n", "timeout"),
    "sleeps": ("    import time; time.sleep(60)\n", "timeout"),
    "takes memory": ("    return [0] * (1 << 40)\n", "memory"),
    "takes memory by and by": ("    x = []\n    while True: x.append('a' * 1_000_000 + str(len(x)))\n", "memory"),
    "is no Python": ("    return (\n", "failed: "),
    "is indented wrongly": ("return 1\n", "failed: "),
    "has a null byte": ("    return '\0'\n", "failed: "),
    "exits": ("    import sys; sys.exit(0)\n", "failed: "),
    "exits at once": ("    return 1\nimport os; os._exit(0)\n", "failed: "),
    "floods": ("    while True: print('x' * 100_000)\n", "output"),
    "writes elsewhere": ("    open('/tmp/onggi-was-here', 'w').write('x')\n", "failed: PermissionError"),
    "opens a socket": ("    import socket; socket.socket()\n", "failed: PermissionError"),
    "starts a process": ("    import os; os.system('true'); os.fork()\n", "failed: "),
    "crashes": ("    import ctypes; ctypes.string_at(0)\n", "failed: Gone: the program ended"),
    "recurses": ("    return above(numbers, limit)\n", "failed: RecursionError"),
    "equals all": ("    class E:\n        def __eq__(s, o): return True\n    return E()\n", "failed: "),
    "is of half a character": ("    return '\ud800'\n", "failed: "),
}


def test_hostile_programs_fail_and_say_why() -> None:
    start = time.monotonic()
    mark = marker(humaneval_program, humaneval_tests, TIGHT)
    found = mark([HUMANEVAL[0]] * len(HOSTILE), [answer for answer, _ in HOSTILE.values()])
    assert passed(found) == [0.0] * len(HOSTILE)
    said = dict(zip(HOSTILE, (one.note for one in found), strict=True))
    assert {name: note for name, note in said.items() if not note.startswith(HOSTILE[name][1])} == {}
    assert not Path("/tmp/onggi-was-here").exists()
    assert time.monotonic() - start < 60


ORACLE = [
    "    return [x for x in numbers if x > limit]\n",
    "    return list(filter(lambda x: x > limit, numbers))\n",
    "    found = []\n    for x in numbers:\n        if x > limit:\n            found.append(x)\n    return found\n",
    "    return [x for x in numbers if x >= limit]\n",
    "    return [x for x in numbers if x < limit]\n",
    "    return tuple(x for x in numbers if x > limit)\n",
    "    return (x for x in numbers if x > limit)\n",
    "    return sorted(x for x in numbers if x > limit)\n",
    "    return numbers\n",
    "    return 1 / 0\n",
    "    return [x for x in numbers if x > limit\n",
    "    pass\n",
    "    numbers[:] = [x for x in numbers if x > limit]\n    return numbers\n",
    "    raise SystemExit(1)\n",
    "    return undefined\n",
    "    from itertools import compress\n    return list(compress(numbers, [x > limit for x in numbers]))\n",
]


def test_verdicts_are_those_of_a_plain_process(tmp_path: Path) -> None:
    row = HUMANEVAL[0]
    plain = []
    for place, answer in enumerate(ORACLE):
        file = tmp_path / f"{place}.py"
        file.write_text(f"{row['prompt']}{answer}\n{row['test']}\ncheck({row['entry_point']})\n", "utf-8")
        ran = subprocess.run([sys.executable, "-I", file], capture_output=True, timeout=20, check=False)
        plain.append(float(ran.returncode == 0))
    assert passed(marked("humaneval", [row] * len(ORACLE), ORACLE)) == plain
    assert 0 < sum(plain) < len(plain)


BODY = "    return [x for x in numbers if x > limit]\n"
WHOLE = f"def above(numbers: List[float], limit: float) -> List[float]:\n{BODY}"


@pytest.mark.parametrize(
    "answer",
    [
        BODY,
        f"{BODY}```\n\nIt compares each number.",
        f"{BODY}\ndef main():\n    raise SystemExit\nmain()",
        f"{BODY}\nprint(above([1.0], 'x'))\n",
        f"Here you are:\n```python\n{WHOLE}```\nIt compares each number.",
        f"```python\n{WHOLE}```\nUse it so:\n```python\nabove([1.0], 0.5)\n```",
        f"<think>\n```python\ndef above(numbers, limit):\n    return []\n```\n</think>\n```python\n{WHOLE}```",
        f"```\n{WHOLE}",
        WHOLE,
        f"<think>hm</think>{BODY}",
    ],
)
def test_answers_in_chat_are_read(answer: str) -> None:
    found = marked("humaneval-instruct", [HUMANEVAL[0]], [answer])
    assert passed(found) == [1.0], (found, answer)


def test_a_helper_of_the_prompt_is_there_for_a_whole_function() -> None:
    answer = "```python\ndef root(xs):\n    assert poly(xs, 0) == xs[0]\n    return -xs[0] / xs[1]\n```"
    assert passed(marked("humaneval-instruct", [HUMANEVAL[1]], [answer])) == [1.0]


@pytest.mark.parametrize("name", TASKS)
def test_answers_without_code_score_nothing(name: str) -> None:
    row = ROWS[name][0]
    for found in marked(name, [row] * 3, ["", "I cannot help with that.", "모르겠습니다."]):
        assert found.scores == {"pass@1": 0.0}
        assert found.note


def test_an_empty_answer_of_mbpp_is_no_program() -> None:
    (found,) = marked("mbpp", [MBPP[0]], ["```\nnothing of use\n```"])
    assert found == Marked({"pass@1": 0.0}, note="there is no code in the answer")


def test_fences_of_mbpp_are_read() -> None:
    fenced = f"Sure.\n```python\n{MBPP[0]['code']}\n```\nDone."
    assert mbpp_program(MBPP[0], fenced).strip().startswith("def sum")
    assert passed(marked("mbpp", [MBPP[0]], [fenced])) == [1.0]


def test_nothing_is_run_for_no_answers() -> None:
    assert all(marked(name, [], []) == [] for name in TASKS)


def test_where_there_is_no_sandbox_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.sandboxes.sandbox.why_not", lambda kind, folder=None: "it is not here")
    with pytest.raises(RequestError, match=r"code cannot be run safely here.*Install bubblewrap"):
        marked("humaneval", HUMANEVAL[:1], [BODY])


def test_tests_that_are_no_python_are_named() -> None:
    with pytest.raises(RequestError, match=r"'Hand/0'.*no Python"):
        marked("humaneval", [{**HUMANEVAL[0], "test": "def check(:"}], [BODY])


def test_programs_run_beside_each_other() -> None:
    n, calls = 4, 3
    start = time.monotonic()
    found = marked("humaneval", [HUMANEVAL[0]] * n, [f"    import time; time.sleep(0.3)\n{BODY}"] * n)
    assert passed(found) == [1.0] * n
    if code.n_cores() > 1:
        assert time.monotonic() - start < 0.3 * calls * n


@pytest.mark.parametrize(
    ("name", "folder", "file"),
    [
        ("humaneval", "humaneval", "humaneval.yaml"),
        ("humaneval-instruct", "humaneval", "humaneval_instruct.yaml"),
        ("humaneval-plus", "humaneval", "humaneval.yaml"),
        ("humaneval-plus-instruct", "humaneval", "humaneval_instruct.yaml"),
        ("mbpp", "mbpp", "mbpp.yaml"),
        ("mbpp-plus", "mbpp", "mbpp_plus.yaml"),
    ],
)
def test_prompts_and_stops_are_those_of_lm_eval(name: str, folder: str, file: str) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.utils import apply_template

    here = Path(lm_eval.__file__).parent / "tasks" / folder
    text = (here / file).read_text("utf-8").replace("!function", "")
    declared = {**yaml.safe_load((here / f"{folder}.yaml").read_text("utf-8").replace("!function", ""))}
    declared |= yaml.safe_load(text)
    task = TASKS[name]
    for row in (*ROWS[name], *task.examples):
        assert task.ask(row) == apply_template(declared["doc_to_text"], dict(row))
        if task.begin is not None:
            assert task.begin(row) == apply_template(declared["gen_prefix"], dict(row))
    for row in task.examples:
        target = apply_template(declared["doc_to_target"], {**row, "is_fewshot": True})
        assert task.right(row) == target
    assert task.shots == declared["num_fewshot"]
    if not task.is_instruct:  # reading cuts there, so that a whole function is read as well
        assert list(task.stop) == declared["generation_kwargs"]["until"]
    if name.startswith("mbpp"):
        assert task.delimiter == declared["target_delimiter"]


def test_the_examples_are_those_of_lm_eval() -> None:
    lm_eval = pytest.importorskip("lm_eval")
    import ast

    source = (Path(lm_eval.__file__).parent / "tasks" / "mbpp" / "utils.py").read_text("utf-8")
    (function,) = [
        part for part in ast.parse(source).body if isinstance(part, ast.FunctionDef) and "fewshot" in part.name
    ]
    (given_back,) = function.body
    assert isinstance(given_back, ast.Return) and given_back.value is not None
    theirs = ast.literal_eval(given_back.value)
    ours = [{**row, "is_fewshot": True} for row in TASKS["mbpp"].examples]
    assert ours == theirs


@given(st.text(st.characters(codec=None), max_size=200))
@settings(max_examples=200)
def test_any_text_makes_some_program(answer: str) -> None:
    assert isinstance(humaneval_program(HUMANEVAL[0], answer), str)
    assert isinstance(code.humaneval_chat_program(HUMANEVAL[0], answer), str)
    assert isinstance(mbpp_program(MBPP[0], answer), str)
