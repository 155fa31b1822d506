"""What is read from lm-eval, and what is said where it cannot be."""

from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RequestError
from training.benchmarks import shipped
from training.benchmarks.reasoning import bbh_description


def put(monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None) -> None:
    monkeypatch.setattr(shipped, "find_spec", lambda name: spec)
    for read in (shipped.declarations, shipped.literal):
        read.cache_clear()
        monkeypatch.setattr(read, "cache_clear", read.cache_clear)


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder that is taken for lm-eval's."""
    spec = ModuleSpec("lm_eval", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    put(monkeypatch, spec)
    yield tmp_path / "tasks"
    shipped.declarations.cache_clear()
    shipped.literal.cache_clear()


def test_without_lm_eval(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, None)
    with pytest.raises(RequestError, match=r"come with lm-eval: pip install 'onggi\[eval\]'"):
        shipped.declarations("bbh/cot_fewshot")


def test_of_another_version(tasks: Path) -> None:
    with pytest.raises(RequestError, match=r"lm-eval has no .*tasks/bbh"):
        shipped.declarations("bbh")
    (tasks / "bbh").mkdir(parents=True)
    (tasks / "bbh" / "utils.py").write_text("def other():\n    return 1\ndef made():\n    return list()\n")
    with pytest.raises(RequestError, match="has no function `samples`"):
        shipped.literal("bbh", "samples")
    with pytest.raises(RequestError, match="`made` does not return a literal"):
        shipped.literal("bbh", "made")
    (tasks / "bbh" / "one.yaml").write_text("a: !!python/object/apply:os.system [ls]\n")
    with pytest.raises(RequestError, match=r"one\.yaml: could not determine a constructor"):
        shipped.declarations("bbh")


def test_a_task_that_bbh_has_not() -> None:
    with pytest.raises(RequestError, match="`subset`: 'sums' is no task of BBH; valid: boolean_expressions, "):
        bbh_description({"subset": "sums"})
