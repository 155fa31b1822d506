"""Records become measured rows: identity, causes, and nothing out of place."""

from typing import Any

import pyarrow as pa
import pytest
import xxhash

from curation import measure
from curation.extract import ExtractError
from curation.measure import Measurer
from manifests.contracts import records_schema
from manifests.load import parse_manifest
from manifests.schema import CorpusManifest

MANIFEST = """
kind: corpus
name: m
inputs: [{source: s, path: x}]
measure: {language: {}, signals: true}
output: out
"""


@pytest.fixture(scope="module")
def manifest() -> CorpusManifest:
    return parse_manifest(MANIFEST, "m")


def record(content: bytes | None, **fields: Any) -> dict[str, Any]:
    raw = content or b""
    known = {"source": "s", "key": "k", "kind": "text", "utf8": True, "content": content, "n_bytes": len(raw)}
    return known | {"content_digest": xxhash.xxh3_128_digest(raw), "file": "f", "offset": 0} | fields


def measured(manifest: CorpusManifest, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    batch = pa.RecordBatch.from_pylist(records, schema=records_schema([]))
    rows: list[dict[str, Any]] = Measurer(manifest).measure(batch).to_pylist()
    return rows


def test_an_id_is_that_of_source_key_and_content(manifest: CorpusManifest) -> None:
    (row,) = measured(manifest, [record("가나다 text".encode())])
    digest = xxhash.xxh3_128_digest("가나다 text".encode())
    assert row["id"] == xxhash.xxh3_128_hexdigest(b"s\0k\0" + digest)
    assert row["text_digest"] == xxhash.xxh3_128_hexdigest("가나다 text".encode())
    assert row["n_text_bytes"] == len("가나다 text".encode())


def test_rows_keep_their_order_around_records_without_text(manifest: CorpusManifest) -> None:
    korean, english = (
        "오늘은 날씨가 참 좋습니다. 산책을 가겠습니다.",
        "The weather is very fine today, let us go out.",
    )
    rows = measured(
        manifest,
        [
            record(None, verdict="failed", stage="read", reason="truncated", detail="cut"),
            record(korean.encode()),
            record(b" \n\t"),
            record(None, verdict="dropped", stage="read", reason="http_status", value=404.0, threshold=200.0),
            record(english.encode()),
        ],
    )
    assert [row["reason"] for row in rows] == ["truncated", None, "no_text", "http_status", None]
    assert [row["verdict"] for row in rows] == ["failed", None, "failed", "dropped", None]
    assert [row["language"] for row in rows] == [None, "ko", None, None, "en"]
    assert [row["signals"] is None for row in rows] == [True, False, True, True, False]
    assert [row["text"] for row in rows] == [None, korean, None, None, english]
    assert rows[4]["signals"]["word_count"] == 10
    assert (rows[3]["value"], rows[3]["threshold"]) == (404.0, 200.0)


def test_html_is_decoded_and_extracted(manifest: CorpusManifest) -> None:
    page = "<html><head><meta charset=euc-kr></head><body><p>한글 문서입니다. 읽어 보세요.</p></body></html>"
    (row,) = measured(manifest, [record(page.encode("cp949"), kind="html", utf8=False)])
    assert row["text"] == "한글 문서입니다. 읽어 보세요."


@pytest.mark.parametrize(
    ("error", "reason"), [(ExtractError("too_deep"), "too_deep"), (ValueError("x"), "extraction_error")]
)
def test_a_page_that_breaks_the_engine_is_a_failed_row(
    manifest: CorpusManifest, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def broken(text: str, url: str | None) -> str:
        raise error

    monkeypatch.setattr(measure, "extractor", lambda engine: broken)
    rows = measured(manifest, [record(b"<p>x</p>", kind="html"), record(b"The other record is plain text.")])
    assert [(row["verdict"], row["stage"], row["reason"]) for row in rows] == [
        ("failed", "extract", reason),
        (None, None, None),
    ]


def test_the_locator_is_no_part_of_a_row(manifest: CorpusManifest) -> None:
    here, there = measured(manifest, [record(b"same text here"), record(b"same text here", file="g", offset=7)])
    other = measured(manifest, [record(b"same text here", url="http://x")])[0]
    assert here["row_hash"] == there["row_hash"] != other["row_hash"]
    assert here["id"] == other["id"]


def test_columns_that_are_not_asked_for_are_null() -> None:
    manifest = parse_manifest(MANIFEST.replace("measure: {language: {}, signals: true}\n", ""), "m")
    (row,) = measured(manifest, [record(b"some text")])
    assert row["language"] is row["language_score"] is row["hangul_frac"] is None
    assert "signals" not in row
