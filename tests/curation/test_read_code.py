"""Reading repositories: every file is a row, the same wherever it lies; nothing that an archive claims does harm."""

import io
import os
import random
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.measure import record_ids
from curation.read import plan_splits, read_split
from manifests.errors import RequestError
from manifests.schema import Input, Limits
from tests.curation.code_archives import COMPRESSIONS, REPOSITORY, below, lay, tar, zipped

Row = dict[str, Any]
SKIP = {"licenses": "skip"}


def read(path: Path, shard_bytes: int = 1 << 30, **code: Any) -> tuple[list[Row], Counter[str]]:
    item = Input.model_validate({"source": "s", "path": str(path), "format": "code", "code": SKIP | code})
    rows: list[Row] = []
    skipped: Counter[str] = Counter()
    for split in plan_splits(item, "", shard_bytes):
        for batch in read_split(split, item, Limits(), sorted(item.metadata)):
            ids = record_ids(batch.records).to_pylist()
            rows += [row | {"id": id_} for row, id_ in zip(batch.records.to_pylist(), ids, strict=True)]
            skipped.update(batch.skipped)
    return rows, skipped


MIT = b"""MIT License

Copyright (c) 2024 Kim

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def ids(rows: list[Row]) -> list[tuple[str, str, str | None]]:
    return sorted((row["id"], row["key"], row["reason"]) for row in rows)


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    lay(tmp_path / "in/jar-1.0", REPOSITORY)
    return tmp_path / "in"


def test_every_file_is_a_row_that_knows_what_it_is(repositories: Path) -> None:
    rows, skipped = read(repositories)
    by_path = {row["metadata"]["path"]: row for row in rows}
    assert set(by_path) == set(REPOSITORY) and not skipped
    facts = {
        path: (row["metadata"]["programming_language"], row["metadata"]["file_kind"]) for path, row in by_path.items()
    }
    assert facts["src/jar.py"] == ("Python", "source")
    assert facts["tests/test_jar.py"] == ("Python", "test")
    assert facts["README.md"] == ("Markdown", "docs")
    assert facts["LICENSE"] == ("Text", "docs")
    assert by_path["src/장독.c"]["content"].decode() == "/* 장독대를 센다 */\nint main(void) { return 0; }\n"
    assert {path: row["reason"] for path, row in by_path.items() if row["reason"]} == {
        "logo.png": "content_type",
        "data/blob": "binary",
        "src/__init__.py": "empty_file",
    }
    kept = by_path["src/jar.py"]
    assert (kept["key"], kept["category"], kept["kind"], kept["utf8"]) == ("jar-1.0/src/jar.py", "code", "text", True)
    assert kept["metadata"]["repository"] == "jar-1.0"


@pytest.mark.parametrize("ending", [*COMPRESSIONS, ".zip", ".whl"])
@pytest.mark.parametrize("top", ["", "some-top"])
def test_an_archive_has_the_ids_of_its_folder(repositories: Path, tmp_path: Path, ending: str, top: str) -> None:
    files = below(top, REPOSITORY) if top else REPOSITORY
    content = zipped(files) if ending in (".zip", ".whl") else COMPRESSIONS[ending](tar(files))
    packed = tmp_path / "packed"
    lay(packed, {f"jar-1.0{ending}": content})
    assert ids(read(packed)[0]) == ids(read(repositories)[0])


def test_the_path_can_be_the_repository(repositories: Path) -> None:
    rows, _ = read(repositories / "jar-1.0", repositories="path")
    assert ids(rows) == ids(read(repositories)[0])


@settings(deadline=None, max_examples=20)
@given(order=st.permutations(list(REPOSITORY)), form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_the_order_of_members_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], form: int
) -> None:
    folder = tmp_path_factory.mktemp("in")
    lay(folder / "a", {"jar.tar": tar(REPOSITORY)})
    lay(folder / "b", {"jar.tar": tar({name: REPOSITORY[name] for name in order}, form=form)})
    assert ids(read(folder / "a")[0]) == ids(read(folder / "b")[0])


def test_reading_goes_on_at_any_cursor(tmp_path: Path) -> None:
    chance = random.Random(0)
    many = {f"f{i}.py": f"x = {chance.random()}\n".encode() * 20_000 for i in range(16)}
    lay(tmp_path, {"a.tar": tar(many), "b.zip": zipped(many), "c/x.py": b"1\n", "c/y.py": b"2\n"})
    item = Input.model_validate({"source": "s", "path": str(tmp_path), "format": "code", "code": SKIP})
    [split] = plan_splits(item, "", 1 << 40)
    batches = list(read_split(split, item, Limits(), []))
    assert len(batches) > 3
    rows = [row for batch in batches for row in batch.records.to_pylist()]
    n_read = 0
    for batch in batches:
        n_read += batch.records.num_rows
        rest = [row for b in read_split(split, item, Limits(), [], batch.cursor) for row in b.records.to_pylist()]
        assert rest == rows[n_read:]


def test_a_repository_is_not_cut_between_splits(tmp_path: Path) -> None:
    lay(tmp_path, {f"r{r}/f{i}.py": b"x = 1\n" * 100 for r in range(4) for i in range(10)})
    item = Input.model_validate({"source": "s", "path": str(tmp_path), "format": "code", "code": SKIP})
    splits = plan_splits(item, "", 700)
    of = [{name.split("/")[0] for name in split.files} for split in splits]
    assert [len(names) for names in of] == [1] * 4 and sum(len(split.files) for split in splits) == 40


def test_only_what_is_asked_for(repositories: Path) -> None:
    lay(repositories, {"loose.py": b"x\n", "jar-1.0/.git/HEAD": b"ref\n", "jar-1.0/.github/w.yml": b"on: push\n"})
    rows, skipped = read(repositories, include=["*.py", ".github/**"], exclude=["tests/"])
    assert sorted(row["metadata"]["path"] for row in rows) == [".github/w.yml", "src/__init__.py", "src/jar.py"]
    assert skipped == {"not chosen by include and exclude": 6, "outside a repository": 1}
    rows, skipped = read(repositories, languages=["c"])
    assert [row["metadata"]["path"] for row in rows if not row["reason"]] == ["src/장독.c"]
    assert skipped["another language"] == 5


def test_wrong_requests(repositories: Path) -> None:
    with pytest.raises(RequestError, match=r"code\.languages: unknown: Pyhton"):
        read(repositories, languages=["Pyhton"])
    with pytest.raises(ValueError, match="no such facts"):
        Input.model_validate({"source": "s", "path": "x", "format": "code", "metadata": {"a": "stars"}})


def test_links_submodules_and_pipes(repositories: Path) -> None:
    folder = repositories / "jar-1.0"
    lay(folder, {".gitmodules": b'[submodule "x"]\n\tpath = ext/x\n', "ext/x/a.py": b"x = 1\n"})
    (folder / "loop").symlink_to("../jar-1.0")
    (folder / "gone.py").symlink_to("/etc/passwd-not-there")
    os.mkfifo(folder / "pipe")
    reasons = {row["metadata"]["path"]: (row["reason"], row["detail"]) for row in read(repositories)[0]}
    assert reasons["loop"] == ("link", "to ../jar-1.0")
    assert reasons["gone.py"] == ("link", "to /etc/passwd-not-there")
    assert reasons["ext/x/a.py"] == ("submodule", "of ext/x")
    assert "pipe" not in reasons


def test_links_and_submodules_of_an_archive_are_those_of_its_folder(tmp_path: Path) -> None:
    files = {".gitmodules": b"[submodule]\n path = ext\n", "ext/a.py": b"x = 1\n", "b.py": b"y = 2\n"}
    lay(tmp_path / "a", {"r.tar": tar(files, [special("s.py", tarfile.SYMTYPE, "b.py")])})
    lay(tmp_path / "f/r", files)
    (tmp_path / "f/r/s.py").symlink_to("b.py")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        link = zipfile.ZipInfo("s.py")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "b.py")
    lay(tmp_path / "z", {"r.zip": out.getvalue()})
    expected = ids(read(tmp_path / "f")[0])
    assert {reason for _, _, reason in expected} == {None, "link", "submodule"}
    assert ids(read(tmp_path / "a")[0]) == ids(read(tmp_path / "z")[0]) == expected


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_members_that_would_do_harm_are_dropped_and_nothing_is_written(tmp_path: Path) -> None:
    extra = [
        special("s", tarfile.SYMTYPE, "/etc/passwd"), special("h", tarfile.LNKTYPE, "ok.py"),
        special("d", tarfile.CHRTYPE),
        special("p", tarfile.FIFOTYPE), special("folder", tarfile.DIRTYPE),
    ]  # fmt: skip
    bad = {"../../evil.py": b"x = 1\n", "/abs.py": b"x = 2\n", "ok.py": b"x = 3\n"}
    lay(tmp_path / "in", {"a.tar": tar(bad, extra), "b.zip": zipped(bad)})
    before = sorted(tmp_path.rglob("*"))
    rows, skipped = read(tmp_path / "in")
    assert sorted(tmp_path.rglob("*")) == before
    assert Counter(row["reason"] for row in rows) == {"unsafe_path": 4, None: 2, "link": 2, "content_type": 2}
    assert skipped == {"folder": 1}


def test_bombs_end_where_the_limits_are(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "bomb.tar.xz": COMPRESSIONS[".tar.xz"](
                tar({"a.py": b"x = 1\n", "zeros": b"\0" * (8 << 20), "b.py": b"y\n"})
            )
        },
    )
    rows, _ = read(tmp_path, archive_bytes=1 << 20)
    assert [(row["key"], row["reason"]) for row in rows] == [("bomb/a.py", None), ("bomb", "archive_too_large")]
    rows, _ = read(tmp_path, archive_files=1)
    assert [row["reason"] for row in rows] == [None, "archive_too_large"]
    rows, _ = read(tmp_path)
    assert [row["reason"] for row in rows] == [None, "file_too_large", None]
    lay(tmp_path / "z", {"bomb.zip": zipped({f"{i}.py": b"\0" * (1 << 20) for i in range(5)})})
    assert [row["reason"] for row in read(tmp_path / "z", archive_bytes=1 << 21)[0]][-1] == "archive_too_large"


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip"])
def test_a_damaged_archive_is_a_failed_row_after_what_was_whole(tmp_path: Path, ending: str) -> None:
    chance = random.Random(1)
    files = {f"f{i:02}.py": chance.randbytes(3000).hex().encode() for i in range(50)}
    whole = zipped(files) if ending == ".zip" else COMPRESSIONS[ending](tar(files))
    lay(tmp_path, {f"a{ending}": whole[: len(whole) * 2 // 3]})
    rows, _ = read(tmp_path)
    assert rows[-1]["verdict"] == "failed" and rows[-1]["reason"] in ("malformed_archive", "malformed_member")
    if ending != ".zip":  # whose directory stands at its end
        assert sum(row["reason"] is None for row in rows) > 10 or ending == ".tar.bz2"


@settings(deadline=None, max_examples=150)
@given(st.sampled_from([*COMPRESSIONS, ".zip"]), st.integers(0, 2000), st.binary(min_size=1, max_size=6))
def test_damaged_bytes_never_stop_a_run(
    tmp_path_factory: pytest.TempPathFactory, ending: str, at: int, garbage: bytes
) -> None:
    files = {"a.py": b"x = 1\n" * 50, "b/c.py": b"y = 2\n" * 50}
    whole = bytearray(zipped(files) if ending == ".zip" else COMPRESSIONS[ending](tar(files)))
    whole[at % len(whole) : at % len(whole) + len(garbage)] = garbage
    folder = tmp_path_factory.mktemp("in")
    lay(folder, {f"a{ending}": bytes(whole)})
    rows, _ = read(folder)
    assert rows


def test_one_bad_member_of_a_zip_harms_no_other(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("a.py", "b.py", "c.py"):
            archive.writestr(name, f"name = '{name}'\n" * 10)
    lay(tmp_path, {"z.zip": out.getvalue().replace(b"name = 'b.py'", b"name = 'X.py'", 1)})
    reasons = {row["metadata"]["path"]: row["reason"] for row in read(tmp_path)[0]}
    assert reasons == {"a.py": None, "b.py": "malformed_member", "c.py": None}


def test_names_of_korean_windows(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("AAAA.py", b"x = 1\n")
    lay(tmp_path, {"z.zip": out.getvalue().replace(b"AAAA", "장독".encode("cp949"))})
    assert [row["key"] for row in read(tmp_path)[0]] == ["z/장독.py"]


def test_gems_hold_an_archive(tmp_path: Path) -> None:
    inner = COMPRESSIONS[".tar.gz"](tar({"lib/jar.rb": b"class Jar; end\n"}))
    lay(tmp_path, {"jar-1.gem": tar({"metadata.gz": COMPRESSIONS[".tar.gz"](b"name: jar\n"), "data.tar.gz": inner})})
    rows = read(tmp_path)[0]
    assert {row["key"]: row["reason"] for row in rows} == {
        "jar-1/lib/jar.rb": None,
        "jar-1/metadata.gz": "content_type",
    }


def test_headers_go_where_that_is_asked_for(tmp_path: Path) -> None:
    source = b"#!/usr/bin/env python\n# Copyright 2020 Kim\n# Licensed under MIT\n\n# counts jars\nx = 1\n"
    lay(tmp_path, {"r/a.py": source, "r/b.py": b"# Copyright 2020 Kim\n"})
    kept, legal, bare = (read(tmp_path, headers=how)[0] for how in ("keep", "drop_copyright", "drop"))
    assert kept[0]["content"] == source
    assert legal[0]["content"] == b"#!/usr/bin/env python\n\n# counts jars\nx = 1\n"
    assert b"#" not in bare[0]["content"][2:] and bare[0]["content"].endswith(b"x = 1\n")
    assert legal[1]["reason"] == "empty_file"
    assert [row["id"] for row in kept] == [row["id"] for row in legal] == [row["id"] for row in bare]


def test_licences_are_those_of_the_nearest_statement(tmp_path: Path) -> None:
    pytest.importorskip("licensedcode")
    files = {"a.py": b"x = 1\n", "b.py": b"# SPDX-License-Identifier: GPL-3.0-only\ny = 2\n", "LICENSE": MIT}
    lay(tmp_path, {"t.tar": tar(below("t", files)), **below("f", files), "none/a.py": b"x = 1\n"})
    rows, _ = read(tmp_path, licenses="detect")
    found = {row["key"]: (row["metadata"]["license_verdict"], row["license"]) for row in rows}
    for name in ("t", "f"):
        assert found[f"{name}/a.py"] == ("permissive", "MIT")
        assert found[f"{name}/b.py"] == ("copyleft", "GPL-3.0-only")
    assert found["none/a.py"][0] == "none"


def test_a_sparse_member_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("r/a.py")
    info.size = 4
    info.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,4",
        "GNU.sparse.realsize": str(10**14),
    }
    with tarfile.open(tmp_path / "r.tar", "w", format=tarfile.PAX_FORMAT) as file:
        file.addfile(info, io.BytesIO(b"x=1\n"))
    rows, _ = read(tmp_path)
    assert [row["reason"] for row in rows] == ["content_type"]


def test_a_link_to_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "a.py").symlink_to(os.fsdecode(b"\xc7\xd1"))
    rows, _ = read(tmp_path)
    assert [row["reason"] for row in rows] == ["link"]


def test_facts_are_those_of_lines_whatever_ends_them(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "a.py").write_bytes(b"x = 1\r" * 400)
    rows, _ = read(tmp_path)
    assert dict(rows[0]["metadata"])["line_chars_max"] == "5"


def test_past_the_cap_of_licence_files_nothing_is_permissive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.read_code.LICENSE_FILES", 2)
    files = {"LICENSE": MIT, "a/LICENSE": MIT, "a.py": b"x = 1\n", "package.json": b"{}", "a/package.json": b"{}"}
    for name, more in (("few", {}), ("many", {"b/LICENSE": MIT})):
        lay(tmp_path / "in" / name, files | more)
    rows, _ = read(tmp_path / "in", licenses="detect")
    found = {row["key"]: dict(row["metadata"])["license_verdict"] for row in rows}
    assert (found["few/a.py"], found["many/a.py"]) == ("permissive", "unknown")
    noted = {row["key"] for row in rows if any(note["kind"] == "licenses_unread" for note in row["notes"] or [])}
    assert "many/a.py" in noted and "few/a.py" not in noted


def test_a_damaged_link_does_not_end_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("r/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr(link, "target.py")
        archive.writestr("r/a.py", "x = 1\n")
    content = (tmp_path / "r.zip").read_bytes().replace(b"target.py", b"tarXet.py", 1)
    (tmp_path / "r.zip").write_bytes(content)
    rows, _ = read(tmp_path)
    assert [(row["key"], row["reason"]) for row in rows] == [("r/link", "link"), ("r/a.py", None)]


def test_a_zip_that_unpacks_itself(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"#!/bin/sh\nexit\n" + zipped({"r/a.py": b"x = 1\n"}))
    rows, _ = read(tmp_path)
    assert [(row["key"], row["reason"]) for row in rows] == [("r/a.py", None)]
