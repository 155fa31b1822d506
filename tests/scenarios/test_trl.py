"""TRL trains on the tables of a run as they lie there: SFTTrainer and DPOTrainer, on the CPU.

`make trainers` builds their environment; ONGGI_TRAINERS_PYTHON names the Python of another one.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from manifests.store import Folder
from synth.card import dataset_card
from synth.samples import Message, Rejection, Sample
from synth.summary import summarize
from synth.tables import id_of, write_tables
from tests.conftest import REPOSITORY
from tests.synth.drafted import chat, document, drafts_of, pair, with_tools
from tests.synth.scripted import manifest

pytestmark = pytest.mark.slow

PYTHON = Path(os.environ.get("ONGGI_TRAINERS_PYTHON", REPOSITORY / ".venv-trainers" / "bin" / "python"))
STEPS = 3
WITH_TOOLS = (
    "llama3_1",
    "llama3_2",
    "qwen2_5",
    "qwen3",
    "qwen3_8",
    "glm4moe",
    "gptoss",
    "nemotron_3_nano",
    "lfm2_2_5",
)
"""Chat templates of TRL that know tools, and ask for them in different ways."""


def trained(path: Path, *samples: Sample) -> Any:
    """What TRL says of tables with these samples."""
    if not PYTHON.exists():
        pytest.skip(f"no TRL at {PYTHON}: `make trainers` builds it, or ONGGI_TRAINERS_PYTHON says where it is")
    run = path / "run"
    found, drafts = manifest({"kind": "reasoning"}), drafts_of(path, *samples)
    written = write_tables(Folder(str(run)), drafts, found)
    summary = summarize(drafts.all(), found, gates=[], n_seeds=0, n_items=0, usage={}, written=written)
    (run / "README.md").write_text(dataset_card(summary, found, "2026-11-30", "0"))
    command = [PYTHON, "-W", "ignore", "benchmarks/trl_trains.py", run, path / "answer.json", "--steps", str(STEPS)]
    done = subprocess.run(
        [str(word) for word in command], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((path / "answer.json").read_text())


def check(table: dict[str, Any], n_rows: int) -> None:
    assert table["n_rows"] == n_rows
    assert len(table["losses"]) == STEPS and table["is_finite"] and min(table["losses"]) > 0
    assert table["n_weights_moved"] > 10
    assert all(count > 0 for count in table["n_tokens_trained"])


def test_all_forms(tmp_path: Path) -> None:
    system = chat(
        1, prompt=(Message("system", "짧게 답한다."), Message("user", "옹기란?")), numbers={"pass_frac": 1.0}
    )
    out = chat(2, rejection=Rejection("length", "too_short"))
    answer = trained(tmp_path, chat(0), system, out, pair(0), pair(1), document(0), document(1, tags={"reason": "x"}))
    check(answer["messages"], 2)
    check(answer["preference"], 2)
    check(answer["text"], 2)
    assert answer["messages"]["texts"] == [
        "<|user|>질문 0<|end|><|assistant|>답은 3입니다.<|end|>",
        "<|system|>짧게 답한다.<|end|><|user|>옹기란?<|end|><|assistant|>답은 3입니다.<|end|>",
    ]
    said = len("답은 3입니다.".encode()) + 1  # a token per byte, and the end of the turn
    assert answer["messages"]["n_tokens_trained"] == [said, said]
    prompt = "<|system|>친절하게 답한다.<|end|><|user|>질문 0<|end|><|assistant|>"
    assert answer["preference"]["texts"][0] == [prompt, "좋은 답입니다.<|end|>", "나쁜 답.<|end|>"]
    bare = {name for name, error in answer["messages"]["templates"].items() if not error}
    assert bare > {*WITH_TOOLS, "llama3", "gemma3", "deepseekv3", "phi3"}
    drafted = {"messages": [chat(0), system], "preference": [pair(0), pair(1)], "rejected": [out]}
    drafted["text"] = [document(0), document(1)]
    assert answer["by_card"] == {name: [id_of(one, "reasoning") for one in of] for name, of in drafted.items()}
    assert answer["text"]["texts"][1] == "문서 1입니다.<|end|>"


def test_functions(tmp_path: Path) -> None:
    """Calls reach the template as objects; messages without any have no key that says so."""
    out = chat(3, rejection=Rejection("length", "too_short"))
    answer = trained(tmp_path, with_tools(0), chat(1), with_tools(2), out)
    check(answer["messages"], 3)
    with_, without, _ = answer["messages"]["texts"]
    assert without == "<|user|>질문 1<|end|><|assistant|>답은 3입니다.<|end|>"
    assert with_.startswith('<|tools|>{"type": "function", "function": {"name": "forecast"')
    assert '<|assistant|><|call|>forecast city="서울" days=3' in with_
    assert with_.endswith('<|tool|>forecast: {"sky": "맑음"}<|end|><|assistant|>맑습니다.<|end|>')
    errors = answer["messages"]["templates"]
    assert {name: errors[name] for name in WITH_TOOLS} == dict.fromkeys(WITH_TOOLS, "")
