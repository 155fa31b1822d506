"""Documents that are taken down leave a run of synthetic data with their answers and examples."""

import sqlite3
from pathlib import Path
from typing import Any

import orjson

from curation.removal.entries import read_request
from curation.removal.remove import remove
from manifests.store import Folder
from synth.pipeline import synthesize
from synth.tables import read_table
from synth.take_down import forget
from tests.synth.chat_server import ChatServer
from tests.synth.scripted import manifest

DOCUMENTS = {f"{number:032x}": f"Document {number} speaks of nothing but jar number {number}." for number in range(4)}
GONE = f"{2:032x}"


def say(body: dict[str, Any], _: int) -> str:
    return orjson.dumps({"reason": "It names one jar.", "score": 3}).decode()


def run(folder: Path, url: str) -> Path:
    rows = [{"id": name, "text": text} for name, text in DOCUMENTS.items()]
    (folder / "seeds.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    found = manifest(
        {"kind": "annotations"},
        seeds=[{"path": "seeds.jsonl", "id": "id", "set": {"language": "en"}}],
        teacher={"model": "judge-1", "url": url},
    )
    _, out = synthesize(found, str(folder))
    return Path(out)


def take_down(folder: Path, out: Path, dry_run: bool = False) -> dict[str, Any]:
    (folder / "ids.txt").write_text(f"{GONE}\n", "utf-8")
    request = read_request({"ids": [str(folder / "ids.txt")]}, None, False)
    [part] = remove([str(out)], request, dry_run, forget=forget)["runs"]
    return dict(part)


def holding(out: Path, text: str) -> list[str]:
    """Files that hold a text."""
    return sorted(path.name for path in out.rglob("*") if path.is_file() and text.encode() in path.read_bytes())


def test_nothing_of_a_document_is_left(tmp_path: Path) -> None:
    with ChatServer(say) as server:
        out = run(tmp_path, server.url)
    assert {"answers.sqlite", "report.html", "summary.json"} <= set(holding(out, "jar number 2."))
    wanted = {"answers": 1, "tokens": 0, "examples": 1, "n_rows": 1}
    part = take_down(tmp_path, out, dry_run=True)
    assert {name: part[name] for name in wanted} == wanted
    assert len(list(read_table(Folder(str(out)), "text"))) == 4
    part = take_down(tmp_path, out)
    assert {name: part[name] for name in wanted} == wanted
    assert [row["text"] for row in read_table(Folder(str(out)), "text")] == [
        text for name, text in DOCUMENTS.items() if name != GONE
    ]
    assert holding(out, "jar number 2.") == []
    assert "report.html" in holding(out, "jar number 1.")
    with sqlite3.connect(out / "answers.sqlite") as store:
        assert store.execute("SELECT count(*) FROM answers").fetchone() == (3,)
    part = take_down(tmp_path, out)
    assert {part[name] for name in wanted} == {0}
