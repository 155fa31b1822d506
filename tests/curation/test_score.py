"""`onggi score`: the same rows with more columns; files appear whole or not at all, and what is done stays done."""

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from classifiers.cards import FastTextCard, write_card
from classifiers.fasttext_train import FastTextSettings, train_fasttext
from classifiers.rows import input_files
from classifiers.scorer import Scorer
from curation import score
from curation.score import Model, models_of, score_files, score_shares
from manifests.errors import RequestError, RunError

pytest.importorskip("fasttext")
EDU = ("edu_score", "edu_int_score")
TEXTS = [f"{'원리 개념 정의' if k % 2 else '할인 광고 클릭'} 글 {k}" for k in range(50)] + ["", None]


@pytest.fixture(scope="module")
def edu(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("models") / "edu"
    texts = pa.array(TEXTS[:50], pa.large_string())
    labels = [str(k % 2 * 5) for k in range(50)]
    train_fasttext(texts, labels, folder / "model.bin", FastTextSettings(dim=8, bucket=500, epoch=20, lr=0.5))
    write_card(folder, FastTextCard(model="model.bin", values={"0": 0.0, "5": 5.0}))
    return Model("edu", str(folder))


def rows() -> list[dict[str, Any]]:
    return [{"id": k, "text": text, "more": {"tags": ["a", "나"]}} for k, text in enumerate(TEXTS)]


def expected(edu: Model) -> list[float | None]:
    found: list[float | None] = Scorer(edu.path).score(pa.array(TEXTS, pa.large_string())).score.to_pylist()
    return found


def lines() -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows())


def write_inputs(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    table = pa.Table.from_pylist(rows()).replace_schema_metadata({"kept": "yes"})
    pq.write_table(table, folder / "a.parquet", row_group_size=20)
    (folder / "b.jsonl").write_bytes(lines().replace(b"\n", b"\n\n", 1))
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(lines()))
    (folder / "d.jsonl.zst").write_bytes(zstandard.compress(lines()[:500]) + zstandard.compress(lines()[500:]))
    (folder / "README.txt").write_text("no data")


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    if path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True).read()
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_every_format_keeps_its_rows_and_gets_scores(
    tmp_path: Path, edu: Model, monkeypatch: pytest.MonkeyPatch, n_workers: int
) -> None:
    monkeypatch.setattr(score, "ROWS_AT_ONCE", 7)
    write_inputs(tmp_path / "in")
    inputs = input_files(str(tmp_path / "in"))
    assert [path.rsplit("/", 1)[-1] for path in inputs] == ["a.parquet", "b.jsonl", "c.jsonl.gz", "d.jsonl.zst"]
    done = score_files(inputs, str(tmp_path / "out"), [edu], engine=n_workers)
    assert (done.n_docs, done.was_there) == (4 * 52, False)
    for name in ("a.parquet", "b.jsonl", "c.jsonl.gz", "d.jsonl.zst"):
        found = read(tmp_path / "out" / name)
        assert [row.pop("edu_score") for row in found] == pytest.approx(expected(edu), abs=1e-12), name
        assert {row.pop("edu_int_score") for row in found} <= {0, 1, 2, 3, 4, 5, None}
        assert found == rows()
    assert pq.read_schema(tmp_path / "out/a.parquet").metadata[b"kept"] == b"yes"


