"""Personal data through whole runs: found once, masked as each decision says, told in ledger, record and report."""

import json
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from curation.explain import explain
from curation.pipeline import changed_manifest, curate, decide_again, prepare
from manifests.errors import RequestError
from manifests.load import load_manifest
from manifests.record import RunRecord
from manifests.store import Folder

pytestmark = pytest.mark.usefixtures("without_charts")

KEY = "a key of at least 16 bytes"
TEXTS = [
    "연락처kim@naver.com로 보내고 010-1234-5678로 전화하세요",
    "메일은 kim@naver.com, 사업자등록번호 116-82-00276입니다",
    "아무것도 없는 글입니다",
    "마지막 글: lee@daum.net 으로 연락 주세요. 짧다",
]
MANIFEST = """
kind: corpus
name: personal
inputs: [{source: s, path: in.jsonl}]
measure: {pii: {kinds: [email, phone, brn]}}
rules: [{name: no_lee, keep: "text not like '마지막%'"}]
output: out
"""


def run(folder: Path, more: str = "", manifest: str = MANIFEST) -> RunRecord:
    (folder / "in.jsonl").write_bytes(b"\n".join(orjson.dumps({"text": text}) for text in TEXTS))
    (folder / "m.yaml").write_text(manifest + more)
    return curate(prepare(load_manifest(str(folder / "m.yaml")), str(folder)))


def redecide(folder: Path, more: str) -> RunRecord:
    (folder / "m.yaml").write_text(MANIFEST + more)
    out = Folder(str(folder / "out"))
    manifest = changed_manifest(out, load_manifest(str(folder / "m.yaml")), str(folder), [])
    return decide_again(out, manifest, out.path)


def documents(folder: Path) -> list[dict[str, Any]]:
    frame = pl.read_parquet(folder / "out/documents/*.parquet")
    return sorted(frame.to_dicts(), key=lambda row: [text[:3] for text in TEXTS].index(row["text"][:3]))


def marked(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(span["kind"], row["text"][span["start"] : span["end"]]) for span in row["pii"]]


def test_tags_without_masking(tmp_path: Path) -> None:
    record = run(tmp_path)
    rows = documents(tmp_path)
    assert [row["text"] for row in rows] == TEXTS[:3]
    assert marked(rows[0]) == [("email", "kim@naver.com"), ("phone", "010-1234-5678")]
    assert marked(rows[1]) == [("email", "kim@naver.com"), ("brn", "116-82-00276")]
    assert marked(rows[2]) == []
    found = {"n_found": 3, "n_docs": 3, "n_kept": 2, "n_kept_docs": 2, "n_masked": 0}
    assert record.pii["email"] == found
    ledger = pl.read_parquet(tmp_path / "out/ledger/*.parquet")
    assert ledger["pii_counts"].struct.field("email").sum() == 3
    assert ledger["pii_counts"].struct.field("rrn").null_count() == 4  # not looked for


def test_masks_what_is_not_public(tmp_path: Path) -> None:
    record = run(tmp_path, "redact: {}\n")
    rows = documents(tmp_path)
    assert [row["text"] for row in rows] == [
        "연락처<EMAIL>로 보내고 <PHONE>로 전화하세요",
        "메일은 <EMAIL>, 사업자등록번호 116-82-00276입니다",
        TEXTS[2],
    ]
    assert marked(rows[0]) == [("email", "<EMAIL>"), ("phone", "<PHONE>")]
    assert marked(rows[1]) == [("email", "<EMAIL>"), ("brn", "116-82-00276")]
    assert (record.pii["email"]["n_masked"], record.pii["brn"]["n_masked"]) == (2, 0)
    assert record.counts["kept_text_bytes"] == sum(len(row["text"].encode()) for row in rows)
    for name in ("report.html", "summary.json", "README.md", "run.json"):
        page = (tmp_path / "out" / name).read_text()
        assert not [value for value in ("kim@naver.com", "lee@daum.net", "1234-5678") if value in page], name
    report = (tmp_path / "out/report.html").read_text()
    assert "Personal data" in report
    assert "연락처&lt;EMAIL&gt;로 보내고 &lt;PHONE&gt;로" in report


def test_another_decision_masks_in_another_way_without_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path, "redact: {}\n")
    measured = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").glob("*.parquet")}
    monkeypatch.setenv("ONGGI_TEST_KEY", KEY)
    second = redecide(tmp_path, "redact: {mode: surrogate, key: ONGGI_TEST_KEY, kinds: [email]}\n")
    rows = documents(tmp_path)
    made_up = {value for row in rows for kind, value in marked(row) if kind == "email"}
    assert len(made_up) == 1  # one person in two documents
    assert made_up.pop().endswith("@example.com")
    assert "010-1234-5678" in rows[0]["text"]
    assert KEY not in (tmp_path / "out/run.json").read_text()
    monkeypatch.setenv("ONGGI_TEST_KEY", KEY[::-1])
    third = redecide(tmp_path, "redact: {mode: surrogate, key: ONGGI_TEST_KEY, kinds: [email]}\n")
    assert len({record.digests["documents"] for record in (first, second, third)}) == 3
    assert len({record.fingerprint for record in (first, second, third)}) == 3
    redecide(tmp_path, "redact: {mode: none}\n")
    assert [row["text"] for row in documents(tmp_path)] == TEXTS[:3]
    assert measured == {path: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").glob("*.parquet")}


def test_a_missing_key_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="neither an environment variable 'NO_SUCH_KEY'"):
        run(tmp_path, "redact: {mode: surrogate, key: NO_SUCH_KEY}\n")
    assert not (tmp_path / "out").exists()


