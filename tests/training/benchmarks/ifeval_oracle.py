"""lm-eval's own checkers of IFEval, without the data of NLTK and without langdetect, neither of which is here."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PACKAGE = "lm_eval.tasks.ifeval"


def lm_eval_registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Classes of instructions by their names, from lm-eval's files as they are installed."""
    found = importlib.util.find_spec("lm_eval")
    nltk = pytest.importorskip("nltk")
    if found is None or found.origin is None:
        pytest.skip("lm-eval is not here")
    folder = Path(found.origin).parent / "tasks" / "ifeval"
    for name in ("lm_eval", "lm_eval.tasks", PACKAGE):
        package = ModuleType(name)
        package.__path__ = []
        monkeypatch.setitem(sys.modules, name, package)
    for name, values in {
        "langdetect": {
            "detect": lambda text: "en",
            "LangDetectException": type("LangDetectException", (Exception,), {}),
        },
        "immutabledict": {"immutabledict": dict},
    }.items():
        stub = ModuleType(name)
        vars(stub).update(values)
        monkeypatch.setitem(sys.modules, name, stub)
    monkeypatch.setattr(nltk.data, "find", lambda *_: None)
    words = nltk.tokenize.NLTKWordTokenizer()
    monkeypatch.setattr(nltk, "word_tokenize", lambda text: words.tokenize(text))
    for part in ("instructions_util", "instructions", "instructions_registry", "utils"):
        spec = importlib.util.spec_from_file_location(f"{PACKAGE}.{part}", folder / f"{part}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        monkeypatch.setattr(sys.modules[PACKAGE], part, module, raising=False)
        spec.loader.exec_module(module)
    registry: dict[str, Any] = sys.modules[f"{PACKAGE}.instructions_registry"].INSTRUCTION_DICT
    return registry


def lm_eval_scores(doc: dict[str, Any], answer: str) -> dict[str, Any]:
    """What lm-eval makes of an answer to a row; after `lm_eval_registry`."""
    scores: dict[str, Any] = sys.modules[f"{PACKAGE}.utils"].process_results(doc, [answer])
    return scores


def lm_eval_follows(registry: dict[str, Any], name: str, arguments: dict[str, Any], answer: str) -> bool:
    """As lm-eval's `test_instruction_following_strict` asks."""
    instruction = registry[name](name)
    instruction.build_description(**{key: value for key, value in arguments.items() if value})
    return bool(answer.strip() and instruction.check_following(answer))
