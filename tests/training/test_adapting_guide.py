"""What docs/adapting.md shows works: its Python runs on rows as they are published and as `onggi synth` has them."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from manifests.house import HOME
from manifests.recipes import list_recipes
from tests.scenarios.toy_functions import dialogues, xlam_rows
from training.chat.conversations import conversation
from training.chat.rows import Row

GUIDE = HOME / "docs" / "adapting.md"


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for block in GUIDE.read_text("utf-8").split("```python\n")[1:]:
        exec(block.partition("```")[0], found)
    return found


def test_recipes_that_it_names_are_there() -> None:
    names = {recipe.name for recipe in list_recipes()}
    text = GUIDE.read_text("utf-8")
    for name in ("kanana-rag", "kanana-function-calling", "grounded-qa"):
        assert name in names and name in text


def test_published_calls_become_conversations(guide: dict[str, Any]) -> None:
    [row] = xlam_rows(1, 0)
    row["tools"] = orjson.dumps(
        [tool | {"parameters": tool["parameters"] | {"unit": {"type": "str, optional", "default": "c"}}}
         for tool in orjson.loads(row["tools"])]
    ).decode()  # fmt: skip
    made = guide["from_xlam"](row)
    found = conversation(Row("xlam.jsonl", 1, made))
    [tool] = found.tools
    parameters = tool["function"]["parameters"]
    assert parameters["required"] == ["room", "level"]
    assert parameters["properties"]["level"]["type"] == "integer"
    [call] = orjson.loads(row["answers"])
    assert guide["as_call"](made["messages"][-1]["tool_calls"][0]["function"]) == (call["name"], call["arguments"])


@pytest.mark.parametrize(
    ("written", "kind", "is_required"),
    [
        ("Tuple[int, int]", "array", True),
        ("Set[str], optional", "array", False),
        ("Optional[List[int]]", "array", False),
        ("Dict[str, int]", "object", True),
        ("str, optional", "string", False),
    ],
)
def test_types_are_those_of_json_schema(guide: dict[str, Any], written: str, kind: str, is_required: bool) -> None:
    """As they are written in xlam-function-calling-60k."""
    made = guide["as_schema"]({"name": "f", "parameters": {"x": {"type": written}}})["parameters"]
    assert made["properties"]["x"]["type"] == kind and made["required"] == (["x"] if is_required else [])


def test_calls_are_read(guide: dict[str, Any]) -> None:
    call = dialogues(1, "ko", 0)[0]["messages"][1]["tool_calls"][0]["function"]
    written = f"<tool_call>\n{orjson.dumps(call).decode()}\n</tool_call>"
    assert guide["calls_of"](written) == [guide["as_call"](call)]
    assert guide["calls_of"](written.removesuffix("</tool_call>")) == [guide["as_call"](call)]
    assert guide["calls_of"]("몇 단으로 할까요?") == []
    assert guide["calls_of"]("<tool_call>\n{oh\n</tool_call>") == [None]
    assert guide["calls_of"]('<tool_call>\n{"name": "f"}\n</tool_call>') == [None]


def test_grounded_questions(guide: dict[str, Any], tmp_path: Path) -> None:
    turn = {"role": "user", "content": "문서: ...\n얼마인가요?"}
    answers = {name: [{"role": "assistant", "content": name}] for name in ("chosen", "rejected")}
    (tmp_path / "run/preference").mkdir(parents=True)
    pl.DataFrame([{"prompt": [turn], **answers}]).write_parquet(tmp_path / "run/preference/part-0.parquet")
    assert guide["write_grounded"](str(tmp_path / "run"), str(tmp_path / "grounded.jsonl")) == 1
    [row] = map(orjson.loads, (tmp_path / "grounded.jsonl").read_bytes().splitlines())
    assert row == {"question": turn["content"], "choices": ["chosen", "rejected"], "answer": 0}
