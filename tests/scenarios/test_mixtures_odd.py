"""Mixtures of what nobody expects: exact all the same, or a clear error."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from curation.pipeline import curate
from manifests.engine import Workers
from manifests.errors import RequestError, RunError
from tests.conftest import REPOSITORY
from tests.curation.mixture import small
from tests.curation.mixture.oracle import Written, check
from tests.curation.mixture.small import Document
from tests.scenarios.runs import LIGHT, job_of
from tests.scenarios.runs import lay_out as lay_out_run

pytestmark = pytest.mark.usefixtures("without_pages")

KO, EN = small.rows(300, "ko", small.KOREAN), small.rows(300, "en")
BOTH = {"ko": small.documents(KO), "en": small.documents(EN)}


def made(folder: Path, documents: dict[str, list[Document]] | None = None, **changes: Any) -> Written:
    """A mixture of the two small sources, or others, judged."""
    small.mixed(small.lay_out(folder, **changes))
    return check(folder / "out", folder / "tokenizer", documents or BOTH)


def source(name: str, path: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "path": path or f"data/{name}.parquet", "category": name, **more}


def documents_of_run(output: Path, where: pl.Expr) -> list[Document]:
    frame = pl.read_parquet(output / "documents/*.parquet").filter(where)
    return [Document(text, id=id) for id, text in frame.select("id", "text").iter_rows()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curated run."""
    folder = tmp_path_factory.mktemp("run")
    curate(job_of(lay_out_run(folder, LIGHT)))
    return folder / "out"


