"""The bundled sample is whole, real, licensed, and holds every kind of outcome."""

import gzip
import importlib.util
import json
import re
import zlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

import manifests
from manifests.load import any_manifest, load_manifest

FOLDER = Path(manifests.__file__).parent
SAMPLE = FOLDER / "sample"
CHATS = SAMPLE / "chats"
FILES = [path for path in SAMPLE.rglob("*") if path.is_file() and path.name not in ("README.md", "sources.json")]
LICENCES = {"Apache-2.0", "MIT", "MPL-2.0", "PostgreSQL", "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "OGL-3.0"}
SOURCES = json.loads((SAMPLE / "sources.json").read_text("utf-8"))

Row = dict[str, str]


def members(name: str) -> Iterator[tuple[bytes, bool]]:
    """The unpacked gzip members of an archive, and whether each is whole."""
    rest = (SAMPLE / "web" / name).read_bytes()
    while rest:
        unpacker = zlib.decompressobj(31)
        record = unpacker.decompress(rest)
        yield record, unpacker.eof
        rest = unpacker.unused_data


def rows(name: str) -> list[Row]:
    return rows_of(SAMPLE / name)


def rows_of(path: Path) -> list[Row]:
    name = path.name
    if name.endswith(".parquet"):
        return list(pq.read_table(path).to_pylist())
    packed = path.read_bytes()
    lines = gzip.decompress(packed) if name.endswith(".gz") else zstandard.ZstdDecompressor().decompress(packed)
    return [json.loads(line) for line in lines.splitlines()]


def test_every_file_has_a_source_whose_licence_lets_it_be_shipped() -> None:
    patterns = [pattern for source in SOURCES for pattern in source["files"]]
    for path in FILES:
        assert any(fnmatch(str(path.relative_to(SAMPLE)), pattern) for pattern in patterns), path
    for source in SOURCES:
        assert source["license"] in LICENCES or source["license"].startswith("public domain"), source
        assert source["attribution"]
        assert source["source"] in (SAMPLE / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["ko_docs.jsonl.zst", "ko_reviews.jsonl.gz", "en_docs.parquet"])
def test_rows_carry_the_licence_of_their_source(name: str) -> None:
    licence_of = {source["source"]: source["license"] for source in SOURCES if name in source["files"]}
    found = {(row["source"], row["license"]) for row in rows(name)}
    assert found == set(licence_of.items())


def test_is_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < 3_000_000


@pytest.mark.parametrize("name", ["apache.warc.gz", "libreoffice_ko.warc.gz", "postgresql.warc.gz"])
def test_archives_hold_one_named_record_a_member(name: str) -> None:
    ids = [re.findall(rb"^WARC-Record-ID: (\S+)", record, re.M) for record, _ in members(name)]
    assert all(len(found) == 1 for found in ids)
    assert len({found[0] for found in ids}) == len(ids)


def test_only_the_last_apache_record_is_cut_short() -> None:
    for name in ("apache.warc.gz", "libreoffice_ko.warc.gz", "postgresql.warc.gz"):
        whole = [is_whole for _, is_whole in members(name)]
        assert all(whole[:-1])
        assert whole[-1] == (name != "apache.warc.gz")


def test_korean_apache_pages_are_euckr() -> None:
    records = [record for record, is_whole in members("apache.warc.gz") if is_whole and b"/docs/2.4/ko/" in record]
    pages = [record.split(b"\r\n\r\n", 2)[2].removesuffix(b"\r\n\r\n") for record in records]
    pages = [gzip.decompress(page) if page[:2] == b"\x1f\x8b" else page for page in pages]
    declared = [b"charset=euc-kr" in record.split(b"\r\n\r\n", 2)[1].lower() for record in records]
    assert len(pages) == 44
    assert all(len(re.findall("[가-힣]", page.decode("cp949"))) > 100 for page in pages)
    assert True in declared
    assert False in declared  # only the meta tag says so


def test_holds_exact_and_near_duplicates() -> None:
    texts = [row["text"] for row in rows("ko_docs.jsonl.zst")]
    pages = [row["url"].split("?rev=")[0] for row in rows("ko_docs.jsonl.zst")]
    assert len(texts) - len(set(texts)) >= 14
    assert len(pages) - len(set(pages)) > len(texts) - len(set(texts))


def test_holds_no_personal_data() -> None:
    texts = [path.read_text("utf-8") for path in (SAMPLE / "notes").rglob("*.*")]
    texts += [
        row["text"] for name in ("ko_docs.jsonl.zst", "ko_reviews.jsonl.gz", "en_docs.parquet") for row in rows(name)
    ]
    telephone = re.compile(r"(?<!\d)01\d-?\d{3,4}-?\d{4}(?!\d)")
    resident = re.compile(r"(?<!\d)\d{6}-[1-8]\d{6}(?!\d)")
    assert not [text for text in texts if telephone.search(text) or resident.search(text)]


def test_demo_reads_every_file_once() -> None:
    demo = load_manifest(str(FOLDER / "recipes" / "demo.yaml"))
    read = [path for item in demo.inputs for path in SAMPLE.glob(item.path)]
    assert sorted(read) == sorted(path for path in FILES if path.parent != CHATS)


def test_chats_are_those_that_their_script_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("make_chats", FOLDER.parent / "benchmarks" / "make_chats.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    script.main()
    written = {path.name: rows_of(path) for path in tmp_path.iterdir()}
    assert written == {path.name: rows_of(path) for path in CHATS.iterdir()}
    assert sum(path.stat().st_size for path in CHATS.iterdir()) < 100_000


@pytest.mark.parametrize("language", ["ko", "en"])
def test_sums_are_right_and_their_wrong_answers_wrong(language: str) -> None:
    for row in rows_of(CHATS / f"sums_{language}.jsonl.zst"):
        a, b = map(int, re.findall(r"\d+", str(row["question"])))
        totals = [int(found) for choice in row["choices"] for found in re.findall(r"\d+", choice)]
        assert len(set(totals)) == 4 and [total == a + b for total in totals].index(True) == int(row["answer"])


@pytest.mark.parametrize("path", sorted((FOLDER / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_are_manifests_of_their_name_that_explain_themselves(path: Path) -> None:
    assert any_manifest(str(path)).name == path.stem.replace(".", "_")  # a manifest's name has no dot
    assert path.read_text("utf-8").startswith("# ")
