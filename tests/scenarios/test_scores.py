"""Scores in a corpus manifest: of every text, or of what rules let through; thresholds as numbers and as shares.

What is expected is computed by Polars over the whole corpus at once, from texts and from a model asked directly.
"""

import math
import random
import shutil
from fractions import Fraction
from pathlib import Path

import dask
import orjson
import polars as pl
import pyarrow as pa
import pytest

from classifiers.cards import LanguagesCard, write_card
from classifiers.scorer import Scorer
from curation import settle, tune
from curation.explain import explain
from curation.pipeline import changed_manifest, curate, decide_again, prepare
from curation.plan import estimate
from curation.summary import Summary
from manifests.contracts import documents_schema
from manifests.engine import Workers
from manifests.errors import RequestError
from manifests.load import parse_manifest
from manifests.record import RunRecord
from manifests.store import Folder
from tests.curation.classifiers import train_words
from tests.scenarios import faults
from tests.scenarios.test_cluster import SETTINGS, run_until_done
from tests.scenarios.test_kills import KilledError, die_at

pytestmark = pytest.mark.usefixtures("without_charts")

pytest.importorskip("fasttext")

N_DOCS = 300
GOOD, BAD, LONG = "원리 개념 정의", "할인 광고 클릭", "바다 하늘 구름"
WORDS = f"{GOOD} {BAD} {LONG} 그리고 그러나 따라서 오늘 어제".split()

MANIFEST = """
kind: corpus
name: scored
inputs: [{source: docs, path: docs.jsonl, key: key, metadata: {topic: topic}}]
measure:
  language: {}
  scores:
    - {name: fast, model: models/fast}
    - {name: edu, model: models/edu, after: rules}
    - {name: deep, model: models/deep, after: rules}
rules:
  - {name: late, keep: "deep_score <= 4.5"}
  - {name: fast, keep: "fast_score >= 1.5"}
  - {name: edu, keep: "edu_int_score >= 2"}
  - {name: topic, keep: "metadata.topic <> 'spam'"}
  - {name: best, top: {score: edu_score, frac: 40%}, when: "metadata.topic = 'news'"}
dedup: {exact: true}
limits: {shard_bytes: 6000}
output: {path: out, shard_bytes: 9000}
"""


