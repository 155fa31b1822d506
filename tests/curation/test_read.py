"""Finding input files, and reading them from folders and remote stores."""

import dataclasses
import gzip
import importlib.util
import json
import os
import sys
import unicodedata
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from xxhash import xxh3_128_hexdigest

from curation import read_pdf
from curation.code.languages import all_languages
from curation.crawl.source import source_of
from curation.read import Split, find_files, plan_splits
from curation.read_code import _detector
from curation.wikitext.tokens import token_types
from manifests.errors import RequestError
from manifests.schema import Input, Limits

from .reading import check_cursors, member, page, read_all, without_place


@pytest.fixture
def folder(tmp_path):
    files = {
        "a.jsonl": b'{"text": "a"}\n',
        "sub/b.JSONL.GZ": gzip.compress(b'{"text": "b"}\n'),
        "sub/c.txt": b"c",
        "sub/deep/d.md": b"",
        "_SUCCESS": b"",
        "sub/.hidden.txt": b"x",
        "image.png": b"x",
        "w.warc.wet.gz": member(page(b"w")),
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def found(path, folder, **item):
    files = find_files(Input(source="web", path=path, **item), str(folder))
    assert all(Path(file.path).is_file() for file in files)
    return [(file.name, file.format) for file in files]


def test_folders_globs_and_files(folder):
    everything = [
        ("a.jsonl", "jsonl"),
        ("sub/b.JSONL.GZ", "jsonl"),
        ("sub/c.txt", "text"),
        ("sub/deep/d.md", "text"),
        ("w.warc.wet.gz", "warc"),
    ]
    assert found(".", folder) == found(str(folder), "/elsewhere") == everything
    assert found("sub", folder, format="text") == [("c.txt", "text"), ("deep/d.md", "text")]
    assert found("**/*.md", folder) == [("sub/deep/d.md", "text")]
    assert found("s*", folder) == everything[1:4]
    assert found("sub/c.txt", folder) == [("c.txt", "text")]
    assert found("image.png", folder, format="text") == [("image.png", "text")]
    assert found(str(folder / "*.jsonl"), "/elsewhere") == [("a.jsonl", "jsonl")]


@pytest.mark.parametrize("path", ["..", "{}/sub/..", "file://{}", "../**/*.txt"])
@pytest.mark.parametrize("output", ["{}/sub", "file://{}/sub"])
def test_the_output_is_no_input_however_it_is_written(folder, path, output):
    (folder / "e.txt").write_bytes(b"e")
    item = Input(source="web", path=path.format(folder), format="text")
    files = find_files(item, str(folder / "sub"), leave_out=output.format(folder))
    assert [Path(file.name).name for file in files] == ["e.txt"]


def test_a_file_whose_name_looks_like_a_glob(tmp_path):
    (tmp_path / "a[1].txt").write_bytes(b"x")
    assert found("a[1].txt", tmp_path) == [("a[1].txt", "text")]


@pytest.mark.parametrize(
    ("path", "item", "message"),
    [
        ("none.jsonl", {}, r"source 'web': nothing to read at 'none.jsonl' \(.*/none.jsonl\)"),
        ("*.csv", {}, r"source 'web': nothing to read at '\*.csv'"),
        (".", {"format": "parquet"}, r"looked for .parquet"),
        ("image.png", {}, r"the name of '.*/image.png' does not tell its format; known are .warc, .*warc, jsonl"),
        ("sub", {"text": "body"}, r"source 'web': text cannot be mapped.*format text"),
        ("w.warc.wet.gz", {"html": "body"}, r"source 'web': html cannot be mapped.*format warc"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(folder, path, item, message):
    with pytest.raises(RequestError, match=message):
        plan_splits(Input(source="web", path=path, **item), str(folder), 1 << 20)


@pytest.mark.parametrize(
    ("names", "item", "message"),
    [
        (
            ["kowiki.xml.bz2", ".hidden.xml"],
            {},
            "there is kowiki.xml.bz2; to read them say `format: mediawiki`",
        ),
        (["a/1.pdf"], {}, "there is a/1.pdf; to read them say `format: pdf`"),
        (["a.tar.gz"], {}, "there is a.tar.gz; to read them say `format: latex` or `format: code`"),
        (["a.zip"], {}, "there is a.zip; to read them say `format: code`"),
        (["e.csv", "b.csv", "a.csv", "c.csv", "d.csv"], {}, "there is a.csv, b.csv, c.csv and 2 more"),
        ([".hidden.xml"], {}, r"looked for .*\.txt, \.md"),
        (
            ["a.jsonl"],
            {"format": "parquet"},
            "looked for .parquet; there is a.jsonl; to read them say `format: jsonl`",
        ),
    ],
)
def test_where_nothing_is_read_it_says_what_lies_there(tmp_path, names, item, message):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(RequestError, match=rf"{message}$"):
        find_files(Input(source="web", path=".", **item), str(tmp_path))


@pytest.mark.parametrize(
    ("item", "absent", "message"),
    [
        ({"format": "mediawiki"}, "mwparserfromhell.parser", "format: mediawiki needs mwparserfromhell: wiki"),
        ({"format": "code", "code": {"licenses": "skip"}}, "pygments.lexers", "format: code needs Pygments: code"),
        ({"format": "code"}, "licensedcode", "code.licenses needs scancode-toolkit-mini: code"),
        ({"format": "pdf"}, "pypdfium2", "format: pdf needs pypdfium2: pdf"),
        ({"crawl": {"id": "CC-MAIN-2025-05"}, "path": "http://127.0.0.1:1"}, "httpx2", "crawl needs httpx2: crawl"),
    ],
)
def test_what_is_not_installed_is_told_with_its_source_and_field(tmp_path, monkeypatch, item, absent, message):
    (tmp_path / "a.txt").write_bytes(b"x")
    for cached in (all_languages, token_types, source_of, _detector):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, absent, None)
    found = importlib.util.find_spec
    for owner in (importlib.util, read_pdf):
        monkeypatch.setattr(owner, "find_spec", lambda name: None if name == absent else found(name))
    needs, _, extra = message.rpartition(": ")
    with pytest.raises(RequestError, match=rf"^source 'a': {needs}: pip install 'onggi\[{extra}\]'$"):
        plan_splits(Input(**({"source": "a", "path": "a.txt"} | item)), str(tmp_path), 1 << 20)


def test_text_files_are_records_and_splits_hold_a_few(folder):
    (folder / "sub" / unicodedata.normalize("NFD", "한글.txt")).write_bytes("글".encode())
    (folder / "sub" / "big.txt").write_bytes(b"x" * 2000)
    path = folder / "sub"
    rows, _ = read_all(path, limits=Limits(record_bytes=1024), format="text", set={"license": "MIT"})
    assert [(row["key"], row["content"], row["kind"], row["utf8"], row["license"]) for row in rows] == [
        ("big.txt", None, "text", False, "MIT"),
        ("c.txt", b"c", "text", False, "MIT"),
        ("deep/d.md", b"", "text", False, "MIT"),
        ("한글.txt", "글".encode(), "text", False, "MIT"),
    ]
    assert (rows[0]["reason"], rows[0]["value"], rows[1]["file"]) == ("record_too_large", 2000, f"{path}/c.txt")
    item = Input(source="s", path=str(path), format="text")
    splits = plan_splits(item, "", 3)
    assert [split.files[0] for split in splits][:2] == ["big.txt", "c.txt"]
    assert len(splits) == 3
    assert read_all(path, 3, Limits(record_bytes=1024), format="text", set={"license": "MIT"})[0] == rows
    assert check_cursors(path, 1 << 20, format="text") == 1


def test_a_split_survives_json(folder):
    for split in plan_splits(Input(source="web", path="."), str(folder), 1):
        assert Split(**json.loads(json.dumps(dataclasses.asdict(split)))) == split


def test_the_digest_is_that_of_the_content(folder):
    (split,) = plan_splits(Input(source="web", path="a.jsonl"), str(folder), 1 << 20)
    assert split.file_digest == xxh3_128_hexdigest((folder / "a.jsonl").read_bytes())
    digests = [split.file_digest for split in plan_splits(Input(source="web", path="sub/c.txt"), str(folder), 1)]
    (folder / "sub" / "c.txt").write_bytes(b"d")
    assert [s.file_digest for s in plan_splits(Input(source="web", path="sub/c.txt"), str(folder), 1)] != digests


def test_a_name_that_is_no_utf8_is_refused(tmp_path):
    Path(os.fsdecode(bytes(tmp_path) + b"/a\xff.txt")).write_bytes(b"x")
    with pytest.raises(RequestError, match=r"source 'web': '.*a\\udcff.txt': its name is not UTF-8"):
        find_files(Input(source="web", path="."), str(tmp_path))


def test_empty_files_have_a_split_and_no_records(tmp_path):
    for name in ("a.jsonl", "a.warc.gz", "b.warc", "b.jsonl.gz", "c.jsonl.zst"):
        (tmp_path / name).write_bytes(b"")
        assert len(plan_splits(Input(source="s", path=name), str(tmp_path), 1)) == 1
        assert read_all(tmp_path / name) == ([], {})
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "d.parquet")
    assert read_all(tmp_path / "d.parquet") == ([], {})


def test_a_name_that_lies_about_compression(tmp_path):
    (tmp_path / "plain.warc.gz").write_bytes(page(b"x"))
    (tmp_path / "packed.warc").write_bytes(member(page(b"x")))
    (tmp_path / "plain.jsonl.gz").write_bytes(b'{"text": "x"}')
    (tmp_path / "packed.jsonl").write_bytes(gzip.compress(b'{"text": "x"}'))
    assert [row["content"] for row in read_all(tmp_path)[0]] == [b"x"] * 4


def test_a_remote_store_reads_as_a_local_folder_does(tmp_path):
    records = [page(b"<p>%d" % i * 99, str(i)) for i in range(30)]
    table = pa.table({"text": [f"text {i}" for i in range(50)]})
    pq.write_table(table, tmp_path / "c.parquet", row_group_size=7)
    files = {
        "a.warc.gz": b"".join(map(member, records)),
        "b.warc": b"".join(records),
        "c.parquet": (tmp_path / "c.parquet").read_bytes(),
        "d.jsonl": b'{"text": "x"}\n' * 40,
        "e.jsonl.gz": gzip.compress(b'{"text": "x"}\n' * 40),
        "sub/f.txt": b"f",
    }
    memory = fsspec.filesystem("memory")
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
        memory.pipe(f"/bucket/{name}", data)
    try:
        for path in ("", *files):
            local = read_all(tmp_path / path, 300)
            remote = read_all(f"memory://bucket/{path}", 300)
            assert (without_place(remote[0]), remote[1]) == (without_place(local[0]), local[1])
            assert all(row["file"].startswith("memory://") for row in remote[0])
            assert check_cursors(f"memory://bucket/{path}", 300) > 0
        item = Input(source="s", path="b*/*.warc.gz")
        (split, *_) = plan_splits(item, "memory://", 1 << 20)
        assert split.path.endswith("/bucket/a.warc.gz")
        memory.pipe("/bucket/a.warc.gz", files["a.warc.gz"] + files["a.warc.gz"])
        assert plan_splits(item, "memory://", 1 << 20)[0].file_digest != split.file_digest
    finally:
        memory.rm("/bucket", recursive=True)
