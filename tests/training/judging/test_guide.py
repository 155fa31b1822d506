"""What docs/judging.md shows: a manifest that loads, and figures as the code has them."""

import re

import yaml

from manifests.schema_evaluation import EvaluationManifest
from tests.conftest import REPOSITORY
from training.judging.answer import MT_BENCH_TEMPERATURES
from training.judging.asking import AGAIN_MAX
from training.judging.figures import LENGTH_ANSWERS_MIN, LENGTH_NOTED
from training.judging.outcomes import GROUP_WEIGHTS, UNREAD_MAX
from training.judging.questions import TASK_GROUPS

GUIDE = (REPOSITORY / "docs" / "judging.md").read_text("utf-8")


def test_the_manifest_loads() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)
    found = EvaluationManifest.model_validate(yaml.safe_load(shown))
    assert [item.name for item in found.judged] == ["logickor", "mt-bench", "dpo-against-sft"]
    assert found.judged[2].pairwise == "sft"


def test_figures_are_those_of_the_code() -> None:
    assert sorted(MT_BENCH_TEMPERATURES.values()) == [0.0] * 4 + [0.1] * 2 + [0.7] * 2
    assert AGAIN_MAX == 3 and "asked again up to three times" in GUIDE
    assert UNREAD_MAX == 0.2 and "more than a fifth" in GUIDE
    assert f"From {LENGTH_ANSWERS_MIN} answers on" in GUIDE
    assert f"points of {LENGTH_NOTED} or more" in GUIDE
    assert set(TASK_GROUPS.values()) == set(GROUP_WEIGHTS)
    weights = [
        float(number) for number in re.findall(r"([0-9.]+) (?:creative|information|math|planning|coding)", GUIDE)
    ]
    assert weights == list(GROUP_WEIGHTS.values())
