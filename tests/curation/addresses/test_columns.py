"""Columns of addresses in whole runs: the guide's manifest, what is asked for alone, new lists, pages taken down."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import polars as pl
import pytest

import onggi
from curation.addresses import blocklists
from curation.pipeline import changed_manifest, curate, decide_again, prepare
from curation.removal.remove import remove
from curation.report import render
from curation.summary_models import Summary
from manifests.contracts import ROBOTS_TYPE
from manifests.errors import RequestError
from manifests.house import HOME
from manifests.load import load_manifest, parse_manifest
from manifests.store import Folder
from tests.curation.reading import member, page, stored
from tests.curation.removal.requests_of import request_of
from tests.scenarios.runs import document_files, job_of

pytest.importorskip("publicsuffixlist")
pytestmark = pytest.mark.usefixtures("without_pages")

GUIDE = (HOME / "docs" / "staying-out.md").read_text("utf-8")
(MANIFEST,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\n"
PAGES: dict[str, tuple[bytes, bytes]] = {
    "kept": (b"<p>Onggi breathes, and so does its lid.</p>", b""),
    "old": (b"<p>Yesterday's news of the jars, in short.</p>", b""),
    "said/tag": (b'<meta name="robots" content="noai"><p>Not for models, says the tag.</p>', b""),
    "said/header": (
        b"<p>Not for models, says the header.</p>",
        b"X-Robots-Tag: otherbot: all\r\nX-Robots-Tag: noml\r\n",
    ),
    "said/rights": (b"<p>All rights of mining are reserved.</p>", b"TDM-Reservation: 1\r\n"),
    "said/other": (b"<p>Another robot is not to come here.</p>", b"X-Robots-Tag: otherbot: noai\r\n"),
    "adult": (b"<p>Grown up jars, seen from all sides.</p>", b""),
    "opted": (b"<p>This site has asked to be left out.</p>", b""),
}
EXPECTED = {
    "kept": None, "old": "duplicate_url", "said/tag": "said_no", "said/header": "said_no", "said/rights": "said_no",
    "said/other": None, "adult": "adult", "opted": "opted_out", "text": None,
}  # fmt: skip
ADDRESSES = {
    "old": "http://e.example/kept?utm_source=x",
    "adult": "https://www.adult.example/jars/",
    "opted": "http://news.example:8080/asked/1",
}


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Lists go where only this module looks; compiled kernels stay where they are."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setattr(blocklists, "_cache", lambda: folder)
        yield


def lay_out(folder: Path) -> Path:
    """The guide's inputs and lists, and its manifest."""
    (folder / "crawl").mkdir(parents=True)
    records = [page(body, name, HEAD + headers) for name, (body, headers) in PAGES.items()]
    records = [
        record.replace(f"http://e.example/{name}\r\n".encode(), f"{ADDRESSES.get(name, f'http://e.example/{name}')}\r\n".encode())
        for name, record in zip(PAGES, records, strict=True)
    ]  # fmt: skip
    records[1] = records[1].replace(b"WARC-Date: 2026", b"WARC-Date: 2025")
    records.append(stored(b"Plain text of a page, without headers.", "text", "conversion", "text/plain"))
    for part, some in enumerate((records[:4], records[4:])):
        (folder / f"crawl/{part}.warc.gz").write_bytes(b"".join(map(member, some)))
    (folder / "lists/ut1/adult").mkdir(parents=True)
    (folder / "lists/ut1/adult/domains").write_text("adult.example\n")
    (folder / "lists/ut1/adult/expressions").write_text("(e.example|news)\n")
    (folder / "lists/opt-out.txt").write_text("http://news.example:8080/asked/\n")
    (folder / "lists/publishers.txt").write_text("# none of ours\n0.0.0.0 publisher.example\n")
    path = folder / "web.yaml"
    path.write_text(MANIFEST)
    return path