def documents() -> list[dict[str, str]]:
    """Made-up texts, some of them twice, a few in a language for which `fast` has no model."""
    draw = random.Random(7)
    rows = []
    for k in range(N_DOCS):
        words = draw.choices(WORDS, k=draw.randint(3, 30)) if k % 25 else ["The sky was clear this morning", str(k)]
        text = rows[draw.randrange(k)]["text"] if k % 10 == 9 else f"{' '.join(words)}."
        rows.append({"text": text, "key": str(k), "topic": draw.choice(["news", "blog", "spam"])})
    return rows


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts and three models."""
    folder = tmp_path_factory.mktemp("scores")
    (folder / "docs.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in documents()))
    train_fast(folder)
    train_words(folder / "models/edu", f"{GOOD} 그리고", BAD)
    train_words(folder / "models/deep", LONG, GOOD)
    return folder


@pytest.fixture(scope="module")
def finished(corpus: Path) -> tuple[Path, RunRecord]:
    """The same with a finished run of the manifest."""
    return corpus, run(corpus)


def train_fast(folder: Path, n_epochs: int = 20) -> None:
    """A model that is one per language, of which Korean is the only one."""
    train_words(folder / "models/fast/ko", GOOD, BAD, n_epochs)
    write_card(folder / "models/fast", LanguagesCard(models={"ko": "ko"}))


def run(corpus: Path, text: str = MANIFEST, output: Path | str = "out", n_workers: int = 1) -> RunRecord:
    return curate(prepare(parse_manifest(text, "m"), str(corpus), str(corpus / output), Workers(n_workers)))


def table(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / f"{name}/*.parquet").sort("id", "copy" if name != "measured" else "row_hash")


def scored(corpus: Path, frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """The frame with what each model says of its texts, asked directly."""
    for name in names:
        texts, languages = frame["text"].to_arrow(), frame["language"].to_arrow()
        found = Scorer(corpus / f"models/{name}").score(texts.cast(pa.large_string()), languages.cast(pa.string()))
        columns = {f"{name}_score": found.score, f"{name}_int_score": found.int_score}
        frame = frame.with_columns(pl.Series(column, values.to_pylist()) for column, values in columns.items())
    return frame


def expected(corpus: Path, out: Path) -> pl.DataFrame:
    """Every document with `reason`, as the manifest says, before duplicates: the rules one after the other."""
    frame = scored(corpus, table(out, "measured"), "fast", "edu", "deep")
    topic = pl.col("metadata").struct.field("topic")
    news = topic == "news"

    def fail(name: str, keep: pl.Expr) -> pl.DataFrame:
        said = pl.when(keep).then(None).when(keep.is_null()).then(pl.lit(f"{name}:missing")).otherwise(pl.lit(name))
        return frame.with_columns(reason=pl.coalesce("reason", said))

    frame = frame.with_columns(reason=pl.lit(None, pl.String))
    frame = fail("fast", pl.col("fast_score") >= 1.5)
    frame = fail("topic", topic != "spam")
    frame = frame.with_columns(has_edu=pl.col("reason").is_null())
    frame = fail("edu", pl.col("edu_int_score") >= 2)
    asked = frame.filter(pl.col("reason").is_null() & news)["edu_score"].drop_nulls().sort(descending=True)
    threshold = asked[math.ceil(Fraction(4, 10) * asked.len()) - 1]
    frame = frame.with_columns(threshold=pl.lit(threshold))
    frame = fail("best", pl.when(news).then(pl.col("edu_score") >= threshold).otherwise(pl.lit(True)))
    frame = frame.with_columns(has_deep=pl.col("reason").is_null())
    return fail("late", pl.col("deep_score") <= 4.5)


def test_reasons_and_columns_are_those_of_a_plain_reading(finished: tuple[Path, RunRecord]) -> None:
    corpus, record = finished
    wanted, ledger = expected(corpus, corpus / "out"), table(corpus / "out", "ledger")
    assert set(wanted["reason"]) >= {None, "fast", "fast:missing", "topic", "edu", "best", "late"}
    by_rules = ledger.with_columns(reason=pl.when(pl.col("stage") == "rules").then("reason"))
    assert by_rules.select("id", "reason").equals(wanted.select("id", "reason"))
    dropped = ledger.filter(pl.col("reason") == "best")
    assert set(dropped["threshold"]) == {wanted["threshold"][0]} == {record.thresholds["best"]}
    assert (dropped["value"] < dropped["threshold"]).all()
    kept = table(corpus / "out", "documents")
    names = [f"{name}_{column}" for name in ("fast", "edu", "deep") for column in ("score", "int_score")]
    assert scored(corpus, kept.drop(names), "fast", "edu", "deep").select(names).equals(kept.select(names))
    assert kept.select(names).null_count().sum_horizontal().item() == 0
    assert (ledger["reason"] == "exact_duplicate").sum() > 0


def test_documents_have_the_columns_of_the_contract(finished: tuple[Path, RunRecord]) -> None:
    files = sorted((finished[0] / "out/documents").glob("*.parquet"))
    assert len(files) > 2
    schema = documents_schema(["topic"], None, scores=["fast", "edu", "deep"])
    assert pl.read_parquet_schema(files[0]) == pl.Schema(schema)


def test_costly_models_see_only_what_rules_let_through(finished: tuple[Path, RunRecord]) -> None:
    corpus, record = finished
    wanted = expected(corpus, corpus / "out")
    for name in ("edu", "deep"):
        seen = pl.read_parquet(corpus / f"out/scores/{record.scores[name]}/*.parquet")
        keys = wanted.filter(f"has_{name}").select("id", "text_digest").unique().sort("id")
        assert seen.select("id", "text_digest").sort("id").equals(keys)
        assert record.counts[f"scored.{name}"] == keys.height < N_DOCS
    assert "edu_score" not in table(corpus / "out", "measured").columns


def test_a_dropped_document_is_not_asked_for_scores_that_it_has_not(finished: tuple[Path, RunRecord]) -> None:
    ledger = table(finished[0] / "out", "ledger").filter(pl.col("stage") == "rules")
    failed = {tuple(names) for names in ledger["failed_rules"]}
    assert failed >= {("fast", "topic"), ("topic",), ("edu",), ("best",), ("late",)}
    assert not any({"fast", "topic"} & set(names) and {"edu", "best", "late"} & set(names) for names in failed)
    assert not any("late" in names and len(names) > 1 for names in failed)


@pytest.mark.parametrize(
    ("change", "n_workers"),
    [
        (("shard_bytes: 6000", "shard_bytes: 2048"), 1),
        (("shard_bytes: 6000", "shard_bytes: 90000"), 2),
    ],
)
def test_shards_and_workers_change_nothing(
    finished: tuple[Path, RunRecord], tmp_path: Path, change: tuple[str, str], n_workers: int
) -> None:
    corpus, record = finished
    again = run(corpus, MANIFEST.replace(*change), tmp_path / "out", n_workers)
    assert again.digests == record.digests
    assert again.thresholds == record.thresholds
    files = [sorted((folder / "out/documents").glob("*.parquet")) for folder in (corpus, tmp_path)]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]


def test_one_file_is_decided_alike(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    again = run(finished[0], MANIFEST.replace("shard_bytes: 9000", "shard_bytes: 9000000"), tmp_path / "out")
    assert again.digests == finished[1].digests


def counting(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts, by the name of the score, the texts that models are asked about while documents are decided."""
    n_texts: dict[str, int] = {}
    real = settle.score_columns

    def score_columns(scores, texts, languages):  # type: ignore[no-untyped-def]
        for score in scores:
            n_texts[score.name] = n_texts.get(score.name, 0) + len(texts)
        return real(scores, texts, languages)

    monkeypatch.setattr(settle, "score_columns", score_columns)
    return n_texts