@pytest.mark.parametrize("n_workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_runs_and_files_together(run: Path, tmp_path: Path, n_workers: int) -> None:
    """Also two sources over one run, whose rows are some of them the same."""
    of_run = [
        {"name": "web", "run": str(run), "category": "internet", "where": "language = 'ko'"},
        {"name": "long", "run": str(run), "category": "internet", "where": "length(text) > 500", "epochs_max": 3},
    ]
    path = small.lay_out(tmp_path, sources=[*of_run, source("en")], validation={"frac": 0.05}, sequence_length=512)
    small.mixed(path, None, Workers(n_workers))
    documents = {
        "web": documents_of_run(run, pl.col("language") == "ko"),
        "long": documents_of_run(run, pl.col("text").str.len_chars() > 500),
        "en": BOTH["en"],
    }
    assert min(map(len, documents.values())) > 5
    check(tmp_path / "out", tmp_path / "tokenizer", documents)


def test_two_sources_over_one_file(tmp_path: Path) -> None:
    sources = [
        source("high", "data/en.parquet", where="score >= 2", epochs_max=2, tokens=12_000),
        source("low", "data/en.parquet", where="score < 3", tokens=3000),
    ]
    documents = {
        "high": small.documents([row for row in EN if row["score"] >= 2]),
        "low": small.documents([row for row in EN if row["score"] < 3]),
    }
    made(tmp_path, documents, sources=sources, validation={"frac": 0.1})


def test_a_file_that_is_there_twice(tmp_path: Path) -> None:
    small.lay_out(tmp_path)
    shutil.copy(tmp_path / "data/en.parquet", tmp_path / "data/en2.parquet")
    small.mixed(small.manifest(tmp_path, sources=[source("en", "data/en*.parquet"), source("ko")]))
    written = check(tmp_path / "out", tmp_path / "tokenizer", {"en": BOTH["en"] * 2, "ko": BOTH["ko"]})
    assert {span.name[2] for span in written.training if span.name[0] == "en"} == {0, 1}


def test_copies_and_repeats(tmp_path: Path) -> None:
    """A text that stands several times, each of them as often as its row says."""
    rows = [{**row, "score": float(number % 4)} for number, row in enumerate(EN[:100])]
    small.lay_out(tmp_path)
    small.parquet(tmp_path / "data/more.parquet", rows)
    path = small.manifest(tmp_path, sources=[source("more", repeat="score", epochs_max=2)], tokens=8000)
    small.mixed(path)
    documents = [Document(row["text"], times=int(row["score"])) for row in rows if row["score"]]
    written = check(tmp_path / "out", tmp_path / "tokenizer", {"more": documents})
    assert max(Counter((span.name, span.offset) for span in written.training).values()) > 3


def test_a_predicate_that_leaves_nothing(tmp_path: Path) -> None:
    nothing = source("ko", where="score > 100")
    written = made(tmp_path, {"ko": [], "en": BOTH["en"]}, sources=[nothing, source("en")])
    assert {span.name[0] for span in written.training} == {"en"}
    weighed = [{"name": "s", "tokens": 100, "weights": {"ko": 1, "en": 1}}]
    with pytest.raises(RequestError, match="s: ko: no document may be used of: ko"):
        small.mixed(small.manifest(tmp_path, sources=[nothing, source("en")], stages=weighed))
    with pytest.raises(RequestError, match="no document may be used"):
        small.mixed(small.manifest(tmp_path, sources=[nothing]))


def test_files_of_which_some_are_empty(tmp_path: Path) -> None:
    small.lay_out(tmp_path)
    small.jsonl(tmp_path / "data/a/a.jsonl", [])
    small.jsonl(tmp_path / "data/a/b.jsonl", EN)
    small.jsonl(tmp_path / "data/b/a.jsonl", [])
    sources = [source("en", "data/a", where="score >= 0"), source("none", "data/b", where="score >= 0")]
    small.mixed(small.manifest(tmp_path, sources=sources, tokenizer="tokenizer"))
    check(tmp_path / "out", tmp_path / "tokenizer", {"en": BOTH["en"], "none": []})


def test_files_of_different_columns(tmp_path: Path) -> None:
    small.lay_out(tmp_path)
    small.parquet(tmp_path / "data/x/a.parquet", EN[:100])
    small.parquet(
        tmp_path / "data/x/b.parquet", [{"text": row["text"], "score": int(row["score"])} for row in EN[100:]]
    )
    whole = source("x", "data/x")
    small.mixed(small.manifest(tmp_path, sources=[whole]))
    check(tmp_path / "out", tmp_path / "tokenizer", {"x": BOTH["en"]})
    small.mixed(small.manifest(tmp_path, sources=[{**whole, "where": "score >= 2"}]))
    chosen = [row for row in EN[:100] if row["score"] >= 2] + [row for row in EN[100:] if int(row["score"]) >= 2]
    check(tmp_path / "out", tmp_path / "tokenizer", {"x": small.documents(chosen)})
    with pytest.raises(RequestError, match=r"sources: x: .*b\.parquet: predicate .*: unknown column license"):
        small.mixed(small.manifest(tmp_path, sources=[{**whole, "where": "license = 'MIT'"}]))


def test_licences(tmp_path: Path) -> None:
    allowed = {
        name: small.documents([row for row in of if row["license"] == "MIT"]) for name, of in (("ko", KO), ("en", EN))
    }
    made(tmp_path, allowed, licenses={"allow": ["MIT"], "unknown": "deny"})


@pytest.mark.parametrize("length", [8, 1 << 14])
def test_sequences_of_any_length(tmp_path: Path, length: int) -> None:
    written = made(tmp_path, sequence_length=length, validation={"frac": 0.02})
    assert (len(written.n_tokens) == 2) is (length > 8)


def test_one_sequence_for_everything(tmp_path: Path) -> None:
    written = made(tmp_path, sequence_length=1 << 17)
    assert len(written.n_tokens) == 1


def test_a_budget_of_one_token(tmp_path: Path) -> None:
    written = made(tmp_path, tokens=1)
    assert len(written.training) == 1


def test_half_an_epoch(tmp_path: Path) -> None:
    written = made(tmp_path, sources=[source("en", epochs_max=0.5)], documents={"en": BOTH["en"]}, tokens=5000)
    assert written.record["stages"][0]["n_tokens"] < 5064
    with pytest.raises(RequestError, match=r"en: 7,000 .* 969 are missing; `epochs_max: 0\.59` would do"):
        small.mixed(small.manifest(tmp_path, sources=[source("en", epochs_max=0.5)], tokens=7000))


def test_what_begins_documents(tmp_path: Path) -> None:
    from tests.curation.tokens.small import byte_level

    byte_level(tmp_path / "tokenizer", ("<|endoftext|>", "<|begin|>"))
    settings = {"path": "tokenizer", "eod": "<|endoftext|>", "bos": "<|begin|>", "engine": "library"}
    small.mixed(small.lay_out(tmp_path, tokenizer=settings))
    record = orjson.loads((tmp_path / "out/run.json").read_bytes())
    check(tmp_path / "out", tmp_path / "tokenizer", BOTH, record["tokenizer"]["bos_id"])


def test_special_tokens_in_a_text(tmp_path: Path) -> None:
    small.lay_out(tmp_path)
    rows = [{"text": f"<|endoftext|> {number} <|endoftext|>"} for number in range(50)]
    small.parquet(tmp_path / "data/odd.parquet", rows)
    small.mixed(small.manifest(tmp_path, sources=[source("odd")]))
    check(tmp_path / "out", tmp_path / "tokenizer", {"odd": small.documents([{**row, "key": ""} for row in rows])})


@pytest.mark.parametrize("cut", ["long", "any"])
def test_a_long_document_over_a_switch(tmp_path: Path, cut: str) -> None:
    """Three sequences and a rest, of which the first stage ends somewhere."""
    small.lay_out(tmp_path)
    long = [{"text": " ".join(row["text"] for row in EN[at : at + 10])} for at in range(0, 300, 10)]
    small.parquet(tmp_path / "data/long.parquet", long)
    stages = [{"name": f"s{number}", "tokens": 1000, "weights": {"long": 1}} for number in range(8)]
    settings = {"sources": [source("long"), source("en")], "stages": stages, "packing": {"cut": cut}}
    small.mixed(small.manifest(tmp_path, **settings))
    documents = {"long": small.documents([{**row, "key": ""} for row in long]), "en": BOTH["en"]}
    written = check(tmp_path / "out", tmp_path / "tokenizer", documents)
    stages_of = {span.name: set[str]() for span in written.training}
    for span in written.training:
        stages_of[span.name].add(span.stage)
    assert max(map(len, stages_of.values())) > 1


def test_cuts_anywhere_leave_no_padding(tmp_path: Path) -> None:
    written = made(tmp_path, packing={"cut": "any"}, validation={"frac": 0.1})
    assert sum(n < 64 for n in written.n_tokens) <= 2
    assert any(span.offset % 64 for span in written.training)


def test_two_languages_in_a_sequence(tmp_path: Path) -> None:
    sources = [source(name, language="language") for name in ("ko", "en")]
    written = made(tmp_path, sources=sources, packing={"cross_lingual": 0.5}, sequence_length=128)
    both = {number: set[str]() for number in range(len(written.n_tokens))}
    for span in written.training:
        both[span.sequence].add(span.name[0])
    assert sum(written.cross) == pytest.approx(len(written.cross) / 2, abs=2)
    assert all(both[number] == {"ko", "en"} for number, cross in enumerate(written.cross) if cross)


def test_a_transition_at_its_middle(tmp_path: Path) -> None:
    sources = [source(name, epochs_max=9) for name in ("ko", "en")]
    stages: list[dict[str, Any]] = [
        {"name": "one", "tokens": 4000, "weights": {"ko": 90, "en": 10}},
        {"name": "two", "tokens": 30_000, "weights": {"ko": 10, "en": 90}, "transition": 30_000},
    ]
    written = made(tmp_path, sources=sources, stages=stages)
    first = written.record["stages"][1]["first_sequence"]
    n_done, taken = 0, Counter[str]()
    tokens = [Counter[str]() for _ in written.n_tokens]
    for span in written.training:
        tokens[span.sequence][span.name[0]] += len(span.ids)
    for of in tokens[first:]:
        taken += of
        n_done += of.total()
        if n_done >= 15_000:
            break
    assert taken["ko"] == pytest.approx(0.7 * 15_000, abs=64)  # the mean from 0.9 to 0.5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"text": "\xff\xfe"}\n', r"bad\.jsonl:1: is no JSON"),
        (b'{"text": "\\ud800"}\n', r"bad\.jsonl:1: is no JSON"),
        (b'{"text": "a"}\n[1]\n', r"bad\.jsonl:2: found list; expected a JSON object"),
        (b'{"text": 5}\n', r"bad\.jsonl: the column 'text' holds Int64; expected text"),
        (b'{"text": {"a": "b"}}\n', r"bad\.jsonl: the column 'text' holds Struct.*; expected text"),
        (b'{"body": "a"}\n', r"bad\.jsonl: has no column 'text' \(`text`\); found: body"),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "library"])
