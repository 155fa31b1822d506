"""The shipped models `gambling` and `adult`: what they were made for, and what they must leave alone."""

import os
import runpy
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from classifiers.examples import read_examples
from classifiers.scorer import SHIPPED, Scorer
from classifiers.training import train
from manifests.load import load_kind
from manifests.recipes import find_manifest
from manifests.schema_classifier import ClassifierManifest

HOME = Path(__file__).parent.parent.parent
PLANTED = {
    "gambling": [
        "먹튀 없는 메이저놀이터, 신규가입 꽁머니 지급하고 첫충 보너스 드립니다. 가입코드 문의 주세요",
        "카지노사이트 추천, 바카라 슬롯 파워볼 한 번에 즐기고 당일 환전 받으세요",
        "ㅋㅏㅈㅣ노 바.카.라 첫 충 보너스 텔레 ace99",
        "Sign up at our online casino and claim 200 free spins, no deposit bonus, instant withdrawals",
    ],
    "adult": [
        "강북 출장안마 출장마사지 20대 관리사 후불제 010-3333-4444 24시간",
        "조.건.만.남 애♥인♥대♥행 ㅋㅏ톡 honey77 여대생 다수",
        "야동 무료 다시보기 노모자이크 성인영상 매일 업데이트",
        "Hot call girls and escorts in Delhi, full night booking, whatsapp now",
    ],
}
ORDINARY = [
    "경찰은 불법 도박사이트를 운영한 일당을 검거해 총책을 구속했다고 밝혔다.",
    "형법 제246조에 따라 도박을 한 사람은 1천만원 이하의 벌금에 처한다.",
    "도박 중독 상담은 국번 없이 전화하면 무료로 받을 수 있습니다.",
    "라스베이거스 여행에서 호텔 카지노를 구경하고 분수쇼를 봤어요.",
    "우리 강아지 토토가 놀이터에서 신나게 뛰어놀았다.",
    "자궁경부암 백신은 성경험이 시작되기 전에 접종하는 것이 좋다.",
    "경찰이 성매매를 알선한 업주를 입건했다.",
    "타이마사지를 받았더니 어깨가 시원해졌어요. 관리사님이 친절하셨습니다.",
    "Police arrested two men who ran an illegal gambling den.",
    "Condoms reduce the risk of sexually transmitted infections when they are used correctly.",
]


@pytest.fixture(scope="module", params=sorted(PLANTED))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scorer(kind: str) -> Scorer:
    return Scorer(SHIPPED / kind)


def scores(scorer: Scorer, texts: list[str]) -> list[float]:
    return scorer.score(pa.array(texts, pa.large_string())).score.to_pylist()


def test_advertisements_are_found(kind: str, scorer: Scorer) -> None:
    assert all(score > 0.8 for score in scores(scorer, PLANTED[kind]))


def test_what_speaks_of_the_same_things_is_left_alone(scorer: Scorer) -> None:
    assert all(score < 0.5 for score in scores(scorer, ORDINARY))


def test_each_looks_for_its_own_kind(kind: str, scorer: Scorer) -> None:
    [other] = set(PLANTED) - {kind}
    assert all(score < 0.5 for score in scores(scorer, PLANTED[other]))


def test_hidden_spellings_get_the_score_of_plain_ones(scorer: Scorer) -> None:
    plain, *hidden = scores(
        scorer, ["카지노 출장 토토", "카.지.노 출♥장 토1토", "ㅋㅏㅈㅣㄴㅗ ㅊㅜㄹㅈㅏㅇ ㅌㅗㅌㅗ"]
    )
    assert hidden == [pytest.approx(plain)] * 2


def test_the_score_is_a_probability(kind: str, scorer: Scorer) -> None:
    found = scorer.score(pa.array([*PLANTED[kind], *ORDINARY, "", None], pa.large_string()))
    assert all(score is None or 0 <= score <= 1 for score in found.score.to_pylist())
    assert found.int_score.to_pylist()[:4] == [1] * 4
    assert found.score[-1].as_py() is None


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data that the recipes name."""
    shared = Path(os.environ.get("ONGGI_SHARED", HOME.parent / "shared")) / "data"
    if not (shared / "text").exists():
        pytest.skip("no shared data")
    pytest.importorskip("fasttext")
    folder = tmp_path_factory.mktemp("spam")
    arguments = ["spam_data.py", str(shared), str(folder / "spam")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        patch.syspath_prepend(str(HOME / "benchmarks"))
        runpy.run_path(str(HOME / "benchmarks" / "spam_data.py"), run_name="__main__")
    return folder


@pytest.mark.slow
def test_the_recipe_trains_the_shipped_bytes(kind: str, base: Path, tmp_path: Path) -> None:
    manifest = load_kind(ClassifierManifest, find_manifest(kind))
    examples = read_examples(manifest.seeds, str(base), manifest.max_chars, None)
    train(manifest.model, manifest.languages, examples, tmp_path / "model", str(base))
    for name in ("classifier.json", "model.ftz"):
        assert (tmp_path / "model" / name).read_bytes() == (SHIPPED / kind / name).read_bytes()