def test_what_is_done_is_not_done_again(tmp_path: Path, edu: Model) -> None:
    write_inputs(tmp_path / "in")
    inputs, out = input_files(str(tmp_path / "in/*.parquet")), tmp_path / "out"
    first = score_files(inputs, str(out), [edu])
    written = (out / "a.parquet").stat().st_mtime_ns
    again = score_files(inputs, str(out), [edu])
    assert again.was_there
    assert again.n_docs == first.n_docs
    assert (out / "a.parquet").stat().st_mtime_ns == written
    other = Model("hq", f"{edu.path}/model.bin", "5")
    assert not score_files(inputs, str(out), [edu, other]).was_there
    names = pq.read_schema(out / "a.parquet").names
    assert names == ["id", "text", "more", "edu_score", "edu_int_score", "hq_score", "hq_int_score"]
    pq.write_table(pa.table({"text": ["원리"]}), tmp_path / "in/a.parquet")
    assert score_files(inputs, str(out), [edu, other]).n_docs == 1


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.jsonl", b'{"body": "x"}\n', RequestError, r"a\.jsonl: has no column 'text' \(--text\); found: body"),
        ("a.jsonl", b'{"text": "x", "edu_score": 1}\n', RequestError, "has a column edu_score already"),
        (
            "a.jsonl",
            b'{"text": "x"}\n{"text": "y", "edu_score": 9}\n',
            RunError,
            r"a\.jsonl:2: has a value edu_score",
        ),
        ("a.jsonl", b'{"text": "x"}\n\n{"text": 3}\n', RunError, r"a\.jsonl:3: 'text' holds int; expected text"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', RunError, r"a\.jsonl:2: is no JSON"),
        ("a.jsonl", b'{"text": "x"}\n[1]\n', RunError, r"a\.jsonl:2: found list; expected a JSON object"),
        ("a.parquet", b"PAR1 but not really", RequestError, r"a\.parquet: is no Parquet file that can be read"),
    ],
)
def test_bad_input_is_named_and_nothing_is_left(
    tmp_path: Path, edu: Model, name: str, content: bytes, error: type[Exception], message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        score_files([str(tmp_path / name)], str(tmp_path / "out"), [edu])
    assert not (tmp_path / "out" / name).exists()
    assert [path for path in (tmp_path / "out").iterdir() if path.is_file()] == []


def test_lines_stay_as_they_are_to_the_byte(tmp_path: Path, edu: Model) -> None:
    """Numbers too that neither 64 bits nor a float hold, escapes, white space and keys that occur twice."""
    texts = [
        '{"text": "원리", "id": 123456789012345678901234567890}',
        '{"text":"\\uc6d0\\ub9ac", "a":1, "a":1.10 }',
        "{}",
    ]
    (tmp_path / "a.jsonl").write_bytes("\r\n".join([*texts, ""]).encode())
    score_files([str(tmp_path / "a.jsonl")], str(tmp_path / "out"), [edu])
    written = (tmp_path / "out/a.jsonl").read_text().splitlines()
    for line, text in zip(written, texts, strict=True):
        assert line.startswith(text[:-1])
        assert json.loads(line) == json.loads(text) | {name: json.loads(line)[name] for name in EDU}
    assert [json.loads(line)["edu_score"] is None for line in written] == [False, False, True]


@pytest.mark.parametrize("name", ["c.jsonl.gz", "d.jsonl.zst"])
def test_files_that_are_cut_off_are_not_taken_for_whole(tmp_path: Path, edu: Model, name: str) -> None:
    write_inputs(tmp_path / "in")
    content = (tmp_path / "in" / name).read_bytes()
    for n_bytes in (20, len(content) // 2, len(content) - 1):
        (tmp_path / name).write_bytes(content[:n_bytes])
        with pytest.raises(RunError, match=f"{name}"):
            score_files([str(tmp_path / name)], str(tmp_path / "out"), [edu])
    assert not (tmp_path / "out" / name).exists()


def test_compressed_files_are_the_same_bytes_each_time(tmp_path: Path, edu: Model) -> None:
    write_inputs(tmp_path / "in")
    inputs = [str(tmp_path / "in" / name) for name in ("c.jsonl.gz", "d.jsonl.zst")]
    for out in ("one", "two"):
        score_files(inputs, str(tmp_path / out), [edu])
    for name in ("c.jsonl.gz", "d.jsonl.zst"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_inputs_are_not_replaced(tmp_path: Path, edu: Model) -> None:
    write_inputs(tmp_path / "in")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for out in ("in", "in/../in", "link"):
        with pytest.raises(RequestError, match=r"in/a\.parquet: would be replaced by itself with scores"):
            score_files(input_files(str(tmp_path / "in")), str(tmp_path / out), [edu])
    assert (tmp_path / "in/b.jsonl").read_bytes() == lines().replace(b"\n", b"\n\n", 1)


def test_a_column_that_is_no_text(tmp_path: Path, edu: Model) -> None:
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(RequestError, match=r"the column 'text' holds int64; expected text"):
        score_files([str(tmp_path / "a.parquet")], str(tmp_path / "out"), [edu])


def test_models_on_the_command_line() -> None:
    assert models_of("models/edu", None, "/x") == [Model("edu", "/x/models/edu")]
    assert models_of("a=m/1,b=/m/2.bin", "hq", "/x") == [Model("a", "/x/m/1", "hq"), Model("b", "/m/2.bin", "hq")]
    assert models_of("m/dclm.bin", "hq", "/x") == [Model("dclm", "/x/m/dclm.bin", "hq")]
    with pytest.raises(RequestError, match="two models are called a"):
        models_of("a=1,a=2", None, "/")
    with pytest.raises(RequestError, match=r"'2-b' cannot be the name of a column; give one: NAME=m/2-b"):
        models_of("m/2-b", None, "/")


def test_inputs_that_are_not_there(tmp_path: Path, edu: Model) -> None:
    with pytest.raises(RequestError, match="none: there is no such file or folder"):
        input_files(str(tmp_path / "none"))
    with pytest.raises(RequestError, match=r"two inputs are called a\.parquet"):
        score_files(["/x/a.parquet", "/y/a.parquet"], str(tmp_path), [edu])


def test_the_best_share_of_all_files(tmp_path: Path, edu: Model) -> None:
    write_inputs(tmp_path / "in")
    inputs, out = input_files(str(tmp_path / "in")), str(tmp_path / "out")
    score_files(inputs, out, [edu, Model("twin", edu.path)])
    values = sorted([value for value in expected(edu) if value is not None] * 4, reverse=True)
    shares = score_shares([Path(name).name for name in inputs], out, [edu, Model("twin", edu.path)], 0.1)
    threshold = values[-(-len(values) // 10) - 1]
    assert shares["edu"].threshold == pytest.approx(threshold, abs=1e-12)
    assert shares["edu"].n_values == len(values)
    assert shares["edu"].n_at_least == sum(value >= threshold - 1e-12 for value in values)
    assert shares["twin"] == shares["edu"]