def test_what_is_no_text(tmp_path: Path, content: bytes, said: str, engine: str) -> None:
    small.lay_out(tmp_path)
    (tmp_path / "data/bad.jsonl").write_bytes(content)
    tokenizer = {"path": "tokenizer", "engine": engine}
    with pytest.raises((RequestError, RunError), match=said):
        small.mixed(small.manifest(tmp_path, sources=[source("bad", "data/bad.jsonl")], tokenizer=tokenizer))


def test_any_bytes_that_json_can_hold(tmp_path: Path) -> None:
    rows = [
        {"text": text, "key": ""}
        for text in ("\x00", " ", "\n\n", "👩‍👩‍👧‍👦" * 50, "a\u0301", "\ufeff", "ㅋ" * 300, "\U0010ffff")
    ]
    small.lay_out(tmp_path)
    small.jsonl(tmp_path / "data/odd.jsonl", rows)
    small.mixed(small.manifest(tmp_path, sources=[source("odd", "data/odd.jsonl")]))
    check(tmp_path / "out", tmp_path / "tokenizer", {"odd": small.documents(rows)})


COMMAND = """
import sys
from pathlib import Path
from curation.mixture import plan
from manifests.engine import Workers
from tests.curation.mixture import small

if __name__ == "__main__":
    plan.BLOCK_TOKENS = 8192
    small.mixed(Path(sys.argv[1]), sys.argv[2], Workers(int(sys.argv[3])))
"""
MOMENTS = [("store", 10), ("store", 10), ("work", 8), ("tokens", 4), ("tokens", 4)]
"""Where a kill comes: after up to so many new files there."""


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*")) if folder.exists() else set()


