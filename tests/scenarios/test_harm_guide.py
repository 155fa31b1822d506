"""What docs/harm-scores.md shows: its manifest as it stands, with its rules, and the commands that follow."""

import re
from pathlib import Path
from shlex import split

import polars as pl
import pytest
from typer.testing import CliRunner

from manifests.house import HOME
from onggi import app

GUIDE = (HOME / "docs" / "harm-scores.md").read_text("utf-8")
[POSTS] = re.findall(r"```json\n(.*?)```", GUIDE, re.S)
[MANIFEST] = re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)
WITH_RULES = re.sub(r"^# ", "", MANIFEST, flags=re.M)
SCORES = ["toxicity_score", "adult_score", "gambling_score"]


def onggi(command: str) -> str:
    result = CliRunner().invoke(app, split(command), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the guide's manifest was curated, then decided again with its rules."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "posts.jsonl").write_text(POSTS, "utf-8")
    (folder / "harm.yaml").write_text(MANIFEST, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        onggi("curate harm.yaml")
        (folder / "harm.yaml").write_text(WITH_RULES, "utf-8")
        onggi("decide out/harm --manifest harm.yaml --output out/harm-2")
    return folder


def kept(run: Path) -> pl.DataFrame:
    return pl.read_parquet(sorted((run / "documents").rglob("*.parquet")))


def test_without_rules_all_is_kept_with_three_columns(folder: Path) -> None:
    documents = kept(folder / "out" / "harm")
    assert len(documents) == len(POSTS.splitlines()) == 8
    assert documents.select(pl.col(SCORES).is_between(0, 1).all()).row(0) == (True,) * 3
    report = (folder / "out" / "harm" / "report.html").read_text("utf-8")
    assert all(name in report for name in SCORES)


def test_with_the_rules_what_the_guide_says_goes(folder: Path) -> None:
    texts = [line.partition(': "')[2].removesuffix('"}') for line in POSTS.splitlines()]
    assert set(kept(folder / "out" / "harm-2")["text"]) == {texts[at] for at in (0, 1, 5, 7)}
    ledger = pl.read_parquet(folder / "out" / "harm-2" / "ledger" / "*.parquet")
    assert sorted(ledger["reason"].drop_nulls()) == ["adult", "gambling", "toxic_en", "toxic_ko"]


def test_thresholds_can_be_changed_and_tuned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    onggi("decide out/harm-2 --set toxic_ko=0.06 --output out/harm-3")
    assert "toxic_ko" in onggi("tune out/harm-2")


def test_scores_of_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    onggi("score toxicity,adult,gambling posts.jsonl scored/")
    scored, measured = pl.read_ndjson("scored/posts.jsonl"), kept(folder / "out" / "harm")
    both = scored.join(measured.select("text", *SCORES), on="text", suffix="_of_run")
    assert all(both[name].to_list() == pytest.approx(both[f"{name}_of_run"].to_list()) for name in SCORES)
    assert len(both) == 8


def test_tables_of_thresholds_are_those_of_the_benchmark() -> None:
    page = (HOME / "benchmarks" / "results" / "harm.md").read_text("utf-8")
    tuned = re.findall(r"^\| `(\w+)` \| (\w+) \| [\d, ]+ \| ([\d.]+) \|", page, re.M)
    table = GUIDE.partition("## Which threshold")[2]
    said: dict[tuple[str, str], str] = {}
    for name in ("toxicity", "adult", "gambling"):
        row = table.partition(f"| `{name}` | ")[2].splitlines()[0]
        said |= {(name, language): cell for language, cell in zip(("ko", "en"), row.split("|")[1:], strict=False)}
    assert {(name, language): float(limit) for name, language, limit in tuned} == {
        key: float(cell) for key, cell in said.items()
    }
