"""Every recipe of synthetic data from end to end: with answers of a real small model that were recorded, and with the
model itself.

SmolLM2-135M solves little and writes no Korean, so hardly anything is kept; what is tested is that all runs are
whole: every sample is in a table with its reason, and nothing that a server said was taken for what it is not. The
slow test asks vLLM (`make judge`); with ONGGI_RECORD_RECIPES it also writes the answers that the fast one replays.
"""

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest

from manifests.schema_synthesis import SynthesisManifest
from manifests.store import Folder
from synth.pipeline import synthesize
from synth.record import SynthesisRecord
from synth.tables import read_table
from synth.teachers.answers import AnswerStore
from tests.conftest import REPOSITORY
from tests.scenarios.real_server import MODEL, RealServer
from tests.scenarios.recipe_runs import CHANGES, recipe

RECORDED = REPOSITORY / "tests/synth/recorded/recipes"
FORMS = ("messages", "preference", "text")


def run(manifest: SynthesisManifest) -> tuple[SynthesisRecord, Path]:
    record, folder = synthesize(manifest, str(REPOSITORY))
    return record, Path(folder)


def check_whole(record: SynthesisRecord, folder: Path) -> None:
    """Every item has samples, every sample a place, every rejected one a reason, and the pages are there."""
    counts, run = record.counts, Folder(str(folder))
    assert counts["items"] > 0
    assert record.n_unanswered == 0
    assert counts["samples"] == counts["kept"] + counts["rejected"] >= counts["items"]
    reasons = Counter[tuple[str, str]]()
    for row in read_table(run, "rejected"):
        assert row["rejection"]["stage"] and row["rejection"]["reason"]
        reasons[row["rejection"]["stage"], row["rejection"]["reason"]] += 1
    told = {(stage, reason): n for stage, of in record.rejected.items() for reason, n in of.items()}
    assert reasons == told
    assert sum(told.values()) == counts["rejected"]
    n_rows = 0
    for form in FORMS:
        for row in read_table(run, form):
            n_rows += 1
            assert row["provenance"]["parent"] and row["provenance"]["teacher"] == record.manifest["teacher"]["model"]
            assert all(verdict["gate"] for verdict in row["provenance"]["verdicts"])
    assert n_rows == counts["kept"]
    assert "<svg" in (folder / "report.html").read_text("utf-8")
    assert (folder / "README.md").read_text("utf-8").startswith("---\n")
    assert not (folder / "drafts").exists()


@pytest.mark.parametrize("name", CHANGES)
def test_recorded_answers(name: str, tmp_path: Path) -> None:
    replayed = tmp_path / "answers.jsonl"
    replayed.write_bytes(gzip.decompress((RECORDED / f"{name}.jsonl.gz").read_bytes()))
    manifest = recipe(name, tmp_path / "out", model=MODEL, replay=replayed)
    record, folder = run(manifest)
    check_whole(record, folder)
    again, _ = synthesize(manifest, str(REPOSITORY), str(tmp_path / "again"))
    assert again.digests == record.digests


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_a_real_teacher(name: str, tmp_path: Path, real_server: RealServer) -> None:
    manifest = recipe(name, tmp_path / "out", model=MODEL, url=real_server.url, timeout_s=900)
    record, folder = run(manifest)
    check_whole(record, folder)
    print(f"\n{name}: {record.counts} {record.rejected} {record.usage}")
    paid = sum(usage["n_paid"] for usage in record.usage.values())
    with AnswerStore(folder / "answers.sqlite") as store:
        assert len(store) == paid > 0
        if os.environ.get("ONGGI_RECORD_RECIPES"):
            RECORDED.mkdir(parents=True, exist_ok=True)
            content = gzip.compress(b"".join(store.lines()), 9, mtime=0)
            (RECORDED / f"{name}.jsonl.gz").write_bytes(content)
    (folder / "run.json").unlink()
    again, _ = run(manifest)  # over the answers
    assert again.digests == record.digests
    assert sum(usage["n_paid"] for usage in again.usage.values()) == 0
