"""The shipped `toxicity` model: planted texts, spellings, its labels, and its recipe."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from classifiers.cards import read_card
from classifiers.scorer import SHIPPED, Scorer
from manifests.recipes import find_manifest

HOME = Path(__file__).resolve().parents[2]
LABELS = HOME / "benchmarks" / "data" / "harm"
SHARED = Path(os.environ.get("ONGGI_SHARED", HOME.parent / "shared"))
KEPT_BELOW = {"ko": 0.06, "en": 0.4}
"""The thresholds that docs/harm-scores.md names."""

TOXIC = [
    ("ko", "이 병신 새끼는 왜 안 죽냐"),
    ("ko", "기레기 놈들 싹 다 쓰레기 새끼들이다"),
    ("ko", "한녀들 쿵쾅거리는 꼬라지 역겹다"),
    ("ko", "니 애미한테나 가서 지랄해라 씨발년아"),
    ("ko", "못생긴 돼지 같은 년이 어디서 나대"),
    ("en", "shut the fuck up you retarded bitch"),
    ("en", "you dumb hoes are all the same, ugly ass bitches"),
    ("en", "that faggot should kill himself"),
]
CIVIL = [
    ("ko", "시발점이 된 사건은 1894년의 농민 봉기였다"),
    ("ko", "어미 고양이가 새끼를 물고 담을 넘었다"),
    ("ko", "법원은 모욕 혐의로 기소된 유튜버에게 벌금 300만 원을 선고했다"),
    ("ko", "이번 정책은 실패했다. 정부는 책임을 지고 대책을 내놓아야 한다."),
    ("ko", "한남동 골목에 새로 생긴 식당에 다녀왔는데 파스타가 맛있었다"),
    ("ko", "배우들의 연기는 좋았지만 결말이 허무해서 아쉬웠다"),
    ("ko", "항암 치료를 받던 중 부작용으로 머리카락이 빠졌다"),
    ("en", "The court sentenced him to five years for assaulting a woman."),
    ("en", "Kill the process with SIGTERM and restart the service."),
    ("en", "The film is slow and the ending makes no sense."),
    ("en", "I am sorry to hear that your dog died yesterday."),
]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(SHIPPED / "toxicity")


def scores(scorer: Scorer, texts: list[str]) -> list[float]:
    return [float(score) for score in scorer.score(pa.array(texts, pa.large_string())).score.to_pylist()]


@pytest.mark.parametrize(("language", "text"), TOXIC)
def test_abuse_scores_high(scorer: Scorer, language: str, text: str) -> None:
    assert scores(scorer, [text])[0] >= KEPT_BELOW[language]


@pytest.mark.parametrize(("language", "text"), CIVIL)
def test_criticism_news_and_harmless_look_alikes_score_low(scorer: Scorer, language: str, text: str) -> None:
    assert scores(scorer, [text])[0] < KEPT_BELOW[language]


def test_spellings_that_hide_change_little(scorer: Scorer) -> None:
    plain, *hidden = scores(scorer, ["이 시발 새끼야", "이 시1발 새끼야", "이 시.발 새.끼야", "이 ㅅㅣㅂㅏㄹ 새끼야"])
    assert plain > 0.9
    assert all(abs(score - plain) < 0.05 for score in hidden)


def test_nothing_is_not_toxic_and_null_has_no_score(scorer: Scorer) -> None:
    found = scorer.score(pa.array(["", None], pa.large_string()))
    assert found.score[0].as_py() < 0.01 and found.score[1].as_py() is None
    assert found.int_score.to_pylist() == [0, None]


def test_the_model_is_small_and_reads_jamo() -> None:
    card = read_card(SHIPPED / "toxicity")
    assert card.model_dump()["view"] == "jamo-1"
    assert sum(path.stat().st_size for path in (SHIPPED / "toxicity").iterdir()) < 2_000_000


def test_labels_are_whole() -> None:
    judged = pl.read_csv(LABELS / "judged.tsv", separator="\t")
    human = pl.read_csv(LABELS / "human.tsv", separator="\t")
    assert judged["id"].is_unique().all() and human["id"].is_unique().all()
    assert set(judged["label"]) == {0, 1} and set(judged["part"]) == {"train", "test"}
    assert set(judged.filter(pl.col("part") == "test")["chosen"]) == {"random"}
    assert not set(judged["id"]) & set(human["id"])


@pytest.mark.slow
def test_the_recipe_trains_to_the_shipped_bytes(tmp_path: Path) -> None:
    if not (SHARED / "data" / "text" / "ko_comments_kocohub.parquet").exists():
        pytest.skip("the development corpora are not here")
    shutil.copy(find_manifest("toxicity"), tmp_path / "toxicity.yaml")
    python = [sys.executable, str(HOME / "benchmarks" / "harm_data.py"), str(SHARED / "data"), str(tmp_path / "harm")]
    for command in (python, [sys.executable, "-m", "onggi", "classifier", "toxicity.yaml"]):
        subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HOME)}, check=True)
    for name in ("model.ftz", "classifier.json"):
        made, shipped = (folder / name for folder in (tmp_path / "out/toxicity/model", SHIPPED / "toxicity"))
        assert made.read_bytes() == shipped.read_bytes()
