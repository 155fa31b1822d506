"""New decisions over measured columns equal a fresh run; differences and single documents can be explained."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curation.diff import diff
from curation.explain import explain
from curation.pipeline import changed_manifest, curate, decide_again
from manifests.errors import RequestError
from manifests.load import load_manifest
from manifests.record import RunRecord
from manifests.store import Folder
from tests.scenarios.runs import MANIFEST, document_files, job_of, lay_out

pytestmark = pytest.mark.usefixtures("without_pages")

OTHER = MANIFEST.replace("language_score >= 0.65", "language_score >= 0.9").replace("out,", "fresh,")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """A folder with a finished run of the small manifest."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, curate(job_of(lay_out(folder)))


@pytest.fixture(scope="module")
def other(finished: tuple[Path, RunRecord]) -> Path:
    """Another manifest beside the first, with another threshold."""
    path = finished[0] / "other.yaml"
    path.write_text(OTHER)
    return path


def test_equals_a_fresh_run(finished: tuple[Path, RunRecord], other: Path) -> None:
    folder, _ = finished
    fresh = curate(job_of(other))
    run = Folder(str(folder / "out"))
    manifest = changed_manifest(run, load_manifest(str(other)), str(folder), [])
    again = decide_again(run, manifest, str(folder / "decided"))
    assert again.digests == fresh.digests
    assert document_files(folder / "decided") == document_files(folder / "fresh")
    back = decide_again(Folder(str(folder / "decided")), finished_manifest(finished), str(folder / "back"))
    assert back.digests == finished[1].digests


def finished_manifest(finished: tuple[Path, RunRecord]):  # type: ignore[no-untyped-def]
    return changed_manifest(Folder(str(finished[0] / "out")), None, str(finished[0]), [])


def test_a_threshold_from_the_command_line(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    run = Folder(str(finished[0] / "out"))
    manifest = changed_manifest(run, None, "", ["gopher.word_count_min=10", "language.language_score=0.5"])
    again = decide_again(run, manifest, str(tmp_path / "looser"))
    assert again.counts["kept"] > finished[1].counts["kept"]
    counts, samples = diff(run, Folder(str(tmp_path / "looser")))
    gained = counts.filter(pl.col("change") == "gained")["n_docs"].sum()
    lost = counts.filter(pl.col("change") == "lost")["n_docs"].sum()
    assert gained - lost == again.counts["kept"] - finished[1].counts["kept"]
    assert samples.filter(pl.col("change") == "gained")["snippet"].null_count() == 0
    assert diff(run, run)[0].is_empty()


def test_other_inputs_are_not_a_decision(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(MANIFEST.replace("signals: true", "signals: true, extract: {engine: resiliparse}"))
    with pytest.raises(RequestError, match=r"other settings of measure.*run `onggi curate`"):
        changed_manifest(Folder(str(finished[0] / "out")), load_manifest(str(path)), str(tmp_path), [])


def test_every_document_has_a_story(finished: tuple[Path, RunRecord]) -> None:
    run = Folder(str(finished[0] / "out"))
    ledger = (run / "ledger").scan().collect()
    seen = set()
    for row in ledger.unique(["verdict", "stage"], maintain_order=True).to_dicts():
        (story,) = explain(run, f"{row['id']}#{row['copy']}")
        assert story.ledger["verdict"] == row["verdict"]
        seen.add(row["stage"])
        broken = [rule.name for rule in story.rules if rule.applies and not rule.holds]
        assert broken == [name.removesuffix(":missing") for name in row["failed_rules"] or []]
        if row["stage"] == "dedup":
            assert row["duplicate_of"] in {member["id"] for member in story.exact_group}
    assert {None, "rules", "dedup", "read"} <= seen


@pytest.mark.parametrize(("name", "message"), [("abc", "first 6 digits"), ("00000000000000", "names 0 records")])
def test_ids_that_name_nothing(finished: tuple[Path, RunRecord], name: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        explain(Folder(str(finished[0] / "out")), name)


def test_stored_columns_restore_what_was_kept_and_nothing_more(tmp_path: Path) -> None:
    manifest = lay_out(tmp_path, MANIFEST.replace("output:", "store: columns\noutput:"))
    record = curate(job_of(manifest))
    run = Folder(str(tmp_path / "out"))
    assert "text" not in pl.scan_parquet(tmp_path / "out/measured/*.parquet").collect_schema().names()
    assert curate(job_of(manifest)) == record
    stricter = changed_manifest(run, None, "", ["language.language_score=0.9"])
    again = decide_again(run, stricter, str(tmp_path / "strict"))
    assert again.counts["kept"] < record.counts["kept"]
    looser = changed_manifest(run, None, "", ["gopher.word_count_min=1"])
    with pytest.raises(RequestError, match=r"\d+ documents would be kept whose text is gone.*nothing was written"):
        decide_again(run, looser, str(tmp_path / "loose"))
    assert not (tmp_path / "loose/run.json").exists()
    assert not (tmp_path / "loose/documents").exists()
    texts = changed_manifest(run, None, "", [])
    on_text = texts.model_copy(update={"rules": [texts.rules[0].model_copy(update={"keep": "text like '%a%'"})]})
    with pytest.raises(RequestError, match="text"):
        decide_again(run, on_text, str(tmp_path / "loose"))


def test_explain_as_json(finished: tuple[Path, RunRecord], command: Callable[..., tuple[int, str, str]]) -> None:
    run = finished[0] / "out"
    name = pl.read_parquet(run / "ledger/*.parquet")["id"][0]
    code, answer, _ = command("explain", str(run), name, "--json")
    assert code == 0 and json.loads(answer)[0]["ledger"]["id"] == name
