"""HumanEval, MBPP, and both with the tests of EvalPlus: a program counts where it passes its tests in the sandbox.

Prompts, stops and examples are those of lm-eval 0.4.13. What is run, and within which limits, is in
docs/benchmarks-code.md.
"""

import ast
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from manifests.errors import RequestError
from synth.sandboxes.code_blocks import blocks, extract_code
from synth.sandboxes.code_check import Asserts, CodeVerdict, Item, check_all
from synth.sandboxes.sandbox import choose_sandbox
from synth.sandboxes.sandbox_limits import Limits
from training.benchmarks.code_examples import MBPP_EXAMPLES
from training.benchmarks.task import Doc, Marked, Task
from training.environment import n_cores

LIMITS = Limits(time_s=10.0, memory_bytes=1 << 30)
PLUS_LIMITS = Limits(time_s=30.0, memory_bytes=1 << 30)
"""EvalPlus has up to a thousand inputs for a function."""
HUMANEVAL_STOP = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
MBPP_STOP = ("[DONE]",)
NUMPY = re.compile(r"^\s*(?:import|from)\s+numpy\b", re.MULTILINE)
THOUGHT = re.compile(r"\A.*</think>\s*?\n?", re.DOTALL)

Program = Callable[[Doc, str], str]
"""The program that an answer to a row makes; empty where it holds none."""
Tests = Callable[[Doc], Asserts]
"""The tests of a row."""


def humaneval_program(doc: Doc, answer: str) -> str:
    """The head of the function with what goes on from it, or with a whole function that takes its place.

    A whole one is taken out of its fence; the head stays before it for what it imports and defines.
    """
    whole = extract_code(answer, doc["entry_point"])
    return f"{doc['prompt']}\n{whole}" if whole is not None else doc["prompt"] + _after_thought(answer)


def humaneval_chat_program(doc: Doc, answer: str) -> str:
    """As `humaneval_program`; what goes on from the head ends where lm-eval would stop, or at the fence."""
    whole = extract_code(answer, doc["entry_point"])
    if whole is not None:
        return f"{doc['prompt']}\n{whole}"
    return str(doc["prompt"]) + _up_to(_after_thought(answer), ("```", *HUMANEVAL_STOP))


def mbpp_program(doc: Doc, answer: str) -> str:
    """The answer as it is, where it is Python; else the code in its fences."""
    said = _after_thought(answer)
    return said if _is_python(said) or not blocks(said) else extract_code(said, _tested(doc)) or ""


def _after_thought(answer: str) -> str:
    return THOUGHT.sub("", answer, count=1)