def test_masked_texts_without_stored_ones_stay_as_they_are(tmp_path: Path) -> None:
    plain = MANIFEST.replace("rules: [{name: no_lee, keep: \"text not like '마지막%'\"}]\n", "store: columns\n")
    run(tmp_path, "redact: {}\n", plain)
    before = documents(tmp_path)
    assert "measured" in {path.parent.name for path in (tmp_path / "out").glob("*/*.parquet")}
    assert not [path for path in (tmp_path / "out/measured").glob("*") if b"kim@" in path.read_bytes()]
    (tmp_path / "m.yaml").write_text(plain + "redact: {}\nrules: [{name: few, keep: 'pii_count < 2'}]\n")
    out = Folder(str(tmp_path / "out"))
    decide_again(out, changed_manifest(out, load_manifest(str(tmp_path / "m.yaml")), str(tmp_path), []), out.path)
    assert documents(tmp_path) == [row for row in before if len(row["pii"]) < 2]
    (tmp_path / "m.yaml").write_text(plain)
    with pytest.raises(RequestError, match="cannot be masked in another way"):
        decide_again(out, changed_manifest(out, load_manifest(str(tmp_path / "m.yaml")), str(tmp_path), []), out.path)


def test_what_repeats_is_not_told_from_masked_texts(tmp_path: Path) -> None:
    plain = MANIFEST.replace("text not like '마지막%'", "n_bytes > 0")
    plain += "store: columns\nredact: {}\ndedup: {spans: {min_chars: 20, action: drop}}\n"
    run(tmp_path, "", plain)
    out = Folder(str(tmp_path / "out"))
    with pytest.raises(RequestError, match=r"leave `dedup.lines` and `dedup.spans` out"):
        decide_again(out, changed_manifest(out, None, "", []), out.path)
    assert out.exists("run.json")


def test_texts_that_are_not_masked_can_be_without_stored_ones(tmp_path: Path) -> None:
    plain = MANIFEST.replace("keep: \"text not like '마지막%'\"", "keep: 'n_bytes > 0'") + "store: columns\n"
    run(tmp_path, "redact: {mode: none}\n", plain)
    (tmp_path / "m.yaml").write_text(plain + "redact: {}\n")
    out = Folder(str(tmp_path / "out"))
    decide_again(out, changed_manifest(out, load_manifest(str(tmp_path / "m.yaml")), str(tmp_path), []), out.path)
    assert marked(documents(tmp_path)[0]) == [("email", "<EMAIL>"), ("phone", "<PHONE>")]


def test_what_repeats_is_masked_in_the_report_too(tmp_path: Path) -> None:
    footer = "문의는 kim@naver.com 또는 010-1234-5678로 해 주세요. 감사합니다."
    texts = [f"{number}번째 글의 내용은 이렇습니다. lee{number}@daum.net\n{footer}" for number in range(60)]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(orjson.dumps({"text": text}) for text in texts))
    (tmp_path / "m.yaml").write_text(
        MANIFEST + "redact: {}\ndedup: {lines: {keep: not_red, other: {red_over: 9, green_max: 1}}}\n"
    )
    curate(prepare(load_manifest(str(tmp_path / "m.yaml")), str(tmp_path)))
    rows = pl.read_parquet(tmp_path / "out/documents/*.parquet").to_dicts()
    assert {len(row["pii"]) for row in rows} == {1}
    assert {marked(row)[0] for row in rows} == {("email", "<EMAIL>")}
    report = (tmp_path / "out/report.html").read_text()
    assert "문의는 &lt;EMAIL&gt;" in report
    assert "kim@naver.com" not in report


def test_explain_names_kinds_and_places(tmp_path: Path) -> None:
    run(tmp_path, "redact: {}\n")
    row = documents(tmp_path)[0]
    (story,) = explain(Folder(str(tmp_path / "out")), row["id"])
    assert [span["kind"] for span in story.measured["pii"]] == ["email", "phone"]
    assert json.dumps(story.measured["pii_count"]) == "2"
    assert [span["written"] for span in story.pii] == ["<EMAIL>", "<PHONE>"]


def test_without_either_there_is_no_column(tmp_path: Path) -> None:
    record = run(tmp_path, manifest=MANIFEST.replace("measure: {pii: {kinds: [email, phone, brn]}}\n", ""))
    for table in ("documents", "ledger", "measured"):
        assert not [name for name in pl.read_parquet(tmp_path / f"out/{table}/*.parquet").columns if "pii" in name]
    assert record.pii == {}
    assert "Personal data" not in (tmp_path / "out/report.html").read_text()
