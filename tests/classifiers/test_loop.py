"""The loop: it learns, stops, goes on where it was killed, and never trains on gold."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from classifiers import loop
from classifiers.loop import Learnt, by_known_labels, learn
from classifiers.rounds import Labelling
from classifiers.scorer import Scorer
from manifests.engine import Engine, Workers, open_engine
from manifests.errors import RequestError
from manifests.schema_classifier import ClassifierManifest
from tests.classifiers.toy import COLUMNS, corpus, lay_out

pytest.importorskip("fasttext")


class KilledError(BaseException):
    """Stands for a kill."""


def run(folder: Path, asked: dict[str, Any], out: str = "out", annotate: loop.Annotate | None = None) -> Learnt:
    manifest = ClassifierManifest.model_validate(asked)
    (folder / out).mkdir(exist_ok=True)
    annotate = annotate or by_known_labels(manifest, str(folder))
    return learn(manifest, str(folder), folder / out, Engine(), annotate)


@pytest.fixture(scope="module", autouse=True)
def _few_folds() -> Iterator[None]:
    """Each fold of each round is trained in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "N_FOLDS", 2)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loop")


@pytest.fixture(scope="module")
def asked(folder: Path) -> dict[str, Any]:
    return lay_out(folder)


@pytest.fixture(scope="module")
def learnt(folder: Path, asked: dict[str, Any]) -> Learnt:
    return run(folder, asked)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_rounds_add_labels_and_the_best_is_the_model(folder: Path, asked: dict[str, Any], learnt: Learnt) -> None:
    assert [found.n_labels for found in learnt.rounds] == [60, 100, 140]
    recalls = [found.recall_at_precision for found in learnt.rounds]
    assert recalls[learnt.chosen] == max(recalls) > recalls[0]
    assert learnt.rounds[0].positive_by_origin["seed"] < learnt.rounds[2].n_positive
    assert learnt.labelled["outcome"].to_list() == ["labelled"] * 80
    chosen = folder / f"out/rounds/{learnt.chosen:02d}/model"
    assert files(folder / "out/model") == files(chosen)
    assert (
        Scorer(folder / "out/model").score(pl.Series(["원리 개념"]).to_arrow().cast("large_string")).score[0].is_valid
    )
    labels = pl.read_parquet(folder / "out/labels.parquet")
    assert labels["origin"].value_counts().sort("origin").rows() == [
        ("random", 8),
        ("seed", 60),
        ("top", 8),
        ("uncertain", 64),
    ]
    assert labels["round"].max() == 2


def test_gold_is_never_trained_on(folder: Path, asked: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "x", ignore=shutil.ignore_patterns("out"))
    gold = pl.read_parquet(folder / "gold.parquet")
    seeds = pl.read_parquet(folder / "seeds.parquet")
    pl.concat([seeds, gold[:30]]).write_parquet(tmp_path / "x/seeds.parquet")
    gold.drop("score").write_parquet(tmp_path / "x/pool/c.parquet")
    found = run(tmp_path / "x", {**asked, "stop": {"rounds": 1}})
    assert found.n_seeds_in_gold == 30
    trained_on = set(pl.read_parquet(tmp_path / "x/out/labels.parquet")["text"])
    assert not trained_on & set(gold["text"])


@pytest.mark.parametrize(("name", "call"), [("train", 2), ("scores_of", 1), ("judged_round", 1), ("_copy", 1)])
def test_killed_anywhere_it_ends_the_same(
    folder: Path, asked: dict[str, Any], learnt: Learnt, name: str, call: int, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "x", ignore=shutil.ignore_patterns("out"), copy_function=shutil.copy2)
    asked, real, calls = {**asked, "stop": {"rounds": 1, "patience": 2}}, getattr(loop, name), []

    def killed(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise KilledError
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, name, killed)
        with pytest.raises(KilledError):
            run(tmp_path / "x", asked)
    again = run(tmp_path / "x", asked)
    assert again.rounds == learnt.rounds[:2]
    assert files(tmp_path / "x/out/model") == files(folder / f"out/rounds/{again.chosen:02d}/model")