def test_a_decision_scores_just_what_it_admits(
    finished: tuple[Path, RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, record = finished
    shutil.copytree(corpus / "out", tmp_path / "out")
    out = Folder(str(tmp_path / "out"))
    n_texts = counting(monkeypatch)
    same = decide_again(out, changed_manifest(out, None, "", []), str(tmp_path / "same"))
    assert (n_texts, same.counts["scored.edu"], same.counts["scored.deep"]) == ({}, 0, 0)
    assert same.digests == record.digests
    looser = changed_manifest(out, None, "", ["fast=0.7"])
    again = decide_again(out, looser, str(tmp_path / "looser"))
    measured = table(corpus / "out", "measured").filter(pl.col("metadata").struct.field("topic") != "spam")
    admitted = measured.filter(pl.col("fast_score").is_between(0.7, 1.5, closed="left"))
    assert again.counts["scored.edu"] == admitted["id"].n_unique() > 10
    assert n_texts["edu"] <= again.counts["scored.edu"]
    fresh = run(corpus, MANIFEST.replace("fast_score >= 1.5", "fast_score >= 0.7"), tmp_path / "fresh")
    assert again.digests == fresh.digests
    assert again.thresholds == fresh.thresholds != record.thresholds
    stricter = decide_again(out, changed_manifest(out, None, "", ["fast=3"]), str(tmp_path / "stricter"))
    assert stricter.counts["scored.edu"] == 0


def test_shares_and_numbers_from_the_command_line(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    out = Folder(str(finished[0] / "out"))
    at = finished[1].thresholds["best"]
    number = decide_again(out, changed_manifest(out, None, "", [f"best={at!r}"]), str(tmp_path / "number"))
    assert (number.digests, number.thresholds) == (finished[1].digests, {})
    share = decide_again(out, changed_manifest(out, None, "", ["best=100%"]), str(tmp_path / "share"))
    assert "best" not in set(table(tmp_path / "share", "ledger")["reason"])
    with pytest.raises(RequestError, match=r"fast=10%: the rule fast compares with a number"):
        changed_manifest(out, None, "", ["fast=10%"])
    assert share.counts["kept"] > number.counts["kept"]


@pytest.mark.parametrize("call", [1, 3, 6])
def test_killed_while_scoring_and_resumed(
    finished: tuple[Path, RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    corpus, record = finished
    with monkeypatch.context() as patch:
        die_at(patch, settle, "write_rows", call)
        with pytest.raises(KilledError):
            run(corpus, MANIFEST, tmp_path / "out")
    n_texts = counting(monkeypatch)
    again = run(corpus, MANIFEST, tmp_path / "out")
    assert again.digests == record.digests
    assert again.counts == record.counts
    assert call == 1 or n_texts["edu"] < record.counts["scored.edu"]


@pytest.mark.slow
def test_workers_killed_while_they_score(
    corpus: Path, finished: tuple[Path, RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(faults.PLAN, faults.plan(tmp_path / "faults", "kill", 0.02, 3))
    job = prepare(parse_manifest(MANIFEST, "m"), str(corpus), f"faulty://{tmp_path}/out", Workers(2))
    with dask.config.set(SETTINGS):
        record, _ = run_until_done(job, "kill")
    assert list((tmp_path / "faults").iterdir())
    assert (record.digests, record.thresholds) == (finished[1].digests, finished[1].thresholds)


def test_a_plan_has_the_steps_of_scores(corpus: Path, tmp_path: Path) -> None:
    found = estimate(prepare(parse_manifest(MANIFEST, "m"), str(corpus), str(tmp_path / "out")))
    steps = [step.step for step in found.steps]
    assert steps.index("measure") < steps.index("score") < steps.index("top") < steps.index("write")
    assert next(step for step in found.steps if step.step == "score").written_bytes > 0


@pytest.mark.parametrize(("name", "is_measured_again"), [("fast", True), ("edu", False)])
def test_a_model_that_was_trained_again(
    corpus: Path, finished: tuple[Path, RunRecord], tmp_path: Path, name: str, is_measured_again: bool
) -> None:
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out"))
    before = run(tmp_path)
    assert before.digests == finished[1].digests
    if name == "fast":
        train_fast(tmp_path, n_epochs=6)
    else:
        train_words(tmp_path / f"models/{name}", GOOD, BAD, n_epochs=6)
    again = run(tmp_path)
    assert again.digests["documents"] != before.digests["documents"]
    assert (set(again.shards) != set(before.shards)) == is_measured_again
    assert (again.scores["edu"] != before.scores["edu"]) == (name == "edu")
    assert again.scores["deep"] == before.scores["deep"]
    wanted = expected(tmp_path, tmp_path / "out")
    assert again.thresholds == {"best": wanted["threshold"][0]}
    assert again.counts["scored.deep"] < before.counts["scored.deep"]


def test_columns_alone_restore_no_text_to_score(corpus: Path, tmp_path: Path) -> None:
    text = MANIFEST.replace("output:", "store: columns\noutput:")
    record = run(corpus, text, tmp_path / "out")
    out = Folder(str(tmp_path / "out"))
    stricter = decide_again(out, changed_manifest(out, None, "", ["fast=2.5"]), str(tmp_path / "strict"))
    assert stricter.counts["kept"] < record.counts["kept"]
    with pytest.raises(RequestError, match=r"\d+ documents would have to be scored by edu whose text is gone"):
        decide_again(out, changed_manifest(out, None, "", ["fast=0.7"]), str(tmp_path / "loose"))
    assert not list((tmp_path / "loose").glob("*"))


def test_a_decision_may_ask_for_another_score(finished: tuple[Path, RunRecord], tmp_path: Path) -> None:
    corpus, _ = finished
    shutil.copytree(corpus / "out", tmp_path / "out")
    out = Folder(str(tmp_path / "out"))
    other = MANIFEST.replace("name: deep, model: models/deep", "name: fine, model: models/fast")
    manifest = changed_manifest(out, parse_manifest(other.replace("deep_", "fine_"), "m"), str(corpus), [])
    again = decide_again(out, manifest, str(tmp_path / "other"))
    kept = table(tmp_path / "other", "documents")
    assert kept["fine_score"].equals(kept["fast_score"].alias("fine_score"))
    assert again.counts["scored.fine"] > 0 == again.counts["scored.edu"]
    no_pass = MANIFEST.replace("    - {name: fast, model: models/fast}\n", "").replace("fast_score", "n_bytes")
    with pytest.raises(RequestError, match="measured with other settings of measure"):
        changed_manifest(out, parse_manifest(no_pass, "m"), str(corpus), [])


def test_the_best_member_of_a_group_survives(corpus: Path, tmp_path: Path) -> None:
    near = "{near: {jaccard: 0.3, bands: 80, rows: 1, shingle: {ko: char-2}, keep: {score: edu_score}}}"
    record = run(corpus, MANIFEST.replace("{exact: true}", near), tmp_path / "out")
    ledger, kept = table(tmp_path / "out", "ledger"), table(tmp_path / "out", "documents")
    lost = ledger.filter(pl.col("stage") == "dedup")
    measured = scored(corpus, table(tmp_path / "out", "measured"), "edu").select("id", "edu_score")
    pairs = lost.join(measured, on="id").join(
        kept.select("id", "edu_score"), left_on="duplicate_of", right_on="id", suffix="_of_survivor"
    )
    assert pairs.height == lost.height > record.counts["kept"] / 10
    assert (pairs["edu_score"] <= pairs["edu_score_of_survivor"]).all()
    assert (pairs["edu_score"] < pairs["edu_score_of_survivor"]).any()


def test_report_and_stories_show_scores(finished: tuple[Path, RunRecord]) -> None:
    corpus, record = finished
    out = Folder(str(corpus / "out"))
    summary = Summary.model_validate(out.read_json("summary.json"))
    assert {"fast_score", "edu_score", "edu_int_score", "deep_score"} <= {signal.column for signal in summary.signals}
    rules = {rule.name: rule for rule in summary.rules}
    wanted = expected(corpus, corpus / "out")
    news = pl.col("metadata").struct.field("topic") == "news"
    assert rules["edu"].n_evaluated == wanted["has_edu"].sum()
    assert rules["best"].n_evaluated == wanted.filter(pl.col("has_edu") & news).height
    assert rules["best"].thresholds[0].threshold == record.thresholds["best"]
    assert f"{record.thresholds['best']:.3g}"[:3] in (corpus / "out/report.html").read_text()
    ledger = table(corpus / "out", "ledger")
    for reason in (None, "fast", "edu", "best", "late"):
        row = ledger.filter(pl.col("reason").eq_missing(reason)).to_dicts()[0]
        (story,) = explain(out, f"{row['id']}#{row['copy']}")
        broken = [rule.name for rule in story.rules if rule.applies and not rule.holds]
        assert broken == [name.removesuffix(":missing") for name in row["failed_rules"]]
        assert (story.measured["edu_score"] is None) == (reason == "fast")


def test_a_measured_score_has_shares_too(corpus: Path, tmp_path: Path) -> None:
    text = MANIFEST[: MANIFEST.index("rules:")] + (
        "rules: [{name: best, top: {score: fast_int_score, frac: 0.1}}]\noutput: {path: out, shard_bytes: 9000}\n"
    )
    record = run(corpus, text.replace("    - {name: edu, model: models/edu, after: rules}\n", ""), tmp_path / "out")
    whole = table(tmp_path / "out", "measured")["fast_int_score"].drop_nulls()
    kept = whole.rank("min", descending=True) <= math.ceil(whole.len() / 10)
    assert record.counts["kept"] == kept.sum() > whole.len() / 10
    assert record.counts["scored.deep"] == record.counts["kept"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("models/edu", "models/none"), r"models/none"),
        (("score: edu_score", "score: edo_score"), r"rule best: .*unknown column edo_score; did you mean edu_score"),
        (("score: edu_score", "score: source"), r"rule best: top.score: source is no column of numbers"),
        (("frac: 40%", "frac: 140%"), r"rules\[4\]\.top\.frac"),
        (("name: edu, model", "name: fast, model"), r"the column fast_score is that of the score fast already"),
        (("name: deep, model", "name: language, model"), r"the column language_score is that of measure\.language"),
        (("name: deep, model", "name: a-b, model"), r"measure\.scores\[2\]\.name.*letters, digits and `_`"),
        (("best, top", "best, keep: x, top"), r"a rule has either `keep`, a predicate, or `top`, a share"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    corpus: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        run(corpus, MANIFEST.replace(*change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_thresholds_of_scores_can_be_tuned(finished: tuple[Path, RunRecord]) -> None:
    corpus, record = finished
    out = Folder(str(corpus / "out"))
    question = tune.prepare(out, tune.find_target(out, "best"), 10)
    assert question.target.comparison.threshold == record.thresholds["best"]
    asked = {document.id: document.value for document in question.documents}
    wanted = expected(corpus, corpus / "out").filter(pl.col("id").is_in(list(asked)))
    assert dict(wanted.select("id", "edu_score").iter_rows()) == asked
