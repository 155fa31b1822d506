"""Who a teacher is: exactly one backend, and no flag that is set already."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from manifests.errors import RequestError
from manifests.load import load_kind
from manifests.schema_synthesis import SynthesisManifest
from manifests.schema_teacher import Teacher

ENGINE = {"weights": "models/judge"}
BACKENDS: dict[str, Any] = {"url": "http://x/v1", "serve": ENGINE, "offline": ENGINE, "replay": "answers.jsonl"}


@pytest.mark.parametrize("name", BACKENDS)
def test_one_backend_is_enough(name: str) -> None:
    given = Teacher.model_validate({"model": "judge-1", name: BACKENDS[name]})
    assert [other for other in BACKENDS if getattr(given, other) is not None] == [name]
    assert Teacher.model_validate_json(given.model_dump_json()) == given


@pytest.mark.parametrize("names", [[], ["url", "serve"], ["serve", "offline"], ["offline", "replay"], list(BACKENDS)])
def test_none_and_several_are_none(names: list[str]) -> None:
    with pytest.raises(ValidationError, match="name exactly one of `url`, a server's address; `serve`"):
        Teacher.model_validate({"model": "judge-1", **{name: BACKENDS[name] for name in names}})


MANIFEST = """\
kind: synthesis
name: first
task: {kind: reasoning}
seeds:
  - {path: q.jsonl, text: question, id: id}
teacher:
  model: judge-1
  %s
output: out
"""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("serve: {weights: w, args: {port: 80}}", "8: teacher.serve.args.port: is set by Onggi: leave it out"),
        (
            "serve: {weights: w, args: {model: x}}",
            "teacher.serve.args.model: is set by Onggi: name the checkpoint in",
        ),
        ("serve: {weights: w, args: {max-model-len: 5}}", "8: teacher.serve.args.max-model-len"),
        ("serve: {weights: w, runer: pooling}", "8: teacher.serve.runer: unknown key; did you mean `runner`?"),
        ("serve: {python: x}", "8: teacher.serve.weights: missing"),
        ("serve: {weights: w, startup_s: 0}", "teacher.serve.startup_s: found `0`"),
        ("offline: {weights: w, runner: pooling}", "8: teacher.offline.runner: unknown key"),
        ("offline: {weights: w, args: {reasoning_parser: qwen3}}", "offline.args.reasoning_parser: is for `serve`"),
        ("offline: {weights: w, env: {KV: 1}}", "8: teacher.offline.env.KV: found `1`"),
        ("serve: {weights: w}\n  url: http://x/v1", "name exactly one of `url`"),
        (
            "url: http://me:secret@x/v1",
            "8: teacher.url: holds a name or a password, which records would show; `api_key`",
        ),
    ],
)
def test_what_is_wrong_is_named(fields: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(MANIFEST % fields)
    with pytest.raises(RequestError) as error:
        load_kind(SynthesisManifest, str(tmp_path / "first.yaml"))
    assert message in str(error.value)


def test_an_engine_of_a_manifest(tmp_path: Path) -> None:
    args = "{max_model_len: 2048, enforce_eager: true, middleware: [a, b], override_generation_config: {top_k: 5}}"
    (tmp_path / "first.yaml").write_text(MANIFEST % f'serve: {{weights: w, args: {args}, env: {{KV: "1"}}}}')
    serve = load_kind(SynthesisManifest, str(tmp_path / "first.yaml")).teacher.serve
    assert serve
    assert serve.args == {
        "max_model_len": 2048,
        "enforce_eager": True,
        "middleware": ["a", "b"],
        "override_generation_config": {"top_k": 5},
    }
    assert (serve.runner, serve.env) == ("generate", {"KV": "1"})
