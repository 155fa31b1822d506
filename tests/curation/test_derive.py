"""Derived tables are made once per part, again when something changed, and never from texts that are gone."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from curation.derive import Derived, derive
from curation.pipeline import curate
from curation.shards import drop_texts
from manifests.errors import RequestError
from manifests.store import Folder
from tests.scenarios.runs import job_of, lay_out

pytestmark = pytest.mark.usefixtures("without_pages")

SCHEMA = pa.schema([("id", pa.string()), ("n_chars", pa.int64())])


def lengths(part: pa.Table) -> pa.Table:
    n_chars = pc.cast(pc.utf8_length(part["text"]), pa.int64())
    return pa.table({"id": part["id"], "n_chars": n_chars}).filter(pc.is_valid(n_chars))


def table(fingerprint: str = "1") -> Derived:
    return Derived("lengths", fingerprint, ["id", "text"], SCHEMA, lengths)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    job = job_of(lay_out(tmp_path_factory.mktemp("derive")))
    curate(job)
    return Folder(job.output)


def stamps(run: Folder) -> dict[str, float]:
    return {path.name: path.stat().st_mtime_ns for path in Path(run.path, "lengths").glob("*.parquet")}


def test_a_part_is_derived_once_and_again_when_settings_change(run: Folder) -> None:
    seen: list[tuple[int, int]] = []
    folder = derive(run, table(), progress=lambda step, done, total: seen.append((done, total)))
    n_parts = len((run / "measured").names(".parquet"))
    assert n_parts > 2
    assert seen == [(done, n_parts) for done in range(n_parts + 1)]
    texts = (run / "measured").scan().select("id", "text").collect().drop_nulls("text")
    assert (
        folder.scan()
        .select("id", "n_chars")
        .collect()
        .sort("id", "n_chars")
        .equals(texts.select("id", n_chars=texts["text"].str.len_chars().cast(int)).sort("id", "n_chars"))
    )
    first = stamps(run)
    derive(run, table())
    assert stamps(run) == first
    folder.remove(sorted(first)[0])
    folder.write_bytes("0123-00000.parquet", b"of a part that is gone")
    derive(run, table())
    second = stamps(run)
    assert second.keys() == first.keys()
    assert sum(second[name] != first[name] for name in first) == 1
    derive(run, table("2"), engine=2)
    assert all(now != before for now, before in zip(stamps(run).values(), second.values(), strict=True))


def test_texts_that_are_gone_are_an_error_unless_all_is_derived(tmp_path: Path) -> None:
    job = job_of(lay_out(tmp_path))
    curate(job)
    run = Folder(job.output)
    derive(run, table())
    drop_texts(run)
    derive(run, table())
    with pytest.raises(RequestError, match=r"store: columns.*lengths"):
        derive(run, table("2"))