def test_rounds_that_are_there_are_not_done_again(
    folder: Path, asked: dict[str, Any], learnt: Learnt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is trained, scored or labelled again")

    for name in ("train", "out_of_fold", "run_step"):
        monkeypatch.setattr(loop, name, nobody)
    again = run(folder, asked, annotate=nobody)
    assert again.rounds == learnt.rounds


def test_more_rounds_go_on_from_those_that_are_there(
    folder: Path, asked: dict[str, Any], learnt: Learnt, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "x", copy_function=shutil.copy2)
    stat = (folder / "pool/a.parquet").stat()
    assert stat.st_mtime_ns == (tmp_path / "x/pool/a.parquet").stat().st_mtime_ns
    found = run(folder, {**asked, "stop": {"rounds": 3, "patience": 3}})
    assert found.rounds[:3] == learnt.rounds
    assert found.rounds[3].n_labels == 180


def test_it_stops_when_recall_stops_rising(folder: Path, asked: dict[str, Any]) -> None:
    found = run(folder, {**asked, "stop": {"rounds": 9, "patience": 1, "min_gain": 1.0}}, "stopped")
    assert len(found.rounds) == 2
    assert found.chosen in (0, 1)


def test_what_nobody_could_label_is_left_out(folder: Path, asked: dict[str, Any]) -> None:
    def half(documents: pl.DataFrame) -> list[Labelling]:
        return [
            Labelling(digest, 1.0, "labelled", "why", 2.0) if k % 2 else Labelling(digest, None, "refused")
            for k, digest in enumerate(documents["digest"])
        ]

    found = run(folder, {**asked, "stop": {"rounds": 1}}, "half", half)
    assert found.rounds[1].n_labels == 80
    assert found.labelled["outcome"].value_counts().sort("outcome").rows() == [("labelled", 20), ("refused", 20)]
    assert found.labelled["second"].drop_nulls().to_list() == [2.0] * 20
    nobody = run(
        folder, asked, "nobody", lambda documents: [Labelling(d, None, "failed") for d in documents["digest"]]
    )
    assert len(nobody.rounds) == 1


def test_without_gold_whole_sources_are_held_out(folder: Path, asked: dict[str, Any]) -> None:
    plain = {**asked, "gold": [], "documents": [], "stop": {"rounds": 0}}
    found = run(folder, plain, "plain")
    (only,) = found.rounds
    assert not only.is_gold
    assert only.whole.n_docs == 60
    assert {part.name for part in only.sources} == {"ko-blog", "ko-shop", "en-blog", "en-shop"}
    one_source = [{**asked["seeds"][0], "source": None}]
    with pytest.raises(RequestError, match="all labels are of one source"):
        run(folder, {**plain, "seeds": one_source}, "single")
    by_document = {**plain, "seeds": one_source, "cross_validation": {"by": "document", "folds": 5}}
    assert run(folder, by_document, "documents").rounds[0].whole.n_docs == 60


def test_a_model_per_language(folder: Path, asked: dict[str, Any]) -> None:
    found = run(folder, {**asked, "languages": ["ko", "en"], "stop": {"rounds": 1}}, "languages")
    assert Scorer(folder / "languages/model").languages == ["en", "ko"]
    assert [part.name for part in found.rounds[0].languages] == ["en", "ko"]
    with pytest.raises(RequestError, match="documents of ja: there are no labels"):
        run(folder, {**asked, "languages": ["ko", "ja"]}, "japanese")


def test_workers_make_no_difference(folder: Path, asked: dict[str, Any], learnt: Learnt) -> None:
    manifest = ClassifierManifest.model_validate({**asked, "stop": {"rounds": 1, "patience": 2}})
    (folder / "two").mkdir()
    with open_engine(Workers(2)) as engine:
        found = learn(manifest, str(folder), folder / "two", engine, by_known_labels(manifest, str(folder)))
    assert found.rounds == learnt.rounds[:2]


def test_another_corpus_begins_anew(folder: Path, asked: dict[str, Any]) -> None:
    run(folder, {**asked, "stop": {"rounds": 1}}, "anew")
    kept = (folder / "anew/rounds/00/round.json").stat().st_mtime_ns
    run(folder, {**asked, "stop": {"rounds": 1}, "documents": [{"path": "pool/a.parquet", **COLUMNS}]}, "anew")
    assert (folder / "anew/rounds/00/round.json").stat().st_mtime_ns != kept


@pytest.mark.parametrize(
    "changed",
    [{"stop": {"rounds": 1, "precision": 0.5}}, {"known_labels": {"path": "others.parquet"}}],
    ids=["precision", "labels"],
)
def test_what_rounds_say_is_of_this_manifest(folder: Path, asked: dict[str, Any], changed: dict[str, Any]) -> None:
    known = pl.read_parquet(folder / "known.parquet")
    known.write_parquet(folder / "others.parquet")
    before = {**asked, "stop": {"rounds": 1}, **({} if "stop" in changed else changed)}
    run(folder, before, "said")
    known.with_columns(score=5 - pl.col("score")).write_parquet(folder / "others.parquet")
    found = run(folder, {**before, **changed}, "said")
    fresh = run(folder, {**before, **changed}, "said-afresh")
    shutil.rmtree(folder / "said-afresh")
    assert found.rounds == fresh.rounds
    assert found.labelled.equals(fresh.labelled)


def test_unlabelled_files_that_change_begin_anew(folder: Path, asked: dict[str, Any]) -> None:
    corpus(40, 7).write_parquet(folder / "more.parquet")
    lsa = {"kind": "lsa", "n_tokens": 100, "dimensions": 3, "unlabelled": [{"path": "more.parquet"}]}
    alone = {**asked, "documents": [], "model": lsa, "stop": {"rounds": 0}}
    run(folder, alone, "lsa")
    kept = (folder / "lsa/rounds/00/round.json").stat().st_mtime_ns
    run(folder, alone, "lsa")
    assert (folder / "lsa/rounds/00/round.json").stat().st_mtime_ns == kept
    corpus(50, 8).write_parquet(folder / "more.parquet")
    run(folder, alone, "lsa")
    assert (folder / "lsa/rounds/00/round.json").stat().st_mtime_ns != kept


def test_no_words_are_learnt_from_gold(folder: Path, asked: dict[str, Any]) -> None:
    """Not even where gold lies among unlabelled texts, longer than what is judged."""
    more, gold = corpus(40, 9), pl.read_parquet(folder / "gold.parquet")
    cut = gold.with_columns(text=pl.col("text").str.pad_end(60, ".") + pl.lit(" and what follows"))
    more.write_parquet(folder / "without.parquet")
    pl.concat([more, cut]).write_parquet(folder / "with.parquet")
    cut.write_parquet(folder / "cut.parquet")
    alone = {**asked, "documents": [], "stop": {"rounds": 0}, "max_chars": 60}
    alone["gold"] = [{"path": "cut.parquet", **COLUMNS}]
    for name in ("with", "without"):
        lsa = {"kind": "lsa", "n_tokens": 100, "dimensions": 3, "unlabelled": [{"path": f"{name}.parquet"}]}
        run(folder, {**alone, "model": lsa}, f"lsa-{name}")
    assert files(folder / "lsa-with/model") == files(folder / "lsa-without/model")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"positive_from": 6}, "positive_from: 6: none of the 200 labels of gold reach it; they run from 0 to 5"),
        ({"positive_from": 0}, "positive_from: 0: all of the 200 labels of gold reach it"),
        ({"gold": [{"path": "seeds.parquet"}]}, "seeds: all of their texts are in `gold` too"),
        ({"documents": [{"path": "pool", "source": "site"}]}, r"a\.parquet: has no column 'site'"),
        ({"documents": [{"path": "pool", "where": "nix > 3"}]}, r"a\.parquet: has no column 'nix'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(
    folder: Path, asked: dict[str, Any], changed: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "train", None)
    with pytest.raises(RequestError, match=message):
        run(folder, {**asked, **changed}, "wrong")
