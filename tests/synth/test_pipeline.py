"""Runs from manifest to tables: what begins one, what ends it before it has begun, and what makes it run again."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import RequestError
from manifests.schema_synthesis import SynthesisManifest
from synth.pipeline import synthesize
from tests.synth.chat_server import ChatServer
from tests.synth.scripted import manifest


def jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def questions(url: str, **fields: Any) -> SynthesisManifest:
    """One answer to each of some questions."""
    seeds = {"path": "seeds.jsonl", "set": {"language": "ko"}}
    return manifest(
        {"kind": "multi_turn", "turns": [1, 1]}, seeds=[seeds], teacher={"model": "judge-1", "url": url}, **fields
    )


def echo(body: dict[str, Any], _: int) -> str:
    return f"답: {body['messages'][-1]['content']}"


def test_without_seeds_there_is_no_run(tmp_path: Path) -> None:
    jsonl(tmp_path / "seeds.jsonl", [{"text": " "}])
    with pytest.raises(RequestError, match=r"no row is left to work on: .* \(1 rows have none\)"):
        synthesize(questions("http://127.0.0.1:1/v1"), str(tmp_path))


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    jsonl(tmp_path / "seeds.jsonl", [{"text": "옹기가 뭔가요?"}])
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RequestError, match="out: is a file; name a folder"):
        synthesize(questions("http://127.0.0.1:1/v1"), str(tmp_path))


def test_two_at_once_in_one_folder(tmp_path: Path) -> None:
    """Also where each has answers of its own."""
    jsonl(tmp_path / "seeds.jsonl", [{"text": "옹기가 뭔가요?"}])
    (tmp_path / "out").mkdir()
    with ChatServer(echo) as server:
        descriptor = os.open(tmp_path / "out", os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(RequestError, match="out: another process is at work on this run"):
            synthesize(questions(server.url), str(tmp_path))
        os.close(descriptor)
        assert synthesize(questions(server.url), str(tmp_path))[0].counts["kept"] == 1


@pytest.mark.parametrize("is_run", [False, True])
def test_files_of_others_are_spared(tmp_path: Path, is_run: bool) -> None:
    jsonl(tmp_path / "seeds.jsonl", [{"text": "옹기가 뭔가요?"}])
    with ChatServer(echo) as server:
        found = questions(server.url)
        if is_run:
            synthesize(found, str(tmp_path))
        theirs = tmp_path / "out/drafts/chapter.md"
        theirs.parent.mkdir(parents=True)
        theirs.write_text("my novel")
        with pytest.raises(RequestError, match=r"drafts: .* holds other files; give another folder"):
            synthesize(found, str(tmp_path))
    assert theirs.read_text() == "my novel"


def test_a_benchmark_that_changed_makes_a_finished_run_stale(tmp_path: Path) -> None:
    texts = [
        "창고에 옹기 마흔두 개를 옮기고 남은 수를 장부에 적는 방법을 알려 주세요",
        "여름철 장마가 길어질 때 고추 농사를 지키는 요령이 궁금합니다",
    ]
    jsonl(tmp_path / "seeds.jsonl", [{"text": text} for text in texts])
    benchmark = tmp_path / "benchmark.jsonl"
    jsonl(benchmark, [{"question": "하늘이 파란 까닭을 빛의 산란으로 설명하는 글을 쓰세요", "answer": "산란"}])
    with ChatServer(echo) as server:
        found = questions(server.url, gates=[{"gate": "decontaminate", "against": ["benchmark.jsonl"]}])
        first, _ = synthesize(found, str(tmp_path))
        assert (first.counts["kept"], first.rejected) == (2, {})
        assert synthesize(found, str(tmp_path))[0].created == first.created, "a finished run is not made again"
        jsonl(benchmark, [{"question": texts[0], "answer": "42"}])
        again, _ = synthesize(found, str(tmp_path))
    assert again.rejected == {"decontaminate": {"contaminated": 1}}
    assert again.usage["teacher"]["n_paid"] == 0