def ledger_of(run: str | Path) -> pl.DataFrame:
    ledger = (Folder(str(run)) / "ledger").scan().drop("shard").collect()
    return ledger.with_columns(pl.col("key").str.strip_prefix("urn:uuid:")).sort("key")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = lay_out(tmp_path_factory.mktemp("guide"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curation.pipeline.write_report", lambda run, record, summary: "")
        curate(job_of(path))
    return path.parent


def test_the_guide_does_what_it_says(run: Path) -> None:
    ledger = ledger_of(run / "out/web")
    assert dict(ledger.select("key", "reason").iter_rows()) == EXPECTED
    assert dict(ledger.drop_nulls("detail").select("key", "detail").iter_rows()) == {
        "adult": "adult.example",
        "opted": "news.example:8080/asked",
    }
    ids = dict(ledger.select("key", "id").iter_rows())
    assert ledger.filter(pl.col("key") == "old")["duplicate_of"].to_list() == [ids["kept"]]


def test_documents_carry_what_was_found(run: Path) -> None:
    documents = (Folder(str(run / "out/web")) / "documents").scan().sort("canonical_url").collect()
    assert documents["canonical_url"].to_list() == [
        f"http://e.example/{name}" for name in ("kept", "said/other", "text")
    ]
    assert set(documents["url_host"]) == {"e.example"} and set(documents["url_domain"]) == {"e.example"}
    assert documents["blocklists"].to_list() == [{"adult": None, "opted_out": None}] * 3
    nothing = {field.name: False for field in ROBOTS_TYPE}
    assert documents["robots"].to_list() == [nothing, nothing, None]


def test_the_records_of_an_address_are_shown_whole(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = dict(ledger_of(run / "out/web").select("key", "id").iter_rows())
    monkeypatch.setattr("sys.argv", ["onggi", "explain", str(run / "out/web"), ids["old"]])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        onggi.main()
    shown = capsys.readouterr().out.partition("Records with the same canonical URL:\n")[2].splitlines()
    kept = [f"{ids['kept']} copy 0, source crawl, kept", "  http://e.example/kept"]
    old = [
        f"{ids['old']} copy 0, source crawl, dropped: duplicate_url",
        "  http://e.example/kept?utm_source=x",
        f"  duplicate of {ids['kept']}",
    ]
    assert shown[:5] == (kept + old if ids["kept"] < ids["old"] else old + kept)


def test_only_what_is_asked_for_is_there(run: Path, tmp_path: Path) -> None:
    plain = 'kind: corpus\nname: web\ninputs: [{source: crawl, path: "crawl/*.warc.gz"}]\noutput: out\n'
    path = run / "plain.yaml"
    path.write_text(plain)
    curate(job_of(path, tmp_path / "out"))
    for table in ("documents", "measured"):
        names = (Folder(str(tmp_path / "out")) / table).scan().collect_schema().names()
        assert not {"canonical_url", "url_host", "url_domain", "blocklists", "robots", "robots_headers"} & set(names)
    assert not (tmp_path / "out/url_groups").exists()


def test_a_rule_that_is_changed_measures_nothing_again(run: Path, tmp_path: Path) -> None:
    text = MANIFEST.replace("robots.noai or robots.tdm_reserved", "robots.tdm_reserved").replace(
        "  url: true ", "  near: {} # "
    )
    path = run / "again.yaml"
    path.write_text(text)
    old = Folder(str(run / "out/web"))
    manifest = changed_manifest(old, load_manifest(str(path), ()), str(run), ())
    again = decide_again(old, manifest, str(tmp_path / "again"))
    fresh = curate(job_of(path, tmp_path / "fresh"))
    assert again.digests == fresh.digests
    assert document_files(tmp_path / "again") == document_files(tmp_path / "fresh")
    reasons = dict(ledger_of(tmp_path / "again").select("key", "reason").iter_rows())
    assert reasons == EXPECTED | {"said/tag": None, "said/header": None, "old": None}


def test_a_list_with_other_entries_is_looked_up_anew(tmp_path: Path) -> None:
    path = lay_out(tmp_path)
    first = curate(job_of(path))
    assert curate(job_of(path)).created == first.created  # nothing to do
    (tmp_path / "lists/opt-out.txt").write_text("e.example\n")
    curate(job_of(path))
    reasons = dict(ledger_of(tmp_path / "out/web").select("key", "reason").iter_rows())
    assert {key for key, reason in reasons.items() if reason == "opted_out"} == {
        *("kept", "old", "said/header", "said/other", "said/rights", "said/tag", "text")
    }


def test_a_list_that_changed_needs_new_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lay_out(tmp_path)
    record = curate(job_of(path))
    assert {name: (of.n_entries, of.n_lines) for name, of in record.blocklists.items()} == {
        "adult": (1, 1),
        "opted_out": (2, 2),
    }
    summary = Summary.model_validate_json((tmp_path / "out/web/summary.json").read_bytes())
    report = render(summary, record.model_dump(mode="json"))
    assert "<h3>Lists of addresses</h3>" in report and '<th scope="row">opted_out</th>' in report
    run = Folder(str(tmp_path / "out/web"))
    manifest = changed_manifest(run, None, str(tmp_path), ())
    again = decide_again(run, manifest, str(tmp_path / "out/again"))
    assert again.blocklists == record.blocklists
    before = (tmp_path / "lists/opt-out.txt").read_text()
    (tmp_path / "lists/opt-out.txt").write_text("e.example\n")
    for of in (run, Folder(str(tmp_path / "out/again"))):
        with pytest.raises(RequestError, match=r"another content of measure\.blocklists\.opted_out .*onggi curate"):
            decide_again(of, manifest, of.path)
    (tmp_path / "lists/opt-out.txt").write_text(before)
    shutil.rmtree(tmp_path / "lists/ut1")
    assert decide_again(run, manifest, run.path).counts == record.counts
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("sys.argv", ["onggi", "decide", run.path])
        onggi.main()
    said = capsys.readouterr()
    assert "note: blocklists.adult: the list cannot be read any more" in said.err
    assert "not understood" in said.out


def test_what_is_taken_down_leaves_no_address(tmp_path: Path) -> None:
    curate(job_of(lay_out(tmp_path)))
    run = Folder(str(tmp_path / "out/web"))
    ids = ledger_of(run.path).filter(pl.col("key").is_in(["kept", "adult"]))["id"].to_list()
    remove([run.path], request_of(tmp_path, ids=ids))
    for table in ("measured", "documents", "ledger", "url_keys", "url_groups"):
        rows = (run / table).scan().collect()
        assert "adult.example" not in orjson.dumps(rows.to_dicts(), default=str).decode()
        gone = rows.filter(pl.col("id").is_in(ids))
        assert gone.is_empty() or gone["stage"].to_list() == ["removed"] * 2
    manifest = changed_manifest(run, None, str(tmp_path), ())
    decide_again(run, manifest, run.path)
    reasons = dict(ledger_of(run.path).select("key", "reason").iter_rows())
    assert reasons["old"] is None  # of its address nothing else is left


def test_a_plan_says_how_lists_were_understood(tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    path = lay_out(tmp_path)
    (tmp_path / "lists/opt-out.txt").write_text("a.example\nb.example\nsomeone@c.example\n@@||d.example^\n")
    code, said, _ = command("plan", str(path))
    assert code == 0 and re.search(r"opted_out +3 +5 +1 +1\n", said)
    listed = orjson.loads(command("plan", str(path), "--json")[1])["blocklists"]["opted_out"]
    assert (listed["n_passed_over"], listed["n_not_understood"]) == (1, 1)


def test_an_address_is_taken_down_with_its_older_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def left_of(old: str, **asked: list[str]) -> set[str]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        monkeypatch.setitem(ADDRESSES, "old", old)
        curate(job_of(lay_out(folder)))
        run = Folder(str(folder / "out/web"))
        ids = dict(ledger_of(run.path).select("key", "id").iter_rows())
        remove(
            [run.path], request_of(folder, **{kind: [ids.get(name, name) for name in asked[kind]] for kind in asked})
        )
        decide_again(run, changed_manifest(run, None, str(folder), ()), run.path)
        rows = (run / "documents").scan().select("canonical_url", "id").collect().rows()
        names = {id_: key for key, id_ in ids.items()}
        return {names[id_] for url, id_ in rows if url == "http://e.example/kept"}

    assert left_of("http://e.example/kept#top", ids=["kept"]) == {"old"}
    assert left_of("http://e.example/kept#top", urls=["e.example/kept"]) == set()
    tracked = "http://e.example/kept?utm_source=x"
    assert left_of(tracked, urls=["e.example/kept"]) == {"old"}
    assert left_of(tracked, urls=["e.example/kept", tracked]) == set()


def test_what_is_not_there_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lay_out(tmp_path)
    for text, message in (
        (MANIFEST.replace("lists/ut1/adult", "lists/missing"), r"blocklists\.adult: nothing to read at .*missing"),
        (MANIFEST.replace("blocklists.adult IS", "blocklists.adlt IS"), "did you mean blocklists.adult"),
    ):
        path.write_text(text)
        with pytest.raises(RequestError, match=message):
            job_of(path)
        assert not (tmp_path / "out").exists()
    monkeypatch.setattr("curation.addresses.hosts.find_spec", lambda name: None)
    compared = MANIFEST.split("measure:")[0] + "dedup: {url: true}\noutput: out\n"
    only_lists = re.sub(r"  urls: true.*\n", "", MANIFEST)
    for manifest, field in ((MANIFEST, "measure.urls"), (only_lists, "measure.blocklists"), (compared, "dedup.url")):
        with pytest.raises(
            RequestError, match=rf"^{field} needs idna and publicsuffixlist: pip install 'onggi\[urls\]'"
        ):
            prepare(parse_manifest(manifest, "web"), str(tmp_path))


@pytest.mark.slow
def test_workers_come_to_the_same(run: Path, tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path), None, 3)
    curate(job)
    assert document_files(tmp_path / "out/web") == document_files(run / "out/web")
    assert ledger_of(tmp_path / "out/web").drop("file").equals(ledger_of(run / "out/web").drop("file"))
