"""`onggi synth` and its recipes, as one meets them on the command line."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

import onggi
from manifests.load import COMMANDS
from manifests.recipes import list_recipes
from tests.synth.chat_server import ChatServer
from tests.synth.scripted import manifest


def written(folder: Path, url: str, gates: Sequence[object] = (), **teacher: object) -> str:
    """The path of a manifest of two questions."""
    rows = [{"text": "What is six times seven?", "a": "42"}, {"text": "What is nine plus one?", "a": "10"}]
    (folder / "seeds.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    found = manifest(
        {"kind": "reasoning", "samples": 1},
        gates=["language", *gates],
        seeds=[{"path": "seeds.jsonl", "answer": "a", "set": {"language": "en"}}],
        teacher={"model": "judge-1", "url": url, "retries": 0} | teacher,
    )
    path = folder / "made.yaml"
    path.write_bytes(orjson.dumps(found.model_dump(mode="json", exclude_none=True)))
    return str(path)


def test_recipes_say_which_command_runs_them() -> None:
    shown = CliRunner().invoke(onggi.app, ["recipes"], env={"COLUMNS": "200"}).stdout.splitlines()
    for recipe in list_recipes():
        assert any(line.split()[:1] == [recipe.name] and COMMANDS[recipe.kind] in line for line in shown), recipe


def test_a_run_without_a_server_says_whom_it_could_not_reach(tmp_path: Path) -> None:
    with ChatServer(lambda body, n: "42") as server:
        url = server.url
    with pytest.raises(onggi.RunError) as caught:
        CliRunner().invoke(onggi.app, ["synth", written(tmp_path, url)], catch_exceptions=False)
    assert f"2 samples have no answer ({url}: ConnectError" in str(caught.value)
    assert "run the same command again" in str(caught.value)


def test_seeds_that_are_not_there_are_named_by_their_field(tmp_path: Path) -> None:
    path = written(tmp_path, "http://127.0.0.1:9/v1")
    for named, expected in (
        ("no.jsonl", "there is no such file or folder"),
        ("no/*.jsonl", "no file is called like"),
    ):
        with pytest.raises(onggi.RequestError) as caught:
            CliRunner().invoke(onggi.app, ["synth", path, "--set", f"seeds.0.path={named}"], catch_exceptions=False)
        assert str(caught.value).startswith(f"seeds[0].path: {tmp_path}/{named}: {expected}")


def test_each_reason_comes_with_what_was_found(tmp_path: Path) -> None:
    with ChatServer(
        lambda body, n: "The answer is 41." if "six" in str(body) else "I counted for long and gave up. Who knows?"
    ) as server:
        path = written(tmp_path, server.url, price_output=3.0)
        shown = CliRunner().invoke(onggi.app, ["synth", path], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "verify wrong 1 41: another value" in lines
    assert "verify form 1 marks no final answer" in lines
    assert any(line.endswith("2 asked, 200 tokens in, 20 out, 6e-05 spent") for line in lines), lines
    assert "language" not in shown.stderr  # a gate that nothing comes to has no bar


def test_what_was_measured_is_said_where_there_are_no_words(tmp_path: Path) -> None:
    with ChatServer(lambda body, n: "42" if "six" in str(body) else "10") as server:
        path = written(tmp_path, server.url, [{"gate": "length", "min_chars": 30}])
        shown = CliRunner().invoke(onggi.app, ["synth", path], env={"COLUMNS": "120"})
    assert "length too short 2 2 against 30" in [" ".join(line.split()) for line in shown.stdout.splitlines()]
