"""Documents are gone from a corpus: from every table, for good, and nothing else is."""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest

from curation.diff import diff
from curation.explain import explain
from curation.pipeline import changed_manifest, curate, decide_again
from curation.removal import corpus as corpus_module
from curation.removal import corpus_summary
from curation.removal.remove import remove
from curation.removal.tables import digest_of_table
from curation.summary_models import Summary
from manifests.contracts import NOT_IN_DIGEST
from manifests.errors import RequestError
from manifests.record import read_record
from manifests.store import Folder
from tests.curation.removal.corpora import BLOG, COLUMNS, SHOP, rows, small_corpus, write_inputs
from tests.curation.removal.requests_of import request_of
from tests.scenarios.runs import job_of

pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of the small corpus."""
    folder = tmp_path_factory.mktemp("finished")
    small_corpus(folder, rows())
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Folder:
    """A copy of it, to take documents from."""
    shutil.copytree(finished / "out", tmp_path / "out")
    return Folder(str(tmp_path / "out"))


def ledger(run: Folder) -> pl.DataFrame:
    return (run / "ledger").scan().drop("shard").collect().sort("id", "copy")


def ids_of(run: Folder, *keys: str) -> list[str]:
    return ledger(run).filter(pl.col("key").is_in(keys))["id"].to_list()


def state(run: Folder) -> dict[str, tuple[int, int]]:
    files = (path for path in Path(run.path).rglob("*") if path.is_file())
    return {str(path.relative_to(run.path)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def content(run: Folder) -> dict[str, bytes]:
    """All files but what tells the time."""
    files = (
        path for path in Path(run.path).rglob("*") if path.is_file() and path.name not in ("run.json", "report.html")
    )
    return {str(path.relative_to(run.path)): path.read_bytes() for path in files if "removed/" not in str(path)}


def texts_everywhere(run: Folder) -> str:
    """Every text in every column of every table, and every other file."""
    found = []
    for path in sorted(Path(run.path).rglob("*")):
        if path.suffix == ".parquet":
            found.append(orjson.dumps(pl.read_parquet(path).to_dicts(), default=str).decode())
        elif path.is_file() and path.suffix != ".npy":
            found.append(path.read_text("utf-8"))
    return "\n".join(found)


def test_by_id_url_and_domain(run: Folder, tmp_path: Path) -> None:
    before, old = ledger(run), read_record(run)
    texts = {row["key"]: row["text"] for row in rows()}
    (of_id,) = ids_of(run, "k0")
    request = request_of(
        tmp_path,
        ids=[of_id, "0" * 32],
        urls=["http://docs.example.org/page/2/", "keyed.net/1", "https://docs.example.org/page/999"],
        domains=[BLOG],
    )
    receipt = remove([run.path], request)
    gone = {"k0", "k2", "https://keyed.net/1", "short", "empty", *(f"k{n}" for n in range(1, 90, 4))}
    (part,) = receipt["runs"]
    assert part["n_documents"] == len(gone) == receipt["n_documents"]
    assert {entry["entry"] for entry in receipt["unmatched"]} == {"0" * 32, "https://docs.example.org/page/999"}
    after, record = ledger(run), read_record(run)
    tombs = after.filter(pl.col("stage") == "removed")
    assert set(tombs["id"]) == set(ids_of_frame(before, gone)) == set(part["ids"])
    assert set(tombs["key"]) == {""}
    assert tombs["url"].null_count() == len(tombs)
    assert after.filter(pl.col("stage").ne_missing("removed")).equals(before.filter(~pl.col("id").is_in(part["ids"])))
    assert record.counts["read"] == old.counts["read"] == len(after)
    assert {name: record.counts[name] for name in ("kept", "dropped", "failed")} == dict(
        after["verdict"].value_counts().iter_rows()
    ) | {"failed": 0}
    assert record.digests == {
        "documents": digest_of_table(run / "documents").hex,
        "ledger": digest_of_table(run / "ledger", NOT_IN_DIGEST).hex,
    }
    assert all(table["nothing_else_changed"] for table in part["tables"].values())
    assert part["tables"]["documents"]["digest_before"] == old.digests["documents"]
    assert part["tables"]["documents"]["digest_after"] == record.digests["documents"]
    said = texts_everywhere(run)
    for key in gone - {"short", "empty"}:
        assert texts[key][:80] not in said, key
    assert texts["k3"][:80] in said
    assert "/page/2" not in re.sub(r"/page/2\d", "", said)  # nor does anything tell which addresses they were
    assert BLOG not in re.sub("This line stands.*", "", said)


def ids_of_frame(frame: pl.DataFrame, keys: set[str]) -> list[str]:
    return frame.filter(pl.col("key").is_in(keys))["id"].to_list()


def test_only_what_holds_a_document_is_written(run: Folder, tmp_path: Path) -> None:
    (one,) = ids_of(run, "k12")
    before = state(run)
    stray = Path(run.path) / "documents/.part-00000.parquet.0123abcd"
    stray.write_bytes(b"left by a kill")
    (part,) = remove([run.path], request_of(tmp_path, ids=[one]))["runs"]
    assert not stray.exists()
    after = state(run)
    changed = {path for path in before if after.get(path) != before[path]}
    tables = {path for path in changed if path.endswith(".parquet")}
    dropped = {path for path in before if path.split("/")[0] in part["tables_removed"]}
    assert tables - dropped == {file["path"] for file in part["files"]}
    for table in ("documents", "ledger", "measured", "keys", "signatures"):
        n_files = sum(path.startswith(f"{table}/") and path.endswith(".parquet") for path in before)
        assert n_files > 1
        assert sum(path.startswith(f"{table}/") for path in tables) == 1
    assert {path for path in after if "removed/" not in path} == set(before) - dropped


def test_decide_does_not_restore(run: Folder, tmp_path: Path) -> None:
    remove([run.path], request_of(tmp_path, domains=[BLOG]))
    gone = set(ledger(run).filter(pl.col("stage") == "removed")["id"])
    again = decide_again(run, changed_manifest(run, None, "", ["long=1"]), str(tmp_path / "looser"))
    new = Folder(str(tmp_path / "looser"))
    assert set(ledger(new).filter(pl.col("stage") == "removed")["id"]) == gone
    assert not gone & set((new / "documents").scan().collect()["id"])
    assert again.counts["read"] == again.counts["kept"] + again.counts["dropped"] + again.counts["failed"]
    diff(run, new)
    (story,) = explain(run, min(gone))
    assert story.ledger["stage"] == "removed"
    assert story.text is None
    assert story.rules == []


def test_decide_finds_what_a_fresh_run_without_them_finds(run: Folder, tmp_path: Path) -> None:
    gone = {"k3", "k5", "k10", "k15"}  # survivors of copies, and pages with lines that repeat
    remove([run.path], request_of(tmp_path, ids=ids_of(run, *gone)))
    decided = decide_again(run, changed_manifest(run, None, "", []), str(tmp_path / "decided"))
    fresh = small_corpus(tmp_path / "fresh", [row for row in rows() if row["key"] not in gone])
    assert decided.digests["documents"] == fresh.digests["documents"]
    assert decided.counts["kept"] == fresh.counts["kept"]
    new = Folder(str(tmp_path / "decided"))
    summary, wanted = (
        Summary.model_validate(Folder(path).read_json("summary.json"))
        for path in (new.path, str(tmp_path / "fresh/out"))
    )
    tallies = [tally for tally in summary.tallies if tally.stage != "removed"]
    assert tallies == list(wanted.tallies)
    assert summary.rules[0].n_evaluated == wanted.rules[0].n_evaluated


def test_the_summary_counts_as_a_new_decision_would(run: Folder, tmp_path: Path) -> None:
    remove([run.path], request_of(tmp_path, ids=ids_of(run, "k12", "k13", "short")))
    decide_again(run, changed_manifest(run, None, "", []), str(tmp_path / "decided"))
    mine, decided = (
        Summary.model_validate(Folder(path).read_json("summary.json"))
        for path in (run.path, str(tmp_path / "decided"))
    )
    assert mine.tallies == decided.tallies
    assert "removed: removed" in Path(run.file("report.html")).read_text()


def test_copies(run: Folder, tmp_path: Path) -> None:
    (copied, near) = (ids_of(run, key)[0] for key in ("k3", "k5"))
    (copy, alike) = (ids_of(run, key)[0] for key in ("copy", "near"))
    shutil.copytree(run.path, tmp_path / "other")
    (part,) = remove([run.path], request_of(tmp_path, ids=[copied, near]))["runs"]
    left = {row["id"]: row["text"] for row in part["copies_left"]}
    assert left == {copy: "equal", alike: "similar"}
    assert part["n_copies_left"] == 2
    assert part["inputs_that_hold_them"]
    (part,) = remove([str(tmp_path / "other")], request_of(tmp_path, ids=[copied, near], copies=True))["runs"]
    assert set(part["ids"]) == {copied, near, copy}
    assert [row["id"] for row in part["copies_left"]] == [alike]


def test_a_dry_run_changes_nothing(run: Folder, tmp_path: Path) -> None:
    request, before = request_of(tmp_path, domains=["example.org"]), state(run)
    dry = remove([run.path], request, dry_run=True)
    assert state(run) == before
    done = remove([run.path], request)
    assert dry["dry_run"]
    assert {file["path"] for file in dry["runs"][0]["files"]} == {file["path"] for file in done["runs"][0]["files"]}
    assert dry["matched"] == done["matched"]
    assert dry["runs"][0]["ids"] == done["runs"][0]["ids"]


def test_a_second_time_nothing_is_left_to_do(run: Folder, tmp_path: Path) -> None:
    request = request_of(tmp_path, domains=[SHOP], urls=["https://docs.example.org/page/2"])
    first = remove([run.path], request)
    before = state(run)
    again = remove([run.path], request)
    assert state(run) == before
    assert again["matched"] == first["matched"]
    assert again["runs"][0]["done_before"]
    assert again["runs"][0]["tables"] == first["runs"][0]["tables"]


def test_one_request_after_another(run: Folder, tmp_path: Path) -> None:
    remove([run.path], request_of(tmp_path, domains=[SHOP]))
    (part,) = remove([run.path], request_of(tmp_path, domains=[BLOG]))["runs"]
    assert all(table["nothing_else_changed"] for table in part["tables"].values())
    record = read_record(run)
    assert [removal.n_documents for removal in record.removed] == [22, 25]
    note = record.removed[1]
    assert hashlib.sha256(run.read_bytes(note.note)).hexdigest() == note.note_digest


MOMENTS = ["write_note", "set_aside", "_counted", "finish_note", "write_report", "write_record"]


@pytest.mark.parametrize(
    ("where", "call"), [*((name, 1) for name in MOMENTS), *(("write_without", n) for n in (1, 4, 9))]
)
def test_killed_and_run_again(
    run: Folder, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, call: int
) -> None:
    shutil.copytree(finished / "out", tmp_path / "whole")
    request = request_of(tmp_path, domains=[BLOG], ids=ids_of(run, "k0"))
    whole = remove([str(tmp_path / "whole")], request)
    real, calls = getattr(corpus_module, where), []

    def killed(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(corpus_module, where, killed)
        with pytest.raises(KeyboardInterrupt):
            remove([run.path], request)
    again = remove([run.path], request)
    assert content(run) == content(Folder(str(tmp_path / "whole")))
    assert read_record(run).digests == read_record(Folder(str(tmp_path / "whole"))).digests
    assert again["matched"] == whole["matched"]
    assert again["runs"][0]["tables"] == whole["runs"][0]["tables"]
    assert not (run / "removed").names("-plan.json")


def test_killed_when_all_is_done(run: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = request_of(tmp_path, domains=[BLOG])
    real, calls = corpus_module._tidy, []

    def killed(*args: Any) -> None:
        calls.append(1)
        if len(calls) == 2:  # the first is before anything is done
            raise KeyboardInterrupt
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(corpus_module, "_tidy", killed)
        with pytest.raises(KeyboardInterrupt):
            remove([run.path], request)
    assert (run / "removed").names("-plan.json")
    (part,) = remove([run.path], request)["runs"]
    assert part["done_before"]
    assert part["tables"]["ledger"]["nothing_else_changed"]
    remove([run.path], request_of(tmp_path, domains=[SHOP]))
    assert len(read_record(run).removed) == 2


def test_another_removal_waits_for_one_that_was_killed(
    run: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(corpus_module, "_counted", lambda run: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            remove([run.path], request_of(tmp_path, domains=[BLOG]))
    with pytest.raises(RequestError, match="was not finished: run its command again first"):
        remove([run.path], request_of(tmp_path, domains=[SHOP]))


def test_measured_again_it_stays_away(tmp_path: Path) -> None:
    small_corpus(tmp_path, rows())
    run = Folder(str(tmp_path / "out"))
    remove([run.path], request_of(tmp_path, domains=[BLOG], ids=ids_of(run, "k0")))
    record = read_record(run)
    assert curate(job_of(tmp_path / "web.yaml")) == record  # the same manifest: nothing is done again
    pages = rows()
    for row in pages:
        row["text"] += " fetched again" if row["key"] in ("k1", "k2") else ""
    pages.append({"key": "new", "url": f"https://{BLOG}/new", "license": None, "text": pages[2]["text"] * 2})
    write_inputs(tmp_path, pages)
    curate(job_of(tmp_path / "web.yaml"))
    rows_now = ledger(run)
    assert BLOG not in str(rows_now.to_dicts())
    assert rows_now.filter(pl.col("key") == "k0").is_empty()
    assert rows_now.filter(pl.col("key") == "k2").height == 1
    assert len(read_record(run).removed) == 1


def test_without_stored_texts(tmp_path: Path) -> None:
    small_corpus(tmp_path, rows(), COLUMNS)
    run = Folder(str(tmp_path / "out"))
    (part,) = remove([run.path], request_of(tmp_path, domains=[BLOG]))["runs"]
    assert part["n_documents"] == 25
    assert part["tables_removed"] == []
    again = decide_again(run, changed_manifest(run, None, "", ["long=150"]), str(tmp_path / "decided"))
    assert again.counts["kept"] == read_record(run).counts["kept"]


def test_a_run_that_was_decided_elsewhere_takes_its_measurements_along(run: Folder, tmp_path: Path) -> None:
    decide_again(run, changed_manifest(run, None, "", ["long=150"]), str(tmp_path / "new"))
    new = Folder(str(tmp_path / "new"))
    receipt = remove([new.path], request_of(tmp_path, domains=[BLOG]))
    assert [part["path"] for part in receipt["runs"]] == [new.path, run.path]
    for folder in (new, run):
        assert ledger(folder).filter(pl.col("stage") == "removed").height == 25
    back = decide_again(new, changed_manifest(new, None, "", ["long=1"]), str(tmp_path / "back"))
    assert back.counts["dropped"] >= 25
    assert (
        not (Folder(str(tmp_path / "back")) / "documents")
        .scan()
        .filter(pl.col("url").str.contains(BLOG))
        .collect()
        .height
    )


def test_nothing_is_lost_unseen(run: Folder, tmp_path: Path) -> None:
    name = (run / "documents").names(".parquet")[0]
    rows_there = pl.read_parquet(run.file(f"documents/{name}"))
    table = rows_there.with_columns(text=pl.col("text").str.to_uppercase()).to_arrow()
    kept = pq.read_schema(run.file(f"documents/{name}"))
    pq.write_table(table.cast(kept), run.file(f"documents/{name}"))
    (part,) = remove([run.path], request_of(tmp_path, domains=[BLOG]))["runs"]
    assert not part["tables"]["documents"]["nothing_else_changed"]
    assert part["tables"]["ledger"]["nothing_else_changed"]


def test_what_is_no_run(tmp_path: Path, run: Folder) -> None:
    (tmp_path / "empty").mkdir()
    request = request_of(tmp_path, domains=[BLOG])
    with pytest.raises(RequestError, match="holds no run"):
        remove([str(tmp_path / "empty")], request)
    run.remove("run.json")
    with pytest.raises(RequestError, match="is not complete"):
        remove([run.path], request)


def test_from_the_command_line(
    run: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)

    def asked(*options: str) -> tuple[int, str, str]:
        return command("remove", run.path, "--domains", *options)

    (tmp_path / "domains.csv").write_text(f"domain\n{BLOG}\nnowhere.org\n")
    code, said, _ = asked("domains.csv", "--dry-run")
    assert code == 0 and "25 documents would be removed from 1 folder(s)" in said
    assert not list(tmp_path.glob("removal-*.json"))
    code, said, _ = asked("domains.csv", "--json")
    (receipt,) = tmp_path.glob("removal-*.json")
    assert code == 0 and orjson.loads(receipt.read_bytes()) == orjson.loads(said)
    code, said, _ = asked("domains.csv", "--receipt", "again.json")
    assert code == 0 and "found nowhere: nowhere.org" in said
    assert orjson.loads((tmp_path / "again.json").read_bytes())["runs"][0]["done_before"]
    code, _, error = asked("none.txt")
    assert code == 2 and "cannot be read" in error


def test_texts_are_read_in_ranges(run: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = set(ids_of(run, *(f"k{n}" for n in range(40))))
    pieces = {rows()[0]["text"][-40:], "stands nowhere"}
    whole, quoted = corpus_summary.gone_rows(run, run, ids, pieces)
    monkeypatch.setattr(corpus_summary, "TEXT_BYTES", 2000)
    parts, quoted_in_parts = corpus_summary.gone_rows(run, run, ids, pieces)
    assert parts.sort("id").equals(whole.sort("id"))
    assert quoted == quoted_in_parts == {rows()[0]["text"][-40:]}