def kill_in_the_midst(process: "subprocess.Popen[bytes]", folder: Path, n_files: int, drawn: random.Random) -> None:
    """Kill a process, and all that it started, when so many new files are in a folder, or soon after."""
    before = files(folder)
    while len(files(folder) - before) < n_files:
        assert process.poll() is None, f"it ended before {n_files} files were in {folder}"
        time.sleep(0.005)
    time.sleep(drawn.random() / 20)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2])
def test_killed_five_times(tmp_path: Path, n_workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.mixture.plan.BLOCK_TOKENS", 8192)
    of = {name: small.rows(3000, name, words) for name, words in (("ko", small.KOREAN), ("en", small.ENGLISH))}
    small.lay_out(tmp_path)
    for name, rows in of.items():
        small.parquet(tmp_path / f"data/{name}.parquet", rows, 100)
    settings = {"limits": {"slice_bytes": 10_000}, "output": {"path": "out", "shard_bytes": 20_000}}
    path = small.manifest(tmp_path, validation={"frac": 0.02}, **settings)
    expected = small.mixed(path, str(tmp_path / "undisturbed"))
    out, drawn = tmp_path / "out", random.Random(n_workers)
    command = [sys.executable, "-c", COMMAND, str(path), str(out), str(n_workers)]
    silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for folder, n_files in MOMENTS:
        process = subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True, **silent)
        kill_in_the_midst(process, out / folder, drawn.randint(1, n_files), drawn)
        assert not (out / "run.json").exists()
    subprocess.run(command, cwd=REPOSITORY, check=True, **silent)
    assert orjson.loads((out / "run.json").read_bytes())["digests"] == expected.digests
    check(out, tmp_path / "tokenizer", {name: small.documents(rows) for name, rows in of.items()})
    assert not list(out.rglob(".*"))
