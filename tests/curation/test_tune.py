"""Tuning a threshold of a run: what can be tuned, what is asked, what comes of the answers."""

from pathlib import Path

import orjson
import polars as pl
import pytest

from curation.pipeline import changed_manifest, curate, decide_again
from curation.pipeline import prepare as prepare_run
from curation.tune import Document, Question, advice, find_target, prepare, targets, window, written
from manifests.errors import RequestError
from manifests.load import load_manifest
from manifests.store import Folder

pytestmark = pytest.mark.usefixtures("without_pages")

MANIFEST = """
kind: corpus
name: tuned
inputs: [{source: s, path: in.jsonl, url: url}]
measure: {language: {}}
rules:
  - {name: grade, keep: "n_text_bytes >= 30 and n_bytes <= 900"}
  - {name: between, keep: "n_text_bytes between 1 and 5000"}
  - {name: site, keep: "url <> 'http://c'"}
  - {name: half, keep: "hangul_frac / 2 <= 0.45", when: "url = 'http://b'"}
dedup: {exact: true}
output: out
"""
TEXTS = [f"{'가나다 ' * (i % 7)}text number {i} " + "word " * (i % 40) for i in range(400)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_run(tmp_path_factory.mktemp("tune"))


def make_run(folder: Path, manifest: str = MANIFEST) -> Folder:
    rows = [{"text": text, "url": f"http://{'abc'[i % 3]}"} for i, text in enumerate(TEXTS)]
    rows += [{"text": TEXTS[1], "url": "http://b"}]  # the same text a second time, and again short
    (folder / "in.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    (folder / "m.yaml").write_text(manifest)
    curate(prepare_run(load_manifest(str(folder / "m.yaml")), str(folder)))
    return Folder(str(folder / "out"))


def ledger(run: Folder) -> pl.DataFrame:
    return (run / "ledger").scan().collect()


def measured(run: Folder) -> pl.DataFrame:
    return (run / "measured").scan().collect()


def test_targets_are_what_set_can_change(run: Folder) -> None:
    there = {target.name: target for target in targets(run)}
    assert set(there) == {"grade.n_text_bytes", "grade.n_bytes", "half"}
    alone = [rules[0] for rules in ledger(run)["failed_rules"].to_list() if rules is not None and len(rules) == 1]
    assert {name: target.n_only for name, target in there.items()} == {
        "grade.n_text_bytes": alone.count("grade"),
        "grade.n_bytes": alone.count("grade"),
        "half": alone.count("half"),
    }
    assert find_target(run, "grade.n_bytes").comparison.op == "<="
    for name in there:
        assert changed_manifest(run, None, "", [f"{name}=3"]).rules != changed_manifest(run, None, "", []).rules


@pytest.mark.parametrize(
    ("name", "message"),
    [("grade", "has several thresholds; there are: grade.n_"), ("between", "no threshold"), ("x", "no threshold")],
)
def test_what_cannot_be_tuned_is_refused(run: Folder, name: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        find_target(run, name)


def question(run: Folder, name: str = "grade.n_text_bytes", n: int = 40, seed: int = 0) -> Question:
    return prepare(run, find_target(run, name), n, seed)


def test_documents_are_those_that_only_the_threshold_decides(run: Folder) -> None:
    found = question(run)
    rows = measured(run).filter(pl.col("url") != "http://c", pl.col("n_bytes") <= 900)
    rows = rows.filter((pl.col("url") != "http://b") | (pl.col("hangul_frac") / 2 <= 0.45)).unique("text_digest")
    assert found.bins.n_docs.sum() == rows.height
    assert found.bins.n_docs[found.bins.passes].sum() == (rows["n_text_bytes"] >= 30).sum()
    by_id = {row["id"]: row for row in measured(run).to_dicts()}
    assert len({document.key for document in found.documents}) == 40
    for document in found.documents:
        row = by_id[document.id]
        assert (document.text, document.url, document.value) == (row["text"], row["url"], row["n_text_bytes"])
        assert found.bins.low[document.bin] <= document.value <= found.bins.high[document.bin]
    assert sum(document.weight for document in found.documents) == pytest.approx(rows.height)


def test_a_rule_with_a_condition_is_tuned_where_it_applies(run: Folder) -> None:
    found = question(run, "half", 20)
    assert {document.url for document in found.documents} == {"http://b"}
    assert found.target.comparison.column == "hangul_frac / 2"


def test_the_same_documents_for_the_same_seed(run: Folder) -> None:
    assert question(run).documents == question(run).documents
    assert question(run).documents != question(run, seed=1).documents


def test_runs_without_texts_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, MANIFEST + "store: columns\n")
    with pytest.raises(RequestError, match="store: columns"):
        question(run)


def test_runs_without_a_threshold_are_refused(tmp_path: Path) -> None:
    rules = MANIFEST[MANIFEST.index("rules:") : MANIFEST.index("dedup:")]
    run = make_run(tmp_path, MANIFEST.replace(rules, "rules: [{name: site, keep: \"url <> 'http://c'\"}]\n"))
    with pytest.raises(RequestError, match="nothing to tune"):
        targets(run)


def test_a_threshold_that_decides_nothing_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, MANIFEST.replace("url = 'http://b'", "url = 'http://d'"))
    with pytest.raises(RequestError, match="half decides no document"):
        question(run, "half")


def test_the_proposed_threshold_keeps_what_it_says(run: Folder, tmp_path: Path) -> None:
    found = question(run, n=100)
    answers = {document.key: "keep" if document.value >= 100 else "drop" for document in found.documents}
    told = found.survey(answers, 0.9)  # type: ignore[arg-type]
    proposed = told.proposed
    assert proposed is not None
    assert 50 < proposed.threshold <= 130
    assert proposed.precision.value >= 0.9
    assert any(f"{proposed.threshold:g}" in sentence for sentence in advice(told, 0.9))
    manifest = changed_manifest(run, None, "", [f"{found.target.name}={proposed.threshold:g}"])
    decide_again(run, manifest, str(tmp_path / "again"))
    kept = ledger(Folder(str(tmp_path / "again"))).filter(pl.col("verdict") == "kept")
    assert kept.height == proposed.n_kept


def test_advice_says_when_answers_are_too_few(run: Folder) -> None:
    found = question(run)
    answers = {d.key: "keep" if i % 2 else "drop" for i, d in enumerate(found.documents)}
    said = " ".join(advice(found.survey(answers, 0.99), 0.99))  # type: ignore[arg-type]
    assert "No threshold between the answers has a precision of 0.99" in said
    assert "40 answers do not tell whether" in said
    flat = {d.key: "keep" if d.value >= 100 else "drop" for d in found.documents}
    assert "do not tell whether" not in " ".join(advice(found.survey(flat, 0.9), 0.9))  # type: ignore[arg-type]
    assert "10 answers on" in " ".join(advice(found.survey({}, 0.9), 0.9))


def test_windows_show_the_beginning_and_the_middle() -> None:
    assert window("  short\n\n \n\ntext ", 100) == "short\n\ntext"
    text = "".join(chr(0xAC00 + i) for i in range(1000))
    shown = window(text, 90)
    assert shown.startswith(text[:60] + "\n\n[… 425 characters …]\n\n" + text[485:515])
    assert shown.endswith("[… 485 characters …]")
    for n_chars in range(100, 1000, 7):
        pieces = window(text, n_chars).split("\n\n")
        assert sum(len(piece) for piece in pieces if not piece.startswith("[…")) == n_chars


def test_thresholds_are_written_without_loss() -> None:
    assert [written(value) for value in (3.0, 0.65, -0.1234567891, 1e6)] == ["3", "0.65", "-0.1234567891", "1000000"]


def test_documents_know_their_key() -> None:
    assert Document("a", 1, 0.5, 0, 1.0, "s", None, None, "t").key == ("a", 1)
