"""A whole run over a teacher that is partly right: what is kept is right, once, and no item of a benchmark."""

from pathlib import Path

import polars as pl
import pytest

from manifests.schema_synthesis import SynthesisManifest
from synth.pipeline import synthesize
from synth.tasks.task import ATTEMPTS_MAX
from tests.synth.chat_server import ChatServer
from tests.synth.fixture_teacher import BENCHMARKS, N_SAMPLES, FixtureTeacher, Key
from tests.synth.scripted import manifest

pytestmark = pytest.mark.slow

PRECISION, RECALL = 1.0, 0.98


@pytest.fixture(scope="module")
def teacher(shared_data: Path) -> FixtureTeacher:
    return FixtureTeacher(shared_data)


@pytest.fixture(scope="module")
def reasons(
    teacher: FixtureTeacher, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Key, str | None]:
    """Of every sample why it is not kept."""
    folder = tmp_path_factory.mktemp("fixture")
    teacher.write_seeds(folder / "seeds.jsonl")
    with ChatServer(teacher.as_choice) as server:
        synthesize(fixture_manifest(server.url, shared_data), str(folder), str(folder / "out"))
    return reasons_of(folder / "out")


def fixture_manifest(url: str, shared_data: Path) -> SynthesisManifest:
    columns = {"text": "question", "answer": "answer", "id": "id", "language": "language"}
    benchmarks = [str(shared_data / "benchmarks" / f"{name}.jsonl") for name in BENCHMARKS.values()]
    return manifest(
        {"kind": "reasoning", "samples": N_SAMPLES, "keep": N_SAMPLES},
        seeds=[{"path": "seeds.jsonl", **columns}],
        teacher={"model": "judge-1", "url": url, "concurrency": 32, "sampling": {"temperature": 0.7}},
        gates=[
            "language",
            {"gate": "near", "of": "answer", "seeds": False},
            {"gate": "decontaminate", "against": benchmarks},
        ],
    )


def reasons_of(run: Path) -> dict[Key, str | None]:
    """Of every sample why it is not kept."""
    kept = pl.read_parquet(run / "messages" / "*.parquet").select("provenance").with_columns(reason=pl.lit(None))
    why = pl.col.rejection.struct
    reason = pl.concat_str(why.field("stage"), pl.lit(":"), why.field("reason"))
    rejected = pl.read_parquet(run / "rejected" / "*.parquet").select("provenance", reason=reason)
    rows = pl.concat([kept.cast({"reason": pl.String}), rejected]).unnest("provenance")
    keys = rows.select("item", pl.col.seed // ATTEMPTS_MAX).iter_rows()
    return dict(zip(keys, rows["reason"], strict=True))


def test_every_sample_is_kept_or_says_why(teacher: FixtureTeacher, reasons: dict[Key, str | None]) -> None:
    assert set(reasons) == set(teacher.said)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_what_is_kept_is_what_should_be(
    teacher: FixtureTeacher, reasons: dict[Key, str | None], language: str
) -> None:
    score = teacher.score(language, reasons)
    assert score.n_kept > 400
    assert score.precision == PRECISION, [(key, teacher.said[key]) for key in score.false]
    assert score.recall >= RECALL, [(key, reasons[key]) for key in score.missing]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("wrong", {"verify:wrong", "verify:form"}),
        ("unreadable", {"verify:form"}),
        ("cut", {"verify:cut", "verify:form"}),
        ("language", {"language:wrong_language", "language:foreign_script", "language:latin"}),
    ],
)
def test_reasons_are_those_that_it_was_made_for(
    teacher: FixtureTeacher, reasons: dict[Key, str | None], label: str, expected: set[str]
) -> None:
    found = {reasons[key] for key, said in teacher.said.items() if said.label == label}
    assert found <= expected