def _up_to(text: str, stops: Sequence[str]) -> str:
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def _is_python(code: str) -> bool:
    try:
        return bool(ast.parse(code).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def humaneval_tests(doc: Doc) -> Asserts:
    """`check(candidate)` of the row."""
    return Asserts(_source(doc, doc["test"]), doc["entry_point"])


def mbpp_tests(doc: Doc) -> Asserts:
    """The three asserts that the prompt shows, after what they need to be set up."""
    lines = [doc.get("test_setup_code") or "", *doc["test_list"]]
    return Asserts(_source(doc, "\n".join(lines)), _tested(doc))


def mbpp_plus_tests(doc: Doc) -> Asserts:
    """All tests of EvalPlus, of which the prompt shows three."""
    return Asserts(_source(doc, doc["test"]), _tested(doc))


def _source(doc: Doc, tests: str) -> str:
    """Tests that can be run here.

    Raises:
        RequestError: they are no Python.
    """
    try:
        ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RequestError(
            f"benchmark row {doc.get('task_id')!r}: its tests are no Python: {error}; "
            "expected the dataset as published"
        ) from error
    return f"{_numpy()}\n{tests}" if NUMPY.search(tests) else tests


@cache
def _numpy() -> str:
    """Puts `code_floats` in NumPy's place."""
    text = Path(__file__).with_name("code_floats.py").read_text("utf-8")
    lines = ("import sys, types", "numpy = sys.modules['numpy'] = types.ModuleType('numpy')")
    return "\n".join((*lines, f"exec({text!r}, numpy.__dict__)", "del numpy"))


def _tested(doc: Doc) -> str | None:
    """The function that the tests of a row call, by its name; None where the row's own code does not say."""
    calls = [node.func for test in doc["test_list"] for node in _nodes(test) if isinstance(node, ast.Call)]
    called = [call.id for call in calls if isinstance(call, ast.Name)]
    defined = set(re.findall(r"^(?:def|class)\s+(\w+)", doc["code"].replace("\r", ""), re.MULTILINE))
    return next((name for name in called if name in defined), None)


def _nodes(test: str) -> Sequence[ast.AST]:
    try:
        return list(ast.walk(ast.parse(test)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def marker(program: Program, tests: Tests, limits: Limits) -> Callable[[Sequence[Doc], Sequence[str]], list[Marked]]:
    """Scores answers by `pass@1`: 1 where all tests pass; as many programs at once as there are processors."""

    def mark(docs: Sequence[Doc], answers: Sequence[str]) -> list[Marked]:
        """Scores of answers.

        Raises:
            RequestError: no sandbox works here, or a row's tests are no Python.
            RunError: the sandbox could not be set up.
        """
        programs = [program(doc, answer) for doc, answer in zip(docs, answers, strict=True)]
        items = [Item(code, tests(doc)) for doc, code in zip(docs, programs, strict=True)]
        wanted = [at for at, code in enumerate(programs) if code.strip()]
        verdicts = check_all([items[at] for at in wanted], choose_sandbox(), n_cores(), limits) if wanted else []
        found: dict[int, CodeVerdict] = dict(zip(wanted, verdicts, strict=True))
        return [_marked(code, found.get(at)) for at, code in enumerate(programs)]

    return mark


def _marked(code: str, verdict: CodeVerdict | None) -> Marked:
    if verdict is None:
        return Marked({"pass@1": 0.0}, note="there is no code in the answer")
    note = "" if verdict.has_passed else f"{verdict.outcome}: {verdict.message}".rstrip(": ")
    return Marked({"pass@1": float(verdict.has_passed)}, note, code)


def _humaneval(name: str, hub: str, is_instruct: bool) -> Task:
    limits = PLUS_LIMITS if "plus" in name else LIMITS
    return Task(
        name=name,
        columns=("task_id", "prompt", "canonical_solution", "test", "entry_point"),
        hub=(hub, None),
        form="generation",
        ask=_instructed if is_instruct else lambda doc: doc["prompt"],
        right=lambda doc: doc["canonical_solution"],
        main="pass@1",
        mark=marker(humaneval_chat_program if is_instruct else humaneval_program, humaneval_tests, limits),
        stop=() if is_instruct else HUMANEVAL_STOP,
        max_new_tokens=1024,
        is_instruct=is_instruct,
        begin=_begun if is_instruct else None,
        version=2 if is_instruct else 1,  # 2: the answer begins with the head of the function, as lm-eval's does
        source=f"lm-eval: {'humaneval_instruct' if is_instruct else 'humaneval'}; Kanana 3.1: 0-shot, pass@1",
        settings=_settings(limits),
    )


def _instructed(doc: Doc) -> str:
    task = "Write a solution to the following problem and make sure that it passes the tests:"
    return f"{task}\n```python\n{doc['prompt']}\n```\n"


def _begun(doc: Doc) -> str:
    return f"Here is the completed function:\n```python\n{doc['prompt']}\n"


def _mbpp(name: Literal["mbpp", "mbpp-plus"]) -> Task:
    is_plus = name == "mbpp-plus"
    limits = PLUS_LIMITS if is_plus else LIMITS
    plain, plus = ("task_id", "text", "code", "test_list"), ("task_id", "prompt", "code", "test_list", "test")
    return Task(
        name=name,
        columns=plus if is_plus else plain,
        hub=("evalplus/mbppplus", None) if is_plus else ("google-research-datasets/mbpp", "full"),
        form="generation",
        ask=_mbpp_question,
        right=lambda doc: f"{doc['code']}\n[DONE]",
        main="pass@1",
        shots=3,
        mark=marker(mbpp_program, mbpp_plus_tests if is_plus else mbpp_tests, limits),
        examples=MBPP_EXAMPLES,
        delimiter="",
        stop=MBPP_STOP,
        max_new_tokens=1024 if is_plus else 256,
        source=f"lm-eval: {name.replace('-', '_')}; Kanana 3.1: 3-shot, pass@1",
        settings=_settings(limits),
    )


def _mbpp_question(doc: Doc) -> str:
    task = doc["prompt"] if doc.get("prompt") is not None else doc["text"]
    shown = "\n".join([*doc["test_list"], "", ""][:3])
    return (
        f"You are an expert Python programmer, and here is your task: {task} Your code should pass these tests:"
        f"\n\n{shown}\n[BEGIN]\n"
    )


def _settings(limits: Limits) -> dict[str, str]:
    return {"limits": f"{limits.time_s:g} s, {limits.memory_bytes >> 20} MiB"}


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _humaneval("humaneval", "openai/openai_humaneval", is_instruct=False),
        _humaneval("humaneval-instruct", "openai/openai_humaneval", is_instruct=True),
        _humaneval("humaneval-plus", "evalplus/humanevalplus", is_instruct=False),
        _humaneval("humaneval-plus-instruct", "evalplus/humanevalplus", is_instruct=True),
        _mbpp("mbpp"),
        _mbpp("mbpp-plus"),
    )
}
"""By the names of `manifests.schema_evaluation.BENCHMARKS`."""
