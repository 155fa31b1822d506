"""datatrove's readers, filters and formatters in manifests, and Onggi's steps in datatrove's executors."""

import gzip
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

from curation.datatrove_bridge import check_steps
from curation.datatrove_steps import OnggiMeasure, OnggiRules
from curation.pipeline import changed_manifest, curate, decide_again, prepare
from manifests.errors import RequestError
from manifests.load import parse_manifest
from manifests.record import RunRecord
from manifests.schema import DatatroveStep
from manifests.store import Folder
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.usefixtures("without_pages")

KOREAN = "옹기는 숨을 쉬는 그릇이다. 흙으로 빚어 가마에서 굽는다. 장을 담그면 맛이 깊어진다. "
ENGLISH = "The jar breathes, and that is the point of it. We bake it from clay and have done so for years. "
TEXTS = [
    KOREAN * 5,
    ENGLISH * 8,
    "too short",
    ENGLISH * 8,
    KOREAN * 3 + "ㅋㅋㅋ",
    "12345 " * 60,
    "lorem ipsum " + ENGLISH * 6,
]
RULES = [
    {"name": "language", "keep": "language in ('ko', 'en') and language_score >= 0.65"},
    {"name": "long", "keep": "signals.word_count >= 20"},
]
MEASURE = {"language": {}, "signals": True}


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    """A folder with two files of records, of which three cannot be read."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [{"text": text, "id": f"doc-{i}", "url": f"https://x/{i}"} for i, text in enumerate(TEXTS)]
    lines = [orjson.dumps(row) for row in rows]
    (folder / "a.jsonl").write_bytes(b"\n".join([*lines[:3], b'{"text": broken', b'{"id": "no text"}']) + b"\n")
    with gzip.open(folder / "b.jsonl.gz", "wb") as file:
        file.write(b"\n".join([*lines[3:], b'{"text": "", "id": "empty"}']) + b"\n")
    return folder


def run(folder: Path, output: str, **changes: Any) -> RunRecord:
    manifest = {
        "kind": "corpus",
        "name": "bridge",
        "inputs": [
            {"source": "s", "path": "data", "datatrove": {"reader": "datatrove.pipeline.readers.JsonlReader"}}
        ],
        "output": output,
        **changes,
    }
    return curate(prepare(parse_manifest(json.dumps(manifest), "bridge"), str(folder)))


def ledger(folder: Path, output: str) -> pl.DataFrame:
    return pl.read_parquet(folder / output / "ledger/*.parquet").sort("key")


def test_a_reader_gives_every_record_a_row(jsonl: Path) -> None:
    inputs = [
        {
            "source": "s",
            "path": "data",
            "url": "url",
            "datatrove": {"reader": "datatrove.pipeline.readers.JsonlReader", "args": {"id_key": "id"}},
        }
    ]
    record = run(jsonl.parent, "out", inputs=inputs)
    assert record.counts == record.counts | {"read": 10, "kept": 7, "dropped": 0, "failed": 3}
    rows = ledger(jsonl.parent, "out")
    failed = rows.filter(pl.col("verdict") == "failed")
    assert sorted(failed["reason"]) == ["datatrove_reader", "no_text", "no_text"]
    assert "a.jsonl" in failed.filter(pl.col("reason") == "datatrove_reader")["detail"][0]
    documents = pl.read_parquet(jsonl.parent / "out/documents/*.parquet")
    assert sorted(documents["key"]) == [f"doc-{i}" for i in range(7)]
    assert documents.filter(pl.col("key") == "doc-1")["url"].to_list() == ["https://x/1"]
    assert rows.filter(pl.col("key") == "doc-4")["file"][0].endswith("b.jsonl.gz")


def test_identity_is_that_of_onggis_own_reader(jsonl: Path) -> None:
    run(jsonl.parent, "theirs")
    run(jsonl.parent, "ours", inputs=[{"source": "s", "path": "data", "key": "id"}])
    ids = [set(pl.read_parquet(jsonl.parent / name / "documents/*.parquet")["id"]) for name in ("theirs", "ours")]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 7


def test_small_shards_give_the_same(jsonl: Path) -> None:
    whole = run(jsonl.parent, "whole")
    assert run(jsonl.parent, "pieces", limits={"shard_bytes": 1024}).digests == whole.digests


def test_filters_are_measured_and_rules_decide(jsonl: Path) -> None:
    steps = [
        {"name": "digits", "step": "datatrove.pipeline.filters.RegexFilter", "args": {"regex_exp": "12345|short"}},
        {"name": "c4", "step": "datatrove.pipeline.filters.C4QualityFilter", "args": {"min_num_sentences": -1}},
    ]
    rules = [{"name": "digits", "keep": "datatrove.digits = 'kept'", "when": "language = 'en'"}]
    measure = {"language": {}, "datatrove": steps}
    record = run(jsonl.parent, "out", measure=measure, rules=rules)
    rows = ledger(jsonl.parent, "out").filter(pl.col("verdict") == "dropped")
    assert rows.select("key", "reason", "detail").rows() == [("doc-2", "digits", "dropped")]
    measured = pl.read_parquet(jsonl.parent / "out/measured/*.parquet").sort("key").unnest("datatrove")
    assert measured["c4"].null_count() == measured["digits"].null_count() == 3
    assert measured.filter(pl.col("c4") != "kept").select("key", "c4").rows() == [("doc-6", "lorem_ipsum")]
    folder = Folder(str(jsonl.parent / "out"))
    with_c4 = [*rules, {"name": "c4", "keep": "datatrove.c4 = 'kept'"}]
    stricter = prepare(
        parse_manifest(json.dumps(record.manifest | {"rules": with_c4}), "bridge"), str(jsonl.parent)
    ).manifest
    again = decide_again(folder, changed_manifest(folder, stricter, str(jsonl.parent), []), f"{folder.path}-c4")
    assert again.counts["kept"] == record.counts["kept"] - 1
    assert "measure" not in again.timings
    reasons = ledger(jsonl.parent, "out-c4").filter(pl.col("key") == "doc-6").select("reason", "detail")
    assert reasons.rows() == [("c4", "lorem_ipsum")]


def test_a_filter_without_its_libraries_is_told_before_any_work(jsonl: Path) -> None:
    step = {"name": "g", "step": "datatrove.pipeline.filters.GopherQualityFilter"}
    if find_spec("spacy"):
        pytest.skip("spaCy is installed, which this filter asks for")
    with pytest.raises(RequestError, match="GopherQualityFilter needs what is not installed"):
        run(jsonl.parent, "out", measure={"datatrove": [step]})
    assert not list((jsonl.parent / "out").glob("measured/*"))


def test_a_formatter_changes_the_text(jsonl: Path) -> None:
    step = "datatrove.pipeline.formatters.PIIFormatter"
    (jsonl / "a.jsonl").write_text('{"text": "write to kim@naver.com please", "id": "mail"}\n')
    run(jsonl.parent, "out", measure={"datatrove": [{"name": "pii", "step": step}]})
    texts = pl.read_parquet(jsonl.parent / "out/documents/*.parquet")
    assert "kim@naver.com" not in texts.filter(pl.col("key") == "mail")["text"][0]
    assert "datatrove" not in pl.read_parquet(jsonl.parent / "out/measured/*.parquet").columns


@pytest.mark.parametrize(
    ("step", "args", "message"),
    [
        ("os.system", {}, "name a class of datatrove.pipeline"),
        ("datatrove.pipeline.base.os.System", {}, "datatrove has no such class"),
        ("datatrove.utils.text.TextNormConfig", {}, "name a class of datatrove.pipeline"),
        ("datatrove.pipeline.filters.NoSuchFilter", {}, "datatrove has no such class"),
        ("datatrove.pipeline.readers.JsonlReader", {}, "is not a filter .* or a formatter"),
        ("datatrove.pipeline.filters.base_filter.BaseFilter", {}, "is not a filter"),
        (
            "datatrove.pipeline.filters.GopherQualityFilter",
            {"min_words": 3},
            "unexpected keyword argument 'min_words'",
        ),
    ],
)
def test_what_cannot_be_named(step: str, args: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_steps([DatatroveStep(name="x", step=step, args=args)])


def test_columns_are_for_the_reader_to_map(jsonl: Path) -> None:
    with pytest.raises(RequestError, match="text is for the reader to know"):
        run(
            jsonl.parent,
            "out",
            inputs=[
                {
                    "source": "s",
                    "path": "data",
                    "text": "body",
                    "datatrove": {"reader": "datatrove.pipeline.readers.JsonlReader"},
                }
            ],
        )


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_steps_in_an_executor_decide_as_curate_does(jsonl: Path, workers: int) -> None:
    record = run(jsonl.parent, "out", measure=MEASURE, rules=RULES)
    here = jsonl.parent / "steps"
    LocalPipelineExecutor(
        pipeline=[
            JsonlReader(str(jsonl)),
            OnggiMeasure(MEASURE, source="s"),
            OnggiRules(RULES, MEASURE, exclusion_writer=JsonlWriter(str(here / "dropped"), compression=None)),
            JsonlWriter(str(here / "kept"), compression=None),
        ],
        tasks=2,
        workers=workers,
        logging_dir=str(here / "logs"),
    ).run()
    kept, dropped = (
        [json.loads(line) for path in (here / name).glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
        for name in ("kept", "dropped")
    )
    documents = pl.read_parquet(jsonl.parent / "out/documents/*.parquet")
    assert {(row["metadata"]["onggi_id"], row["text"]) for row in kept} == set(documents.select("id", "text").rows())
    rows = ledger(jsonl.parent, "out").filter(pl.col("verdict") == "dropped")
    assert len(kept) == record.counts["kept"]
    assert {(row["metadata"]["onggi_id"], row["metadata"]["filter_reason"]) for row in dropped} == set(
        rows.select("id", "reason").rows()
    )
    assert len(dropped) > 1
    assert all(row["metadata"]["onggi"]["failed_rules"] for row in dropped)
    assert kept[0]["metadata"]["signals"]["word_count"] > 20


def test_steps_in_a_row_of_their_own(tmp_path: Path) -> None:
    """What was measured in one executor and written as JSONL can be decided in another."""
    from datatrove.data import Document

    documents = [Document(text=text, id=str(i)) for i, text in enumerate([*TEXTS, " "])]
    measured = list(OnggiMeasure(MEASURE).run(iter(documents)))
    assert measured[-1].metadata["onggi_failed"] == "no_text"
    back = [
        Document(text=found.text, id=found.id, metadata=json.loads(json.dumps(found.metadata))) for found in measured
    ]
    rules = OnggiRules(RULES, MEASURE)
    kept = list(rules.run(iter(back)))
    assert [row.id for row in kept] == [row.id for row in OnggiRules(RULES, MEASURE).run(iter(measured))]
    assert rules.filter(measured[-1]) == (False, "no_text")
    assert rules.filter(measured[2])[1] in ("language", "long")  # type: ignore[index]


def test_the_manifest_of_the_guide(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs/scaling-out.md").read_text("utf-8").rpartition("```yaml")[2].partition("```")[0]
    (tmp_path / "data/news").mkdir(parents=True)
    (tmp_path / "data/news/a.csv").write_text(
        f'id,body,link\n1,"{ENGLISH * 5}",https://x/1\n2,"lorem ipsum {ENGLISH}",https://x/2\n'
    )
    written = "kind: corpus\nname: guide\noutput: out\n" + guide
    record = curate(prepare(parse_manifest(written, "guide"), str(tmp_path)))
    assert record.counts == record.counts | {"read": 2, "kept": 1, "dropped": 1}
    rows = ledger(tmp_path, "out").select("key", "reason", "detail").rows()
    assert rows == [("1", None, None), ("2", "c4", "lorem_ipsum")]
    assert pl.read_parquet(tmp_path / "out/documents/*.parquet")["url"].to_list() == ["https://x/1"]
