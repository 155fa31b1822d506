"""Common Crawl by ranges: the rows of the files that they lie in, whatever the server does."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.crawl import gate as crawl_gate
from curation.crawl import source as crawl_source
from curation.read import plan_splits, read_split
from manifests.contracts import records_schema
from manifests.errors import RequestError, RunError
from manifests.schema import Input, Limits

from .crawls import ID, SAMPLE, Asked, Mirror, Server, build, indexed, served
from .reading import LIMITS, Row, member, page, stored, without_place

FILES = {
    SAMPLE / "apache.warc.gz": "eng",
    SAMPLE / "libreoffice_ko.warc.gz": "kor,eng",
    SAMPLE / "postgresql.warc.gz": "eng",
}
FAST = {"requests_per_second": 1000, "connections": 4}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    return build(tmp_path_factory.mktemp("mirror"), FILES)


@pytest.fixture
def server(mirror: Mirror) -> Iterator[Server]:
    with served(mirror.root) as server:
        yield server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(crawl_source, "BACKOFF_S", 0.02)
    monkeypatch.setattr(crawl_gate, "SLOWEST_S", 0.005)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def wanted(base: object, crawl: dict[str, Any] | None = None, **item: Any) -> Input:
    of = {"id": ID, "fetch": FAST} | (crawl or {})
    of["fetch"] = FAST | of["fetch"]
    return Input(source="s", path=str(base), crawl=of, **item)


def read(item: Input, limits: Limits = LIMITS) -> tuple[list[Row], Counter[str]]:
    rows: list[Row] = []
    skipped: Counter[str] = Counter()
    for split in plan_splits(item, "", 1 << 40):
        for batch in read_split(split, item, limits, sorted(item.metadata)):
            batch.records.validate(full=True)
            assert batch.records.schema == records_schema(sorted(item.metadata))
            rows += batch.records.to_pylist()
            skipped.update(batch.skipped)
    return rows, skipped


def sorted_rows(rows: list[Row]) -> list[Row]:
    return sorted(without_place(rows), key=lambda row: (row["key"], row["content_digest"], repr(row)))


def whole(paths: list[Path], limits: Limits = LIMITS, **item: Any) -> list[Row]:
    """The rows of WARC files that are read from end to end."""
    rows: list[Row] = []
    for path in paths:
        of = Input(source="s", path=str(path), **item)
        for split in plan_splits(of, "", 1 << 40):
            rows += [
                row
                for batch in read_split(split, of, limits, sorted(of.metadata))
                for row in batch.records.to_pylist()
            ]
    return rows


def test_ranges_and_files_give_the_same_rows(mirror: Mirror, server: Server) -> None:
    everything = sorted_rows(whole(list(FILES)))
    korean = sorted_rows(whole([SAMPLE / "libreoffice_ko.warc.gz"]))
    assert len(everything) == len(mirror.rows) == 289 and len(korean) == 80
    for base in (mirror.root, server.url):
        all_types = {"mimes": []}
        assert sorted_rows(read(wanted(base, all_types))[0]) == everything
        assert sorted_rows(read(wanted(base, all_types, languages=["kor"]))[0]) == korean


def test_places_are_those_of_the_files(mirror: Mirror) -> None:
    rows, _ = read(wanted(mirror.root, languages=["kor"]))
    name = f"crawl-data/{ID}/segments/1.1/warc/libreoffice_ko.warc.gz"
    assert {row["file"] for row in rows} == {f"{mirror.root}/{name}"}
    places = [row["warc_record_offset"] for row in mirror.rows if row["warc_filename"] == name]
    assert sorted(row["offset"] for row in rows) == sorted(places)


def test_no_byte_is_fetched_that_the_index_does_not_name(mirror: Mirror, server: Server) -> None:
    rows, _ = read(wanted(server.url, {"fetch": {"gap_bytes": 0}}, languages=["eng"]))
    of_pages = sum(
        asked.end - asked.start for asked in server.warc_requests() if asked.end and asked.start is not None
    )
    named = sum(row["warc_record_length"] for row in mirror.rows if row["content_languages"] == "eng")
    assert len(rows) == 209 and of_pages == named


def test_neighbours_are_fetched_together(mirror: Mirror, server: Server) -> None:
    assert len(read(wanted(server.url, languages=["kor"]))[0]) == 80
    of_pages = server.warc_requests()
    assert len({(asked.start, asked.end) for asked in of_pages}) == len(of_pages) < 50
    n_bytes = sum(asked.end - asked.start for asked in of_pages if asked.end and asked.start is not None)
    named = sum(row["warc_record_length"] for row in mirror.rows if row["content_languages"] == "kor,eng")
    assert n_bytes <= 1.01 * named


def test_row_groups_without_the_place_are_not_looked_into(mirror: Mirror, server: Server) -> None:
    splits = plan_splits(wanted(server.url, {"hosts": ["www.postgresql.org"]}), "", 1)
    hosts = Counter(row["url_host_name"] for row in mirror.rows)
    n_groups = len(plan_splits(wanted(server.url), "", 1))
    assert 0 < len(splits) < n_groups and hosts["www.postgresql.org"] == 140
    rows, _ = read(wanted(server.url, {"hosts": ["www.postgresql.org"]}))
    assert len(rows) == 140 and all("postgresql" in row["url"] for row in rows)
    with pytest.raises(RequestError, match="no row group of CC-MAIN-2025-05 can hold"):
        plan_splits(wanted(server.url, {"tlds": ["kr"]}), "", 1)


def test_choices(mirror: Mirror) -> None:
    def n(crawl: dict[str, Any], **item: Any) -> int:
        return len(read(wanted(mirror.root, crawl, **item))[0])

    eng = sum(row["content_languages"] == "eng" for row in mirror.rows)
    assert n({}, languages=["eng"]) == eng
    assert n({"match": "any"}, languages=["eng"]) == 289
    assert n({"match": "any"}, languages=["ko", "eng"][1:]) == 289
    assert n({"match": "primary"}, languages=["kor", "eng"]) == 289
    assert n({"domains": ["postgresql.org"], "tlds": ["nowhere"]}) == 140
    assert n({"max_records": 17}) == 17
    assert n({"row_groups": 1}) <= 60
    some = read(wanted(mirror.root, {"sample": "25%"}))[0]
    assert 40 < len(some) < 105
    assert {row["key"] for row in some} < {row["key"] for row in read(wanted(mirror.root, {"sample": 0.5}))[0]}


def test_the_index_tells_more_of_a_record(mirror: Mirror) -> None:
    metadata = {
        "languages": "content_languages",
        "fetched": "fetch_time",
        "ip": "WARC-IP-Address",
        "kind": "WARC-Type",
    }
    rows, _ = read(wanted(mirror.root, metadata=metadata, languages=["kor"]))
    assert {row["metadata"]["languages"] for row in rows} == {"kor,eng"}
    assert {row["metadata"]["kind"] for row in rows} == {"response"}
    assert all(row["metadata"]["fetched"].startswith("20") for row in rows)


def test_from_each_cursor_exactly_what_follows_is_read(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.read_batch.BATCH_RECORDS", 7)
    item = wanted(mirror.root)
    for split in plan_splits(item, "", 1):
        batches = list(read_split(split, item, LIMITS, []))
        rows = [row for batch in batches for row in batch.records.to_pylist()]
        n_read = 0
        for batch in batches:
            n_read += batch.records.num_rows
            rest = [row for of in read_split(split, item, LIMITS, [], batch.cursor) for row in of.records.to_pylist()]
            assert rest == rows[n_read:]


FAULTS = ("503", "503 0", "429 0.05", "500", "reset", "wrong range", "slow")


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_now_and_then_is_had_in_the_end(mirror: Mirror, server: Server, fault: str) -> None:
    def sometimes(asked: Asked, number: int) -> str | None:
        return fault if number == 0 and ".warc" in asked.path and (asked.start or 0) % 3 == 0 else None

    server.fault = sometimes
    fetch = {"timeout_s": 0.3 if fault == "slow" else 5, "connections": 8}
    rows, _ = read(wanted(server.url, {"fetch": fetch, "mimes": []}, languages=["kor"]))
    seen = Counter((asked.path, asked.start, asked.end) for asked in server.warc_requests())
    assert 2 in seen.values()
    assert sorted_rows(rows) == sorted_rows(whole([SAMPLE / "libreoffice_ko.warc.gz"]))


def test_a_server_that_ignores_ranges_is_not_listened_to(server: Server) -> None:
    server.fault = lambda asked, number: "ignores ranges" if ".warc.gz" in asked.path else None
    before = server.n_bytes
    with pytest.raises(
        RunError, match=r"20 ranges in a row .* ignores ranges \(status 200\)\); what is whole is kept"
    ):
        read(wanted(server.url, {"fetch": {"gap_bytes": 0}}))
    assert server.n_bytes - before < 200 << 20  # what lay in sockets, not 20 GB


def alone(mirror: Mirror, server: Server) -> tuple[Row, Callable[[Asked], bool]]:
    """A Korean record that is fetched by a request of its own, and whether a request is that."""
    read(wanted(server.url, languages=["kor"]))
    asked = {(of.path.lstrip("/"), of.start, of.end) for of in server.warc_requests()}
    server.asked.clear()

    def place(row: Row) -> tuple[str, int, int]:
        start = row["warc_record_offset"]
        return row["warc_filename"], start, start + row["warc_record_length"]

    row = max((row for row in mirror.rows if place(row) in asked), key=lambda row: row["warc_record_length"])
    return row, lambda of: (of.path.lstrip("/"), of.start, of.end) == place(row)


def test_one_record_that_cannot_be_had_is_a_failed_row(mirror: Mirror, server: Server) -> None:
    bad, is_bad = alone(mirror, server)
    server.fault = lambda asked, number: "404" if is_bad(asked) else None
    rows, _ = read(wanted(server.url, languages=["kor"], metadata={"address": "url"}))
    (failed,) = [row for row in rows if row["verdict"]]
    assert len(rows) == 80
    assert failed == failed | {
        "verdict": "failed",
        "reason": "fetch_failed",
        "detail": "status 404",
        "value": 404,
        "key": f"{bad['warc_filename']}:{bad['warc_record_offset']}",
        "offset": bad["warc_record_offset"],
        "metadata": {"address": bad["url"]},
    }


def test_of_a_joined_range_the_others_are_had(mirror: Mirror, server: Server) -> None:
    at = next(row for row in mirror.rows if row["content_languages"] == "kor,eng")["warc_record_offset"]

    def without_one(asked: Asked, number: int) -> str | None:
        holds = "libreoffice" in asked.path and (asked.start or 0) <= at < (asked.end or 0)
        return "404" if holds else None

    server.fault = without_one
    rows, _ = read(wanted(server.url, {"fetch": {"gap_bytes": 1 << 20}}, languages=["kor"]))
    assert [row["offset"] for row in rows if row["verdict"]] == [at]
    assert len(rows) == 80


def test_retries_end(mirror: Mirror, server: Server) -> None:
    _, is_bad = alone(mirror, server)
    server.fault = lambda asked, number: "500" if is_bad(asked) else None
    rows, _ = read(wanted(server.url, {"fetch": {"retries": 2}}, languages=["kor"]))
    assert [row["detail"] for row in rows if row["verdict"]] == ["status 500, after 3 tries"]
    assert sum(is_bad(asked) for asked in server.asked) == 3


@pytest.mark.parametrize("n_good", [20, 35, 60])
def test_an_outage_stops_the_run_and_leaves_no_rows(server: Server, n_good: int) -> None:
    server.fault = lambda asked, number: "503 0" if len(server.warc_requests()) > n_good else None
    item = wanted(server.url, {"fetch": {"gap_bytes": 0, "retries": 1}})
    seen: list[Row] = []
    with pytest.raises(RunError, match=r"ranges in a row could|nothing can be fetched|index cannot be"):
        for split in plan_splits(item, "", 1):
            for batch in read_split(split, item, LIMITS, []):
                seen += batch.records.to_pylist()
    assert [row["detail"] for row in seen if row["reason"] == "fetch_failed"] == []


def test_a_host_that_wants_to_be_left_alone_is(server: Server) -> None:
    server.fault = lambda asked, number: "429 3600" if ".warc" in asked.path else None
    with pytest.raises(RunError, match="asks to be left alone for 3,600 s; what is whole is kept"):
        read(wanted(server.url))
    assert len(server.warc_requests()) <= 4  # those that were under way


def test_damage_on_the_way_is_damage_in_the_file(mirror: Mirror, server: Server, tmp_path: Path) -> None:
    """A flipped byte that no transfer checks is what the same file would give."""
    row, is_bad = alone(mirror, server)
    end = row["warc_record_offset"] + row["warc_record_length"]
    data = bytearray((SAMPLE / "libreoffice_ko.warc.gz").read_bytes())
    data[end - 40] ^= 0xFF
    (tmp_path / "a.warc.gz").write_bytes(data)
    server.fault = lambda asked, number: "flipped" if is_bad(asked) else None
    rows, _ = read(wanted(server.url, languages=["kor"]))
    (ours,), (theirs,) = ([row for row in of if row["verdict"]] for of in (rows, whole([tmp_path / "a.warc.gz"])))
    assert without_place([ours]) == without_place([theirs])
    assert ours["reason"] == "malformed_gzip"


def made(root: Path, data: bytes) -> Mirror:
    """A crawl of one file that holds just these bytes; its index names all of them as one record."""
    root.mkdir()
    (root.parent / "in.warc.gz").write_bytes(member(page(b"<p>")))
    mirror = build(root, {root.parent / "in.warc.gz": None}, n_files=1)
    (root / mirror.rows[0]["warc_filename"]).write_bytes(data)
    return indexed(root, [{**mirror.rows[0], "warc_record_length": len(data)}], n_files=1)


def test_what_an_index_may_not_name(tmp_path: Path) -> None:
    (tmp_path / "secret.warc.gz").write_bytes(member(page(b"<p>secret")))
    two, request = member(page(b"<p>one", "1"), page(b"<p>two", "2")), member(stored(b"", "3", "request"))
    mirror = made(tmp_path / "a", two + request)
    changes: list[dict[str, Any]] = [
        {"warc_record_length": len(two)},
        {"warc_record_offset": len(two), "warc_record_length": len(request)},
        {"warc_filename": "../secret.warc.gz"},
        {"warc_filename": "crawl-data/../../secret.warc.gz"},
        {"warc_filename": "/etc/passwd"},
        {"warc_filename": "a?b"},
        {"warc_record_offset": -1},
        {"warc_record_length": 0},
        {"warc_record_length": 1 << 30},
        {"warc_record_offset": 1 << 20},
    ]
    indexed(tmp_path / "a", [mirror.rows[0] | change for change in changes], n_files=1)
    rows, skipped = read(wanted(tmp_path / "a", {"mimes": []}))
    expected = ["<p>one", "<p>two", *["fetch_failed"] * 7, "record_too_large"]
    assert sorted(row["reason"] or row["content"].decode() for row in rows) == sorted(expected)
    assert skipped == {"request": 1}


def test_a_member_of_several_records_resumes_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.read_batch.BATCH_RECORDS", 1)
    made(tmp_path / "a", member(*(page(f"<p>{n}".encode(), str(n)) for n in range(5))))
    item = wanted(tmp_path / "a", {"mimes": []})
    (split,) = plan_splits(item, "", 1)
    batches = list(read_split(split, item, LIMITS, []))
    assert [batch.records["content"].to_pylist() for batch in batches] == [[f"<p>{n}".encode()] for n in range(5)]
    for number, batch in enumerate(batches):
        rest = list(read_split(split, item, LIMITS, [], batch.cursor))
        assert [of.records.to_pylist() for of in rest] == [of.records.to_pylist() for of in batches[number + 1 :]]


def test_requests_are_as_polite_as_asked(server: Server) -> None:
    fetch = {"requests_per_second": 60, "connections": 3, "contact": "a@b.example"}
    server.latency_s = 0.045  # so that three connections are busy
    read(wanted(server.url, {"fetch": fetch, "max_records": 60}))
    times = sorted(asked.at_s for asked in server.asked)
    assert len(times) > 60
    assert all(late - early > 0.6 for early, late in zip(times, times[55:], strict=False))  # 0.92 but for jitter
    assert 2 <= server.n_open_max <= 3
    assert server.n_connections <= 3  # they stay open
    assert {asked.agent for asked in server.asked} == {crawl_source.user_agent("a@b.example")}


def test_all_wait_where_one_is_asked_to(server: Server) -> None:
    told: list[float] = []

    def once(asked: Asked, number: int) -> str | None:
        if told or len(server.warc_requests()) < 20:
            return None
        told.append(time.monotonic())
        return "503 0.6"

    server.fault = once
    read(wanted(server.url, {"fetch": {"gap_bytes": 0}}))
    times = [asked.at_s for asked in server.warc_requests()]
    assert sum(told[0] < at < told[0] + 0.55 for at in times) <= 8  # that were under way: as many as connections
    assert sum(at > told[0] + 0.55 for at in times) > 30


def test_what_is_asked_for_must_be_there(
    mirror: Mirror, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match="no index of 'CC-MAIN-2031-01'"):
        plan_splits(wanted(server.url, {"id": "CC-MAIN-2031-01"}), "", 1)
    with pytest.raises(RequestError, match="no index of"):
        plan_splits(wanted(tmp_path), "", 1)
    with pytest.raises(RequestError, match=r"crawl.fetch.contact: .* is shared by everyone"):
        plan_splits(Input(source="s", crawl=ID), "", 1)
    item = wanted(server.url)
    split = plan_splits(item, "", 1)[0]
    changed = type(split)(**{**split.__dict__, "file_digest": "0" * 32})
    with pytest.raises(RunError, match="the index changed"):
        list(read_split(changed, item, LIMITS, []))
    server.fault = lambda asked, number: "503 0"
    with pytest.raises(RunError, match="cannot be had from http"):
        plan_splits(wanted(server.url, {"fetch": {"retries": 1}}), "", 1)


def test_an_index_of_before_languages_were_told(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from . import crawls

    old = crawls.SCHEMA
    for name in ("content_languages", "content_charset"):
        old = old.remove(old.get_field_index(name))
    monkeypatch.setattr(crawls, "SCHEMA", old)
    build(tmp_path / "old", FILES)
    with pytest.raises(RequestError, match="the index has no columns content_languages; languages are known since"):
        plan_splits(wanted(tmp_path / "old", languages=["kor"]), "", 1)
    assert len(read(wanted(tmp_path / "old"))[0]) == 289


def test_a_mirror_at_any_fsspec_url_and_without_a_list(mirror: Mirror) -> None:
    memory = fsspec.filesystem("memory")
    for path in mirror.root.rglob("*"):
        if path.is_file() and not path.name.endswith("paths.gz"):
            memory.pipe_file(f"/mirror/{path.relative_to(mirror.root)}", path.read_bytes())
    rows, _ = read(wanted("memory://mirror", languages=["kor"]))
    assert sorted_rows(rows) == sorted_rows(whole([SAMPLE / "libreoffice_ko.warc.gz"]))
    assert {row["file"].partition("/crawl-data/")[0] for row in rows} == {"memory://mirror"}


def test_files_that_a_mirror_lacks_stop_the_run(mirror: Mirror, tmp_path: Path) -> None:
    shutil.copytree(mirror.root, tmp_path / "some")
    (tmp_path / "some" / f"crawl-data/{ID}/segments/1.1/warc/postgresql.warc.gz").unlink()
    with pytest.raises(RunError, match=r"20 ranges in a row could not be fetched \(the last: FileNotFoundError"):
        read(wanted(tmp_path / "some"))


@given(st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_whatever_is_chosen_its_rows_are_those_of_the_whole(mirror: Mirror, data: st.DataObject) -> None:
    """Row by row over the index, without Parquet, statistics or masks: the oracle of every choice."""
    hosts = sorted({row["url_host_name"] for row in mirror.rows})
    some = {name: data.draw(st.lists(st.sampled_from(of), max_size=2)) for name, of in _places(hosts).items()}
    languages = data.draw(st.lists(st.sampled_from(["kor", "eng", "deu"]), max_size=2))
    match = data.draw(st.sampled_from(["primary", "any"]))
    mimes = data.draw(st.sampled_from([[], ["text/html"], ["application/pdf"]]))

    def keeps(row: Row) -> bool:
        told = row["content_languages"].split(",")
        speaks = not languages or bool(set(languages) & set(told if match == "any" else told[:1]))
        of_place = [
            row["url_host_tld"] in some["tlds"],
            row["url_host_registered_domain"] in some["domains"],
            row["url_host_name"] in some["hosts"],
        ]
        return (
            speaks
            and (any(of_place) or not any(some.values()))
            and (not mimes or row["content_mime_detected"] in mimes)
        )

    expected = sorted((row["warc_filename"], row["warc_record_offset"]) for row in mirror.rows if keeps(row))
    item = wanted(mirror.root, {"match": match, "mimes": mimes, **some}, languages=languages)
    try:
        splits = plan_splits(item, "", 1)
    except RequestError:
        assert expected == []
        return
    found = []
    for split in splits:
        for batch in read_split(split, item, LIMITS, []):
            found += [(row["file"][len(str(mirror.root)) + 1 :], row["offset"]) for row in batch.records.to_pylist()]
    assert sorted(found) == expected


def _places(hosts: list[str]) -> dict[str, list[str]]:
    return {
        "tlds": sorted({host.rpartition(".")[2] for host in hosts} | {"kr"}),
        "domains": sorted({".".join(host.split(".")[-2:]) for host in hosts} | {"example.co.kr"}),
        "hosts": [*hosts, "www.example.kr"],
    }


@pytest.mark.slow
def test_real_archives_by_ranges(shared_data: Path, tmp_path: Path) -> None:
    """Real pages in several languages and charsets, and a record of Common Crawl's own."""
    web = shared_data / "web"
    files = {
        web / "ko_docs.warc.gz": "kor",
        web / "ko_euckr_apache.warc.gz": "kor",
        web / "wild_pages.warc.gz": "eng,kor",
        web / "real_crawls/whirlwind-python__whirlwind.warc.gz": "fra",
        web / "real_crawls/pywb__iana.warc.gz": "eng",
    }
    mirror = build(tmp_path / "mirror", files, n_files=3, group_rows=100)
    korean = [path for path, languages in files.items() if languages == "kor"]
    with served(mirror.root) as server:
        for languages, paths in ((["kor"], korean), (["kor", "eng", "fra"], list(files))):
            rows, _ = read(wanted(server.url, {"mimes": []}, languages=languages))
            expected = [row for row in whole(paths) if row["reason"] != "http_status"]
            assert sorted_rows(rows) == sorted_rows(expected)
    assert len(rows) > 900


def test_one_record_of_each_split_that_fails_is_an_outage_too(server: Server) -> None:
    item = wanted(server.url)
    split = plan_splits(item, "", 1)[0]
    one = type(split)(**{**split.__dict__, "n_max": 1})
    server.fault = lambda asked, number: "404" if ".warc" in asked.path else None
    with pytest.raises(RunError, match="20 ranges in a row"):
        for _ in range(25):
            rows = [row for batch in read_split(one, item, LIMITS, []) for row in batch.records.to_pylist()]
            assert [row["detail"] for row in rows] == ["status 404"]
